;; Numbers pass the boundary of a component in the form that their types have.
(component
  (core module $code
    (func (export "same") (param i32) (result i32) (local.get 0))
    (func (export "divide") (param i32 i32) (result i32)
      (i32.div_s (local.get 0) (local.get 1)))
    (func (export "float") (param f64) (result f64) (f64.sqrt (local.get 0))))
  (core instance $code (instantiate $code))
  (func (export "u8") (param "x" u8) (result u8) (canon lift (core func $code "same")))
  (func (export "wide-to-s8") (param "x" u32) (result s8) (canon lift (core func $code "same")))
  (func (export "wide-to-bool") (param "x" u32) (result bool) (canon lift (core func $code "same")))
  (func (export "wide-to-char") (param "x" u32) (result char) (canon lift (core func $code "same")))
  (func (export "divide") (param "a" s32) (param "b" s32) (result s32)
    (canon lift (core func $code "divide")))
  (func (export "root") (param "x" f64) (result f64) (canon lift (core func $code "float"))))

(assert_return (invoke "u8" (u8.const 255)) (u8.const 255))
(assert_return (invoke "wide-to-s8" (u32.const 255)) (s8.const -1))
(assert_return (invoke "wide-to-s8" (u32.const 0x1_02)) (s8.const 2))
(assert_return (invoke "wide-to-bool" (u32.const 2)) (bool.const true))
(assert_return (invoke "wide-to-bool" (u32.const 0)) (bool.const false))
(assert_return (invoke "wide-to-char" (u32.const 97)) (char.const "a"))
(assert_return (invoke "divide" (s32.const -7) (s32.const 2)) (s32.const -3))
(assert_return (invoke "root" (f64.const 2.25)) (f64.const 1.5))
(assert_return (invoke "root" (f64.const -1)) (f64.const nan:canonical))
(assert_trap (invoke "divide" (s32.const 1) (s32.const 0)) "integer divide by zero")
;; A trap ends the instance.
(assert_trap (invoke "u8" (u8.const 1)) "cannot enter component instance")

(component definition $surrogate
  (core module $code (func (export "same") (param i32) (result i32) (local.get 0)))
  (core instance $code (instantiate $code))
  (func (export "f") (param "x" u32) (result char) (canon lift (core func $code "same"))))
(component instance $first $surrogate)
(assert_trap (invoke "f" (u32.const 0xd800)) "char")
(component instance $second $surrogate)
(assert_return (invoke $second "f" (u32.const 0x1f600)) (char.const "\u{1f600}"))
