"""
Components that may wait: they run on a stack of the library's, however small, and the Python code
in the middle of their calls on the thread's own, as anywhere.
"""

from __future__ import annotations

import inspect
from typing import Any, Callable

import pytest
from support import PREAMBLE, needs, run_in_subprocess

from wasmtime import Config, Engine, Store
from wasmtime.component import Component, Func, Linker

MIB = 1 << 20

#: Its function gives what `host` gives.
WAITING = """
    (component
        (import "host" (func $host (param "n" u32) (result u32)))
        (core func $lowered (canon lower (func $host)))
        (core func $return (canon task.return (result u32)))
        (core module $m
            (import "" "return" (func $return (param i32)))
            (import "" "host" (func $host (param i32) (result i32)))
            (func (export "f") (param i32) (result i32)
                (call $return (call $host (local.get 0))) (i32.const 0))
            (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m (with "" (instance
            (export "return" (func $return)) (export "host" (func $lowered))))))
        (func (export "f") async (param "n" u32) (result u32)
            (canon lift (core func $i "f") async (callback (core func $i "callback")))))
"""

#: Recursions whose levels take stack in C, each without an end.
RECURSIONS = """
class Adder:
    def __add__(self, other): return self + other
class Reader:
    def __getattr__(self, name): return getattr(self, name)
def sorting(n): return sorted([n], key=sorting)
def adding(n): return Adder() + 1
def mapping(n): return list(map(mapping, [n]))
def plain(n): return plain(n)
def reading(n): return Reader().x
"""


def make(host: Callable[[Any, int], int], **settings: int) -> Callable[[int], int]:
    """
    The function of a fresh instance in a fresh store.
    """
    config = Config()
    config.wasm_component_model_async = True
    for name, value in settings.items():
        setattr(config, name, value)
    engine = Engine(config)
    component = Component(engine, WAITING)
    linker = Linker(engine)
    with linker.root() as root:
        root.add_func("host", host)
    store = Store(engine)
    func = linker.instantiate(store, component).get_func(store, "f")
    assert isinstance(func, Func)
    return lambda number: func(store, number)


PROGRAM = (
    PREAMBLE
    + "from typing import Any, Callable\n"
    + "from wasmtime.component import Component, Func, Linker\n"
    + RECURSIONS
    + f"WAITING = {WAITING!r}\n"
    + inspect.getsource(make)
)


def run(code: str) -> None:
    run_in_subprocess(code, preamble=PROGRAM).check()


@pytest.mark.parametrize("recursion", ["sorting", "adding", "mapping", "plain", "reading"])
@pytest.mark.parametrize(
    "settings", [{}, {"max_wasm_stack": MIB, "async_stack_size": MIB + (256 << 10)}], ids=str
)
@pytest.mark.slow
def test_recursion_in_a_host_function_is_that_of_any_function(
    settings: dict[str, int], recursion: str
) -> None:
    """
    It ends in RecursionError, and all is well afterwards.
    """
    run(
        f"recursion, settings = {recursion}, {settings!r}"
        + """
def host(store, n):
    if n == 0: return recursion(n)
    return n
for _ in range(3):
    f = make(host, **settings)
    try: f(0)
    except RecursionError: pass
    else: raise AssertionError
def deep(n): return n and deep(n - 1)
deep(sys.getrecursionlimit() - 100)
f = make(host, **settings)
for _ in range(100): assert f(7) == 7
"""
    )


def test_an_ordinary_depth_is_possible_on_any_stack() -> None:
    def deep(n: int) -> int:
        return 0 if n == 0 else 1 + max(map(deep, [n - 1]))

    assert make(lambda store, n: deep(n))(300) == 300
    small = {"max_wasm_stack": MIB, "async_stack_size": MIB + (256 << 10)}
    assert make(lambda store, n: deep(n), **small)(300) == 300


def test_calls_into_other_stores_from_a_host_function() -> None:
    inner = make(lambda store, n: n + 1)
    outer = make(lambda store, n: inner(n) + 1, max_wasm_stack=MIB, async_stack_size=2 * MIB)
    assert outer(5) == 7


@needs("greenlet")
def test_greenlets_switch_in_host_functions() -> None:
    """
    Calls begin and end in any order.
    """
    run(
        """
import greenlet
main = greenlet.getcurrent()
def host(store, n):
    main.switch("waits")
    return n
f, g = make(host), make(host)
a, b = greenlet.greenlet(lambda: f(1)), greenlet.greenlet(lambda: g(2))
assert a.switch() == b.switch() == "waits"
assert a.switch() == 1
assert b.switch() == 2
"""
    )
