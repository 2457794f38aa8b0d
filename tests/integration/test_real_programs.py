"""
Programs that others compiled and a package registry ships, run and held to what they document.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import struct
import subprocess
import sys
import time
import wave
from pathlib import Path
from typing import Any, Callable, Optional, Union

import pytest
from real_programs import PROGRAMS, IntegrityError, Program, Unavailable, obtain, registry

from wasmtime import (
    Config,
    DirPerms,
    Engine,
    ExitTrap,
    Func,
    FuncType,
    Linker,
    Memory,
    Module,
    Store,
    TimeoutTrap,
    Trap,
    ValType,
    WasiConfig,
    WasmtimeError,
)

# The largest takes several seconds to compile, and a slow network several more to fetch.
pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]


@functools.cache
def _path_or_reason(name: str) -> Union[Path, str]:
    # Kept, so that a machine without network waits for npm once and not for every test.
    try:
        return obtain(PROGRAMS[name])
    except Unavailable as reason:
        return str(reason)


def path_of(name: str) -> Path:
    """
    The WebAssembly file of a program; skips the test where it cannot be had.
    """
    found = _path_or_reason(name)
    if isinstance(found, Path):
        return found
    if registry.mode() == "require":
        pytest.fail(f"WASMTIME_TEST_PROGRAMS=require, but {found}")
    pytest.skip(found)


class Runner:
    """
    Compiles each program once and runs it as often as needed.
    """

    def __init__(self) -> None:
        # What compiling took last time is not repeated; the programs never change.
        config = Config()
        cache = registry.cache_directory() / "compiled"
        try:
            cache.mkdir(parents=True, exist_ok=True)
            settings = cache / "cache.toml"
            settings.write_text(f"[cache]\ndirectory = {json.dumps(str(cache))}\n")
            config.cache = str(settings)
        except (OSError, WasmtimeError):
            pass  # without a cache it only takes longer
        self.engine = Engine(config)
        self._modules: dict[str, Module] = {}

    def module(self, name: str) -> Module:
        if name not in self._modules:
            self._modules[name] = Module.from_file(self.engine, str(path_of(name)))
        return self._modules[name]

    def __call__(
        self, name: str, arguments: list[str], wasi: Optional[WasiConfig] = None
    ) -> tuple[int, bytes, bytes]:
        """
        Run a command; the result is its exit status, standard output and standard error.
        """
        module = self.module(name)
        wasi = wasi or WasiConfig()
        wasi.argv = [name, *arguments]
        out, err = wasi.capture_stdout(), wasi.capture_stderr()
        linker = Linker(self.engine)
        linker.define_wasi()
        with Store(self.engine) as store:
            store.set_wasi(wasi)
            status = 0
            try:
                start = linker.instantiate(store, module).exports(store)["_start"]
                assert isinstance(start, Func)
                start(store)
            except ExitTrap as trap:
                status = trap.code
        return status, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def run() -> Runner:
    return Runner()


def command_line(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """
    ``python -m wasmtime run`` with the arguments.
    """
    return subprocess.run(
        [sys.executable, "-m", "wasmtime", "run", *map(os.fspath, arguments)],
        capture_output=True,
        # Linux looks here for the cache of compiled modules, which so does not fill the user's.
        env={**os.environ, "XDG_CACHE_HOME": str(registry.cache_directory() / "compiled")},
        timeout=300,
        **options,
    )


class TestEsbuild:
    """
    esbuild, the JavaScript bundler: a Go program with goroutines, files and a large module.
    """

    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        (tmp_path / "main.ts").write_text(
            "import { area, type Shape } from './shapes/circle'\n"
            "const shape: Shape = { radius: 2 }\n"
            "console.log(area(shape))\n"
        )
        (tmp_path / "shapes").mkdir()
        (tmp_path / "shapes" / "circle.ts").write_text(
            "export interface Shape { radius: number }\n"
            "export const area = (shape: Shape): number => shape.radius ** 2\n"
            "export const unused = 'shaken off the tree'\n"
        )
        return tmp_path

    def test_version_is_the_packages(self, run: Runner) -> None:
        assert run("esbuild", ["--version"]) == (
            0,
            PROGRAMS["esbuild"].version.encode() + b"\n",
            b"",
        )

    def test_transforms_standard_input(self, run: Runner) -> None:
        wasi = WasiConfig()
        wasi.stdin_bytes = b"let x: number = 1 + 2; export { x }"
        status, out, _ = run("esbuild", ["--loader=ts"], wasi)
        assert (status, out) == (0, b"let x = 1 + 2;\nexport { x };\n")

    def test_bundles(self, run: Runner, project: Path) -> None:
        wasi = WasiConfig()
        wasi.preopen_dir(project, "/")
        status, _, err = run(
            "esbuild",
            ["/main.ts", "--bundle", "--minify", "--sourcemap", "--outfile=/out.js"],
            wasi,
        )
        assert status == 0, err
        bundle = (project / "out.js").read_text()
        assert "console.log(" in bundle
        assert "import" not in bundle
        assert "shaken off the tree" not in bundle
        sources = json.loads((project / "out.js.map").read_text())["sources"]
        assert sorted(sources) == ["main.ts", "shapes/circle.ts"]

    def test_reports_an_error(self, run: Runner) -> None:
        wasi = WasiConfig()
        wasi.stdin_bytes = b"let = 1 +"
        status, _, err = run("esbuild", ["--loader=js"], wasi)
        assert status == 1
        assert b"[ERROR]" in err

    def test_read_only_directory(self, run: Runner, project: Path) -> None:
        wasi = WasiConfig()
        wasi.preopen_dir(project, "/", DirPerms.READ_ONLY)
        status, _, err = run("esbuild", ["/main.ts", "--bundle", "--outfile=/out.js"], wasi)
        assert status == 1
        assert b"Failed to write to output file" in err
        assert not (project / "out.js").exists()

    def test_command_line(self, project: Path) -> None:
        program = path_of("esbuild")
        done = command_line(
            "--dir", f"{project}::/", program, "/main.ts", "--bundle", "--format=esm"
        )
        assert done.returncode == 0, done.stderr
        assert b"// shapes/circle.ts" in done.stdout
        done = command_line(program, "--no-such-flag")
        assert done.returncode == 1
        assert b'flag: "--no-such-flag"' in done.stderr


class TestFlite:
    """
    flite, the speech synthesizer: a C program with tens of megabytes of data in the module.
    """

    def test_lists_its_voices(self, run: Runner) -> None:
        status, out, _ = run("flite", ["-lv"])
        assert status == 0
        assert out.split()[:2] == [b"Voices", b"available:"]
        assert {b"kal", b"slt", b"rms", b"awb"} <= set(out.split())

    @pytest.mark.parametrize(("voice", "rate"), [("kal", 8000), ("slt", 16000)])
    def test_speaks(self, run: Runner, tmp_path: Path, voice: str, rate: int) -> None:
        durations = []
        for text in ("Hello.", "Hello, this is a much longer sentence about WebAssembly."):
            wasi = WasiConfig()
            wasi.preopen_dir(tmp_path, "/")
            status, _, err = run("flite", ["-voice", voice, "-t", text, "-o", "/out.wav"], wasi)
            assert status == 0, err
            with wave.open(str(tmp_path / "out.wav")) as sound:
                assert sound.getnchannels() == 1
                assert sound.getsampwidth() == 2
                assert sound.getframerate() == rate
                samples = sound.readframes(sound.getnframes())
                durations.append(sound.getnframes() / rate)
            loudest = max(map(abs, struct.unpack(f"<{len(samples) // 2}h", samples)))
            assert loudest > 1000  # it is not silence
        # between one and twenty syllables, at the pace of speech
        assert 0.3 < durations[0] < 2
        assert 2 < durations[1] < 8

    def test_the_same_sound_twice(self, run: Runner, tmp_path: Path) -> None:
        sounds = []
        for _ in range(2):
            wasi = WasiConfig()
            wasi.preopen_dir(tmp_path, "/")
            run("flite", ["-voice", "slt", "-t", "again", "-o", "/out.wav"], wasi)
            sounds.append((tmp_path / "out.wav").read_bytes())
        assert sounds[0] == sounds[1]

    def test_reads_a_file_through_the_command_line(self, tmp_path: Path) -> None:
        (tmp_path / "words.txt").write_text("One. Two. Three.\n")
        done = command_line(
            "--dir", f"{tmp_path}::/d", path_of("flite"), "-f", "/d/words.txt", "-o", "/d/o.wav"
        )
        assert done.returncode == 0, done.stderr
        with wave.open(str(tmp_path / "o.wav")) as sound:
            assert sound.getnframes() > sound.getframerate()


class TestPython:
    """
    CPython itself: the standard library read from inside the module, exceptions, exit statuses.
    """

    def test_version(self, run: Runner) -> None:
        assert run("python", ["--version"]) == (0, b"Python 3.12.0\n", b"")

    def test_computes(self, run: Runner) -> None:
        wasi = WasiConfig()
        wasi.stdin_bytes = b"abc"
        script = (
            "import sys, json, hashlib, fractions\n"
            "data = sys.stdin.buffer.read()\n"
            "print(json.dumps([sys.platform, hashlib.sha256(data).hexdigest(),"
            " str(sum(fractions.Fraction(1, n) for n in range(1, 20)))]))\n"
            "sys.exit(7)\n"
        )
        status, out, _ = run("python", ["-c", script], wasi)
        assert status == 7
        assert json.loads(out) == [
            "wasi",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "275295799/77597520",
        ]

    def test_traceback(self, run: Runner) -> None:
        status, _, err = run("python", ["-c", "1/0"])
        assert status == 1
        assert err.rstrip().endswith(b"ZeroDivisionError: division by zero")

    def test_environment_and_arguments(self, run: Runner) -> None:
        wasi = WasiConfig()
        wasi.env = {"GREETING": "grüße"}
        script = "import os, sys; print(ascii(os.environ['GREETING']), sys.argv[1:])"
        status, out, err = run("python", ["-X", "utf8", "-c", script, "a", "ä"], wasi)
        assert (status, out) == (0, b"'gr\\xfc\\xdfe' ['a', '\xc3\xa4']\n"), err

    def test_files(self, run: Runner, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        (tmp_path / "out").mkdir()
        (tmp_path / "in" / "numbers").write_text("1\n2\n39\n")
        wasi = WasiConfig()
        wasi.preopen_dir(tmp_path / "in", "/in", DirPerms.READ_ONLY)
        wasi.preopen_dir(tmp_path / "out", "/out")
        script = (
            "import os, pathlib\n"
            "total = sum(map(int, open('/in/numbers')))\n"
            "pathlib.Path('/out/sub').mkdir()\n"
            "pathlib.Path('/out/sub/total').write_text(str(total))\n"
            "os.rename('/out/sub/total', '/out/total')\n"
            "for path in ('/in/new', '/in/numbers'):\n"
            "    try:\n"
            "        open(path, 'w')\n"
            "    except PermissionError as error:\n"
            "        print(error.filename)\n"
            "print(sorted(os.listdir('/out')), os.path.exists('/in/../../etc'))\n"
        )
        status, out, err = run("python", ["-c", script], wasi)
        assert status == 0, err
        assert out == b"/in/new\n/in/numbers\n['sub', 'total'] False\n"
        assert (tmp_path / "out" / "total").read_text() == "42"

    def test_command_line(self) -> None:
        done = command_line(
            path_of("python"), "-c", "print(input()[::-1]); raise SystemExit(3)", input=b"abc\n"
        )
        assert (done.returncode, done.stdout) == (3, b"cba\n"), done.stderr

    def test_an_endless_loop_is_stopped(self, run: Runner) -> None:
        engine, module = run.engine, run.module("python")
        wasi = WasiConfig()
        wasi.argv = ["python", "-c", "print('begun', flush=True)\nwhile True: pass"]
        wasi.stdout_custom = lambda data: engine.increment_epoch()
        linker = Linker(engine)
        linker.define_wasi()
        store = Store(engine)
        store.set_wasi(wasi)
        store.set_epoch_deadline(1)
        start = linker.instantiate(store, module).exports(store)["_start"]
        assert isinstance(start, Func)
        with pytest.raises(Trap, match="interrupt"):
            start(store)


class Ruby:
    """
    Drives the Ruby reactor the way that its JavaScript host does.

    The module speaks an early form of the canonical ABI: strings are a pointer and a length, lists
    of them arrays of such pairs in memory that `cabi_realloc` gives, and values of Ruby are handles
    that the host keeps in a table.
    """

    def __init__(self, runner: Runner) -> None:
        module = runner.module("ruby")
        wasi = WasiConfig()
        wasi.argv = ["ruby.wasm"]
        self.output = wasi.capture_output()
        self.values: dict[int, int] = {}
        linker = Linker(runner.engine)
        linker.define_wasi()
        word = ValType.i32()
        unary = FuncType([word], [word])
        linker.define_func("canonical_abi", "resource_new_rb-abi-value", unary, self._new)
        linker.define_func("canonical_abi", "resource_get_rb-abi-value", unary, self._get)
        # The rest of its imports let Ruby call JavaScript, which no script here does.
        linker.define_unknown_imports_as_traps(module)
        self.store = Store(runner.engine)
        self.store.set_wasi(wasi)
        self.exports = linker.instantiate(self.store, module).exports(self.store)
        memory = self.exports["memory"]
        assert isinstance(memory, Memory)
        self.memory = memory
        self.call("_initialize")
        arguments = b"".join(
            struct.pack("<II", *self.string(text)) for text in ("ruby.wasm", "-EUTF-8", "-e_=0")
        )
        base = self.call("cabi_realloc", 0, 0, 4, len(arguments))
        memory.write(self.store, arguments, base)
        self.call("ruby-init: func(args: list<string>) -> ()", base, 3)
        self.call("ruby-init-loadpath: func() -> ()")

    def _new(self, value: int) -> int:
        handle = len(self.values) + 1
        self.values[handle] = value
        return handle

    def _get(self, handle: int) -> int:
        return self.values[handle]

    def call(self, name: str, *arguments: int) -> Any:
        function = self.exports[name]
        assert isinstance(function, Func)
        return function(self.store, *arguments)

    def string(self, text: str) -> tuple[int, int]:
        # It is told the length but looks for a NUL all the same.
        data = text.encode() + b"\0"
        pointer = self.call("cabi_realloc", 0, 0, 1, len(data))
        self.memory.write(self.store, data, pointer)
        return pointer, len(data) - 1

    def pair(self, pointer: int) -> tuple[int, int]:
        first, second = struct.unpack("<Ii", self.memory.read(self.store, pointer, pointer + 8))
        return first, second

    def evaluate(self, script: str) -> tuple[int, int]:
        """
        The handle of the result, and zero or a number that says what kind of jump ended it.
        """
        return self.pair(
            self.call(
                "rb-eval-string-protect: func(str: string) -> tuple<handle<rb-abi-value>, s32>",
                *self.string(script),
            )
        )

    def text(self, script: str) -> str:
        handle, state = self.evaluate(f"({script}).to_s")
        assert state == 0
        pointer, length = self.pair(
            self.call("rstring-ptr: func(value: handle<rb-abi-value>) -> string", handle)
        )
        return bytes(self.memory.read(self.store, pointer, pointer + length)).decode()


@pytest.fixture(scope="module")
def ruby(run: Runner) -> Ruby:
    return Ruby(run)


class TestRuby:
    """
    CRuby: a reactor that is called many times and calls host functions in turn.
    """

    def test_version_is_the_packages(self, ruby: Ruby) -> None:
        assert ruby.text("RUBY_VERSION").startswith("3.4.")
        assert ruby.text("RUBY_PLATFORM") == "wasm32-wasi"

    def test_computes(self, ruby: Ruby) -> None:
        assert ruby.text("2 ** 100") == str(2**100)
        assert ruby.text("%w[c b a].sort.map(&:upcase).join('-')") == "A-B-C"
        assert ruby.text("[1, 2.5, nil, :sym, 'ä'].inspect") == '[1, 2.5, nil, :sym, "ä"]'

    def test_state_stays_between_calls(self, ruby: Ruby) -> None:
        assert ruby.evaluate("$counter = 40")[1] == 0
        assert ruby.text("$counter += 2") == "42"

    def test_writes(self, ruby: Ruby) -> None:
        ruby.output.read()
        assert ruby.evaluate("puts 'out'; $stdout.flush; $stderr.puts 'err'")[1] == 0
        assert ruby.output.read() == b"out\nerr\n"

    def test_exceptions_and_fibers(self, ruby: Ruby) -> None:
        # Ruby unwinds its own stack, with asyncify, for each of these.
        assert ruby.text("begin; raise 'boom'; rescue => e; e.message; end") == "boom"
        assert ruby.text("catch(:done) { 10.times { |i| throw :done, i if i == 7 } }") == "7"
        fiber = "f = Fiber.new { 3.times { |i| Fiber.yield i }; :end }; 4.times.map { f.resume }"
        assert ruby.text(fiber) == "[0, 1, 2, :end]"
        _, state = ruby.evaluate("raise ArgumentError, 'left to the host'")
        assert state != 0
        assert ruby.text("$!.class") == "ArgumentError"
        ruby.call("rb-clear-errinfo: func() -> ()")

    def test_garbage_collection(self, ruby: Ruby) -> None:
        script = "1000.times { 'x' * 10_000 }; GC.start; GC.count > 0"
        assert ruby.text(script) == "true"


class TestRust:
    """
    Small Rust programs with the outputs that their own package's tests expect.
    """

    def test_environment(self, run: Runner) -> None:
        wasi = WasiConfig()
        wasi.env = {"DOG": "X", "TEST": "VALUE", "TEST2": "VALUE2"}
        assert run("envvar", [], wasi) == (
            0,
            b'Env vars:\nDOG=X\nTEST2=VALUE2\nTEST=VALUE\nDOG Ok("X")\n'
            b'DOG_TYPE Err(NotPresent)\nSET VAR Ok("HELLO")\n',
            b"",
        )

    def test_standard_input(self, run: Runner) -> None:
        wasi = WasiConfig()
        wasi.stdin_bytes = b"Hello World!"
        assert run("pipe_reverse", [], wasi) == (0, b"!dlroW olleH\n", b"")

    def test_directory(self, run: Runner, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        (tmp_path / "file").write_text("fileContents")
        wasi = WasiConfig()
        wasi.preopen_dir(tmp_path, ".")
        status, out, _ = run("mapdir", [], wasi)
        assert status == 0
        assert sorted(out.split()) == [b'"./a"', b'"./b"', b'"./file"']

    def test_panic_without_a_directory(self, run: Runner) -> None:
        with pytest.raises(Trap, match="unreachable") as caught:
            run("mapdir", [])
        assert caught.value.frames
        done = command_line(path_of("mapdir"))
        assert done.returncode == (3 if sys.platform == "win32" else 134)
        assert b"panicked at" in done.stderr
        assert b"Traceback" not in done.stderr

    def test_command_line(self, tmp_path: Path) -> None:
        done = command_line(path_of("pipe_reverse"), input="öl".encode())
        assert (done.returncode, done.stdout) == (0, "lö\n".encode())
        (tmp_path / "only").touch()
        done = command_line("--dir", f"{tmp_path}::.", path_of("mapdir"))
        assert done.stdout == b'"./only"\n'
        done = command_line("--env", "DOG=Rex", path_of("envvar"))
        assert b'DOG Ok("Rex")' in done.stdout


class TestFetching:
    """
    The fixture itself: what it refuses, and when it gives up.
    """

    @pytest.fixture(autouse=True)
    def cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("WASMTIME_TEST_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("WASMTIME_TEST_PROGRAMS", "auto")
        return tmp_path / "cache"

    @pytest.fixture
    def program(self) -> Program:
        return PROGRAMS["pipe_reverse"]

    def test_off(self, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WASMTIME_TEST_PROGRAMS", "off")
        with pytest.raises(Unavailable, match="off"):
            obtain(program)

    def test_other_mode(self, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WASMTIME_TEST_PROGRAMS", "perhaps")
        with pytest.raises(ValueError, match="perhaps"):
            obtain(program)

    def test_no_npm(self, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        with pytest.raises(Unavailable, match="npm"):
            obtain(program)

    def test_no_network(
        self, program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed")
        monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1/")
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
        monkeypatch.setenv("npm_config_fetch_retry_mintimeout", "10")
        monkeypatch.setenv("npm_config_fetch_retry_maxtimeout", "20")
        with pytest.raises(Unavailable, match="npm could not fetch"):
            obtain(program)

    def test_another_tarball(
        self, program: Program, monkeypatch: pytest.MonkeyPatch, cache: Path
    ) -> None:
        def pack(_: Program, directory: Path) -> Path:
            (directory / "other.tgz").write_bytes(b"something else")
            return directory / "other.tgz"

        monkeypatch.setattr(registry, "_pack", pack)
        with pytest.raises(IntegrityError, match="sha512"):
            obtain(program)
        assert list(cache.iterdir()) == []

    def test_another_file_in_the_cache(self, program: Program, cache: Path) -> None:
        cache.mkdir()
        (cache / program.cache_name).write_bytes(b"something else")
        with pytest.raises(IntegrityError, match="sha256"):
            obtain(program)


def test_compiled_once_and_loaded_often(run: Runner, tmp_path: Path) -> None:
    """
    What the largest of them compiles to can be stored and loaded again.
    """
    compiled = run.module("esbuild").serialize()
    path = tmp_path / "esbuild.cwasm"
    path.write_bytes(compiled)
    engine = Engine(Config())
    module = Module.deserialize_file(engine, str(path))
    wasi = WasiConfig()
    wasi.argv = ["esbuild", "--version"]
    output = wasi.capture_stdout()
    linker = Linker(engine)
    linker.define_wasi()
    store = Store(engine)
    store.set_wasi(wasi)
    start: Callable[..., Any] = linker.instantiate(store, module).exports(store)["_start"]  # type: ignore[assignment]
    with pytest.raises(ExitTrap) as caught:
        start(store)
    assert caught.value.code == 0
    assert output.text().strip() == PROGRAMS["esbuild"].version


class TestReproduciblePython:
    """
    CPython with a seed and a clock: each run sees the same.
    """

    PROGRAM = (
        "import random, time, uuid; print(random.random(), time.time(), time.monotonic(), "
        "uuid.uuid4(), list({'a', 'b', 'c', 'd', 'e', 'f'}))"
    )

    def test_two_runs_print_the_same(self, run: Runner) -> None:
        def printed(seed: object) -> bytes:
            wasi = WasiConfig()
            wasi.random_seed = seed  # type: ignore[assignment]
            wasi.clock = 1_700_000_000.25
            status, out, err = run("python", ["-c", self.PROGRAM], wasi)
            assert status == 0, err
            return out

        first = printed(42)
        assert first == printed(42)
        assert first != printed(b"42")
        assert first.split()[1].startswith(b"1700000000.")

    def test_input_hears_a_timeout(self, run: Runner) -> None:
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", buffering=0) as source, os.fdopen(writing, "wb"):
            wasi = WasiConfig()
            wasi.stdin_custom = source
            wasi.argv = ["python", "-c", "print('ready', flush=True); input()"]
            started = time.monotonic()
            store = Store(run.engine)
            wasi.stdout_custom = lambda data: store.set_timeout(0.05)
            store.set_wasi(wasi)
            linker = Linker(run.engine)
            linker.define_wasi()
            start = linker.instantiate(store, run.module("python")).exports(store)["_start"]
            assert isinstance(start, Func)
            with pytest.raises(TimeoutTrap):
                start(store)
            assert time.monotonic() - started < 60
