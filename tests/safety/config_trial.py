"""Try configurations one after another, for test_config_combinations.py.

Each line of the input is a trial in JSON, each line of the output what became of it. What the
library thinks of a wrong configuration it says by ending the process: then the output ends, and
the test knows which trial it was.
"""

from __future__ import annotations

import copy
import json
import os
import sys
from typing import Any

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
from wasmtime._native import lib

WASM = (
    '(module (memory 1) (func (export "f") (param i32) (result i32)'
    " (i32.add (local.get 0) (i32.const 1))))"
)

#: What the profiler "perfmap" writes.
PERF_MAP = f"/tmp/perf-{os.getpid()}.map"


def configure(trial: dict[str, Any]) -> Config:
    config = Config()
    for name, value in trial.get("settings", {}).items():
        setattr(config, name, value)
    if "pool" in trial:
        config.allocation_strategy = PoolingAllocationConfig(**trial["pool"])
    for name in trial.get("enable", ()):
        config.cranelift_flag_enable(name)
    for name, value in trial.get("flags", {}).items():
        config.cranelift_flag_set(name, value)
    return config


def attempt(trial: dict[str, Any]) -> str:
    try:
        config = configure(trial)
        if trial.get("unchecked"):
            native = lib.wasm_config_new()
            config._apply(native)
            lib.wasm_engine_new_with_config(native)
            return "engine"
        engine = Engine(copy.copy(config))
    except (WasmtimeError, ValueError, OverflowError) as error:
        return f"{type(error).__name__}: {error}"
    if not trial.get("run"):
        return "engine"
    try:
        store = Store(engine)
        if config.consume_fuel:
            store.set_fuel(1000)
        if config._epoch_explicit and config.epoch_interruption:
            store.set_epoch_deadline(1)
        instance = Instance(store, Module(engine, WASM), [])
        return f"result {instance.exports(store)['f'](store, 4)}"
    except (WasmtimeError, Trap) as error:
        return f"engine, then {error}"


def main() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if len(sys.argv) > 1:
        os.chdir(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(attempt(json.loads(line))), flush=True)
    if os.path.lexists(PERF_MAP):
        os.unlink(PERF_MAP)


if __name__ == "__main__":
    main()
