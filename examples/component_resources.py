"""A Python class as a resource of WIT.

A component makes objects of it, calls their methods and drops them.
"""

from wasmtime import Engine, Store
from wasmtime.component import Component, Linker

# Makes a counter, adds 5 to it twice and drops it.
COMPONENT = """
(component
  (import "example:host/counters" (instance $host
    (export "counter" (type $counter (sub resource)))
    (export "[constructor]counter" (func (param "start" u32) (result (own $counter))))
    (export "[method]counter.add-up"
      (func (param "self" (borrow $counter)) (param "by" u32) (result u32)))))
  (alias export $host "counter" (type $counter))
  (alias export $host "[constructor]counter" (func $new))
  (alias export $host "[method]counter.add-up" (func $add))
  (core func $new (canon lower (func $new)))
  (core func $add (canon lower (func $add)))
  (core func $drop (canon resource.drop $counter))
  (core module $code
    (import "host" "new" (func $new (param i32) (result i32)))
    (import "host" "add" (func $add (param i32 i32) (result i32)))
    (import "host" "drop" (func $drop (param i32)))
    (func (export "run") (param $start i32) (result i32) (local $counter i32)
      (local.set $counter (call $new (local.get $start)))
      (drop (call $add (local.get $counter) (i32.const 5)))
      (call $add (local.get $counter) (i32.const 5))
      (call $drop (local.get $counter))))
  (core instance $code (instantiate $code (with "host" (instance
    (export "new" (func $new)) (export "add" (func $add)) (export "drop" (func $drop))))))
  (func (export "run") (param "start" u32) (result u32) (canon lift (core func $code "run"))))
"""


class Counter:
    """The resource."""

    def __init__(self, start: int) -> None:
        """Its constructor in WIT."""
        self.value = start
        print(f"a counter from {start}")

    def add_up(self, by: int) -> int:
        """Its method `add-up`."""
        self.value += by
        return self.value

    def drop(self) -> None:
        """Called when the component lets go of it."""
        print(f"dropped at {self.value}")


class Counters:
    """The interface: what it names in WIT, in Python's spelling."""

    Counter = Counter


engine = Engine()
component = Component(engine, COMPONENT)
linker = Linker(engine)
for name, item in linker.missing(component).items():
    print(f"needs {name}: {item}" if not name.endswith("#counter") else f"needs {name}")
linker.define_imports(component, {"counters": Counters()})

store = Store(engine)
print(linker.instantiate(store, component).exports(store).run(store, 30))
