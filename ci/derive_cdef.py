"""Derive the C declarations of libwasmtime from the ctypes table of the locked wheel.

The published package carries a table of the C API that was generated from the very headers its
library was built with. Public snapshots of those headers are of other versions, and a
declaration taken from one of them corrupts memory where a structure has grown. So the facts come
from the table: this program reads it as a syntax tree (nothing of it is executed) and writes
``csrc/cdef/*.h``, one file per header of the C API, in the order of ``csrc/cdef/ORDER``. The
files are read by cffi and included by the hand-written C. The stub ``wasmtime/_ffi.pyi`` comes
from the same facts.

    python -m ci.derive_cdef            write the files
    python -m ci.derive_cdef --check    fail with a diff when the committed files differ

What the table does not say is added here, and each addition is listed in one of the tables
below: functions that are exported but missing from it, constants that the headers define as
macros, and the true result types of callbacks (the table says ``size_t`` where C returns a
pointer).
"""

from __future__ import annotations

import argparse
import ast
import difflib
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from ci import ROOT
from vendor import fetch

OUTPUT = ROOT / "csrc" / "cdef"
STUB = "../../wasmtime/_ffi.pyi"
WIDTH = 100

#: Exported by the library for debuggers, by a name that carries the version: not C API.
DEBUGGER_SYMBOLS = ("resolve_vmctx_memory_ptr_", "set_vmctx_memory_")


class Part(NamedTuple):
    """One output file.

    Attributes:
        name: Stem of the file's name.
        first: Name of the first declaration of the table that belongs to it. The table lists the
            declarations header by header, so this is where one header begins.
        about: What the file declares.
    """

    name: str
    first: str
    about: str


PARTS = (
    Part("wasm_bytes", "wasm_byte_t", "byte vectors and names"),
    Part("wasm_engine", "wasm_config_t", "configuration, engine and store of the standard API"),
    Part("wasm_types", "wasm_mutability_t", "types of values, functions, imports and exports"),
    Part("wasm_values", "wasm_ref_t", "values and references of the standard API"),
    Part("wasm_traps", "wasm_frame_t", "traps and stack frames"),
    Part("wasm_foreign", "wasm_foreign_t", "foreign objects"),
    Part("wasm_module", "wasm_module_t", "modules of the standard API"),
    Part("wasm_func", "wasm_func_t", "functions of the standard API"),
    Part("wasm_global", "wasm_global_t", "globals of the standard API"),
    Part("wasm_table", "wasm_table_t", "tables of the standard API"),
    Part("wasm_memory", "wasm_memory_t", "memories of the standard API"),
    Part("wasm_extern", "wasm_extern_t", "external items of the standard API"),
    Part("wasm_instance", "wasm_instance_t", "instances of the standard API"),
    Part("wasi", "wasi_config_t", "configuration of WASI"),
    Part("types_structref", "wasmtime_storage_type_kind_t", "types of fields and structs"),
    Part("types_arrayref", "wasmtime_array_type", "types of arrays"),
    Part("error", "wasmtime_error", "errors"),
    Part("types_exnref", "wasmtime_exn_type", "types of exceptions"),
    Part("types_val", "wasmtime_wasm_valtype_v128", "value, reference and heap types"),
    Part("module", "wasmtime_module", "modules"),
    Part("sharedmemory", "wasmtime_sharedmemory", "shared memories"),
    Part("store", "wasmtime_store", "stores and their contexts"),
    Part("tag", "wasmtime_tag_anon_0", "exception tags"),
    Part("extern", "wasmtime_func", "handles by value, and external items"),
    Part("val", "wasmtime_valkind_t", "values"),
    Part("anyref", "wasmtime_anyref_clone", "references to anything, and i31"),
    Part("arrayref", "wasmtime_array_ref_pre", "references to arrays"),
    Part("config", "wasmtime_strategy_t", "configuration"),
    Part("func", "wasmtime_caller", "functions, calls and callers"),
    Part("instance", "wasmtime_instance", "instances and pre-instances"),
    Part("linker", "wasmtime_linker", "linkers"),
    Part("async", "wasmtime_config_async_stack_size_set", "asynchronous calls"),
    Part("component_types_resource", "wasmtime_component_resource_type", "types of resources"),
    Part("component_types_val", "wasmtime_component_valtype_t", "types of component values"),
    Part("component_types_func", "wasmtime_component_func_type_t", "types of component functions"),
    Part("component_types_instance", "wasmtime_component_extern_t", "types of component instances"),
    Part("component_types_module", "wasmtime_module_type", "types of modules"),
    Part("component_types_component", "wasmtime_component_type_t", "types of components, items"),
    Part("component_component", "wasmtime_component_t", "components and export indices"),
    Part("component_val", "wasmtime_component_resource_any", "component values and resources"),
    Part("component_func", "wasmtime_component_func_anon_0", "component functions"),
    Part("component_instance", "wasmtime_component_instance", "component instances"),
    Part("component_linker", "wasmtime_component_linker_t", "component linkers"),
    Part("engine", "wasmtime_engine_clone", "engines"),
    Part("eqref", "wasmtime_eqref_clone", "references that can be compared"),
    Part("exnref", "wasmtime_exnref_new", "references to exceptions"),
    Part("externref", "wasmtime_externref_new", "references to host objects"),
    Part("global", "wasmtime_global_new", "globals"),
    Part("memory", "wasmtime_memorytype_new", "memories and their types"),
    Part("profiling", "wasmtime_guestprofiler", "the profiler of guests"),
    Part("structref", "wasmtime_struct_ref_pre", "references to structs"),
    Part("table", "wasmtime_table_new", "tables"),
    Part("trap", "wasmtime_trap_code_t", "trap codes and frames"),
    Part("wat", "wasmtime_wat2wasm", "the text format"),
)

#: Result types of callbacks by typedef, structure field or function: the table writes ``size_t``
#: for everything of a pointer's size. "size_t" here means that the table is right.
CALLBACK_RESULTS: Mapping[str, str] = {
    "wasm_func_callback_t": "wasm_trap_t *",
    "wasm_func_callback_with_env_t": "wasm_trap_t *",
    "wasmtime_func_callback_t": "wasm_trap_t *",
    "wasmtime_func_unchecked_callback_t": "wasm_trap_t *",
    "wasmtime_memory_get_callback_t": "uint8_t *",
    "wasmtime_memory_grow_callback_t": "wasmtime_error_t *",
    "wasmtime_new_memory_callback_t": "wasmtime_error_t *",
    "wasmtime_stack_memory_get_callback_t": "uint8_t *",
    "wasmtime_new_stack_memory_callback_t": "wasmtime_error_t *",
    "wasmtime_component_func_callback_t": "wasmtime_error_t *",
    "wasmtime_component_resource_destructor_t": "wasmtime_error_t *",
    "wasmtime_store_epoch_deadline_callback": "wasmtime_error_t *",
}

#: Functions that the library exports and the table leaves out, in C, by the file they go to.
#: Their shapes follow their generated siblings, which the table has.
MISSING: Mapping[str, Sequence[str]] = {
    "wasm_types": (
        "void wasm_tagtype_vec_new_empty(wasm_tagtype_vec_t *out);",
        "void wasm_tagtype_vec_new_uninitialized(wasm_tagtype_vec_t *out, size_t size);",
        "void wasm_tagtype_vec_new(wasm_tagtype_vec_t *out, size_t size, wasm_tagtype_t **data);",
        "void wasm_tagtype_vec_copy(wasm_tagtype_vec_t *out, wasm_tagtype_vec_t *source);",
        "void wasm_tagtype_vec_delete(wasm_tagtype_vec_t *vec);",
    ),
    "wasm_instance": ("wasm_instance_t *wasm_frame_instance(wasm_frame_t *frame);",),
    "component_types_val": (
        "typedef struct wasmtime_component_fixed_length_list_type "
        "wasmtime_component_fixed_length_list_type_t;",
        "wasmtime_component_fixed_length_list_type_t *"
        "wasmtime_component_fixed_length_list_type_clone("
        "wasmtime_component_fixed_length_list_type_t *ty);",
        "bool wasmtime_component_fixed_length_list_type_equal("
        "wasmtime_component_fixed_length_list_type_t *a, "
        "wasmtime_component_fixed_length_list_type_t *b);",
        "void wasmtime_component_fixed_length_list_type_delete("
        "wasmtime_component_fixed_length_list_type_t *ptr);",
        "void wasmtime_component_fixed_length_list_type_element("
        "wasmtime_component_fixed_length_list_type_t *ty, "
        "wasmtime_component_valtype_t *type_ret);",
    ),
}


def _numbered(prefix: str, names: str) -> dict[str, int]:
    return {prefix + name: number for number, name in enumerate(names.split())}


#: Constants that the headers define as macros, by file. Those that the table knows too are
#: compared with it; tests/native_library hold the others against the running library.
CONSTANTS: Mapping[str, Mapping[str, int]] = {
    "types_structref": _numbered("WASMTIME_STORAGE_TYPE_KIND_", "I8 I16 VALTYPE"),
    "types_val": {
        **_numbered(
            "WASMTIME_HEAPTYPE_KIND_",
            "EXTERN NOEXTERN FUNC CONCRETE_FUNC NOFUNC ANY NONE EQ I31 ARRAY CONCRETE_ARRAY "
            "STRUCT CONCRETE_STRUCT EXN CONCRETE_EXN NOEXN",
        ),
        **_numbered("WASMTIME_VALTYPE_KIND_", "I32 I64 F32 F64 V128 REF"),
    },
    "store": _numbered("WASMTIME_UPDATE_DEADLINE_", "CONTINUE YIELD"),
    "extern": _numbered("WASMTIME_EXTERN_", "FUNC GLOBAL TABLE MEMORY SHAREDMEMORY TAG"),
    "val": _numbered("WASMTIME_", "I32 I64 F32 F64 V128 FUNCREF EXTERNREF ANYREF EXNREF"),
    "component_types_val": _numbered(
        "WASMTIME_COMPONENT_VALTYPE_",
        "BOOL S8 S16 S32 S64 U8 U16 U32 U64 F32 F64 CHAR STRING LIST RECORD TUPLE VARIANT ENUM "
        "OPTION RESULT FLAGS OWN BORROW FUTURE STREAM ERROR_CONTEXT MAP FIXED_LENGTH_LIST",
    ),
    "component_types_component": _numbered(
        "WASMTIME_COMPONENT_ITEM_",
        "COMPONENT COMPONENT_INSTANCE MODULE COMPONENT_FUNC RESOURCE CORE_FUNC TYPE",
    ),
    "component_val": _numbered(
        "WASMTIME_COMPONENT_",
        "BOOL S8 U8 S16 U16 S32 U32 S64 U64 F32 F64 CHAR STRING LIST RECORD TUPLE VARIANT ENUM "
        "OPTION RESULT FLAGS RESOURCE MAP FIXED_LENGTH_LIST",
    ),
}

#: Names of the hand-written half of the table that are no constants of the C API: an older name
#: of WASM_EXTERNREF, and the bit pattern of a null function reference in the package's own words.
NOT_IN_C = frozenset({"WASM_ANYREF", "WASMTIME_FUNCREF_NULL"})

SCALARS: Mapping[str, str] = {
    "c_bool": "bool",
    "c_char": "char",
    "c_byte": "int8_t",
    "c_ubyte": "uint8_t",
    "c_int": "int",
    "c_int8": "int8_t",
    "c_int16": "int16_t",
    "c_int32": "int32_t",
    "c_int64": "int64_t",
    "c_uint8": "uint8_t",
    "c_uint16": "uint16_t",
    "c_uint32": "uint32_t",
    "c_uint64": "uint64_t",
    "c_float": "float",
    "c_double": "double",
    "c_size_t": "size_t",
    "c_ssize_t": "ptrdiff_t",
}


class DeriveError(Exception):
    """The table says something that this program does not understand; it must be taught."""


def _name_of(node: ast.expr) -> str:
    """Return the last name of ``ctypes.c_int`` or ``c_int``."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    raise DeriveError(f"expected a name: {ast.unparse(node)}")


def _declared(declaration: str) -> str:
    """Return the name that a C declaration declares."""
    if "(*" in declaration:
        return declaration.partition("(*")[2].partition(")")[0]
    return declaration.rpartition(" ")[2].lstrip("*").partition("[")[0]


class Table:
    """The ctypes table, as a syntax tree, and the C text of what it declares.

    Args:
        bindings: Source of the generated half, with all functions and most structures.
        hand_written: Source of the other half, with values and constants.
    """

    def __init__(self, bindings: str, hand_written: str) -> None:
        """Read the table."""
        self.records: dict[str, tuple[str, Optional[ast.expr]]] = {}
        self.aliases: dict[str, str] = {}
        self.parameters: dict[str, list[str]] = {}
        self.constants: dict[str, int] = {}
        self.macro_values: dict[str, int] = {}
        self.scalars: dict[str, str] = {name: name for name in SCALARS.values()}
        self.functions: list[tuple[str, Sequence[str]]] = []
        self.nodes: list[ast.stmt] = []
        generated = ast.parse(bindings).body
        written = [
            node for node in ast.parse(hand_written).body if not isinstance(node, ast.FunctionDef)
        ]
        self._read_constants(written)
        # The hand-written structures come where the generated ones first need them.
        values = [node for node in written if isinstance(node, ast.ClassDef)]
        for node in generated:
            if values and "_wasm_val_delete" in ast.unparse(node):
                self.nodes += values
                values = []
            self.nodes.append(node)
        for node in self.nodes:
            self._learn(node)

    def _read_constants(self, nodes: Sequence[ast.stmt]) -> None:
        for node in nodes:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                value = node.value
                if name.startswith("WASM") and name not in NOT_IN_C:
                    if not isinstance(value, ast.Call):
                        raise DeriveError(f"constant of an unknown form: {ast.unparse(node)}")
                    self.constants[name] = int(ast.literal_eval(value.args[0]))

    def _learn(self, node: ast.stmt) -> None:
        """Note what later declarations refer to."""
        if isinstance(node, ast.ClassDef) and _name_of(node.bases[0]) in ("Structure", "Union"):
            kind = {"Structure": "struct", "Union": "union"}[_name_of(node.bases[0])]
            self.records[node.name] = (kind, self._fields_in(node.body))
        elif isinstance(node, ast.FunctionDef):
            self.parameters[node.name] = [argument.arg for argument in node.args.args]
        elif isinstance(node, ast.Assign):
            target = node.targets[0]
            source = node.value.id if isinstance(node.value, ast.Name) else ""
            if source in self.records and ast.unparse(target) == source + "_t":
                self.aliases[source] = source + "_t"

    @staticmethod
    def _fields_in(body: Sequence[ast.stmt]) -> Optional[ast.expr]:
        for node in body:
            if isinstance(node, ast.Assign) and _name_of(node.targets[0]) == "_fields_":
                return node.value
        return None

    # C text of types.

    def declare(self, node: ast.expr, name: str, owner: str) -> str:
        """Return the C declaration of `name` with the type that a ctypes expression tells.

        Args:
            node: The ctypes expression.
            name: What is declared; it may be empty, or already carry stars and brackets.
            owner: What the declaration belongs to, the key into CALLBACK_RESULTS.

        Returns:
            The declaration, without a semicolon.
        """
        if isinstance(node, ast.Constant) and node.value is None:
            return f"void {name}".strip()
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            length = ast.literal_eval(node.right)
            return self.declare(node.left, f"{name}[{length}]", owner)
        if isinstance(node, ast.Call):
            function = _name_of(node.func)
            if function == "POINTER":
                return self.declare(node.args[0], f"*{name}", owner)
            if function == "CFUNCTYPE":
                return self._callback(node.args, name, owner)
            raise DeriveError(f"unknown type: {ast.unparse(node)}")
        base = _name_of(node)
        if base == "c_void_p":
            return f"void *{name}"
        if base in SCALARS:
            return f"{SCALARS[base]} {name}".strip()
        return f"{self._reference(base)} {name}".strip()

    def _callback(self, parts: Sequence[ast.expr], name: str, owner: str) -> str:
        arguments = ", ".join(self.declare(part, "", owner) for part in parts[1:]) or "void"
        pointer = f"(*{name})({arguments})"
        result = parts[0]
        if not isinstance(result, ast.Constant) and _name_of(result) == "c_size_t":
            if owner not in CALLBACK_RESULTS:
                raise DeriveError(
                    f"the table says that the callback of {owner} returns size_t, which may stand "
                    "for a pointer: say the true type in CALLBACK_RESULTS"
                )
            true = CALLBACK_RESULTS[owner]
            return f"{true}{pointer}" if true.endswith("*") else f"{true} {pointer}"
        return self.declare(result, pointer, owner)

    def _reference(self, name: str) -> str:
        if name in self.records:
            if name in self.aliases:
                return self.aliases[name]
            if name.endswith("_t"):
                return name
            return f"{self.records[name][0]} {name}"
        return name

    # C text of declarations.

    def emit(self) -> Iterator[tuple[str, str]]:
        """Give every declaration as its name in the table and its C text, in order."""
        signatures: dict[str, dict[str, ast.expr]] = {}
        for node in self.nodes:
            if isinstance(node, ast.ClassDef):
                yield node.name, self._class(node)
            elif isinstance(node, ast.Assign):
                target, value = node.targets[0], node.value
                if isinstance(target, ast.Attribute):
                    owner = _name_of(target.value)
                    if target.attr == "_fields_":
                        yield owner, self._definition(owner, value)
                    else:
                        signatures[owner][target.attr] = value
                        if len(signatures[owner]) == 2:
                            yield owner[1:], self._function(owner[1:], signatures.pop(owner))
                elif isinstance(target, ast.Name):
                    if isinstance(value, ast.Attribute) and _name_of(value.value) == "dll":
                        if target.id != "_" + value.attr:
                            raise DeriveError(f"a function by another name: {ast.unparse(node)}")
                        signatures[target.id] = {}
                    elif self.aliases.get(ast.unparse(value)) != target.id:
                        scalar = ast.unparse(value).rpartition(".")[2]
                        if scalar in SCALARS:
                            self.scalars[target.id] = SCALARS[scalar]
                        yield target.id, f"typedef {self.declare(value, target.id, target.id)};"
            elif not isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef)):
                raise DeriveError(f"unknown statement: {ast.unparse(node)}")
        if signatures:
            raise DeriveError(f"functions without a signature: {sorted(signatures)}")

    def _class(self, node: ast.ClassDef) -> str:
        if node.name not in self.records:
            return self._enumeration(node)
        kind, fields = self.records[node.name]
        alias = self.aliases.get(node.name)
        lines = []
        if alias:
            lines.append(f"typedef {kind} {node.name} {alias};")
        elif node.name.endswith("_t"):
            lines.append(f"typedef {kind} {node.name} {node.name};")
        # Records without a name of their own in C are written where they are used.
        if fields is not None and lines:
            lines.append(self._definition(node.name, fields))
        return "\n".join(lines)

    def _definition(self, name: str, fields: ast.expr) -> str:
        body = "\n".join(self._members(fields, "    "))
        return f"{self.records[name][0]} {name} {{\n{body}\n}};"

    def _members(self, fields: ast.expr, indent: str) -> Iterator[str]:
        if not isinstance(fields, ast.List):
            raise DeriveError(f"unknown fields: {ast.unparse(fields)}")
        for item in fields.elts:
            if not isinstance(item, ast.Tuple) or len(item.elts) != 2:
                raise DeriveError(f"unknown field: {ast.unparse(item)}")
            name = str(ast.literal_eval(item.elts[0]))
            type_ = item.elts[1]
            inner = type_.id if isinstance(type_, ast.Name) else ""
            if inner in self.records and inner not in self.aliases and not inner.endswith("_t"):
                kind, inner_fields = self.records[inner]
                if inner_fields is None:
                    raise DeriveError(f"the record {inner} has no fields")
                yield f"{indent}{kind} {{"
                yield from self._members(inner_fields, indent + "    ")
                yield f"{indent}}}{'' if name.startswith('_anon_') else ' ' + name};"
            else:
                yield f"{indent}{self.declare(type_, name, name)};"

    def _enumeration(self, node: ast.ClassDef) -> str:
        lines = []
        number = -1
        for item in node.body:
            if not isinstance(item, ast.Assign):
                raise DeriveError(f"unknown enumerator: {ast.unparse(item)}")
            # C counts from zero where Python's auto() would begin with one.
            counted = isinstance(item.value, ast.Call)
            number = number + 1 if counted else ast.literal_eval(item.value)
            name = _name_of(item.targets[0])
            self._agree(name, number)
            lines.append(f"#define {name} {number}")
        return "\n".join(lines)

    def _function(self, name: str, signature: Mapping[str, ast.expr]) -> str:
        arguments = signature["argtypes"]
        if not isinstance(arguments, ast.List):
            raise DeriveError(f"unknown arguments of {name}: {ast.unparse(arguments)}")
        names = self.parameters.get(name, [])
        if len(names) != len(arguments.elts):
            raise DeriveError(f"{name} has {len(arguments.elts)} types for the parameters {names}")
        parameters = [
            self.declare(type_, parameter, name) for type_, parameter in zip(arguments.elts, names)
        ]
        return self.function(self.declare(signature["restype"], name, name), parameters)

    def function(self, head: str, parameters: Sequence[str]) -> str:
        """Note a function for the stub, and return its declaration.

        Args:
            head: Result type and name.
            parameters: Type and name of each parameter.

        Returns:
            The declaration, broken into lines of bearable length.
        """
        self.functions.append((head, parameters))
        line = f"{head}({', '.join(parameters) or 'void'});"
        if len(line) <= WIDTH:
            return line
        inner = ",\n    ".join(parameters)
        return f"{head}(\n    {inner}\n);"

    def missing(self, declaration: str) -> str:
        """Return a declaration of MISSING, noted for the stub when it is a function."""
        head, _, rest = declaration.rstrip(";").partition("(")
        return self.function(head, rest.rstrip(")").split(", ")) if rest else declaration

    def python_type(self, declaration: str) -> str:
        """Return the type that cffi gives and takes for a C declaration, as a stub says it."""
        base = declaration.rpartition(" ")[0]
        if "*" in declaration or "(" in declaration or "[" in declaration:
            return "Any"
        if base == "void":
            return "None"
        scalar = self.scalars.get(base)
        if scalar is None:
            return "Any"
        return {"bool": "bool", "float": "float", "double": "float", "char": "bytes"}.get(
            scalar, "int"
        )

    def stub(self) -> str:
        """Return the text of the stub of the cffi module."""
        lines = [
            '"""Stub of the cffi module over libwasmtime.',
            "",
            "Generated by ci/derive_cdef.py; do not edit. Pointers are cffi's own objects, which",
            "no type checker knows, so they are Any; names, arity and scalars are checked.",
            '"""',
            "",
            "from typing import Any, Final, type_check_only",
            "",
            "ffi: Any",
            "",
            "@type_check_only",
            "class _Library:",
        ]
        for name, value in sorted(self.macro_values.items()):
            lines.append(f"    {name}: Final = {value}")
        for head, parameters in sorted(self.functions, key=lambda item: _declared(item[0])):
            arguments = [f"{_declared(one)}: {self.python_type(one)}" for one in parameters]
            if arguments:
                arguments.append("/")
            result = self.python_type(head)
            line = f"    def {_declared(head)}({', '.join(['self', *arguments])}) -> {result}: ..."
            if len(line) > WIDTH:
                inner = ", ".join(["self", *arguments])
                line = f"    def {_declared(head)}(\n        {inner}\n    ) -> {result}: ..."
                if max(map(len, line.splitlines())) > WIDTH:
                    inner = "".join(f"        {one},\n" for one in ["self", *arguments])
                    line = f"    def {_declared(head)}(\n{inner}    ) -> {result}: ..."
            lines.append(line)
        return "\n".join([*lines, "", "lib: _Library", ""])

    def _agree(self, name: str, value: int) -> None:
        self.macro_values[name] = value
        known = self.constants.pop(name, value)
        if known != value:
            raise DeriveError(f"the table says {name} = {known}, this program says {value}")

    def macros(self, part: str) -> str:
        """Return the macros of one file that the table does not define itself."""
        values = CONSTANTS.get(part, {})
        for name, value in values.items():
            self._agree(name, value)
        return "\n".join(f"#define {name} {value}" for name, value in values.items())


def derive(bindings: str, hand_written: str) -> dict[str, str]:
    """Derive all files.

    Args:
        bindings: Source of the generated half of the table.
        hand_written: Source of the other half.

    Returns:
        The text of each file by its name.

    Raises:
        DeriveError: The table holds something unknown.
    """
    table = Table(bindings, hand_written)
    starts = {part.first: part.name for part in PARTS}
    texts: dict[str, list[str]] = {part.name: [] for part in PARTS}
    current = None
    for name, text in table.emit():
        if name in starts:
            current = starts.pop(name)
            macros = table.macros(current)
            if macros:
                texts[current].append(macros)
        if current is None:
            raise DeriveError(f"{name} comes before the first file begins")
        if text:
            texts[current].append(text)
    if starts:
        raise DeriveError(f"declarations that begin a file are gone: {sorted(starts)}")
    if table.constants:
        raise DeriveError(f"constants of the table that go nowhere: {sorted(table.constants)}")
    for part_name, declarations in MISSING.items():
        texts[part_name] += [table.missing(declaration) for declaration in declarations]
    files = {}
    for part in PARTS:
        head = (
            f"/* C API of libwasmtime: {part.about}.\n"
            " * Generated by ci/derive_cdef.py from the locked wheel's ctypes table; do not edit.\n"
            " * Read by cffi, and by C after stdbool.h, stddef.h and stdint.h, once, in ORDER. */\n"
        )
        files[f"{part.name}.h"] = head + "\n" + "\n\n".join(texts[part.name]) + "\n"
    files[STUB] = table.stub()
    files["ORDER"] = "".join(f"{part.name}.h\n" for part in PARTS)
    includes = "".join(f'#include "{part.name}.h"\n' for part in PARTS)
    files["wasmtime_all.h"] = (
        "/* The whole C API of libwasmtime, for C.\n"
        " * Generated by ci/derive_cdef.py; do not edit. */\n\n"
        "#ifndef WASMTIME_PYTHON_CDEF_ALL_H\n#define WASMTIME_PYTHON_CDEF_ALL_H\n\n"
        "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\n"
        f"{includes}\n#endif\n"
    )
    return files


def read_table(wheel: Path) -> tuple[str, str]:
    """Return the sources of both halves of the table in a wheel of the published package."""
    with zipfile.ZipFile(wheel) as archive:
        halves = [archive.read(f"wasmtime/{name}.py") for name in ("_bindings", "_ffi")]
    return halves[0].decode("utf-8"), halves[1].decode("utf-8")


def check(files: Mapping[str, str], directory: Path = OUTPUT) -> list[str]:
    """Compare the derived files with those in a directory.

    Args:
        files: The derived texts by file name.
        directory: Where the committed files are.

    Returns:
        The lines of a unified diff; empty when all is equal.
    """
    lines: list[str] = []
    present = {path.name for path in directory.iterdir() if path.is_file()}
    for name in sorted(present | set(files)):
        path = directory / name
        old = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        new = files.get(name, "").splitlines()
        lines += difflib.unified_diff(old, new, f"committed/{name}", f"derived/{name}", lineterm="")
    return lines


def write(files: Mapping[str, str]) -> None:
    """Write the derived files, and remove those of headers that are gone."""
    for path in OUTPUT.iterdir():
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (OUTPUT / name).write_text(text, encoding="utf-8", newline="\n")


def main() -> int:
    """Run the program.

    Returns:
        The exit status: 1 when `--check` found a difference.
    """
    parser = argparse.ArgumentParser(description="Derive csrc/cdef from the locked wheel.")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args()
    try:
        wheel = fetch.wheel(log=lambda line: print(line, file=sys.stderr))
        files = derive(*read_table(wheel))
    except (fetch.FetchError, DeriveError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.check:
        differences = check(files)
        print("\n".join(differences) or f"csrc/cdef agrees with the table ({len(files)} files)")
        return 1 if differences else 0
    write(files)
    print(f"wrote {len(files)} files to {OUTPUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
