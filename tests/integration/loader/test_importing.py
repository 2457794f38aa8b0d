"""
`import` of WebAssembly files: what becomes of modules and components, and what fails.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from wasmtime import wat2wasm

from .files import ADD, COMPONENT, Run


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


def test_files_in_zip_archives_are_imported(run: Run, tmp_path: Path) -> None:
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


def test_functions_have_signatures(run: Run) -> None:
    """
    With the names that the module tells; the others are counted.
    """
    output = run(
        """
        import inspect
        import wasmtime.loader
        import m
        print(inspect.signature(m.scale), inspect.signature(m.pair), m.scale.__name__)
        """,
        m__dot__wat="""(module
            (func (export "scale") (param $value f64) (param i32) (result f64) (local.get 0))
            (func (export "pair") (param externref) (result i32 i32)
                (i32.const 1) (i32.const 2)))""",
    )
    assert output == "(value: float, p1: int, /) -> float (p0: Any, /) -> list scale\n"
