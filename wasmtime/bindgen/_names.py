"""
From the names of WIT to names in Python.

WIT's names are words with hyphens between them, all letters of a word in one case. Python has
several spellings, and words that are taken.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

__all__ = ["Interface", "Namespace", "camel", "interface_name", "safe", "shouty", "snake"]

_SEPARATORS = re.compile(r"[^0-9A-Za-z]+")
#: Where a word begins inside of a name that is not written with hyphens.
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def _words(name: str) -> list[str]:
    return [
        word.lower() for chunk in _SEPARATORS.split(name) for word in _HUMPS.split(chunk) if word
    ]


def safe(name: str) -> str:
    """
    The name as an identifier: with an underscore after a keyword and before a digit.
    """
    if keyword.iskeyword(name):
        return name + "_"
    if not name or name[0].isdigit():
        return "_" + name
    return name


def snake(name: str) -> str:
    """
    As functions, parameters, fields and modules are spelled: ``get_value``.
    """
    return safe("_".join(_words(name)))


def camel(name: str, prefix: str = "") -> str:
    """
    As classes are spelled: ``GetValue``, or ``HostGetValue`` with the prefix ``Host``.
    """
    return safe(prefix + "".join(word.capitalize() for word in _words(name)))


def shouty(name: str) -> str:
    """
    As members of enumerations are spelled: ``GET_VALUE``.
    """
    return safe("_".join(_words(name)).upper())


class Namespace:
    """
    Names of one scope, each given once.

    Args:
        taken: Names that are not to be given.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = set(taken)

    def __contains__(self, name: str) -> bool:
        return name in self.taken

    def give(self, *candidates: str) -> str:
        """
        The first of the candidates that is free, or the last one with underscores behind it.
        """
        for name in candidates:
            if name not in self.taken:
                break
        else:
            name = candidates[-1]
            while name in self.taken:
                name += "_"
        self.taken.add(name)
        return name


class Interface:
    """
    The parts of an interface's name, ``namespace:package/name@1.2.3``.

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
        """
        Ever longer names for it, in WIT's spelling.
        """
        result = [self.name]
        for part in (self.package, self.namespace):
            if part:
                result.append(f"{part}-{result[-1]}")
        if self.version:
            result.append(f"{result[-1]}-{self.version}")
        return result


def interface_name(names: list[str]) -> list[str]:
    """
    A short name for each of the full names, in WIT's spelling.

    Interfaces whose short names are the same all get longer ones, so that none depends on the
    order of the others.
    """
    interfaces = [Interface(name) for name in names]
    length = [0] * len(names)
    while True:
        current = [
            snake(interface.candidates()[min(length[i], len(interface.candidates()) - 1)])
            for i, interface in enumerate(interfaces)
        ]
        clashing = [
            i
            for i, name in enumerate(current)
            if current.count(name) > 1 and length[i] + 1 < len(interfaces[i].candidates())
        ]
        if not clashing:
            return [
                interface.candidates()[min(length[i], len(interface.candidates()) - 1)]
                for i, interface in enumerate(interfaces)
            ]
        for i in clashing:
            length[i] += 1
