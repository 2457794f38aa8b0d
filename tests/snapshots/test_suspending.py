"""Programs that are stopped where they read their input, and go on in copies."""

from __future__ import annotations

from asyncified import PROGRAM

from wasmtime import Engine, Linker, Module, Store, WasiConfig, wat2wasm
from wasmtime._snapshots.bake import bake
from wasmtime._snapshots.restore import restore
from wasmtime._snapshots.rewrite import prepare
from wasmtime._wasm.instructions import each_instruction, skip_locals
from wasmtime._wasm.layout import CODE, read_layout

from .suspended import stopped


def _run(module: Module, entry: str, stdin: bytes) -> bytes:
    """What a program writes."""
    linker = Linker(module.engine)
    linker.define_wasi()
    store = Store(module.engine)
    wasi = WasiConfig()
    wasi.stdin_bytes = stdin
    output = wasi.capture_stdout()
    store.set_wasi(wasi)
    exports = linker.instantiate(store, module).exports(store)
    exports[entry](store)  # type: ignore[operator]
    return output.getvalue()


def test_a_program_that_is_not_asked_runs_as_it_was() -> None:
    prepared = prepare(bytes(wat2wasm(PROGRAM)))
    module = Module(Engine(), prepared.binary)
    assert prepared.suspension is not None
    assert _run(module, "_start", b"x") == _run(Module(Engine(), PROGRAM), "_start", b"x") == b"Ax"


def test_each_copy_goes_on_with_an_input_of_its_own() -> None:
    prepared, module, linker, state = stopped()
    for text in (b"one", b"another", b""):
        store = Store(module.engine)
        wasi = WasiConfig()
        wasi.stdin_bytes = text
        output = wasi.capture_stdout()
        store.set_wasi(wasi)
        instance = linker.instantiate(store, module)
        restore(prepared, state, store, instance)
        instance.exports(store)[prepared.named("resume")](store)  # type: ignore[operator]
        assert output.getvalue() == (b"A" + text if text else b"")


def test_a_baked_program_needs_nothing_but_wasi() -> None:
    prepared, _, _, state = stopped()
    baked = bake(prepared, state)
    assert baked == bake(prepared, state)
    module = Module(Engine(), baked)
    assert not any(each.name.startswith(prepared.prefix) for each in module.exports)
    assert _run(module, "_start", b"text") == b"Atext"


def test_a_program_that_was_not_built_for_it_cannot_bestopped() -> None:
    text = PROGRAM.replace('(export "asyncify_stop_rewind")', "")
    assert prepare(bytes(wat2wasm(text))).suspension is None


def test_instructions_of_every_form_are_passed_over() -> None:
    binary = bytes(
        wat2wasm(
            """(module (memory 1) (memory $two 1) (table 3 funcref) (type $t (func))
              (tag $e (param i32)) (data $d "x")
              (type $array (array (mut i8))) (type $struct (struct (field (mut i32))))
              (func (param i32) (result i64) (local v128 (ref null $array) i32)
                (block (result i32) (loop (br 1 (i32.const 70000))) (unreachable)) drop
                (block (block (br_table 0 1 0 (local.get 0))))
                (i64.store offset=1000 align=1 (i32.const 1) (i64.const -1))
                (i32.store8 $two offset=3 (i32.const 0) (i32.const 1))
                (drop (v128.const i32x4 1 2 3 4))
                (drop (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
                  (local.get 1) (local.get 1)))
                (drop (v128.load8_lane offset=5 3 (i32.const 0) (local.get 1)))
                (drop (i32x4.extract_lane 2 (local.get 1)))
                (drop (i32.trunc_sat_f64_s (f64.const 1.5))) (drop (f32.const 2))
                (memory.copy (i32.const 0) (i32.const 0) (i32.const 0))
                (memory.init $d (i32.const 0) (i32.const 0) (i32.const 0))
                (call_indirect (type $t) (i32.const 0))
                (drop (select (result i32) (i32.const 1) (i32.const 2) (i32.const 3)))
                (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1))) (atomic.fence)
                (block $h (result i32)
                  (try_table (catch $e $h) (throw $e (i32.const 1))) (i32.const 0)) drop
                (drop (ref.null func)) (drop (ref.is_null (local.get 2)))
                (drop (array.get_u $array (local.get 2) (i32.const 0)))
                (drop (ref.test (ref null $array) (ref.null any)))
                (drop (struct.new $struct (i32.const 1)))
                (i64.const 0x7fffffffffffffff)))"""
        )
    )
    reader = read_layout(binary).contents(CODE)
    assert reader is not None
    assert reader.number() == 1
    body = reader.part(reader.number())
    skip_locals(body)
    opcodes = [opcode for opcode, _ in each_instruction(body)]
    assert body.at == body.end
    assert opcodes[-2:] == [0x42, 0x0B]
    assert opcodes.count(0x11) == 1
    assert opcodes.count(0x1F) == 1
