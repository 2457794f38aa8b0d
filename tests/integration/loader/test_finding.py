"""
Which file an import finds, and what the module that it becomes shows.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from .files import ADD, Run, imports


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
