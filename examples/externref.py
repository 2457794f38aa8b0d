"""Python objects in WebAssembly: an externref holds any object, and gives the same one back."""

import gc
import weakref

from wasmtime import Engine, Func, FuncType, Instance, Module, Store, ValType

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
        """Open the account of somebody."""
        self.owner = owner

    def __repr__(self) -> str:
        """Tell whose it is."""
        return f"the account of {self.owner}"


def main() -> None:
    engine = Engine()
    store = Store(engine)
    describe = Func(
        store, FuncType([ValType.externref()], []), lambda item: print(f"WebAssembly holds {item}")
    )
    exports = Instance(store, Module(engine, MODULE), [describe]).exports(store)

    account = Account("Ada")
    keep, kept_at = exports.get_func("keep"), exports.get_func("kept_at")
    keep(store, 0, account)
    keep(store, 1, ["any", "object"])
    exports.get_func("describe_all")(store)
    print(f"the same object: {kept_at(store, 0) is account}")

    # WebAssembly's reference keeps the object alive, and only as long as it is there.
    remembered = weakref.ref(account)
    del account
    print(f"alive: {remembered() is not None}")
    exports.get_table("kept").set(store, 0, None)
    store.gc()
    gc.collect()
    print(f"alive after it was dropped: {remembered() is not None}")


if __name__ == "__main__":
    main()
