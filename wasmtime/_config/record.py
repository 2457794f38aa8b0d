"""Settings as typed attributes that validate what they are given.

`Config` and `PoolingAllocationConfig` are records of a few dozen settings each. A setting is
declared as a function that has only a signature and a docstring, below a decorator that says what
kind of setting it is; the decorator makes a descriptor of it, which type checkers and `help()`
understand. A record keeps only what the user has set, so that the library's own defaults, which
depend on the compiler and on the target, stay in force for everything else.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import (
    Any,
    Callable,
    ClassVar,
    Generic,
    Optional,
    SupportsIndex,
    TypeVar,
    Union,
    overload,
)

from .._error import WasmtimeError
from .._native import check, check_unsigned, ffi, lib
from .._suggestions import unknown_setting

__all__ = ["Record", "Setting", "choice", "size", "switch", "try_on_scratch"]

_Get = TypeVar("_Get")
_Set = TypeVar("_Set", contravariant=True)
#: A C function that takes a native configuration and a value.
Setter = Callable[[Any, Any], Any]

_RecordT = TypeVar("_RecordT", bound="Record")


class Setting(Generic[_Get, _Set]):
    """One attribute of a record: readable, writable, and `del` puts its default back.

    Args:
        declaration: the function that was decorated; its name and docstring are taken.
        convert: checks and converts a value that is set; it is given the setting's name too.
        default: the value while nothing is set, or a function of the record that tells it.
        setter: the C function that applies the value to a native configuration; None if that
            takes more than a call.
        words: the numbers that stand for the value in C, if it is a word in Python.
    """

    def __init__(
        self,
        declaration: Callable[[Any], _Get],
        convert: Callable[[str, Any], _Get],
        default: Union[_Get, Callable[[Any], _Get]],
        setter: Optional[Setter],
        words: Optional[Mapping[str, int]] = None,
    ) -> None:
        self.name = declaration.__name__
        self.convert = convert
        self.default: Any = default
        self.setter = setter
        self.words = words
        self.__doc__ = declaration.__doc__

    @overload
    def __get__(self, record: None, owner: type) -> Setting[_Get, _Set]: ...

    @overload
    def __get__(self, record: Record, owner: type) -> _Get: ...

    def __get__(self, record: Optional[Record], owner: type) -> Union[Setting[_Get, _Set], _Get]:
        if record is None:
            return self
        values = record._open()
        if self.name in values:
            value: _Get = values[self.name]
            return value
        return self.default_of(record)

    def __set__(self, record: Record, value: _Set) -> None:
        values = record._open()
        values[self.name] = self.convert(self.name, value)

    def __delete__(self, record: Record) -> None:
        record._open().pop(self.name, None)

    def apply(self, native: Any, value: Any) -> None:
        """Applies a value to a native configuration."""
        if self.setter is not None:
            self.setter(native, value if self.words is None else self.words[value])

    def default_of(self, record: Record) -> _Get:
        """Returns the value that holds while nothing is set."""
        default: Any = self.default
        if callable(default):
            default = default(record)
        value: _Get = default
        return value


class Record:
    """A set of settings, compared, copied, pickled and printed by what was set.

    A record has the settings of its bases, in their order, and then its own.
    """

    __slots__ = ("__weakref__", "_values")

    _settings: ClassVar[dict[str, Setting[Any, Any]]] = {}
    _values: dict[str, Any]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._settings = {}
        for base in cls.__bases__:
            if issubclass(base, Record):
                cls._settings.update(base._settings)
        for name, value in vars(cls).items():
            if isinstance(value, Setting):
                cls._settings[name] = value

    def __init__(self, **settings: object) -> None:
        self._values = {}
        self._update(settings)

    def _update(self, settings: Mapping[str, object]) -> None:
        for name, value in settings.items():
            if name not in self._settings:
                raise TypeError(unknown_setting(type(self), name))
            setattr(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        try:
            super().__setattr__(name, value)
        except AttributeError:
            if hasattr(type(self), name):  # it can be read alone
                raise
            raise AttributeError(unknown_setting(type(self), name)) from None

    def _open(self) -> dict[str, Any]:
        """Returns the values that were set; a record that can be closed checks first."""
        return self._values

    def _explicit(self, name: str) -> bool:
        """Whether a setting was set, rather than left at its default."""
        return name in self._values

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(self.__getstate__() == other.__getstate__())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._shown())})"

    def _shown(self) -> list[str]:
        """Returns what stands in the parentheses of `repr()`, in the order of declaration."""
        return [f"{name}={self._values[name]!r}" for name in self._settings if name in self._values]

    def __getstate__(self) -> dict[str, Any]:
        return {"_values": dict(self._values)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def __copy__(self: _RecordT) -> _RecordT:
        new = type(self).__new__(type(self))
        new.__setstate__(self.__getstate__())
        return new

    def __deepcopy__(self: _RecordT, memo: dict[int, object]) -> _RecordT:
        return self.__copy__()


def switch(
    default: Union[bool, Callable[[Any], bool]], setter: Optional[Setter]
) -> Callable[[Callable[[Any], bool]], Setting[bool, bool]]:
    """Declares a setting that is on or off; the library knows nothing of one without a setter."""

    def declare(declaration: Callable[[Any], bool]) -> Setting[bool, bool]:
        return Setting(declaration, to_bool, default, setter)

    return declare


def size(
    default: Union[int, Callable[[Any], int]], setter: Optional[Setter], bits: int
) -> Callable[[Callable[[Any], int]], Setting[int, SupportsIndex]]:
    """Declares a setting that is a number without a sign, of up to `bits` bits."""

    def convert(name: str, value: object) -> int:
        return to_unsigned(name, value, bits)

    def declare(declaration: Callable[[Any], int]) -> Setting[int, SupportsIndex]:
        return Setting(declaration, convert, default, setter)

    return declare


def choice(
    words: Mapping[str, int], default: str, setter: Setter, what: str
) -> Callable[[Callable[[Any], str]], Setting[str, str]]:
    """Declares a setting that is one of a few words; `what` names it in messages."""

    def convert(name: str, value: object) -> str:
        if not isinstance(value, str):
            raise TypeError(f"expected a str for {name}, not {type(value).__name__}")
        if value not in words:
            raise WasmtimeError(f"unknown {what}: {value} (expected one of {', '.join(words)})")
        return value

    def declare(declaration: Callable[[Any], str]) -> Setting[str, str]:
        return Setting(declaration, convert, default, setter, words)

    return declare


def try_on_scratch(apply: Callable[[Any], Any]) -> None:
    """Applies a setting that can fail to a configuration that is thrown away.

    Raises:
        WasmtimeError: the library refuses it.
    """
    config = ffi.gc(lib.wasm_config_new(), lib.wasm_config_delete)
    check(apply(config))


def to_bool(name: str, value: object) -> bool:
    """Returns `value` if it is True or False; a number that happens to be 1 is neither."""
    if not isinstance(value, bool):
        raise TypeError(f"expected a bool for {name}, not {type(value).__name__}")
    return value


def to_unsigned(name: str, value: object, bits: int) -> int:
    """Returns `value` as an int if it is an integer that fits into `bits` bits without a sign."""
    if isinstance(value, bool):
        raise TypeError(f"expected an int for {name}, not bool")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"expected an int for {name}, not {type(value).__name__}") from None
    return check_unsigned(name, number, bits)
