"""The definitions of a linker, made a second time for asynchronous calls.

A function of Python is defined in one of two ways in a native linker: so that the library calls it
in the middle of a synchronous call, or so that an asynchronous call runs it on the event loop's
stack. A linker of components has a native linker for each of the two. The second is made when it is
first needed, from the steps that led to the first.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Optional

from .._engine import Engine, engine_handle
from .._native import address_of, core, ffi, lib

__all__ = ["Definitions"]


class Step(NamedTuple):
    """A definition, or the way to where the next ones are made.

    Attributes:
        depth: How many instances it is inside of; 0 for what is done with the linker itself.
        apply: Does it, with the native linker or instance; returns the native instance that it
            opens, if it does.
    """

    depth: int
    apply: Callable[[Any], Optional[Any]]


class Definitions:
    """The steps that led to a native linker, and the second one that they lead to.

    Args:
        engine: The linkers' engine.

    Attributes:
        coroutines: Whether a coroutine function is among what is defined.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._steps: list[Step] = []
        self._done = 0
        self._handle: Any = None
        self.coroutines = False

    def note(self, depth: int, apply: Callable[[Any], Optional[Any]]) -> None:
        """Note a step that has been done.

        Args:
            depth: How many instances it is inside of.
            apply: Does it again.
        """
        self._steps.append(Step(depth, apply))

    @property
    def complete(self) -> bool:
        """Whether the second linker has all definitions."""
        return self._handle is not None and self._done == len(self._steps)

    def handle(self) -> Any:
        """The `Handle` of the second native linker, once it is complete."""
        return self._handle

    def repeat(self) -> None:
        """Define in the second native linker what it lacks, while nothing else uses it."""
        if self._handle is None:
            native = lib.wasmtime_component_linker_new(engine_handle(self._engine).pointer)
            self._handle = core.Handle("wasmtime_component_linker_t", address_of(native), native)
        opened = [self._handle.pointer]
        try:
            while self._done < len(self._steps):
                step = self._steps[self._done]
                _close(opened, step.depth + 1)
                inner = step.apply(opened[-1])
                if inner is not None:
                    opened.append(inner)
                self._done += 1
        except BaseException:
            self._handle, self._done = None, 0  # it begins anew the next time
            raise
        finally:
            _close(opened, 1)


def _close(opened: list[Any], depth: int) -> None:
    """Close the innermost of the native instances that are open, until so many are left."""
    while len(opened) > depth:
        ffi.release(opened.pop())
