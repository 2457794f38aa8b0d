"""No configuration ends the process: each gives an engine or an exception.

The trials run in other processes, many in each; one that dies is a failure that names the trial.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import run_in_subprocess

from wasmtime import Config, PoolingAllocationConfig
from wasmtime._config import cranelift_flags
from wasmtime._native.host import host_machine

WORKER = Path(__file__).with_name("config_trial.py")
DIED = "the process died"

Trial = dict[str, Any]

#: Switches of this package, which the library never sees.
OWN = {"component_bulk", "library_wasi"}
SWITCHES = [
    name
    for name, setting in Config._settings.items()
    if isinstance(setting.default_of(Config()), bool) and name not in {"cache", *OWN}
]
EDGES = [
    0, 1, 4095, 4096, 65535, 65536, 1 << 20,
    (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 1,
    1 << 40, (1 << 40) + 1, 1 << 46, 1 << 47, 1 << 48, (1 << 63) - 1, 1 << 63,
    (1 << 64) - 65536, (1 << 64) - 1, 1 << 64, -1,
]  # fmt: skip


def attempt_all(trials: Iterable[Trial], directory: Path) -> Iterator[tuple[Trial, str]]:
    """Yields each trial with what became of it, starting a new process after each death."""
    remaining = list(trials)
    environment = {**os.environ, "RUST_BACKTRACE": "0"}
    while remaining:
        process = subprocess.run(
            [sys.executable, str(WORKER), str(directory)],
            input="".join(json.dumps(trial) + "\n" for trial in remaining),
            capture_output=True,
            text=True,
            timeout=110,
            env=environment,
        )
        results = [json.loads(line) for line in process.stdout.splitlines()]
        yield from zip(remaining, results)
        if len(results) < len(remaining):
            reason = process.stderr.strip()[-300:]
            yield remaining[len(results)], f"{DIED} ({process.returncode}): {reason}"
        remaining = remaining[len(results) + 1 :]


def survivors(trials: Iterable[Trial], directory: Path) -> dict[str, list[Trial]]:
    """Runs the trials, fails if one killed its process, and returns them by outcome."""
    outcomes: dict[str, list[Trial]] = {}
    deaths = []
    for trial, outcome in attempt_all(trials, directory):
        if outcome.startswith(DIED):
            deaths.append((trial, outcome))
        outcomes.setdefault(outcome, []).append(trial)
    assert not deaths
    return outcomes


def pairs(common: Trial, run: bool) -> Iterator[Trial]:
    for first, second in itertools.combinations(SWITCHES, 2):
        for values in itertools.product((False, True), repeat=2):
            settings = {**common, first: values[0], second: values[1]}
            yield {"settings": settings, "run": run}


def test_there_are_as_many_switches_as_in_the_c_api() -> None:
    assert len(SWITCHES) == 40


@pytest.mark.slow
def test_each_pair_of_switches(tmp_path: Path) -> None:
    outcomes = survivors(pairs({}, run=True), tmp_path)
    assert sum(map(len, outcomes.values())) == 40 * 39 // 2 * 4
    reasons = {outcome for outcome in outcomes if outcome != "result 5"}
    assert all("this configuration cannot be used" in reason for reason in reasons)
    # Most of them work.
    assert len(outcomes["result 5"]) > 2600


@pytest.mark.parametrize("common", [{"strategy": "winch"}, {"target": "pulley64"}], ids=str)
def test_each_pair_of_switches_with_another_compiler(common: Trial, tmp_path: Path) -> None:
    outcomes = survivors(pairs(common, run=False), tmp_path)
    assert len(outcomes["engine"]) > 2000


@pytest.mark.slow
def test_what_is_refused_really_kills(tmp_path: Path) -> None:
    # The rules are no stricter than the library, but for those that the next test names.
    trials: list[Trial] = [
        {"settings": {"wasm_reference_types": False}},
        {"settings": {"wasm_simd": False}},
        {"settings": {"concurrency_support": False, "wasm_component_model_async": True}},
        {
            "settings": {
                "concurrency_support": False,
                "wasm_component_model_more_async_builtins": True,
            }
        },
        {
            "settings": {
                "concurrency_support": False,
                "wasm_component_model_async_stackful": True,
            }
        },
        {"settings": {"strategy": "winch", "debug_info": True}},
        {"settings": {"strategy": "winch", "wasm_gc": True}},
        {"settings": {"strategy": "winch", "wasm_function_references": True}},
        {"settings": {"strategy": "winch", "wasm_relaxed_simd": True}},
        {"settings": {"strategy": "winch", "signals_based_traps": False}},
        {"settings": {"strategy": "winch", "target": "pulley64"}},
        {"settings": {"strategy": "winch"}, "flags": {"wasmtime_debug_checks": "true"}},
        {"settings": {"target": "pulley64", "wasm_threads": True}},
        {"settings": {"target": "riscv64gc-unknown-linux-gnu"}},
        {"settings": {"target": "wasm32"}},
        {"settings": {"target": "unknown"}},
        {"settings": {"max_wasm_stack": 0}},
        {"settings": {"max_wasm_stack": 1 << 20, "async_stack_size": 1 << 19}},
        {
            "settings": {"signals_based_traps": False},
            "flags": {"enable_heap_access_spectre_mitigation": "true"},
        },
        {"pool": {"max_memory_size": (1 << 32) + 1}},
        {"pool": {"total_memories": 1_000_000}},
        {"pool": {"total_tables": 1_000_000, "table_elements": 1 << 40}},
    ]
    if host_machine() == "x86_64":
        trials += [
            {"settings": {"target": "aarch64-unknown-linux-gnu"}},
            {"settings": {"target": "x86_64-unknown-linux-gnux32"}},
            {"settings": {"target": "i686-unknown-linux-gnu"}},
            {"settings": {"target": "x86_64-pc-windows-msvc", "native_unwind_info": False}},
            {"settings": {"target": "pulley64"}, "enable": ["has_avx"]},
        ]
    for trial, outcome in attempt_all(trials, tmp_path):
        assert outcome.startswith("WasmtimeError: this configuration"), trial
    unchecked = [{**trial, "unchecked": True} for trial in trials]
    for trial, outcome in attempt_all(unchecked, tmp_path):
        assert outcome.startswith(DIED), trial


@pytest.mark.parametrize(
    ("trial", "because"),
    [
        ({"settings": {"wasm_stack_switching": True}}, "run-time support"),
        (
            {"settings": {"max_wasm_stack": 1 << 20, "async_stack_size": 1 << 20}},
            "host functions",
        ),
        ({"pool": {"total_gc_heaps": 2**32 - 1}}, "total_gc_heaps"),
    ],
)
def test_what_would_kill_later_is_refused_too(trial: Trial, because: str, tmp_path: Path) -> None:
    ((_, outcome),) = attempt_all([trial], tmp_path)
    assert outcome.startswith("WasmtimeError")
    assert because in outcome


def test_each_size_at_its_edges(tmp_path: Path) -> None:
    names = [
        "max_wasm_stack",
        "async_stack_size",
        "memory_reservation",
        "memory_guard_size",
        "memory_reservation_for_growth",
    ]
    trials = [{"settings": {name: edge}, "run": True} for name in names for edge in EDGES]
    trials += [
        {"settings": {"max_wasm_stack": first, "async_stack_size": second}, "run": True}
        for first, second in itertools.product(EDGES, EDGES)
    ]
    trials += [
        {"settings": {first: edges[0], second: edges[1]}, "run": True}
        for first, second in itertools.combinations(names[2:], 2)
        for edges in itertools.product((0, 1, 65536, 1 << 32, 1 << 47, (1 << 64) - 1), repeat=2)
    ]
    outcomes = survivors(trials, tmp_path)
    refused = [outcome for outcome in outcomes if outcome.startswith("OverflowError")]
    assert len(refused) >= 2 * len(names)


@pytest.mark.slow
def test_each_setting_of_a_pool_at_its_edges(tmp_path: Path) -> None:
    trials = [
        {"pool": {name: edge}, "run": True}
        for name in PoolingAllocationConfig._settings
        for edge in [*EDGES, 10, 1000, 100_000]
    ]
    trials += [
        {"pool": {}, "settings": {name: edge}, "run": True}
        for name in ("memory_reservation", "memory_guard_size", "async_stack_size")
        for edge in EDGES
    ]
    trials += [
        {"pool": {}, "settings": {name: value}, "run": True}
        for name in SWITCHES
        for value in (False, True)
    ]
    outcomes = survivors(trials, tmp_path)
    assert len(outcomes["result 5"]) > 100


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize("limit", [1 << 33, 1 << 41, 1 << 43])
def test_a_pool_in_little_address_space(limit: int, tmp_path: Path) -> None:
    trial = json.dumps({"pool": {}}) + "\n"
    process = subprocess.run(
        [
            sys.executable,
            "-c",
            "import resource, runpy, sys;"
            f"resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}));"
            f"sys.argv = [{str(WORKER)!r}];"
            f"runpy.run_path({str(WORKER)!r}, run_name='__main__')",
        ],
        input=trial,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr
    expected = '"engine"' if limit > 1 << 42 else '"WasmtimeError: this configuration'
    assert process.stdout.startswith(expected)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_more_pools_than_memory_mappings(tmp_path: Path) -> None:
    # Each of them takes some 20 000 of the 65 530 mappings that Linux allows by default.
    script = (
        "from wasmtime import *\n"
        "engines = []\n"
        "try:\n"
        "    for i in range(200):\n"
        "        engines.append(Engine(Config(allocation_strategy=PoolingAllocationConfig(\n"
        "            total_stacks=10_000, total_memories=1, total_tables=1))))\n"
        "except WasmtimeError as error:\n"
        "    print(error)\n"
    )
    assert "total_stacks" in run_in_subprocess(script).check().output


def flag_trials() -> Iterator[Trial]:
    values = {
        "bool": ["true", "false", "on", "off", "yes", "no", "1", "0", "maybe", "", "True"],
        "preset": ["true", "false"],
    }
    numbers = [0, 1, 2, 8, 9, 12, 13, 16, 30, 31, 32, 63, 64, 255, 256, 4096, 4097, 2**32, 2**64]
    for name, flag in cranelift_flags._ALL.items():
        yield {"enable": [name], "run": True}
        for value in values.get(flag.kind, [*flag.values, *map(str, numbers), "-1", "x", ""]):
            yield {"flags": {name: value}, "run": True}


def test_each_flag_and_value(tmp_path: Path) -> None:
    outcomes = survivors(flag_trials(), tmp_path)
    working = {
        name
        for trial in outcomes["result 5"]
        for name in [*trial.get("flags", ()), *trial.get("enable", ())]
    }
    # The tables know the flags of this machine: they are accepted, apart from those that make
    # code for another environment or processor.
    mine = {
        **cranelift_flags._SHARED,
        **cranelift_flags._WASMTIME,
        **cranelift_flags._MACHINES[host_machine()],
    }
    refused = {
        trial["flags"].popitem()[0]
        for outcome, trials in outcomes.items()
        if "cannot be used" in outcome
        for trial in trials
        if trial.get("flags")
    }
    assert set(mine) - working <= {
        name for name, flag in mine.items() if flag.kind in ("bool", "preset")
    }
    assert not refused & set(mine)


@pytest.mark.parametrize("common", [{"strategy": "winch"}, {"target": "pulley64"}], ids=str)
def test_each_flag_with_another_compiler(common: Trial, tmp_path: Path) -> None:
    survivors(({**trial, "settings": common} for trial in flag_trials()), tmp_path)


def test_each_target(tmp_path: Path) -> None:
    machines = ["", "x86_64", "aarch64", "arm64", "i686", "riscv64", "s390x", "x86_64h", "wasm32"]
    machines += ["pulley32", "pulley64", "pulley32be", "pulley64be", "unknown", "X86_64"]
    systems = ["", "-", "--", "-foo", "-apple-darwin", "-apple-ios", "-linux-android"]
    systems += ["-pc-windows-msvc", "-pc-windows-gnu", "-linux-windows-gnu", "-unknown-none"]
    systems += ["-unknown-linux-gnu", "-unknown-linux-musl", "-unknown-linux-gnux32"]
    systems += ["-unknown-linux-gnu_ilp32", "-unknown-linux-gnu-elf", "-unknown-freebsd"]
    systems += ["-unknown-uefi"]
    trials = [
        {"settings": {"target": machine + system, **settings}, "run": True}
        for machine in machines
        for system in systems
        for settings in (
            {},
            {"strategy": "winch"},
            {"native_unwind_info": False},
            {"wasm_stack_switching": True},
            {"allocation_strategy": "pooling"},
        )
    ]
    outcomes = survivors(trials, tmp_path)
    assert any(outcome.startswith("result") for outcome in outcomes)


def test_each_word(tmp_path: Path) -> None:
    words = {
        name: list(setting.words)
        for name, setting in Config._settings.items()
        if setting.words is not None
    }
    trials = [
        {"settings": dict(zip(words, choice)), "run": True}
        for choice in itertools.product(*words.values())
    ]
    outcomes = survivors(trials, tmp_path)
    assert len(trials) == 3 * 3 * 2 * 4
    assert len(outcomes["result 5"]) >= len(trials) // 2


@pytest.mark.skipif(sys.platform != "linux", reason="jitdump is for Linux")
def test_profiler_without_a_place_to_write(tmp_path: Path) -> None:
    trial = {"settings": {"profiler": "jitdump"}}
    ((_, outcome),) = attempt_all([trial], Path("/proc"))
    assert "cannot write ./jit-" in outcome
    ((_, outcome),) = attempt_all([trial], tmp_path)
    assert outcome == "engine"
    assert [file.suffix for file in tmp_path.iterdir()] == [".dump"]
