"""Settings of the compiler and flags of its code generator."""

from __future__ import annotations

from typing import Optional

from .._error import WasmtimeError
from .._native import lib
from . import defaults
from .record import Record, choice, switch
from .target import target_setting

__all__ = ["CompilerSettings"]

_STRATEGIES = {
    "auto": lib.WASMTIME_STRATEGY_AUTO,
    "cranelift": lib.WASMTIME_STRATEGY_CRANELIFT,
    "winch": lib.WASMTIME_STRATEGY_WINCH,
}
_OPT_LEVELS = {
    "none": lib.WASMTIME_OPT_LEVEL_NONE,
    "speed": lib.WASMTIME_OPT_LEVEL_SPEED,
    "speed_and_size": lib.WASMTIME_OPT_LEVEL_SPEED_AND_SIZE,
}
_REGALLOC_ALGORITHMS = {
    "backtracking": lib.WASMTIME_REGALLOC_BACKTRACKING,
    "single_pass": lib.WASMTIME_REGALLOC_SINGLE_PASS,
}


class CompilerSettings(Record):
    """The compiler, what it compiles for, and how."""

    __slots__ = ("_flags", "_presets")

    #: The flags of Cranelift that were set to a value, and the presets that were enabled.
    _flags: dict[str, str]
    _presets: list[str]

    def __init__(self, **settings: object) -> None:
        self._flags = {}
        self._presets = []
        super().__init__(**settings)

    @choice(_STRATEGIES, "auto", lib.wasmtime_config_strategy_set, "strategy")
    def strategy(self) -> str:
        """The compiler: "cranelift", "winch", or "auto", which is Cranelift.

        Winch compiles faster, to slower code, and lacks some proposals. Default: "auto".
        C API: ``wasmtime_config_strategy_set``.
        """
        raise NotImplementedError

    @target_setting
    def target(self) -> Optional[str]:
        """The target triple to compile for, such as "x86_64-unknown-linux-gnu", or None.

        The library contains the code generator of its own machine, and Pulley ("pulley64"), the
        portable interpreter. Code for another operating system or with other processor flags than
        this machine's can be described, but not loaded here. A target that is set, be it this
        machine's, has no processor features beyond its baseline until they are switched on with
        `cranelift_flag_enable`.

        Default: None, this machine with the features of its processor.
        C API: ``wasmtime_config_target_set``.

        Raises:
            WasmtimeError: the triple is not one.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_parallel_compilation_set)
    def parallel_compilation(self) -> bool:
        """Whether the functions of a module are compiled on several threads. Default: True.

        C API: ``wasmtime_config_parallel_compilation_set``.
        """
        raise NotImplementedError

    @choice(_OPT_LEVELS, "speed", lib.wasmtime_config_cranelift_opt_level_set, "opt level")
    def cranelift_opt_level(self) -> str:
        """How much Cranelift optimizes: "none", "speed" or "speed_and_size". Default: "speed".

        C API: ``wasmtime_config_cranelift_opt_level_set``.
        """
        raise NotImplementedError

    @choice(
        _REGALLOC_ALGORITHMS,
        "backtracking",
        lib.wasmtime_config_cranelift_regalloc_algorithm_set,
        "register allocation algorithm",
    )
    def cranelift_regalloc_algorithm(self) -> str:
        """How Cranelift allocates registers: "backtracking" (better) or "single_pass" (faster).

        Default: "backtracking".
        C API: ``wasmtime_config_cranelift_regalloc_algorithm_set``.
        """
        raise NotImplementedError

    @switch(defaults.is_winch, lib.wasmtime_config_cranelift_debug_verifier_set)
    def cranelift_debug_verifier(self) -> bool:
        """Whether Cranelift verifies its own work, to find errors in it.

        Default: False (with Winch the library has it on).
        C API: ``wasmtime_config_cranelift_debug_verifier_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_cranelift_nan_canonicalization_set)
    def cranelift_nan_canonicalization(self) -> bool:
        """Whether each NaN that an instruction produces is the canonical one.

        WebAssembly leaves the bits of a NaN open; this makes them the same on all machines.
        Default: False.
        C API: ``wasmtime_config_cranelift_nan_canonicalization_set``.
        """
        raise NotImplementedError

    def cranelift_flag_enable(self, flag: str) -> None:
        """Switches on a flag of Cranelift, such as a feature of the processor.

        Presets such as "haswell" or "x86-64-v3" switch on several; they are applied after flags
        that were set, whatever the order here.

        Args:
            flag: the name of the flag.

        Raises:
            TypeError: `flag` is not a str.
            WasmtimeError: there is no such flag (the message names similar ones), or it takes a
                value. That a flag is for another machine is found when an engine is made.

        C API: ``wasmtime_config_cranelift_flag_enable``.
        """
        self._open()
        if not isinstance(flag, str):
            raise TypeError(f"expected a str for flag, not {type(flag).__name__}")
        from . import cranelift_flags

        kind = cranelift_flags.known_flag(flag).kind
        if kind == "bool":
            self.cranelift_flag_set(flag, "true")
        elif kind == "preset":
            if flag not in self._presets:
                self._presets.append(flag)
        else:
            raise WasmtimeError(
                f"the Cranelift flag {flag!r} takes a value: use cranelift_flag_set"
            )

    def cranelift_flag_set(self, key: str, value: str) -> None:
        """Sets a flag of Cranelift to a value.

        Flags that are attributes of `Config` under another name ("opt_level",
        "regalloc_algorithm", "enable_verifier", "enable_nan_canonicalization", "unwind_info") set
        those. Numbers have narrower ranges than the library's, in which each module compiles.

        Args:
            key: the name of the flag.
            value: "true" or "false" (also "on", "off", "yes", "no", "1", "0"), one of the words
                of the flag, or a number in decimal digits.

        Raises:
            TypeError: an argument is not a str.
            WasmtimeError: there is no such flag (the message names similar ones), or it does not
                accept the value. That a flag is for another machine is found when an engine is
                made.

        C API: ``wasmtime_config_cranelift_flag_set``.
        """
        self._open()
        if not isinstance(key, str):
            raise TypeError(f"expected a str for key, not {type(key).__name__}")
        if not isinstance(value, str):
            raise TypeError(f"expected a str for value, not {type(value).__name__}")
        from . import cranelift_flags

        normal = cranelift_flags.normalize(key, value)
        attribute = cranelift_flags.ALIASES.get(key)
        if attribute is None:
            self._flags[key] = normal
        elif normal in ("true", "false"):
            setattr(self, attribute, normal == "true")
        else:
            setattr(self, attribute, normal)

    @property
    def cranelift_flags(self) -> dict[str, str]:
        """The flags that were set or enabled, and their values, as a new dict.

        Presets have the value "enabled".
        """
        self._open()
        return {**self._flags, **dict.fromkeys(self._presets, "enabled")}
