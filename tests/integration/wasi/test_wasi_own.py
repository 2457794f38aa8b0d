"""
WASI preview 1 by the package's own functions: what the library's cannot do.
"""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
import wasi_calls as calls
from support import HELPERS, posix, repeatedly, run_in_subprocess
from wasi_calls import Guest

from wasmtime import (
    Config,
    Engine,
    FuncType,
    GuestExit,
    InterruptTrap,
    Linker,
    Module,
    OutputLimitTrap,
    Store,
    TimeoutTrap,
    Trap,
    WasiConfig,
    WasiTrap,
    WasmtimeError,
)
from wasmtime.component import Component
from wasmtime.component import Linker as ComponentLinker

#: As long as nothing waits for it.
LONG = 60.0


@pytest.fixture
def engine(own: Engine) -> Engine:
    """
    This file is about the package's own functions.
    """
    return own


@pytest.fixture
def library() -> Engine:
    """
    An engine whose guests the library serves.
    """
    return Engine(Config(library_wasi=True))


def fill(descriptor: int) -> None:
    """
    Leave no room in a pipe, which does not block from now on.
    """
    os.set_blocking(descriptor, False)
    try:
        while True:
            os.write(descriptor, bytes(4096))
    except BlockingIOError:
        pass


def with_stdin(source: Any) -> WasiConfig:
    wasi = WasiConfig()
    wasi.stdin_custom = source
    return wasi


class TestWaiting:
    """
    A guest that sleeps, reads or writes is ended by what ends one that computes.
    """

    @pytest.fixture(params=["sleep", "poll a pipe", "read a pipe", "write to a full pipe"])
    def wait(self, request: pytest.FixtureRequest, engine: Engine) -> Any:
        """
        A guest that waits for ever, and its store.
        """
        if request.param != "sleep" and os.name == "nt":
            pytest.skip("pipes by descriptors are of POSIX")
        reading, writing = os.pipe()
        files = [os.fdopen(reading, "rb", buffering=0), os.fdopen(writing, "wb", buffering=0)]
        wasi = WasiConfig()
        wasi.stdin_custom = files[0]
        if request.param == "write to a full pipe":
            fill(writing)
            wasi.stdout_file = f"/dev/fd/{writing}"
        guest = Guest(engine, wasi)
        waits: dict[str, Callable[[], Any]] = {
            "sleep": lambda: guest.sleep(LONG),
            "poll a pipe": lambda: guest.poll(
                calls.clock(1, LONG), calls.descriptor(2, calls.READ, 0)
            ),
            "read a pipe": lambda: guest.read(0, 1),
            "write to a full pipe": lambda: guest.write(1, bytes(65536)),
        }
        yield guest.store, waits[request.param]
        for file in files:
            file.close()

    def test_a_timeout_ends_it(self, wait: Any) -> None:
        store, waits = wait
        store.set_timeout(0.02)
        started = time.monotonic()
        with pytest.raises(TimeoutTrap):
            waits()
        assert time.monotonic() - started < LONG / 2

    def test_an_interrupt_ends_it(self, wait: Any) -> None:
        store, waits = wait
        with repeatedly(store.interrupt), pytest.raises(InterruptTrap):
            waits()

    def test_an_epoch_deadline_ends_it(self, engine: Engine, wait: Any) -> None:
        store, waits = wait
        store.set_epoch_deadline(1)
        timer = threading.Timer(0.05, engine.increment_epoch)
        timer.start()
        with pytest.raises(Trap, match="interrupt"):
            waits()
        timer.join()

    @posix
    def test_a_signal_is_heard(self, wait: Any) -> None:
        _, waits = wait

        class Heard(Exception):
            pass

        def handler(*_: object) -> None:
            raise Heard

        def waits_for_it() -> None:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            waits()

        before = signal.signal(signal.SIGALRM, handler)
        try:
            with pytest.raises(Heard):
                waits_for_it()
        finally:
            signal.signal(signal.SIGALRM, before)

    def test_nothing_is_written_after_a_wait_that_was_ended(self, engine: Engine) -> None:
        text = calls.text(
            rest="""(func (export "sleep, then write")
            (drop (call $poll_oneoff (i32.const 1024) (i32.const 4096) (i32.const 1) (i32.const 8)))
            (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8))))"""
        )
        wasi = WasiConfig()
        output = wasi.capture_stdout()
        guest = Guest(engine, wasi, source=text)
        guest.poke(calls.IOV, b"\0\x20\0\0\x04\0\0\0")
        guest.poke(calls.SUBSCRIPTIONS, calls.clock(1, LONG))
        guest.store.set_timeout(0.02)
        function: Any = guest.exports["sleep, then write"]
        with pytest.raises(TimeoutTrap):
            function(guest.store)
        assert output.getvalue() == b""

    def test_a_sleep_lasts_as_long_as_it_should(self, engine: Engine) -> None:
        guest = Guest(engine)
        started = time.monotonic()
        assert guest.poll(calls.clock(7, 0.03), calls.clock(8, LONG)) == (0, [(7, 0, calls.CLOCK)])
        assert 0.03 <= time.monotonic() - started < LONG / 2

    def test_a_sleep_until_a_moment(self, engine: Engine) -> None:
        guest = Guest(engine)
        for which in (calls.REALTIME, calls.MONOTONIC):
            until = guest.time(which) + 20_000_000
            assert guest.poll(calls.clock(1, 0, which, until=until))[0] == 0
            assert guest.time(which) >= until

    def test_many_sleeping_stores_need_no_descriptors(self) -> None:
        run_in_subprocess(
            """
            import os, threading, time
            from wasi_calls import Guest
            from wasmtime import Engine, Store, TimeoutTrap
            engine = Engine()
            guests = [Guest(engine) for _ in range(200)]
            before = len(os.listdir("/dev/fd"))
            def sleep(guest):
                guest.store.set_timeout(0.5)
                try: guest.sleep(60)
                except TimeoutTrap: pass
            threading.stack_size(8 << 20)
            threads = [threading.Thread(target=sleep, args=(guest,)) for guest in guests]
            for thread in threads: thread.start()
            time.sleep(0.1)
            assert len(os.listdir("/dev/fd")) <= before + 3
            for thread in threads: thread.join()
            """,
            preamble="",
            env=HELPERS,
        ).check()


class TestInput:
    @pytest.mark.parametrize("size", [1, 3, 100])
    def test_a_callable_gives_bytes(self, engine: Engine, size: int) -> None:
        pieces = iter([b"first", b"second"])
        asked: list[int] = []

        def source(wanted: int) -> bytes:
            asked.append(wanted)
            return next(pieces, b"")

        guest = Guest(engine, with_stdin(source))
        got = b""
        while True:
            error, data = guest.read(0, size)
            assert error == 0
            if not data:
                break
            got += data
        assert got == b"firstsecond"
        assert set(asked) == {size}
        assert guest.read(0, size) == (0, b"")
        assert len(asked) == 3  # not asked again after the end

    @pytest.mark.parametrize("setting", ["stdin_custom", "stdin_file"])
    @pytest.mark.parametrize("kind", ["BytesIO", "buffered", "unbuffered", "bytearrays"])
    def test_a_file_object_is_read(
        self, engine: Engine, tmp_path: Path, kind: str, setting: str
    ) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"contents")

        class Bytearrays:
            def __init__(self) -> None:
                self.left = [bytearray(b"cont"), bytearray(b"ents"), bytearray()]

            def read(self, size: int) -> bytearray:
                return self.left.pop(0)

        source: Any = {
            "BytesIO": lambda: io.BytesIO(b"contents"),
            "buffered": lambda: path.open("rb"),
            "unbuffered": lambda: path.open("rb", buffering=0),
            "bytearrays": Bytearrays,
        }[kind]()
        wasi = WasiConfig()
        setattr(wasi, setting, source)
        assert wasi.stdin_custom == source
        assert not wasi.stdin_file
        guest = Guest(engine, wasi)
        assert guest.read(0, 3) == (0, b"con")
        assert b"".join(guest.read(0, 10)[1] for _ in range(3)) == b"tents"
        if hasattr(source, "close"):
            source.close()

    def test_an_exception_comes_out_unchanged(self, engine: Engine) -> None:
        raised = RuntimeError("from the callable")

        def source(size: int) -> bytes:
            raise raised

        with pytest.raises(RuntimeError) as caught:
            Guest(engine, with_stdin(source)).read(0, 1)
        assert caught.value is raised

    @pytest.mark.parametrize("given", ["text", None, 3])
    def test_what_are_no_bytes_is_refused(self, engine: Engine, given: Any) -> None:
        with pytest.raises(TypeError, match="standard input must be bytes"):
            Guest(engine, with_stdin(lambda size: given)).read(0, 1)

    def test_a_coroutine_needs_an_asynchronous_call(self, engine: Engine) -> None:
        async def source(size: int) -> bytes:
            return b""

        with pytest.raises(TypeError, match="needs an asynchronous call"):
            Guest(engine, with_stdin(source)).read(0, 1)

    @pytest.mark.parametrize("source", [None, 3, b"bytes", io.StringIO("text")])
    def test_what_cannot_be_read_is_refused(self, source: Any) -> None:
        with pytest.raises(TypeError, match="stdin_custom"):
            WasiConfig().stdin_custom = source

    def test_it_may_call_the_store_that_reads(self, engine: Engine) -> None:
        guests: list[Guest] = []
        wasi = with_stdin(lambda size: b"%d" % guests[0].call("sched_yield"))
        guests.append(Guest(engine, wasi))
        assert guests[0].read(0, 10) == (0, b"0")

    def test_it_may_give_the_store_another_configuration(self, engine: Engine) -> None:
        guests: list[Guest] = []

        def source(size: int) -> bytes:
            other = WasiConfig()
            other.stdin_bytes = b"other"
            guests[0].store.set_wasi(other)
            return b"first"

        guests.append(Guest(engine, with_stdin(source)))
        assert guests[0].read(0, 10) == (0, b"other")

    def test_a_terminal_or_pipe_at_its_end_is_asked_again(self, engine: Engine) -> None:
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", buffering=0) as source:
            guest = Guest(engine, with_stdin(source))
            os.write(writing, b"one")
            assert guest.read(0, 10) == (0, b"one")
            os.close(writing)
            assert guest.read(0, 10) == (0, b"")


class TestLimits:
    def test_truncating_keeps_what_fits(self, engine: Engine) -> None:
        for name in ("stdout", "stderr", "output"):
            wasi = WasiConfig()
            output = getattr(wasi, f"capture_{name}")(limit=5, on_limit="truncate")
            guest = Guest(engine, wasi)
            number = 2 if name == "stderr" else 1
            assert guest.write(number, b"abc") == (0, 3)
            assert guest.write(number, b"defg") == (0, 4)
            assert guest.write(number, b"h") == (0, 1)
            assert output.getvalue() == b"abcde"
            assert (output.truncated, output.total, output.on_limit) == (True, 8, "truncate")
            assert output.read() == b"abcde"
            assert guest.write(number, b"i") == (0, 1)
            assert output.read() == b""  # no hole in the middle

    def test_stopping_ends_the_call(self, engine: Engine) -> None:
        wasi = WasiConfig()
        output = wasi.capture_output(limit=5, on_limit="stop")
        guest = Guest(engine, wasi)
        assert guest.write(1, b"abc") == (0, 3)
        with pytest.raises(OutputLimitTrap, match="limit of 5 bytes") as caught:
            guest.write(2, b"defg")
        assert isinstance(caught.value, (Trap, GuestExit))
        assert caught.value.frames
        assert output.getvalue() == b"abcde"
        assert output.truncated
        assert output.read() == b"abcde"
        assert guest.write(1, b"more") == (0, 4)

    def test_without_a_word_the_write_fails(self, engine: Engine) -> None:
        wasi = WasiConfig()
        output = wasi.capture_stdout(limit=5)
        guest = Guest(engine, wasi)
        assert guest.write(1, b"abcdef")[0] == calls.NOSPC
        assert output.getvalue() == b""

    def test_limits_of_a_callable(self, engine: Engine) -> None:
        for on_limit, expected in (("truncate", b"abcde"), ("stop", b"abcde"), (None, b"abc")):
            seen: list[bytes] = []
            wasi = WasiConfig()
            wasi.stdout_custom(seen.append, limit=5, on_limit=on_limit)  # type: ignore[arg-type]
            guest = Guest(engine, wasi)
            assert guest.write(1, b"abc") == (0, 3)
            if on_limit == "stop":
                with pytest.raises(OutputLimitTrap, match="stdout_custom"):
                    guest.write(1, b"defg")
            else:
                assert guest.write(1, b"defg")[0] == (0 if on_limit else calls.NOSPC)
            assert b"".join(seen) == expected

    def test_limits_that_mean_nothing_are_refused(self) -> None:
        wasi = WasiConfig()
        with pytest.raises(ValueError, match="on_limit must be"):
            wasi.capture_output(limit=1, on_limit="explode")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="needs a limit"):
            wasi.capture_output(on_limit="stop")
        with pytest.raises(ValueError, match="needs a limit"):
            wasi.stdout_custom(print, on_limit="stop")


class TestReproducibleRuns:
    def test_the_same_seed_gives_the_same_numbers(self, engine: Engine) -> None:
        def random(seed: Any) -> bytes:
            wasi = WasiConfig()
            wasi.random_seed = seed
            guest = Guest(engine, wasi)
            return guest.random(20) + guest.random(7)

        for seed in (0, 1, -1, 2**200, b"", b"1"):
            assert random(seed) == random(seed)
        numbers = {random(seed) for seed in (0, 1, -1, 2**200, b"", b"1", b"0", None)}
        assert len(numbers) == 8

    def test_the_numbers_are_the_same_on_every_platform(self, engine: Engine) -> None:
        # xoshiro256** from the SHA-256 of the seed, computed here by its definition.
        import hashlib
        import struct

        state = list(struct.unpack("<4Q", hashlib.sha256(b"int:7").digest()))
        mask = 2**64 - 1

        def rotate(value: int, by: int) -> int:
            return (value << by | value >> (64 - by)) & mask

        expected = b""
        for _ in range(4):
            expected += struct.pack("<Q", rotate(state[1] * 5 & mask, 7) * 9 & mask)
            shifted = state[1] << 17 & mask
            state[2] ^= state[0]
            state[3] ^= state[1]
            state[1] ^= state[2]
            state[0] ^= state[3]
            state[2] ^= shifted
            state[3] = rotate(state[3], 45)
        wasi = WasiConfig()
        wasi.random_seed = 7
        assert Guest(engine, wasi).random(32) == expected

    @pytest.mark.parametrize("seed", [1.5, "text", True])
    def test_what_is_no_seed_is_refused(self, seed: Any) -> None:
        with pytest.raises(TypeError, match="random_seed"):
            WasiConfig().random_seed = seed

    def test_time_moves_by_readings_and_by_sleeps(self, engine: Engine) -> None:
        def run() -> list[int]:
            wasi = WasiConfig()
            wasi.clock = 1_700_000_000
            guest = Guest(engine, wasi)
            times = [guest.time(), guest.time(), guest.time(calls.MONOTONIC)]
            guest.sleep(0.01)
            return [*times, guest.time(), guest.time(calls.MONOTONIC)]

        times = run()
        assert times == run()
        start = 1_700_000_000 * 10**9
        assert times[:3] == [start, start + 1000, 2000]
        assert times[3] == start + 3000 + 10_000_000
        assert times[4] == 4000 + 10_000_000

    def test_a_callable_says_what_time_it_is(self, engine: Engine) -> None:
        readings = iter([100, 101.5, 99, 103, 103])
        wasi = WasiConfig()
        wasi.clock = lambda: next(readings)
        guest = Guest(engine, wasi)
        assert guest.time() == 100 * 10**9
        assert guest.time(calls.MONOTONIC) == 1_500_000_000
        assert guest.time(calls.MONOTONIC) == 1_500_000_000  # it does not go back
        assert guest.time(calls.MONOTONIC) == 5_500_000_000
        assert guest.poll(calls.clock(1, 0, calls.REALTIME, until=102 * 10**9))[0] == 0

    @pytest.mark.parametrize("answer", [-1, float("nan"), float("inf"), 2**80])
    def test_a_moment_that_no_clock_shows(self, engine: Engine, answer: Any) -> None:
        wasi = WasiConfig()
        with pytest.raises(ValueError, match="seconds since 1970"):
            wasi.clock = answer
        wasi.clock = lambda: answer
        with pytest.raises(ValueError, match="seconds since 1970"):
            Guest(engine, wasi).time()

    def test_what_is_no_clock_is_refused(self) -> None:
        for clock in ("now", True):
            with pytest.raises(TypeError, match="clock"):
                WasiConfig().clock = clock  # type: ignore[assignment]

    def test_components_and_the_library_refuse_them(self, engine: Engine, library: Engine) -> None:
        text = """(component (import "wasi:random/random@0.2.0"
            (instance (export "get-random-u64" (func (result u64))))))"""
        component = Component(engine, text)
        linker = ComponentLinker(engine)
        linker.add_wasip2()
        for name, value in (("random_seed", 1), ("clock", 1), ("stdin_custom", io.BytesIO())):
            wasi = WasiConfig()
            setattr(wasi, name, value)
            store = Store(engine)
            store.set_wasi(wasi)
            with pytest.raises(WasmtimeError, match=name):
                linker.instantiate(store, component)
            with pytest.raises(WasmtimeError, match=name):
                Store(library).set_wasi(wasi)


class TestPosix:
    """
    Where the library loses data, a guest gets what POSIX says.
    """

    @posix
    @pytest.mark.parametrize("handler", ["signal.SIG_DFL", "signal.SIG_IGN"])
    def test_a_closed_pipe_is_an_error_and_no_signal(self, handler: str) -> None:
        run_in_subprocess(
            f"""
            import os, signal
            from wasi_calls import PIPE, Guest
            from wasmtime import Engine, WasiConfig
            signal.signal(signal.SIGPIPE, {handler})
            reading, writing = os.pipe()
            wasi = WasiConfig()
            wasi.stdout_file = f"/dev/fd/{{writing}}"
            guest = Guest(Engine(), wasi)
            assert guest.write(1, b"x") == (0, 1)
            os.close(reading)
            assert guest.write(1, b"x")[0] == PIPE
            assert guest.write(1, b"x")[0] == PIPE
            assert signal.SIGPIPE not in signal.sigpending()
            """,
            preamble="",
            env=HELPERS,
        ).check()

    @posix
    def test_a_full_pipe_that_does_not_block_is_waited_for(self, engine: Engine) -> None:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        wasi = WasiConfig()
        wasi.stdout_file = f"/dev/fd/{writing}"
        guest = Guest(engine, wasi)
        data = os.urandom(150_000)
        got = bytearray()

        def drain() -> None:
            while len(got) < len(data):
                got.extend(os.read(reading, 65536))

        thread = threading.Thread(target=drain)
        thread.start()
        assert guest.write(1, data) == (0, len(data))
        thread.join()
        assert bytes(got) == data
        os.close(reading)
        os.close(writing)

    def test_pointers_out_of_memory_end_the_guest(self, engine: Engine) -> None:
        guest = Guest(engine)
        for arguments in ((1, 2**18 - 4, 1, 8), (1, calls.IOV + 1, 1, 8), (1, calls.IOV, 0, 2**31)):
            with pytest.raises(WasiTrap) as caught:
                guest.call("fd_write", *arguments)
            assert isinstance(caught.value, Trap)
            assert isinstance(caught.value, WasmtimeError)

    def test_a_module_without_a_memory_export(self, engine: Engine) -> None:
        guest = Guest(engine, source=calls.text("(memory 1)"))
        with pytest.raises(WasiTrap, match="missing required memory export"):
            guest.call("sched_yield")


class TestDescriptors:
    @pytest.fixture
    def directory(self, tmp_path: Path) -> Callable[..., WasiConfig]:
        def directory(wasi: Optional[WasiConfig] = None) -> WasiConfig:
            wasi = wasi or WasiConfig()
            wasi.preopen_dir(tmp_path, "/")
            return wasi

        return directory

    def test_a_stream_is_closed_and_its_number_used_again(
        self, engine: Engine, directory: Any, tmp_path: Path
    ) -> None:
        wasi = directory()
        output = wasi.capture_stdout()
        guest = Guest(engine, wasi)
        assert guest.write(1, b"out") == (0, 3)
        assert guest.call("fd_close", 1) == 0
        assert guest.write(1, b"out")[0] == calls.BADF
        assert guest.open("file") == 1
        assert guest.write(1, b"in the file") == (0, 11)
        assert output.getvalue() == b"out"
        assert (tmp_path / "file").read_bytes() == b"in the file"

    def test_a_file_takes_the_place_of_a_stream_and_a_stream_that_of_a_file(
        self, engine: Engine, directory: Any, tmp_path: Path
    ) -> None:
        wasi = directory()
        out, err = wasi.capture_stdout(), wasi.capture_stderr()
        guest = Guest(engine, wasi)
        file = guest.open("file")
        assert guest.call("fd_renumber", file, 1) == 0
        assert guest.write(1, b"file") == (0, 4)
        assert guest.write(file, b"")[0] == calls.BADF
        other = guest.open("other")
        assert guest.call("fd_renumber", 2, other) == 0
        assert guest.write(other, b"err") == (0, 3)
        assert guest.write(2, b"")[0] == calls.BADF
        assert (out.getvalue(), err.getvalue()) == (b"", b"err")
        assert (tmp_path / "file").read_bytes() == b"file"

    def test_what_forwards_does_not_count_against_the_limits(
        self, engine: Engine, directory: Any, tmp_path: Path
    ) -> None:
        store = Store(engine)
        store.set_limits(instances=1, memories=1)
        guest = Guest(engine, directory(), store=store)
        assert guest.write(guest.open("file"), b"written") == (0, 7)
        assert (tmp_path / "file").read_bytes() == b"written"
        with pytest.raises(WasmtimeError, match="instance"):
            Linker(engine).instantiate(store, Module(engine, "(module)"))
        store.set_limits(instances=2)
        Linker(engine).instantiate(store, Module(engine, "(module)"))

    def test_what_forwards_does_not_count_against_a_pool(self, directory: Any) -> None:
        from wasmtime import PoolingAllocationConfig

        config = Config()
        config.allocation_strategy = PoolingAllocationConfig(total_core_instances=1)
        guest = Guest(Engine(config), directory())
        assert guest.write(guest.open("file"), b"written") == (0, 7)

    @pytest.mark.parametrize(
        "memory", ['(memory (export "memory") i64 4)', '(memory (export "memory") 4 8 shared)']
    )
    def test_every_kind_of_memory_forwards(self, directory: Any, memory: str) -> None:
        config = Config()
        config.wasm_threads = config.shared_memory = True
        engine = Engine(config)
        index = "(i64.extend_i32_u (local.get 0))" if "i64" in memory else "(local.get 0)"
        text = calls.text(
            memory,
            f"""(func (export "poke") (param i32 i32) (i32.store8 {index} (local.get 1)))
            (func (export "peek") (param i32) (result i32) (i32.load8_u {index}))""",
        )

        class Poker(Guest):
            def poke(self, at: int, data: bytes) -> None:
                poke: Any = self.exports["poke"]
                for offset, byte in enumerate(data):
                    poke(self.store, at + offset, byte)

            def peek(self, at: int, size: int) -> bytes:
                peek: Any = self.exports["peek"]
                return bytes(peek(self.store, at + offset) for offset in range(size))

        wasi = directory()
        output = wasi.capture_stdout()
        guest = Poker(engine, wasi, source=text)
        assert guest.write(1, b"own") == (0, 3)
        assert guest.write(guest.open("file"), b"file") == (0, 4)
        assert output.getvalue() == b"own"

    def test_files_and_streams_are_polled_together(self, engine: Engine, directory: Any) -> None:
        wasi = directory()
        wasi.stdin_bytes = b"x"
        guest = Guest(engine, wasi)
        file = guest.open("file")
        subscriptions = (
            calls.clock(1, LONG),
            calls.descriptor(2, calls.READ, file),
            calls.descriptor(3, calls.READ, 0),
            calls.descriptor(4, calls.WRITE, file),
            calls.descriptor(5, calls.WRITE, 1),
        )
        error, events = guest.poll(*subscriptions)
        assert error == 0
        assert events == [(2, 0, 1), (3, 0, 1), (4, 0, 2), (5, 0, 2)]
        assert guest.poll(*subscriptions, calls.descriptor(6, calls.READ, 99))[0] == calls.BADF

    def test_a_component_and_open_files_do_not_meet(self, engine: Engine, directory: Any) -> None:
        guest = Guest(engine, directory())
        guest.open("file")
        guest.write(4, b"x")
        linker = ComponentLinker(engine)
        linker.add_wasip2()
        text = """(component (import "wasi:random/random@0.2.0"
            (instance (export "get-random-u64" (func (result u64))))))"""
        with pytest.raises(WasmtimeError, match="another store"):
            linker.instantiate(guest.store, Component(engine, text))

    def test_a_store_without_a_configuration(self, engine: Engine) -> None:
        linker = Linker(engine)
        linker.define_wasi()
        with pytest.raises(WasmtimeError, match="set_wasi"):
            linker.get(Store(engine), calls.PREVIEW1, "fd_write")

    def test_own_definitions_take_the_place_of_ours(self, engine: Engine) -> None:
        from wasmtime import ValType

        linker = Linker(engine)
        linker.define_wasi()
        linker.allow_shadowing = True
        ty = FuncType([ValType.I32] * 2, [ValType.I32])
        linker.define_func(calls.PREVIEW1, "random_get", ty, lambda at, size: 77)
        store = Store(engine)
        store.set_wasi(WasiConfig())
        exports = linker.instantiate(store, Module(engine, calls.text())).exports(store)
        random_get: Any = exports["random_get"]
        assert random_get(store, 0, 0) == 77
