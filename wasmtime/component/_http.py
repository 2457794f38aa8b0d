"""Requests of ``wasi:http``, whose answers are waited for no longer than the store's time allows.

The library waits in native code, which hears no timeout, for ten minutes unless the guest says
otherwise. So ``handle`` is a function of ours: it lets the timeouts of the request be those of the
guest, or the rest of the store's time if that is sooner. The wait is over then, and the guest with
it: it is watched from then on (``Store._cut_wait``).

Each wait gets that much: one for the connection, one for the first byte of the answer, and one for
the bytes after each byte that came. The guest ends after the first one that its time is up in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._store import StoreContext
from .._wasi_names import HTTP_HANDLER, HTTP_TYPES
from ._forwarding import NEVER, Forwarding, shadow

if TYPE_CHECKING:
    from ._linker import Linker

__all__ = ["ERROR_CODE", "define_http"]

#: The type of the interface ``types``, as an instance type exports it.
ERROR_CODE = """
(type $dns' (record (field "rcode" (option string)) (field "info-code" (option u16))))
(export "DNS-error-payload" (type $dns (eq $dns')))
(type $alert' (record (field "alert-id" (option u8)) (field "alert-message" (option string))))
(export "TLS-alert-received-payload" (type $alert (eq $alert')))
(type $size' (record (field "field-name" (option string)) (field "field-size" (option u32))))
(export "field-size-payload" (type $size (eq $size')))
(type $error-code' (variant
  (case "DNS-timeout")
  (case "DNS-error" $dns)
  (case "destination-not-found")
  (case "destination-unavailable")
  (case "destination-IP-prohibited")
  (case "destination-IP-unroutable")
  (case "connection-refused")
  (case "connection-terminated")
  (case "connection-timeout")
  (case "connection-read-timeout")
  (case "connection-write-timeout")
  (case "connection-limit-reached")
  (case "TLS-protocol-error")
  (case "TLS-certificate-error")
  (case "TLS-alert-received" $alert)
  (case "HTTP-request-denied")
  (case "HTTP-request-length-required")
  (case "HTTP-request-body-size" (option u64))
  (case "HTTP-request-method-invalid")
  (case "HTTP-request-URI-invalid")
  (case "HTTP-request-URI-too-long")
  (case "HTTP-request-header-section-size" (option u32))
  (case "HTTP-request-header-size" (option $size))
  (case "HTTP-request-trailer-section-size" (option u32))
  (case "HTTP-request-trailer-size" $size)
  (case "HTTP-response-incomplete")
  (case "HTTP-response-header-section-size" (option u32))
  (case "HTTP-response-header-size" $size)
  (case "HTTP-response-body-size" (option u64))
  (case "HTTP-response-trailer-section-size" (option u32))
  (case "HTTP-response-trailer-size" $size)
  (case "HTTP-response-transfer-coding" (option string))
  (case "HTTP-response-content-coding" (option string))
  (case "HTTP-response-timeout")
  (case "HTTP-upgrade-failed")
  (case "HTTP-protocol-error")
  (case "loop-detected")
  (case "configuration-error")
  (case "internal-error" (option string))))
(export "error-code" (type $error-code (eq $error-code')))"""

_TIMEOUTS = ("connect-timeout", "first-byte-timeout", "between-bytes-timeout")


def _for_each(text: str) -> str:
    """The text for each timeout, whose name is written ``NAME``."""
    return "\n".join(text.replace("NAME", name) for name in _TIMEOUTS)


#: ``handle`` is given the nanoseconds that are left, too; all ones: any number of them.
_SOURCE = f"""(component
  (import "{HTTP_TYPES}" (instance $types
    (export "outgoing-request" (type (sub resource)))
    (export "request-options" (type $options (sub resource)))
    (export "future-incoming-response" (type (sub resource)))
    {ERROR_CODE}
    (export "[constructor]request-options" (func (result (own $options))))
    {
    _for_each('''
    (export "[method]request-options.NAME"
      (func (param "self" (borrow $options)) (result (option u64))))
    (export "[method]request-options.set-NAME" (func
      (param "self" (borrow $options)) (param "duration" (option u64)) (result (result))))''')
}))
  (alias export $types "outgoing-request" (type $request))
  (alias export $types "request-options" (type $options))
  (alias export $types "future-incoming-response" (type $answer))
  (alias export $types "error-code" (type $error-code))
  (import "{HTTP_HANDLER}" (instance $handler
    (alias outer 1 $request (type $r'))
    (export "outgoing-request" (type $r (eq $r')))
    (alias outer 1 $options (type $o'))
    (export "request-options" (type $o (eq $o')))
    (alias outer 1 $answer (type $a'))
    (export "future-incoming-response" (type $a (eq $a')))
    (alias outer 1 $error-code (type $e'))
    (export "error-code" (type $e (eq $e')))
    (export "handle" (func (param "request" (own $r)) (param "options" (option (own $o)))
      (result (result (own $a) (error $e)))))))
  (core module $libc
    (memory (export "memory") 1)
    (global $top (export "top") (mut i32) (i32.const 0))
    (func (export "realloc")
      (param i32 i32) (param $align i32) (param $size i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.sub (i32.add (global.get $top) (local.get $align)) (i32.const 1))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $top (i32.add (local.get $at) (local.get $size)))
      (if (i32.gt_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))) (then
        (drop (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1))))))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $make (canon lower (func $types "[constructor]request-options")))
  {
    _for_each('''
  (core func $NAME (canon lower (func $types "[method]request-options.NAME") (memory $memory)))
  (core func $set-NAME (canon lower (func $types "[method]request-options.set-NAME")))''')
}
  (core func $handle
    (canon lower (func $handler "handle") (memory $memory) (realloc $realloc)))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "top" (global $top (mut i32)))
    (import "" "make" (func $make (result i32)))
    {
    _for_each('''
    (import "" "NAME" (func $NAME (param i32 i32)))
    (import "" "set-NAME" (func $set-NAME (param i32 i32 i64) (result i32)))''')
}
    (import "" "handle" (func $handle (param i32 i32 i32 i32)))
    {
    _for_each('''
    (func $limit-NAME (param $options i32) (param $left i64)
      (call $NAME (local.get $options) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then
        (br_if 1 (i64.le_u (i64.load (i32.const 8)) (local.get $left)))))
      (drop (call $set-NAME (local.get $options) (i32.const 1) (local.get $left))))''')
}
    (func (export "handle")
      (param $request i32) (param $given i32) (param $options i32) (param $left i64) (result i32)
      (global.set $top (i32.const 1024))
      (if (i64.ne (local.get $left) (i64.const -1)) (then
        (if (i32.eqz (local.get $given)) (then (local.set $options (call $make))))
        (local.set $given (i32.const 1))
        {_for_each("(call $limit-NAME (local.get $options) (local.get $left))")}))
      (call $handle
        (local.get $request) (local.get $given) (local.get $options) (i32.const 64))
      (i32.const 64)))
  (core instance $m (instantiate $m (with "" (instance
    (export "memory" (memory $memory)) (export "top" (global $libc "top"))
    (export "make" (func $make)) (export "handle" (func $handle))
    {_for_each('(export "NAME" (func $NAME)) (export "set-NAME" (func $set-NAME))')}))))
  (func (export "handle")
    (param "request" (own $request)) (param "options" (option (own $options)))
    (param "left" u64) (result (result (own $answer) (error $error-code)))
    (canon lift (core func $m "handle") (memory $memory))))"""

_FORWARDING = Forwarding("_wasi_http_requests", _SOURCE, instances=2, memories=1, http=True)


def _handle(context: StoreContext, request: Any, options: Any) -> Any:
    left = context._store._cut_wait(NEVER)
    return _FORWARDING.exports(context)["handle"](context, request, options, left)


def define_http(linker: Linker) -> None:
    """Let a linker's requests be ours. It defines the library's already."""
    shadow(linker, HTTP_HANDLER, {"handle": _handle})
