"""
Modules, text and artifacts that are mutated, cut off and spliced: each is an exception or a module
that runs to an end, never the end of the process.

What `Module.serialize` made carries a checksum, so that no damaged artifact is ever mapped. Bytes
without one are trusted, as documented, and are no part of this test.
"""

from __future__ import annotations

import os

import pytest
from support import run_in_subprocess

#: Mutants of each kind; a longer run is ``WASMTIME_SAFETY_MUTANTS=100000``, with a seed of its own.
MUTANTS = int(os.environ.get("WASMTIME_SAFETY_MUTANTS", "0"))

PROGRAM = """
import random, time
from wasmtime import *

SEEDS = [
    '(module)',
    '''(module (import "a" "f" (func (param i32) (result i64)))
       (memory (export "m") 1 2) (data (i32.const 3) "hello")
       (table (export "t") 3 funcref) (elem (i32.const 0) func 0 1)
       (global (export "g") (mut f64) (f64.const 1.5))
       (func (export "add") (param i32 i32) (result i32)
         (local i64) (i32.add (local.get 0) (local.get 1)))
       (func (export "f") (block (loop (br_if 1 (i32.const 1)) (br 0)))))''',
    '''(module (type $p (struct (field i32) (field (mut externref))))
       (type $a (array (mut i8))) (tag $e (param i32))
       (func (export "s") (result anyref) (struct.new $p (i32.const 1) (ref.null extern)))
       (func (export "a") (result anyref) (array.new_default $a (i32.const 5)))
       (func (export "v") (result v128) (v128.const i64x2 1 2)))''',
    '''(module (memory 1) (func $start (i32.store (i32.const 0) (i32.const 5))) (start $start)
       (func (export "r") (param externref funcref) (result funcref externref)
         (local.get 1) (local.get 0)))''',
]

def mutate(r, data, others):
    data = bytearray(data)
    for _ in range(r.choice((1, 1, 1, 2, 5))):
        way = r.randrange(7)
        at = r.randrange(len(data) + 1)
        if way == 0 and data:
            data[at % len(data)] ^= 1 << r.randrange(8)
        elif way == 1 and data:
            data[at % len(data)] = r.choice((0, 1, 0x7f, 0x80, 0xff, r.randrange(256)))
        elif way == 2:
            del data[at:]
        elif way == 3:
            del data[at:at + r.randrange(1, 9)]
        elif way == 4:
            data[at:at] = bytes(r.randrange(256) for _ in range(r.randrange(1, 5)))
        elif way == 5:
            other = r.choice(others)
            begin = r.randrange(len(other) + 1)
            data[at:] = other[begin:]
        elif data:
            begin = r.randrange(len(data))
            data[at:at] = data[begin:begin + r.randrange(1, 40)]
    return bytes(data)

config = Config()
config.consume_fuel = True
config.wasm_exceptions = True
engine = Engine(config)

def use(module):
    '''What a program would do with a module that turned out to be valid.'''
    str((module.imports, module.exports))
    store = Store(engine)
    store.set_fuel(10_000)
    store.set_limits(memory_size=1 << 24, table_elements=10_000, instances=10, memories=10)
    linker = Linker(engine)
    linker.define_unknown_imports_as_traps(module)
    exports = linker.instantiate(store, module).exports(store)
    for item in exports.by_index:
        if isinstance(item, Func):
            zero = {"i32": 0, "i64": 0, "f32": 0.0, "f64": 0.0, "v128": 0}
            item(store, *(zero.get(str(ty)) for ty in item.type(store).params))
        else:
            item.type(store)

def attempt(make):
    try:
        module = make()
    except (WasmtimeError, ValueError, OverflowError):
        return 0
    try:
        use(module)
    except (WasmtimeError, Trap, TypeError, ValueError, MemoryError):
        pass
    return 1

def run(kind, count, seed):
    r = random.Random(seed)
    texts = [text.encode() for text in SEEDS]
    binaries = [bytes(wat2wasm(text)) for text in SEEDS]
    artifacts = [bytes(Module(engine, binary).serialize()) for binary in binaries]
    valid = 0
    for number in range(count):
        if kind == "binary":
            data = mutate(r, r.choice(binaries), binaries)
            valid += attempt(lambda: Module(engine, data if data[:1] == b"\\0" else b"\\0" + data))
            if number % 4 == 0:
                try:
                    Module.validate(engine, data)
                except WasmtimeError:
                    pass
        elif kind == "text":
            data = mutate(r, r.choice(texts), texts)
            valid += attempt(lambda: Module(engine, data))
        else:
            whole = r.choice(artifacts)
            data = bytearray(whole)
            way = r.randrange(4)
            at = r.randrange(len(data))
            if way == 0:
                data[at] ^= 1 << r.randrange(8)
            elif way == 1:
                # At the end the seal goes first; what has none is trusted, so keep its magic.
                del data[at:len(data) - 48]
            elif way == 2:
                data[at:at] = b"x"
                del data[-49 - (at > len(data) - 49)]
            else:
                other = r.choice([a for a in artifacts if a is not whole])
                data[64:-48] = other[64:-48]
            if bytes(data) in artifacts or data[-48:-32] != whole[-48:-32]:
                continue
            try:
                Module.deserialize(engine, data)
            except WasmtimeError as error:
                assert "damaged" in str(error) or "not a compiled" in str(error), str(error)
            else:
                raise SystemExit(f"a damaged artifact was loaded: way {way} at {at}")
            valid += 1
    print(valid)
"""


@pytest.mark.parametrize(
    ("kind", "count"), [("binary", 20_000), ("text", 10_000), ("artifact", 8_000)]
)
@pytest.mark.timeout(3600)
@pytest.mark.slow
def test_mutants(kind: str, count: int) -> None:
    count = MUTANTS or count
    seed = int.from_bytes(os.urandom(4), "big") if MUTANTS else 1
    ended = run_in_subprocess(
        f"print({seed})\nrun({kind!r}, {count}, {seed})", preamble=PROGRAM, timeout=3600
    ).check()
    # Some of the mutants are valid, so that what comes after parsing is reached as well.
    assert int(ended.output.split()[1]) > count // 200


def test_an_artifact_cut_off_anywhere_is_refused() -> None:
    run_in_subprocess(
        """
        artifact = bytes(Module(engine, SEEDS[1]).serialize())
        for size in list(range(0, 300)) + list(range(300, len(artifact), 97)):
            try:
                Module.deserialize(engine, artifact[:size])
            except WasmtimeError:
                continue
            # Only without the seal is it whole again, and then it is trusted.
            assert size >= len(artifact) - 48, size
        """,
        preamble=PROGRAM,
    ).check()
