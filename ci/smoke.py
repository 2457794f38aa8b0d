"""Use an installed wasmtime a little, where nothing but the installation can be imported.

    python -I ci/smoke.py

Isolated mode leaves the current directory, this file's directory and PYTHONPATH out of the search
path, so that a checkout cannot stand in for the wheel. Needs nothing but the package.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from typing import Any

if not sys.flags.isolated:
    sys.exit("run this with python -I: the checkout must not shadow the installation")

import wasmtime
from wasmtime import (
    Engine,
    Func,
    FuncType,
    Instance,
    Linker,
    Module,
    Store,
    ValType,
    WasiConfig,
    _native,
)

PROGRAM = """
(module
  (import "host" "twice" (func $twice (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "sum") (param i32 i64 f64) (result f64)
    (f64.add (local.get 2)
      (f64.add (f64.convert_i32_s (call $twice (local.get 0))) (f64.convert_i64_s (local.get 1)))))
  (func (export "fall") unreachable)
  (func (export "leave") (call $exit (i32.const 3))))
"""


def check(condition: bool, what: str) -> None:
    """Stop with a message unless something holds; also where assertions are off."""
    if not condition:
        sys.exit(f"smoke test: {what}")


def installed() -> None:
    """The package is the installed one, whole, and maps its own library once."""
    package = os.path.dirname(os.path.abspath(wasmtime.__file__))
    places = {os.path.realpath(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    check(os.path.realpath(os.path.dirname(package)) in places, f"{package} is not installed")
    for name in ("py.typed", "_core.pyi", "_ffi.pyi"):
        check(os.path.isfile(os.path.join(package, name)), f"{name} is missing")
    check(wasmtime.__version__ == _native.core.__version__, "two versions")
    if sys.platform == "linux":
        with open("/proc/self/maps", encoding="utf-8") as maps:
            found = {line.split()[-1] for line in maps if "libwasmtime" in line}
        check(len(found) == 1, f"libwasmtime is mapped from {found or 'nowhere'}")
        bundled = os.path.join(package, "_lib", "libwasmtime.so")
        if _native.core.library_origin == "bundled":
            check(
                {os.path.realpath(path) for path in found} == {os.path.realpath(bundled)}, "foreign"
            )


def run() -> None:
    """Compile, link, call, be called, trap, exit."""
    engine = Engine()
    module = Module(engine, PROGRAM)
    linker = Linker(engine)
    linker.define_wasi()
    store = Store(engine)
    store.set_wasi(WasiConfig())
    kind = FuncType([ValType.i32()], [ValType.i32()])
    linker.define(store, "host", "twice", Func(store, kind, lambda number: 2 * number))
    instance: Instance = linker.instantiate(store, module)
    exports: Any = instance.exports(store)
    check(exports["sum"](store, 1, 2, 0.5) == 4.5, "a wrong sum")
    memory = exports["memory"]
    memory.write(store, b"hello", 65531)
    check(bytes(memory.read(store, 65531, 65536)) == b"hello", "memory forgets")
    try:
        exports["fall"](store)
    except wasmtime.Trap as trap:
        check(trap.trap_code == wasmtime.TrapCode.UNREACHABLE, "a wrong trap")
    else:
        check(False, "no trap")
    try:
        exports["leave"](store)
    except wasmtime.ExitTrap as trap:
        check(trap.code == 3, "a wrong exit status")
    else:
        check(False, "no exit")


def threads() -> None:
    """The same in two threads; signal handlers and stack limits are per thread."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            run()
        except BaseException as error:
            failures.append(error)

    started = [threading.Thread(target=guarded) for _ in range(2)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    check(not failures, f"in a thread: {failures}")


installed()
run()
threads()
if sysconfig.get_config_var("Py_GIL_DISABLED"):
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    check(not gil, "importing the package switched the GIL on")
print(
    f"smoke test passed: wasmtime {wasmtime.__version__}, libwasmtime "
    f"{_native.core.library_version} {_native.core.library_origin}, "
    f"{sysconfig.get_platform()}, {sys.implementation.cache_tag}"
)
