"""
The example of a web service that runs untrusted guests: a real server, loaded by a real client.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support import CHECKOUT, needs

pytestmark = [needs("starlette"), needs("uvicorn"), needs("httpx")]

LIBC = """
  (core module $libc
    (memory (export "mem") 1)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get 3)))))
  (core instance $libc (instantiate $libc))"""
OPTIONS = '(memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))'


def guest(body: str) -> str:
    """
    A guest whose core function `handle` has this body: it is given the request's text, may call
    `lookup` with a text and a place for the answer, and returns where its answer lies.
    """
    return f"""(component
      (import "lookup" (func $lookup (param "key" string) (result (option string))))
      {LIBC}
      (core func $lookup (canon lower (func $lookup) {OPTIONS}))
      (core module $m
        (import "" "mem" (memory 1))
        (import "" "lookup" (func $lookup (param i32 i32 i32)))
        (data (i32.const 64) "nobody")
        (func (export "handle") (param $text i32) (param $size i32) (result i32) {body}))
      (core instance $i (instantiate $m (with "" (instance
        (export "mem" (memory $libc "mem")) (export "lookup" (func $lookup))))))
      (func (export "handle") (param "request" string) (result string)
        (canon lift (core func $i "handle") {OPTIONS})))"""


GUESTS = {
    "greeter": guest(
        """(call $lookup (local.get $text) (local.get $size) (i32.const 8))
           (if (i32.eqz (i32.load8_u (i32.const 8)))
             (then (i32.store (i32.const 12) (i32.const 64))
                   (i32.store (i32.const 16) (i32.const 6))))
           (i32.const 12)"""
    ),
    "spinner": guest("(loop (br 0)) unreachable"),
    "asker": guest(
        """(loop (call $lookup (local.get $text) (local.get $size) (i32.const 8)) (br 0))
           unreachable"""
    ),
    "trapper": guest("unreachable"),
    "hoarder": guest(
        """(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
           (i32.store (i32.const 12) (i32.const 64))
           (i32.store (i32.const 16) (i32.const 6))
           (if (i32.gt_u (memory.size) (i32.const 256)) (then unreachable))
           (i32.const 12)"""
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """
    The address of the application, served by uvicorn in a process of its own.
    """
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(CHECKOUT / "examples")]
    process = subprocess.Popen(
        [*command, "--port", "0", "--timeout-keep-alive", "60", "asgi_application:app"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "GUEST_TIMEOUT": "1"},
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            found = re.search(r"running on (http://[\d.:]+)", line)
            if found:
                yield found[1]
                break
        else:
            pytest.fail("the server did not start")
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode in (0, -15, 1)


@pytest.fixture
def client(server: str) -> Iterator[Any]:
    """
    A client of the server, on which all guests are installed.
    """
    import httpx

    with httpx.Client(base_url=server, timeout=30) as client:
        for name, source in GUESTS.items():
            assert client.put(f"/guests/{name}", content=source).status_code == 204
        yield client


def post(client: Any, name: str, text: str) -> tuple[int, str]:
    """
    The status and the text that a guest answers with.
    """
    answer = client.post(f"/guests/{name}", content=text)
    return answer.status_code, answer.text.strip()


@pytest.mark.slow
def test_each_guest_fails_alone(client: Any) -> None:
    assert post(client, "greeter", "Ada") == (200, "Countess of Lovelace")
    assert post(client, "greeter", "Bob") == (200, "nobody")
    assert post(client, "spinner", "Ada") == (504, "the guest took longer than 1.0 s")
    assert post(client, "asker", "Ada") == (504, "the guest took longer than 1.0 s")
    assert post(client, "trapper", "Ada")[0] == 502
    assert post(client, "hoarder", "Ada") == (200, "nobody")
    assert post(client, "nobody", "Ada") == (404, "no such guest")
    assert post(client, "greeter", "Ada") == (200, "Countess of Lovelace")


def test_what_is_no_guest_is_not_installed(client: Any) -> None:
    for source, said in {
        "(component": "expected",
        "(component)": "exports handle",
        '(component (import "secret" (func)))': "cannot import secret",
        "x" * (2 << 20): "larger than",
    }.items():
        answer = client.put("/guests/wrong", content=source)
        assert answer.status_code in (400, 413), answer.text
        assert said in answer.text


@pytest.mark.slow
def test_many_requests_at_once(server: str, client: Any) -> None:
    """
    Those that wait and those that spin: everybody gets the answer that is its own.
    """
    import httpx

    names = ["Ada", "Grace", "Bob"]
    wanted = {"Ada": "Countess of Lovelace", "Grace": "Rear admiral", "Bob": "nobody"}

    async def main() -> None:
        limits = httpx.Limits(max_connections=30)
        async with httpx.AsyncClient(base_url=server, timeout=60, limits=limits) as client:

            async def ask(n: int) -> None:
                name = names[n % 3]
                answer = await client.post("/guests/greeter", content=name)
                assert (answer.status_code, answer.text) == (200, wanted[name])
                assert answer.headers["X-Lookups"] == "1"

            async def spin() -> None:
                assert (await client.post("/guests/spinner", content="")).status_code == 504

            await asyncio.gather(*map(ask, range(120)), *(spin() for _ in range(3)))

    started = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - started < 60
