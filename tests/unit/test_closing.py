"""
Closing: by `close`, by `with`, twice; and what a closed object says.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any, Callable

import pytest

from wasmtime import (
    Config,
    Engine,
    Func,
    FuncType,
    Global,
    GlobalType,
    Instance,
    Limits,
    Linker,
    Managed,
    Memory,
    MemoryType,
    Module,
    SharedMemory,
    Store,
    Table,
    TableType,
    Tag,
    TagType,
    ValType,
    WasiConfig,
)


def shared_memory() -> SharedMemory:
    config = Config()
    config.shared_memory = True
    return SharedMemory(Engine(config), MemoryType(Limits(1, 1), shared=True))


def instance_pre() -> Any:
    engine = Engine()
    return Linker(engine).instantiate_pre(Module(engine, "(module)"))


OWNERS: dict[str, tuple[Callable[[], Any], list[Callable[[Any], Any]]]] = {
    "Engine": (
        Engine,
        [Store, Linker, Engine.increment_epoch, Engine.is_pulley, lambda e: Module(e, "(module)")],
    ),
    "Store": (
        Store,
        [
            Store.data,
            Store.gc,
            lambda s: s.set_fuel(1),
            lambda s: s.set_epoch_deadline(1),
            lambda s: s.set_wasi(WasiConfig()),
            lambda s: s.set_limits(),
            lambda s: s.set_epoch_deadline_callback(None),
            lambda s: Func(s, FuncType([], []), lambda: None),
            lambda s: Memory(s, MemoryType(Limits(1))),
            lambda s: Global(s, GlobalType(ValType.I32, True), 1),
            lambda s: Table(s, TableType(ValType.FUNCREF, Limits(1)), None),
            lambda s: Tag(s, TagType(FuncType([], []))),
            lambda s: Instance(s, Module(s.engine, "(module)"), []),
            lambda s: Linker(s.engine).instantiate(s, Module(s.engine, "(module)")),
        ],
    ),
    "Module": (
        lambda: Module(Engine(), "(module)"),
        [
            lambda m: m.imports,
            lambda m: m.exports,
            Module.serialize,
            Module.image_range,
            lambda m: Instance(Store(m.engine), m, []),
            lambda m: Linker(m.engine).instantiate(Store(m.engine), m),
            lambda m: Linker(m.engine).instantiate_pre(m),
            lambda m: Linker(m.engine).define_unknown_imports_as_traps(m),
        ],
    ),
    "Linker": (
        lambda: Linker(Engine()),
        [
            lambda li: li.define_wasi(),
            lambda li: li.define_func("", "", FuncType([], []), lambda: None),
            lambda li: li.instantiate(Store(li.engine), Module(li.engine, "(module)")),
            lambda li: setattr(li, "allow_shadowing", True),
            lambda li: li.get(Store(li.engine), "", ""),
        ],
    ),
    "InstancePre": (instance_pre, [lambda p: p.module]),
    "SharedMemory": (shared_memory, [SharedMemory.size, SharedMemory.data_ptr]),
}


@pytest.mark.parametrize(("make", "uses"), OWNERS.values(), ids=OWNERS)
def test_closed_objects_say_so(make: Any, uses: list[Any]) -> None:
    owner = make()
    assert isinstance(owner, Managed)
    with owner as same:
        assert same is owner
    owner.close()
    owner.close()
    for use in uses:
        with pytest.raises(ValueError, match="already closed"):
            use(owner)


@pytest.mark.parametrize("make", [make for make, _ in OWNERS.values()], ids=OWNERS)
def test_an_object_leaves_its_block_closed_when_it_raises(make: Any) -> None:
    owner = make()
    with pytest.raises(LookupError), owner:
        raise LookupError
    with pytest.raises(ValueError, match="closed"):
        Managed._use(owner) if not isinstance(owner, Store) else owner.data()


@pytest.mark.parametrize("name", [name for name in OWNERS if name != "InstancePre"])
def test_a_closed_object_has_no_second_life(name: str) -> None:
    make, _ = OWNERS[name]
    owner = make()
    owner.close()
    for arguments in ((), (Engine(),), (Engine(), "(module)")):
        with pytest.raises((ValueError, TypeError)):
            owner.__init__(*arguments)
    open_owner = make()
    for arguments in ((), (Engine(),), (Engine(), "(module)")):
        with pytest.raises((ValueError, TypeError)):
            open_owner.__init__(*arguments)


@pytest.mark.parametrize("name", ["Store", "Linker", "InstancePre", "SharedMemory"])
def test_what_belongs_to_a_process_is_neither_copied_nor_pickled(name: str) -> None:
    owner = OWNERS[name][0]()
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=name):
            duplicate(owner)


def items() -> list[Any]:
    store = Store()
    module = Module(store.engine, '(func (export "f"))')
    instance = Instance(store, module, [])
    func = instance.exports(store)["f"]
    return [
        instance,
        instance.exports(store),
        func,
        func.bind(store),  # type: ignore[union-attr]
        Memory(store, MemoryType(Limits(1))),
        Global(store, GlobalType(ValType.I32, True), 1),
        Table(store, TableType(ValType.FUNCREF, Limits(1)), None),
        Tag(store, TagType(FuncType([], []))),
    ]


@pytest.mark.parametrize("item", items(), ids=lambda item: type(item).__name__)
def test_what_lives_in_a_store_is_never_duplicated(item: Any) -> None:
    for duplicate in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="neither copied nor pickled"):
            duplicate(item)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="neither copied nor pickled") as caught:
            pickle.dumps(item, protocol)
        assert f"{type(item).__name__} objects belong to the store" in str(caught.value)


def test_a_store_refuses_to_be_closed_by_what_it_runs(engine: Engine) -> None:
    from wasmtime import WasmtimeError

    store = Store(engine)
    errors = []

    def host() -> None:
        try:
            store.close()
        except WasmtimeError as error:
            errors.append(str(error))

    Func(store, FuncType([], []), host)(store)
    assert len(errors) == 1
    assert "cannot be closed by what it is running" in errors[0]
    store.close()


def test_everything_else_can_be_closed_while_it_runs(engine: Engine) -> None:
    own = Engine()
    store = Store(own)
    linker = Linker(own)
    module = Module(own, '(import "" "" (func $f)) (func (export "run") (call $f) (call $f))')

    def host() -> None:
        linker.close()
        module.close()
        own.close()

    linker.define_func("", "", FuncType([], []), host)
    linker.instantiate(store, module).exports(store)["run"](store)  # type: ignore[operator]
