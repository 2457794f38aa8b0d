"""The smallest whole program: compile, link a Python function, call."""

from wasmtime import Engine, Linker, Module, Store

MODULE = """
(module
  (import "env" "hello" (func $hello (param i32)))
  (func (export "run") (param $times i32)
    (loop $again
      (call $hello (local.get $times))
      (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))))
"""


def hello(left: int) -> None:
    print(f"Hello from Python, {left} to go")


def main() -> None:
    engine = Engine()
    linker = Linker(engine)
    linker.func("env", "hello")(hello)  # the annotations say the type; `int` is an i32

    store = Store(engine)
    instance = linker.instantiate(store, Module(engine, MODULE))
    run = instance.exports(store).get_func("run")
    run(store, 3)


if __name__ == "__main__":
    main()
