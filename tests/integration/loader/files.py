"""
Files that the tests of the loader import.
"""

from __future__ import annotations

from typing import Callable

ADD = """
(module
  (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1))))
"""


COMPONENT = """
(component
  (core module $m (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m))
  (func $add (param "x" s32) (param "y" s32) (result s32) (canon lift (core func $i "add")))
  (instance $math (export "add" (func $add)))
  (export "add" (func $add))
  (export "example:math/ops@1.0.0" (instance $math)))
"""


Run = Callable[..., str]


def imports(source: str, name: str = "f") -> str:
    """
    A module with one import, whose result is given on.
    """
    source = "".join(f"\\{byte:02x}" for byte in source.encode())
    return f"""
    (module (import "{source}" "{name}" (func $f (result i32)))
      (func (export "run") (result i32) (call $f)))
    """
