"""The names of WASI, in modules and in components.

They are not in `_wasi`: linkers need them, and programs without WASI do not load that package.
"""

from __future__ import annotations

__all__ = ["CORE_MODULES", "HTTP", "PREVIEW1", "PREVIEW2", "SOCKETS"]

#: The module of preview 1, whose functions `Linker.define_wasi` defines.
PREVIEW1 = "wasi_snapshot_preview1"
#: All modules that are WASI's. The library does not define the second one, which is older.
CORE_MODULES = (PREVIEW1, "wasi_unstable")

#: How the names of the interfaces begin that `component.Linker.add_wasi_http` defines.
HTTP = "wasi:http/"
#: How the names of the interfaces for sockets begin, which are part of `PREVIEW2`.
SOCKETS = "wasi:sockets/"
#: How the names of the interfaces begin that `component.Linker.add_wasip2` defines.
PREVIEW2 = (
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    SOCKETS,
)

#: Interfaces of preview 2 under the names that the library defines them by; others of 0.2 mean the
#: same.
CLOCK = "wasi:clocks/monotonic-clock@0.2.12"
POLL = "wasi:io/poll@0.2.12"
STREAMS = "wasi:io/streams@0.2.12"
STDIN = "wasi:cli/stdin@0.2.12"
HTTP_TYPES = "wasi:http/types@0.2.12"
HTTP_HANDLER = "wasi:http/outgoing-handler@0.2.12"
