"""Strings between WebAssembly and Python, through linear memory.

WebAssembly has numbers only: a string is an address and a length. A host function that asks for
its caller finds the caller's memory, and its allocator. Addresses come as signed numbers; what
reads and writes text takes them as they are.
"""

from wasmtime import Caller, Engine, Linker, Module, Store, i32

MODULE = """
(module
  (import "host" "log" (func $log (param i32 i32)))
  (import "host" "upper" (func $upper (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 1024))
  (data (i32.const 8) "na\\c3\\afve caf\\c3\\a9")
  (func (export "allocate") (param $size i32) (result i32)
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get $size))))
  (func (export "run") (local $text i32)
    (call $log (i32.const 8) (i32.const 12))
    ;; the host returns the address of a length, which the text follows
    (local.set $text (call $upper (i32.const 8) (i32.const 12)))
    (call $log (i32.add (local.get $text) (i32.const 4)) (i32.load (local.get $text))))
  (func (export "fail") (call $log (i32.const 0x10000) (i32.const 5))))
"""


def main() -> None:
    engine = Engine()
    linker = Linker(engine)

    # An annotation `Caller` asks for the caller; the others are the function's type.
    @linker.func("host", "log")
    def log(caller: Caller, address: i32, length: i32) -> None:
        text = caller.get_memory("memory").read_str(caller, address, length)
        print(f"log: {text}")

    @linker.func("host", "upper")
    def upper(caller: Caller, address: i32, length: i32) -> i32:
        memory = caller.get_memory("memory")
        text = memory.read_str(caller, address, length).upper()
        size = len(text.encode())
        result: int = caller.get_func("allocate")(caller, 4 + size)
        memory.write(caller, size.to_bytes(4, "little"), result)
        memory.write_str(caller, text, result + 4)
        return result

    store = Store(engine)
    exports = linker.instantiate(store, Module(engine, MODULE)).exports(store)
    exports.get_func("run")(store)
    try:
        exports.get_func("fail")(store)
    except IndexError as error:
        # What a host function raises comes through WebAssembly as the same object.
        frames = getattr(error, "wasm_backtrace", [])
        print(f"caught: {error}; WebAssembly frames in between: {len(frames)}")


if __name__ == "__main__":
    main()
