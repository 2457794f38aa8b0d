"""
WASI preview 1: directories, and what a guest may do with the files in them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import wasi_programs as programs

from wasmtime import DirPerms, FilePerms, WasiConfig, WasmtimeError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """
    A directory with a file in it, and a file beside it that must stay out of reach.
    """
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "file").write_text("x")
    (tmp_path / "secret").write_text("x")
    return tmp_path / "open"


_READ = programs.opens("file", 0, programs.RIGHT_READ)


_CHANGES = {
    "open for writing": programs.opens("file", 0, programs.RIGHT_WRITE),
    "open for both": programs.opens("file", 0, programs.RIGHT_READ | programs.RIGHT_WRITE),
    "empty": programs.opens("file", programs.TRUNCATE, programs.RIGHT_WRITE),
    "create": programs.opens("new", programs.CREATE, programs.RIGHT_WRITE),
    "make a directory": programs.path_call("path_create_directory", "dir"),
    "remove": programs.path_call("path_unlink_file", "file"),
}


class TestDirectories:
    @pytest.mark.parametrize("form", [str, os.fsencode, Path])
    def test_a_path_has_any_form(self, run: Any, tree: Path, form: Any) -> None:
        wasi = WasiConfig()
        wasi.preopen_dir(form(str(tree)), "/")
        assert run(_READ, wasi) == 0

    def test_parameters_have_the_published_names(self, run: Any, tree: Path) -> None:
        wasi = WasiConfig()
        wasi.preopen_dir(path=str(tree), guest_path="/", perms=DirPerms.READ_ONLY)
        assert run(_READ, wasi) == 0

    @pytest.mark.parametrize("change", list(_CHANGES))
    @pytest.mark.parametrize(
        ("args", "kwargs"),
        [
            ((), {}),
            ((True,), {}),
            ((), {"fs_mutable": True}),
            ((DirPerms.READ_WRITE,), {}),
            ((DirPerms.READ_WRITE, FilePerms.READ_WRITE), {}),
            ((), {"dir_perms": DirPerms.READ_WRITE, "file_perms": FilePerms.READ_WRITE}),
            ((), {"perms": DirPerms.READ_WRITE}),
        ],
    )
    def test_a_writable_directory_can_be_changed(
        self, run: Any, tree: Path, change: str, args: Any, kwargs: Any
    ) -> None:
        wasi = WasiConfig()
        wasi.preopen_dir(tree, "/", *args, **kwargs)
        assert run(_READ, wasi) == 0
        assert run(_CHANGES[change], wasi) == 0

    @pytest.mark.parametrize("change", list(_CHANGES))
    @pytest.mark.parametrize(
        ("args", "kwargs"),
        [
            ((False,), {}),
            ((), {"fs_mutable": False}),
            ((DirPerms.READ_ONLY,), {}),
            ((DirPerms.READ_ONLY, FilePerms.READ_ONLY), {}),
            ((), {"dir_perms": DirPerms.READ_ONLY}),
            ((), {"perms": DirPerms.READ_ONLY, "file_perms": FilePerms.READ_ONLY}),
        ],
    )
    def test_a_read_only_directory_stays_as_it_is(
        self, run: Any, tree: Path, change: str, args: Any, kwargs: Any
    ) -> None:
        wasi = WasiConfig()
        wasi.preopen_dir(tree, "/", *args, **kwargs)
        assert run(_READ, wasi) == 0
        assert run(_CHANGES[change], wasi) == programs.ERRNO_PERM
        assert [path.name for path in tree.iterdir()] == ["file"]
        assert (tree / "file").read_text() == "x"

    @pytest.mark.parametrize(
        ("directories", "files"),
        [
            (DirPerms.READ_WRITE, FilePerms.READ_ONLY),
            (DirPerms.READ_WRITE, FilePerms.WRITE_ONLY),
            (DirPerms.READ_ONLY, FilePerms.READ_WRITE),
            (DirPerms.READ_ONLY, FilePerms.WRITE_ONLY),
            (DirPerms.WRITE_ONLY, FilePerms.READ_ONLY),
            (DirPerms.WRITE_ONLY, FilePerms.READ_WRITE),
            (DirPerms.WRITE_ONLY, FilePerms.WRITE_ONLY),
            (DirPerms.WRITE_ONLY, None),
            (None, FilePerms.READ_ONLY),
            (None, FilePerms.WRITE_ONLY),
        ],
    )
    def test_what_cannot_be_enforced_is_refused(
        self, run: Any, tree: Path, directories: Any, files: Any
    ) -> None:
        wasi = WasiConfig()
        with pytest.raises(WasmtimeError, match="cannot be enforced"):
            wasi.preopen_dir(tree, "/", directories, files)
        assert run(_READ, wasi) == programs.ERRNO_BADF

    @pytest.mark.parametrize(
        ("args", "kwargs"),
        [
            ((True,), {"fs_mutable": True}),
            ((True, FilePerms.READ_ONLY), {}),
            ((DirPerms.READ_ONLY,), {"perms": DirPerms.READ_ONLY}),
            ((DirPerms.READ_ONLY,), {"fs_mutable": False}),
            ((1,), {}),
            (("READ_ONLY",), {}),
            ((FilePerms.READ_ONLY,), {}),
            ((DirPerms.READ_ONLY, DirPerms.READ_ONLY), {}),
            ((), {"fs_mutable": 1}),
        ],
    )
    def test_permissions_of_the_wrong_kind(self, tree: Path, args: Any, kwargs: Any) -> None:
        with pytest.raises(TypeError):
            WasiConfig().preopen_dir(tree, "/", *args, **kwargs)

    def test_paths_that_cannot_be_opened_are_refused(self, tree: Path) -> None:
        wasi = WasiConfig()
        with pytest.raises(WasmtimeError, match="nowhere"):
            wasi.preopen_dir(tree / "nowhere", "/")
        with pytest.raises(WasmtimeError, match="file"):
            wasi.preopen_dir(tree / "file", "/")
        with pytest.raises(ValueError, match="path"):
            wasi.preopen_dir("\0", "/")
        with pytest.raises(ValueError, match="guest_path"):
            wasi.preopen_dir(tree, "\0")
        with pytest.raises(ValueError, match="guest_path"):
            wasi.preopen_dir(tree, "\udc80")
        with pytest.raises(TypeError):
            wasi.preopen_dir(tree, 3)  # type: ignore[arg-type]

    @pytest.mark.parametrize("path", ["../secret", "/etc/hosts", "link/secret"])
    def test_no_path_leads_out_of_the_directory(self, run: Any, tree: Path, path: str) -> None:
        if path.startswith("link"):
            try:
                (tree / "link").symlink_to("..")
            except OSError:
                pytest.skip("this user cannot make symbolic links")
        wasi = WasiConfig()
        wasi.preopen_dir(tree, "/")
        status = run(programs.opens(path, 0, programs.RIGHT_READ), wasi)
        assert status in (programs.ERRNO_PERM, programs.ERRNO_NOTCAPABLE, programs.ERRNO_NOENT)

    def test_several_directories_have_rights_of_their_own(self, run: Any, tree: Path) -> None:
        (tree / "inner").mkdir()
        (tree / "inner" / "deep").touch()
        wasi = WasiConfig()
        wasi.preopen_dir(tree / "inner", "/inner", False)
        wasi.preopen_dir(tree, "/", True)
        # the first is file descriptor 3
        assert run(programs.opens("deep", 0, programs.RIGHT_READ), wasi) == 0
        assert run(programs.opens("deep", 0, programs.RIGHT_WRITE), wasi) == programs.ERRNO_PERM
