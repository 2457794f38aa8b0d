"""Interpreters: what the `Interpreter` class is made of.

- `adapters` say how an interpreter takes code: as an argument, on its standard input, by an export.
- `drivers` are short programs in the languages of interpreters, which let snippets call functions
  of the host and keep state between snippets.
- `conversation` is the host's side of what a driver says.
- `installed` finds interpreters that other packages have installed, without importing them.
"""
