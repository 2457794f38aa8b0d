"""
The guest that the tests of references share.
"""

from __future__ import annotations

from typing import Any

from wasmtime import FieldType

POINTS = """
    (type $point (struct (field $x (mut i32)) (field $y (mut f64)) (field $name (mut externref))))
    (type $list (struct (field i32) (field (ref null $list))))
    (type $bytes (array (mut i8)))
    (type $points (array (mut (ref null $point))))
    (type $frozen (array i32))
    (func (export "point") (param i32 f64 externref) (result (ref $point))
        (struct.new $point (local.get 0) (local.get 1) (local.get 2)))
    (func (export "x") (param (ref null $point)) (result i32)
        (struct.get $point $x (local.get 0)))
    (func (export "cons") (param i32 (ref null $list)) (result (ref $list))
        (struct.new $list (local.get 0) (local.get 1)))
    (func (export "sum") (param $l (ref null $list)) (result i32) (local $s i32)
        (loop $again
            (if (i32.eqz (ref.is_null (local.get $l))) (then
                (local.set $s (i32.add (local.get $s) (struct.get $list 0 (local.get $l))))
                (local.set $l (struct.get $list 1 (local.get $l)))
                (br $again))))
        (local.get $s))
    (func (export "bytes") (param i32 i32) (result (ref $bytes))
        (array.new $bytes (local.get 0) (local.get 1)))
    (func (export "points") (param i32) (result (ref $points))
        (array.new_default $points (local.get 0)))
    (func (export "frozen") (result (ref $frozen))
        (array.new_fixed $frozen 3 (i32.const 1) (i32.const 2) (i32.const 3)))
    (func (export "small") (param i32) (result i31ref) (ref.i31 (local.get 0)))
    (func (export "unsigned") (param i31ref) (result i32) (i31.get_u (local.get 0)))
    (func (export "same") (param anyref) (result anyref) (local.get 0))
    (func (export "same_eq") (param eqref) (result eqref) (local.get 0))
    (func (export "is_struct") (param anyref) (result i32)
        (ref.test (ref struct) (local.get 0)))
    (func (export "to_any") (param externref) (result anyref)
        (any.convert_extern (local.get 0)))
    (func (export "to_extern") (param anyref) (result externref)
        (extern.convert_any (local.get 0)))
    (func (export "garbage") (param $n i32)
        (loop $again
            (drop (array.new $bytes (i32.const 1) (i32.const 4096)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br_if $again (local.get $n))))
    (global (export "any") (mut anyref) (ref.null any))
    (table (export "table") 4 anyref)
"""


def mutable(ty: Any) -> FieldType:
    return FieldType(ty, mutable=True)
