"""A Python module that is being written: its docstring, what it imports, and its statements.

Texts of others become docstrings and comments here, and never a directive to a tool.
"""

from __future__ import annotations

import re
from collections.abc import Container

from .layout import WIDTH, Code, docstring, render

__all__ = ["Module"]

#: The beginnings of comments that tell type checkers, formatters and linters what to do.
_DIRECTIVE = re.compile(
    r"(type|mypy|pyright|pytype|fmt|yapf|isort|ruff|flake8|pylint|pragma)\s*:"
    r"|pyre-|(?i:noqa|nosec)\b|///"
)


class Module:
    """A module that is being written.

    Args:
        docs: Its docstring.
        defined: The names that it defines itself. What is imported by such a name gets an
            underscore in front.
        submodules: For a package, the names of the modules in it. When one is imported, Python
            makes it an attribute of the package.
        asynchronous: Whether the functions that it defines are coroutine functions.
    """

    def __init__(
        self,
        docs: str,
        defined: set[str],
        submodules: Container[str] = (),
        asynchronous: bool = False,
    ) -> None:
        self.docs = docs
        self.asynchronous = asynchronous
        self.defined = defined
        self.submodules = submodules
        self.body: list[str] = []
        #: What each imported name is: the module (empty for a module itself) and its name there.
        self.bound: dict[str, tuple[str, str]] = {}
        #: As `bound`, for type checkers alone.
        self.checked: dict[str, tuple[str, str]] = {}

    def use(self, source: str, name: str, hidden: Container[str] = ()) -> str:
        """The local name of something from another module, which is imported.

        Args:
            source: The module; "" for a module that is imported itself, under its own name.
            name: The name there.
            hidden: Names that mean something else where this one is used: the members of the
                class around it.
        """
        local = name
        while local in hidden or not self._can_mean(local, (source, name)):
            local = "_" + local
        if source != "builtins" or local != name:
            self.bound[local] = (source, name)
        return local

    def _can_mean(self, local: str, item: tuple[str, str]) -> bool:
        if local in self.submodules:
            return item == (".", local)
        return local not in self.defined and self.bound.get(local, item) == item

    def use_for_checking(self, source: str, name: str) -> str:
        """As `use`, for what only type checkers need and would be a circular import otherwise."""
        local = name
        while local in self.defined or local in self.bound:
            local = "_" + local
        self.checked[local] = (source, name)
        self.use("typing", "TYPE_CHECKING")
        return local

    def line(self, text: str = "", indent: int = 0) -> None:
        """Add a line, or several that are laid out already."""
        self.body.append(" " * indent + text if text else "")

    def put(self, code: Code, indent: int = 0, before: str = "", after: str = "") -> None:
        """Add a statement, on as many lines as it needs."""
        self.line(render(code, indent, before, after), indent)

    def document(self, text: str, indent: int) -> None:
        """Add a docstring."""
        for line in docstring(text):
            self.line(line, indent if line else 0)

    def comment(self, text: str, indent: int) -> None:
        """Add a comment, changed where it would be a directive to a tool."""
        for line in text.strip().splitlines():
            mark = "#:" if _DIRECTIVE.match(line.strip()) else "#"
            self.line(f"{mark} {line.rstrip()}".rstrip(), indent)

    def blank(self, count: int) -> None:
        """Have so many empty lines here; none at the beginning of the module."""
        while self.body and not self.body[-1]:
            self.body.pop()
        if self.body:
            self.body.extend([""] * count)

    def begin_class(self, name: str, docs: str, base: str = "", is_dataclass: bool = False) -> None:
        """Add the head and the docstring of a class.

        Args:
            name: Its name.
            docs: Its docstring.
            base: The local name of its base.
            is_dataclass: Whether it is decorated as a dataclass.
        """
        self.blank(2)
        if is_dataclass:
            self.line(f"@{self.use('dataclasses', 'dataclass')}")
        self.line(f"class {name}({base}):" if base else f"class {name}:")
        self.document(docs, 4)

    def text(self) -> bytes:
        """The whole module."""
        lines = [*docstring(self.docs), "", *self._imports()]
        while self.body and not self.body[0]:
            self.body.pop(0)
        if self.body:
            spaced = self.body[0].startswith(("class ", "def ", "@"))
            lines += [*([""] if spaced and len(lines) > 4 else []), *self.body]
        while not lines[-1]:
            lines.pop()
        return ("\n".join(lines) + "\n").encode()

    def _imports(self) -> list[str]:
        """The lines that import: the standard library, then `wasmtime`, then the package."""
        sections: tuple[list[str], list[str], list[str]] = ([], [], [])
        by_source: dict[str, list[str]] = {}
        for local, (source, name) in sorted(self.bound.items()):
            alias = name if name == local else f"{name} as {local}"
            if source:
                by_source.setdefault(source, []).append(alias)
            else:
                sections[1].append(f"import {alias}")
        # Packages further up come first, as in sorted imports.
        for source in sorted(by_source, key=lambda key: (-len(_dots(key)), key)):
            statement = _import(source, sorted(by_source[source], key=_import_order))
            place = 2 if source[0] == "." else 1 if source.split(".")[0] == "wasmtime" else 0
            sections[place].append(statement)
        lines: list[str] = []
        for section in sections:
            if section:
                lines += [*section, ""]
        if self.checked:
            lines.append("if TYPE_CHECKING:")
            lines += [
                f"    from {source} import {name}" + (f" as {local}" if local != name else "")
                for local, (source, name) in sorted(self.checked.items())
            ]
            lines.append("")
        return lines


def _dots(source: str) -> str:
    return source[: len(source) - len(source.lstrip("."))]


def _import(source: str, names: list[str]) -> str:
    line = f"from {source} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"from {source} import (", *(f"    {name}," for name in names), ")"])


def _import_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, as import sorters have it."""
    bare = name.split(" ")[0]
    return (0 if bare.isupper() else 1 if bare[:1].isupper() else 2), name
