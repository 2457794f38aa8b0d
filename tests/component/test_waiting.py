"""
Components that may wait: they run on a stack of the library's, and so does the Python code in the
middle of their calls, which may not run over the end of it.
"""

from __future__ import annotations

import inspect
from typing import Any, Callable

import pytest
from support import PREAMBLE, needs, run_in_subprocess

from wasmtime import Config, Engine, Store, WasmtimeError
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
    "settings",
    [
        {},
        {"async_stack_size": 2 * MIB},
        {"max_wasm_stack": MIB, "async_stack_size": 2 * MIB},
        {"max_wasm_stack": MIB, "async_stack_size": MIB + (640 << 10)},
    ],
    ids=str,
)
def test_recursion_in_a_host_function_ends_before_the_stack_does(
    settings: dict[str, int], recursion: str
) -> None:
    """
    As on any stack: RecursionError, and all is well afterwards.
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
deep(sys.getrecursionlimit() - 100)  # the levels that were kept from it came back
f = make(host, **settings)
for _ in range(100): assert f(7) == 7
"""
    )


def test_a_caller_that_is_deep_in_recursion_itself() -> None:
    """
    However few levels are left, they are all that there are.
    """
    run(
        """
def deep(n, call): return deep(n - 1, call) if n else call()
def host(store, n): return 1 if n else plain(n)
for left in (5, 10, 20, 40, 60, 63, 64, 65, 80, 110):
    for n in range(2):
        f = make(host, async_stack_size=2 << 20)
        try: assert deep(sys.getrecursionlimit() - left, lambda: f(n)) == 1
        except RecursionError: pass
def again(n): return n and again(n - 1)
again(sys.getrecursionlimit() - 100)
try: plain(0)
except RecursionError: pass
"""
    )


def test_a_raised_recursion_limit_is_no_way_around() -> None:
    run(
        """
sys.setrecursionlimit(100_000)
try: make(lambda store, n: sorting(n))(0)
except RecursionError: pass
else: raise AssertionError
"""
    )


def test_an_ordinary_depth_is_possible_by_default() -> None:
    def deep(n: int) -> int:
        return 0 if n == 0 else 1 + max(map(deep, [n - 1]))

    assert make(lambda store, n: deep(n))(300) == 300


def test_too_small_a_stack_is_refused_before_it_is_used() -> None:
    with pytest.raises(WasmtimeError, match=r"Config\.async_stack_size.*needs \d+ bytes") as caught:
        make(lambda store, n: n, max_wasm_stack=MIB, async_stack_size=MIB + (256 << 10))
    wanted = int(str(caught.value).rsplit(" ", 3)[1])
    assert make(lambda store, n: n, max_wasm_stack=MIB, async_stack_size=wanted)(3) == 3


def test_calls_into_other_stores_from_a_host_function() -> None:
    """
    They know what is left of the stack that they run on.
    """
    inner = make(lambda store, n: n + 1)
    assert make(lambda store, n: inner(n) + 1)(5) == 7
    run(
        """
small = make(lambda store, n: n)
sized = make(lambda store, n: small(n), max_wasm_stack=1 << 20, async_stack_size=2 << 20)
try: sized(1)
except WasmtimeError as error: assert "native stack left" in str(error), error
else: raise AssertionError
results = []
thread = threading.Thread(target=lambda: results.append(make(lambda store, n: small(n))(1)))
thread.start()
thread.join()
assert results == [1]
"""
    )


@needs("greenlet")
def test_greenlets_are_refused_on_such_a_stack() -> None:
    """
    To switch there would copy what lies between two stacks.
    """
    run(
        """
import greenlet
main = greenlet.getcurrent()
hub = greenlet.greenlet(lambda: [main.switch() for _ in range(9)])
hub.switch()
f, g = [make(lambda store, n: hub.switch()) for _ in range(2)]
for call in (lambda: f(1), greenlet.greenlet(lambda: g(1)).switch):
    try: call()
    except WasmtimeError as error: assert "greenlet" in str(error)
    else: raise AssertionError
"""
    )
