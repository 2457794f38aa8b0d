"""
What a WebAssembly file may import: nothing of Python's that nobody named.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from .files import Run, imports

EXPLOIT = """
(module
  (import "builtins" "chr" (func $chr (param i32) (result externref)))
  (import "operator" "add" (func $add (param externref externref) (result externref)))
  (import "builtins" "eval" (func $eval (param externref) (result externref)))
  (func (export "run")
    (drop (call $eval (call $add (call $chr (i32.const 49)) (call $chr (i32.const 49)))))))
"""


def test_a_file_reaches_no_module_that_nobody_named(run: Run) -> None:
    output = run(
        """
        import wasmtime.loader
        for _ in range(2):
            try:
                import m
            except ImportError as error:
                print(error)
            wasmtime.loader.configure(python_modules=["operator"])
        wasmtime.loader.configure(python_modules=["builtins", "operator"])
        import m
        m.run()
        """,
        m__dot__wat=EXPLOIT,
    )
    first, second = output.splitlines()
    assert "'chr' from the module 'builtins', which lies neither beside the file" in first
    assert "wasmtime.loader.configure(python_modules=['builtins'])" in first
    assert "builtins" in second


def test_nothing_is_executed_for_a_module_that_is_refused(run: Run, tmp_path: Path) -> None:
    output = run(
        """
        import sys
        sys.path.insert(0, "elsewhere")
        import wasmtime.loader
        import importlib
        for name in ("far", "deep", "stdlib"):
            try:
                importlib.import_module(name)
            except ImportError as error:
                print(name, "python_modules" in str(error))
        print({"antigravity", "far_module", "elsewhere"} & set(sys.modules))
        """,
        far__dot__wat=imports("far_module"),
        deep__dot__wat=imports("elsewhere.far_module"),
        stdlib__dot__wat=imports("antigravity"),
        elsewhere__in__far_module__dot__py="print('executed')",
        elsewhere__in____init____dot__py="print('executed')",
    )
    assert output == "far True\ndeep True\nstdlib True\nset()\n"


HELPER = """
from os import getpid
from math import *
import os, functools
def own(): return 7
def _private(): return 8
given = functools.partial(own)
async_like = lambda: 9
number = 5
"""


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("own", "7"),
        ("_private", "8"),
        ("async_like", "9"),
        ("getpid", "from elsewhere"),
        ("given", "from elsewhere"),
        ("os", "of type module"),
        ("number", "of type int"),
        ("__builtins__", "Python's own"),
        ("__getattr__", "no such attribute"),
        ("absent", "no such attribute"),
    ],
)
def test_of_a_python_module_what_is_defined_there(run: Run, name: str, result: str) -> None:
    output = run(
        """
        import wasmtime.loader
        try:
            import m
            print(m.run())
        except ImportError as error:
            print(error)
        """,
        m__dot__wat=imports("helper", name),
        helper__dot__py=HELPER,
    )
    assert result in output


def test_of_a_python_module_what_its_all_lists(run: Run) -> None:
    output = run(
        """
        import importlib
        import wasmtime.loader
        for name in ("listed", "unlisted", "dynamic"):
            try:
                print(importlib.import_module(name).run())
            except ImportError as error:
                print(error)
        """,
        listed__dot__wat=imports("helper", "given"),
        unlisted__dot__wat=imports("helper", "own"),
        dynamic__dot__wat=imports("helper", "made"),
        helper__dot__py=f"""
__all__ = ["given", "made"]
{HELPER}
def __getattr__(name):
    return lambda: len(name)
""",
    )
    listed, unlisted, dynamic = output.splitlines()
    assert listed == "7"
    assert "does not list it in its __all__" in unlisted
    assert dynamic == "4"


@pytest.mark.parametrize(
    "source",
    [
        "",
        "..helper",
        "helper.",
        "a..b",
        "/etc/helper",
        "a/helper",
        "../helper",
        "C:helper",
        "C:\\helper",
        "\\\\server\\share\\helper",
        "a\\helper",
        "helper\0",
        "helper\n",
        " helper",
        "helper ",
        "\u202ehelper",
    ],
)
@pytest.mark.slow
def test_paths_are_no_names_of_modules(run: Run, source: str) -> None:
    output = run(
        """
        import wasmtime.loader
        try:
            import pkg.m
        except ImportError as error:
            print(error)
        """,
        pkg__in__m__dot__wat=imports(source),
        helper__dot__py="print('executed')",
    )
    assert "is not the name of a module" in output
    assert "executed" not in output


def test_the_package_of_a_file_and_no_more(run: Run) -> None:
    sources = {
        "sibling": ".helper",
        "absolute": "app.plugins.helper",
        "below": "app.plugins.sub.helper",
        "unmarked": ".bare.helper",
        "package": "app.plugins",
        "above": "app",
        "beside_the_package": "app.secret",
        "top": "secret",
        "main": "__main__",
        "main_below": ".__main__",
        "itself": ".itself",
    }
    output = run(
        f"""
        import importlib
        import wasmtime.loader
        def f():
            raise SystemExit("the program itself was called")
        for name in {list(sources)}:
            try:
                print(name, importlib.import_module("app.plugins." + name).run())
            except ImportError as error:
                print(name, "python_modules" in str(error))
        """,
        app__in____init____dot__py="def f(): return 1",
        app__in__secret__dot__py="print('executed')",
        secret__dot__py="print('executed')",
        app__in__plugins__in____init____dot__py="def f(): return 2",
        app__in__plugins__in____main____dot__py="print('executed')",
        app__in__plugins__in__helper__dot__py="def f(): return 3",
        app__in__plugins__in__sub__in____init____dot__py="",
        app__in__plugins__in__sub__in__helper__dot__py="def f(): return 4",
        app__in__plugins__in__bare__in__helper__dot__py="def f(): return 5",
        **{
            f"app__in__plugins__in__{name}__dot__wat": imports(source)
            for name, source in sources.items()
        },
    )
    assert output.splitlines() == [
        "sibling 3",
        "absolute 3",
        "below 4",
        "unmarked 5",
        "package 2",
        "above True",
        "beside_the_package True",
        "top True",
        "main True",
        "main_below True",
        "itself False",
    ]


def test_beside_a_file_at_the_top_level(run: Run) -> None:
    sources = {"module": "helper", "package": "library", "inside": "library.helper", "main": "main"}
    output = run(
        f"""
        import importlib, sys
        sys.path.insert(0, "below")
        import wasmtime.loader
        for name in {list(sources)}:
            try:
                print(name, importlib.import_module(name + "_user").run())
            except ImportError as error:
                print(name, "python_modules" in str(error))
        """,
        helper__dot__py="def f(): return 1",
        library__in____init____dot__py="def f(): return 2",
        library__in__helper__dot__py="def f(): return 3",
        below__in__main__dot__py="print('executed')",
        **{f"{name}_user__dot__wat": imports(source) for name, source in sources.items()},
    )
    assert output.splitlines() == ["module 1", "package 2", "inside True", "main True"]


def test_beside_a_file_in_an_archive(run: Run, tmp_path: Path) -> None:
    with zipfile.ZipFile(str(tmp_path / "library.zip"), "w") as archive:
        archive.writestr("top.wat", imports("helper"))
        archive.writestr("far.wat", imports("outside"))
        archive.writestr("helper.py", "def f(): return 1")
        archive.writestr("pkg/__init__.py", "")
        archive.writestr("pkg/plugin.wat", imports(".helper"))
        archive.writestr("pkg/helper.py", "def f(): return 2")
    output = run(
        """
        import sys
        sys.path.insert(0, "library.zip")
        import wasmtime.loader
        import top, pkg.plugin
        print(top.run(), pkg.plugin.run())
        try:
            import far
        except ImportError as error:
            print("python_modules" in str(error))
        """,
        outside__dot__py="print('executed')",
    )
    assert output == "1 2\nTrue\n"


def test_python_modules_are_names_and_modules(run: Run) -> None:
    output = run(
        """
        import importlib, math, sys, types
        import wasmtime.loader as loader
        made = types.ModuleType("made")
        exec("def f(): return 5", vars(made))
        loader.configure(python_modules=(each for each in ["library.inner", made]))
        print(loader.python_modules == ("library.inner", made))
        import uses_inner, uses_made
        print(uses_inner.run(), uses_made.run())
        loader.configure(cache=False)
        print(len(loader.python_modules))
        loader.configure(python_modules=[*loader.python_modules, math])
        print(loader.python_modules[2] is math)
        loader.configure(python_modules=[])
        print(loader.python_modules)
        del sys.modules["uses_made"]
        try:
            import uses_made
        except ImportError as error:
            print("no longer")
        for wrong in ("math", math, [5], [".relative"], ["a..b"], [""], 5):
            try:
                loader.configure(python_modules=wrong)
            except (TypeError, ValueError) as error:
                print(type(error).__name__)
        """,
        uses_inner__dot__wat=imports("library.inner"),
        uses_made__dot__wat=imports("made"),
        library__in____init____dot__py="",
        library__in__inner__dot__py="def f(): return 4",
    )
    assert output.splitlines() == [
        "True",
        "4 5",
        "2",
        "True",
        "()",
        "no longer",
        "TypeError",
        "TypeError",
        "TypeError",
        "ValueError",
        "ValueError",
        "ValueError",
        "TypeError",
    ]


def test_a_component_imports_nothing_by_itself(run: Run) -> None:
    output = run(
        """
        import sys
        import wasmtime, wasmtime.loader
        import c
        try:
            c.Root(wasmtime.Store(), None)
        except (TypeError, wasmtime.WasmtimeError) as error:
            print("refused")
        print("antigravity" in sys.modules)
        """,
        c__dot__wat="""
        (component
          (import "antigravity" (func $f))
          (import "py:builtins/antigravity" (instance $i (export "chr" (func))))
          (export "g" (func $f)))
        """,
    )
    assert output == "refused\nFalse\n"


def test_an_imported_file_sees_nothing_of_this_process(run: Run) -> None:
    """
    No arguments, no variables, an empty input, no directory.
    """
    counts = {"args_sizes_get": 2, "environ_sizes_get": 2, "fd_prestat_get": 2, "fd_read": 4}
    imported, exported = "", ""
    for name, count in counts.items():
        ty = f"(param {'i32 ' * count}) (result i32)"
        arguments = "".join(f"(local.get {index})" for index in range(count))
        imported += f'(import "wasi_snapshot_preview1" "{name}" (func ${name} {ty}))'
        exported += f'(func (export "{name}") {ty} (call ${name} {arguments}))'
    output = run(
        """
        import struct
        import wasmtime.loader
        from wasmtime.loader import store
        import m
        for name in ("args_sizes_get", "environ_sizes_get"):
            m.memory.write(store, bytes([255]) * 8, 0)
            print(getattr(m, name)(0, 4), struct.unpack("<II", m.memory.read(store, 0, 8)))
        print(m.fd_prestat_get(3, 0))
        m.memory.write(store, struct.pack("<III", 64, 10, 99), 0)
        print(m.fd_read(0, 0, 1, 8), struct.unpack("<I", m.memory.read(store, 8, 12)))
        """,
        m__dot__wat=f'(module {imported} (memory (export "memory") 1) {exported})',
    )
    assert output == "0 (0, 0)\n0 (0, 0)\n8\n0 (0,)\n"
