"""
The types that all interfaces share.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar, Union

T = TypeVar("T")
E = TypeVar("E")


@dataclass
class Ok(Generic[T]):
    """
    The result of what went well.
    """

    value: T


@dataclass
class Err(Generic[E]):
    """
    The error of what did not.
    """

    value: E


Result = Union[Ok[T], Err[E]]
