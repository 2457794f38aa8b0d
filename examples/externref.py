"""Python objects in WebAssembly: an externref holds any object, and gives the same one back."""

import gc
import weakref

from wasmtime import Engine, Func, FuncType, Instance, Module, Store, Table, ValType

MODULE = """
(module
  (import "" "describe" (func $describe (param externref)))
  (table $kept (export "kept") 4 externref)
  (func (export "keep") (param $index i32) (param $object externref)
    (table.set $kept (local.get $index) (local.get $object)))
  (func (export "kept_at") (param $index i32) (result externref)
    (table.get $kept (local.get $index)))
  (func (export "describe_all") (local $i i32)
    (loop $next
      (call $describe (table.get $kept (local.get $i)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (table.size $kept))))))
"""


class Account:
    """Any class of the host's own."""

    def __init__(self, owner: str) -> None:
        self.owner = owner

    def __repr__(self) -> str:
        return f"the account of {self.owner}"


def main() -> None:
    engine = Engine()
    store = Store(engine)
    describe = Func(
        store, FuncType([ValType.externref()], []), lambda item: print(f"WebAssembly holds {item}")
    )
    exports = Instance(store, Module(engine, MODULE), [describe]).exports(store)

    account = Account("Ada")
    exports["keep"](store, 0, account)
    exports["keep"](store, 1, ["any", "object"])
    exports["describe_all"](store)
    print(f"the same object: {exports['kept_at'](store, 0) is account}")

    # WebAssembly's reference keeps the object alive, and only as long as it is there.
    remembered = weakref.ref(account)
    del account
    print(f"alive: {remembered() is not None}")
    table = exports["kept"]
    assert isinstance(table, Table)
    table.set(store, 0, None)
    store.gc()
    gc.collect()
    print(f"alive after it was dropped: {remembered() is not None}")


if __name__ == "__main__":
    main()
