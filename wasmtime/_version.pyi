"""Written by the build: see setup.py."""

#: The version of this package and of the libwasmtime that it is built against.
VERSION: str
