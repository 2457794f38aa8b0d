"""
Compiled code outside of the process: serialised, cached on disk, pickled.
"""

from __future__ import annotations

import copy
import hashlib
import multiprocessing
import os
import pickle
import shutil
import stat
import subprocess
import sys
import textwrap
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Optional

import pytest

from wasmtime import (
    Config,
    Engine,
    Instance,
    Module,
    Store,
    TableType,
    WasmtimeError,
    wat2wasm,
)
from wasmtime._artifacts.seal import check_artifact, seal
from wasmtime.component import Component, Linker

TEXT = '(func (export "triple") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))'


def triple(module: Module, number: int) -> int:
    store = Store(module.engine)
    result: int = Instance(store, module, []).exports(store)["triple"](store, number)
    return result


class TestSerialize:
    def test_the_code_survives(self, engine: Engine) -> None:
        artifact = Module(engine, TEXT).serialize()
        assert artifact[:4] == b"\x7fELF"
        assert triple(Module.deserialize(engine, artifact), 14) == 42

    @pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
    def test_any_bytes_will_do(self, engine: Engine, form: type) -> None:
        artifact = form(bytes(Module(engine, TEXT).serialize()))
        assert triple(Module.deserialize(engine, artifact), 2) == 6

    def test_from_a_file(self, engine: Engine, tmp_path: Path) -> None:
        path = tmp_path / "module.cwasm"
        path.write_bytes(Module(engine, TEXT).serialize())
        for form in (path, str(path), os.fsencode(path)):
            with Module.deserialize_file(engine, form) as module:
                assert triple(module, 3) == 9

    def test_every_flipped_byte_of_the_code_is_noticed(self, engine: Engine) -> None:
        artifact = Module(engine, TEXT).serialize()
        code = len(artifact) - 48  # the seal: 16 bytes of magic, 32 of a sum
        for offset in range(4, code, 997):
            damaged = bytearray(artifact)
            damaged[offset] ^= 0x40
            with pytest.raises(WasmtimeError, match="damaged"):
                Module.deserialize(engine, damaged)

    def test_what_is_cut_off_is_noticed(self, engine: Engine) -> None:
        artifact = Module(engine, TEXT).serialize()
        for length in (4, 63, 1000, len(artifact) // 2, len(artifact) - 49):
            with pytest.raises(WasmtimeError, match="ends early"):
                Module.deserialize(engine, artifact[:length])

    def test_every_flipped_bit_at_the_end_of_the_code_is_noticed(self, engine: Engine) -> None:
        """
        Where the code is no multiple of what the sum takes at a time.
        """
        artifact = Module(engine, TEXT).serialize()
        for size in range(len(artifact) - 48 - 65, len(artifact) - 48):
            part = seal(bytes(artifact[:size]))
            for damaged in (artifact[: size - 1] + b"\xff", artifact[:size] + b"\0"):
                with pytest.raises(WasmtimeError, match="damaged"):
                    check_artifact(damaged + part[size:], "it")

    def test_an_artifact_that_an_earlier_version_sealed(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        code = bytes(Module(engine, TEXT).serialize()[:-48])
        sealed = code + b"\0wasmtime-python" + hashlib.sha256(code).digest()
        path = tmp_path / "module.cwasm"
        path.write_bytes(sealed)
        assert triple(Module.deserialize(engine, sealed), 2) == 6
        assert triple(Module.deserialize_file(engine, path), 3) == 9
        damaged = sealed.replace(b"triple", b"tr1ple")
        assert damaged != sealed
        with pytest.raises(WasmtimeError, match="do not match their checksum"):
            Module.deserialize(engine, damaged)

    @pytest.mark.parametrize("data", [b"", b"\0asm\1\0\0\0", b"hello"])
    def test_what_is_no_artifact_is_refused(self, engine: Engine, data: bytes) -> None:
        with pytest.raises(WasmtimeError, match="not a compiled artifact"):
            Module.deserialize(engine, data)

    def test_an_artifact_without_a_seal_is_trusted(self, engine: Engine) -> None:
        foreign = Module(engine, TEXT).serialize()[:-48]
        assert triple(Module.deserialize(engine, foreign), 5) == 15

    @pytest.mark.parametrize(
        "limits",
        ["0 0x100000000", "0x1ffffffff", "7 0xffffffffffffffff", "0x100000000 0x100000001"],
    )
    @pytest.mark.parametrize("reference", ["func", "extern", "any", "struct", "exn", "none"])
    def test_a_table_that_the_c_api_cannot_describe_is_refused(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch, limits: str, reference: str
    ) -> None:
        """
        In an artifact of another maker, who may compile such a module.
        """
        monkeypatch.setattr("wasmtime._wasm.module.check_tables", lambda wasm: None)
        monkeypatch.setattr("wasmtime._wasm.component.check_modules", lambda wasm: None)
        module = f'(table (export "t") i64 {limits} (ref null {reference}))'
        typed = f'(export "t" (table i64 {limits} (ref null extern)))'
        for cls, text in (
            (Module, f"(module {module})"),
            (Module, f'(module (type (func)) (table (export "t") i64 {limits} (ref null 0)))'),
            (Component, f'(component (core module $m {module}) (export "m" (core module $m)))'),
            (Component, f'(component (import "m" (core module {typed})))'),
        ):
            artifact = bytes(cls(engine, text).serialize())[:-48]
            with pytest.raises(WasmtimeError, match="more than 32 bits"):
                cls.deserialize(engine, artifact)

    def test_other_tables_of_another_maker_are_accepted(self, engine: Engine) -> None:
        text = '(table (export "t") i64 7 0xffffffff funcref) (memory i64 1 0x1000000)'
        artifact = bytes(Module(engine, text).serialize())[:-48]
        (table,) = Module.deserialize(engine, artifact).exports
        assert table.name == "t"

    def test_another_configuration_is_refused(self, engine: Engine) -> None:
        config = Config()
        config.consume_fuel = True
        with pytest.raises(WasmtimeError):
            Module.deserialize(Engine(config), Module(engine, TEXT).serialize())

    def test_an_artifact_without_epoch_checks_says_which_setting_to_use(
        self, engine: Engine
    ) -> None:
        def without() -> Engine:
            config = Config()
            config.epoch_interruption = False
            return Engine(config)

        artifact = Module(without(), TEXT).serialize()
        with pytest.raises(WasmtimeError, match=r"set Config\.epoch_interruption to False"):
            Module.deserialize(engine, artifact)
        assert triple(Module.deserialize(without(), artifact), 2) == 6

    def test_a_missing_file_is_an_oserror(self, engine: Engine, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            Module.deserialize_file(engine, tmp_path / "nothing.cwasm")


class TestCache:
    @pytest.fixture
    def program(self, tmp_path: Path) -> Path:
        path = tmp_path / "program.wat"
        path.write_text(TEXT)
        return path

    @pytest.fixture
    def directory(self, tmp_path: Path) -> Path:
        return tmp_path / "cache"

    def entries(self, directory: Path) -> list[Path]:
        return sorted(directory.glob("*.cwasm"))

    def test_an_entry_is_made_and_used(
        self, engine: Engine, program: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert triple(Module.from_file(engine, program, cache=directory), 1) == 3
        assert len(self.entries(directory)) == 1

        def no_compiling(*args: object) -> None:
            raise AssertionError("it was compiled again")

        monkeypatch.setattr(Module, "_compile", no_compiling)
        assert triple(Module.from_file(engine, program, cache=str(directory)), 2) == 6

    def test_configuration_and_contents_make_entries_of_their_own(
        self, engine: Engine, program: Path, directory: Path
    ) -> None:
        Module.from_file(engine, program, cache=directory)
        config = Config()
        config.consume_fuel = True
        Module.from_file(Engine(config), program, cache=directory)
        program.write_text(TEXT.replace("const 3", "const 4"))
        assert triple(Module.from_file(engine, program, cache=directory), 2) == 8
        assert len(self.entries(directory)) == 3

    def test_a_damaged_entry_is_compiled_again(
        self, engine: Engine, program: Path, directory: Path
    ) -> None:
        Module.from_file(engine, program, cache=directory)
        (entry,) = self.entries(directory)
        whole = entry.read_bytes()
        for damaged in (whole[:1000], b"", whole[:5000] + b"\xff" + whole[5001:]):
            entry.write_bytes(damaged)
            assert triple(Module.from_file(engine, program, cache=directory), 2) == 6
            assert entry.read_bytes() == whole

    def test_what_was_loaded_outlives_its_entry(
        self, engine: Engine, program: Path, directory: Path
    ) -> None:
        """
        It may be mapped; entries are replaced and removed, never changed.
        """
        Module.from_file(engine, program, cache=directory)
        module = Module.from_file(engine, program, cache=directory)
        (entry,) = self.entries(directory)
        os.replace(shutil.copy(program, directory / "other"), entry)
        entry.unlink()
        assert triple(module, 2) == 6

    def test_what_artifacts_tell_beyond_the_code_is_in_entries_too(
        self, engine: Engine, tmp_path: Path, directory: Path
    ) -> None:
        program = tmp_path / "table.wat"
        program.write_text('(table (export "t") i64 1 2 funcref)')
        for _ in ("compiled", "loaded"):
            module = Module.from_file(engine, program, cache=directory)
            (table,) = module.exports
            assert isinstance(table.type, TableType)
            assert table.type.is_64

    @pytest.mark.skipif(os.name != "posix", reason="there are no such permissions here")
    def test_a_directory_that_others_can_write_to_is_refused(
        self, engine: Engine, program: Path, directory: Path
    ) -> None:
        directory.mkdir()
        directory.chmod(0o777)
        with pytest.raises(WasmtimeError, match="not safe"):
            Module.from_file(engine, program, cache=directory)

    @pytest.mark.skipif(os.name != "posix", reason="there are no such permissions here")
    def test_the_directory_is_made_for_this_user_alone(
        self, engine: Engine, program: Path, directory: Path
    ) -> None:
        Module.from_file(engine, program, cache=directory)
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700

    def test_processes_share_a_directory(self, program: Path, directory: Path) -> None:
        code = textwrap.dedent(
            f"""
            from wasmtime import *
            engine = Engine()
            for _ in range(20):
                module = Module.from_file(engine, {str(program)!r}, cache={str(directory)!r})
                store = Store(engine)
                exports = Instance(store, module, []).exports(store)
                assert exports["triple"](store, 7) == 21
            """
        )
        running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
        assert [process.wait(timeout=60) for process in running] == [0, 0, 0]
        assert len(self.entries(directory)) == 1
        assert not list(directory.glob("*.tmp"))

    def test_a_wrong_argument(self, engine: Engine, program: Path) -> None:
        with pytest.raises(TypeError, match="cache must be"):
            Module.from_file(engine, program, cache=3)  # type: ignore[arg-type]

    def test_none_asks_for_no_cache(self, engine: Engine, program: Path) -> None:
        assert triple(Module.from_file(engine, program, cache=None), 1) == 3


class TestCacheWithoutFiles:
    """
    `Module` and `Component` take what has no file, with the same argument as `from_file`.
    """

    COMPONENT = """
        (component
          (core module $m (func (export "six") (result i32) (i32.const 6)))
          (core instance $i (instantiate $m))
          (func (export "six") (result u32) (canon lift (core func $i "six"))))
    """

    @pytest.fixture
    def directory(self, tmp_path: Path) -> Path:
        return tmp_path / "cache"

    @pytest.fixture
    def compiled(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """
        What has been compiled, by the kinds.
        """
        kinds: list[str] = []
        for cls in (Module, Component):

            def note(self: Any, *arguments: Any, compile: Any = cls._compile) -> None:
                kinds.append(self._functions.kind)
                compile(self, *arguments)

            monkeypatch.setattr(cls, "_compile", note)
        return kinds

    @pytest.mark.parametrize("source", [TEXT, TEXT.encode(), wat2wasm(TEXT)])
    def test_a_module_is_compiled_once(
        self, engine: Engine, directory: Path, compiled: list[str], source: Any
    ) -> None:
        for cache in (directory, str(directory)):
            assert triple(Module(engine, source, cache=cache), 2) == 6
        assert triple(Module(engine, wasm=source, validate=False, cache=directory), 2) == 6
        assert compiled == ["module"]

    def test_a_component_is_compiled_once(
        self, engine: Engine, directory: Path, compiled: list[str]
    ) -> None:
        for _ in range(2):
            component = Component(engine, self.COMPONENT, cache=directory)
            store = Store(engine)
            exports = Linker(engine).instantiate(store, component).exports(store)
            assert exports.get_func("six")(store) == 6
        assert compiled == ["component"]

    def test_a_file_and_what_is_in_it_share_an_entry(
        self, engine: Engine, tmp_path: Path, directory: Path, compiled: list[str]
    ) -> None:
        program = tmp_path / "program.wat"
        program.write_text(TEXT)
        Module.from_file(engine, program, cache=directory)
        assert triple(Module(engine, TEXT, cache=directory), 2) == 6
        assert compiled == ["module"]

    def test_what_an_artifact_tells_beside_the_code_survives(
        self, engine: Engine, directory: Path
    ) -> None:
        text = '(table (export "t") i64 1 funcref)'
        for _ in range(2):
            (table,) = Module(engine, text, cache=directory).exports
            assert isinstance(table.type, TableType)
            assert table.type.is_64

    def test_what_does_not_compile_leaves_no_entry(self, engine: Engine, directory: Path) -> None:
        for source in ("(module (func (export)))", b"\0asm\1\0\0\0\xff", "\0asm\1\0\0\0"):
            for _ in range(2):
                with pytest.raises(WasmtimeError):
                    Module(engine, source, cache=directory)
        assert list(directory.glob("*.cwasm")) == []

    def test_a_string_never_finds_the_entry_of_a_binary(
        self, engine: Engine, directory: Path
    ) -> None:
        Module(engine, b"\0asm\1\0\0\0", cache=directory)
        with pytest.raises(WasmtimeError):
            Module(engine, "\0asm\1\0\0\0", cache=directory)

    @pytest.mark.parametrize("option", [False, None])
    def test_none_asks_for_no_cache(
        self, engine: Engine, compiled: list[str], option: Optional[bool]
    ) -> None:
        for _ in range(2):
            assert triple(Module(engine, TEXT, cache=option), 2) == 6
        assert compiled == ["module", "module"]

    def test_wrong_arguments(self, engine: Engine, directory: Path) -> None:
        with pytest.raises(TypeError, match="cache must be"):
            Module(engine, TEXT, cache=3)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="wasm must be"):
            Module(engine, 3, cache=directory)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="engine must be"):
            Module(None, TEXT, cache=directory)  # type: ignore[arg-type]
        closed = Engine()
        closed.close()
        with pytest.raises(ValueError, match="closed"):
            Module(closed, TEXT, cache=directory)
        assert not directory.exists()

    def test_a_subclass_without_the_argument_can_be_read_from_files(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        class Named(Module):
            def __init__(self, engine: Engine, wasm: bytes) -> None:
                super().__init__(engine, wasm)

        program = tmp_path / "program.wat"
        program.write_text(TEXT)
        assert triple(Named.from_file(engine, program), 2) == 6


class TestPickle:
    def test_in_one_process_the_engine_stays_the_same(self) -> None:
        engine = Engine()
        module = pickle.loads(pickle.dumps(Module(engine, TEXT)))
        assert module.engine is engine
        assert triple(module, 4) == 12

    def test_modules_of_one_engine_meet_in_one_engine(self) -> None:
        engine = Engine()
        pickled = [pickle.dumps(Module(engine, TEXT)) for _ in range(2)]
        code = textwrap.dedent(
            """
            import pickle, sys
            first, second = pickle.load(sys.stdin.buffer)
            first, second = pickle.loads(first), pickle.loads(second)
            assert first.engine is second.engine
            """
        )
        subprocess.run(
            [sys.executable, "-c", code], input=pickle.dumps(pickled), check=True, timeout=60
        )

    def test_the_configuration_travels(self) -> None:
        config = Config()
        config.consume_fuel = True
        engine = pickle.loads(pickle.dumps(Engine(config)))
        store = Store(engine)
        store.set_fuel(5)
        assert store.get_fuel() == 5

    @pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
    def test_process_pools(self, method: str) -> None:
        module = Module(Engine(), TEXT)
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            assert list(pool.map(triple, [module] * 4, range(4))) == [0, 3, 6, 9]

    def test_copying_is_refused(self, engine: Engine) -> None:
        with pytest.raises(TypeError, match="cannot be copied"):
            copy.copy(Module(engine, TEXT))
