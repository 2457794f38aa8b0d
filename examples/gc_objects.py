"""Objects of the guest's own heap, and its exceptions.

Python reads a linked list that WebAssembly built and gives it one of its own. Exceptions go from
Python into WebAssembly and back.
"""

from wasmtime import (
    Engine,
    FieldType,
    FuncType,
    Linker,
    Module,
    Store,
    StructRef,
    StructType,
    ValType,
    WasmException,
)

MODULE = """
(module
  (import "host" "price" (func $price (param i32) (result i32)))
  (type $node (struct (field $value (mut i32)) (field $next (ref null struct))))
  (tag $unknown (export "unknown") (param i32))
  (func (export "count_down") (param $n i32) (result (ref null $node))
    (local $list (ref null $node)) (local $i i32)
    (loop $next
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (local.set $list (struct.new $node (local.get $i) (local.get $list)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $list))
  (func $sum (export "sum") (param $list (ref null $node)) (result i32)
    (if (result i32) (ref.is_null (local.get $list))
      (then (i32.const 0))
      (else
        (i32.add
          (struct.get $node $value (local.get $list))
          (call $sum (ref.cast (ref null $node) (struct.get $node $next (local.get $list))))))))
  ;; The price, or minus the article if the host does not know it.
  (func (export "price_or_minus") (param $article i32) (result i32)
    (block $caught (result i32)
      (return (try_table (result i32) (catch $unknown $caught)
        (call $price (local.get $article)))))
    (i32.mul (i32.const -1)))
  (func (export "price") (param $article i32) (result i32)
    (call $price (local.get $article))))
"""

PRICES = {1: 250, 2: 399}


def main() -> None:
    engine = Engine()
    store = Store(engine)
    linker = Linker(engine)

    def price(article: int) -> int:
        if article not in PRICES:
            raise WasmException(unknown, article)
        return PRICES[article]

    linker.define_func("host", "price", FuncType([ValType.I32], [ValType.I32]), price)
    exports = linker.instantiate(store, Module(engine, MODULE)).exports(store)
    unknown = exports.get_tag("unknown")

    node = exports.get_func("count_down")(store, 3)
    values = []
    while node is not None:
        value, following = node
        values.append(value)
        node = following
    print("built by WebAssembly:", values)

    ty = StructType(engine, [FieldType(ValType.I32, mutable=True), ValType.structref()])
    chain = StructRef(store, ty, [10, None])
    for value in (20, 30):
        chain = StructRef(store, ty, [value, chain])
    add_up = exports.get_func("sum")
    print("built by Python, summed by WebAssembly:", add_up(store, chain))
    chain[0] = 0
    print("after a change:", add_up(store, chain))

    price_or_minus = exports.get_func("price_or_minus")
    print("known:", price_or_minus(store, 2))
    print("caught by WebAssembly:", price_or_minus(store, 77))
    try:
        exports.get_func("price")(store, 77)
    except WasmException as exception:
        known = exception.tag == unknown
        print("caught by Python:", exception.values, "of the tag unknown:", known)


if __name__ == "__main__":
    main()
