"""Compiled code that leaves the process and comes back.

- `compiled` is the base of `wasmtime.Module` and `wasmtime.component.Component`.
- `seal` marks the bytes of an artifact, and checks them before they are loaded.
- `cache` keeps artifacts in a directory, so that a program is compiled once.
- `private_directory` makes sure that this user alone can change what lies there.
"""
