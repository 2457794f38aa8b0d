"""What belongs to the state of an instance, and what is refused."""

from __future__ import annotations

import pytest

from wasmtime import (
    Config,
    Engine,
    Func,
    FuncType,
    Linker,
    Module,
    PoolingAllocationConfig,
    Store,
    ValType,
    WasmtimeError,
    wat2wasm,
)
from wasmtime._snapshots.errors import NotCapturable
from wasmtime._snapshots.rewrite import prepare
from wasmtime._snapshots.state import merge_runs
from wasmtime._wasm.writer import section, unsigned

from .guests import Guest, original


def test_a_start_function_runs_once_and_not_again_in_copies() -> None:
    guest = original(
        """(module (global $n (mut i32) (i32.const 0)) (start $s)
             (func $s (global.set $n (i32.add (global.get $n) (i32.const 1))))
             (func (export "n") (result i32) (global.get $n)))"""
    )
    assert guest.call("n") == guest.copy().call("n") == guest.copy().copy().call("n") == 1


def test_signalling_nans_keep_their_bits() -> None:
    guest = original(
        """(module (global $f (mut f32) (f32.const 0))
             (func (export "set") (global.set $f (f32.reinterpret_i32 (i32.const 0x7fa00001))))
             (func (export "get") (result i32) (i32.reinterpret_f32 (global.get $f))))"""
    )
    guest.call("set")
    assert guest.copy().call("get") == 0x7FA00001


def test_copies_are_separate_from_each_other_and_from_the_original() -> None:
    guest = original(
        """(module (memory 40) (func (export "put") (param i32 i32)
             (i32.store (local.get 0) (local.get 1)))
           (func (export "fill") (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x200000)))
           (func (export "at") (param i32) (result i32) (i32.load (local.get 0))))"""
    )
    guest.call("fill")  # two MiB: pages that copies share until they write to them
    state = guest.capture()
    assert state.memories[0].image.mapped in (True, False)
    one, other = (Guest(guest.module, guest.prepared, state) for _ in range(2))
    one.call("put", 5000, 1)
    guest.call("put", 5000, 2)
    assert [each.call("at", 5000) for each in (one, other, guest)] == [1, 0x07070707, 2]
    assert Guest(guest.module, guest.prepared, state).call("at", 5000) == 0x07070707


def test_a_copy_outlives_the_snapshot_and_grows() -> None:
    guest = original(
        """(module (memory 40) (func (export "grow") (result i32) (memory.grow (i32.const 100)))
           (func (export "fill") (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x200000)))
           (func (export "at") (param i32) (result i32) (i32.load (local.get 0))))"""
    )
    guest.call("fill")
    copy = guest.copy()
    guest.store.close()
    assert copy.call("grow") == 40
    assert [copy.call("at", 0), copy.call("at", 0x1FFFFC), copy.call("at", 0x200000)] == [
        0x07070707,
        0x07070707,
        0,
    ]


def test_memories_of_a_pool_are_copied_and_leak_nothing_into_the_next_instance() -> None:
    config = Config()
    config.allocation_strategy = PoolingAllocationConfig(
        total_core_instances=2, total_memories=2, max_memory_size=4 << 20
    )
    guest = original(
        """(module (memory 40)
           (func (export "fill") (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x200000)))
           (func (export "at") (param i32) (result i32) (i32.load (local.get 0))))""",
        Engine(config),
    )
    guest.call("fill")
    state = guest.capture()
    guest.store.close()
    for _ in range(3):
        copy = Guest(guest.module, guest.prepared, state)
        assert copy.call("at", 0x1FFFF0) == 0x07070707
        copy.store.close()
    fresh = [Guest(guest.module, guest.prepared) for _ in range(2)]
    assert [each.call("at", at) for each in fresh for at in (0, 0x1FFFF0)] == [0] * 4


def test_limits_bind_copies() -> None:
    guest = original(
        """(module (memory 1) (func (export "grow") (drop (memory.grow (i32.const 30)))))"""
    )
    guest.call("grow")
    state = guest.capture()
    store = Store(guest.module.engine)
    store.set_limits(memory_size=10 << 16)
    from wasmtime._snapshots.restore import restore

    assert guest.prepared is not None
    instance = Linker(guest.module.engine).instantiate(store, guest.module)
    with pytest.raises(WasmtimeError):
        restore(guest.prepared, state, store, instance)


def test_a_shared_memory_of_the_module_is_copied() -> None:
    config = Config()
    config.wasm_threads = True
    config.shared_memory = True
    guest = original(
        """(module (memory 1 4 shared)
           (func (export "go") (drop (memory.grow (i32.const 1)))
             (i32.store (i32.const 70000) (i32.const 9)))
           (func (export "at") (param i32) (result i32) (i32.load (local.get 0))))""",
        Engine(config),
    )
    guest.call("go")
    copy = guest.copy()
    assert copy.call("at", 70000) == 9
    copy.exports[guest.prepared.named("memory", 0)].view(readonly=False)[70000] = 1  # type: ignore
    assert (guest.call("at", 70000), copy.call("at", 70000)) == (9, 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('(module (import "m" "m" (memory 1)))', "imported"),
        ('(module (import "m" "t" (table 1 funcref)))', "imported"),
        ('(module (import "m" "g" (global (mut i32))))', "imported"),
        ('(module (data "passive") (func (data.drop 0)))', "no memory"),
        ("(module (elem externref (ref.null extern)))", "no table has"),
    ],
)
def test_state_that_cannot_be_reached_is_refused(text: str, why: str) -> None:
    with pytest.raises(NotCapturable, match=why):
        prepare(bytes(wat2wasm(text)))


def test_a_component_is_no_core_module() -> None:
    with pytest.raises(NotCapturable, match="cannot be read"):
        prepare(bytes(wat2wasm("(component)")))


def test_objects_of_the_host_are_refused() -> None:
    guest = original(
        """(module (global $x (mut externref) (ref.null extern))
             (func (export "set") (param externref) (global.set $x (local.get 0))))"""
    )
    guest.copy()  # a null reference is none
    guest.call("set", object())
    with pytest.raises(NotCapturable, match=r"global 0.*externref"):
        guest.capture()


def test_functions_of_the_host_in_tables_are_refused() -> None:
    guest = original(
        """(module (table 3 funcref)
             (func (export "set") (param funcref) (table.set (i32.const 1) (local.get 0))))"""
    )
    guest.call("set", Func(guest.store, FuncType([], [ValType.i32()]), lambda: 5))
    with pytest.raises(NotCapturable, match=r"element 1 .*not the module's own"):
        guest.capture()


def test_objects_of_the_garbage_collector_are_refused_and_small_integers_kept() -> None:
    config = Config()
    config.wasm_gc = True
    config.wasm_function_references = True
    guest = original(
        """(module (type $s (struct (field (mut i32))))
             (global $a (mut anyref) (ref.i31 (i32.const 3)))
             (func (export "small") (global.set $a (ref.i31 (i32.const -9))))
             (func (export "get") (result i32)
               (i31.get_s (ref.cast (ref i31) (global.get $a))))
             (func (export "large") (global.set $a (struct.new $s (i32.const 1)))))""",
        Engine(config),
    )
    guest.call("small")
    assert guest.copy().call("get") == -9
    guest.call("large")
    with pytest.raises(NotCapturable, match="anyref to an object"):
        guest.capture()


def test_names_that_the_module_has_are_not_taken() -> None:
    guest = original(
        """(module (global $n (mut i32) (i32.const 4))
             (func (export "snapshot:global0") (result i32) (global.get $n)))"""
    )
    assert guest.copy().call("snapshot:global0") == 4


def test_functions_that_are_imported_are_told_in_tables() -> None:
    engine = Engine()
    linker = Linker(engine)
    linker.define_func("m", "f", FuncType([], [ValType.i32()]), lambda: 77)
    prepared = prepare(
        bytes(
            wat2wasm(
                """(module (import "m" "f" (func $f (result i32))) (table 2 funcref)
                     (elem declare func $f)
                     (func (export "set") (table.set (i32.const 1) (ref.func $f)))
                     (func (export "call") (result i32)
                       (call_indirect (result i32) (i32.const 1))))"""
            )
        )
    )
    module = Module(engine, prepared.binary)
    guest = Guest(module, prepared, linker=linker)
    guest.call("set")
    assert Guest(module, prepared, guest.capture(), linker).call("call") == 77


@pytest.mark.parametrize(
    ("runs", "most", "merged"),
    [
        pytest.param([], 4, [], id="nothing"),
        pytest.param([(0, 40), (50, 90)], 4, [(0, 90)], id="what is between is little"),
        pytest.param([(0, 40), (90, 130)], 4, [(0, 40), (90, 130)], id="it is much"),
        pytest.param([(0, 40), (90, 130)], 1, [(0, 130)], id="there may be one"),
        pytest.param(
            [(0, 40), (65, 95), (105, 145)], 4, [(0, 40), (65, 145)], id="the closest come first"
        ),
        pytest.param(
            [(0, 1), (5, 6), (8, 9), (100, 101)], 2, [(0, 9), (100, 101)], id="until few are left"
        ),
    ],
)
def test_runs_that_are_close_are_joined(
    runs: list[tuple[int, int]], most: int, merged: list[tuple[int, int]]
) -> None:
    assert merge_runs(runs, most) == merged


def test_a_section_that_says_it_has_millions_of_items_is_not_read() -> None:
    """
    Whoever sends it would keep the host busy before anything is compiled.
    """
    types = unsigned(1_000_001) + b"\x60\0\0" * 1_000_001
    with pytest.raises(NotCapturable, match="more than are accepted"):
        prepare(b"\0asm\1\0\0\0" + section(1, types))
