"""
HTTP as a function of the host: an allow list, against a server on the loopback address.
"""

from __future__ import annotations

import http.server
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support import CHECKOUT

from wasmtime.sandbox import GuestError, Reason

sys.path.append(str(CHECKOUT / "examples"))
egress: Any = __import__("egress")


class Handler(http.server.BaseHTTPRequestHandler):
    """
    Answers, and leads elsewhere.
    """

    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://example.org/")
            self.end_headers()
            return
        body = b"x" * (egress.LONGEST + 5) if self.path == "/huge" else b"hello"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """
    A server on the loopback address: its host and port.
    """
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield f"127.0.0.1:{made.server_port}"
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_guest_reaches_a_server_that_is_allowed(server: str) -> None:
    guest = egress.guest([server])
    assert guest.call("get", f"http://{server}/".encode()) == b"hello"


def test_a_guest_reaches_no_other(server: str) -> None:
    guest = egress.guest([server])
    port = server.partition(":")[2]
    for url in (
        "http://example.org/",
        f"http://localhost:{port}/",
        f"http://127.0.0.1:{int(port) + 1}/",
        f"https://{server}/",
        f"file://{server}/etc/passwd",
        f"http://{server}@example.org/",
        f"http://user@{server}/",
        "//",
        "",
    ):
        result = guest.try_call("get", url)
        assert result.reason is Reason.HOST_ERROR, url
        assert result.exception is not None
        assert result.exception.type == "GuestError"
        assert "not allowed" in result.exception.text


def test_redirects_and_long_answers_are_refused(server: str) -> None:
    reach = egress.Egress([server])
    for path in ("/away", "/huge"):
        with pytest.raises(GuestError, match="the server answered"):
            reach.fetch(f"http://{server}{path}")
