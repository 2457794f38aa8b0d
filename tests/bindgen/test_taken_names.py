"""
Names that Python, the standard library or generated code itself uses, in every place of a component
that has a name: the package can be imported, and is complete.
"""

from __future__ import annotations

import abc
import builtins
import dataclasses
import enum
import importlib
import keyword
import re
import sys
import typing
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import pytest

from wasmtime.bindgen import generate, support

from .files import write_package

#: What generated code imports, defines, or has as parameters, modules and attributes.
USED = """
    abstractmethod dataclass Enum Flag auto Any Dict Generic List Optional Protocol Tuple
    Type TypeVar TYPE_CHECKING Union NotImplementedError bool bytes classmethod float int
    str staticmethod cls caller component instance functions store import_object result
    function drop value Root RootImports COMPONENT world world_types root_functions host
    imports exports types wasmtime support Ok Err Some Result T E S init main con nul aux
    mro name
"""
#: What Python itself uses.
TAKEN = [
    *keyword.kwlist,
    *(name for source in (builtins, enum, dataclasses, abc, support) for name in dir(source)),
    *(name for cls in (type, enum.Flag, support.Resource) for name in dir(cls)),
    *typing.__all__,
]


def kebab(name: str) -> str:
    """
    The name in WIT that comes closest to a name in Python.
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).split("_")
    return "-".join(word.lower() for word in words if word)


def words(names: Iterable[str]) -> list[str]:
    found = {kebab(name) for name in names}
    # A method has a parameter `self` already.
    return sorted(
        word for word in found if re.fullmatch("[a-z][a-z0-9-]*", word) and word != "self"
    )


def interface(word: str, type_suffix: str, function_suffix: str) -> str:
    ty, function = word + type_suffix, word + function_suffix
    return f"""
      (type $r (record
        (field "{word}" u8) (field "a" (option u8)) (field "b" (list u8))
        (field "c" (list string)) (field "d" (result (error string)))))
      (export "{ty}" (type $record (eq $r)))
      (type $v (variant (case "{word}" u8) (case "zz" (option string))))
      (export "{word}-v" (type $variant (eq $v)))
      (type $e (enum "{word}" "zz")) (export "{word}-e" (type $enum (eq $e)))
      (type $f (flags "{word}" "zz")) (export "{word}-f" (type $flags (eq $f)))
      (export "{word}-q" (type $q (sub resource)))
      (export "[constructor]{word}-q"
        (func (param "{word}" $record) (param "zz" string) (result (own $q))))
      (export "[method]{word}-q.{word}" (func
        (param "self" (borrow $q)) (param "{word}" $variant) (param "zz" (list $record))
        (result (list $record))))
      (export "[static]{word}-q.zz" (func
        (param "{word}" (tuple u8 f32 bool string)) (result (option (option $enum)))))
      (export "{function}" (func
        (param "{word}" $record) (param "zz" (list $flags))
        (result (result $record (error $variant)))))
      (export "zzz" (func (param "{word}" $record) (param "zz" (list u8))
        (result (tuple $record $variant $enum f32 u8 string bool))))
    """


def component(each: list[str], type_suffix: str, function_suffix: str) -> str:
    parts = []
    for i, word in enumerate(each):
        body = interface(word, type_suffix, function_suffix)
        parts.append(f'(import "a:i/{word}" (instance $i{i} {body}))')
        parts.append(f'(export "a:e/{word}" (instance $i{i}))')
    for i, word in enumerate(each):
        parts.append(f'(import "{word}" (func $f{i} (param "{word}" u8) (result (list string))))')
        parts.append(f'(export "{word}" (func $f{i}))')
    return f"(component {' '.join(parts)})"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Any]:
    """
    Generate a package under a name and import all modules of it; the package.
    """
    monkeypatch.syspath_prepend(str(tmp_path))

    def load(name: str, source: str) -> ModuleType:
        generated = generate(name, source)
        write_package(tmp_path / name, generated)
        importlib.invalidate_caches()
        for file in sorted(generated):
            if file.endswith(".py"):
                parts = [name, *file[: -len(".py")].split("/")]
                importlib.import_module(".".join(parts).replace(".__init__", ""))
        return sys.modules[name]

    return load


def check(package: ModuleType, each: list[str]) -> None:
    imports = sys.modules[f"{package.__name__}.imports"]
    assert package.imports is imports
    assert isinstance(package.Root, type)
    fields = dataclasses.fields(imports.RootImports)
    assert len(fields) == len(each) + 1
    assert not any(field.default is not dataclasses.MISSING for field in fields)


SUFFIXES = pytest.mark.parametrize(
    ("types", "functions"), [("", "-f1"), ("-t1", "")], ids=["types", "functions"]
)


@SUFFIXES
@pytest.mark.slow
def test_a_name_that_is_used_breaks_no_package(load: Any, types: str, functions: str) -> None:
    for word in words(USED.split()):
        name = f"used_{word.replace('-', '_')}{functions[1:]}"
        check(load(name, component([word], types, functions)), [word])


@pytest.mark.slow
@SUFFIXES
def test_all_taken_names_together_break_no_package(load: Any, types: str, functions: str) -> None:
    every = words([*TAKEN, *USED.split()])
    assert len(every) > 300
    check(load(f"taken{functions[1:]}", component(every, types, functions)), every)


def test_a_reexported_resource_keeps_its_methods_once() -> None:
    source = component(["thing"], "", "-f1")
    assert generate("x", source)["imports/thing.py"].count(b"def thing(") == 1


def test_no_field_takes_a_method_that_every_class_has_for_its_default(load: Any) -> None:
    package = load("mro_field", component(["mro"], "", "-f1"))
    record = sys.modules[f"{package.__name__}.imports.mro_"].Mro
    assert [field.name for field in dataclasses.fields(record)] == ["mro_", "a", "b", "c", "d"]
    with pytest.raises(TypeError, match="mro_"):
        record()
