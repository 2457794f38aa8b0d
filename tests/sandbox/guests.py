"""
Guests in the text format: programs, plug-ins and components, good and bad.
"""

from __future__ import annotations

import pytest
from wasi_programs import program

#: The two tiers. Starting a worker takes a while: what is alike in both runs there in slow runs.
TIERS = ["thread", pytest.param("process", marks=pytest.mark.slow)]
#: The same for what is quick, or what the tiers do in ways of their own.
BOTH_TIERS = ["thread", "process"]

#: Writes ``hello`` to standard output and ``oh`` to standard error, and exits with status 3.
HELLO = program(
    "fd_write proc_exit",
    """
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 5))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
    (i32.store (i32.const 0) (i32.const 80)) (i32.store (i32.const 4) (i32.const 2))
    (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16)))
    (call $proc_exit (i32.const 3))
    """,
    '(data (i32.const 64) "hello") (data (i32.const 80) "oh")',
)

#: Writes ``hello`` to standard output and comes to its end.
QUIET = program(
    "fd_write",
    """
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 5))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
    """,
    '(data (i32.const 64) "hello")',
)

#: Computes for ever.
SPIN = '(module (func (export "_start") (loop $again (br $again))))'

#: Writes 64 KiB to both streams again and again, for ever.
FLOOD = program(
    "fd_write",
    """
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 65536))
    (loop $again
      (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
      (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16)))
      (br $again))
    """,
)

#: Sleeps for an hour.
SLEEP = program(
    "poll_oneoff",
    """
    (i64.store (i32.const 24) (i64.const 3600000000000))
    (i32.store (i32.const 16) (i32.const 1))
    (drop (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
    """,
)

#: Grows its memory until it cannot, and traps.
MEMORY_BOMB = """
(module (memory (export "memory") 1)
  (func (export "_start")
    (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    unreachable))
"""

ADD = """
(module (func (export "add") (param i32 i32) (result i32)
  (i32.add (local.get 0) (local.get 1))))
"""

COUNTER = """
(module (global $n (mut i32) (i32.const 0))
  (func (export "next") (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))
  (func (export "trap") unreachable)
  (func (export "spin") (loop $again (br $again))))
"""


def text_plugin(allocator: str = "malloc", body: str = "") -> str:
    """
    A module whose function ``same`` gives back the bytes that it is given.

    Args:
        allocator: What its allocator is called.
        body: More of it.
    """
    return f"""
    (module (memory (export "memory") 2) (global $at (mut i32) (i32.const 1024))
      (func $allocate (export "{allocator}") (param $n i32) (result i32)
        (global.get $at) (global.set $at (i32.add (global.get $at) (local.get $n))))
      (func (export "same") (param $p i32) (param $n i32) (result i64)
        (i64.or (i64.shl (i64.extend_i32_u (local.get $p)) (i64.const 32))
                (i64.extend_i32_u (local.get $n))))
      (func (export "length") (param $p i32) (param $n i32) (result i32) (local.get $n))
      {body})
    """


#: A component with an interface, whose function adds.
MATH = """
(component
  (core module $m (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m))
  (func $add (param "a" s32) (param "b" s32) (result s32) (canon lift (core func $i "add")))
  (instance $math (export "add-up" (func $add)))
  (export "example:pkg/math@1.0.0" (instance $math)))
"""

#: A component that imports a function with an error, and exports one that calls it.
ASKING = """
(component
  (import "ask" (func $ask (param "n" u32) (result (result (error string)))))
  (core module $memory (memory (export "memory") 1)
    (global $at (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $at)
      (global.set $at (i32.add (global.get $at) (local.get 3)))))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $bytes))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $ask (canon lower (func $ask) (memory $bytes) (realloc $realloc)))
  (core module $main
    (import "host" "ask" (func $ask (param i32 i32)))
    (import "env" "memory" (memory 1))
    (func (export "run") (param i32) (result i32)
      (call $ask (local.get 0) (i32.const 16))
      (i32.const 16)))
  (core instance $main (instantiate $main
    (with "host" (instance (export "ask" (func $ask))))
    (with "env" (instance (export "memory" (memory $bytes))))))
  (alias core export $main "run" (core func $run))
  (func (export "run") (param "n" u32) (result (result (error string)))
    (canon lift (core func $run) (memory $bytes) (realloc $realloc))))
"""

#: An interpreter that is a library: ``turn`` takes text, and returns as its exit status what the
#: digit at the end of it says. ``all`` returns all text that it was given, from 4096 on.
TURNS = """
(module (memory (export "memory") 2) (global $at (mut i32) (i32.const 4096))
  (func (export "host_alloc") (param $n i32) (result i32)
    (global.get $at) (global.set $at (i32.add (global.get $at) (local.get $n))))
  (func (export "turn") (param $p i32) (param $n i32) (result i32)
    (i32.sub (i32.load8_u (i32.sub (i32.add (local.get $p) (local.get $n)) (i32.const 1)))
             (i32.const 48)))
  (func (export "all") (param $p i32) (param $n i32) (result i64)
    (i64.or (i64.shl (i64.const 4096) (i64.const 32))
            (i64.extend_i32_u (i32.sub (global.get $at) (i32.const 4096))))))
"""
