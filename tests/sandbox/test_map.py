"""
Maps over many inputs: batches, order, executors of threads and processes, workers that die.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest
import wasi_programs
from support import posix

from wasmtime.sandbox import Exports, Interpreter, Plugin, Pool, Program, Reason, ResourceLimits
from wasmtime.sandbox.scale import loss, progress, remote, travel
from wasmtime.sandbox.scale.batches import Batches

from . import guests, scaled

PATIENT = ResourceLimits(timeout=60)


def double() -> Plugin:
    """
    A plug-in that kills a worker process at the input 13.
    """
    return Plugin(scaled.ASKING, functions={"look": scaled.kill_at_13}, limits=PATIENT)


def values(results: Iterator[Any]) -> list[Any]:
    return [result.value for result in results]


class HereExecutor(Executor):
    """
    An executor that pickles, and runs in this thread, as if it were another process.
    """

    def __init__(self) -> None:
        self.tasks: list[tuple[Any, ...]] = []

    def submit(self, function: Any, /, *args: Any, **keywords: Any) -> Future[Any]:
        import pickle

        self.tasks.append(args)
        future: Future[Any] = Future()
        try:
            function, args = pickle.loads(pickle.dumps((function, args)))
            future.set_result(pickle.loads(pickle.dumps(function(*args, **keywords))))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture
def _new_worker() -> Iterator[None]:
    """
    A worker that has not been sent anything.
    """
    remote._targets.clear()
    yield
    remote._targets.clear()


def test_results_come_in_the_order_of_the_inputs() -> None:
    assert values(double().map("double", range(500))) == [2 * n for n in range(500)]


def test_results_come_as_they_are_there_if_asked() -> None:
    opened = threading.Event()

    def look(number: int) -> None:
        assert number or opened.wait(60)

    plugin = Plugin(scaled.ASKING, functions={"look": look}, limits=PATIENT)
    with Pool(plugin, workers=2) as pool:
        results = pool.map([0, 1], name="double", ordered=False, chunksize=1)
        assert next(results).value == 2
        opened.set()
        assert next(results).value == 0


def test_inputs_are_arguments_keywords_or_a_single_argument() -> None:
    program = Program(wasi_programs.CAT)
    inputs = [("a",), ["a", "b"], "word", {"stdin": "given"}, {"args": ("a",), "stdin": b"x"}]
    results = list(program.map(inputs))
    assert [result.stdout for result in results] == [b"", b"", b"", b"given", b"x"]


def test_an_input_that_is_none_says_so_and_the_others_are_run() -> None:
    results = list(double().map("double", [1, "two", {"n": 3}, 4]))
    assert [result.ok for result in results] == [True, False, False, True]
    assert results[1].reason is results[2].reason is Reason.NOT_STARTED
    assert "no keywords" in results[2].message


def test_inputs_are_taken_as_results_are() -> None:
    taken = []

    def inputs() -> Iterator[int]:
        for number in range(1_000_000):
            taken.append(number)
            yield number

    results = double().map("double", inputs())
    assert taken == []
    assert next(results).value == 0
    results.close()  # type: ignore[attr-defined]
    assert len(taken) < 20_000


def test_arguments_are_checked_at_once() -> None:
    plugin = double()
    with pytest.raises(TypeError, match="iterable"):
        plugin.map("double", 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="chunksize"):
        plugin.map("double", [], chunksize=0)
    with pytest.raises(TypeError, match="progress"):
        plugin.map("double", [], progress=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"concurrent\.futures\.Executor"):
        plugin.map("double", [], executor=3)
    with Pool(plugin, workers=1) as pool:
        with pytest.raises(TypeError, match="a map of its own"):
            plugin.map("double", [], executor=pool)
        with pytest.raises(TypeError, match="name must be"):
            pool.map([1])


# -- batches


def test_batches_grow_until_they_take_long_enough_and_shrink_at_the_end() -> None:
    batches = Batches(iter(range(1000)), 1000, None, 0.1)
    sizes = []
    while True:
        batch = batches.next(2)
        if batch is None:
            break
        sizes.append(len(batch.inputs))
        batches.measured(len(batch.inputs), 0.001 * len(batch.inputs))
    assert sum(sizes) == 1000
    assert sizes[:4] == [1, 4, 16, 64]
    assert max(sizes) in (99, 100)
    assert sizes[-1] == 1


def test_costly_inputs_go_one_by_one() -> None:
    batches = Batches(iter(range(10)), None, None, 0.1)
    for _ in range(10):
        batch = batches.next(2)
        assert batch is not None
        assert len(batch.inputs) == 1
        batches.measured(1, 5.0)


def test_a_chunksize_is_kept_to() -> None:
    executor = HereExecutor()
    assert values(double().map("double", range(10), executor=executor, chunksize=4)) == [
        2 * n for n in range(10)
    ]
    assert [len(sent) for _, _, sent in executor.tasks] == [4, 4, 2]


# -- executors


def test_threads() -> None:
    with ThreadPoolExecutor(2) as executor:
        assert values(double().map("double", range(100), executor=executor)) == [
            2 * n for n in range(100)
        ]


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(method, marks=[] if method == "spawn" else [pytest.mark.slow])
        for method in multiprocessing.get_all_start_methods()
    ],
)
def test_processes(method: str) -> None:
    if method == "fork" and sys.version_info >= (3, 12):
        pytest.skip("forking a process with threads is deprecated")
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        results = double().map("double", range(10), executor=executor)
        assert values(results) == [2 * n for n in range(10)]


@pytest.mark.slow
def test_loky() -> None:
    loky = pytest.importorskip("loky")
    executor = loky.get_reusable_executor(max_workers=2)
    results = list(double().map("double", range(30), executor=executor))
    assert [r.value for r in results if r.ok] == [2 * n for n in range(30) if n != 13]
    assert results[13].reason is Reason.WORKER_LOST
    loky.get_reusable_executor().shutdown()


@posix
def test_who_kills_its_worker_harms_nobody_else() -> None:
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        results = list(double().map("double", range(30), executor=executor))
    assert results[13].reason is Reason.WORKER_LOST
    assert [r.value for n, r in enumerate(results) if n != 13] == [
        2 * n for n in range(30) if n != 13
    ]


class _Broken(HereExecutor):
    """
    An executor whose workers die a few times, whatever they are given.
    """

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def submit(self, function: Any, /, *args: Any, **keywords: Any) -> Future[Any]:
        if self.left == 0:
            return super().submit(function, *args, **keywords)
        self.left -= 1
        self.tasks.append(args)
        future: Future[Any] = Future()
        future.set_exception(KilledWorker("a task"))
        return future


class KilledWorker(Exception):
    """
    What Dask raises, by name.
    """


KilledWorker.__module__ = "distributed.scheduler"


@pytest.mark.parametrize(
    ("retries", "deaths", "is_lost"), [(0, 1, True), (1, 1, False), (1, 2, True), (2, 2, False)]
)
def test_an_input_is_run_again_as_often_as_asked(retries: int, deaths: int, is_lost: bool) -> None:
    executor = _Broken(deaths)
    (result,) = double().map("double", [1], executor=executor, retries=retries)
    assert (result.reason is Reason.WORKER_LOST) == is_lost
    assert is_lost == ("KilledWorker: a task" in result.message)


def test_inputs_whose_batch_is_lost_twice_go_one_by_one() -> None:
    executor = _Broken(2)
    results = double().map("double", [1, 2, 3], executor=executor, chunksize=3)
    assert values(results) == [2, 4, 6]
    assert [len(sent) for _, _, sent in executor.tasks] == [3, 3, 1, 1, 1]


def test_what_else_an_executor_fails_with_is_raised() -> None:
    class Failing(HereExecutor):
        def submit(self, function: Any, /, *args: Any, **keywords: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(OSError("no network"))
            return future

    with pytest.raises(OSError, match="no network"):
        list(double().map("double", [1], executor=Failing()))


def test_an_executor_of_an_unknown_kind_is_not_rebuilt() -> None:
    assert loss.rebuilt(HereExecutor()) is None


# -- what travels


def test_inputs_that_pickle_badly_name_themselves() -> None:
    inputs = [1, scaled.Unpicklable(), scaled.Unloadable(), 4]
    results = list(double().map("double", inputs, executor=HereExecutor()))
    assert [result.ok for result in results] == [True, False, False, True]
    assert "input 1, <an odd input>, cannot be pickled: no pickle of this" in results[1].message
    assert "not here" in results[2].message


def large(tail: str = "") -> str:
    """
    A program with more bytes than go with each batch.
    """
    text = "a" * (travel._LIGHT + 1)
    return f'(module (memory 2) (data (i32.const 0) "{text}") (func (export "_start")) {tail})'


@pytest.mark.usefixtures("_new_worker")
def test_small_code_goes_with_each_batch_and_large_code_once_to_a_worker() -> None:
    executor = HereExecutor()
    assert all(r.ok for r in double().map("double", range(3), executor=executor, chunksize=1))
    assert all(freight is None for _, freight, _ in executor.tasks)

    executor = HereExecutor()
    program = Program(large())
    assert all(r.ok for r in program.map([()] * 4, executor=executor, chunksize=1))
    sent = [freight is not None for _, freight, _ in executor.tasks]
    assert sent.count(True) == 1
    assert all(len(parcel.spec) < 10_000 for parcel, _, _ in executor.tasks)


@pytest.mark.usefixtures("_new_worker")
def test_a_file_that_the_worker_reaches_is_not_sent(tmp_path: Any) -> None:
    path = tmp_path / "large.wat"
    path.write_text(large())
    executor = HereExecutor()
    program = Program(path)
    assert all(r.ok for r in program.map([()] * 2, executor=executor))
    assert all(freight is None for _, freight, _ in executor.tasks)


@pytest.mark.usefixtures("_new_worker")
def test_compiled_code_that_does_not_fit_is_compiled_by_the_worker_which_warns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from wasmtime import Config, Engine, Module
    from wasmtime.sandbox import engines

    program = Program(large("(memory $other 1)"))
    config = Config()
    config.consume_fuel = True
    data = bytes(Module(Engine(config), large("(memory $other 1)")).serialize())
    other = engines.Artifact(data, pooled=False)
    monkeypatch.setattr(travel, "artifact_of", lambda *_: other)
    with pytest.warns(RuntimeWarning, match="guest.wat is compiled anew on .*fuel"):
        assert all(r.ok for r in program.map([()] * 3, executor=HereExecutor(), chunksize=1))


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_portable_code_asks_for_no_newer_processor(isolation: Any) -> None:
    from wasmtime.sandbox import engines

    rounding = """(module (func (export "round") (param f64) (result f64)
      (f64.nearest (local.get 0))))"""
    plugin = Plugin(rounding, portable=True, isolation=isolation)
    assert plugin.call("round", 2.5) == 2.0
    portable, limits = plugin._code, ResourceLimits()
    native = Plugin(rounding)._code
    artifacts = [engines.artifact_of(code, limits, False) for code in (portable, native)]
    assert artifacts[0] != artifacts[1]
    assert engines.adopt(native, limits, artifacts[0]) is None


def test_what_is_compiled_already_cannot_become_portable() -> None:
    from wasmtime import Engine, Module

    with pytest.raises(TypeError, match="portable"):
        Program(Module(Engine(), guests.QUIET), portable=True)


def test_functions_that_no_worker_can_import_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    plugin = Plugin(scaled.ASKING, functions={"look": lambda number: None})
    with pytest.raises(TypeError, match="install cloudpickle"):
        plugin.map("double", [1], executor=HereExecutor())


# -- progress


def test_a_callable_is_told_of_progress() -> None:
    told: list[Any] = []
    list(double().map("double", range(3), progress=lambda *state: told.append(state)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    told.clear()
    list(double().map("double", iter(range(2)), progress=lambda *state: told.append(state)))
    assert told == [(1, None), (2, None)]


def test_a_bar_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    list(double().map("double", range(3), progress=True))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("library", ["tqdm", "rich"])
def test_a_bar_is_shown_on_a_terminal(
    library: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(library)
    if library == "rich":
        monkeypatch.setitem(sys.modules, "tqdm", None)
        monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    bar = progress.parse_progress(True)(3)
    for _ in range(3):
        bar.add()
    bar.close()
    assert "3/3" in capsys.readouterr().err or library == "rich"
    assert type(bar) is not progress.Bar


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_a_guest_that_takes_for_ever_harms_nobody_else(isolation: Any) -> None:
    plugin = Plugin(
        '(module (func (export "run") (param i32) (loop (br_if 0 (local.get 0)))))',
        limits=ResourceLimits(timeout=0.2),
        isolation=isolation,
    )
    began = time.monotonic()
    results = list(plugin.map("run", [0, 1, 0, 0]))
    assert [result.reason.value for result in results] == ["exited", "timeout", "exited", "exited"]
    assert time.monotonic() - began < 60


def echo(**options: Any) -> Interpreter:
    """
    An interpreter whose language is text that stands for itself.
    """
    module = guests.text_plugin(
        body='(func (export "eval") (param i32 i32) (result i64)'
        " (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32))"
        " (i64.extend_i32_u (local.get 1))))"
    )
    return Interpreter(module, Exports("eval"), **options)


@pytest.mark.usefixtures("_new_worker")
def test_an_interpreter_is_set_up_by_each_worker() -> None:
    snippets = ["one", ("two",), {"code": "three"}]
    assert values(echo().map(snippets)) == ["one", "two", "three"]
    executor = HereExecutor()
    assert values(echo().map(snippets, executor=executor)) == ["one", "two", "three"]
    assert all(len(parcel.spec) < 10_000 for parcel, _, _ in executor.tasks)


@pytest.mark.slow
def test_a_pool_of_worker_processes_runs_an_interpreter() -> None:
    with Pool(echo(), workers=1, isolation="process", warm=1) as pool:
        assert values(pool.map(["one", "two"])) == ["one", "two"]
    with Pool(echo(isolation="process"), workers=1, isolation="thread", warm=1) as pool:
        assert values(pool.map(["one", "two"])) == ["one", "two"]


@pytest.mark.usefixtures("_new_worker")
def test_compiled_code_that_fits_is_not_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from wasmtime.sandbox import engines

    executor = HereExecutor()
    results = Program(large("(global i32 (i32.const 3))")).map([()], executor=executor)
    taken: list[Any] = []

    def adopt(*args: Any) -> Any:
        engines.forget()
        taken.append(engines.adopt(*args))
        monkeypatch.setattr(engines, "_compiler", None)  # which would be needed to compile
        return taken[0]

    monkeypatch.setattr(travel, "adopt", adopt)
    assert [result.ok for result in results] == [True]
    assert taken == [None]
