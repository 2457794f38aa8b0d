"""
Lists out of components: the fuzzer writes the guest's memory, and two ways to read a value of it
must agree: the codec, and the direct path, where the library does it.
"""

from __future__ import annotations

from typing import Any

from wasmtime import Config, Engine, Store, WasmtimeError
from wasmtime.component import Component, Linker

TYPES = [
    "(list string)",
    "(list (tuple u8 (option (list u16)) char))",
    "(map string (list f64))",
    "(result (list (list string)) (error (tuple string bool)))",
    "(tuple (list s8) (list (result u64 (error string))))",
    "(list $shape)",
]
SHAPE = """
  (type $shape' (variant (case "dot") (case "line" (tuple f32 (list u8))) (case "text" string)))
  (import "shape" (type $shape (eq $shape')))"""


def component_text(result: str) -> str:
    """
    A component whose function puts what it is given at 64, and returns a pointer that it reads
    there.
    """
    return f"""(component {SHAPE}
      (core module $m (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
        (func (export "f") (param i32 i32) (result i32)
          (i32.and (i32.load (i32.const 64)) (i32.const 0x1ff))))
      (core instance $i (instantiate $m))
      (func (export "f") (param "x" (list u8)) (result {result})
        (canon lift (core func $i "f") (memory (core memory $i "memory"))
          (realloc (core func $i "realloc")))))"""


class Lists:
    """
    The components, on an engine with codecs and one without.
    """

    def __init__(self) -> None:
        self.ways = []
        for bulk in (True, False):
            engine = Engine(Config(component_bulk=bulk, wasm_component_model_map=True))
            components = [Component(engine, component_text(result)) for result in TYPES]
            assert all((each._codec is not None) == bulk for each in components)
            self.ways.append((Linker(engine), components))

    def compare(self, number: int, memory: bytes) -> None:
        """
        Read a value of a type from a memory both ways.
        """
        outcomes: list[Any] = []
        for linker, components in self.ways:
            store = Store(linker.engine)
            exports = linker.instantiate(store, components[number % len(TYPES)]).exports(store)
            for _ in range(2):
                try:
                    outcomes.append(repr(exports.f(store, memory)))
                except WasmtimeError as error:
                    outcomes.append((type(error), str(error)))
        assert outcomes[:2] == outcomes[2:], (TYPES[number % len(TYPES)], memory)
