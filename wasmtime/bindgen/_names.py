"""From the names of WIT to names in Python.

WIT's names are words with hyphens between them, all letters of a word in one case. Python has
several spellings, and words that are taken.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

__all__ = [
    "MAX_FILE_NAME",
    "NO_FIELDS",
    "Interface",
    "Namespace",
    "camel",
    "file_name",
    "identifier",
    "interface_name",
    "safe",
    "shouty",
    "snake",
]

#: What no field of a dataclass can be called: an attribute that every class has would be taken for
#: its default.
NO_FIELDS = ("mro",)
#: Longest name of a module or other file, in characters, without what follows the dot.
MAX_FILE_NAME = 200

_SEPARATORS = re.compile(r"[^0-9A-Za-z]+")
#: Where a word begins inside of a name that is not written with hyphens.
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
#: Names that no file can have on Windows, whatever follows the dot.
_DEVICES = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]")
#: How many underscores tell names apart, before numbers do.
_UNDERSCORES = 3


def _words(name: str) -> list[str]:
    return [
        word.lower() for chunk in _SEPARATORS.split(name) for word in _HUMPS.split(chunk) if word
    ]


def safe(name: str) -> str:
    """The name as an identifier: with an underscore after a keyword and before what begins none."""
    if keyword.iskeyword(name):
        return name + "_"
    return name if name.isidentifier() else "_" + name


def snake(name: str) -> str:
    """As functions, parameters, fields and modules are spelled: ``get_value``."""
    return safe("_".join(_words(name)))


def camel(name: str, prefix: str = "") -> str:
    """As classes are spelled: ``GetValue``, or ``HostGetValue`` with the prefix ``Host``."""
    return safe(prefix + "".join(word.capitalize() for word in _words(name)))


def shouty(name: str) -> str:
    """As members of enumerations are spelled: ``GET_VALUE``."""
    return safe("_".join(_words(name)).upper())


def file_name(name: str) -> str:
    """As files are spelled, without what follows the dot: ``get_value``.

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

    It is one that Python does not change any more: Python takes identifiers in the form NFKC.
    Two underscores in front go: Python gives them a meaning inside of classes.
    """
    normal = unicodedata.normalize("NFKC", name)
    name = "".join(char if f"_{char}".isidentifier() else "_" for char in normal)
    return safe(name.lstrip("_") if name.startswith("__") else name)


class Namespace:
    """Names of one scope, each given once.

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
        """The first of the candidates that is free, or the last one with underscores or a number
        behind it.
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


class Interface:
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


def interface_name(names: list[str]) -> list[str]:
    """A short name for each of the full names, in WIT's spelling.

    Interfaces whose short names are the same all get longer ones, so that none depends on the
    order of the others.
    """
    choices = [Interface(name).candidates() for name in names]
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
