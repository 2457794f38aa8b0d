"""
The interface ``example:plugins/filter@1.0.0``, which the component provides.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, List, Optional, Union

import wasmtime
from wasmtime.bindgen import support

from ..types import Result

if TYPE_CHECKING:
    from .. import Root


@dataclass
class Description:
    """
    The record ``description``.
    """

    name: str
    languages: List[str]


@dataclass
class ProblemEmpty:
    """
    The case ``empty`` of `Problem`.
    """


@dataclass
class ProblemUnknownLanguage:
    """
    The case ``unknown-language`` of `Problem`.
    """

    value: str


Problem = Union[ProblemEmpty, ProblemUnknownLanguage]


class Counter(support.Resource, wit="example:plugins/filter@1.0.0#counter"):
    """
    The resource ``counter``; made with an instance's ``Filter.Counter``.
    """

    def __init__(self, caller: wasmtime.Store) -> None:
        self._construct("[constructor]counter", caller)

    def add(self, caller: wasmtime.Store, text: str) -> None:
        self._functions["[method]counter.add"](caller, self, text)

    def total(self, caller: wasmtime.Store) -> int:
        result: int = self._functions["[method]counter.total"](caller, self)
        return result


class Filter:
    """
    An instance of ``example:plugins/filter@1.0.0``.
    """

    def __init__(self, component: "Root") -> None:
        self.component = component
        instance = support.instance_of(component)
        self._functions = instance.functions("example:plugins/filter@1.0.0")
        self.Counter = instance.bind(Counter)

    def about(self, caller: wasmtime.Store) -> Description:
        result: Description = self._functions["about"](caller)
        return result

    def apply(
        self,
        caller: wasmtime.Store,
        text: str,
        language: Optional[str],
    ) -> Result[str, Problem]:
        result: Result[str, Problem] = self._functions["apply"](caller, text, language)
        return result
