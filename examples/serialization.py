"""Compile once, load many times: compiled modules in a file, and in a cache."""

import tempfile
from pathlib import Path

from wasmtime import Engine, Instance, Module, Store, WasmtimeError

MODULE = '(module (func (export "answer") (result i32) (i32.const 42)))'


def answer(module: Module) -> int:
    store = Store(module.engine)
    result: int = Instance(store, module, []).exports(store).get_func("answer")(store)
    return result


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        artifact = Path(name, "answer.cwasm")
        artifact.write_bytes(Module(Engine(), MODULE).serialize())

        # Such a file is machine code: load only what you would also run as a native program.
        engine = Engine()
        module = Module.deserialize_file(engine, artifact)
        print(f"from the artifact: {answer(module)}")
        del module  # the file is mapped into memory while the module lives

        damaged = bytearray(artifact.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        try:
            Module.deserialize(engine, damaged)
        except WasmtimeError as error:
            print(f"damaged: {type(error).__name__}")

        # Or leave it all to a cache, keyed by the module and the engine's configuration.
        source = Path(name, "answer.wat")
        source.write_text(MODULE)
        cache = Path(name, "cache")
        cache.mkdir(mode=0o700)
        for attempt in ("first", "second"):
            module = Module.from_file(engine, source, cache=cache)
            kept = sum(1 for entry in cache.rglob("*") if entry.is_file())
            print(f"{attempt} time: {answer(module)}, entries in the cache: {kept}")


if __name__ == "__main__":
    main()
