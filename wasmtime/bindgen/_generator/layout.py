"""Python code, laid out as formatters lay it out.

Generated code is committed and reviewed with other code, so it has the form that ``ruff format``
(and black) give it with their default settings: what fits on a line stays on one line, everything
else has one element per line, with a comma behind the last.

Texts of others become docstrings and string literals here, with everything escaped that would end
them.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, Union

__all__ = [
    "WIDTH",
    "AnyOf",
    "Code",
    "Group",
    "docstring",
    "flat",
    "quote",
    "render",
    "render_head",
]

#: Longest line, in characters.
WIDTH = 88


@dataclass
class Group:
    """Elements between brackets.

    Attributes:
        head: What is in front of the opening bracket.
        brackets: The opening and the closing bracket.
        items: The elements.
        tail: What is behind the closing bracket.
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
    """The code in as many lines as it needs; the first line is not indented.

    Args:
        code: The code.
        indent: Columns to the left of the statement.
        before: What is in front of the code on its first line.
        after: What is behind the code on its last line.
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
    name: str,
    parameters: Sequence[Code],
    result: Code,
    indent: int,
    after: str = ":",
    coroutine: bool = False,
) -> str:
    """The head of a function."""
    group = Group(f"{'async def' if coroutine else 'def'} {name}", "()", parameters)
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
    text = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    lines = [line.rstrip() for line in text.strip().splitlines()]
    if len(lines) <= 1:
        return ['"""', *lines, '"""']
    margin = min((len(x) - len(x.lstrip()) for x in lines[1:] if x), default=0)
    return ['"""', lines[0], *(line[margin:] for line in lines[1:]), '"""']
