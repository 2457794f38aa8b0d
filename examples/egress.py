"""HTTP for a guest, through a function of the host with a list of allowed servers.

A guest has no network. What it may ask for is decided here, in Python: which servers, how much, how
long. Addresses that are not on the list are refused with a `GuestError`, which the
guest is told; redirects are not followed, since they could lead elsewhere.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from wasmtime.sandbox import GuestError, Plugin, ResourceLimits

#: Seconds that a server may take, and bytes that its answer may have.
PATIENCE, LONGEST = 5.0, 1 << 20


class Egress:
    """GET requests to servers that are allowed.

    Args:
        allowed: The servers, as ``host:port``.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        """Remember the servers."""
        self._allowed = frozenset(allowed)

    def fetch(self, url: str) -> bytes:
        """The body of what is at an address.

        Raises:
            GuestError: The address is not allowed, or there is no good answer.
        """
        parts = urlsplit(url)
        server = f"{parts.hostname}:{parts.port or 80}"
        if parts.scheme != "http" or server not in self._allowed or "@" in parts.netloc:
            raise GuestError(f"the address is not allowed: {url!r}")
        connection = http.client.HTTPConnection(server, timeout=PATIENCE)
        try:
            connection.request("GET", parts.path or "/")
            answer = connection.getresponse()
            body = answer.read(LONGEST + 1)
        except (OSError, http.client.HTTPException) as error:
            raise GuestError("the server cannot be reached") from error
        finally:
            connection.close()
        if answer.status != 200 or len(body) > LONGEST:
            raise GuestError(f"the server answered {answer.status}, {len(body)} bytes")
        return body


#: Gives the address that it is given to the host, and the answer back.
GUEST = """
(module
  (import "host" "fetch" (func $fetch (param i32 i32) (result i64)))
  (memory (export "memory") 32)
  (global $free (mut i32) (i32.const 1024))
  (func (export "malloc") (param $size i32) (result i32)
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get $size))))
  (func (export "get") (param i32 i32) (result i64)
    (call $fetch (local.get 0) (local.get 1))))
"""


def guest(allowed: Iterable[str]) -> Plugin:
    """A guest that may reach some servers."""
    functions: dict[str, Any] = {"fetch": Egress(allowed).fetch}
    return Plugin(GUEST, functions=functions, limits=ResourceLimits(timeout=10))


def main() -> None:
    plugin = guest(["127.0.0.1:8000"])
    result = plugin.try_call("get", "http://example.org/")
    print(result.reason, "-", result.exception and result.exception.text)


if __name__ == "__main__":
    main()
