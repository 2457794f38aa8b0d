"""A program that can be stopped where it reads its input, in the way of Binaryen's Asyncify."""

#: It sets up a counter (41), reads a line, and writes a letter and the line; the letter is the
#: counter, one higher after each line. Its one local, the counter, is what unwinding must keep.
PROGRAM = """
(module
  (import "wasi_snapshot_preview1" "fd_read"
    (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $state (mut i32) (i32.const 0)) (global $data (mut i32) (i32.const 0))
  (func (export "asyncify_get_state") (result i32) (global.get $state))
  (func (export "asyncify_start_unwind") (param i32)
    (global.set $state (i32.const 1)) (global.set $data (local.get 0)))
  (func (export "asyncify_stop_unwind") (global.set $state (i32.const 0)))
  (func (export "asyncify_start_rewind") (param i32)
    (global.set $state (i32.const 2)) (global.set $data (local.get 0)))
  (func (export "asyncify_stop_rewind") (global.set $state (i32.const 0)))
  (func $top (param i32) (i32.store (global.get $data)
    (i32.add (i32.load (global.get $data)) (local.get 0))))
  (func (export "_start") (local $count i32)
    (if (i32.eq (global.get $state) (i32.const 2))
      (then
        (call $top (i32.const -4))
        (local.set $count (i32.load (i32.load (global.get $data)))))
      (else
        (local.set $count (i32.const 64))
        (i32.store (i32.const 0) (i32.const 101)) (i32.store (i32.const 4) (i32.const 60))
        (i32.store (i32.const 8) (i32.const 100))))
    (loop $lines
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
      (if (i32.eq (global.get $state) (i32.const 1))
        (then
          (i32.store (i32.load (global.get $data)) (local.get $count))
          (call $top (i32.const 4))
          (return)))
      (if (i32.load (i32.const 16))
        (then
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (i32.store8 (i32.const 100) (local.get $count))
          (i32.store (i32.const 12) (i32.add (i32.load (i32.const 16)) (i32.const 1)))
          (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 20)))
          (br $lines)))))
)
"""
