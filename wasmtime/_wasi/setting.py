"""Attributes of a `WasiConfig` that can be assigned and called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Generic, Optional, TypeVar, Union, overload

if TYPE_CHECKING:
    from .config import WasiConfig

__all__ = ["Setting", "View"]

_View = TypeVar("_View")
_Value = TypeVar("_Value")


class Setting(Generic[_View, _Value]):
    """A setting that is assigned (``wasi.argv = value``) or called (``wasi.argv(value)``).

    Two generations of programs write it in these two ways. Reading gives a small view object:
    calling that sets, and everything else about it shows the present value.
    """

    def __init__(self, view: Callable[[WasiConfig], _View]) -> None:
        self._view = view
        self.__doc__ = view.__doc__

    @overload
    def __get__(self, obj: None, owner: type[WasiConfig]) -> Setting[_View, _Value]: ...

    @overload
    def __get__(self, obj: WasiConfig, owner: type[WasiConfig]) -> _View: ...

    def __get__(
        self, obj: Optional[WasiConfig], owner: type[WasiConfig]
    ) -> Union[Setting[_View, _Value], _View]:
        if obj is None:
            return self
        obj._check_open()
        return self._view(obj)

    def __set__(self, obj: WasiConfig, value: _Value) -> None:
        view: Any = self.__get__(obj, type(obj))
        view(value)


class View:
    """What reading a setting gives: it shows the present value, and calling it sets another."""

    __slots__ = ("_config",)

    def __init__(self, config: WasiConfig) -> None:
        self._config = config
