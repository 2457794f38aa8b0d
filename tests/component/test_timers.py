"""
The timers of WASI preview 2 end when the time of their store is up.
"""

from __future__ import annotations

import re
import time
from typing import Any, Callable

import pytest
from support import PACKAGE

import wasmtime._wasi_names as names
from wasmtime import Config, Engine, Store, WasiConfig
from wasmtime.component import Component, ComponentTimeoutTrap, Linker

#: `duration` and `instant` wait for so many nanoseconds, together with a timer of a minute, by
#: `poll`; `block` does so alone. Then they come to an epoch check. `call` comes to none: it waits,
#: and calls a function of the host.
TIMERS = """(component
  (import "effect" (func $effect))
  (core func $effect (canon lower (func $effect)))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $t (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $t))))
    (export "poll" (func (param "in" (list (borrow $t))) (result (list u32))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.3" (instance $clock
    (alias outer 1 $pollable (type $t))
    (export "pollable" (type $tt (eq $t)))
    (export "now" (func (result u64)))
    (export "subscribe-instant" (func (param "when" u64) (result (own $tt))))
    (export "subscribe-duration" (func (param "when" u64) (result (own $tt))))))
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $libc (instantiate $libc))
  (core func $now (canon lower (func $clock "now")))
  (core func $duration (canon lower (func $clock "subscribe-duration")))
  (core func $instant (canon lower (func $clock "subscribe-instant")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $poll (canon lower (func $poll "poll")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "effect" (func $effect))
    (import "" "now" (func $now (result i64)))
    (import "" "duration" (func $duration (param i64) (result i32)))
    (import "" "instant" (func $instant (param i64) (result i32)))
    (import "" "block" (func $block (param i32)))
    (import "" "poll" (func $poll (param i32 i32 i32)))
    (func $wait (param i32) (result i32)
      (i32.store (i32.const 0) (call $duration (i64.const 60_000_000_000)))
      (i32.store (i32.const 4) (local.get 0))
      (call $poll (i32.const 0) (i32.const 2) (i32.const 512))
      (loop) (i32.load (i32.const 516)))
    (func (export "duration") (param i64) (result i32)
      (call $wait (call $duration (local.get 0))))
    (func (export "instant") (param i64) (result i32)
      (call $wait (call $instant (i64.add (call $now) (local.get 0)))))
    (func (export "never") (result i32) (call $wait (call $instant (i64.const -1))))
    (func (export "block") (param i64) (result i32)
      (call $block (call $duration (local.get 0))) (loop) (i32.const 1))
    (func (export "call") (param i64) (result i32)
      (call $block (call $duration (local.get 0))) (call $effect) (i32.const 1)))
  (core instance $m (instantiate $m (with "" (instance
    (export "memory" (memory $libc "memory")) (export "now" (func $now))
    (export "effect" (func $effect))
    (export "duration" (func $duration)) (export "instant" (func $instant))
    (export "block" (func $block)) (export "poll" (func $poll))))))
  (func (export "duration") (param "n" u64) (result u32) (canon lift (core func $m "duration")))
  (func (export "instant") (param "n" u64) (result u32) (canon lift (core func $m "instant")))
  (func (export "never") (result u32) (canon lift (core func $m "never")))
  (func (export "block") (param "n" u64) (result u32) (canon lift (core func $m "block")))
  (func (export "call") (param "n" u64) (result u32) (canon lift (core func $m "call"))))"""

WAYS = ["duration", "instant", "block"]
SHORT, LONG = 0.02, 30 * 10**9


@pytest.fixture(scope="module", params=[True, False], ids=["concurrency", "plain"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return Engine(Config(concurrency_support=request.param))


@pytest.fixture(scope="module")
def component(engine: Engine) -> Component:
    return Component(engine, TIMERS)


def instantiate(
    engine: Engine, component: Component, effect: Callable[[], None] = lambda: None
) -> tuple[Store, Any]:
    store, linker = Store(engine), Linker(engine)
    linker.add_wasip2()
    with linker.root() as root:
        root.add_func("effect", lambda _: effect())
    store.set_wasi(WasiConfig())
    return store, linker.instantiate(store, component).exports(store)


@pytest.mark.parametrize("way", WAYS)
def test_a_wait_ends_with_the_time_of_its_store(
    engine: Engine, component: Component, way: str
) -> None:
    store, exports = instantiate(engine, component)
    store.set_timeout(SHORT)
    started = time.monotonic()
    with pytest.raises(ComponentTimeoutTrap):
        getattr(exports, way)(store, LONG)
    assert SHORT <= time.monotonic() - started < LONG / 1e9 / 2


@pytest.mark.parametrize("way", WAYS)
def test_a_guest_does_not_take_the_end_of_its_time_for_the_end_of_its_wait(
    engine: Engine, way: str
) -> None:
    """
    Where nothing that it does afterwards would have it hear of the ticker.
    """
    straight = Component(engine, TIMERS.replace("(loop)", ""))
    for _ in range(3):
        store, exports = instantiate(engine, straight)
        store.set_timeout(SHORT)
        with pytest.raises(ComponentTimeoutTrap):
            getattr(exports, way)(store, LONG)


def test_no_host_function_is_called_after_the_end_of_the_time(
    engine: Engine, component: Component
) -> None:
    effects: list[str] = []
    store, exports = instantiate(engine, component, lambda: effects.append("done"))
    store.set_timeout(SHORT)
    with pytest.raises(ComponentTimeoutTrap):
        exports.call(store, LONG)
    assert effects == []
    other, its = instantiate(engine, component, lambda: effects.append("done"))
    other.set_timeout(100)
    assert its.call(other, 1) == 1
    assert effects == ["done"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("timeout", [None, 100.0])
def test_a_wait_takes_its_time(
    engine: Engine, component: Component, way: str, timeout: float
) -> None:
    store, exports = instantiate(engine, component)
    store.set_timeout(timeout)
    started = time.monotonic()
    assert getattr(exports, way)(store, int(SHORT * 1e9)) == 1
    assert time.monotonic() - started >= SHORT


def test_a_moment_that_never_comes(engine: Engine, component: Component) -> None:
    store, exports = instantiate(engine, component)
    store.set_timeout(SHORT)
    with pytest.raises(ComponentTimeoutTrap):
        exports.never(store)


def test_what_the_package_makes_for_the_timers_does_not_count(
    engine: Engine, component: Component
) -> None:
    store, exports = instantiate(engine, component)
    store.set_limits(instances=2, memories=1, total_memory=1 << 16)
    assert exports.duration(store, 1) == 1


def test_the_interfaces_have_the_librarys_version() -> None:
    """
    Under another one, the library's own timers would be found.
    """
    (library,) = (PACKAGE / "_lib").glob("*wasmtime*")
    ours = {names.CLOCK, names.POLL, names.HTTP_TYPES, names.HTTP_HANDLER}
    interfaces = "|".join(name.partition("@")[0] for name in ours)
    found = re.findall(rb"(?:%s)@[0-9.]+" % interfaces.encode(), library.read_bytes())
    assert {name.decode() for name in found} == ours
