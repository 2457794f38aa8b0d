;; What is no component.
(assert_invalid (component (export "a" (func 0))) "unknown func")
(assert_invalid (component (import "not kebab" (func))) "not a valid")
(assert_invalid (component (import "a" (func)) (import "a" (func))) "conflicts")
(assert_invalid
  (component
    (core module $code (func (export "f") (result i64) (i64.const 0)))
    (core instance $code (instantiate $code))
    (func (export "f") (result u32) (canon lift (core func $code "f"))))
  "lowered result types")
(assert_malformed (component quote "(func") "expected")
(assert_malformed (component binary "\00asm" "\0d\00\01") "unexpected end")
(assert_unlinkable (component (import "nobody" (func))) "not found")
(component binary "\00asm" "\0d\00\01\00")
;; A function that uses the asynchronous ABI inside needs an event loop.
(component
  (component $callee
    (core module $code
      (import "" "return" (func $return (param i32)))
      (func (export "f") (param i32) (result i32)
        (call $return (i32.add (local.get 0) (i32.const 1))) (i32.const 0))
      (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
    (core func $return (canon task.return (result u32)))
    (core instance $code (instantiate $code
      (with "" (instance (export "return" (func $return))))))
    (func (export "f") async (param "x" u32) (result u32)
      (canon lift (core func $code "f") async (callback (core func $code "callback")))))
  (component $caller
    (import "f" (func $f async (param "x" u32) (result u32)))
    (core module $memory (memory (export "memory") 1))
    (core instance $memory (instantiate $memory))
    (core func $f (canon lower (func $f) async (memory (core memory $memory "memory"))))
    (core module $code
      (import "" "f" (func $f (param i32 i32) (result i32)))
      (import "" "memory" (memory 1))
      (func (export "g") (param i32) (result i32)
        (drop (call $f (local.get 0) (i32.const 8)))
        (i32.load (i32.const 8))))
    (core instance $code (instantiate $code
      (with "" (instance (export "f" (func $f)) (export "memory" (memory $memory "memory"))))))
    (func (export "g") (param "x" u32) (result u32) (canon lift (core func $code "g"))))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "f" (func $callee "f"))))
  (export "g" (func $caller "g")))
(assert_return (invoke "g" (u32.const 4)) (u32.const 5))
