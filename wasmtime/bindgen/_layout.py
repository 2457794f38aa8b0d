"""Python code, laid out as formatters lay it out.

Generated code is committed and reviewed with other code, so it has the form that ``ruff format``
(and black) give it with their default settings: what fits on a line stays on one, anything else
goes one element per line with a comma behind the last.

Texts of others become comments, docstrings and string literals here, and nothing else: a comment of
each line by any of the ends that lines can have, and escaped literals.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, Union

__all__ = [
    "WIDTH",
    "AnyOf",
    "Code",
    "Group",
    "Module",
    "docstring",
    "flat",
    "quote",
    "render",
    "render_head",
]

#: Longest line, in characters.
WIDTH = 88

#: How comments begin that tell type checkers, formatters and linters what to do.
_DIRECTIVE = re.compile(
    r"(type|mypy|pyright|pytype|fmt|yapf|isort|ruff|flake8|pylint|pragma)\s*:"
    r"|pyre-|(?i:noqa|nosec)\b|///"
)


@dataclass
class Group:
    """Elements between brackets.

    Attributes:
        head: What stands before the bracket.
        brackets: The opening and the closing bracket.
        items: The elements.
        tail: What stands behind the closing bracket.
    """

    head: str
    brackets: str
    items: Sequence[Code]
    tail: str = ""

    def lone(self) -> bool:
        """Whether a comma behind the last element would change the meaning."""
        return self.brackets == "[]" and bool(self.head) and len(self.items) == 1


Code = Union[str, Group]


class AnyOf(Container[str]):
    """The names that are in any of several containers."""

    def __init__(self, *containers: Container[Any]) -> None:
        self.containers = containers

    def __contains__(self, name: object) -> bool:
        return any(name in each for each in self.containers)


def flat(code: Code) -> str:
    """The code on one line."""
    if isinstance(code, str):
        return code
    inside = ", ".join(flat(item) for item in code.items)
    return f"{code.head}{code.brackets[0]}{inside}{code.brackets[1]}{code.tail}"


def render(code: Code, indent: int, before: str = "", after: str = "") -> str:
    """The code in as many lines as it needs; the first begins with `before`, unindented otherwise.

    Args:
        code: The code.
        indent: Columns to the left of the statement.
        before: What stands before it on its first line.
        after: What stands behind it on its last line.
    """
    line = f"{before}{flat(code)}{after}"
    if indent + len(line) <= WIDTH or isinstance(code, str) or not code.items:
        return line
    pad = " " * (indent + 4)
    comma = "" if code.lone() else ","
    lines = [f"{before}{code.head}{code.brackets[0]}"]
    lines += [pad + render(item, indent + 4, "", comma) for item in code.items]
    lines.append(f"{' ' * indent}{code.brackets[1]}{code.tail}{after}")
    return "\n".join(lines)


def render_head(
    name: str, parameters: Sequence[Code], result: Code, indent: int, after: str = ":"
) -> str:
    """The head of a function."""
    group = Group(f"def {name}", "()", parameters)
    line = f"{flat(group)} -> {flat(result)}{after}"
    if indent + len(line) <= WIDTH or not parameters:
        return line
    pad = " " * (indent + 4)
    lines = [f"{group.head}("]
    lines += [pad + render(item, indent + 4, "", ",") for item in parameters]
    lines.append(" " * indent + render(result, indent, ") -> ", after))
    return "\n".join(lines)


def quote(text: str) -> str:
    """A string literal with the quotes that formatters prefer."""
    literal = repr(text)
    if literal[0] == "'" and '"' not in text:
        literal = '"' + literal[1:-1].replace("\\'", "'") + '"'
    return literal


def docstring(text: str) -> list[str]:
    """The lines of a docstring that says `text`."""
    text = text.expandtabs().replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    lines = [line.rstrip() for line in text.strip().splitlines()]
    if len(lines) <= 1:
        return ['"""', *lines, '"""']
    margin = min((len(x) - len(x.lstrip()) for x in lines[1:] if x), default=0)
    return ['"""', lines[0], *(line[margin:] for line in lines[1:]), '"""']


class Module:
    """A module that is being written.

    Args:
        docs: Its docstring.
        defined: The names that it defines itself: what is imported under such a name gets an
            underscore in front.
        submodules: For a package, the names of the modules in it: importing one makes its name a
            name of the package.
    """

    def __init__(self, docs: str, defined: set[str], submodules: Container[str] = ()) -> None:
        self.docs = docs
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
        """As `use`, for what only type checkers need, and what would be a circular import."""
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
        """Add a comment; none that is a directive to a tool."""
        for line in text.expandtabs().strip().splitlines():
            mark = "#:" if _DIRECTIVE.match(line.strip()) else "#"
            self.line(f"{mark} {line.rstrip()}".rstrip(), indent)

    def blank(self, count: int) -> None:
        """Have so many empty lines here, unless a block begins here."""
        while self.body and not self.body[-1]:
            self.body.pop()
        if self.body:
            self.body.extend([""] * count)

    def text(self) -> bytes:
        """The whole module."""
        lines = [*docstring(self.docs), ""]
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
        while self.body and not self.body[0]:
            self.body.pop(0)
        if self.body:
            spaced = self.body[0].startswith(("class ", "def ", "@"))
            lines += [*([""] if spaced and len(lines) > 4 else []), *self.body]
        while not lines[-1]:
            lines.pop()
        return ("\n".join(lines) + "\n").encode()


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
