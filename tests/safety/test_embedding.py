"""
Python inside of another program, which may run it on any thread, and more than once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from support import compile_c

import wasmtime

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="threads of POSIX")

#: Runs each of its arguments in a Python that is initialized and finalized for it, on a thread that
#: is not the process's first. `finalizer`: on yet another one.
HOST = """
    #include <Python.h>
    #include <pthread.h>

    static void *run(void *program)
    {
        Py_InitializeEx(1);
        int failed = PyRun_SimpleString(program);
        return (void *)(intptr_t)(Py_FinalizeEx() < 0 || failed);
    }

    int main(int count, char **programs)
    {
        for (int i = 1; i < count; i++) {
            pthread_t thread;
            void *failed;
            pthread_create(&thread, NULL, run, programs[i]);
            pthread_join(thread, &failed);
            if (failed != NULL) {
                return i;
            }
        }
        return 0;
    }
"""

PREAMBLE = """
import atexit, os, signal, sys, threading, time
from wasmtime import *
store = Store()
module = Module(store.engine, '''
    (func (export "spin") (loop (br 0))) (func (export "trap") unreachable)''')
exports = Instance(store, module, []).exports(store)
seen = []
host = Func(store, FuncType([], []), lambda: seen.append(threading.get_ident()))
def say(*words): print(*words, flush=True)
def interrupt():
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that embeds this Python."""
    settings = sysconfig.get_config_vars()
    directory, name = settings["LIBDIR"], settings["LDLIBRARY"]
    if not os.path.exists(os.path.join(directory, name)) or not name.startswith("libpython"):
        pytest.skip("this Python has no library to be embedded by")
    return compile_c(
        HOST,
        tmp_path_factory.mktemp("host") / "host",
        f"-I{sysconfig.get_path('include')}",
        f"-I{sysconfig.get_path('platinclude')}",
        os.path.join(directory, name),
        f"-Wl,-rpath,{directory}",
        *(settings["LIBS"] or "").split(),
        *(settings["SYSLIBS"] or "").split(),
        "-lpthread",
    )


def run(host: Path, *programs: str, preamble: str = PREAMBLE) -> list[str]:
    """Run programs one after another in one process; the lines that they print."""
    package = Path(wasmtime.__file__).parent.parent
    done = subprocess.run(
        [str(host), *(preamble + program for program in programs)],
        env={
            **os.environ,
            "PYTHONHOME": f"{sys.base_prefix}:{sys.base_exec_prefix}",
            "PYTHONPATH": os.pathsep.join([str(package), *filter(None, sys.path)]),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.split("\n")[:-1]


def test_ctrl_c_ends_a_guest(host: Path) -> None:
    lines = run(
        host,
        """
threading.Thread(target=interrupt).start()
try: exports["spin"](store)
except KeyboardInterrupt: say("interrupted")
""",
    )
    assert lines == ["interrupted"]


def test_ctrl_c_ends_a_guest_in_a_forked_child(host: Path) -> None:
    lines = run(
        host,
        """
def work():
    child = os.fork()
    if child == 0:
        threading.Thread(target=interrupt).start()
        try: exports["spin"](store)
        except KeyboardInterrupt: os._exit(7)
    say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
thread = threading.Thread(target=work)  # the child's main thread is the one that forks
thread.start(); thread.join()
""",
    )
    assert lines == ["7"]


def test_an_exit_handler_calls_a_host_function(host: Path) -> None:
    """
    After the package's own, which was registered later.
    """
    before = """
import atexit
atexit.register(lambda: (host(store), say(len(seen))))
"""
    assert run(host, "", preamble=before + PREAMBLE) == ["1"]


def test_python_is_initialized_again(host: Path) -> None:
    """
    Each time on another thread, which is the main one then.
    """
    program = """
threading.Thread(target=interrupt).start()
try: exports["spin"](store)
except KeyboardInterrupt: say("interrupted")
def work():
    mine = Store()
    Func(mine, FuncType([], []), lambda: say("worker"))(mine)
thread = threading.Thread(target=work)
thread.start(); thread.join()
try: exports["trap"](store)
except Trap: say("trap")
if sys.version_info[:2] != (3, 12):  # whose hashlib dies of being initialized again
    import wasmtime.component
atexit.register(lambda: (host(store), say("exit")))
"""
    assert run(host, program, program, program) == ["interrupted", "worker", "trap", "exit"] * 3


def test_a_guest_that_outlives_its_python_stays_away_from_the_next_one(host: Path) -> None:
    lines = run(
        host,
        """
loop = Instance(store, Module(store.engine, '''
    (import "" "" (func $f)) (func (export "f") (loop (call $f) (br 0)))'''), [host])
threading.Thread(target=lambda: loop.exports(store)["f"](store), daemon=True).start()
while not seen: time.sleep(0.001)
say("first")
""",
        """
time.sleep(0.2)
host(store)
say("second", len(seen))
""",
    )
    assert lines == ["first", "second 1"]


def test_another_thread_than_the_main_one_imports_the_package(host: Path) -> None:
    """
    Ctrl-C is for the main one even so.
    """
    lines = run(
        host,
        """
import os, signal, threading, time
def load():
    import wasmtime
thread = threading.Thread(target=load)
thread.start(); thread.join()
"""
        + PREAMBLE
        + """
threading.Thread(target=interrupt).start()
try: exports["spin"](store)
except KeyboardInterrupt: say("interrupted")
""",
        preamble="",
    )
    assert lines == ["interrupted"]
