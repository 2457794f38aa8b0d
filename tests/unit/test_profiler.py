"""
The profiler of guests.
"""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from wasmtime import (
    Config,
    Engine,
    Func,
    FuncType,
    GuestProfiler,
    Instance,
    Module,
    Store,
    ValType,
    WasmtimeError,
)

GUEST = """
    (import "" "host" (func $host))
    (func $inner (param $n i32)
        (loop $again
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br_if $again (local.get $n))))
    (func $outer (export "outer") (param i32) (call $inner (local.get 0)))
    (func $calls (export "calls") (call $host))
"""


@pytest.fixture(scope="module")
def module(engine: Engine) -> Module:
    return Module(engine, GUEST)


def instance(store: Store, module: Module, host: Any = lambda: None) -> Any:
    return Instance(store, module, [Func(store, FuncType([], []), host)]).exports(store)


def functions(profile: bytes) -> set[str]:
    """
    The names of the functions in a profile, of all samples.
    """
    found = set()
    data = json.loads(profile)
    for thread in data["threads"]:
        found.update(thread["stringArray"][index] for index in thread["funcTable"]["name"])
    return found


def samples(profile: bytes) -> int:
    return sum(len(thread["samples"]["stack"]) for thread in json.loads(profile)["threads"])


def test_a_sample_of_a_host_function_shows_the_guest(store: Store, module: Module) -> None:
    profiler = GuestProfiler(store.engine, "test", {"guest": module}, interval=0.01)
    exports = instance(store, module, lambda: profiler.sample(store, 0.001))
    exports["calls"](store)
    exports["calls"](store)
    profile = profiler.finish()
    data = json.loads(profile)
    assert data["meta"]["product"] == "test"
    assert data["meta"]["interval"] == 10.0
    assert any("calls" in name for name in functions(profile))
    assert samples(profile) == 2
    assert [library["name"] for library in data["libs"]] == ["guest"]


def test_sampling_while_the_guest_runs(store: Store, module: Module) -> None:
    exports = instance(store, module)
    with GuestProfiler(store.engine, "test", [("guest", module)]) as profiler:
        with profiler.sampling(store) as same:
            assert same is profiler
            exports["outer"](store, 100_000_000)
        profile = profiler.finish()
    assert samples(profile) > 2
    assert any("inner" in name for name in functions(profile))
    assert any("outer" in name for name in functions(profile))
    exports["outer"](store, 1000)
    assert not [thread for thread in threading.enumerate() if thread.name == "wasmtime-profiler"]


def test_modules_that_are_not_named_do_not_appear(store: Store, module: Module) -> None:
    profiler = GuestProfiler(store.engine, "test", {})
    instance(store, module, lambda: profiler.sample(store))["calls"](store)
    profile = profiler.finish()
    assert samples(profile) == 1
    assert not any("calls" in name for name in functions(profile))


def test_a_store_at_rest_gives_empty_samples(store: Store, module: Module) -> None:
    profiler = GuestProfiler(store.engine, "größe\0", {"naïve": module, "": module})
    profiler.sample(store)
    profiler.sample(store, 10)
    assert samples(profiler.finish()) == 2


def test_another_store_runs(engine: Engine, store: Store, module: Module) -> None:
    profiler = GuestProfiler(engine, "test", {"guest": module})
    other = Store(engine)
    instance(store, module, lambda: profiler.sample(other))["calls"](store)
    profile = profiler.finish()
    assert samples(profile) == 1
    assert not any("calls" in name for name in functions(profile))


def test_the_callers_of_a_host_function_can_be_sampled(store: Store, module: Module) -> None:
    profiler = GuestProfiler(store.engine, "test", {"guest": module})
    host = Func(store, FuncType([], []), profiler.sample, access_caller=True)
    Instance(store, module, [host]).exports(store)["calls"](store)  # type: ignore[operator]
    assert samples(profiler.finish()) == 1


def test_a_finished_profiler_is_closed(store: Store, module: Module) -> None:
    profiler = GuestProfiler(store.engine, "test", {"guest": module})
    assert json.loads(profiler.finish())
    for attempt in (
        profiler.finish,
        lambda: profiler.sample(store),
        lambda: profiler.sampling(store).__enter__(),
    ):
        with pytest.raises(ValueError, match="closed"):
            attempt()
    profiler.close()
    closed = GuestProfiler(store.engine, "test", {})
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        closed.finish()


def test_arguments_are_checked(engine: Engine, store: Store, module: Module) -> None:
    for arguments in (
        (5, "x", {}),
        (engine, 5, {}),
        (engine, "x", {"a": 5}),
        (engine, "x", {5: module}),
        (engine, "x", 5),
        (engine, "x", {}, "1"),
        (engine, "x", {}, True),
    ):
        with pytest.raises(TypeError):
            GuestProfiler(*arguments)
    for interval in (0, -1, float("nan"), float("inf"), 1e-12, 1e30):
        with pytest.raises(ValueError, match="interval"):
            GuestProfiler(engine, "x", {}, interval)
    with pytest.raises(ValueError, match="surrogate"):
        GuestProfiler(engine, "\ud800", {})
    other = Engine()
    with pytest.raises(ValueError, match="another engine"):
        GuestProfiler(other, "x", {"a": module})
    profiler = GuestProfiler(other, "x", {})
    with pytest.raises(ValueError, match="another engine"):
        profiler.sample(store)
    with pytest.raises(ValueError, match="another engine"):
        profiler.sampling(store).__enter__()
    mine = GuestProfiler(engine, "x", {})
    with pytest.raises(ValueError, match="delta"):
        mine.sample(store, -1)
    with pytest.raises(TypeError):
        mine.sample(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        mine.sampling(5).__enter__()  # type: ignore[arg-type]
    store.close()
    with pytest.raises(ValueError, match="closed"):
        mine.sample(store)


def test_sampling_needs_epochs() -> None:
    config = Config()
    config.epoch_interruption = False
    engine = Engine(config)
    profiler = GuestProfiler(engine, "x", {})
    with Store(engine) as store, pytest.raises(WasmtimeError, match="epoch"):
        with profiler.sampling(store):
            pass


def test_what_the_guest_raises_ends_the_sampling(store: Store, module: Module) -> None:
    class Mine(Exception):
        pass

    def host() -> None:
        raise Mine

    profiler = GuestProfiler(store.engine, "x", {"guest": module})
    exports = instance(store, module, host)
    with pytest.raises(Mine), profiler.sampling(store):
        exports["calls"](store)
    assert profiler.finish()


def test_two_threads_share_a_profiler(engine: Engine, module: Module) -> None:
    profiler = GuestProfiler(engine, "x", {"guest": module})
    failures = []

    def work() -> None:
        try:
            with Store(engine) as store:
                calls = instance(store, module, lambda: profiler.sample(store))["calls"]
                for _ in range(200):
                    calls(store)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert samples(profiler.finish()) == 600


def test_values_of_functions_are_not_touched(store: Store) -> None:
    """
    A sample in the middle of a call leaves its results as they are.
    """
    module = Module(
        store.engine,
        """
        (import "" "host" (func $host))
        (func (export "f") (param i32) (result i32) (call $host) (local.get 0))
        """,
    )
    profiler = GuestProfiler(store.engine, "x", {"guest": module})
    f = instance(store, module, lambda: profiler.sample(store))["f"]
    assert f.type(store) == FuncType([ValType.I32], [ValType.I32])
    assert [f(store, number) for number in range(5)] == list(range(5))
