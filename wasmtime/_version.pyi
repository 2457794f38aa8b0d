"""Written by the build: see setup.py."""

from typing import Final

#: The version of this package and of the libwasmtime that it is built against.
VERSION: Final[str]
