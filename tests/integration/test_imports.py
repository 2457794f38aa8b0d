"""
Importing the package loads what every program needs; the rest comes with the first use of a name.

Times depend on the machine, so these tests look at which modules are loaded.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from types import ModuleType

import pytest
from support import run_in_subprocess

import wasmtime
from wasmtime import _trap, sandbox

#: The modules that load some of their names when these are first asked for.
LAZY = [wasmtime, sandbox, _trap]

#: What takes long to load, and not every program needs.
HEAVY = {"asyncio", "dataclasses", "inspect", "json", "logging", "socket", "subprocess", "tempfile"}


def loaded_by(statement: str) -> set[str]:
    """
    The modules that a statement loads in a fresh interpreter.
    """
    program = (
        f"import sys; before = set(sys.modules)\n{statement}\nprint(*{{*sys.modules}} - before)"
    )
    return set(run_in_subprocess(program, preamble="").check().output.split())


def parts(modules: set[str], package: str) -> set[str]:
    """
    Those of some modules that are in a package, by their names there.
    """
    return {name[len(package) + 1 :] for name in modules if name.startswith(f"{package}.")}


def test_the_package_loads_what_calls_need_alone() -> None:
    loaded = loaded_by("import wasmtime")
    assert not loaded & HEAVY
    assert not loaded & {"wasmtime._config", "wasmtime._gctypes", "wasmtime._wasi"}
    assert not loaded & {"wasmtime.component", "wasmtime.sandbox", "wasmtime.loader"}


def test_the_sandbox_loads_nothing_until_it_is_used() -> None:
    loaded = loaded_by("import wasmtime.sandbox")
    assert not loaded & HEAVY
    assert parts(loaded, "wasmtime.sandbox") == set()


def test_a_program_loads_neither_interpreters_nor_processes_nor_components() -> None:
    guest = '(module (memory (export "memory") 1) (func (export "_start")))'
    loaded = loaded_by(f"from wasmtime.sandbox import run\nassert run({guest!r}).ok")
    assert not loaded & {"asyncio", "json", "socket", "subprocess", "tempfile"}
    assert "wasmtime.component" not in loaded
    used = {name.partition(".")[0] for name in parts(loaded, "wasmtime.sandbox")}
    assert "program" in used
    assert not used & {"interpreter", "interpreters", "plugin", "pools", "scale", "snapshot"}
    assert not used & {"plain", "running", "temporary", "worker"}


def test_an_interpreter_loads_no_event_loop_and_no_worker() -> None:
    loaded = loaded_by("from wasmtime.sandbox import Interpreter")
    assert not loaded & {"asyncio", "socket", "subprocess", "tempfile", "wasmtime.component"}
    used = {name.partition(".")[0] for name in parts(loaded, "wasmtime.sandbox")}
    assert not used & {"here", "plugin", "pools", "scale", "snapshot", "worker"}


@pytest.mark.parametrize("module", LAZY, ids=lambda module: module.__name__)
class TestNames:
    def test_all_of_them_are_found_and_listed(self, module: ModuleType) -> None:
        assert {name for name in module.__all__ if not hasattr(module, name)} == set()
        assert set(module.__all__) <= set(dir(module))

    def test_each_is_loaded_once(self, module: ModuleType) -> None:
        for name in module.__all__:
            value = getattr(module, name)
            assert vars(module)[name] is value

    def test_type_checkers_are_told_of_the_same(self, module: ModuleType) -> None:
        # What is loaded is written twice: as imports, and as a table of names and modules.
        (choice,) = [
            node
            for node in ast.walk(ast.parse(inspect.getsource(module)))
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        ]
        imported = {
            alias.name: node.module
            for node in choice.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        (assigned,) = choice.orelse
        assert isinstance(assigned, ast.Assign)
        assert isinstance(assigned.value, ast.Call)
        assert ast.literal_eval(assigned.value.args[1]) == imported

    def test_others_are_refused_as_of_any_module(self, module: ModuleType) -> None:
        with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
            exec(f"import {module.__name__} as module; module.Nonsense")
        with pytest.raises(ImportError, match="cannot import name 'Nonsense'"):
            exec(f"from {module.__name__} import Nonsense")


def test_a_star_gives_all_names() -> None:
    given: dict[str, object] = {}
    exec("from wasmtime.sandbox import *", given)
    assert set(sandbox.__all__) == set(given) - {"__builtins__"}
    assert importlib.import_module("wasmtime.sandbox.program").Program is given["Program"]
