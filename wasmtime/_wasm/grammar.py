"""Parts of the binary format of components that all who read components share.

The format is the component model's (``design/mvp/Binary.md``).
"""

from __future__ import annotations

from typing import Optional

from .reader import MalformedBinary, Reader

__all__ = [
    "ASYNC_OPTION",
    "CORE_FUNC_SORT",
    "CORE_INSTANCE_SORT",
    "CORE_MEMORY_SORT",
    "CORE_MODULE_SORT",
    "CORE_SORTS",
    "DECLARE_ALIAS",
    "DECLARE_CORE_TYPE",
    "DECLARE_EXPORT",
    "DECLARE_IMPORT",
    "DECLARE_TYPE",
    "FORM_COMPONENT",
    "FORM_INSTANCE",
    "MEMORY_OPTION",
    "POST_RETURN_OPTION",
    "REALLOC_OPTION",
    "SECTION_ALIASES",
    "SECTION_CANON",
    "SECTION_COMPONENT",
    "SECTION_CORE_INSTANCES",
    "SECTION_CORE_MODULE",
    "SECTION_CORE_TYPES",
    "SECTION_CUSTOM",
    "SECTION_EXPORTS",
    "SECTION_IMPORTS",
    "SECTION_INSTANCES",
    "SECTION_TYPES",
    "SORT_COMPONENT",
    "SORT_FUNC",
    "SORT_INSTANCE",
    "SORT_TYPE",
    "SORT_VALUE",
    "UTF8_OPTION",
    "read_extern_name",
    "read_options",
    "read_sort",
    "skip_alias",
    "skip_description",
]

SECTION_CUSTOM = 0
SECTION_CORE_MODULE = 1
SECTION_CORE_INSTANCES = 2
SECTION_CORE_TYPES = 3
SECTION_COMPONENT = 4
SECTION_INSTANCES = 5
SECTION_ALIASES = 6
SECTION_TYPES = 7
SECTION_CANON = 8
SECTION_IMPORTS = 10
SECTION_EXPORTS = 11

#: Sorts of items. Descriptions of imports and exports have the same codes, and 0 for core modules.
SORT_FUNC, SORT_VALUE, SORT_TYPE, SORT_COMPONENT, SORT_INSTANCE = range(1, 6)
#: Core sorts are this and above, so that one number tells any sort.
CORE_SORTS = 0x100
CORE_FUNC_SORT = CORE_SORTS | 0x00
CORE_MEMORY_SORT = CORE_SORTS | 0x02
CORE_MODULE_SORT = CORE_SORTS | 0x11
CORE_INSTANCE_SORT = CORE_SORTS | 0x12

#: The forms of types that consist of declarations, and the kinds of these.
FORM_COMPONENT, FORM_INSTANCE = 0x41, 0x42
DECLARE_CORE_TYPE, DECLARE_TYPE, DECLARE_ALIAS, DECLARE_IMPORT, DECLARE_EXPORT = range(5)

#: Options of the canonical ABI. The last one makes a function asynchronous.
UTF8_OPTION, MEMORY_OPTION, REALLOC_OPTION, POST_RETURN_OPTION, ASYNC_OPTION = 0, 3, 4, 5, 6
#: Options that are followed by an index: memory, realloc, post-return, callback, core type.
_INDEXED_OPTIONS = (3, 4, 5, 7, 8)
_NAME_WITH_ATTRIBUTES = 2


def read_sort(reader: Reader) -> int:
    """Read a sort."""
    return reader.byte() or CORE_SORTS | reader.byte()


def read_extern_name(reader: Reader) -> str:
    """Read the name of an import or export, and pass over what is said about it besides."""
    form = reader.byte()
    name = reader.name()
    if form == _NAME_WITH_ATTRIBUTES:
        for _ in range(reader.number()):
            reader.byte()
            reader.name()
    elif form > _NAME_WITH_ATTRIBUTES:
        raise MalformedBinary(f"a name of an unknown form ({form:#x}): {name!r}")
    return name


def skip_description(reader: Reader) -> None:
    """Pass over the description of an import or export."""
    kind = reader.byte()
    if kind == 0:  # a core module
        reader.byte()
        reader.number()
    elif kind in (SORT_VALUE, SORT_TYPE):  # with a bound
        if reader.byte() == 0 or kind == SORT_VALUE:
            reader.number()
    elif kind in (SORT_FUNC, SORT_COMPONENT, SORT_INSTANCE):
        reader.number()
    else:
        raise MalformedBinary(f"an import or export of an unknown kind ({kind:#x})")


def skip_alias(reader: Reader) -> None:
    """Pass over an alias."""
    read_sort(reader)
    is_outer = reader.byte() == 2
    reader.number()
    if is_outer:
        reader.number()
    else:
        reader.name()


def read_options(reader: Reader) -> dict[int, Optional[int]]:
    """Read the options of a canonical definition: the index that each names, by code."""
    options: dict[int, Optional[int]] = {}
    for _ in range(reader.number()):
        code = reader.byte()
        options[code] = reader.number() if code in _INDEXED_OPTIONS else None
    return options
