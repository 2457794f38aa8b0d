"""Tags: the identities of WebAssembly exceptions."""

from __future__ import annotations

from typing import Any

from ._error import expect
from ._native import address_of, check, core, ffi, lib
from ._store import Storelike, door, engine_of
from ._types import TagType

__all__ = ["Tag"]


class Tag(core.Tag):
    """A tag: what an exception is thrown with and caught by.

    Args:
        store: The store to make the tag in.
        ty: Its type, which says what an exception carries.

    Raises:
        TypeError: An argument is of a wrong type.
        WasmtimeError: The tag cannot be made, or the store is in use.
        ValueError: The store is closed.

    C API: ``wasmtime_tag_new``.
    """

    def __init__(self, store: Storelike, ty: TagType) -> None:
        expect(ty, TagType, "ty")
        native = ty._to_native()
        result = ffi.new("wasmtime_tag_t *")
        with door(store) as context:
            ty._check_engine(engine_of(store))
            check(lib.wasmtime_tag_new(context, native, result))
        self._set_native(store, address_of(result))

    def __repr__(self) -> str:
        from ._display import tag_text

        return tag_text(self)

    def _pointer(self) -> Any:
        # By this name in every class, so that cffi refuses another's where it is called as ours.
        return ffi.cast("wasmtime_tag_t *", self._address)

    def type(self, store: Storelike) -> TagType:
        """The tag's type.

        Raises:
            WasmtimeError: The tag lives in another store, or the store is in use.
            ValueError: The store is closed.
        """
        with door(store, self) as context:
            native = ffi.gc(
                lib.wasmtime_tag_type(context, self._pointer()),
                lib.wasm_tagtype_delete,
            )
        return TagType._from_native(native, engine_of(store))

    def eq(self, store: Storelike, other: Tag) -> bool:
        """Whether both are the same tag.

        Raises:
            TypeError: `other` is not a Tag.
            WasmtimeError: A tag lives in another store, or the store is in use.
            ValueError: The store is closed.
        """
        expect(other, Tag, "other")
        with door(store, self, other) as context:
            return bool(
                lib.wasmtime_tag_eq(
                    context,
                    self._pointer(),
                    other._pointer(),
                )
            )
