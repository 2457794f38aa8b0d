"""A component with an interface of records.

Its exports are a mapping, values have names, and a value that does not fit is refused with the
place where it does not.
"""

from dataclasses import dataclass

from wasmtime import Engine, Store
from wasmtime.component import Component, Linker

# Adds two points; a compiler of Rust, C, Go, Python or JavaScript writes such a thing from WIT.
COMPONENT = """
(component
  (type $point' (record (field "x-axis" f64) (field "y-axis" f64)))
  (import "point" (type $point (eq $point')))
  (core module $code
    (memory (export "memory") 1)
    (func (export "add") (param f64 f64 f64 f64) (result i32)
      (f64.store (i32.const 0) (f64.add (local.get 0) (local.get 2)))
      (f64.store (i32.const 8) (f64.add (local.get 1) (local.get 3)))
      i32.const 0))
  (core instance $code (instantiate $code))
  (func $add (param "a" $point) (param "b" $point) (result $point)
    (canon lift (core func $code "add") (memory (core memory $code "memory"))))
  (instance $ops (export "add-points" (func $add)))
  (export "example:plane/ops@1.0.0" (instance $ops)))
"""


@dataclass
class Point:
    """A record, as a dataclass."""

    x_axis: float
    y_axis: float


engine = Engine()
component = Component(engine, COMPONENT)
print(component.exports["example:plane/ops@1.0.0"])

store = Store(engine)
ops = Linker(engine).instantiate(store, component).exports(store).ops
total = ops.add_points(store, Point(1, 2), {"x-axis": 10, "y-axis": 20})
print(f"{total}, of which {total.x_axis}")
try:
    ops.add_points(store, a=total, b={"x_axis": 1, "y_axis": "two"})
except TypeError as error:
    print(f"refused: {error}")
