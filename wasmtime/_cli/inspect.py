"""``inspect``: what is in a module or component."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Union

from .._error import WasmtimeError
from .._module import Module
from .._printable import printable
from .._wasm.reader import MalformedBinary, kind_of
from .._wasm.sections import functions_of, modules_of, producers_of, sections_of
from .options import natural
from .programs import announced, binary_of, make_engine
from .status import Failure
from .terminal import show
from .watch import Watch

if TYPE_CHECKING:
    from ..component import Component

__all__ = ["add_arguments", "run"]

EXAMPLES = """\
  inspect program.wasm               imports, exports, and what takes the bytes
  inspect --json plugin.wasm         the same for a program
  inspect --functions 50 big.wasm    the 50 largest functions
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``inspect``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--functions",
        metavar="N",
        type=natural(32),
        default=10,
        help="how many of the largest functions to name (default: 10)",
    )
    parser.add_argument("program", metavar="FILE", help="a module or component, binary or text")


def run(options: argparse.Namespace, watch: Watch) -> int:
    """Describe a file; returns the exit status.

    Raises:
        Failure: It cannot be read, or is not valid.
    """
    report = describe(options.program, binary_of(options.program), options.functions, watch)
    if options.json:
        import json

        show([json.dumps(report, indent=2)])
    else:
        show(_text_of(report))
    return 0


def describe(path: str, binary: bytes, most: int, watch: Watch) -> dict[str, Any]:
    """Collect what is known of a binary, as plain data.

    Args:
        path: Its file, for errors.
        binary: The binary.
        most: How many of the largest functions are named.
        watch: Stops it on Ctrl-C.

    Raises:
        Failure: It is not valid.
    """
    engine = make_engine(no_cache=False, fuel=False)
    watch.engine = engine
    try:
        if kind_of(binary) == "component":
            from ..component import Component

            with announced(path):
                interface = _component_interface(Component(engine, binary))
            modules = list(modules_of(binary))
        else:
            with announced(path):
                interface = _module_interface(Module(engine, binary))
            modules = [binary]
        return {
            "kind": kind_of(binary),
            "size": len(binary),
            **interface,
            "sections": [section._asdict() for section in sections_of(binary)],
            "producers": producers_of(binary),
            "largest_functions": _largest(modules, most),
        }
    except (WasmtimeError, MalformedBinary) as error:
        raise Failure(f"{path} cannot be inspected: {error}") from None


def _largest(modules: list[bytes], most: int) -> list[dict[str, Any]]:
    functions = [
        {"module": number, **body._asdict()}
        for number, module in enumerate(modules)
        for body in functions_of(module)
    ]
    return sorted(functions, key=lambda body: -body["size"])[:most]


def _module_interface(module: Module) -> dict[str, Any]:
    return {
        "imports": [
            {"module": one.module, "name": one.name, "type": str(one.type)}
            for one in module.imports
        ],
        "exports": [{"name": one.name, "type": str(one.type)} for one in module.exports],
    }


def _component_interface(component: Component) -> dict[str, Any]:
    return {"wit": str(component.type)}


# --- as text -------------------------------------------------------------------------------------


def _text_of(report: dict[str, Any]) -> Iterator[str]:
    """The lines in which a person reads a report."""
    yield f"{report['kind']}, {_size(report['size'])}"
    if "wit" in report:
        yield from ("", *report["wit"].splitlines())
    for title in ("imports", "exports"):
        if report.get(title):
            yield from ("", f"{title}:")
            yield from (f"  {_item(item)}" for item in report[title])
    yield from ("", "sections:")
    yield from _sections(report)
    if report["producers"]:
        yield from ("", "produced by:")
        for role, tools in report["producers"].items():
            yield f"  {_safe(role)}: {_safe(', '.join(tools))}"
    if report["largest_functions"]:
        yield from ("", "largest functions:")
        for body in report["largest_functions"]:
            name = body["name"] if body["name"] is not None else f"function {body['position']}"
            yield f"  {_size(body['size']):>10}  {_safe(name)}"


def _sections(report: dict[str, Any]) -> Iterator[str]:
    sizes: dict[str, int] = {}
    for section in report["sections"]:
        name = section["kind"] if section["name"] is None else f"custom {section['name']!r}"
        sizes[name] = sizes.get(name, 0) + section["size"]
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        yield f"  {_size(size):>10}  {100 * size / report['size']:3.0f} %  {_safe(name)}"


def _item(item: dict[str, Union[str, None]]) -> str:
    module = "" if "module" not in item else f"{item['module']}."
    return _safe(f"{module}{item['name']}: {item['type']}")


def _safe(text: str) -> str:
    """A guest's text on one line of ours."""
    return printable(text, layout="")


def _size(count: int) -> str:
    """A number of bytes, in the unit in which it is short."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
