"""Directories that a guest sees: the host's, and temporary ones with given contents."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Optional, Union

from .collecting import collect
from .limits import Size, check_mapping, parse_size

if TYPE_CHECKING:
    from .temporary import TemporaryTree

__all__ = ["Directories", "Directory", "DirectoryLike", "Preopen", "inputs", "parse_directories"]

#: What a file of a temporary directory holds; text is UTF-8.
Contents = Union[bytes, str]


@dataclass(frozen=True)
class Directory:
    """A directory of the host, for a guest to see under a name of its own.

    The guest reaches what lies below it and nothing else: neither ``..`` nor a link leads out.

    Args:
        host: The directory, which must exist when the guest is run.
        access: ``"read"``, or ``"read-write"`` to let the guest change what is there.
        quota: Bytes that the directory may hold, or text such as ``"64 MiB"``; beyond that, the
            guest is ended (`Reason.DISK_LIMIT`). A thread looks some twenty times a second, so that
            more may have been written by then. None for no limit.

    Raises:
        TypeError: An argument is of a wrong type.
        ValueError: An argument is out of range.

    Example:
        >>> from wasmtime.sandbox import Directory, Program
        >>> dirs = {"/in": "corpus", "/out": Directory("out", "read-write")}
        >>> tool = Program("tool.wasm", dirs=dirs)  # doctest: +SKIP
    """

    host: Path
    access: Literal["read", "read-write"] = "read"
    quota: Size = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", Path(self.host))
        object.__setattr__(self, "quota", parse_size("quota", self.quota))
        if self.access not in ("read", "read-write"):
            raise ValueError(f'access must be "read" or "read-write", not {self.access!r}')

    @staticmethod
    def temporary(
        files: Mapping[str, Contents] = {},
        collect: Iterable[str] = (),
        *,
        access: Literal["read", "read-write"] = "read-write",
        quota: Size = 64 << 20,
        most_files: int = 1000,
        most_bytes: Size = 64 << 20,
    ) -> TemporaryDirectory:
        """A directory that is made for each run, and removed after it.

        Args:
            files: What is in it at first, by path; text is written as UTF-8.
            collect: Which files `Result.files` has afterwards: patterns such as ``"*.txt"`` or
                ``"*"``, for paths inside the directory. Regular files alone are read, never through
                a link.
            access: Whether the guest may change it.
            quota: As for `Directory`.
            most_files: How many files are collected.
            most_bytes: How many bytes they may have together. `Result.truncated` tells that there
                was more.

        Raises:
            TypeError: An argument is of a wrong type.
            ValueError: A path leads out of the directory, or a number is out of range.
        """
        if isinstance(collect, str):
            raise TypeError("collect must be a list of patterns, not a str")
        bound = parse_size("most_bytes", most_bytes)
        return TemporaryDirectory(
            Path(), access, quota, _checked(files), tuple(collect), most_files, bound
        )


@dataclass(frozen=True)
class TemporaryDirectory(Directory):
    """What `Directory.temporary` makes; `host` means nothing."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    collect: tuple[str, ...] = ()
    most_files: int = 1000
    most_bytes: Optional[int] = None


#: What `dirs` has as values.
DirectoryLike = Union[str, "os.PathLike[str]", Directory]


def _checked(files: Mapping[str, Contents]) -> dict[str, bytes]:
    """Files of a temporary directory, each with a path that stays inside."""
    return {
        _inside(name): _encoded(name, data) for name, data in check_mapping("files", files).items()
    }


def _inside(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the path of a file must be a str, not {type(name).__name__}")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    odd = "\0" in name or (os.name == "nt" and ("\\" in name or ":" in name))
    if not parts or ".." in parts or odd or name.endswith("/"):
        raise ValueError(f"{name!r} is no path of a file inside the directory")
    return "/".join(parts)


def _encoded(name: str, data: Contents) -> bytes:
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"the contents of {name!r} must be bytes or str, not {type(data).__name__}")


def parse_directories(dirs: Mapping[str, DirectoryLike]) -> dict[str, Directory]:
    """Read a `dirs` argument.

    Raises:
        TypeError: A name or directory is of a wrong type.
        ValueError: A name is empty or has a NUL.
    """
    found = {}
    for guest, directory in check_mapping("dirs", dirs).items():
        if not isinstance(guest, str):
            raise TypeError(f"the guest's name of a directory must be a str, not {guest!r}")
        if not guest or "\0" in guest:
            raise ValueError(f"{guest!r} is no name of a directory")
        if not isinstance(directory, Directory):
            directory = Directory(Path(os.path.abspath(os.fspath(directory))))
        found[guest] = directory
    return found


def inputs(files: Mapping[str, Contents]) -> TemporaryDirectory:
    """The directory of a `files` argument: what a guest finds at its root, to be read."""
    return Directory.temporary(files, access="read", quota=None)


class Preopen(NamedTuple):
    """A directory as WASI takes it, and as a worker process is told of it."""

    host: str
    guest: str
    writable: bool
    quota: Optional[int]


class Directories:
    """The directories of one run: temporary ones are made, collected and removed.

    It is a context manager.

    Attributes:
        preopens: What the guest gets.
    """

    def __init__(self, dirs: Mapping[str, Directory]) -> None:
        self.preopens: list[Preopen] = []
        self._trees: list[tuple[str, TemporaryDirectory, TemporaryTree]] = []
        try:
            for guest, directory in check_mapping("dirs", dirs).items():
                self._add(guest, directory)
        except BaseException:
            self.close()
            raise

    def _add(self, guest: str, directory: Directory) -> None:
        host = str(directory.host)
        if isinstance(directory, TemporaryDirectory):
            from .temporary import TemporaryTree  # most guests have none

            tree = TemporaryTree()
            self._trees.append((guest, directory, tree))
            host = tree.path
            for name, data in directory.files.items():
                path = os.path.join(host, *name.split("/"))
                os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
                with open(path, "xb") as file:
                    file.write(data)
        quota = parse_size("quota", directory.quota)
        writable = directory.access == "read-write"
        self.preopens.append(Preopen(host, guest, writable, quota if writable else None))

    def collect(self) -> tuple[dict[str, bytes], bool]:
        """What the guest left in its temporary directories, and whether there was more."""
        files: dict[str, bytes] = {}
        more = False
        for guest, directory, tree in self._trees:
            if directory.collect:
                most = 2**62 if directory.most_bytes is None else directory.most_bytes
                found, cut = collect(tree.path, directory.collect, directory.most_files, most)
                prefix = "" if guest == "." else guest.rstrip("/") + "/"
                files.update({prefix + name: data for name, data in found.items()})
                more = more or cut
        return files, more

    def close(self) -> None:
        """Remove the temporary directories."""
        while self._trees:
            self._trees.pop()[2].close()

    def __enter__(self) -> Directories:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
