"""
Fixtures for tests of generated packages.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import pytest

from wasmtime.bindgen import generate

from .files import write_package


@pytest.fixture(autouse=True, scope="session")
def compiled_code_is_kept_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """
    Let the packages keep their compiled code in a directory of the tests.
    """
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
            patch.setenv(variable, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def generated_packages_go(tmp_path: Path) -> Iterator[None]:
    """
    Forget the packages that a test imported: every collection of garbage would look at them again.
    """
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(f"{tmp_path}{os.sep}"):
            del sys.modules[name]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """
    Generate a package and import it.
    """
    monkeypatch.syspath_prepend(str(tmp_path))

    def package(name: str, source: Any, **form: bool) -> ModuleType:
        files = generate(name, source, **form)
        write_package(tmp_path / name, files)
        for loaded in [each for each in sys.modules if each.partition(".")[0] == name]:
            del sys.modules[loaded]
        importlib.invalidate_caches()
        return importlib.import_module(name)

    return package
