"""
Asynchronous calls of core functions: what is awaited, and who may call meanwhile.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import inspect
import sys
import types
import warnings
from collections.abc import Coroutine
from typing import Any

import pytest

from wasmtime import Caller, Func, FuncType, Store, Trap, TrapCode, WasmtimeError

from .guests import I32, REF, Guests, until, until_waits


class Failure(Exception):
    pass


async def later(n: int) -> int:
    await asyncio.sleep(0)
    return n + 1


def test_a_coroutine_function_is_awaited(guests: Guests) -> None:
    async def main() -> None:
        guest = await guests.make(later)
        assert await guest.start("run", 41) == 42
        assert await guest.start("add", 1, 2) == 3
        assert await guest.start("both", 7) == [7, 7]

    asyncio.run(main())


def test_a_call_is_a_coroutine(guests: Guests) -> None:
    async def main() -> None:
        guest = await guests.make(later)
        call = guest.start("run", 1)
        assert isinstance(call, Coroutine)
        assert asyncio.iscoroutine(call)
        assert inspect.isawaitable(call)
        assert call.__name__ == "Func.call_async"
        assert repr(call).startswith("<coroutine object Func.call_async at ")
        assert await asyncio.create_task(call) == 2
        with pytest.raises(RuntimeError, match="already awaited"):
            await call

    asyncio.run(main())


class Answers:
    async def __call__(self, n: int) -> int:
        return await later(n)

    async def method(self, n: int) -> int:
        return await later(n)


@types.coroutine
def marked(n: int) -> Any:
    yield
    return n + 1


@pytest.mark.parametrize(
    "ask",
    [
        later,
        marked,
        lambda n: later(n),
        functools.partial(later),
        Answers(),
        Answers().method,
        lambda n: asyncio.ensure_future(later(n)),
        lambda n: n + 1,
    ],
    ids=["def", "marked", "lambda", "partial", "call", "method", "future", "plain"],
)
def test_whatever_awaitable_a_function_returns_is_awaited(guests: Guests, ask: Any) -> None:
    async def main() -> None:
        assert await (await guests.make(ask)).start("run", 41) == 42

    asyncio.run(main())


def test_an_awaitable_can_be_an_externref(guests: Guests) -> None:
    """
    Only a coroutine function's is awaited, since any object can be meant.
    """

    async def main() -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        assert await (await guests.make()).start("swap", future) is future
        box = object()

        async def swap(value: object) -> object:
            await asyncio.sleep(0)
            return box

        assert await (await guests.make(swap=swap)).start("swap", future) is box

    asyncio.run(main())


def test_a_bound_function(guests: Guests) -> None:
    async def main() -> None:
        guest = await guests.make(later)
        bound = guest.exports.get_func("run").bind_async(guest.store)
        assert bound.store is guest.store
        assert [await bound(n) for n in range(3)] == [1, 2, 3]

    asyncio.run(main())


def test_a_python_function_alone() -> None:
    async def main() -> None:
        for function in later, lambda n: n + 1:
            store = Store()
            func = Func(store, FuncType([I32], [I32]), function)
            assert await func.call_async(store, 1) == 2

    asyncio.run(main())


def test_exceptions_are_the_same_object_with_the_frames_of_the_guest(guests: Guests) -> None:
    error = Failure()

    async def fail(n: int) -> int:
        await asyncio.sleep(0)
        raise error

    async def main() -> None:
        guest = await guests.make(fail)
        with pytest.raises(Failure) as caught:
            await guest.start("run", 1)
        assert caught.value is error
        assert [frame.func_name for frame in error.wasm_backtrace] == ["run"]  # type: ignore[attr-defined]
        with pytest.raises(Trap) as trapped:
            await guest.start("trap")
        assert trapped.value.trap_code is TrapCode.UNREACHABLE
        assert await guest.start("add", 1, 1) == 2

    asyncio.run(main())


def test_wrong_arguments_and_results(guests: Guests) -> None:
    async def text(n: int) -> Any:
        return "text"

    async def main() -> None:
        guest = await guests.make(text)
        with pytest.raises(WasmtimeError, match="too few parameters"):
            guest.start("add", 1)
        with pytest.raises(TypeError, match="parameter 2"):
            await guest.start("add", 1, "2")
        with pytest.raises(TypeError, match="i32"):
            await guest.start("run", 1)
        with pytest.raises(TypeError, match="missing argument: store"):
            guest.exports.get_func("add").call_async()  # type: ignore[call-arg]
        assert await guest.start("add", 1, 1) == 2

    asyncio.run(main())


def test_context_variables_flow_into_host_functions(guests: Guests) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")

    async def ask(n: int) -> int:
        await asyncio.sleep(0)
        return variable.get()

    async def main() -> None:
        guest = await guests.make(ask)
        variable.set(7)
        assert await guest.start("run", 0) == 7

    asyncio.run(main())


def test_a_generator_is_no_coroutine(guests: Guests) -> None:
    async def main() -> None:
        guest = await guests.make(lambda n: (number for number in [n]))
        with pytest.raises(TypeError, match="don't know how to convert <generator"):
            await guest.start("run", 1)

    asyncio.run(main())


@pytest.mark.parametrize("ask", [lambda n: later(n), lambda n: marked(n)], ids=["def", "marked"])
def test_an_awaitable_in_a_synchronous_call_is_explained(guests: Guests, ask: Any) -> None:
    """
    Nobody could know that this function returns one when it was linked; it is closed, and does not
    warn.
    """
    store = Store(guests.engine)
    exports = guests.linker(ask).instantiate(store, guests.module).exports(store)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(WasmtimeError, match=r"instantiate_async.*call_async") as caught:
            exports.get_func("run")(store, 1)
        gc.collect()
    assert isinstance(caught.value.__cause__, TypeError)
    assert exports.get_func("add")(store, 1, 1) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/thread-self/syscall")
def test_python_never_runs_on_the_guests_stack(guests: Guests) -> None:
    """
    In whatever kind of callback: the stack pointer is in the thread's own stack.
    """
    depths: dict[str, int] = {}

    def here(where: str) -> None:
        with open("/proc/thread-self/syscall") as file:
            depths[where] = int(file.read().split()[-2], 16)

    class Dropped:
        def __del__(self) -> None:
            here("a destructor")

    async def ask(n: int) -> int:
        here("a coroutine function")
        await asyncio.sleep(0)
        here("the same, later")
        return guest.now("both", n)[0] if n else n  # type: ignore[no-any-return]

    def swap(value: object) -> object:
        here("a plain function")
        return None

    def deadline() -> int:
        here("a deadline's callback")
        raise Failure

    async def main() -> None:
        nonlocal guest
        here("the loop")
        guest = await guests.make(ask, swap)
        assert await guest.start("many", 2) == 2
        await guest.start("swap", Dropped())
        guest.store.gc()
        guest.store.set_epoch_deadline(1)
        guest.store.set_epoch_deadline_callback(deadline)
        guests.engine.increment_epoch()
        with pytest.raises(Failure):
            await guest.start("spin")

    guest: Any = None
    asyncio.run(main())
    assert len(depths) == 6
    assert max(depths.values()) - min(depths.values()) < 1 << 20


# --- calls in calls -----------------------------------------------------------------------------


def test_host_functions_call_the_guest_again(guests: Guests) -> None:
    async def ask(caller: Caller, n: int) -> int:
        await asyncio.sleep(0)
        add, run = caller["add"], caller["run"]
        assert isinstance(add, Func)
        assert isinstance(run, Func)
        total = add(caller, n, 1)
        total = await add.call_async(caller, total, 1)
        return total + (await run.call_async(caller, n - 1) if n else 0)

    async def main() -> None:
        guest = await guests.make(ask, access_caller=True)
        assert await guest.start("run", 40) == sum(n + 2 for n in range(41))

    asyncio.run(main())


def test_a_caller_lasts_until_its_host_function_ends(guests: Guests) -> None:
    kept: list[Caller] = []

    async def ask(caller: Caller, n: int) -> int:
        kept.append(caller)
        await asyncio.sleep(0)
        memory = caller.get_memory("memory")
        memory.write(caller, b"seen", 0)
        return n

    async def main() -> None:
        guest = await guests.make(ask, access_caller=True)
        assert await guest.start("run", 1) == 1
        assert guest.exports.get_memory("memory").read(guest.store, 0, 4) == b"seen"
        with pytest.raises(ValueError, match="no longer valid"):
            kept[0].get_fuel()

    asyncio.run(main())


def test_other_tasks_are_refused_while_a_call_waits(guests: Guests) -> None:
    async def main() -> None:
        waiting = asyncio.Event()
        asked = []

        async def ask(n: int) -> int:
            asked.append(n)
            await waiting.wait()
            return n

        guest = await guests.make(ask)
        task = asyncio.create_task(guest.start("run", 1))
        await until(lambda: asked)
        for use in (
            lambda: guest.now("add", 1, 1),
            guest.store.gc,
            guest.store.close,
            lambda: guest.exports.get_memory("memory").read(guest.store),
        ):
            with pytest.raises(WasmtimeError, match="in use"):
                use()
        with pytest.raises(WasmtimeError, match="in use"):
            await guest.start("add", 1, 1)
        waiting.set()
        assert await task == 1
        guest.store.close()

    asyncio.run(main())


def test_a_task_of_a_host_function_is_another_task(guests: Guests) -> None:
    async def main() -> None:
        async def ask(n: int) -> int:
            with pytest.raises(WasmtimeError, match="in use"):
                await asyncio.create_task(guest.start("add", 1, 1))
            with pytest.raises(WasmtimeError):
                await asyncio.gather(guest.start("add", 1, 1), guest.start("add", 2, 2))
            return n

        guest = await guests.make(ask)
        assert await guest.start("run", 5) == 5

    asyncio.run(main())


def test_a_call_that_its_host_function_left_behind_is_dropped(guests: Guests) -> None:
    async def main() -> None:
        left: list[Any] = []
        asked: list[int] = []

        async def ask(n: int) -> int:
            if n == 0:
                asked.append(n)
                await asyncio.sleep(10)
            inner = guest.start("run", 0)
            until_waits(inner, lambda: asked)
            left.append(inner)
            return n

        guest = await guests.make(ask)
        assert await guest.start("run", 5) == 5
        with pytest.raises(RuntimeError, match="already awaited"):
            left[0].send(None)
        assert await guest.start("add", 1, 1) == 2

    asyncio.run(main())


# --- without an event loop ------------------------------------------------------------------------


def test_synchronous_calls_work_where_nothing_has_to_wait(guests: Guests) -> None:
    async def at_once(n: int) -> int:
        return n + 1

    async def main() -> None:
        guest = await guests.make(at_once)
        assert guest.now("run", 41) == 42
        assert guest.now("add", 1, 2) == 3
        assert guest.exports.get_func("add").bind(guest.store, release_gil=False)(1, 2) == 3
        box = object()
        assert guest.now("swap", box) is box

    asyncio.run(main())


def test_a_synchronous_call_cannot_wait(guests: Guests) -> None:
    ended = []

    async def ask(n: int) -> int:
        try:
            await asyncio.sleep(0.01)
        finally:
            ended.append(n)
        return n

    async def main() -> None:
        guest = await guests.make(ask)
        with pytest.raises(WasmtimeError, match="call_async"):
            guest.now("run", 1)
        assert ended == [1]
        assert await guest.start("run", 2) == 2

    asyncio.run(main())


# --- calls that are given up ----------------------------------------------------------------------


def test_a_call_that_is_never_awaited_warns(guests: Guests) -> None:
    async def main() -> None:
        guest = await guests.make()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            guest.start("run", 1)
            gc.collect()
        assert [str(warning.message) for warning in caught] == [
            "coroutine 'Func.call_async' was never awaited"
        ]
        guest.start("run", 1).close()
        assert guest.now("add", 1, 1) == 2

    asyncio.run(main())


def test_a_call_that_is_collected_is_closed(guests: Guests) -> None:
    asked = []
    ended = []

    async def ask(n: int) -> int:
        try:
            asked.append(n)
            await asyncio.sleep(10)
        finally:
            ended.append(n)
        return n

    async def main() -> None:
        guest = await guests.make(ask)
        call = guest.start("run", 3)
        until_waits(call, lambda: asked)
        cycle = [call]
        cycle.append(cycle)  # type: ignore[arg-type]
        del call, cycle
        gc.collect()
        assert ended == [3]
        assert await guest.start("add", 1, 1) == 2

    asyncio.run(main())


def test_externrefs_live_as_long_as_a_guest_that_waits(guests: Guests) -> None:
    """
    What the guest has on its stack is found by a collection that its host function asks for.
    """

    async def main() -> None:
        async def swap(value: object) -> object:
            await asyncio.sleep(0)
            guest.store.gc()
            return value

        guest = await guests.make(swap=swap)
        value = ["text"]
        assert await guest.start("swap", value) is value
        assert await guest.start("swap", None) is None

    asyncio.run(main())


def test_references_need_a_function_type() -> None:
    async def main() -> None:
        store = Store()
        func = Func(store, FuncType([REF], [REF]), lambda value: value)
        assert await func.call_async(store, "text") == "text"

    asyncio.run(main())
