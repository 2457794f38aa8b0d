"""
Large files are read and hashed once, and again only if they may have changed.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import pytest

from wasmtime import wat2wasm
from wasmtime._artifacts import digests
from wasmtime.sandbox import Program, SandboxError, engines, source

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows keeps no time of changes")


@functools.cache
def binary(status: int) -> bytes:
    """
    A program of more than 4 MiB that exits with a status of one digit.
    """
    text = f"""
    (module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      (func (export "_start") (call $exit (i32.const {status})))
      (data "{"x" * (5 << 20)}"))
    """
    return bytes(wat2wasm(text))


class Setting:
    """
    A large file and a cache; `reads` counts how often it is read as a whole.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = folder / "large.wasm"
        self.cache = folder / "cache"
        self.path.write_bytes(binary(3))
        self.reads = 0
        contents, read = source._contents, source._read

        def counted_contents(*args: Any) -> bytes:
            self.reads += 1
            return contents(*args)

        def counted_read(*args: Any) -> bytes:
            self.reads += 1
            return read(*args)

        monkeypatch.setattr(source, "_contents", counted_contents)
        monkeypatch.setattr(source, "_read", counted_read)
        monkeypatch.setattr(digests, "_SETTLED", -1)

    def run(self, **options: Any) -> Any:
        """
        The exit status, in what is as good as a new process.
        """
        engines.forget()
        return Program(self.path, **{"cache": str(self.cache), **options}).run().exit_code


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    return Setting(tmp_path, monkeypatch)


def test_a_file_that_has_not_changed_is_not_read_again(setting: Setting) -> None:
    assert [setting.run() for _ in range(3)] == [3, 3, 3]
    assert setting.reads == 1


def test_without_a_cache_it_is_read(setting: Setting) -> None:
    assert [setting.run(cache=False) for _ in range(2)] == [3, 3]
    assert setting.reads == 2


def test_a_file_that_was_changed_is_read_whatever_its_time_says(setting: Setting) -> None:
    assert setting.run() == 3
    before = setting.path.stat()
    with open(setting.path, "r+b") as file:
        file.write(binary(4))
    os.utime(setting.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert setting.path.stat().st_size == before.st_size
    assert setting.run() == 4


def test_a_file_that_another_took_the_place_of_is_read(setting: Setting) -> None:
    assert setting.run() == 3
    before = setting.path.stat()
    other = setting.path.with_name("other")
    other.write_bytes(binary(4))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, setting.path)
    assert setting.run() == 4


def test_a_file_that_was_changed_just_now_is_not_noted(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_SETTLED", 3600.0)
    assert [setting.run() for _ in range(2)] == [3, 3]
    assert setting.reads == 2


def test_what_is_larger_than_accepted_is_refused_all_the_same(setting: Setting) -> None:
    from wasmtime.sandbox import ResourceLimits

    assert setting.run() == 3
    with pytest.raises(SandboxError, match="more than the 1024 that are accepted"):
        setting.run(limits=ResourceLimits(module=1024))


def test_damaged_notes_are_not_believed(setting: Setting) -> None:
    assert setting.run() == 3
    (note,) = setting.cache.glob("*.note")
    whole = note.read_bytes()
    other = b"0" if whole[:1] != b"0" else b"1"
    for damaged in (b"", whole[:70], other + whole[1:], b"\xff" * 200):
        note.write_bytes(damaged)
        reads = setting.reads
        assert setting.run() == 3
        assert setting.reads == reads + 1


def test_a_wrong_note_runs_nothing_that_was_not_hashed(setting: Setting) -> None:
    # As if the clock had been set back: the file is another one, and its note says the old digest.
    assert setting.run() == 3
    (note,) = setting.cache.glob("*.note")
    whole = note.read_bytes()
    setting.path.write_bytes(binary(4))
    assert setting.run() == 4
    note.unlink()
    (new,) = setting.cache.glob("*.note")
    new.write_bytes(whole)
    for entry in setting.cache.glob("*.cwasm"):
        entry.unlink()
    with pytest.raises(SandboxError, match="has changed since"):
        setting.run()
