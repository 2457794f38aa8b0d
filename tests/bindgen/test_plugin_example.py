"""
The example of a host for plug-ins: built by others' tools, from Python and JavaScript.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable

import pytest
from component import componentizers
from real_programs import Unavailable, registry
from support import CHECKOUT

from wasmtime.bindgen import generate

EXAMPLE = CHECKOUT / "examples" / "plugin_host_component"
COMPONENTIZE_PY = "componentize-py==0.25.1"


def build_script() -> Any:
    spec = importlib.util.spec_from_file_location("plugin_build", EXAMPLE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def componentize_py() -> str:
    """
    The command, installed into the cache of the tests.
    """
    directory = registry.cache_directory() / COMPONENTIZE_PY.replace("==", "-")
    command = directory / "bin" / "componentize-py"
    if not command.is_file():
        if registry.mode() == "off":
            raise Unavailable("componentize-py is not installed, and may not be fetched")
        directory.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=str(directory.parent)))
        try:
            options = ["--quiet", "--only-binary=:all:", "--no-deps", "--target", str(scratch)]
            done = subprocess.run(
                [sys.executable, "-m", "pip", "install", *options, COMPONENTIZE_PY],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=300,
                check=False,
            )
            if done.returncode != 0:
                said = done.stdout.decode("utf-8", "replace").strip()[-300:]
                raise Unavailable(f"pip could not fetch {COMPONENTIZE_PY}: {said}")
            if not directory.exists():
                scratch.rename(directory)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"pip could not fetch {COMPONENTIZE_PY}: {error}") from error
        finally:
            shutil.rmtree(str(scratch), ignore_errors=True)
    return str(command)


def built(name: str, build: Callable[[Path], None]) -> Path:
    """
    A plug-in, built if the cache has none of these sources.
    """
    digest = hashlib.sha256()
    sources = [*EXAMPLE.glob("wit/*"), *EXAMPLE.glob("*_plugin/*.[pj][ys]"), EXAMPLE / "build.py"]
    for path in sorted(sources):
        digest.update(path.name.encode() + path.read_bytes())
    cache = registry.cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / f"plugin-{name}-{digest.hexdigest()[:16]}.wasm"
    if not target.is_file():
        with tempfile.TemporaryDirectory(dir=str(cache)) as scratch:
            try:
                build(Path(scratch) / "out.wasm")
            except subprocess.CalledProcessError as error:
                raise Unavailable(f"the plug-in cannot be built here: {error}") from error
            os.replace(str(Path(scratch) / "out.wasm"), str(target))
    return target


def greeter() -> Path:
    command = componentize_py()
    library = str(Path(command).parents[1])

    def build(output: Path) -> None:
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = library
        try:
            build_script().python_plugin(output, command)
        finally:
            if before is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = before

    return built("greeter", build)


def shouter() -> Path:
    tool = componentizers.QUICKJS
    directory = componentizers.install(tool, registry.cache_directory())
    script = str(directory / "node_modules" / tool.package / "cli.mjs")
    return built("shouter", lambda output: build_script().javascript_plugin(output, "node", script))


EXPECTED = {
    greeter: [
        "greeter (de, en)",
        "  'hello world' becomes 'Good day: hello world'",
        "! greeter: asked for tlh",
        "  'hello': does not know the language tlh",
        "  '': has nothing to do",
        "  words: 3",
    ],
    shouter: [
        "shouter (any)",
        "  shouter: shouting in any language",
        "  'hello world' becomes 'HELLO WORLD!'",
        "  shouter: shouting in tlh",
        "  'hello' becomes 'HELLO!'",
        "  '': has nothing to do",
        "  words: 3",
    ],
}


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="npm is no program that can be run there")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("plugin", [shouter, greeter], ids=["javascript", "python"])
def test_the_host_runs_plugins(plugin: Callable[[], Path]) -> None:
    try:
        path = plugin()
    except Unavailable as error:
        if registry.mode() == "require":
            raise
        pytest.skip(str(error))
    compiled = registry.cache_directory() / "compiled-plugins"
    compiled.mkdir(mode=0o700, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-X", "utf8", str(EXAMPLE / "host.py"), str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=300,
        check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(compiled)},
    )
    assert done.stdout.splitlines() == EXPECTED[plugin]
    assert done.returncode == 0


def test_the_typed_package_is_what_is_generated() -> None:
    package = EXAMPLE / "plugin_api"
    component = (package / "plugin.component.wasm").read_bytes()
    there = {
        path.relative_to(package).as_posix(): path.read_bytes()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert generate("plugin", component) == there


@pytest.mark.slow
def test_the_host_is_well_typed() -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    import wasmtime

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "host.py", "plugin_api"],
        cwd=str(EXAMPLE),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=110,
        check=False,
        env={
            **os.environ,
            "MYPYPATH": _library(Path(wasmtime.__file__).parent),
            "MYPY_CACHE_DIR": tempfile.mkdtemp(),
        },
    )
    lines = [
        line for line in done.stdout.splitlines() if line.startswith(("host.py", "plugin_api"))
    ]
    assert lines == []


def _library(package: Path) -> str:
    directory = Path(tempfile.mkdtemp())
    try:
        (directory / "wasmtime").symlink_to(package, target_is_directory=True)
    except OSError:
        return str(package.parent)
    return str(directory)
