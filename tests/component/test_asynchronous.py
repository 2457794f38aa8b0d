"""
Components in asynchronous calls: guests that await the host, and hosts that await the guest.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import sys
import warnings
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from typing import Any

import pytest
from support import HELPERS, needs, run_in_subprocess

from wasmtime import Config, Engine, Store, Trap, WasmtimeError
from wasmtime.component import Component, Linker, ResourceType, needs_store

from .asynchronous import Asking
from .resources import RESOURCES
from .test_waiting import WAITING


@pytest.fixture(scope="module")
def asking() -> Asking:
    return Asking()


async def later(value: Any) -> Any:
    """
    A host function that waits.
    """
    await asyncio.sleep(0.001)
    return value


# --- values and host functions -------------------------------------------------------------------


def test_a_guest_awaits_the_host(asking: Asking) -> None:
    async def main() -> None:
        async def ask(n: int) -> int:
            await asyncio.sleep(0.001)
            return n + 1

        async def greet(name: str) -> str:
            await asyncio.sleep(0)
            return f"Hello, {name}"

        guest = await asking.guest(ask=ask, greet=greet)
        assert await guest.call("ask", 1) == 2
        assert await guest.call("twice", 1) == 5
        assert await guest.call("greet", "Zoë") == "Hello, Zoë"
        assert await guest.exports.ask.call_async(guest.store, n=5) == 6
        assert await guest.exports.ask.call_async(store=guest.store, n=5) == 6
        assert await guest.call("plain", 1) == 2

    asyncio.run(main())


def test_what_is_awaited_is_whatever_is_awaitable(asking: Asking) -> None:
    class Asynchronous:
        async def __call__(self, n: int) -> int:
            return int(await later(n))

    async def scaled(factor: int, n: int) -> int:
        return int(await later(factor * n))

    async def main() -> None:
        for host in (
            lambda n: n,
            later,
            lambda n: later(n),
            functools.partial(scaled, 1),
            Asynchronous(),
            lambda n: asyncio.get_running_loop().create_task(later(n)),
        ):
            guest = await asking.guest(ask=host)
            assert await guest.call("twice", 3) == 7

    asyncio.run(main())


def test_call_async_returns_a_coroutine(asking: Asking) -> None:
    async def main() -> None:
        guest = await asking.guest(ask=later)
        call = guest.exports.ask.call_async(guest.store, 1)
        assert isinstance(call, Coroutine)
        task: Any = asyncio.create_task(call)
        assert await task == 1
        with pytest.raises(RuntimeError):
            await call

    asyncio.run(main())


def test_guests_wait_at_once(asking: Asking) -> None:
    """
    Each goes on when all of them wait.
    """

    async def main() -> None:
        waiting = 0
        all_wait = asyncio.Event()

        async def ask(n: int) -> int:
            nonlocal waiting
            waiting += 1
            if waiting == 20:
                all_wait.set()
            await all_wait.wait()
            return n

        guests = [await asking.guest(ask=ask) for _ in range(20)]
        calls = [guest.call("ask", n) for n, guest in enumerate(guests)]
        assert await asyncio.wait_for(asyncio.gather(*calls), 60) == list(range(20))

    asyncio.run(main())


def test_context_variables_flow_into_host_functions(asking: Asking) -> None:
    request: ContextVar[int] = ContextVar("request")

    async def main() -> None:
        async def ask(n: int) -> int:
            await asyncio.sleep(0)
            return request.get()

        async def serve(number: int) -> int:
            request.set(number)
            guest = await asking.guest(ask=ask)
            return int(await guest.call("ask", 0))

        assert await asyncio.gather(*map(serve, range(5))) == [0, 1, 2, 3, 4]

    asyncio.run(main())


def test_the_store_of_a_coroutine_function_lasts_until_it_ends(asking: Asking) -> None:
    async def main() -> None:
        seen: list[Any] = []

        @needs_store
        async def ask(store: Any, n: int) -> int:
            seen.append(store)
            await asyncio.sleep(0)
            assert store.data() is data
            return n

        guest = await asking.guest(ask=ask)
        data = guest.store.data()
        assert await guest.call("ask", 4) == 4
        with pytest.raises(ValueError, match="no longer valid"):
            seen[0].data()

    asyncio.run(main())


def test_wrong_arguments_and_wrong_results(asking: Asking) -> None:
    async def main() -> None:
        async def ask(n: int) -> Any:
            await asyncio.sleep(0)
            return "a text"

        guest = await asking.guest(ask=ask)
        with pytest.raises(TypeError, match="n: expected"):
            await guest.call("plain", "1")
        with pytest.raises(TypeError, match="wrong number of parameters"):
            await guest.call("plain")
        with pytest.raises(TypeError, match="unexpected keyword argument 'm'"):
            await guest.exports.plain.call_async(guest.store, m=1)
        assert await guest.call("plain", 1) == 2  # nothing had begun
        with pytest.raises(TypeError, match="result: expected"):
            await guest.call("ask", 1)

    asyncio.run(main())


# --- exceptions and ends -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ask", "tell"])
@pytest.mark.parametrize("waits", [True, False])
def test_an_exception_comes_out_as_the_same_object(asking: Asking, name: str, waits: bool) -> None:
    """
    With and without a result, at once and after waiting.
    """
    error = LookupError("no such thing")

    async def waiting(n: int) -> int:
        await asyncio.sleep(0.001)
        raise error

    def immediate(n: int) -> int:
        raise error

    async def main() -> None:
        guest = await asking.guest(**{name: waiting if waits else immediate})
        with pytest.raises(LookupError) as caught:
            await guest.call(name, 1)
        assert caught.value is error
        # A component that was ended is never entered again, nor is another of its store.
        with pytest.raises(WasmtimeError, match=r"cannot be used any more|cannot enter"):
            await guest.call("plain", 1)
        guest.store.close()

    asyncio.run(main())


def test_a_trap_after_waiting(asking: Asking) -> None:
    async def main() -> None:
        guest = await asking.guest(ask=later)
        with pytest.raises(Trap, match="unreachable"):
            await guest.call("trap", 1)

    asyncio.run(main())


def test_cancelling_ends_the_host_function_and_the_guest(asking: Asking) -> None:
    async def main() -> None:
        events: list[str] = []

        async def ask(n: int) -> int:
            try:
                events.append("waits")
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0)
                events.append("cleaned up")
            return n

        guest = await asking.guest(ask=ask)
        task = asyncio.create_task(guest.call("ask", 1))
        while not events:
            await asyncio.sleep(0)
        with pytest.raises(WasmtimeError, match="in use"):
            guest.store.close()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert events == ["waits", "cleaned up"]
        with pytest.raises(WasmtimeError):
            await guest.call("plain", 1)
        guest.store.close()

    asyncio.run(main())


def test_a_timeout_ends_a_tight_loop(asking: Asking) -> None:
    async def main() -> None:
        guest = await asking.guest()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(guest.call("spin"), 0.05)
        with pytest.raises(WasmtimeError):
            await guest.call("plain", 1)

    asyncio.run(main())


def test_a_spinning_guest_lets_others_run(asking: Asking) -> None:
    async def main() -> None:
        spinner, other = await asking.guest(), await asking.guest(ask=later)
        task = asyncio.create_task(spinner.call("spin"))
        for n in range(10):
            assert await other.call("ask", n) == n
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_a_call_that_is_never_awaited_warns_and_holds_nothing(asking: Asking) -> None:
    async def main() -> None:
        guest = await asking.guest()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            guest.exports.plain.call_async(guest.store, 1)
            gc.collect()
        assert any("never awaited" in str(each.message) for each in caught)
        assert await guest.call("plain", 1) == 2
        guest.store.close()

    asyncio.run(main())


# --- beside synchronous calls --------------------------------------------------------------------


def test_synchronous_calls_in_an_asynchronous_store(asking: Asking) -> None:
    async def immediate(n: int) -> int:
        return n + 1

    guest = asyncio.run(asking.guest(ask=immediate))
    assert guest.call_now("ask", 1) == 2
    assert guest.call_now("plain", 1) == 2
    assert guest.exports.plain(guest.store, n=7) == 8


def test_a_synchronous_call_cannot_wait(asking: Asking) -> None:
    closed = []

    async def ask(n: int) -> int:
        try:
            await asyncio.sleep(1)
        finally:
            closed.append(n)
        return n

    guest = asyncio.run(asking.guest(ask=ask))
    with pytest.raises(WasmtimeError, match="call_async"):
        guest.call_now("ask", 1)
    assert closed == [1]


def test_a_coroutine_function_links_asynchronously_in_instantiate_as_well(asking: Asking) -> None:
    guest = asking.guest_now(ask=later)
    assert guest.call_now("plain", 1) == 2
    assert asyncio.run(guest.call("ask", 5)) == 5


def test_methods_that_are_coroutine_functions_link_asynchronously() -> None:
    class Blob:
        def __init__(self, size: int) -> None:
            self.bytes = size

        async def size(self) -> int:
            return int(await later(self.bytes))

        @staticmethod
        def merge(a: Blob, b: Blob) -> Blob:
            return Blob(a.bytes + b.bytes)

    engine = Engine()
    component = Component(engine, RESOURCES)
    linker, store = Linker(engine), Store(engine)
    linker.define_imports(component, {"res": {"blob": Blob}})
    exports = linker.instantiate(store, component).exports(store)
    assert asyncio.run(exports.run.call_async(store, 3, 4)) == 7


def test_functions_that_were_linked_synchronously_are_never_run_asynchronously(
    asking: Asking,
) -> None:
    calls: list[int] = []

    def ask(n: int) -> int:
        calls.append(n)
        return n

    guest = asking.guest_now(ask=ask)
    with pytest.raises(WasmtimeError, match="instantiate_async"):
        asyncio.run(guest.call("ask", 1))
    assert calls == []
    assert guest.call_now("ask", 1) == 1


def test_what_is_defined_after_the_first_instance_is_linked_too(asking: Asking) -> None:
    """
    Replacements, instances and traps included.
    """
    linker = Linker(asking.engine)
    linker.allow_shadowing = True

    async def main() -> None:
        for n in range(3):
            with linker.root() as root:
                root.add_func("ask", lambda store, _, n=n: later(n))
                root.add_func("tell", lambda store, n: None)
                with root.add_instance("unused") as instance:
                    instance.add_func("f", print)
            linker.define_unknown_imports_as_traps(asking.component)
            store = Store(asking.engine)
            instance = await linker.instantiate_async(store, asking.component)
            func = instance.get_func(store, "ask")
            assert func is not None
            assert await func.call_async(store, 9) == n

    asyncio.run(main())


def test_what_is_missing_is_listed(asking: Asking) -> None:
    async def main() -> None:
        with pytest.raises(WasmtimeError, match=r"3 of the component's imports.*\n.*ask"):
            await Linker(asking.engine).instantiate_async(Store(asking.engine), asking.component)

    asyncio.run(main())


def test_another_component_of_the_store_may_be_called_by_a_host_function(asking: Asking) -> None:
    async def main() -> None:
        @needs_store
        async def ask(store: Any, n: int) -> int:
            first = await inner.exports(store).plain.call_async(store, n)
            return int(first) + int(inner.exports(store).plain(store, n))

        store = Store(alone.engine)
        inner = await alone.linker().instantiate_async(store, alone.component)
        outer = await alone.linker(ask=ask).instantiate_async(store, alone.component)
        assert await outer.exports(store).ask.call_async(store, 3) == 8
        assert outer.exports(store).ask(store, 4) == 10

    alone = Asking(concurrency_support=False)
    asyncio.run(main())
    alone = asking  # the library's default
    with pytest.raises(WasmtimeError, match="concurrency_support=False"):
        asyncio.run(main())


def test_another_task_cannot_enter_meanwhile(asking: Asking) -> None:
    async def main() -> None:
        guest = await asking.guest(ask=later)
        task = asyncio.create_task(guest.call("ask", 1))
        await asyncio.sleep(0)
        with pytest.raises(WasmtimeError, match="asynchronous call"):
            await guest.call("plain", 1)
        with pytest.raises(WasmtimeError, match="asynchronous call"):
            guest.call_now("plain", 1)
        assert await task == 1

    asyncio.run(main())


# --- resources -----------------------------------------------------------------------------------


class Blobs:
    """
    Implements the interface `res` of `RESOURCES`, and notes what happens to blobs.
    """

    def __init__(self) -> None:
        events: list[Any] = []
        self.events = events

        class Blob:
            def __init__(self, size: int) -> None:
                self.bytes = size

            async def size(self) -> int:
                await asyncio.sleep(0)
                events.append(("size", self.bytes))
                return self.bytes

            @staticmethod
            async def merge(a: Any, b: Any) -> Any:
                await asyncio.sleep(0)
                return Blob(a.bytes + b.bytes)

            def drop(self) -> None:
                events.append(("drop", self.bytes))
                if self.bytes == 13:
                    raise LookupError("unlucky")

        self.Blob = Blob

    async def instance(self) -> tuple[Store, Any]:
        """
        An instance of the component.
        """
        engine = Engine()
        component = Component(engine, RESOURCES)
        linker, store = Linker(engine), Store(engine)
        linker.define_imports(component, {"res": {"blob": self.Blob}})
        return store, (await linker.instantiate_async(store, component)).exports(store)


def test_a_class_with_coroutine_functions_implements_a_resource() -> None:
    async def main() -> None:
        blobs = Blobs()
        store, exports = await blobs.instance()
        assert await exports.run.call_async(store, 30, 12) == 42
        assert blobs.events == [("size", 42), ("drop", 42)]
        blob = await exports.make.call_async(store, 5)
        assert isinstance(blob, blobs.Blob)
        assert await exports.look.call_async(store, blob) == 5
        assert await exports.take.call_async(store, blob) == 5
        assert blobs.events[-1] == ("drop", 5)

    asyncio.run(main())


def test_a_destructor_that_raises() -> None:
    async def main() -> None:
        blobs = Blobs()
        store, exports = await blobs.instance()
        with pytest.raises(LookupError, match="unlucky"):
            await exports.run.call_async(store, 6, 7)
        assert blobs.events == [("size", 13), ("drop", 13)]

    asyncio.run(main())


def test_destructors_cannot_wait() -> None:
    class Blob:
        def __init__(self, size: int) -> None: ...

        async def size(self) -> int:
            return 0

        @staticmethod
        def merge(a: Any, b: Any) -> Any: ...

        async def drop(self) -> None: ...

    engine = Engine()
    linker = Linker(engine)
    with pytest.raises(TypeError, match=r"Blob\.drop must not be a coroutine function"):
        linker.define_imports(Component(engine, RESOURCES), {"res": {"blob": Blob}})
    with linker.root() as root, pytest.raises(TypeError, match="dtor must not be a coroutine"):
        root.add_resource("r", ResourceType.host(1), later)  # type: ignore[arg-type]


def test_a_borrowed_handle_ends_with_the_host_call() -> None:
    async def main() -> None:
        lent: list[Any] = []
        dropped: list[int] = []

        async def size(store: Any, blob: Any) -> int:
            await asyncio.sleep(0)
            lent.append(blob)
            assert not blob.owned
            return 7

        engine = Engine()
        component = Component(engine, RESOURCES)
        linker, store = Linker(engine), Store(engine)
        from wasmtime.component import ResourceHost

        with linker.root() as root, root.add_instance("res") as res:
            res.add_resource("blob", ResourceType.host(3), lambda store, rep: dropped.append(rep))
            res.add_func("[constructor]blob", lambda store, n: ResourceHost.own(n, 3))
            res.add_func("[method]blob.size", size)
            res.add_func("[static]blob.merge", lambda store, a, b: a)
        instance = await linker.instantiate_async(store, component)
        exports = instance.exports(store)
        for _ in range(3):
            assert await exports.run.call_async(store, 1, 2) == 7
        assert dropped == [1, 1, 1]
        for blob in lent:
            with pytest.raises(WasmtimeError, match="borrowed for a call that is over"):
                blob.to_host(store)
        own = await exports.make.call_async(store, 9)
        with pytest.raises(WasmtimeError, match="cannot be dropped in a store with asynchronous"):
            own.drop(store)
        assert own.to_host(store).rep == 9

    asyncio.run(main())


# --- components that wait themselves, other stacks -----------------------------------------------


def test_a_component_that_may_wait_calls_coroutine_functions() -> None:
    config = Config()
    config.wasm_component_model_async = True
    engine = Engine(config)
    component = Component(engine, WAITING)
    linker, store = Linker(engine), Store(engine)
    linker.define_imports(component, {"host": later})
    exports = linker.instantiate(store, component).exports(store)
    assert asyncio.run(exports.f.call_async(store, 5)) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/thread-self/syscall")
def test_python_never_runs_on_the_guests_stack(asking: Asking) -> None:
    """
    In whatever kind of callback: the stack pointer is in the thread's own stack.
    """
    depths: set[int] = set()

    def here(*arguments: Any) -> int:
        with open("/proc/thread-self/syscall") as file:
            depths.add(int(file.read().split()[-2], 16))
        return 0

    async def main() -> None:
        async def ask(n: int) -> int:
            here()
            await asyncio.sleep(0)
            return here()

        here()
        guest = await asking.guest(ask=ask, tell=lambda n: here() or None)
        guest.store.set_epoch_deadline(1)
        guest.store.set_epoch_deadline_callback(lambda: here() or 1_000_000)
        await guest.call("twice", 1)
        await guest.call("tell", 1)
        guest.call_now("tell", 1)
        asking.engine.increment_epoch()
        await guest.call("plain", 1)
        blobs = Blobs()
        blobs.Blob.drop = here  # type: ignore[assignment]
        store, exports = await blobs.instance()
        await exports.run.call_async(store, 1, 2)

    asyncio.run(main())
    assert len(depths) > 1
    assert max(depths) - min(depths) < 1 << 20


@needs("gevent")
def test_twenty_greenlets_that_sleep_in_host_functions() -> None:
    run_in_subprocess(
        """
import gevent
from component.asynchronous import Asking
asking = Asking()
def ask(n):
    gevent.sleep(0.001 * (n % 5))
    return n
def work(n):
    guest = asking.guest_now(ask=ask)
    return [guest.call_now("twice", n + i) for i in range(3)]
jobs = [gevent.spawn(work, n) for n in range(20)]
gevent.joinall(jobs, timeout=60)
assert [job.value for job in jobs] == [[2 * (n + i) + 1 for i in range(3)] for n in range(20)]
""",
        env=HELPERS,
    ).check()


def test_guests_that_have_waited_take_no_turns_before_they_go_on(asking: Asking) -> None:
    """
    The ticks that came while they waited are no time that they have used.
    """

    async def main() -> None:
        async def ask(n: int) -> int:
            await asyncio.sleep(0.05)
            return n

        guests = [await asking.guest(ask=ask) for _ in range(200)]
        spinner = await asking.guest()
        calls = [guest.exports.ask.call_async(guest.store, 1) for guest in guests]
        steps = sum(await asyncio.gather(*map(count_steps, calls)))
        task = asyncio.create_task(spinner.call("spin"))
        calls = [guest.exports.ask.call_async(guest.store, 1) for guest in guests]
        steps_beside = sum(await asyncio.gather(*map(count_steps, calls)))
        task.cancel()
        # One for the wait, and one more where many of them begin or go on at once.
        assert 200 <= steps <= 600
        assert steps_beside <= 600

    asyncio.run(main())


class Counting:
    """
    Awaits a call, and counts how often it waits.
    """

    def __init__(self, call: Any) -> None:
        self.call = call

    def __await__(self) -> Generator[Any, Any, int]:
        waits = 0
        try:
            while True:
                waiting = self.call.send(None)
                waits += 1
                yield waiting
        except StopIteration:
            return waits


async def count_steps(call: Any) -> int:
    """
    How often a call waits until it is done.
    """
    return await Counting(call)
