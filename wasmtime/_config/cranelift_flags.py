"""The flags of Cranelift, the code generator, and what they accept.

The library ends the process when it meets a flag or a value that it does not know, so both are
looked up here before. The tables are those of libwasmtime 50.0.1; a test tries every entry that
belongs to the machine it runs on.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from .._error import WasmtimeError

__all__ = ["ALIASES", "Flag", "check_for", "known_flag", "normalize"]

_TRUE = ("true", "on", "yes", "1")
_FALSE = ("false", "off", "no", "0")


class Flag(NamedTuple):
    """What is known of one flag.

    Attributes:
        kind: "bool", "enum", "number", "preset" (a set of other flags, which can only be
            enabled) or "wasmtime" (understood by Wasmtime's compiler driver, not by Cranelift).
        values: the words that an enum accepts.
        low: the smallest number accepted.
        high: the largest number accepted.
    """

    kind: str
    values: tuple[str, ...] = ()
    low: int = 0
    high: int = 0


_BOOL = Flag("bool")
_PRESET = Flag("preset")

#: Flags for every target. Numbers have narrower ranges than the library's, in which every module
#: can be compiled: beyond them it runs out of memory or fails an assertion.
_SHARED = {
    **dict.fromkeys(
        (
            "enable_alias_analysis",
            "enable_compact_unwind_abi",
            "enable_heap_access_spectre_mitigation",
            "enable_incremental_compilation_cache_checks",
            "enable_llvm_abi_extensions",
            "enable_multi_ret_implicit_sret",
            "enable_nan_canonicalization",
            "enable_pinned_reg",
            "enable_probestack",
            "enable_table_access_spectre_mitigation",
            "enable_verifier",
            "is_pic",
            "machine_code_cfg_info",
            "preserve_frame_pointers",
            "regalloc_checker",
            "regalloc_verbose_logs",
            "unwind_info",
            "use_colocated_libcalls",
        ),
        _BOOL,
    ),
    "libcall_call_conv": Flag(
        "enum",
        (
            "isa_default",
            "fast",
            "system_v",
            "windows_fastcall",
            "apple_aarch64",
            "probestack",
            "preserve_all",
        ),
    ),
    "opt_level": Flag("enum", ("none", "speed", "speed_and_size")),
    "probestack_strategy": Flag("enum", ("outline", "inline")),
    "regalloc_algorithm": Flag("enum", ("backtracking", "single_pass")),
    "stack_switch_model": Flag("enum", ("none", "basic", "update_windows_tib")),
    "tls_model": Flag("enum", ("none", "elf_gd", "macho", "coff")),
    "bb_padding_log2_minus_one": Flag("number", low=0, high=8),
    "log2_min_function_alignment": Flag("number", low=0, high=12),
    "probestack_size_log2": Flag("number", low=12, high=30),
}

#: Settings of Wasmtime's own compiler driver, which can only be set, and not with Winch.
_WASMTIME = {
    "wasmtime_debug_checks": Flag("wasmtime", ("true",)),
    "wasmtime_linkopt_force_jump_veneer": Flag("wasmtime", ("true", "false")),
    "wasmtime_linkopt_padding_between_functions": Flag("wasmtime", low=0, high=4096),
    "wasmtime_inlining_small_callee_size": Flag("wasmtime", low=0, high=2**32 - 1),
    "wasmtime_inlining_sum_size_threshold": Flag("wasmtime", low=0, high=2**32 - 1),
}

_X86_64 = {
    **dict.fromkeys(
        (
            "has_avx",
            "has_avx2",
            "has_avx512bitalg",
            "has_avx512dq",
            "has_avx512f",
            "has_avx512vbmi",
            "has_avx512vl",
            "has_avx512vnni",
            "has_avx_vnni",
            "has_bmi1",
            "has_bmi2",
            "has_cmpxchg16b",
            "has_fma",
            "has_lzcnt",
            "has_popcnt",
            "has_sse3",
            "has_sse41",
            "has_sse42",
            "has_ssse3",
        ),
        _BOOL,
    ),
    **dict.fromkeys(
        (
            "alderlake",
            "amdfam10",
            "athlon-fx",
            "athlon64",
            "athlon64-sse3",
            "atom",
            "barcelona",
            "baseline",
            "bdver1",
            "bdver2",
            "bdver3",
            "bdver4",
            "bonnell",
            "broadwell",
            "btver1",
            "btver2",
            "cannonlake",
            "cascadelake",
            "cooperlake",
            "core-avx-i",
            "core-avx2",
            "core2",
            "corei7",
            "corei7-avx",
            "goldmont",
            "goldmont-plus",
            "grandridge",
            "graniterapids",
            "haswell",
            "icelake",
            "icelake-client",
            "icelake-server",
            "ivybridge",
            "k8",
            "k8-sse3",
            "knl",
            "knm",
            "meteorlake",
            "nehalem",
            "nocona",
            "opteron",
            "opteron-sse3",
            "penryn",
            "raptorlake",
            "sandybridge",
            "sapphirerapids",
            "sierraforest",
            "silvermont",
            "skx",
            "skylake",
            "skylake-avx512",
            "slm",
            "sse3",
            "sse41",
            "sse42",
            "ssse3",
            "tigerlake",
            "tremont",
            "westmere",
            "x86-64",
            "x86-64-v2",
            "x86-64-v3",
            "x86-64-v4",
            "znver1",
            "znver2",
            "znver3",
            "znver4",
        ),
        _PRESET,
    ),
}

_AARCH64 = dict.fromkeys(
    (
        "has_dotprod",
        "has_fp16",
        "has_i8mm",
        "has_lse",
        "has_pauth",
        "sign_return_address",
        "sign_return_address_all",
        "sign_return_address_with_bkey",
        "use_bti",
        "use_csdb",
    ),
    _BOOL,
)

_MACHINES = {"x86_64": _X86_64, "aarch64": _AARCH64, "pulley": {}}
_ALL = {**_SHARED, **_WASMTIME, **_X86_64, **_AARCH64}

#: Flags that are settings of `Config` under another name, so that there is one truth of them.
ALIASES = {
    "opt_level": "cranelift_opt_level",
    "regalloc_algorithm": "cranelift_regalloc_algorithm",
    "enable_verifier": "cranelift_debug_verifier",
    "enable_nan_canonicalization": "cranelift_nan_canonicalization",
    "unwind_info": "native_unwind_info",
}


def known_flag(name: str) -> Flag:
    """Returns what is known of a flag, of whatever machine.

    Raises:
        WasmtimeError: no machine has such a flag; the message names similar ones.
    """
    flag = _ALL.get(name)
    if flag is None:
        import difflib

        close = difflib.get_close_matches(name, _ALL, n=4, cutoff=0.5)
        hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise WasmtimeError(f"unknown Cranelift flag {name!r}{hint}")
    return flag


def check_for(name: str, machine: str) -> Optional[str]:
    """Returns what is wrong with using a known flag for code of `machine`, or None."""
    if name in _SHARED or name in _WASMTIME or name in _MACHINES.get(machine, {}):
        return None
    owner = next(other for other, flags in _MACHINES.items() if name in flags)
    return f"the Cranelift flag {name!r} is for {owner}, not for {machine}"


def normalize(name: str, value: str) -> str:
    """Returns the value of a flag in the one form that is handed to the library.

    Raises:
        WasmtimeError: the flag is unknown, cannot be set, or does not accept the value.
    """
    flag = known_flag(name)
    if flag.kind == "preset":
        raise WasmtimeError(
            f"the Cranelift flag {name!r} is a preset and has no value: use cranelift_flag_enable"
        )
    if flag.kind == "bool":
        if value in _TRUE:
            return "true"
        if value in _FALSE:
            return "false"
        expected = "'true' or 'false'"
    elif flag.values:
        if value in flag.values:
            return value
        expected = "one of " + ", ".join(map(repr, flag.values))
    else:
        # int() takes signs, spaces and underscores; the library takes digits.
        digits = value.isascii() and value.isdigit() and len(value) <= 20
        if digits and flag.low <= int(value) <= flag.high:
            return str(int(value))
        expected = f"a number between {flag.low} and {flag.high}"
    raise WasmtimeError(f"the Cranelift flag {name!r} must be {expected}, not {value!r}")
