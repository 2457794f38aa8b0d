"""From the names of WIT to names in Python.

WIT's names are words with hyphens between them, all letters of a word in one case. Python has
several spellings, and words that are taken.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections import Counter
from collections.abc import Container, Iterable

__all__ = [
    "MAX_FILE_NAME",
    "NO_FIELDS",
    "InterfaceName",
    "Namespace",
    "camel",
    "file_name",
    "free",
    "identifier",
    "interface_names",
    "safe",
    "shouty",
    "snake",
]

#: Names that no field of a dataclass can have: it would take the attribute that every class has by
#: that name for the field's default.
NO_FIELDS = ("mro",)
#: Longest name of a file, in characters, without its suffix.
MAX_FILE_NAME = 200

_SEPARATORS = re.compile(r"[^0-9A-Za-z]+")
#: Where a word begins inside of a name that is not written with hyphens.
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
#: Names that no file can have on Windows, whatever follows the dot.
_DEVICES = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]")
#: How many underscores a name gets at the most to differ from others; after that it gets a number.
_UNDERSCORES = 3


def _words(name: str) -> list[str]:
    return [
        word.lower() for chunk in _SEPARATORS.split(name) for word in _HUMPS.split(chunk) if word
    ]


def safe(name: str) -> str:
    """The name as an identifier: a keyword gets an underscore behind it, a digit one in front."""
    if keyword.iskeyword(name):
        return name + "_"
    return name if name.isidentifier() else "_" + name


def snake(name: str) -> str:
    """A name for a function, parameter, field or module: ``get_value``."""
    return safe("_".join(_words(name)))


def camel(name: str, prefix: str = "") -> str:
    """A name for a class: ``GetValue``, or ``HostGetValue`` with the prefix ``Host``."""
    return safe(prefix + "".join(word.capitalize() for word in _words(name)))


def shouty(name: str) -> str:
    """A name for a member of an enumeration: ``GET_VALUE``."""
    return safe("_".join(_words(name)).upper())


def file_name(name: str) -> str:
    """A name for a file, without its suffix: ``get_value``.

    Raises:
        ValueError: It is too long for a file.
    """
    spelled = snake(name)
    if len(spelled) > MAX_FILE_NAME:
        raise ValueError(
            f"the name {spelled[:40]!r}... has {len(spelled)} characters; a file's may have "
            f"{MAX_FILE_NAME}"
        )
    return spelled + "_" if _DEVICES.fullmatch(spelled) else spelled


def identifier(name: str) -> str:
    """A name of core WebAssembly, which may be any text, as an identifier.

    The result has the form NFKC, to which Python changes all identifiers. It does not begin with
    two underscores, which have a meaning inside of classes.
    """
    normal = unicodedata.normalize("NFKC", name)
    name = "".join(char if f"_{char}".isidentifier() else "_" for char in normal)
    return safe(name.lstrip("_") if name.startswith("__") else name)


class Namespace:
    """The names of one scope: gives each name only once.

    Args:
        taken: Names that are not to be given.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = set(taken)
        #: The number that was last put behind each name.
        self._numbers: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.taken

    def give(self, *candidates: str) -> str:
        """The first of the candidates that is free; if none is, the last one, made longer.

        Args:
            candidates: Names, the best one first. Underscores or a number make the last longer.
        """
        for name in candidates:
            if name not in self.taken:
                break
        else:
            name = self._another(candidates[-1])
        self.taken.add(name)
        return name

    def _another(self, name: str) -> str:
        for count in range(1, _UNDERSCORES + 1):
            longer = name + "_" * count
            if longer not in self.taken:
                return longer
        stem = name.rstrip("_")
        number = self._numbers.get(stem, _UNDERSCORES)
        while True:
            number += 1
            longer = f"{stem}_{number}"
            if longer not in self.taken:
                self._numbers[stem] = number
                return longer


class InterfaceName:
    """The parts of an interface's name, ``namespace:package/name@1.2.3``.

    Attributes:
        full: The whole name.
        name: What is behind the slash and before the version; all of it in a plain name.
        package: The package, without its namespace; empty in a plain name.
        namespace: The namespace; empty in a plain name.
        version: The version; empty if there is none.
    """

    def __init__(self, full: str) -> None:
        self.full = full
        path, _, self.version = full.partition("@")
        scope, _, self.name = path.rpartition("/")
        self.namespace, _, self.package = scope.rpartition(":")

    def candidates(self) -> list[str]:
        """Ever longer names for it, in WIT's spelling."""
        result = [self.name]
        for part in (self.package, self.namespace):
            if part:
                result.append(f"{part}-{result[-1]}")
        if self.version:
            result.append(f"{result[-1]}-{self.version}")
        return result


def interface_names(names: list[str]) -> list[str]:
    """A short name for each of the full names, in WIT's spelling.

    Interfaces whose short names are the same all get longer ones, so that the order of the
    interfaces does not matter.
    """
    choices = [InterfaceName(name).candidates() for name in names]
    spelled = [list(map(snake, each)) for each in choices]
    length = [0] * len(names)
    while True:
        counts = Counter(each[length[i]] for i, each in enumerate(spelled))
        clashing = [
            i
            for i, each in enumerate(spelled)
            if counts[each[length[i]]] > 1 and length[i] + 1 < len(each)
        ]
        if not clashing:
            return [each[length[i]] for i, each in enumerate(choices)]
        for i in clashing:
            length[i] += 1


def free(name: str, taken: Container[str]) -> str:
    """The name, with as many underscores behind it as keep it apart from those that are taken."""
    while name in taken:
        name += "_"
    return name
