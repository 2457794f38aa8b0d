"""Strings between WebAssembly and Python, through linear memory.

WebAssembly has numbers only: a string is an address and a length. A host function that asks for
its caller finds the caller's memory, and its allocator.
"""

from wasmtime import Caller, Engine, Func, Linker, Memory, Module, Store, i32

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


def read_text(caller: Caller, address: int, length: int) -> str:
    memory = caller["memory"]
    assert isinstance(memory, Memory)
    start, stop = address & 0xFFFFFFFF, (address + length) & 0xFFFFFFFF
    data = bytes(memory.read(caller, start, stop))
    if len(data) != length:
        # A slice is cut at the end of the memory, as that of a list is.
        raise IndexError(f"{length} bytes at {start:#x} are not all inside the memory")
    return data.decode("utf-8")


def main() -> None:
    engine = Engine()
    linker = Linker(engine)

    # An annotation `Caller` asks for the caller; the others are the function's type.
    @linker.func("host", "log")
    def log(caller: Caller, address: i32, length: i32) -> None:
        print(f"log: {read_text(caller, address, length)}")

    @linker.func("host", "upper")
    def upper(caller: Caller, address: i32, length: i32) -> i32:
        text = read_text(caller, address, length).upper().encode("utf-8")
        memory, allocate = caller["memory"], caller["allocate"]
        assert isinstance(memory, Memory)
        assert isinstance(allocate, Func)
        result: int = allocate(caller, 4 + len(text))
        memory.write(caller, len(text).to_bytes(4, "little") + text, result)
        return result

    store = Store(engine)
    exports = linker.instantiate(store, Module(engine, MODULE)).exports(store)
    exports["run"](store)
    try:
        exports["fail"](store)
    except IndexError as error:
        # What a host function raises comes through WebAssembly as the same object.
        frames = getattr(error, "wasm_backtrace", [])
        print(f"caught: {error}; WebAssembly frames in between: {len(frames)}")


if __name__ == "__main__":
    main()
