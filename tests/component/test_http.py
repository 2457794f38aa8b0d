"""
Requests of ``wasi:http``: their answers, and that a guest waits for one no longer than its store's
time.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Callable, Optional

import pytest

from wasmtime import Config, Engine, Store, WasiConfig
from wasmtime.component import Component, ComponentTimeoutTrap, Linker
from wasmtime.component._http import ERROR_CODE

#: `get` asks 127.0.0.1 at a port, with the timeouts of its own that it is given, in nanoseconds (0:
#: none); it waits for the answer, and returns 1 if there is one, and 0 if there is an error.
CLIENT = f"""(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $t (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $t))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:http/types@0.2.0" (instance $types
    (alias outer 1 $pollable (type $p'))
    (export "pollable" (type $p (eq $p')))
    {ERROR_CODE}
    (type $scheme' (variant (case "HTTP") (case "HTTPS") (case "other" string)))
    (export "scheme" (type $scheme (eq $scheme')))
    (export "fields" (type $fields (sub resource)))
    (export "outgoing-request" (type $request (sub resource)))
    (export "request-options" (type $options (sub resource)))
    (export "incoming-response" (type $response (sub resource)))
    (export "future-incoming-response" (type $answer (sub resource)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[constructor]outgoing-request" (func
      (param "headers" (own $fields)) (result (own $request))))
    (export "[method]outgoing-request.set-scheme" (func (param "self" (borrow $request))
      (param "scheme" (option $scheme)) (result (result))))
    (export "[method]outgoing-request.set-authority" (func (param "self" (borrow $request))
      (param "authority" (option string)) (result (result))))
    (export "[method]outgoing-request.set-path-with-query" (func (param "self" (borrow $request))
      (param "path-with-query" (option string)) (result (result))))
    (export "[constructor]request-options" (func (result (own $options))))
    (export "[method]request-options.set-first-byte-timeout" (func
      (param "self" (borrow $options)) (param "duration" (option u64)) (result (result))))
    (export "[method]future-incoming-response.subscribe" (func
      (param "self" (borrow $answer)) (result (own $p))))
    (export "[method]future-incoming-response.get" (func (param "self" (borrow $answer))
      (result (option (result (result (own $response) (error $error-code)))))))))
  (alias export $types "outgoing-request" (type $request))
  (alias export $types "request-options" (type $options))
  (alias export $types "future-incoming-response" (type $answer))
  (alias export $types "error-code" (type $error-code))
  (import "wasi:http/outgoing-handler@0.2.0" (instance $handler
    (alias outer 1 $request (type $r')) (export "outgoing-request" (type $r (eq $r')))
    (alias outer 1 $options (type $o')) (export "request-options" (type $o (eq $o')))
    (alias outer 1 $answer (type $a')) (export "future-incoming-response" (type $a (eq $a')))
    (alias outer 1 $error-code (type $e')) (export "error-code" (type $e (eq $e')))
    (export "handle" (func (param "request" (own $r)) (param "options" (option (own $o)))
      (result (result (own $a) (error $e)))))))
  (core module $libc
    (memory (export "memory") 1)
    (data (i32.const 0) "127.0.0.1:00000/")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $fields (canon lower (func $types "[constructor]fields")))
  (core func $request (canon lower (func $types "[constructor]outgoing-request")))
  (core func $scheme (canon lower
    (func $types "[method]outgoing-request.set-scheme") (memory $memory)))
  (core func $authority (canon lower
    (func $types "[method]outgoing-request.set-authority") (memory $memory)))
  (core func $path (canon lower
    (func $types "[method]outgoing-request.set-path-with-query") (memory $memory)))
  (core func $options (canon lower (func $types "[constructor]request-options")))
  (core func $first-byte (canon lower
    (func $types "[method]request-options.set-first-byte-timeout")))
  (core func $subscribe (canon lower
    (func $types "[method]future-incoming-response.subscribe")))
  (core func $get (canon lower (func $types "[method]future-incoming-response.get")
    (memory $memory) (realloc $realloc)))
  (core func $handle (canon lower (func $handler "handle") (memory $memory) (realloc $realloc)))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "block" (func $block (param i32)))
    (import "" "fields" (func $fields (result i32)))
    (import "" "request" (func $request (param i32) (result i32)))
    (import "" "scheme" (func $scheme (param i32 i32 i32 i32 i32) (result i32)))
    (import "" "authority" (func $authority (param i32 i32 i32 i32) (result i32)))
    (import "" "path" (func $path (param i32 i32 i32 i32) (result i32)))
    (import "" "options" (func $options (result i32)))
    (import "" "first-byte" (func $first-byte (param i32 i32 i64) (result i32)))
    (import "" "handle" (func $handle (param i32 i32 i32 i32)))
    (import "" "subscribe" (func $subscribe (param i32) (result i32)))
    (import "" "get" (func $get (param i32 i32)))
    (func $write (param $port i32) (local $at i32)
      (local.set $at (i32.const 14))
      (loop $digit
        (i32.store8 (local.get $at)
          (i32.add (i32.const 48) (i32.rem_u (local.get $port) (i32.const 10))))
        (local.set $port (i32.div_u (local.get $port) (i32.const 10)))
        (br_if $digit (i32.ge_u
          (local.tee $at (i32.sub (local.get $at) (i32.const 1))) (i32.const 10)))))
    (func (export "get") (param $port i32) (param $own i64) (result i32)
      (local $request i32) (local $options i32)
      (call $write (local.get $port))
      (local.set $request (call $request (call $fields)))
      (drop (call $scheme (local.get $request)
        (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
      (drop (call $authority (local.get $request) (i32.const 1) (i32.const 0) (i32.const 15)))
      (drop (call $path (local.get $request) (i32.const 1) (i32.const 15) (i32.const 1)))
      (if (i64.ne (local.get $own) (i64.const 0)) (then
        (local.set $options (call $options))
        (drop (call $first-byte (local.get $options) (i32.const 1) (local.get $own)))))
      (call $handle (local.get $request) (i64.ne (local.get $own) (i64.const 0))
        (local.get $options) (i32.const 64))
      (if (i32.load8_u (i32.const 64)) (then (return (i32.const 2))))
      (call $block (call $subscribe (i32.load (i32.const 72))))
      (call $get (i32.load (i32.const 72)) (i32.const 128))
      (i32.eqz (i32.load8_u (i32.const 144)))))
  (core instance $m (instantiate $m (with "" (instance
    (export "memory" (memory $memory)) (export "block" (func $block))
    (export "fields" (func $fields)) (export "request" (func $request))
    (export "scheme" (func $scheme)) (export "authority" (func $authority))
    (export "path" (func $path)) (export "options" (func $options))
    (export "first-byte" (func $first-byte)) (export "handle" (func $handle))
    (export "subscribe" (func $subscribe)) (export "get" (func $get))))))
  (func (export "get") (param "port" u16) (param "own" u64) (result u32)
    (canon lift (core func $m "get"))))"""

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


@contextmanager
def server(answer: Optional[bytes]) -> Iterator[int]:
    """
    A server that gives each client the same answer, or none, and keeps the connection; its port.
    """
    held = []

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            held.append(client)
            if answer is not None:
                client.recv(1 << 16)
                client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for client in held:
                client.close()


@pytest.fixture(scope="module", params=[True, False], ids=["concurrency", "plain"])
def component(request: pytest.FixtureRequest) -> Component:
    return Component(Engine(Config(concurrency_support=request.param)), CLIENT)


def allowed(component: Component) -> tuple[Linker, Store]:
    """
    A linker and a store that may use HTTP.
    """
    linker, store = Linker(component.engine), Store(component.engine)
    linker.add_wasip2()
    linker.add_wasi_http()
    config = WasiConfig()
    config.allow_http()
    store.set_wasi(config)
    store.set_wasi_http()
    return linker, store


@pytest.fixture
def get(component: Component) -> Iterator[tuple[Store, Callable[[int, int], int]]]:
    """
    A store that may use HTTP, and the component's function in it.
    """
    linker, store = allowed(component)
    # Of the guest: what the package adds does not count.
    store.set_limits(instances=2, memories=1)
    function = linker.instantiate(store, component).get_func(store, "get")
    assert function is not None

    def call(port: int, own: int) -> int:
        answer: int = function(store, port, own)
        function.post_return(store)
        return answer

    yield store, call
    store.close()


Get = tuple[Store, Callable[[int, int], int]]


@pytest.mark.parametrize("timeout", [None, 60], ids=["without a timeout", "with time to spare"])
def test_a_guest_gets_an_answer(get: Get, timeout: Optional[float]) -> None:
    store, ask = get
    store.set_timeout(timeout)
    with server(ANSWER) as port:
        assert ask(port, 0) == 1
        assert ask(port, 30 * 10**9) == 1


def test_a_guest_is_told_of_an_error(get: Get) -> None:
    _, ask = get
    with server(b"nonsense\r\n\r\n") as port:
        assert ask(port, 0) == 0


@pytest.mark.parametrize("own", [0, 60 * 10**9], ids=["no timeout", "a timeout of a minute"])
def test_a_wait_for_an_answer_ends_with_the_time_of_the_store(get: Get, own: int) -> None:
    store, ask = get
    store.set_timeout(0.2)
    with server(None) as port:
        started = time.monotonic()
        with pytest.raises(ComponentTimeoutTrap):
            ask(port, own)
        assert 0.2 <= time.monotonic() - started < 30


@pytest.mark.parametrize("timeout", [None, 60], ids=["without a timeout", "with time to spare"])
def test_a_timeout_of_the_guest_s_own_is_its_own(get: Get, timeout: Optional[float]) -> None:
    store, ask = get
    store.set_timeout(timeout)
    with server(None) as port:
        started = time.monotonic()
        assert ask(port, 10**8) == 0
        assert 0.1 <= time.monotonic() - started < 30


def test_the_same_in_an_asynchronous_call(component: Component) -> None:
    async def main() -> None:
        linker, store = allowed(component)
        function = (await linker.instantiate_async(store, component)).get_func(store, "get")
        assert function is not None
        with server(ANSWER) as port:
            assert await function.call_async(store, port, 0) == 1
        store.set_timeout(0.1)
        with server(None) as port, pytest.raises(ComponentTimeoutTrap):
            await function.call_async(store, port, 0)

    asyncio.run(main())
