"""Snapshots of instances: their state, taken out between two calls and put into a new instance.

- `rewrite` adds what is needed to a module before it is compiled: exports of all its state.
- `suspend` lets a program stop where it reads its input, if it was built for that.
- `state` is what a snapshot consists of; `capture` takes it, `restore` gives it to an instance.
- `bake` writes a module that begins in that state, `files` keeps a state in a file.

Everything here works on core modules and the package's public classes. What the C API cannot tell
of an instance is refused with the reason, never guessed.
"""
