"""Large data without copies: a view of linear memory that Python and WebAssembly share.

The view works with everything that takes a buffer: `memoryview`, `struct`, `array`, and NumPy
where it is installed.
"""

import struct
from array import array

from wasmtime import Engine, Instance, Module, Store

MODULE = """
(module
  (memory (export "memory") 2)
  (func (export "scale") (param $address i32) (param $count i32) (param $factor f64)
    (loop $next
      (f64.store (local.get $address)
        (f64.mul (f64.load (local.get $address)) (local.get $factor)))
      (local.set $address (i32.add (local.get $address) (i32.const 8)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))))
"""


def main() -> None:
    engine = Engine()
    store = Store(engine)
    exports = Instance(store, Module(engine, MODULE), []).exports(store)
    memory, scale = exports.get_memory("memory"), exports.get_func("scale")

    with memory.view(store, 64, 64 + 8 * 4, "f64") as numbers:
        numbers[:] = array("d", [0.5, 1.5, 2.5, 3.5])
        scale(store, 64, 4, 10.0)
        print(f"scaled: {list(numbers)}")
        try:
            store.close()  # the view would dangle
        except Exception as error:
            print(f"not closed: {type(error).__name__}")

    # A record at a fixed offset: a 16-bit number and two 32-bit floats.
    with memory.view(store, 1024, 1024 + 10) as record:
        struct.pack_into("<Hff", record, 0, 7, 0.25, 0.5)
        print(f"record: {struct.unpack('<Hff', memory.read_exact(store, 1024, 10))}")
    store.close()
    print("closed")


if __name__ == "__main__":
    main()
