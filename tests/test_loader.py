"""
`import` of WebAssembly files.

Each test runs in an interpreter of its own: what is imported stays.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any, Callable

import pytest

from wasmtime import wat2wasm

ADD = """
(module
  (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1))))
"""
COMPONENT = """
(component
  (core module $m (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m))
  (func $add (param "x" s32) (param "y" s32) (result s32) (canon lift (core func $i "add")))
  (instance $math (export "add" (func $add)))
  (export "add" (func $add))
  (export "example:math/ops@1.0.0" (instance $math)))
"""

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """
    Run a program in a fresh interpreter, with files beside it; what it printed.
    """

    def run(program: str, cache: bool = False, **files: Any) -> str:
        for name, contents in files.items():
            path = tmp_path / name.replace("__dot__", ".").replace("__in__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(contents, str):
                contents = textwrap.dedent(contents).encode()
            path.write_bytes(contents)
        (tmp_path / "main.py").write_text(textwrap.dedent(program))
        environment = dict(os.environ)
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        if not cache:
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
            environment[variable] = str(tmp_path / "cache")
        done = subprocess.run(
            [sys.executable, "main.py"],
            cwd=str(tmp_path),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=100,
            check=False,
        )
        output = done.stdout.decode()
        assert done.returncode == 0, output
        return output.replace("\r\n", "\n")

    return run


def test_text_and_binary_modules_are_imported(run: Run) -> None:
    output = run(
        """
        import wasmtime.loader
        import text, binary
        print(text.add(1, 2), binary.add(3, 4), text.__name__, text.__all__)
        print(text.__file__.endswith("text.wat"), binary.__spec__.origin.endswith("binary.wasm"))
        """,
        text__dot__wat=ADD,
        binary__dot__wasm=bytes(wat2wasm(ADD)),
    )
    assert output == "3 7 text ['add']\nTrue True\n"


def test_exports_other_than_functions_are_objects_in_the_loaders_store(run: Run) -> None:
    output = run(
        """
        import wasmtime
        from wasmtime.loader import store
        import m
        print(bytes(m.memory.read(store, 0, 2)), m.g.value(store), m.t.size(store))
        print(isinstance(m.memory, wasmtime.Memory), getattr(m, "odd name")())
        print(m.__name__)
        """,
        m__dot__wat="""
        (module
          (memory (export "memory") 1) (data (i32.const 0) "hi")
          (global (export "g") i32 (i32.const 7))
          (table (export "t") 3 funcref)
          (func (export "odd name") (result i32) (i32.const 5))
          (func (export "__name__") (result i32) (i32.const 5)))
        """,
    )
    assert output == "b'hi' 7 3\nTrue 5\nm\n"


def test_imports_come_from_python_and_webassembly(run: Run) -> None:
    output = run(
        """
        import wasmtime.loader
        import m
        print(m.run(5))
        """,
        m__dot__wat="""
        (module
          (import "pymodule" "double" (func $double (param i32) (result i32)))
          (import "add" "add" (func $add (param i32 i32) (result i32)))
          (import "memory" "memory" (memory 1))
          (func (export "run") (param i32) (result i32)
            (call $add (call $double (local.get 0)) (i32.load8_u (i32.const 0)))))
        """,
        add__dot__wat=ADD,
        memory__dot__wat='(module (memory (export "memory") 1) (data (i32.const 0) "\\03"))',
        pymodule__dot__py="def double(x):\n    return 2 * x\n",
    )
    assert output == "13\n"


def test_modules_inside_of_packages(run: Run) -> None:
    output = run(
        """
        import wasmtime.loader
        from pkg import plugin
        from pkg.sub import inner
        import pkg.relative
        print(plugin.add(1, 2), inner.add(3, 4), pkg.relative.run())
        """,
        pkg__in____init____dot__py="",
        pkg__in__plugin__dot__wat=ADD,
        pkg__in__sub__in__inner__dot__wat=ADD,
        pkg__in__relative__dot__wat="""
        (module (import ".plugin" "add" (func $add (param i32 i32) (result i32)))
          (func (export "run") (result i32) (call $add (i32.const 40) (i32.const 2))))
        """,
    )
    assert output == "3 7 42\n"


def test_python_files_come_first(run: Run) -> None:
    output = run(
        "import wasmtime.loader, both\nprint(both.add)",
        both__dot__wat=ADD,
        both__dot__py="add = 'python'\n",
    )
    assert output == "python\n"


def test_definitions_in_the_linker_are_found(run: Run) -> None:
    output = run(
        """
        import wasmtime.loader
        from wasmtime import FuncType, ValType
        wasmtime.loader.linker.define_func(
            "env", "answer", FuncType([], [ValType.i32()]), lambda: 42)
        import m
        print(m.run())
        """,
        m__dot__wat="""
        (module (import "env" "answer" (func $answer (result i32)))
          (func (export "run") (result i32) (call $answer)))
        """,
    )
    assert output == "42\n"


HELLO = """
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\08\\00\\00\\00\\06\\00\\00\\00hello\\0a")
  (func (export "hello")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))))
"""


def test_wasi_is_there_and_configurable(run: Run) -> None:
    output = run(
        """
        import wasmtime.loader
        import first
        first.hello()
        config = wasmtime.WasiConfig()
        config.stdout_file = "out.txt"
        wasmtime.loader.configure(wasi=config)
        import second
        second.hello()
        wasmtime.loader.configure(store=wasmtime.Store())
        wasmtime.loader.store.set_wasi(wasmtime.WasiConfig())
        import third
        with open("out.txt") as file:
            print(file.read().strip())
        """,
        first__dot__wat=HELLO,
        second__dot__wat=HELLO,
        third__dot__wat=HELLO,
    )
    assert output == "hello\n"


def test_engine_and_store_are_configurable(run: Run) -> None:
    output = run(
        """
        import wasmtime, wasmtime.loader
        before = wasmtime.loader.store
        config = wasmtime.Config()
        config.consume_fuel = True
        engine = wasmtime.Engine(config)
        wasmtime.loader.configure(engine=engine)
        assert wasmtime.loader.store is not before
        assert wasmtime.loader.engine is engine is wasmtime.loader.linker.engine
        wasmtime.loader.store.set_fuel(1000)
        import m
        m.add(1, 2)
        print(wasmtime.loader.store.get_fuel() < 1000)
        store = wasmtime.Store()
        wasmtime.loader.configure(store=store)
        assert wasmtime.loader.store is store
        for wrong in ({"store": 5}, {"store": store, "engine": engine}):
            try:
                wasmtime.loader.configure(**wrong)
            except (TypeError, ValueError) as error:
                print(type(error).__name__)
        try:
            wasmtime.loader.nonsense
        except AttributeError as error:
            print("nonsense" in str(error))
        """,
        m__dot__wat=ADD,
    )
    assert output == "True\nTypeError\nValueError\nTrue\n"


def test_components_are_packages(run: Run) -> None:
    output = run(
        """
        import importlib.resources, sys
        import wasmtime, wasmtime.loader
        import adder
        from adder.exports import ops
        from pkg import adder as other
        store = wasmtime.Store()
        root = adder.Root(store)
        print(root.add(store, 1, 2), root.ops().add(store, 3, 4))
        print(other.Root(store).add(store, 5, 6), other is adder)
        print(isinstance(root.ops(), ops.Ops), adder.__path__ is not None)
        if sys.version_info >= (3, 11):
            file = importlib.resources.files("adder").joinpath("root.component.wasm")
            print(file.read_bytes()[:4])
        else:
            print(importlib.resources.read_binary("adder", "root.component.wasm")[:4])
        """,
        adder__dot__wat=COMPONENT,
        pkg__in____init____dot__py="",
        pkg__in__adder__dot__wasm=bytes(wat2wasm(COMPONENT)),
    )
    assert output == "3 7\n11 False\nTrue True\nb'\\x00asm'\n"


def test_zip_archives(run: Run, tmp_path: Path) -> None:
    with zipfile.ZipFile(str(tmp_path / "library.zip"), "w") as archive:
        archive.writestr("top.wat", ADD)
        archive.writestr("pkg/__init__.py", "")
        archive.writestr("pkg/plugin.wasm", bytes(wat2wasm(ADD)))
        archive.writestr("pkg/comp.wat", COMPONENT)
    output = run(
        """
        import sys
        sys.path.insert(0, "library.zip")
        import wasmtime, wasmtime.loader
        import top
        from pkg import plugin, comp
        store = wasmtime.Store()
        print(top.add(1, 2), plugin.add(3, 4), comp.Root(store).add(store, 5, 6))
        print("library.zip" in plugin.__file__)
        """
    )
    assert output == "3 7 11\nTrue\n"


def test_compiled_code_is_kept(run: Run, tmp_path: Path) -> None:
    program = """
        import wasmtime, wasmtime.loader
        import m, c
        print(m.add(1, 2), c.Root(store := wasmtime.Store()).add(store, 1, 2))
        """
    files = {"m__dot__wat": ADD, "c__dot__wat": COMPONENT}
    assert run(program, cache=True, **files) == "3 3\n"
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.cwasm")}
    assert len(kept) == 2
    assert run(program, cache=True, **files) == "3 3\n"
    assert set((tmp_path / "cache").rglob("*.cwasm")) == set(kept)


def test_no_cache_where_python_writes_no_bytecode(run: Run, tmp_path: Path) -> None:
    assert run("import wasmtime.loader, m\nprint(m.add(1, 2))", m__dot__wat=ADD) == "3\n"
    assert not list(tmp_path.rglob("*.cwasm"))
    (tmp_path / "chosen").mkdir(mode=0o700)
    program = (
        "import wasmtime.loader as l\nl.configure(cache='chosen')\nimport m\nprint(m.add(1, 2))"
    )
    assert run(program) == "3\n"
    assert list((tmp_path / "chosen").glob("*.cwasm"))


ERRORS = {
    "invalid": ("(module (func (result i32)))", "WasmtimeError"),
    "syntax": ("(module", "WasmtimeError"),
    "trap": ("(module (start 0) (func unreachable))", "Trap"),
    "missing_module": ('(module (import "nowhere" "f" (func)))', "ModuleNotFoundError"),
    "missing_name": ('(module (import "provider" "nothing" (func)))', "AttributeError"),
    "not_callable": ('(module (import "provider" "number" (func)))', "NoneType"),
    "wrong_kind": ('(module (import "provider" "number" (memory 1)))', "TypeError"),
    "bad_component": ('(component (import "m" (core module)))', "UnsupportedItem"),
}


def test_errors_are_import_errors_with_the_cause(run: Run) -> None:
    files = {f"{name}__dot__wat": text for name, (text, _) in ERRORS.items()}
    output = run(
        f"""
        import importlib
        import wasmtime.loader
        for name in {list(ERRORS)}:
            try:
                importlib.import_module(name)
            except ImportError as error:
                assert error.name == name and name in str(error), error
                assert str(error.path).endswith(name + ".wat")
                print(name, type(error.__cause__).__name__)
        """,
        provider__dot__py="number = 5\n",
        **files,
    )
    assert output.splitlines() == [f"{name} {cause}" for name, (_, cause) in ERRORS.items()]


def test_what_python_modules_raise_is_left_alone(run: Run) -> None:
    output = run(
        """
        import wasmtime.loader
        try:
            import m
        except ZeroDivisionError:
            print("as it is")
        """,
        m__dot__wat='(module (import "broken" "f" (func)))',
        broken__dot__py="1 / 0\n",
    )
    assert output == "as it is\n"


def test_host_exceptions_pass_unchanged(run: Run) -> None:
    output = run(
        """
        import wasmtime.loader
        import m, host
        try:
            m.run()
        except host.Special as error:
            print(error is host.made)
        """,
        m__dot__wat="""
        (module (import "host" "fail" (func $fail)) (func (export "run") (call $fail)))
        """,
        host__dot__py="""
        class Special(Exception):
            pass
        made = Special()
        def fail():
            raise made
        """,
    )
    assert output == "True\n"


def test_runpy_is_told_that_there_is_no_python_code(run: Run) -> None:
    program = """
        import runpy
        import wasmtime.loader
        try:
            runpy.run_module("adder")
        except ImportError as error:
            print(error)
        import adder
        print(adder.add(1, 2))
    """
    told = run(program, adder__dot__wat=ADD)
    assert "'adder' is WebAssembly, which has no Python code to run" in told
    assert "python -m wasmtime run" in told
    assert told.endswith("3\n")


# --- what a file may import ----------------------------------------------------------------------

EXPLOIT = """
(module
  (import "builtins" "chr" (func $chr (param i32) (result externref)))
  (import "operator" "add" (func $add (param externref externref) (result externref)))
  (import "builtins" "eval" (func $eval (param externref) (result externref)))
  (func (export "run")
    (drop (call $eval (call $add (call $chr (i32.const 49)) (call $chr (i32.const 49)))))))
"""


def imports(source: str, name: str = "f") -> str:
    """
    A module with one import, whose result is given on.
    """
    source = "".join(f"\\{byte:02x}" for byte in source.encode())
    return f"""
    (module (import "{source}" "{name}" (func $f (result i32)))
      (func (export "run") (result i32) (call $f)))
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


# --- finding -------------------------------------------------------------------------------------


@pytest.mark.parametrize("archive", [False, True], ids=["directory", "zip"])
def test_a_directory_of_the_same_name_is_no_package(
    run: Run, tmp_path: Path, archive: bool
) -> None:
    files = {
        "adder.wat": ADD,
        "adder/notes.txt": "",
        "regular.wat": ADD,
        "regular/__init__.py": "add = 'a package'",
        "odd/__init__.wat": ADD,
        "empty/notes.txt": "",
    }
    if archive:
        with zipfile.ZipFile(str(tmp_path / "here"), "w") as zipped:
            for name, text in files.items():
                if "/" in name:
                    zipped.writestr(name.partition("/")[0] + "/", "")
                zipped.writestr(name, text)
    for name, text in files.items() if not archive else ():
        path = tmp_path / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    output = run(
        """
        import sys
        sys.path.insert(0, "here")
        import wasmtime.loader
        import adder, regular, odd
        print(adder.add(1, 2), regular.add, hasattr(odd, "add"))
        """
    )
    assert output == "3 a package False\n"


def test_a_directory_wins_over_no_file_further_along_the_path(run: Run) -> None:
    output = run(
        """
        import sys
        sys.path[:0] = ["first", "second"]
        import wasmtime.loader
        import adder
        print(adder.add(1, 2))
        """,
        first__in__adder__in__notes__dot__txt="",
        second__in__adder__dot__wat=ADD,
    )
    assert output == "3\n"


def test_other_finders_are_asked_first(run: Run) -> None:
    """
    Hooks that others have installed for directories keep working.
    """
    output = run(
        """
        import sys
        from importlib.machinery import (
            EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader)
        class Loader(SourceFileLoader):
            def exec_module(self, module):
                super().exec_module(module)
                module.by_others = True
        details = (ExtensionFileLoader, EXTENSION_SUFFIXES), (Loader, [".py"])
        sys.path_hooks.insert(0, FileFinder.path_hook(*details))
        sys.path_importer_cache.clear()
        import wasmtime.loader
        import helper, m
        print(helper.by_others, m.add(1, 2))
        import pkgutil
        print(sorted(each.name for each in pkgutil.iter_modules(["."])))
        """,
        helper__dot__py="",
        m__dot__wat=ADD,
    )
    assert output == "True 3\n['helper', 'main']\n"


def test_new_files_are_found_as_new_python_files_are(run: Run) -> None:
    output = run(
        f"""
        import importlib
        import wasmtime.loader
        try:
            import late
        except ModuleNotFoundError:
            with open("late.wat", "w") as file:
                file.write({ADD!r})
            importlib.invalidate_caches()
            import late
            print(late.add(1, 2))
        """
    )
    assert output == "3\n"


def test_exports_do_not_become_hooks_of_the_module(run: Run) -> None:
    names = ("__getattr__", "__dir__", "__all__", "__dict__", "__class__", "__path__", "__file__")
    functions = "".join(
        f'(func (export "{name}") (result i32) (i32.const {index}))'
        for index, name in enumerate(names)
    )
    output = run(
        """
        import wasmtime.loader
        import m, user
        print(m.__all__, type(m).__name__, hasattr(m, "absent"), hasattr(m, "__path__"))
        print("plain" in dir(m), m.__wasm(), m.__file__.endswith("m.wat"))
        from m import *
        print(plain(), user.run())
        """,
        m__dot__wat=f"""
        (module {functions} (func (export "plain") (result i32) (i32.const 42))
          (func (export "__wasm") (result i32) (i32.const 43)))
        """,
        user__dot__wat=imports("m", "__dir__"),
    )
    assert output == "['plain', '__wasm'] module False False\nTrue 43 True\n42 1\n"


def test_a_reload_forgets_what_is_gone(run: Run) -> None:
    output = run(
        """
        import importlib
        import wasmtime.loader
        import m
        m.added = 1
        with open("m.wat", "w") as file:
            file.write('(module (func (export "second") (result i32) (i32.const 2)))')
        importlib.invalidate_caches()
        importlib.reload(m)
        print(hasattr(m, "first"), m.second(), m.added, m.__all__)
        with open("m.wat", "w") as file:
            file.write('(module')
        try:
            importlib.reload(m)
        except ImportError:
            print(m.second())
        """,
        m__dot__wat='(module (func (export "first") (result i32) (i32.const 1)))',
    )
    assert output == "False 2 1 ['second']\n2\n"


# --- threads -------------------------------------------------------------------------------------

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
        host__dot__py="""
        import threading
        inside, leave = threading.Event(), threading.Event()
        def wait(depth):
            inside.set()
            leave.wait()
        """,
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
        host__dot__py="""
        import threading
        inside, leave = threading.Event(), threading.Event()
        def wait(depth):
            inside.set()
            leave.wait()
        """,
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
        host__dot__py="""
        import threading
        inside, leave = threading.Event(), threading.Event()
        def wait(depth):
            inside.set()
            leave.wait()
        """,
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
        for number in range(2000):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0001 + number * 1e-7)
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
        host__dot__py="""
        import threading
        inside, leave = threading.Event(), threading.Event()
        def wait(depth):
            inside.set()
            leave.wait()
        """,
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
