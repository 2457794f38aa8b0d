"""
Run scripts of the specification's kind (``.wast``) for components through the public API.

A script is a list of commands: components to define and instantiate, and assertions on what calls
return, trap with, and what is not valid. Texts of components go to the library's own parser; the
commands around them are read here.
"""

from __future__ import annotations

import asyncio
import math
import re
from pathlib import Path
from typing import Any, Optional, Union

from wasmtime import Config, Engine, Store, WasmtimeError
from wasmtime.component import Component, Err, Linker, Ok, Record, Variant

Node = Union[str, "Form"]

_TOKEN = re.compile(
    r"""\s+|;;[^\n]*|(?P<block>\(;)|(?P<open>\()|(?P<close>\))|(?P<string>"(?:[^"\\]|\\.)*")"""
    r"""|(?P<atom>[^\s()";]+)""",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u\{[0-9a-fA-F]+\}|[0-9a-fA-F]{2}|.)", re.DOTALL)
_NAMED = {"t": b"\t", "n": b"\n", "r": b"\r", '"': b'"', "'": b"'", "\\": b"\\"}


class Form(list[Node]):
    """
    A list in parentheses, with the text that it was read from.
    """

    text: str = ""

    @property
    def word(self) -> str:
        """
        What it begins with.
        """
        return str(self[0]) if self and not isinstance(self[0], Form) else ""


def read(source: str) -> list[Form]:
    """
    The forms of a script.

    Args:
        source: The text.

    Raises:
        ValueError: Parentheses do not match, or something is no token.
    """
    top = Form()
    stack: list[tuple[Form, int]] = [(top, 0)]
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            raise ValueError(f"no token: {source[at : at + 20]!r}")
        start, at = at, match.end()
        if match["block"]:
            depth = 1
            while depth:
                if source.startswith("(;", at):
                    depth, at = depth + 1, at + 2
                elif source.startswith(";)", at):
                    depth, at = depth - 1, at + 2
                else:
                    at += 1
        elif match["open"]:
            stack.append((Form(), start))
        elif match["close"]:
            form, begun = stack.pop()
            form.text = source[begun:at]
            stack[-1][0].append(form)
        elif match["string"] or match["atom"]:
            stack[-1][0].append(match[0])
    if len(stack) != 1:
        raise ValueError("a parenthesis is not closed")
    return [form for form in top if isinstance(form, Form)]


def unquote(token: str) -> bytes:
    """
    The bytes of a string token.
    """
    result, at = b"", 0
    inner = token[1:-1]
    for match in _ESCAPE.finditer(inner):
        result += inner[at : match.start()].encode()
        word = match[1]
        if word.startswith("u{"):
            result += chr(int(word[2:-1], 16)).encode("utf-8", "surrogatepass")
        elif len(word) == 2:
            result += bytes([int(word, 16)])
        else:
            result += _NAMED[word]
        at = match.end()
    return result + inner[at:].encode()


def value(form: Node) -> Any:
    """
    A constant of a script as a Python value.
    """
    assert isinstance(form, Form)
    kind, rest = form.word.partition(".")[0], list(form[1:])
    if kind == "bool":
        return rest[0] == "true" if rest else form.word.endswith("true")
    if kind in ("f32", "f64"):
        text = str(rest[0]).replace("_", "")
        if "nan" in text:
            return math.nan
        return float.fromhex(text) if "0x" in text else float(text)
    if kind[1:].isdigit():
        return int(str(rest[0]).replace("_", ""), 0)
    if kind in ("char", "str"):
        return unquote(str(rest[0])).decode()
    if kind == "list":
        return [value(each) for each in rest]
    if kind == "tuple":
        return tuple(value(each) for each in rest)
    if kind == "record":
        return Record(
            **{
                unquote(str(each[1])).decode().replace("-", "_"): value(each[2])
                for each in rest
                if isinstance(each, Form)
            }
        )
    if kind == "variant":
        return Variant(unquote(str(rest[0])).decode(), value(rest[1]) if rest[1:] else None)
    if kind == "enum":
        return unquote(str(rest[0])).decode()
    if kind == "option":
        return value(rest[0]) if rest else None
    if kind == "result":
        payload = value(rest[1]) if rest[1:] else None
        return Ok(payload) if rest[0] == "ok" or form.word.endswith("ok") else Err(payload)
    if kind == "flags":
        return {unquote(str(each)).decode() for each in rest}
    raise ValueError(f"a constant of the unknown kind {form.word}")


def same(found: Any, wanted: Any) -> bool:
    """
    Whether a result is the one that a script wants; all NaNs are the same.
    """
    if isinstance(wanted, float) and math.isnan(wanted):
        return isinstance(found, float) and math.isnan(found)
    if isinstance(found, bytes) and isinstance(wanted, list):
        return list(found) == wanted
    return bool(found == wanted)


class Script:
    """
    The state of a script that runs.

    Args:
        asynchronous: Whether an event loop instantiates and calls.

    Attributes:
        counts: How many commands of each kind were carried out.
    """

    def __init__(self, asynchronous: bool = False) -> None:
        self.asynchronous = asynchronous
        config = Config()
        for name in ("map", "async", "async_stackful", "more_async_builtins"):
            setattr(config, f"wasm_component_model_{name}", True)
        self.engine = Engine(config)
        self.components: dict[str, Component] = {}
        self.instances: dict[str, tuple[Store, Any]] = {}
        self.current: Optional[tuple[Store, Any]] = None
        self.counts: dict[str, int] = {}

    def run(self, source: str) -> None:
        """
        Carry all commands out.

        Raises:
            AssertionError: One did not come to what it says.
        """
        for form in read(source):
            try:
                getattr(self, f"do_{form.word.replace('.', '_')}")(form)
            except Exception as error:
                raise AssertionError(f"{form.text[:300]}: {error}") from error
            self.counts[form.word] = self.counts.get(form.word, 0) + 1

    def compile(self, form: Form) -> Component:
        """
        The component of a form.
        """
        words = [each for each in form[1:3] if isinstance(each, str) and each[0] not in '"$']
        strings = [unquote(each) for each in form if isinstance(each, str) and each[0] == '"']
        if "binary" in words:
            return Component(self.engine, b"".join(strings))
        if "quote" in words:
            return Component(self.engine, f"(component {b' '.join(strings).decode()})")
        return Component(self.engine, form.text.replace("(component definition", "(component", 1))

    def instantiate(self, component: Component) -> tuple[Store, Any]:
        """
        An instance in a store of its own: a trap ends all components of a store.
        """
        store, linker = Store(self.engine), Linker(self.engine)
        if self.asynchronous:
            instance = asyncio.run(linker.instantiate_async(store, component))
        else:
            instance = linker.instantiate(store, component)
        return store, instance.exports(store)

    def do_component(self, form: Form) -> None:
        """
        Define a component, instantiate one that is defined, or both at once.
        """
        names = [str(each) for each in form[1:] if isinstance(each, str) and each[0] == "$"]
        if len(form) > 1 and form[1] == "instance":
            self.current = self.instances[names[0]] = self.instantiate(self.components[names[1]])
            return
        component = self.compile(form)
        if len(form) > 1 and form[1] == "definition":
            self.components[names[0] if names else ""] = component
            return
        self.current = self.instantiate(component)
        if names:
            self.instances[names[0]] = self.current

    def do_invoke(self, form: Form) -> Any:
        """
        Call a function.
        """
        rest = list(form[1:])
        owner = self.current
        if str(rest[0]).startswith("$"):
            owner = self.instances[str(rest.pop(0))]
        assert owner is not None
        store, exports = owner
        name = unquote(str(rest.pop(0))).decode()
        arguments = [value(each) for each in rest]
        if self.asynchronous:
            return asyncio.run(exports[name].call_async(store, *arguments))
        return exports[name](store, *arguments)

    def do_assert_return(self, form: Form) -> None:
        """
        A call returns a value.
        """
        call = form[1]
        assert isinstance(call, Form)
        found = self.do_invoke(call)
        wanted = [value(each) for each in form[2:]]
        assert same(found, wanted[0] if wanted else None), f"returned {found!r}"

    def do_assert_trap(self, form: Form) -> None:
        """
        A call, or an instantiation, traps with a message.
        """
        target, message = form[1], unquote(str(form[2])).decode()
        assert isinstance(target, Form)
        try:
            if target.word == "invoke":
                self.do_invoke(target)
            else:
                self.do_component(target)
        except WasmtimeError as error:
            said = str(error)
        else:
            raise AssertionError("did not trap")
        assert message in said, f"trapped with {said}"

    def do_assert_invalid(self, form: Form) -> None:
        """
        A component is refused. The words of the message are the library's affair.
        """
        target = form[1]
        assert isinstance(target, Form)
        try:
            self.compile(target)
        except WasmtimeError:
            return
        raise AssertionError("is valid")

    do_assert_malformed = do_assert_invalid

    def do_assert_unlinkable(self, form: Form) -> None:
        """
        A component cannot be instantiated.
        """
        target = form[1]
        assert isinstance(target, Form)
        component = self.compile(target)
        try:
            self.instantiate(component)
        except WasmtimeError:
            return
        raise AssertionError("can be linked")


def run_file(path: Path, asynchronous: bool = False) -> dict[str, int]:
    """
    Run the script in a file; how many commands of each kind it has.
    """
    script = Script(asynchronous)
    script.run(path.read_text(encoding="utf-8"))
    return script.counts
