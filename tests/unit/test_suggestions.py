"""
What is said about settings that are not there, and about settings that are needed.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Callable

import pytest

from wasmtime import (
    Config,
    Engine,
    Frame,
    Module,
    PoolingAllocationConfig,
    Store,
    WasiConfig,
    WasmtimeError,
)
from wasmtime.component import Component


@pytest.mark.parametrize(
    ("make", "wrong", "right"),
    [
        (Config, "consume_feul", "consume_fuel"),
        (WasiConfig, "agrv", "argv"),
        (WasiConfig, "stdin_byte", "stdin_bytes"),
        (PoolingAllocationConfig, "total_memory", "total_memories"),
    ],
)
def test_a_setting_that_is_mistyped_is_refused_with_what_was_meant(
    make: Callable[..., Any], wrong: str, right: str
) -> None:
    with pytest.raises(AttributeError, match=rf"has no setting '{wrong}'; did you mean '{right}'"):
        setattr(make(), wrong, 1)
    if make is not WasiConfig:
        with pytest.raises(TypeError, match=rf"did you mean '{right}'"):
            make(**{wrong: 1})


def test_a_setting_like_none_is_refused_without_a_guess() -> None:
    with pytest.raises(AttributeError, match=r"^WasiConfig has no setting 'xyzzy'$"):
        WasiConfig().xyzzy = 1  # type: ignore[attr-defined]


def test_a_subclass_may_have_attributes_of_its_own() -> None:
    class Mine(WasiConfig):
        def __init__(self) -> None:
            super().__init__()
            self.note = "mine"

    assert Mine().note == "mine"


def test_fuel_that_is_not_counted_names_the_setting(store: Store) -> None:
    for use in (store.get_fuel, lambda: store.set_fuel(1), lambda: store.add_fuel(1)):
        with pytest.raises(WasmtimeError, match=r"not configured.*: set Config\.consume_fuel"):
            use()


@pytest.mark.parametrize("cls", [Module, Component])
def test_errors_in_a_text_name_its_file(engine: Engine, tmp_path: Path, cls: Any) -> None:
    path = tmp_path / "broken\x1b.wat"
    path.write_text("(module (func (oops)))")
    with pytest.raises(WasmtimeError) as caught:
        cls.from_file(engine, path)
    assert f"--> {tmp_path}/broken\\x1b.wat:1:16" in str(caught.value).replace("\\\\", "\\")
    with pytest.raises(WasmtimeError, match="<anon>"):
        cls(engine, "(module (func (oops)))")


def test_methods_of_the_core_tell_what_they_do() -> None:
    methods = [Engine.increment_epoch, Store.close, Store.data, Store.interrupt]
    for method in methods:
        assert "Example" in (inspect.getdoc(method) or ""), method
    for name in Frame.__slots__:
        assert inspect.getdoc(getattr(Frame, name)), name
