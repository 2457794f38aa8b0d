"""Two modules that work together: one exports a memory and functions, the other imports them."""

from wasmtime import Engine, Linker, Module, Store

LIBRARY = """
(module
  (memory (export "memory") 1)
  (func (export "push") (param $value i32) (local $count i32)
    (local.set $count (i32.load (i32.const 0)))
    (i32.store (i32.add (i32.const 4) (i32.mul (local.get $count) (i32.const 4)))
      (local.get $value))
    (i32.store (i32.const 0) (i32.add (local.get $count) (i32.const 1)))))
"""

PROGRAM = """
(module
  (import "list" "push" (func $push (param i32)))
  (import "list" "memory" (memory 1))
  (func (export "squares") (param $limit i32) (local $i i32)
    (loop $next
      (call $push (i32.mul (local.get $i) (local.get $i)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $limit)))))
  (func (export "count") (result i32) (i32.load (i32.const 0))))
"""


def main() -> None:
    engine = Engine()
    store = Store(engine)
    linker = Linker(engine)

    library = linker.instantiate(store, Module(engine, LIBRARY))
    linker.define_instance(store, "list", library)
    program = linker.instantiate(store, Module(engine, PROGRAM)).exports(store)

    program.get_func("squares")(store, 6)
    count = program.get_func("count")(store)
    memory = library.exports(store).get_memory("memory")
    # The numbers themselves, not a copy of them, as an array of u32.
    with memory.view(store, 4, 4 + 4 * count, "u32") as numbers:
        print(f"{count} squares: {list(numbers)}")


if __name__ == "__main__":
    main()
