"""Configurations as records, and what they do to an engine."""

from __future__ import annotations

import copy
import pickle
import sys
from pathlib import Path
from typing import Any, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmtime import (
    Config,
    Engine,
    Instance,
    Module,
    PoolingAllocationConfig,
    Store,
    Trap,
    WasmtimeError,
)
from wasmtime._config import HOST_STACK_RESERVE, rules
from wasmtime._native import host as platform_module
from wasmtime._native.host import default_max_wasm_stack, host_machine, host_triple_hint

MIB = 1 << 20

SWITCHES = [
    name
    for name, setting in Config._settings.items()
    if name not in ("cache", "epoch_interruption")
    and isinstance(setting.default_of(Config()), bool)
]
SIZES = [
    name for name, setting in Config._settings.items() if type(setting.default_of(Config())) is int
]
WORDS = {
    name: list(setting.words)
    for name, setting in Config._settings.items()
    if setting.words is not None
}


# ---------------------------------------------------------------------------- setting and reading


@pytest.mark.parametrize("name", SWITCHES)
def test_switches_are_read_and_written(name: str) -> None:
    config = Config()
    default = getattr(config, name)
    setattr(config, name, not default)
    assert getattr(config, name) is (not default)
    delattr(config, name)
    assert getattr(config, name) is default
    for wrong in (1, "yes", None, [True]):
        with pytest.raises(TypeError, match=f"expected a bool for {name}"):
            setattr(config, name, wrong)
    assert getattr(config, name) is default


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_read_and_written(name: str) -> None:
    config = Config()
    default = getattr(config, name)
    for value in (0, 1, default, 2**64 - 1):
        setattr(config, name, value)
        assert getattr(config, name) == value
    for wrong in (-1, 2**64):
        with pytest.raises(OverflowError, match=name):
            setattr(config, name, wrong)
    for kind in (1.5, "1", None, True):
        with pytest.raises(TypeError, match=f"expected an int for {name}"):
            setattr(config, name, kind)
    delattr(config, name)
    assert getattr(config, name) == default


@pytest.mark.parametrize("name", WORDS)
def test_words_are_read_and_written(name: str) -> None:
    config = Config()
    default = getattr(config, name)
    for word in WORDS[name]:
        setattr(config, name, word)
        assert getattr(config, name) == word
    with pytest.raises(WasmtimeError, match=r"unknown .*: nonexistent"):
        setattr(config, name, "nonexistent")
    with pytest.raises(TypeError, match=name):
        setattr(config, name, 1)
    delattr(config, name)
    assert getattr(config, name) == default


def test_integers_of_other_libraries() -> None:
    class Index:
        def __index__(self) -> int:
            return 4096

    config = Config()
    config.memory_guard_size = Index()
    assert config.memory_guard_size == 4096
    assert type(config.memory_guard_size) is int


def test_epoch_interruption_is_implicitly_on() -> None:
    def state() -> tuple[bool, bool]:
        return config.epoch_interruption, config._epoch_explicit

    config = Config()
    assert state() == (True, False)
    config.epoch_interruption = True
    assert state() == (True, True)
    config.epoch_interruption = 0
    assert state() == (False, True)
    del config.epoch_interruption
    assert state() == (True, False)


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(AttributeError):
        Config().wasm_smid = True  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="wasm_smid"):
        Config(wasm_smid=True)


def test_settings_as_keyword_arguments() -> None:
    config = Config(wasm_simd=False, wasm_relaxed_simd=False, strategy="cranelift")
    assert (config.wasm_simd, config.strategy) == (False, "cranelift")
    with pytest.raises(TypeError):
        Config(wasm_simd=3)


def test_each_setting_is_documented() -> None:
    for owner in (Config, PoolingAllocationConfig):
        for name, setting in owner._settings.items():
            assert setting.__doc__ is not None
            assert "Default" in setting.__doc__ or name == "cache"
            # The library knows nothing of this one.
            assert "C API: ``wasmtime_" in setting.__doc__ or name == "component_bulk"


# ------------------------------------------------------------------------------------- the record


def example() -> Config:
    config = Config(wasm_gc=False, max_wasm_stack=MIB, strategy="cranelift")
    config.allocation_strategy = PoolingAllocationConfig(total_memories=3)
    config.cranelift_flag_set("is_pic", "on")
    config.cranelift_flag_enable("enable_pinned_reg")
    return config


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda config: pickle.loads(pickle.dumps(config))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_are_equal_and_independent(duplicate: Callable[[Config], Config]) -> None:
    config = example()
    other = duplicate(config)
    assert other == config
    assert repr(other) == repr(config)
    assert type(other) is Config
    pool = other.allocation_strategy
    assert isinstance(pool, PoolingAllocationConfig)
    pool.total_memories = 4
    assert other != config
    assert config == example()
    other = duplicate(config)
    other.cranelift_flag_set("is_pic", "off")
    assert other != config
    assert config == example()


def test_equality_is_of_what_was_set() -> None:
    assert Config() == Config() != Config(wasm_simd=True)
    assert Config() != object()
    with pytest.raises(TypeError):
        hash(Config())


def test_repr_shows_what_was_set() -> None:
    assert repr(Config()) == "Config()"
    assert repr(example()) == (
        "Config(max_wasm_stack=1048576, wasm_gc=False, strategy='cranelift', "
        "allocation_strategy=PoolingAllocationConfig(total_memories=3), "
        "cranelift_flags={'is_pic': 'true', 'enable_pinned_reg': 'true'})"
    )


@given(st.dictionaries(st.sampled_from(SWITCHES), st.booleans()), st.randoms())
def test_the_order_of_settings_does_not_matter(settings: dict[str, bool], random: Any) -> None:
    items = list(settings.items())
    random.shuffle(items)
    assert Config(**settings) == Config(**dict(items))
    assert pickle.loads(pickle.dumps(Config(**settings))) == Config(**settings)


def test_closed() -> None:
    with Config(wasm_simd=True) as config:
        pass
    config.close()
    uses: list[Callable[[], object]] = [
        lambda: config.wasm_simd,
        lambda: setattr(config, "wasm_simd", True),
        lambda: delattr(config, "wasm_simd"),
        lambda: setattr(config, "cache", True),
        lambda: config.cranelift_flag_enable("is_pic"),
        lambda: config.cranelift_flag_set("is_pic", "true"),
        lambda: config.cranelift_flags,
        lambda: Engine(config),
        lambda: copy.copy(config),
        lambda: pickle.dumps(config),
    ]
    for use in uses:
        with pytest.raises(ValueError, match="already closed"):
            use()
    assert repr(config) == "<closed Config>"
    assert config == config
    assert config != Config()


# --------------------------------------------------------------------------------------- engines


def compiled(config: Config) -> bytes:
    return bytes(Module(Engine(config), '(module (func (export "f")))').serialize())


@pytest.mark.parametrize(
    "common",
    [{}, {"strategy": "winch"}, {"target": "pulley64"}],
    ids=["native", "winch", "pulley"],
)
def test_the_defaults_are_those_of_the_library(common: dict[str, Any]) -> None:
    # A compiled module records proposals and tunables: spelling a default out changes nothing,
    # and the opposite of a default does, where the setting leaves a mark in compiled code.
    unmarked = {
        "component_bulk",
        "library_wasi",
        "macos_use_mach_ports",
        "parallel_compilation",
        "shared_memory",
    }
    base = compiled(Config(**common))
    for name in SWITCHES:
        default = getattr(Config(**common), name)
        if name != "wasm_stack_switching":
            assert compiled(Config(**common, **{name: default})) == base, name
        try:
            opposite = compiled(Config(**common, **{name: not default}))
        except WasmtimeError:
            continue
        assert (opposite == base) == (name in unmarked), name
    for name in ("memory_reservation", "memory_guard_size", "memory_reservation_for_growth"):
        default = getattr(Config(**common), name)
        assert compiled(Config(**common, **{name: default})) == base, name
        assert compiled(Config(**common, **{name: default + 65536})) != base, name


def test_an_engine_takes_its_configuration() -> None:
    config = Config(consume_fuel=True)
    engine = Engine(copy.copy(config))
    config.consume_fuel = False
    assert Store(engine).get_fuel() == 0
    with pytest.raises(WasmtimeError):
        Store(Engine(config)).get_fuel()
    with pytest.raises(ValueError, match=r"already closed.*copy\.copy"):
        Engine(config)


def test_a_refused_configuration_can_be_corrected() -> None:
    config = Config(wasm_simd=False)
    with pytest.raises(WasmtimeError):
        Engine(config)
    config.wasm_relaxed_simd = False
    Engine(config)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("wasm_threads", "(module (memory 1 1 shared))"),
        ("wasm_tail_call", "(module (func $f (return_call $f)))"),
        ("wasm_reference_types", "(module (func (param externref)))"),
        ("wasm_function_references", "(module (type $t (func)) (func (param (ref $t))))"),
        ("wasm_gc", "(module (type (struct)))"),
        ("gc_support", "(module (func (param externref)))"),
        ("wasm_simd", "(module (func (param v128)))"),
        (
            "wasm_relaxed_simd",
            "(module (func (param v128) (result v128)"
            " (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))",
        ),
        (
            "wasm_bulk_memory",
            "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))",
        ),
        ("wasm_multi_value", "(module (func (result i32 i32) unreachable))"),
        ("wasm_multi_memory", "(module (memory 1) (memory 1))"),
        ("wasm_memory64", "(module (memory i64 1))"),
        (
            "wasm_wide_arithmetic",
            "(module (func (param i64 i64) (result i64 i64)"
            " (i64.mul_wide_u (local.get 0) (local.get 1))))",
        ),
        ("wasm_exceptions", "(module (tag))"),
        ("wasm_custom_page_sizes", "(module (memory 1 (pagesize 1)))"),
    ],
)
def test_each_proposal_can_be_switched(setting: str, text: str) -> None:
    on = Config(**{setting: True})
    off = Config(**{setting: False})
    if setting == "wasm_reference_types":
        off.concurrency_support = False
    if setting == "wasm_simd":
        off.wasm_relaxed_simd = False
    if setting == "wasm_function_references":
        off.wasm_gc = False
    Module(Engine(on), text)
    with pytest.raises(WasmtimeError):
        Module(Engine(off), text)


@pytest.mark.parametrize(
    ("settings", "because"),
    [
        ({"wasm_simd": False}, "wasm_relaxed_simd needs wasm_simd"),
        ({"wasm_reference_types": False}, "wasm_component_model_async needs"),
        (
            {"concurrency_support": False, "wasm_component_model_async": True},
            "wasm_component_model_async needs concurrency_support",
        ),
        ({"wasm_stack_switching": True}, "wasm_stack_switching"),
        ({"strategy": "winch", "wasm_gc": True}, "wasm_gc is not possible with strategy 'winch'"),
        ({"target": "riscv64"}, f"it has {host_machine()}"),
        ({"max_wasm_stack": 0}, "max_wasm_stack cannot be 0"),
        ({"async_stack_size": 1000}, "async_stack_size"),
    ],
)
def test_contradictions_say_what_to_do(settings: dict[str, Any], because: str) -> None:
    with pytest.raises(WasmtimeError, match="this configuration cannot be used") as raised:
        Engine(Config(**settings))
    assert because in str(raised.value)


def test_all_problems_are_told_at_once() -> None:
    config = Config(wasm_simd=False, max_wasm_stack=0, wasm_stack_switching=True)
    with pytest.raises(WasmtimeError) as raised:
        Engine(config)
    for word in ("wasm_simd", "max_wasm_stack", "wasm_stack_switching"):
        assert word in str(raised.value)


# ---------------------------------------------------------------------------------------- stacks


def test_effective_stack_sizes() -> None:
    config = Config()
    default = default_max_wasm_stack()
    assert config._effective_max_wasm_stack == config.max_wasm_stack == default
    assert config.async_stack_size == default + 1536 * 1024
    config.max_wasm_stack = 16 * MIB
    assert config.async_stack_size == 16 * MIB + 1536 * 1024
    config.max_wasm_stack = 1
    assert config.async_stack_size == 1536 * 1024 + 1
    del config.max_wasm_stack
    config.async_stack_size = MIB
    assert config.max_wasm_stack == min(default, MIB - HOST_STACK_RESERVE)
    config.async_stack_size = 2 * MIB
    assert config.max_wasm_stack == min(default, 2 * MIB - 640 * 1024)
    Engine(copy.copy(config))


def test_default_stack_is_within_bounds() -> None:
    assert 512 * 1024 <= default_max_wasm_stack() <= 4 * MIB


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (8 * MIB, 4 * MIB),
        (64 * MIB, 4 * MIB),
        (4 * MIB, 2 * MIB),
        (64 * 1024, 512 * 1024),
        (-1, 4 * MIB),
    ],
)
def test_default_stack_follows_the_limit(
    limit: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    monkeypatch.setattr(platform_module, "_is_glibc", lambda: True)
    monkeypatch.setattr(platform_module, "is_android", lambda: False)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, limit))
    assert default_max_wasm_stack() == expected
    monkeypatch.setattr(platform_module, "_is_glibc", lambda: False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_max_wasm_stack() == 512 * 1024


RECURSION = """
(module (func $f (export "depth") (param i32) (result i32)
  (if (result i32) (local.get 0)
    (then (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)))))
    (else (i32.const 0)))))
"""


def test_max_wasm_stack_limits_recursion() -> None:
    def goes(depth: int, size: int) -> bool:
        store = Store(Engine(Config(max_wasm_stack=size)))
        depth_of = Instance(store, Module(store.engine, RECURSION), []).exports(store)["depth"]
        try:
            return bool(depth_of(store, depth) == depth)
        except Trap as trap:
            return "call stack exhausted" not in trap.message

    assert goes(1000, 512 * 1024)
    assert not goes(1000, 8192)
    assert goes(10_000, MIB)
    assert not goes(1_000_000, MIB)


# -------------------------------------------------------------------------------------- cranelift


def test_unknown_flags_name_similar_ones() -> None:
    config = Config()
    with pytest.raises(WasmtimeError, match="'enable_alias_analysis'"):
        config.cranelift_flag_enable("enable_alias_analisys")
    with pytest.raises(WasmtimeError, match=r"unknown Cranelift flag 'qqq'$"):
        config.cranelift_flag_set("qqq", "true")
    with pytest.raises(WasmtimeError, match="use cranelift_flag_set"):
        config.cranelift_flag_enable("tls_model")
    with pytest.raises(WasmtimeError, match="'none', 'elf_gd'"):
        config.cranelift_flag_set("tls_model", "fast")
    with pytest.raises(WasmtimeError, match="use cranelift_flag_enable"):
        config.cranelift_flag_set("haswell", "true")
    with pytest.raises(WasmtimeError, match="between 0 and 12"):
        config.cranelift_flag_set("log2_min_function_alignment", "9" * 5000)
    for wrong in (1, None, b"is_pic"):
        with pytest.raises(TypeError):
            config.cranelift_flag_enable(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            config.cranelift_flag_set(wrong, "true")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            config.cranelift_flag_set("is_pic", wrong)  # type: ignore[arg-type]
    assert config == Config()


def test_flags_that_are_settings() -> None:
    config = Config()
    config.cranelift_flag_set("opt_level", "none")
    assert config.cranelift_opt_level == "none"
    config.cranelift_opt_level = "speed"
    config.cranelift_flag_set("regalloc_algorithm", "single_pass")
    assert config.cranelift_regalloc_algorithm == "single_pass"
    config.cranelift_flag_enable("enable_verifier")
    assert config.cranelift_debug_verifier is True
    config.cranelift_flag_set("unwind_info", "no")
    assert config.native_unwind_info is False
    assert config.cranelift_flags == {}
    Engine(Config(cranelift_opt_level="none"))


def test_flags_of_another_machine() -> None:
    other = "has_lse" if host_machine() == "x86_64" else "has_avx"
    config = Config()
    config.cranelift_flag_enable(other)
    with pytest.raises(WasmtimeError, match=f"'{other}' is for"):
        Engine(config)


@pytest.mark.skipif(host_machine() != "x86_64", reason="flags of x86-64")
def test_flags_reach_the_compiler() -> None:
    plain = Config(target=host_triple_hint())
    flagged = Config(target=host_triple_hint())
    flagged.cranelift_flag_enable("x86-64-v2")
    assert flagged.cranelift_flags == {"x86-64-v2": "enabled"}
    assert compiled(plain) != compiled(flagged)


# ----------------------------------------------------------------------------- target, cache, pool


def test_target() -> None:
    config = Config()
    assert config.target is None
    config.target = host_triple_hint()
    Engine(copy.copy(config))
    for wrong in ("not-a-real-target", "", "x86_64-unknown-linux-gnu-elf-x"):
        with pytest.raises(WasmtimeError):
            config.target = wrong
    with pytest.raises(TypeError):
        config.target = 3  # type: ignore[assignment]
    with pytest.raises(ValueError, match="NUL"):
        config.target = "pulley64\0"
    assert config.target == host_triple_hint()


def test_pulley_interprets() -> None:
    engine = Engine(Config(target="pulley64"))
    assert engine.is_pulley()
    store = Store(engine)
    exports = Instance(store, Module(engine, RECURSION), []).exports(store)
    assert exports["depth"](store, 10) == 10


def test_cache_file(tmp_path: Path) -> None:
    config = Config()
    assert config.cache is False
    directory = tmp_path / "cache"
    settings = tmp_path / "cache.toml"
    settings.write_text(f"[cache]\ndirectory = {str(directory)!r}\n")
    for path in (settings, str(settings), bytes(settings)):
        config.cache = path
        assert config.cache == str(settings)
    Module(Engine(copy.copy(config)), "(module)")
    assert directory.is_dir()
    assert pickle.loads(pickle.dumps(config)) == config
    del config.cache
    assert config.cache is False
    Engine(copy.copy(config))


def test_cache_errors(tmp_path: Path) -> None:
    config = Config()
    with pytest.raises(WasmtimeError):
        config.cache = str(tmp_path / "missing.toml")
    garbage = tmp_path / "garbage.toml"
    garbage.write_text("[cache")
    with pytest.raises(WasmtimeError):
        config.cache = garbage
    with pytest.raises(WasmtimeError, match="cannot be explicitly disabled"):
        config.cache = False
    with pytest.raises(TypeError):
        config.cache = 3  # type: ignore[assignment]
    with pytest.raises(ValueError, match="NUL"):
        config.cache = "a\0b"
    assert config == Config()


@pytest.mark.parametrize(
    ("line", "fine"),
    [
        ('worker-event-queue-size = "18446744073709551615"', False),
        ('worker-event-queue-size = "2M"', False),
        ('worker-event-queue-size = "1K"', True),
        ('allowed-clock-drift-for-files-from-future = "18446744073709551615s"', False),
        ('allowed-clock-drift-for-files-from-future = "10000d"', True),
        ('"file-count-soft-limit"="18446744073709551615"', False),
        ('files-total-size-soft-limit = "9999P" # much', False),
        ('files-total-size-soft-limit = "512Mi"', True),
        ('file-count-limit-percent-if-deleting = "70%"', True),
    ],
)
def test_numbers_in_the_cache_file_that_overflow(line: str, fine: bool, tmp_path: Path) -> None:
    settings = tmp_path / "12345678901234567890.toml"
    directory = tmp_path / "98765432109876543210"
    settings.write_text(f"[cache]\ndirectory = {str(directory)!r}\n{line}\n")
    if fine:
        Engine(Config(cache=settings))
    else:
        with pytest.raises(WasmtimeError, match="a number that is too large"):
            Config(cache=settings)


def test_the_cache_file_may_vanish_before_the_engine(tmp_path: Path) -> None:
    settings = tmp_path / "cache.toml"
    settings.write_text(f"[cache]\ndirectory = {str(tmp_path)!r}\n")
    config = Config(cache=settings)
    settings.unlink()
    with pytest.raises(WasmtimeError):
        Engine(config)


def test_allocation_strategy() -> None:
    config = Config()
    assert config.allocation_strategy == "on_demand"
    config.allocation_strategy = "pooling"
    assert config.allocation_strategy == PoolingAllocationConfig()
    pool = PoolingAllocationConfig(total_memories=2, total_stacks=2, total_tables=2)
    config.allocation_strategy = pool
    pool.total_memories = 1000
    inside = config.allocation_strategy
    assert isinstance(inside, PoolingAllocationConfig)
    assert inside.total_memories == 2
    engine = Engine(copy.copy(config))
    module = Module(engine, "(module (memory 1))")
    store = Store(engine)
    Instance(store, module, [])
    Instance(store, module, [])
    with pytest.raises(WasmtimeError, match="limit of 2"):
        Instance(store, module, [])
    config.allocation_strategy = "on_demand"
    assert config.allocation_strategy == "on_demand"
    with pytest.raises(WasmtimeError, match="unknown allocation strategy: pool"):
        config.allocation_strategy = "pool"
    with pytest.raises(TypeError):
        config.allocation_strategy = 3  # type: ignore[assignment]


def test_pool_settings() -> None:
    pool = PoolingAllocationConfig()
    for name in PoolingAllocationConfig._settings:
        value = getattr(pool, name)
        setattr(pool, name, value + 0)
        for wrong in (-1, 2**64):
            with pytest.raises(OverflowError, match=name):
                setattr(pool, name, wrong)
        with pytest.raises(TypeError):
            setattr(pool, name, "1")
    assert len(PoolingAllocationConfig._settings) == 20
    assert pickle.loads(pickle.dumps(pool)) == copy.copy(pool) == copy.deepcopy(pool) == pool
    with pytest.raises(TypeError, match="total_memory"):
        PoolingAllocationConfig(total_memory=1)


def test_what_a_pool_has_collected_is_there_when_nothing_else_is_left() -> None:
    pool = PoolingAllocationConfig(total_memories=2, total_core_instances=2)
    assert pool.decommit_batch_size == 64
    engine = Engine(Config(allocation_strategy=pool))
    module = Module(engine, '(memory (export "memory") 1)')
    for _ in range(200):
        with Store(engine) as store:
            memory = Instance(store, module, []).exports(store)["memory"]
            assert memory.read(store, 0, 5) == bytes(5)
            memory.write(store, b"mine!", 0)


def test_a_pool_that_cannot_be() -> None:
    config = Config(memory_reservation=MIB, allocation_strategy="pooling")
    with pytest.raises(WasmtimeError, match="max_memory_size of the pool"):
        Engine(copy.copy(config))
    config.allocation_strategy = PoolingAllocationConfig(max_memory_size=MIB)
    Engine(copy.copy(config))
    config.allocation_strategy = PoolingAllocationConfig(
        max_memory_size=MIB, total_tables=1_000_000, table_elements=1 << 50
    )
    with pytest.raises(WasmtimeError, match="not enough address space"):
        Engine(copy.copy(config))


def test_mach_ports_are_one_decision_for_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_mach_ports", None)
    assert rules._problem_of_mach_ports(True) is None
    assert rules._problem_of_mach_ports(True) is None
    assert "have to agree" in str(rules._problem_of_mach_ports(False))
