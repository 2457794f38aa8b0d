"""
The guest that the tests of exceptions share: it throws, catches and calls.
"""

from __future__ import annotations

from typing import Any, Callable

from wasmtime import Func, FuncType, Instance, Module, Store, ValType

GUEST = """
    (type $sig (func (param i32 f64 externref)))
    (import "" "host" (func $host (param i32) (result i32)))
    (tag $oops (export "oops") (type $sig))
    (tag $other (export "other") (param i32))
    (func $throw (export "throw") (param i32 f64 externref)
        (throw $oops (local.get 0) (local.get 1) (local.get 2)))
    (func (export "rethrow") (param exnref) (throw_ref (local.get 0)))
    (func (export "same") (param exnref) (result exnref) (local.get 0))
    (func $pass (export "pass") (param i32) (result i32) (call $host (local.get 0)))
    ;; Gives 1000 + the payload of $other, 1 for any other exception.
    (func $catch (export "catch") (param i32) (result i32)
        (block $all
            (block $it (result i32)
                (return (try_table (result i32) (catch $other $it) (catch_all $all)
                    (call $host (local.get 0)))))
            (return (i32.add (i32.const 1000))))
        (i32.const 1))
    (func (export "catch_ref") (param i32) (result exnref)
        (block $it (result exnref)
            (try_table (catch_all_ref $it) (drop (call $host (local.get 0))))
            (return (ref.null exn))))
    (func (export "catch_and_rethrow") (param i32)
        (block $it (result exnref)
            (try_table (catch_all_ref $it) (drop (call $host (local.get 0))))
            (return))
        (throw_ref))
    (func (export "catch_and_throw_other") (param i32)
        (block $all
            (try_table (catch_all $all) (drop (call $host (local.get 0))))
            (return))
        (throw $other (i32.const 99)))
    (func (export "catch_and_trap") (param i32)
        (block $all
            (try_table (catch_all $all) (drop (call $host (local.get 0))))
            (return))
        (unreachable))
    (func (export "catch_and_call") (param i32 i32) (result i32)
        (drop (call $catch (local.get 0)))
        (call $host (local.get 1)))
    (func (export "trap") unreachable)
"""


class Guest:
    """
    An instance whose host function is `host`, which the test sets.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.host: Callable[[int], Any] = lambda number: number
        function = Func(
            store, FuncType([ValType.I32], [ValType.I32]), lambda number: self.host(number)
        )
        module = Module(store.engine, GUEST)
        self.exports: Any = Instance(store, module, [function]).exports(store)

    def __getattr__(self, name: str) -> Any:
        item = self.exports[name]
        if isinstance(item, Func):
            return lambda *arguments: item(self.store, *arguments)
        return item

    def raising(self, exception: BaseException) -> None:
        def host(number: int) -> int:
            raise exception

        self.host = host
