"""
A component for tests, which uses a resource of the host: it makes handles, lends and gives them on.
"""

RESOURCES = """(component
  (import "res" (instance $res
    (export "blob" (type $t (sub resource)))
    (export "[constructor]blob" (func (param "size" u32) (result (own $t))))
    (export "[method]blob.size" (func (param "self" (borrow $t)) (result u32)))
    (export "[static]blob.merge" (func (param "a" (own $t)) (param "b" (own $t))
                                       (result (own $t))))))
  (alias export $res "blob" (type $blob))
  (alias export $res "[constructor]blob" (func $new))
  (alias export $res "[method]blob.size" (func $size))
  (alias export $res "[static]blob.merge" (func $merge))
  (core func $new (canon lower (func $new)))
  (core func $size (canon lower (func $size)))
  (core func $merge (canon lower (func $merge)))
  (core func $drop (canon resource.drop $blob))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "size" (func $size (param i32) (result i32)))
    (import "" "merge" (func $merge (param i32 i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "run") (param i32 i32) (result i32) (local $merged i32)
      (local.set $merged (call $merge (call $new (local.get 0)) (call $new (local.get 1))))
      (call $size (local.get $merged))
      (call $drop (local.get $merged)))
    (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
    (func (export "take") (param i32) (result i32)
      (call $size (local.get 0)) (call $drop (local.get 0)))
    (func (export "look") (param i32) (result i32)
      (call $size (local.get 0)) (call $drop (local.get 0)))
    (func (export "keep") (param i32)))
  (core instance $m (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "size" (func $size)) (export "merge" (func $merge))
    (export "drop" (func $drop))))))
  (func (export "run") (param "a" u32) (param "b" u32) (result u32)
    (canon lift (core func $m "run")))
  (func (export "make") (param "a" u32) (result (own $blob)) (canon lift (core func $m "make")))
  (func (export "take") (param "a" (own $blob)) (result u32) (canon lift (core func $m "take")))
  (func (export "look") (param "a" (borrow $blob)) (result u32)
    (canon lift (core func $m "look")))
  (func (export "keep") (param "a" (own $blob)) (canon lift (core func $m "keep"))))"""
