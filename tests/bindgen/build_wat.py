"""
Components for tests, as text: each function that the component exports calls one of the same type
that it imports, so that every value goes out to the host and back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

REALLOC = """
    (global $next (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $start i32)
      (local.set $start (i32.and
        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get 2))))
      (global.set $next (i32.add (local.get $start) (local.get 3)))
      (loop $grow
        (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
          (then (drop (memory.grow (i32.const 16))) (br $grow))))
      (local.get $start))
"""

_FLAT = {
    **{key: ["i32"] for key in ("bool", "u8", "s8", "u16", "s16", "u32", "s32", "char")},
    **{key: ["i64"] for key in ("u64", "s64")},
    "f32": ["f32"],
    "f64": ["f64"],
    "string": ["i32", "i32"],
}


@dataclass
class Ty:
    """
    A type: how it is written, and what it is flattened to in the canonical ABI.
    """

    text: str
    flat: list[str]


def prim(name: str) -> Ty:
    return Ty(name, _FLAT[name])


def list_of(element: Ty) -> Ty:
    return Ty(f"(list {element.text})", ["i32", "i32"])


def tuple_of(*elements: Ty) -> Ty:
    flat = [each for element in elements for each in element.flat]
    return Ty(f"(tuple {' '.join(each.text for each in elements)})", flat)


def _join(left: str, right: str) -> str:
    if left == right:
        return left
    return "i32" if {left, right} == {"i32", "f32"} else "i64"


def _variant_flat(payloads: list[Optional[Ty]]) -> list[str]:
    flat: list[str] = []
    for payload in payloads:
        for i, each in enumerate(payload.flat if payload else []):
            if i < len(flat):
                flat[i] = _join(flat[i], each)
            else:
                flat.append(each)
    return ["i32", *flat]


def option_of(payload: Ty) -> Ty:
    return Ty(f"(option {payload.text})", _variant_flat([None, payload]))


def result_of(ok: Optional[Ty] = None, err: Optional[Ty] = None) -> Ty:
    text = "(result"
    text += f" {ok.text}" if ok else ""
    text += f" (error {err.text})" if err else ""
    return Ty(text + ")", _variant_flat([ok, err]))


@dataclass
class Interface:
    """
    An interface with named types and functions from a type to itself.
    """

    name: str
    types: list[tuple[str, str]] = field(default_factory=list)
    functions: list[tuple[str, list[tuple[str, Ty]], Optional[Ty]]] = field(default_factory=list)

    def _named(self, name: str, text: str, flat: list[str]) -> Ty:
        self.types.append((name, text))
        return Ty(f"${name}", flat)

    def record(self, name: str, **fields: Ty) -> Ty:
        return self.record_of(name, [(key.replace("_", "-"), ty) for key, ty in fields.items()])

    def record_of(self, name: str, fields: list[tuple[str, Ty]]) -> Ty:
        text = " ".join(f'(field "{key}" {ty.text})' for key, ty in fields)
        return self._named(name, f"(record {text})", [x for _, ty in fields for x in ty.flat])

    def variant(self, name: str, cases: list[tuple[str, Optional[Ty]]]) -> Ty:
        text = " ".join(f'(case "{key}"{" " + ty.text if ty else ""})' for key, ty in cases)
        return self._named(name, f"(variant {text})", _variant_flat([ty for _, ty in cases]))

    def enum(self, name: str, *cases: str) -> Ty:
        return self._named(name, f"(enum {' '.join(map(_quote, cases))})", ["i32"])

    def flags(self, name: str, *names: str) -> Ty:
        return self._named(name, f"(flags {' '.join(map(_quote, names))})", ["i32"])

    def alias(self, name: str, ty: Ty) -> Ty:
        return self._named(name, ty.text, ty.flat)

    def echo(self, name: str, ty: Ty, param: str = "v") -> None:
        """
        A function that gives back what it is given.
        """
        self.functions.append((name, [(param, ty)], ty))

    def func(self, name: str, params: list[tuple[str, Ty]], result: Optional[Ty] = None) -> None:
        self.functions.append((name, params, result))


def _quote(text: str) -> str:
    return f'"{text}"'


def _signature(params: list[tuple[str, Ty]], result: Optional[Ty]) -> str:
    text = " ".join(f'(param "{key}" {ty.text})' for key, ty in params)
    return f"(func {text}{f' (result {result.text})' if result else ''})"


def component(interface: Interface, imported: str, exported: str) -> str:
    """
    A component that imports the interface under one name and exports it under another.
    """
    outer, host, exports, lowered, core_imports, core_exports, lifted = ([] for _ in range(7))
    with_core = []
    for name, text in interface.types:
        host.append(f'(type $_{name} {text}) (export "{name}" (type ${name} (eq $_{name})))')
        outer.append(f"(type ${name} {text})")
        exports.append(f'(export "{name}" (type ${name}))')
    for name, params, result in interface.functions:
        signature = _signature(params, result)
        host.append(f'(export "{name}" {signature})')
        flat = [each for _, ty in params for each in ty.flat]
        if len(flat) > 16:
            flat = ["i32"]
        returned = list(result.flat) if result else []
        indirect = len(returned) > 1
        taken = flat + (["i32"] if indirect else [])
        lowers = f"(param {' '.join(taken)})" + (
            f" (result {returned[0]})" if returned and not indirect else ""
        )
        lifts = f"(param {' '.join(flat)})" + (
            f" (result {'i32' if indirect else returned[0]})" if returned else ""
        )
        gets = " ".join(f"(local.get {i})" for i in range(len(flat)))
        core_imports.append(f'(import "host" "{name}" (func $h-{name} {lowers}))')
        body = f"(call $h-{name} {gets}{' (i32.const 1024)' if indirect else ''})"
        body += " (i32.const 1024)" if indirect else ""
        core_exports.append(f'(func (export "{name}") {lifts} {body})')
        options = "(memory (core memory $memory)) (realloc (core func $realloc))"
        lowered.append(f'(core func $l-{name} (canon lower (func $host "{name}") {options}))')
        with_core.append(f'(export "{name}" (func $l-{name}))')
        lifted.append(
            f'(func $f-{name} {signature[5:-1]} (canon lift (core func $main "{name}") {options}))'
        )
        exports.append(f'(export "{name}" (func $f-{name}))')
    newline = "\n    "
    return f"""
(component
  (import "{imported}" (instance $host
    {newline.join(host)}))
  (core module $libc (memory (export "memory") 1) {REALLOC})
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  {newline.join(lowered)}
  (core module $main
    {newline.join(core_imports)}
    {newline.join(core_exports)})
  (core instance $main (instantiate $main
    (with "host" (instance {" ".join(with_core)}))))
  {newline.join(outer)}
  {newline.join(lifted)}
  (instance $out {newline.join(exports)})
  (export "{exported}" (instance $out)))
"""


def everything() -> Interface:
    """
    Every type in every position.
    """
    it = Interface("everything")
    point = it.record("point", x=prim("f32"), y=prim("f64"))
    color = it.enum("color", "red", "deep-blue", "d2")
    perms = it.flags("perms", "read", "write", "run-it")
    shape = it.variant(
        "shape",
        [("dot", None), ("circle", prim("f32")), ("named", prim("string")), ("at", point)],
    )
    points = it.alias("points", list_of(point))
    it.alias("size", prim("u64"))
    maybe = it.alias("maybe", option_of(option_of(prim("u32"))))
    outcome = it.alias("outcome", result_of(point, color))
    named = {
        "point": point,
        "color": color,
        "perms": perms,
        "shape": shape,
        "points": points,
        "maybe": maybe,
        "outcome": outcome,
    }
    plain = {name: prim(name) for name in _FLAT}
    for name, ty in {**plain, **named}.items():
        it.echo(f"echo-{name}", ty)
        it.echo(f"list-{name}", list_of(ty))
        it.echo(f"option-{name}", option_of(ty))
        it.echo(f"tuple-{name}", tuple_of(ty, prim("bool")))
        it.echo(f"ok-{name}", result_of(ty, None))
        it.echo(f"err-{name}", result_of(None, ty))
        holder = it.record(f"{name}-record", it=ty, again=option_of(ty))
        it.echo(f"record-{name}", holder)
        holder = it.variant(
            f"{name}-variant", [("none", None), ("some", ty), ("many", list_of(ty))]
        )
        it.echo(f"variant-{name}", holder)
    it.echo("result-none", result_of())
    it.echo("option3", option_of(option_of(option_of(prim("u8")))))
    it.echo("same", result_of(prim("string"), prim("string")))
    it.func("nothing", [])
    it.func("many", [(f"p{i}", prim("u32")) for i in range(20)], prim("u32"))
    return it


def awkward() -> Interface:
    """
    Names that are taken, in Python or by each other.
    """
    it = Interface("awkward")
    u8 = prim("u8")
    words = ["class", "from", "self", "caller", "str", "int", "list", "other", "none", "lambda"]
    record = it.record_of("class", [(word, prim("string")) for word in words])
    it.echo("def", record, "import")
    it.variant("foo", [("bar", u8), ("true", None)])
    it.record("foo-bar", x=u8)
    for name in ("result", "some", "ok", "err", "list", "optional", "enum", "flag", "dataclass"):
        it.record(name, x=u8)
    kind = it.enum("type", "mro", "name", "value", "auto", "x1")
    it.echo("type-of", kind, "type")
    it.echo("options", option_of(option_of(Ty("$ok", u8.flat))), "result")
    it.echo("results", result_of(Ty("$some", u8.flat), Ty("$err", u8.flat)), "bytes")
    it.record("root", x=u8)
    it.record("protocol", x=u8)
    it.echo("root-of", Ty("$root", u8.flat), "root")
    for name in ("bytes", "str", "int", "float", "bool", "staticmethod", "abstractmethod"):
        it.echo(name, list_of(u8), name)
    it.func(
        "after-these",
        [("str", prim("string")), ("int", prim("u32")), ("result", list_of(u8))],
        tuple_of(prim("string"), prim("u32"), list_of(u8)),
    )
    it.func(
        "a-function-with-a-name-and-parameters-that-are-longer-than-a-line",
        [(f"a-parameter-with-a-long-name-{i}", prim("string")) for i in range(4)],
        result_of(tuple_of(record, record, record), Ty("$foo-bar", u8.flat)),
    )
    it.echo("wasmtime", u8)
    it.echo("component", u8)
    return it
