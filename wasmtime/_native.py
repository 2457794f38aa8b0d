"""The only module that imports the two binary modules."""

from . import _core as core
from ._ffi import ffi, lib

__all__ = ["core", "ffi", "lib"]
