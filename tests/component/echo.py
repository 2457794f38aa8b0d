"""
Components for tests: one that gives back what it is given, of any type, with or without a host
function in between.

The text of such a component depends on how the type is flattened into core values (the canonical
ABI), which is computed here from the type that the library tells.
"""

from __future__ import annotations

from typing import Any, Optional

from wasmtime import Engine
from wasmtime.component import (
    Component,
    EnumType,
    FixedLengthListType,
    FlagsType,
    OptionType,
    RecordType,
    ResultType,
    TupleType,
    ValType,
    VariantType,
)

#: A memory with an allocator that only adds; each call starts anew.
LIBC = """
  (core module $libc
    (memory (export "mem") 1)
    (global $base (mut i32) (i32.const 4096))
    (func (export "reset") (global.set $base (i32.const 4096)))
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32)
                             (param $size i32) (result i32)
      (local $at i32)
      (local.set $at
        (i32.and (i32.add (global.get $base) (i32.sub (local.get $align) (i32.const 1)))
                 (i32.sub (i32.const 0) (local.get $align))))
      (global.set $base (i32.add (local.get $at) (local.get $size)))
      (block $enough
        (br_if $enough (i32.le_u (global.get $base)
                                 (i32.mul (memory.size) (i32.const 65536))))
        (drop (memory.grow (i32.add (i32.div_u (local.get $size) (i32.const 65536))
                                    (i32.const 1)))))
      local.get $at))
  (core instance $libc (instantiate $libc))
"""

OPTIONS = """(memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))"""


def flatten(ty: Optional[ValType]) -> list[str]:
    """
    The core types that a type is passed as.
    """
    if ty is None:
        return []
    if isinstance(ty, RecordType):
        return [flat for _, part in ty.fields for flat in flatten(part)]
    if isinstance(ty, TupleType):
        return [flat for part in ty.elements for flat in flatten(part)]
    if isinstance(ty, (VariantType, OptionType, ResultType)):
        joined: list[str] = []
        for _, part in ty._cases():
            for at, flat in enumerate(flatten(part)):
                if at == len(joined):
                    joined.append(flat)
                elif joined[at] != flat:
                    narrow = {joined[at], flat} == {"i32", "f32"}
                    joined[at] = "i32" if narrow else "i64"
        return ["i32", *joined]
    if isinstance(ty, (EnumType, FlagsType)):
        return ["i32"]
    if isinstance(ty, FixedLengthListType):
        raise NotImplementedError
    name = type(ty).__name__
    if name in ("S64", "U64"):
        return ["i64"]
    if name in ("F32", "F64"):
        return [name.lower()]
    if name in ("String", "ListType", "MapType"):
        return ["i32", "i32"]
    return ["i32"]


def declare(text: str) -> str:
    """
    The declaration of a type as ``$t``.

    Args:
        text: The type; records and variants inside of it must be declared before it, by name:
            ``r = (record (field "d" string)) ; (list $r)``.
    """
    *named, last = text.split(" ; ")
    declared = []
    for name, ty in [each.split(" = ", 1) for each in named] + [["t", last]]:
        declared.append(f"""(type ${name}' {ty}) (import "{name}" (type ${name} (eq ${name}')))""")
    return "\n".join(declared)


def echo_through_host(engine: Engine, text: str, flat: Optional[list[str]] = None) -> Component:
    """
    A component that exports ``x`` and imports ``x``, both from a type to the same type.

    Args:
        engine: The engine.
        text: The type in text format, for instance ``(list u8)``; see `declare`.
        flat: How the type is flattened, where it cannot be computed.
    """
    head = f"""{declare(text)}
               (import "x" (func $x (param "x" $t) (result $t)))"""
    if flat is None:
        reflected: Any = Component(engine, f"(component {head})").imports["x"].ty
        flat = flatten(reflected.result)
    params = flat if len(flat) <= 16 else ["i32"]
    indirect = len(flat) > 1
    values = " ".join(f"local.get {n}" for n in range(len(params)))
    call = f"{values} i32.const 1024 call 0 i32.const 1024" if indirect else f"{values} call 0"
    lowered = f"(param {' '.join(params)} {'i32' if indirect else ''})"
    result = "(result i32)" if indirect else f"(result {flat[0]})" if flat else ""
    return Component(
        engine,
        f"""(component {head} {LIBC}
          (core module $m
            (import "" "x" (func {lowered} {"" if indirect else result}))
            (func (export "x") (param {" ".join(params)}) {result} {call}))
          (core func $lowered (canon lower (func $x) {OPTIONS}))
          (core instance $m (instantiate $m
            (with "" (instance (export "x" (func $lowered))))))
          (core module $after
            (import "" "reset" (func $reset))
            (func (export "after") (param {"i32" if indirect else " ".join(flat)}) call $reset))
          (core instance $after (instantiate $after
            (with "" (instance (export "reset" (func $libc "reset"))))))
          (func (export "x") (param "x" $t) (result $t)
            (canon lift (core func $m "x") {OPTIONS}
              (post-return (core func $after "after")))))""",
    )


def echo_in_guest(engine: Engine, text: str) -> Component:
    """
    A component that exports ``echo`` of a type that is passed as pointer and length.
    """
    return Component(engine, guest_text(text))


def guest_text(text: str) -> str:
    """
    The text of `echo_in_guest`.
    """
    return f"""(component
      {declare(text)} {LIBC}
      (core module $m
        (import "" "mem" (memory 1))
        (import "" "reset" (func $reset))
        (func (export "echo") (param i32 i32) (result i32)
          (i32.store (i32.const 1024) (local.get 0))
          (i32.store (i32.const 1028) (local.get 1))
          i32.const 1024)
        (func (export "after") (param i32) call $reset))
      (core instance $m (instantiate $m
        (with "" (instance (export "mem" (memory $libc "mem"))
                           (export "reset" (func $libc "reset"))))))
      (func (export "echo") (param "x" $t) (result $t)
        (canon lift (core func $m "echo") {OPTIONS}
          (post-return (core func $m "after")))))"""
