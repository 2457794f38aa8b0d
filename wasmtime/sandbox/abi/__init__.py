"""How values of Python pass to and from guests.

- `memory` reads and writes the memory of a core module, and finds its allocator.
- `shapes` tells from a function's type how values other than numbers pass.
- `values` lowers arguments and lifts results, for calls of plug-ins.
- `host` does the same for functions of the host that a core module calls.
- `components` guards the functions that components call.
- `protocols` binds the exports of a guest to a `typing.Protocol`.
"""
