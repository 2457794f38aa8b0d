"""
WebAssembly programs that other people compiled and a package registry ships.

Programs written for a test exercise what their author thought of. These were compiled by others,
with other toolchains, and are used in earnest, so they find what nobody thought of.
"""

from __future__ import annotations

from .registry import PROGRAMS, IntegrityError, Program, Unavailable, obtain

__all__ = ["PROGRAMS", "IntegrityError", "Program", "Unavailable", "obtain"]
