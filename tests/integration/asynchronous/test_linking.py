"""
The ways to link modules for asynchronous calls.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wasmtime import Func, FuncType, Instance, Linker, Module, Store, WasmtimeError, i32

from .guests import I32, REF, Guest, Guests


async def later(n: int) -> int:
    await asyncio.sleep(0)
    return n + 1


def test_a_linker_with_coroutine_functions_links_asynchronously(guests: Guests) -> None:
    async def main() -> None:
        store = Store(guests.engine)
        instance = guests.linker(later).instantiate(store, guests.module)
        assert await Guest(store, instance.exports(store)).start("run", 1) == 2

    asyncio.run(main())


def test_annotated_coroutine_functions(guests: Guests) -> None:
    async def main() -> None:
        linker = Linker(guests.engine)

        @linker.func("host")
        async def ask(n: i32) -> i32:
            return await later(n)

        linker.define_func("host", "swap", FuncType([REF], [REF]), lambda value: value)
        store = Store(guests.engine)
        instance = await linker.instantiate_async(store, guests.module)
        assert await Guest(store, instance.exports(store)).start("run", 1) == 2

    asyncio.run(main())


@pytest.mark.parametrize("ask", [later, lambda n: n + 1])
def test_what_is_resolved_before(guests: Guests, ask: Any) -> None:
    async def main() -> None:
        pre = guests.linker(ask).instantiate_pre(guests.module)
        store = Store(guests.engine)
        instance = await pre.instantiate_async(store)
        assert await Guest(store, instance.exports(store)).start("run", 1) == 2
        again = pre.instantiate(store)
        assert await Guest(store, again.exports(store)).start("run", 1) == 2

    asyncio.run(main())


@pytest.mark.parametrize("way", ["Instance()", "instantiate_async"])
def test_a_list_of_imports(guests: Guests, way: str) -> None:
    """
    Plain functions in it are linked asynchronously, too.
    """

    async def main() -> None:
        store = Store(guests.engine)
        swap = Func(store, FuncType([REF], [REF]), lambda value: value)
        ask = Func(store, FuncType([I32], [I32]), later)
        if way == "Instance()":
            instance = Instance(store, guests.module, [ask, swap])
        else:
            instance = await Instance.instantiate_async(store, guests.module, [ask, swap])
        guest = Guest(store, instance.exports(store))
        assert await guest.start("run", 1) == 2
        assert await guest.start("swap", "text") == "text"

    asyncio.run(main())


def test_one_name_cannot_stand_for_two_items(guests: Guests) -> None:
    module = Module(guests.engine, '(import "a" "f" (func (param i32) (result i32)))' * 2)

    async def main() -> None:
        store = Store(guests.engine)
        one, other = (Func(store, FuncType([I32], [I32]), later) for _ in range(2))
        await Instance.instantiate_async(store, module, [one, one])
        with pytest.raises(WasmtimeError, match="twice"):
            await Instance.instantiate_async(store, module, [one, other])
        with pytest.raises(WasmtimeError, match="expected 2 imports"):
            await Instance.instantiate_async(store, module, [one])

    asyncio.run(main())


def test_python_functions_that_were_linked_synchronously_are_refused(guests: Guests) -> None:
    async def main() -> None:
        store = Store(guests.engine)
        linker = guests.linker()
        guest = Guest(store, linker.instantiate(store, guests.module).exports(store))
        assert guest.now("run", 1) == 1
        with pytest.raises(WasmtimeError, match="instantiate_async"):
            await guest.start("run", 1)
        with pytest.raises(WasmtimeError, match="instantiate_async"):
            await linker.instantiate_async(store, guests.module)
        with pytest.raises(WasmtimeError, match="instantiate_async"):
            Func(store, FuncType([I32], [I32]), later)
        assert guest.now("run", 1) == 1

    asyncio.run(main())


def test_a_store_without_python_functions_serves_both_ways(guests: Guests) -> None:
    module = Module(guests.engine, '(func (export "one") (result i32) (i32.const 1))')

    async def main() -> None:
        store = Store(guests.engine)
        one = Instance(store, module, []).exports(store).get_func("one")
        assert one(store) == await one.call_async(store) == one(store) == 1

    asyncio.run(main())


def test_functions_made_before_the_store_was_asynchronous(guests: Guests) -> None:
    """
    They are given to the guest in the form that it can call.
    """

    async def main() -> None:
        store = Store(guests.engine)
        plain = Func(store, FuncType([I32], [I32]), lambda n: n * 2)
        assert plain(store, 4) == 8
        Func(store, FuncType([], []), later)
        swap = Func(store, FuncType([REF], [REF]), lambda value: value)
        guest = Guest(store, Instance(store, guests.module, [plain, swap]).exports(store))
        assert await guest.start("run", 4) == 8
        assert plain(store, 4) == await plain.call_async(store, 4) == 8

    asyncio.run(main())


def test_start_functions_wait(guests: Guests) -> None:
    module = Module(
        guests.engine,
        """
        (import "host" "ask" (func $ask (param i32) (result i32)))
        (global $got (export "got") (mut i32) (i32.const 0))
        (func $start (global.set $got (call $ask (i32.const 41)))) (start $start)
        """,
    )

    async def main() -> None:
        store = Store(guests.engine)
        instance = await guests.linker(later).instantiate_async(store, module)
        assert instance.exports(store).get_global("got").value(store) == 42
        with pytest.raises(WasmtimeError, match="call_async"):
            guests.linker(later).instantiate(Store(guests.engine), module)

    asyncio.run(main())


def test_a_linker_changes_while_it_instantiates(guests: Guests) -> None:
    module = Module(
        guests.engine,
        """
        (import "host" "ask" (func $ask (param i32) (result i32)))
        (func $start (drop (call $ask (i32.const 1)))) (start $start)
        """,
    )

    async def main() -> None:
        entered, leave = asyncio.Event(), asyncio.Event()

        async def ask(n: int) -> int:
            entered.set()
            await leave.wait()
            return n

        linker = guests.linker(ask)
        task = asyncio.create_task(linker.instantiate_async(Store(guests.engine), module))
        await entered.wait()
        linker.allow_shadowing = True
        linker.define_func("host", "ask", FuncType([I32], [I32]), later)
        store = Store(guests.engine)
        instance = await linker.instantiate_async(store, guests.module)
        assert await Guest(store, instance.exports(store)).start("run", 1) == 2
        leave.set()
        await task

    asyncio.run(main())


def test_missing_imports_are_listed(guests: Guests) -> None:
    async def main() -> None:
        with pytest.raises(WasmtimeError, match="2 of the module's 2 imports have not"):
            await Linker(guests.engine).instantiate_async(Store(guests.engine), guests.module)

    asyncio.run(main())


def test_what_is_looked_up_in_a_linker(guests: Guests) -> None:
    async def main() -> None:
        store = Store(guests.engine)
        linker = guests.linker(later)
        assert await linker.get_func(store, "host", "ask").call_async(store, 1) == 2

    asyncio.run(main())


def test_modules_defined_in_a_linker(guests: Guests) -> None:
    reactor = Module(
        guests.engine,
        """
        (import "host" "ask" (func $ask (param i32) (result i32)))
        (func (export "again") (param i32) (result i32) (call $ask (call $ask (local.get 0))))
        """,
    )
    program = Module(guests.engine, '(func (export "_start"))')

    async def main() -> None:
        store = Store(guests.engine)
        linker = guests.linker(later)
        linker.define_module(store, "reactor", reactor)
        again = linker.get_func(store, "reactor", "again")
        assert await again.call_async(store, 1) == 3
        with pytest.raises(WasmtimeError, match="_start"):
            linker.define_module(store, "program", program)

    asyncio.run(main())
