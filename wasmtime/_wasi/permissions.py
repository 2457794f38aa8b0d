"""What a guest may do to the directories that it is given."""

from __future__ import annotations

from enum import Enum

from .._error import WasmtimeError

__all__ = ["DirPerms", "FilePerms", "may_change"]


class DirPerms(Enum):
    """What a guest may do to the directories below a preopened directory.

    Reading is listing a directory and opening what it holds; writing is creating, renaming and
    removing entries. See `WasiConfig.preopen_dir` for the combinations that the library can
    enforce.
    """

    __module__ = "wasmtime._wasi"  # which pickles name

    READ_ONLY = 1
    WRITE_ONLY = 2
    READ_WRITE = 3


class FilePerms(Enum):
    """What a guest may do to the files below a preopened directory.

    See `WasiConfig.preopen_dir` for the combinations that the library can enforce.
    """

    __module__ = "wasmtime._wasi"  # which pickles name

    READ_ONLY = 1
    WRITE_ONLY = 2
    READ_WRITE = 3


def may_change(dir_perms: object, file_perms: object, perms: object, fs_mutable: object) -> bool:
    """The one bit that the library knows, from all the ways to say it.

    Returns:
        True if the guest may read and change everything, False if it may only read.
    """
    if isinstance(dir_perms, bool):
        if fs_mutable is not None:
            raise TypeError("preopen_dir was given fs_mutable twice")
        fs_mutable, dir_perms = dir_perms, None
    if perms is not None:
        if dir_perms is not None:
            raise TypeError("preopen_dir takes dir_perms or perms, not both")
        dir_perms = perms
    if fs_mutable is not None:
        if dir_perms is not None or file_perms is not None:
            raise TypeError("preopen_dir takes fs_mutable or permissions, not both")
        if not isinstance(fs_mutable, bool):
            raise TypeError(f"fs_mutable must be a bool, not {type(fs_mutable).__name__}")
        return fs_mutable
    if dir_perms is not None and not isinstance(dir_perms, DirPerms):
        raise TypeError(f"dir_perms must be a DirPerms, not {type(dir_perms).__name__}")
    if file_perms is not None and not isinstance(file_perms, FilePerms):
        raise TypeError(f"file_perms must be a FilePerms, not {type(file_perms).__name__}")
    directories = DirPerms.READ_WRITE if dir_perms is None else dir_perms
    # Files follow directories unless something else is said: whoever says READ_ONLY and no more
    # must not find that the guest can still overwrite files.
    files = FilePerms(directories.value) if file_perms is None else file_perms
    if (directories, files) == (DirPerms.READ_WRITE, FilePerms.READ_WRITE):
        return True
    if (directories, files) == (DirPerms.READ_ONLY, FilePerms.READ_ONLY):
        return False
    raise WasmtimeError(
        f"a preopened directory with {directories} and {files} cannot be enforced: the library "
        "knows READ_WRITE for both and READ_ONLY for both; give the guest two directories, one of "
        "each kind, where it needs both"
    )
