"""The grouped options ``-O -C -D -W -S KEY[=VALUE],...``, which the official command line has.

Each group sets attributes of `Config` or options of ``run``. Their keys are those of the official
command line where the C API has the setting; ``-W help`` lists a group's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple, Optional, Union

from .._config import Config
from .options import natural, seconds, size
from .terminal import show

__all__ = ["add_group_options"]


def _switch(text: str) -> bool:
    words = {"y": True, "yes": True, "true": True, "n": False, "no": False, "false": False}
    if text not in words:
        raise argparse.ArgumentTypeError(f"{text!r} is not y or n")
    return words[text]


def _one_of(**words: str) -> Callable[[str], str]:
    """The reader of a word, which stands for a value of the setting."""

    def read(text: str) -> str:
        if text not in words:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(words)}")
        return words[text]

    return read


class _Key(NamedTuple):
    """What a key sets.

    Attributes:
        sets: The attribute of `Config`, or the option of ``run`` where `option` is True.
        read: Makes a value of the text; a switch needs none.
        option: Whether it sets an option.
    """

    sets: str
    read: Callable[[str], Any] = _switch
    option: bool = False


_LEVELS = _one_of(**{"0": "none", "1": "speed", "2": "speed", "s": "speed_and_size"})

_OPTIMIZE = {
    "opt-level": _Key("cranelift_opt_level", _LEVELS),
    "regalloc-algorithm": _Key(
        "cranelift_regalloc_algorithm",
        _one_of(**{"backtracking": "backtracking", "single-pass": "single_pass"}),
    ),
    "memory-may-move": _Key("memory_may_move"),
    "memory-init-cow": _Key("memory_init_cow"),
    "memory-reservation": _Key("memory_reservation", size),
    "memory-reservation-for-growth": _Key("memory_reservation_for_growth", size),
    "memory-guard-size": _Key("memory_guard_size", size),
    "signals-based-traps": _Key("signals_based_traps"),
}

_CODEGEN = {
    "compiler": _Key("strategy", _one_of(cranelift="cranelift", winch="winch", auto="auto")),
    "cranelift-debug-verifier": _Key("cranelift_debug_verifier"),
    "native-unwind-info": _Key("native_unwind_info"),
    "parallel-compilation": _Key("parallel_compilation"),
    "cache": _Key("cache", option=True),
}

_DEBUG = {"debug-info": _Key("debug_info")}

_PROPOSALS = sorted(name for name in dir(Config) if name.startswith("wasm_"))

_WASM = {
    **{name[5:].replace("_", "-"): _Key(name) for name in _PROPOSALS},
    "concurrency-support": _Key("concurrency_support"),
    "nan-canonicalization": _Key("cranelift_nan_canonicalization"),
    "shared-memory": _Key("shared_memory"),
    "max-wasm-stack": _Key("max_wasm_stack", size),
    "async-stack-size": _Key("async_stack_size", size),
    "max-memory-size": _Key("max_memory_size", size, option=True),
    "fuel": _Key("fuel", natural(64), option=True),
    "timeout": _Key("timeout", seconds, option=True),
    "unknown-imports-trap": _Key("unknown_imports_trap", option=True),
}

_WASI = {
    "http": _Key("http", option=True),
    "inherit-network": _Key("network", option=True),
    "inherit-env": _Key("inherit_env", option=True),
}

_GROUPS = {
    "O": ("optimize", _OPTIMIZE, "how code is optimized, and memory laid out"),
    "C": ("codegen", _CODEGEN, "how code is generated"),
    "D": ("debug", _DEBUG, "what helps to debug"),
    "W": ("wasm", _WASM, "proposals of WebAssembly, and limits"),
    "S": ("wasi", _WASI, "what WASI offers"),
}


class _Group(argparse.Action):
    """Takes ``KEY[=VALUE],...``; settings of the engine are collected in `settings`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Union[str, Sequence[Any], None],
        option_string: Optional[str] = None,
    ) -> None:
        """Read one occurrence of the option."""
        keys: dict[str, _Key] = self.const
        if values == "help":
            show(sorted(keys))
            parser.exit()
        settings = dict(getattr(namespace, "settings", None) or {})
        for part in str(values).split(","):
            name, separator, text = part.partition("=")
            try:
                key = keys[name]
                value = key.read(text if separator or key.read is not _switch else "y")
            except KeyError:
                known = ", ".join(sorted(keys))
                parser.error(f"{option_string}: no key {name!r}; there are {known}")
            except argparse.ArgumentTypeError as error:
                parser.error(f"{option_string} {name}: {error}")
            if key.option:
                setattr(namespace, key.sets, value)
            else:
                settings[key.sets] = value
        namespace.settings = settings


def add_group_options(parser: argparse.ArgumentParser, groups: str = "OCDWS") -> None:
    """Declare the grouped options."""
    for letter in groups:
        name, keys, what = _GROUPS[letter]
        parser.add_argument(
            f"-{letter}",
            f"--{name}",
            metavar="KEY[=VAL],...",
            action=_Group,
            const=keys,
            help=f"{what}; '-{letter} help' lists the keys",
        )
    parser.set_defaults(settings={}, cache=None)
