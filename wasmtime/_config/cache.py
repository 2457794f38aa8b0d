"""The setting of the library's cache of compiled modules."""

from __future__ import annotations

import os
import sys
from typing import Any, Callable, Union

from .._error import WasmtimeError
from .._native import StrPath, decode_path, encode_path, ffi, lib
from .record import Record, Setting, try_on_scratch

__all__ = ["CacheSettings", "apply_cache"]


def _cache_setting(
    declaration: Callable[[Any], Union[bool, str]],
) -> Setting[Union[bool, str], Union[bool, StrPath]]:
    def convert(name: str, value: object) -> Union[bool, str]:
        result: Union[bool, str]
        if isinstance(value, bool):
            if not value:
                raise WasmtimeError(
                    "caching cannot be explicitly disabled: it is off unless it is set; "
                    "'del config.cache' takes it back"
                )
            result = True
        elif isinstance(value, (str, bytes, os.PathLike)):
            result = decode_path(encode_path(value, name))
            # Loaded with the first cache: most programs have none.
            from .cache_files import check_numbers

            check_numbers(result)
        else:
            raise TypeError(f"expected string or bool for {name}, not {type(value).__name__}")
        try_on_scratch(lambda config: apply_cache(config, result))
        return result

    return Setting(declaration, convert, False, lib.wasmtime_config_cache_config_load)


def apply_cache(config: Any, value: Union[bool, str]) -> Any:
    """Applies the cache to a native configuration; returns the library's error or NULL.

    Raises:
        WasmtimeError: others could exchange what is in the cache.
    """
    if sys.platform != "win32":
        from .cache_files import check_directory, default_file

        check_directory(value if isinstance(value, str) else default_file())
    path = encode_path(value, "cache") if isinstance(value, str) else ffi.NULL
    return lib.wasmtime_config_cache_config_load(config, path)


class CacheSettings(Record):
    """Where compiled modules are kept."""

    __slots__ = ()

    @_cache_setting
    def cache(self) -> Union[bool, str]:
        """Whether compiled modules are kept on disk: True, or the path of a TOML file about it.

        True takes the default file and place. It reads False until it is set, and cannot be set
        to False, only deleted. The directory has to belong to this user alone, below ones in
        which others cannot exchange it; what is missing is made so (not checked on Windows).
        C API: ``wasmtime_config_cache_config_load``.

        Raises:
            WasmtimeError: the file or the directory of the cache cannot be used, or others could
                exchange what is in it, or the value is False.
        """
        raise NotImplementedError
