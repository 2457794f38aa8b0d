"""
Imported modules and threads: each waits for its turn, and no wait is without an end.
"""

from __future__ import annotations

import os
import sys

import pytest

from .files import ADD, Run

#: A module `host` whose function waits until it is told to leave.
BLOCKS = """
import threading
inside, leave = threading.Event(), threading.Event()
def wait(depth):
    inside.set()
    leave.wait()
"""

CALLS_OUT = """
(module (import "host" "wait" (func $wait (param i32)))
  (func (export "enter") (param i32) (call $wait (local.get 0)))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
"""


def test_a_second_thread_waits_for_its_turn(run: Run) -> None:
    output = run(
        """
        import threading
        import wasmtime.loader
        import host, m
        thread = threading.Thread(target=m.enter, args=[0])
        thread.start()
        host.inside.wait()
        timer = threading.Timer(0.2, host.leave.set)
        timer.start()
        print(m.add(1, 2), host.leave.is_set())     # another function
        thread.join()
        with wasmtime.loader.lock():
            print(len(m.memory.read(wasmtime.loader.store, 0, 2)))
        """,
        host__dot__py=BLOCKS,
        m__dot__wat=CALLS_OUT.replace("(module", '(module (memory (export "memory") 1)').replace(
            '(memory (export "memory") 1) (import "host" "wait" (func $wait (param i32)))',
            '(import "host" "wait" (func $wait (param i32))) (memory (export "memory") 1)',
        ),
    )
    assert output == "3 True\n2\n"


def test_an_import_does_not_wait_for_ever(run: Run) -> None:
    """
    The thread that is inside of the store waits for the import here, which nobody could know.
    """
    output = run(
        """
        import threading
        import wasmtime.loader
        wasmtime.loader.core_modules._PATIENCE = 0.3
        import host, m
        thread = threading.Thread(target=m.enter, args=[0])
        thread.start()
        host.inside.wait()
        try:
            import m0
        except ImportError as error:
            print(error)
        host.leave.set()
        thread.join()
        import m0
        print(m0.add(1, 2))
        """,
        host__dot__py=BLOCKS,
        m__dot__wat=CALLS_OUT,
        m0__dot__wat=ADD,
    )
    refused, result = output.splitlines()
    assert refused.endswith("the store has been in use by another thread for 0.3 seconds")
    assert result == "3"


def test_many_threads_call_and_import_at_once(run: Run) -> None:
    output = run(
        """
        import importlib, threading
        import wasmtime.loader
        import m
        failures = []
        def work(number):
            try:
                for index in range(300):
                    assert m.add(index, number) == index + number
                    if index == number * 20:
                        importlib.import_module(f"m{number % 4}").enter(3)
            except BaseException as error:
                failures.append(error)
        threads = [threading.Thread(target=work, args=[number]) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(failures)
        """,
        host__dot__py="""
        def wait(depth):
            import m
            if depth:
                m.enter(depth - 1)
        """,
        m__dot__wat=CALLS_OUT,
        **{f"m{number}__dot__wat": CALLS_OUT for number in range(4)},
    )
    assert output == "[]\n"


def test_two_modules_that_wait_for_each_other_are_told(run: Run) -> None:
    """
    Each thread is inside of one store, and its host function calls into the other.
    """
    output = run(
        """
        import threading
        import wasmtime, wasmtime.loader
        import host
        import m
        wasmtime.loader.configure(engine=wasmtime.Engine())
        import m0
        host.modules[:] = [m, m0]
        results = []
        def work(number):
            try:
                host.modules[number].enter(number)
                results.append("done")
            except wasmtime.WasmtimeError as error:
                results.append("wait for ever" in str(error))
        threads = [threading.Thread(target=work, args=[number]) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(sorted(results, key=str))
        print(m.add(1, 2), m0.add(3, 4))
        """,
        host__dot__py="""
        import threading
        modules = []
        both = threading.Barrier(2)
        def wait(number):
            both.wait()
            modules[1 - number].add(1, 2)
        """,
        m__dot__wat=CALLS_OUT,
        m0__dot__wat=CALLS_OUT,
    )
    assert output == "[True, 'done']\n3 7\n"


def test_the_event_loop_and_its_threads(run: Run) -> None:
    output = run(
        """
        import asyncio
        import wasmtime.loader
        import m
        async def main():
            loop = asyncio.get_running_loop()
            calls = [loop.run_in_executor(None, m.add, number, 1) for number in range(50)]
            inline = [m.add(number, 1) for number in range(50)]
            assert await asyncio.gather(*calls) == inline
        asyncio.run(main())
        print("done")
        """,
        m__dot__wat=ADD,
    )
    assert output == "done\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a test cannot press Ctrl-C there")
def test_ctrl_c_ends_the_wait(run: Run) -> None:
    output = run(
        """
        import os, signal, threading
        import wasmtime.loader
        import host, m
        thread = threading.Thread(target=m.enter, args=[0])
        thread.start()
        host.inside.wait()
        threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()
        try:
            m.add(1, 2)
        except KeyboardInterrupt:
            print("interrupted")
        host.leave.set()
        thread.join()
        print(m.add(1, 2))
        """,
        host__dot__py=BLOCKS,
        m__dot__wat=CALLS_OUT,
    )
    assert output == "interrupted\n3\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a test cannot press Ctrl-C there")
@pytest.mark.skipif(
    sys.version_info < (3, 10), reason="its with statements may be left without their end (29988)"
)
@pytest.mark.parametrize("stores", [1, 2])
def test_an_interrupted_call_does_not_keep_its_turn(run: Run, stores: int) -> None:
    output = run(
        f"""
        import signal, threading
        import wasmtime, wasmtime.loader
        import m
        if {stores} == 2:
            wasmtime.loader.configure(engine=wasmtime.Engine())
            import m0
        def handler(number, frame):
            raise KeyboardInterrupt
        signal.signal(signal.SIGALRM, handler)
        for number in range(1000):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0001 + number * 2e-7)
                while True:
                    m.add(1, 2)
            except KeyboardInterrupt:
                pass
        results = []
        thread = threading.Thread(target=lambda: results.append(m.add(1, 2)), daemon=True)
        thread.start()
        thread.join(20)
        print(results)
        """,
        m__dot__wat=ADD,
        m0__dot__wat=ADD,
    )
    assert output == "[3]\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_does_not_wait_for_a_thread_of_its_parent(run: Run) -> None:
    output = run(
        """
        import os, threading, warnings
        warnings.simplefilter("ignore")
        import wasmtime, wasmtime.loader
        import host, m
        thread = threading.Thread(target=m.enter, args=[0])
        thread.start()
        host.inside.wait()
        child = os.fork()
        if child == 0:
            try:
                m.add(1, 2)
            except wasmtime.WasmtimeError as error:
                os._exit(7 if "in use" in str(error) else 8)
            os._exit(9)
        host.leave.set()
        thread.join()
        print(os.waitpid(child, 0)[1] >> 8)
        """,
        host__dot__py=BLOCKS,
        m__dot__wat=CALLS_OUT,
    )
    assert output == "7\n"


def test_settings_can_be_changed_while_others_import(run: Run) -> None:
    output = run(
        """
        import importlib, sys, threading
        import wasmtime, wasmtime.loader
        failures = []
        done = threading.Event()
        def change():
            while not done.is_set():
                wasmtime.loader.configure(engine=wasmtime.Engine())
        thread = threading.Thread(target=change)
        thread.start()
        try:
            for _ in range(60):
                sys.modules.pop("m", None)
                assert importlib.import_module("m").add(1, 2) == 3
        finally:
            done.set()
            thread.join()
        print("done")
        """,
        m__dot__wat=ADD,
    )
    assert output == "done\n"
