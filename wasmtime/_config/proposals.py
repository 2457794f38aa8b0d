"""Settings that switch proposals for WebAssembly on and off."""

from __future__ import annotations

from .._native import lib
from . import defaults
from .record import Record, switch

__all__ = ["ProposalSettings"]


class ProposalSettings(Record):
    """The proposals for WebAssembly that modules may use."""

    __slots__ = ()

    @switch(defaults.wasm_threads, lib.wasmtime_config_wasm_threads_set)
    def wasm_threads(self) -> bool:
        """The threads proposal: shared memories and atomic instructions.

        Shared memories also need `shared_memory`. Default: True, but False with Winch and for
        Pulley, which cannot have it.
        C API: ``wasmtime_config_wasm_threads_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_shared_memory_set)
    def shared_memory(self) -> bool:
        """Whether shared memories can be made, by modules or as `SharedMemory`. Default: False.

        C API: ``wasmtime_config_shared_memory_set``.
        """
        raise NotImplementedError

    @switch(defaults.not_winch, lib.wasmtime_config_wasm_tail_call_set)
    def wasm_tail_call(self) -> bool:
        """The tail-call proposal. Default: True, but False with Winch.

        C API: ``wasmtime_config_wasm_tail_call_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_wasm_reference_types_set)
    def wasm_reference_types(self) -> bool:
        """The reference-types proposal: `externref`, several tables. Default: True.

        Cannot be off while `wasm_component_model_async` is on.
        C API: ``wasmtime_config_wasm_reference_types_set``.
        """
        raise NotImplementedError

    @switch(defaults.not_winch, lib.wasmtime_config_wasm_function_references_set)
    def wasm_function_references(self) -> bool:
        """The function-references proposal: references to functions of one type. Default: True.

        Not available with Winch, where the default is False.
        C API: ``wasmtime_config_wasm_function_references_set``.
        """
        raise NotImplementedError

    @switch(defaults.not_winch, lib.wasmtime_config_wasm_gc_set)
    def wasm_gc(self) -> bool:
        """The GC proposal: structs, arrays and 31-bit references. Default: True.

        Not available with Winch, where the default is False.
        C API: ``wasmtime_config_wasm_gc_set``.
        """
        raise NotImplementedError

    @switch(defaults.not_winch, lib.wasmtime_config_gc_support_set)
    def gc_support(self) -> bool:
        """Whether there is a garbage collector at all.

        `externref`, exceptions and the GC proposal need it. Default: True, but False with Winch.
        C API: ``wasmtime_config_gc_support_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_wasm_simd_set)
    def wasm_simd(self) -> bool:
        """The SIMD proposal: 128-bit vectors. Default: True.

        Cannot be off while `wasm_relaxed_simd` is on.
        C API: ``wasmtime_config_wasm_simd_set``.
        """
        raise NotImplementedError

    @switch(defaults.not_winch, lib.wasmtime_config_wasm_relaxed_simd_set)
    def wasm_relaxed_simd(self) -> bool:
        """The relaxed-SIMD proposal: vector instructions with results that may differ by machine.

        Needs `wasm_simd`. Default: True, but False with Winch, which does not have it.
        C API: ``wasmtime_config_wasm_relaxed_simd_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_wasm_relaxed_simd_deterministic_set)
    def wasm_relaxed_simd_deterministic(self) -> bool:
        """Whether relaxed vector instructions give the same results on all machines.

        That is slower on some. Default: False.
        C API: ``wasmtime_config_wasm_relaxed_simd_deterministic_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_wasm_bulk_memory_set)
    def wasm_bulk_memory(self) -> bool:
        """The bulk-memory proposal: `memory.copy`, `memory.fill` and the like. Default: True.

        C API: ``wasmtime_config_wasm_bulk_memory_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_wasm_multi_value_set)
    def wasm_multi_value(self) -> bool:
        """The multi-value proposal: functions and blocks with several results. Default: True.

        C API: ``wasmtime_config_wasm_multi_value_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_wasm_multi_memory_set)
    def wasm_multi_memory(self) -> bool:
        """The multi-memory proposal: modules with several memories. Default: True.

        C API: ``wasmtime_config_wasm_multi_memory_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_wasm_memory64_set)
    def wasm_memory64(self) -> bool:
        """The memory64 proposal: memories and tables with 64-bit addresses. Default: True.

        C API: ``wasmtime_config_wasm_memory64_set``.
        """
        raise NotImplementedError

    @switch(defaults.not_winch, lib.wasmtime_config_wasm_wide_arithmetic_set)
    def wasm_wide_arithmetic(self) -> bool:
        """The wide-arithmetic proposal: 128-bit additions and products of integers.

        Default: True, but False with Winch.
        C API: ``wasmtime_config_wasm_wide_arithmetic_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_wasm_branch_hinting_set)
    def wasm_branch_hinting(self) -> bool:
        """The branch-hinting proposal: modules tell which branches are likely. Default: False.

        C API: ``wasmtime_config_wasm_branch_hinting_set``.
        """
        raise NotImplementedError

    @switch(defaults.not_winch, lib.wasmtime_config_wasm_exceptions_set)
    def wasm_exceptions(self) -> bool:
        """The exception-handling proposal: tags, `throw` and `try_table`. Default: True.

        Needs `gc_support`; a module does not compile without it. False by default with Winch.
        C API: ``wasmtime_config_wasm_exceptions_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_wasm_custom_page_sizes_set)
    def wasm_custom_page_sizes(self) -> bool:
        """The custom-page-sizes proposal: memories with pages of one byte. Default: False.

        C API: ``wasmtime_config_wasm_custom_page_sizes_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_wasm_compact_imports_set)
    def wasm_compact_imports(self) -> bool:
        """The compact-imports proposal: a shorter form of the list of imports. Default: False.

        C API: ``wasmtime_config_wasm_compact_imports_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_wasm_stack_switching_set)
    def wasm_stack_switching(self) -> bool:
        """The stack-switching proposal: continuations. Default: False.

        The library knows the setting but was built without the run-time half of the proposal: a
        module that makes a continuation would end the process. No engine can therefore be made
        while this is True.
        C API: ``wasmtime_config_wasm_stack_switching_set``.
        """
        raise NotImplementedError
