"""
Components whose author is no friend: no text of theirs becomes code, no name breaks the package,
and nothing that they describe in few bytes costs much.
"""

from __future__ import annotations

import ast
import importlib
import io
import itertools
import json
import keyword
import os
import re
import subprocess
import sys
import tempfile
import tokenize
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wasmtime import Store, wat2wasm
from wasmtime._wasm.decode import MAX_DEPTH, MAX_PARTS, UnsupportedComponent
from wasmtime.bindgen import generate
from wasmtime.bindgen._generator.text import clean

from . import encode
from .encode import U8
from .files import write_package

Package = Callable[[str, Any], ModuleType]

#: Something of every kind that can be documented.
DOCUMENTED = """
(component
  (import "t:p/i" (instance $i
    (type $al u32) (export "al" (type $ale (eq $al)))
    (type $rec (record (field "f" $ale) (field "g" string))) (export "rec" (type $rece (eq $rec)))
    (type $var (variant (case "f" u8) (case "g"))) (export "var" (type $vare (eq $var)))
    (type $en (enum "f" "g")) (export "en" (type $ene (eq $en)))
    (type $fl (flags "f" "g")) (export "fl" (type $fle (eq $fl)))
    (export "res" (type $res (sub resource)))
    (export "[constructor]res" (func (result (own $res))))
    (export "[method]res.m" (func (param "self" (borrow $res))))
    (export "[static]res.s" (func))
    (export "run" (func (param "r" $rece) (result (result $vare (error $ene)))))))
  (import "top" (func $top))
  (export "t:p/e" (instance $i))
  (export "t:p/i" (instance $i))
  (export "up" (func $top)))
"""
TYPES = ("al", "rec", "var", "en", "fl", "res")
FUNCS = ("run", "[constructor]res", "[method]res.m", "[static]res.s")


def documented(text: str) -> bytes:
    """
    The component, with `text` wherever documentation can be.
    """
    entry = {
        "docs": text,
        "funcs": {each: {"docs": text} for each in FUNCS},
        "types": {
            each: {"docs": text, "items": {item: {"docs": text} for item in ("f", "g")}}
            for each in TYPES
        },
    }
    world = {"docs": text, "func_imports": {"top": text}, "func_exports": {"up": {"docs": text}}}
    said = {"interfaces": {"i": entry, "e": entry}, "worlds": {"w": world}}
    binary = bytes(wat2wasm(DOCUMENTED))
    return encode.with_section(binary, "package-docs", json.dumps(said).encode())


def sources(files: dict[str, bytes]) -> dict[str, str]:
    return {file: text.decode() for file, text in files.items() if file.endswith(".py")}


def docstrings(tree: ast.Module) -> Iterator[tuple[Any, str]]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            text = ast.get_docstring(node)
            if text is not None:
                yield node, text


def without_docstrings(source: str) -> str:
    tree = ast.parse(source)
    for node, _ in list(docstrings(tree)):
        del node.body[0]
    return ast.dump(tree)


UNDOCUMENTED = {
    file: without_docstrings(source) for file, source in sources(generate("x", DOCUMENTED)).items()
}

#: Texts that end comments, lines and literals in some reader's eyes.
PIECES = [
    *"\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029\0\x1a\x1b\t\\\"'#{}% ",
    *"\u202e\u2066\u200b\ufeff\ud800\udfff\U000e0041\u200d\u00a0",
    '"""',
    "'''",
    "\\N{",
    "\\u0000",
    "# -*- coding: utf-7 -*-",
    "+AGEAYgBj-",
    "import builtins; builtins.PWNED = 1",
    "class X: pass",
]
texts = st.one_of(
    st.text(st.characters(), max_size=40),
    st.lists(st.one_of(st.sampled_from(PIECES), st.characters()), max_size=12).map("".join),
)


@settings(max_examples=60, deadline=None)
@given(texts)
@example("A size.\rimport builtins; builtins.PWNED += 1\r#")
@example('"""\nimport builtins\n"""')
@example("\\")
@example(" 0\t0")
@example('"')
@example("\ud800\udc00")
@pytest.mark.slow
def test_documentation_stays_documentation(text: str) -> None:
    files = sources(generate("x", documented(text)))
    said = clean(json.loads(json.dumps(text)))  # halves of a character that meet become one
    lines = {line.strip() for line in said.split("\n")}
    found = 0
    for file, source in files.items():
        assert without_docstrings(source) == UNDOCUMENTED[file]
        assert all(map(is_visible, source))
        found += sum(words.split() == said.split() for _, words in docstrings(ast.parse(source)))
        for token in tokenize.generate_tokens(io.StringIO(source, newline="\n").readline):
            if token.type == tokenize.COMMENT:
                assert re.sub("^#:? ?", "", token.string).strip() in lines
    if said.strip():
        assert found > 20


def is_visible(char: str) -> bool:
    return char in "\n\u200c\u200d" or unicodedata.category(char) not in ("Cc", "Cf", "Cs")


@pytest.mark.parametrize(
    "directive", ["mypy: ignore-errors", "type: ignore", "fmt: off", "/// script", "NOQA"]
)
def test_documentation_tells_no_tool_what_to_do(directive: str) -> None:
    source = sources(generate("x", documented(f"About.\n  {directive}")))["imports/i.py"]
    assert f"#:   {directive}\n" in source
    assert not re.search(rf"^\s*#\s*{directive}", source, re.MULTILINE)


EVIL_DOCS = {
    "interfaces": {
        "i": {"types": {"al": {"docs": "A size.\rimport builtins; builtins.PWNED=1\r#"}}}
    }
}


def test_importing_a_package_runs_nothing_of_the_components_author(
    package: Package, tmp_path: Path
) -> None:
    evil = encode.with_section(
        bytes(wat2wasm(DOCUMENTED)), "package-docs", json.dumps(EVIL_DOCS).encode()
    )
    package("evil_docs", evil)
    importlib.import_module("evil_docs.imports.i")
    (tmp_path / "evil.wasm").write_bytes(evil)
    program = "import builtins, wasmtime.loader, evil.imports.i; print(hasattr(builtins, 'PWNED'))"
    assert run(program, tmp_path) == "False\n"
    assert not hasattr(__import__("builtins"), "PWNED")


def run(program: str, directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=str(directory),
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(directory)},
    )
    return done.stdout.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    "section",
    [
        b"",
        b"\x01",
        b"\xff\xfe",
        b"[" * 100_000,
        b"9" * 1_000_000,
        *(
            json.dumps(said).encode()
            for said in (
                [],
                5,
                None,
                {"interfaces": []},
                {"interfaces": {"i": []}},
                {"interfaces": {"i": {"docs": {"a": 1}, "types": [], "funcs": 5}}},
                {"interfaces": {"i": {"types": {"al": 5, "rec": {"items": []}}}}},
                {"interfaces": {"i": {"types": {"rec": {"items": {"f": [], "g": {"docs": 1}}}}}}},
                {"worlds": []},
                {"worlds": {"w": 5, "x": {"docs": 5, "types": 3, "funcs": [], "func_exports": 1}}},
            )
        ),
    ],
    ids=lambda section: section[:40].decode("latin-1"),
)
def test_documentation_of_another_form_says_nothing(section: bytes) -> None:
    binary = bytes(wat2wasm(DOCUMENTED))
    files = sources(generate("x", encode.with_section(binary, "package-docs", section)))
    assert files == sources(generate("x", binary))


# --- names ---------------------------------------------------------------------------------------

#: What generated code consists of, besides expressions.
STATEMENTS = (
    *(ast.Module, ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.If),
    *(ast.Assign, ast.AnnAssign, ast.Return, ast.Raise, ast.Expr),
)
MODULES = {"abc", "builtins", "dataclasses", "enum", "typing", "wasmtime"}
#: What is called, or the object whose method is.
CALLED = {
    *("MODULE", "TypeVar", "auto", "cls", "component", "function", "instance", "self", "support"),
}


def check_meaning(files: dict[str, bytes]) -> None:
    """
    Every file compiles, imports what generated code needs, and calls nothing else.
    """
    for file, source in sources(files).items():
        assert all(part.isidentifier() for part in file[:-3].split("/"))
        compile(source, file, "exec")
        for node in ast.walk(ast.parse(source)):
            assert not isinstance(node, ast.stmt) or isinstance(node, STATEMENTS)
            if isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} <= {"wasmtime"}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                assert str(node.module).partition(".")[0] in MODULES
            elif isinstance(node, ast.Call):
                assert re.match(r"\w+", ast.unparse(node.func))[0].lstrip("_") in CALLED  # type: ignore[index]


def generated(name: str, source: Any) -> dict[str, bytes]:
    """
    The files; none where a name is refused.
    """
    try:
        return generate(name, source)
    except ValueError:
        return {}


def named(names: list[str]) -> bytes:
    """
    A component with these names in every place that has one.
    """
    interface, record, field, case, flag, resource, method, param, other = names
    declarations = [
        encode.declare_type(b"\x72" + encode.vec([encode.name(field) + U8])),
        encode.export_type(record, 0),
        encode.declare_type(b"\x71" + encode.vec([encode.name(case) + b"\0\0"])),
        encode.export_type(other, 2),
        encode.declare_type(b"\x6e" + encode.vec([encode.name(flag)])),
        encode.export_type(f"{flag}-f", 4),
        encode.declare_type(b"\x6d" + encode.vec([encode.name(case)])),
        encode.export_type(f"{case}-e", 6),
        encode.export_resource(resource),
        encode.declare_type(b"\x68\x08"),
        encode.declare_type(encode.func([("self", b"\x09"), (param, b"\x01")])),
        encode.export_func(f"[method]{resource}.{method}", 10),
        encode.declare_type(encode.func([(param, b"\x03")])),
        encode.export_func(method, 11),
    ]
    return encode.component(
        encode.types(encode.instance_type(*declarations), encode.func([(param, U8)])),
        encode.imports(
            encode.name(interface) + b"\x05\0",
            encode.name(f"{interface}2") + b"\x05\0",
            encode.name(f"{other}3") + b"\x01\x01",
        ),
    )


NAMES = ["t:p/i", "rec", "f", "c", "fl", "res", "m", "p", "other"]


def test_the_component_of_any_names_is_one() -> None:
    files = generate("x", named(NAMES))
    check_meaning(files)
    assert b"def m(self, p: Rec) -> None:" in files["imports/i.py"]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, len(NAMES) - 1),
    st.one_of(
        st.text(max_size=20),
        st.lists(st.sampled_from(PIECES), max_size=6)
        .map("".join)
        .filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text)),
        st.text("abcXYZ0189-_./:@'\"\\ #()=", max_size=20),
    ),
)
@example(0, "a:b/../../c")
@example(0, "..")
@example(6, "x(self): import os #")
def test_names_stay_names(place: int, name: str) -> None:
    names = [*NAMES[:place], name, *NAMES[place + 1 :]]
    check_meaning(generated("x", named(names)))


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(), max_size=30))
@example("a\rimport os")
@example('a"""\nimport os')
@example("\ud800a\0")
def test_the_packages_name_stays_a_name(name: str) -> None:
    for source in ("(component)", '(module (func (export "f")))'):
        check_meaning(generated(name, source))


def test_a_name_that_no_file_can_have_is_refused_or_changed() -> None:
    with pytest.raises(ValueError, match="has 300 characters; a file's may have 200"):
        generate("a" * 300, "(component)")
    with pytest.raises(ValueError, match="has 300 characters; a file's may have 200"):
        generate("x", f'(component (import "a:b/{"a" * 300}" (instance)))')
    files = generate("NUL", '(component (import "a:b/con" (instance)) (import "lpt1" (instance)))')
    assert {"imports/con_.py", "imports/lpt1_.py", "nul_.component.wasm"} <= set(files)


def escaped(text: str) -> str:
    return "".join(f"\\{byte:02x}" for byte in text.encode())


def core_module(imports: list[str], exports: list[str]) -> str:
    """
    A module of these names. Each exported function returns its place, and has a parameter of its
    own name.
    """
    parts = [
        f'(import "{escaped(source)}" "{escaped(name)}" (func (param i32)))'
        for source in imports
        for name in imports
    ]
    parts += [
        f'(func $e{i} (param $"{escaped(name) or " "}" i32) (result i32) (i32.const {i}))'
        f'(export "{escaped(name)}" (func $e{i}))'
        for i, name in enumerate(exports)
    ]
    return f"(module {' '.join(parts)})"


def methods(source: bytes, cls: str) -> list[str]:
    body = next(
        node.body
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == cls
    )
    return [each.name for each in body if isinstance(each, ast.FunctionDef)]


numbers = itertools.count()


@contextmanager
def imported(generated: dict[str, bytes]) -> Iterator[ModuleType]:
    """
    The package, imported from a directory of its own.
    """
    name = f"hostile_{next(numbers)}"
    with tempfile.TemporaryDirectory() as directory:
        write_package(Path(directory, name), generated)
        sys.path.insert(0, directory)
        try:
            importlib.invalidate_caches()
            yield importlib.import_module(name)
        finally:
            sys.path.remove(directory)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=8), max_size=4, unique=True))
@example(["fi", "\ufb01"])
@example(["\u00b2", "\u2168", "\u00bd", "\u0301a", "\u309b"])
@example(["class", "\uff43lass", "_", "", "__x", "\uff3f\uff3fx", "__debug__", "mro"])
@example(["a.b", "a,b", "a b", "a_b", "a_b_", "a\0b"])
@example(["self", "caller", "result", "wasmtime", "int", "support", "_exports", "_MODULE"])
def test_names_of_core_modules_are_told_apart(names: list[str]) -> None:
    check_meaning(generate("x", core_module(names, names)))
    files = generate("x", core_module([], names))
    spelled = methods(files["__init__.py"], "Root")[1:]
    for name in spelled:
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        assert unicodedata.normalize("NFKC", name) == name
    store = Store()
    with imported(files) as package:
        instance = package.Root(store)
    assert [getattr(instance, name)(store, 0) for name in spelled] == list(range(len(names)))


def test_names_that_become_the_same_stay_short() -> None:
    count = 4000
    exports = "".join(
        f'(export "a{escaped(chr(0x2000 + number))}" (func $f))' for number in range(count)
    )
    files = generate("x", f"(module (func $f) {exports})")
    given_names = methods(files["__init__.py"], "Root")[1:]
    assert given_names[:5] == ["a_", "a__", "a___", "a____", "a_4"]
    assert len(set(given_names)) == count
    assert max(map(len, given_names)) < 10


# --- depth and size ------------------------------------------------------------------------------


def function_of(ty: bytes, count: int) -> bytes:
    """
    A component that imports a function of the last of `count` types: the first is `ty`'s element.
    """
    chain = [ty + (U8 * (ty[-1] if ty[0] == 0x6F else 1))]
    chain += [ty + encode.leb(i) * (ty[-1] if ty[0] == 0x6F else 1) for i in range(count - 1)]
    function = encode.func([("a", encode.leb(count - 1))])
    return encode.component(
        encode.types(*chain, function),
        encode.imports(encode.name("f") + b"\x01" + encode.leb(count)),
    )


def nested_instances(depth: int) -> bytes:
    """
    An instance type that exports two instances of one that exports two ...
    """
    if depth == 0:
        return encode.instance_type(encode.declare_type(U8), encode.export_type("t", 0))
    return encode.instance_type(
        encode.declare_type(nested_instances(depth - 1)),
        encode.export_instance("a", 0),
        encode.export_instance("b", 0),
    )


def deep_types(depth: int) -> bytes:
    ty = encode.instance_type()
    for _ in range(depth):
        ty = encode.instance_type(encode.declare_type(ty))
    return ty


def nested_components(depth: int) -> bytes:
    if depth == 0:
        return encode.component()
    twice = encode.section(encode.INSTANCE, encode.vec([b"\0\0\0"] * 2))
    inner = encode.section(encode.COMPONENT, nested_components(depth - 1))
    return encode.component(inner, twice)


def importing(ty: bytes) -> bytes:
    return encode.component(encode.types(ty), encode.imports(encode.name("a:b/i") + b"\x05\0"))


def aliases(depth: int) -> str:
    """
    Each type is a pair of the one before, under a name.
    """
    lines = ['(type $a0 (option string)) (import "a0" (type $b0 (eq $a0)))']
    lines += [
        f'(type $a{i} (tuple $b{i - 1} $b{i - 1})) (import "a{i}" (type $b{i} (eq $a{i})))'
        for i in range(1, depth)
    ]
    return f'(component {" ".join(lines)} (import "f" (func (param "x" $b{depth - 1}))))'


def one_instance_exported_often() -> bytes:
    count = 10_000
    functions = [encode.export_func(f"f{i}", 0) for i in range(count)]
    return encode.component(
        encode.types(encode.instance_type(encode.declare_type(encode.func([])), *functions)),
        encode.imports(encode.name("a:b/i") + b"\x05\0"),
        encode.exports(*(encode.name(f"a:b/e{i}") + b"\x05\0\0" for i in range(count))),
    )


DEEP = "nested too deeply for bindings: more than 64 types"
LARGE = "too large for bindings: its interfaces and types come to more than 100,000 parts"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (function_of(b"\x70", 200), DEEP),
        (function_of(b"\x6b", 5000), DEEP),
        (function_of(b"\x6f\x02", 24), LARGE),
        (importing(nested_instances(24)), LARGE),
        (importing(deep_types(1000)), DEEP),
        (nested_components(24), LARGE),
        (nested_components(200), DEEP),
        (bytes(wat2wasm(aliases(24))), LARGE),
        (one_instance_exported_often(), LARGE),
        (encode.HEAD + b"\x07" + b"\x80" * 1_000_000, "a number that is too long"),
        (
            encode.component(
                encode.types(b"\x6d\x01" + encode.name("a")),
                encode.imports(
                    *(encode.name(f"t{i}") + b"\x03\0" + encode.leb(i) for i in range(4000))
                ),
            ),
            DEEP,
        ),
    ],
    ids=[
        "lists",
        "options",
        "tuples",
        "instance types that double",
        "instance types",
        "component instances that double",
        "components",
        "aliases that double",
        "one instance exported often",
        "number",
        "names of names",
    ],
)
@pytest.mark.slow
def test_what_is_too_deep_or_too_large_is_refused_with_the_reason(
    source: bytes, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "hostile.wasm").write_bytes(source)
    program = """
import sys
from pathlib import Path
from wasmtime.bindgen import generate
try:
    generate("x", Path("hostile.wasm").read_bytes())
except ValueError as error:
    print(error)
"""
    assert reason in run(program, tmp_path)


def test_what_is_nested_as_deeply_as_it_may_be_compiles() -> None:
    for ty in (b"\x70", b"\x6b", b"\x6f\x01"):
        files = generate("x", function_of(ty, MAX_DEPTH - 2))
        check_meaning(files)
        with pytest.raises(UnsupportedComponent):
            generate("x", function_of(ty, MAX_DEPTH))


@pytest.mark.parametrize(
    "ty",
    [b"\x72\0", b"\x71\0", b"\x6f\0", b"\x6e\0", b"\x6d\0"],
    ids=["record", "variant", "tuple", "flags", "enum"],
)
def test_a_type_of_no_parts_is_refused(ty: bytes) -> None:
    source = importing(encode.instance_type(encode.declare_type(ty), encode.export_type("t", 0)))
    with pytest.raises(UnsupportedComponent, match="of no parts"):
        generate("x", source)


def test_labels_that_differ_by_case_alone_are_refused() -> None:
    ty = b"\x6d" + encode.vec([encode.name("a-b"), encode.name("A-B")])
    source = importing(encode.instance_type(encode.declare_type(ty), encode.export_type("t", 0)))
    with pytest.raises(UnsupportedComponent, match="a case that is not well-formed, or twice"):
        generate("x", source)


def test_a_component_of_many_parts_is_written_in_one_go(tmp_path: Path) -> None:
    # 20,000 functions of one interface: what costs the square of that takes minutes.
    count = MAX_PARTS // 5
    functions = [encode.export_func(f"[method]r.m{i}", 2) for i in range(count)]
    interface = encode.instance_type(
        encode.export_resource("r"),
        encode.declare_type(b"\x68\0"),
        encode.declare_type(encode.func([("self", b"\x01")])),
        *functions,
    )
    (tmp_path / "many.wasm").write_bytes(importing(interface))
    program = """
from pathlib import Path
from wasmtime.bindgen import generate
print(generate("x", Path("many.wasm").read_bytes())["imports/i.py"].count(b"def m"))
"""
    assert run(program, tmp_path) == f"{count}\n"
