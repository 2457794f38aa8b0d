"""
Linkers, instances, host functions, resources: what works, and what is refused.
"""

from __future__ import annotations

import gc
import pickle
import threading
import weakref
from typing import Any, ClassVar

import pytest

from wasmtime import (
    Config,
    Engine,
    ExitTrap,
    Module,
    Store,
    StoreContext,
    Trap,
    TrapCode,
    WasiConfig,
    WasmtimeError,
)
from wasmtime.component import (
    Component,
    ComponentTrap,
    Err,
    ExportIndex,
    Func,
    Instance,
    Linker,
    LinkerInstance,
    Ok,
    ResourceAny,
    ResourceHost,
    ResourceType,
    UnsupportedTypeError,
    needs_store,
)

from .echo import LIBC, OPTIONS, echo_through_host
from .resources import RESOURCES

HOST = """(component
  (import "x" (func $x (param "a" u32) (result u32)))
  (core func $lowered (canon lower (func $x)))
  (core module $m
    (import "" "x" (func $x (param i32) (result i32)))
    (func (export "x") (param i32) (result i32) (call $x (local.get 0)))
    (func (export "trap") unreachable)
    (func (export "spin") (loop $again (br $again))))
  (core instance $m (instantiate $m (with "" (instance (export "x" (func $lowered))))))
  (func (export "x") (param "a" u32) (result u32) (canon lift (core func $m "x")))
  (func (export "trap") (canon lift (core func $m "trap")))
  (func (export "spin") (canon lift (core func $m "spin"))))"""


def host_instance(store: Store, function: Any) -> Any:
    """
    The exports of `HOST`, whose import is `function`.
    """
    component = Component(store.engine, HOST)
    linker = Linker(store.engine)
    with linker.root() as root:
        root.add_func("x", function)
    return linker.instantiate(store, component).exports(store)


class Odd(BaseException):
    """
    Not an Exception.
    """


def test_an_exception_of_a_host_function_arrives_as_the_same_object(engine: Engine) -> None:
    for raised in (KeyError("a"), WasmtimeError("b"), Trap("c"), Odd(), ExitTrap(3)):

        def fail(_store: Any, _value: int, raised: BaseException = raised) -> int:
            raise raised

        store = Store(engine)  # a trap ends all components of a store
        with pytest.raises(type(raised)) as caught:
            host_instance(store, fail).x(store, 1)
        assert caught.value is raised


def test_a_host_function_is_given_a_store_until_it_returns(store: Store) -> None:
    seen: list[Any] = []

    def host(context: StoreContext, value: int) -> int:
        seen.append(context)
        return int(inner.x(context, value)) + 1

    inner = host_instance(store, lambda _store, value: value * 10)
    assert host_instance(store, host).x(store, 4) == 41
    with pytest.raises(ValueError, match="no longer valid"):
        inner.x(seen[0], 1)


def test_a_host_function_governs_the_fuel_and_the_deadline_of_its_store() -> None:
    store = Store(Engine(Config(consume_fuel=True)), "data")
    kept: list[StoreContext] = []

    def host(context: StoreContext, value: int) -> int:
        kept.append(context)
        assert context.data() == "data"
        assert 0 < context.get_fuel() <= 1000
        context.set_epoch_deadline(10)
        context.set_fuel(5000)
        return value

    store.set_fuel(1000)
    assert host_instance(store, host).x(store, 4) == 4
    assert 4900 < store.get_fuel() <= 5000
    with pytest.raises(ValueError, match="no longer valid"):
        kept[0].get_fuel()


def test_a_result_where_there_is_none_is_refused(engine: Engine, store: Store) -> None:
    component = Component(
        engine,
        """(component (import "x" (func $x)) (core func $x (canon lower (func $x)))
          (core module $m (import "" "x" (func)) (func (export "x") call 0))
          (core instance $m (instantiate $m (with "" (instance (export "x" (func $x))))))
          (func (export "x") (canon lift (core func $m "x"))))""",
    )
    linker = Linker(engine)
    linker.define_imports(component, {"x": lambda: 5})
    with pytest.raises(WasmtimeError, match="must return None"):
        linker.instantiate(store, component).exports(store).x(store)


def test_one_host_function_serves_imports_of_several_types(engine: Engine, store: Store) -> None:
    linker = Linker(engine)
    with linker.root() as root:
        root.add_func("x", lambda _store, value: value)
    types = ["u8", "string", "(list u8)", "(tuple u8 string)", "bool", "f64", "char", "s64"]
    values = [1, "a", b"b", (1, "c"), True, 0.5, "d", -1]
    funcs = []
    for text in types:
        instance = linker.instantiate(store, echo_through_host(engine, text))
        funcs.append(instance.get_func(store, "x"))
    for _ in range(2):
        for func, value in zip(funcs, values):
            assert func is not None
            assert func(store, value) == value


def test_traps(store: Store) -> None:
    exports = host_instance(store, lambda _store, value: value)
    with pytest.raises(Trap, match="unreachable") as caught:
        exports.trap(store)
    assert isinstance(caught.value, WasmtimeError)
    assert isinstance(caught.value, ComponentTrap)
    assert caught.value.trap_code is TrapCode.UNREACHABLE
    assert caught.value.frames
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.trap_code is TrapCode.UNREACHABLE
    with pytest.raises(ComponentTrap) as again:
        exports.x(store, 1)
    assert again.value.trap_code is TrapCode.CANNOT_ENTER_COMPONENT


def test_fuel_and_epochs_end_a_component() -> None:
    config = Config()
    config.consume_fuel = True
    store = Store(Engine(config))
    store.set_fuel(100_000)
    with pytest.raises(ComponentTrap, match="all fuel consumed") as caught:
        host_instance(store, lambda _store, value: value).spin(store)
    assert caught.value.trap_code is TrapCode.OUT_OF_FUEL
    config = Config()
    config.epoch_interruption = True
    store = Store(Engine(config))
    store.set_epoch_deadline(1)
    exports = host_instance(store, lambda _store, value: value)
    timer = threading.Timer(0.1, store.engine.increment_epoch)
    timer.start()
    with pytest.raises(ComponentTrap, match="interrupt") as stopped:
        exports.spin(store)
    assert stopped.value.trap_code is TrapCode.INTERRUPT
    timer.join()


def test_recursion_through_the_host_ends_in_an_exception(store: Store) -> None:
    holder: list[Any] = []
    exports = host_instance(store, lambda _store, value: holder[0].x(store, value))
    holder.append(exports)
    with pytest.raises((RecursionError, WasmtimeError)):
        exports.x(store, 1)


def test_closing_a_store_that_runs_is_refused(store: Store) -> None:
    exports = host_instance(store, lambda _store, value: store.close() or 0)
    with pytest.raises(WasmtimeError, match="store is in use"):
        exports.x(store, 1)


def test_another_store_is_refused(engine: Engine, store: Store) -> None:
    exports = host_instance(store, lambda _store, value: value)
    instance = Linker(engine).instantiate(store, Component(engine, "(component)"))
    other = Store(engine)
    for use in (
        lambda: exports.x(other, 1),
        lambda: exports.x.type(other),
        lambda: exports.x.post_return(other),
        lambda: instance.get_func(other, "x"),
        lambda: instance.exports(other),
        lambda: instance.get_export_index(other, "x"),
    ):
        with pytest.raises(WasmtimeError, match="belongs to another store"):
            use()
    other.close()
    with pytest.raises(ValueError, match="closed"):
        exports.x(other, 1)


def test_another_engine_is_refused(engine: Engine, store: Store) -> None:
    other = Engine()
    component = Component(engine, "(component)")
    foreign = Component(other, "(component)")
    for use in (
        lambda: Linker(engine).instantiate(store, foreign),
        lambda: Linker(other).instantiate(store, foreign),
        lambda: Linker(other).instantiate(store, component),
        lambda: Linker(other).missing(component),
        lambda: Linker(other).define_unknown_imports_as_traps(component),
        lambda: component.type.imports(other),
    ):
        with pytest.raises(WasmtimeError, match="another engine"):
            use()


def test_what_is_closed_says_so(engine: Engine) -> None:
    store = Store(engine)
    linker = Linker(engine)
    component = Component(engine, '(component (core module (export "m")))')
    instance = linker.instantiate(store, component)
    index = component.get_export_index("m")
    assert index is not None
    index.close()
    with pytest.raises(ValueError, match="closed"):
        instance.get_func(store, index)
    component.close()
    for use in (
        component.serialize,
        lambda: component.type,
        lambda: component.get_export_index("m"),
        lambda: linker.instantiate(store, component),
    ):
        with pytest.raises(ValueError, match="closed"):
            use()
    linker.close()
    for use in (
        linker.root,
        linker.add_wasip2,
        lambda: linker.instantiate(store, Component(engine, "(component)")),
    ):
        with pytest.raises(ValueError, match="closed"):
            use()
    store.close()
    with pytest.raises(ValueError, match="closed"):
        instance.get_export_index(store, "m")


def test_nothing_can_be_made_by_hand() -> None:
    for cls in (Func, Instance, ExportIndex, LinkerInstance, ResourceAny, ResourceHost):
        with pytest.raises(WasmtimeError, match="directly construct"):
            cls()
    with pytest.raises(WasmtimeError, match="directly construct"):
        ResourceType()


def test_a_linker_instance_ends_with_what_it_was_opened_in(engine: Engine) -> None:
    linker = Linker(engine)
    root = linker.root()
    inner = root.add_instance("a:b/c")
    assert linker.locked
    assert root.locked
    with pytest.raises(WasmtimeError, match="in use by other instances"):
        root.add_func("f", print)
    with pytest.raises(WasmtimeError, match="in use by other instances"):
        linker.close()
    root.close()
    for use in (lambda: inner.add_func("f", print), lambda: root.add_instance("d")):
        with pytest.raises(ValueError, match="closed"):
            use()
    assert not linker.locked
    linker.root()  # collected at once
    linker.add_wasip2()
    linker.close()


def test_arguments_of_definitions_are_checked(engine: Engine) -> None:
    with Linker(engine).root() as root:
        for use in (
            lambda: root.add_func("f", 3),  # type: ignore[arg-type]
            lambda: root.add_func(3, print),  # type: ignore[arg-type]
            lambda: root.add_resource("r", 3, print),  # type: ignore[arg-type]
            lambda: root.add_resource("r", ResourceType.host(1), 3),  # type: ignore[arg-type]
            lambda: root.add_module("m", b""),  # type: ignore[arg-type]
        ):
            with pytest.raises(TypeError):
                use()
        with pytest.raises(ValueError, match="surrogate"):
            root.add_func("\ud800", print)
        with pytest.raises(WasmtimeError, match="another engine"):
            root.add_module("m", Module(Engine(), "(module)"))
        root.add_func("twice", print)
        with pytest.raises(WasmtimeError, match="defined twice"):
            root.add_func("twice", print)


def test_missing_imports_are_listed(engine: Engine, store: Store) -> None:
    component = Component(
        engine,
        """(component
          (import "a:b/c@1.0.0" (instance (export "f" (func (param "x" u8)))
                                          (export "g" (func))))
          (import "h" (func (result string)))
          (import "r" (type (sub resource))))""",
    )
    linker = Linker(engine)
    assert {key: str(value) for key, value in list(linker.missing(component).items())[:3]} == {
        "a:b/c@1.0.0#f": "func(x: u8)",
        "a:b/c@1.0.0#g": "func()",
        "h": "func() -> string",
    }
    with pytest.raises(WasmtimeError, match=r"4 of the component's imports have.*\n.*c@1\.0\.0#f"):
        linker.instantiate(store, component)
    with pytest.raises(WasmtimeError, match=r"not implemented:\n    a:b/c@1\.0\.0#g: func\(\)"):
        linker.define_imports(component, {"c": {"f": print}})
    with pytest.raises(KeyError, match="no such import"):
        linker.define_imports(component, {"d": {}})
    linker.define_imports(component, {"c": {"f": print, "g": print}, "h": str, "r": Store})
    assert linker.missing(component) == {}
    linker.instantiate(store, component)


def test_wasi_must_be_configured(engine: Engine, store: Store) -> None:
    component = Component(
        engine,
        """(component (import "wasi:random/random@0.2.0" (instance $r
            (export "get-random-u64" (func (result u64)))))
          (alias export $r "get-random-u64" (func $g)) (core func $gl (canon lower (func $g)))
          (core module $m (import "" "g" (func $g (result i64)))
            (func (export "f") (result i64) call $g))
          (core instance $i (instantiate $m (with "" (instance (export "g" (func $gl))))))
          (func (export "f") (result u64) (canon lift (core func $i "f"))))""",
    )
    with pytest.raises(WasmtimeError, match=r"call linker\.add_wasip2"):
        Linker(engine).instantiate(store, component)
    linker = Linker(engine)
    linker.add_wasip2()
    with pytest.raises(WasmtimeError, match="WASI is not configured"):
        linker.instantiate(store, component)
    store.set_wasi(WasiConfig())
    func = linker.instantiate(store, component).exports(store).f
    assert func(store) != func(store)


def async_engine() -> Engine:
    """
    An engine with the types of the asynchronous component model.
    """
    config = Config()
    config.wasm_component_model_async = True
    return Engine(config)


@pytest.mark.parametrize("text", ["(stream u8)", "(future)", "(list (option (future string)))"])
def test_types_without_values_are_refused_before_a_call(text: str) -> None:
    engine = async_engine()
    component = Component(engine, f'(component (import "x" (func (param "a" {text}))))')
    linker = Linker(engine)
    linker.define_imports(component, {"x": print})
    with pytest.raises(UnsupportedTypeError, match="cannot be a Python function"):
        linker.instantiate(Store(engine), component)
    traps = Linker(engine)
    traps.define_unknown_imports_as_traps(component)
    store = Store(engine)
    traps.instantiate(store, component)
    exporting = Component(
        engine,
        f"""(component {LIBC} (core module $m (func (export "f") (result i32) unreachable))
          (core instance $i (instantiate $m))
          (func (export "f") (result {text}) (canon lift (core func $i "f") {OPTIONS})))""",
    )
    func = Linker(engine).instantiate(store, exporting).exports(store).f
    assert text.strip("()").split()[0] in str(func.type(store))
    with pytest.raises(NotImplementedError, match="no form for them"):
        func(store)


def test_an_async_import_is_refused() -> None:
    engine = async_engine()
    component = Component(engine, '(component (import "x" (func async)))')
    linker = Linker(engine)
    linker.define_imports(component, {"x": print})
    with pytest.raises(UnsupportedTypeError, match="async function"):
        linker.instantiate(Store(engine), component)


def test_an_async_export_is_run_until_it_is_done() -> None:
    engine = async_engine()
    store = Store(engine)
    component = Component(
        engine,
        """(component
          (core module $m
            (import "" "task.return" (func $ret (param i32)))
            (func (export "f") (param i32) (result i32)
              (call $ret (i32.add (local.get 0) (i32.const 1))) (i32.const 0))
            (func (export "trap") (result i32) unreachable)
            (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
          (core func $ret (canon task.return (result u32)))
          (core instance $i (instantiate $m
            (with "" (instance (export "task.return" (func $ret))))))
          (func (export "f") async (param "x" u32) (result u32)
            (canon lift (core func $i "f") async (callback (core func $i "callback"))))
          (func (export "trap") async (result u32)
            (canon lift (core func $i "trap") async (callback (core func $i "callback")))))""",
    )
    assert component._waits
    assert Component.deserialize(engine, component.serialize())._waits
    assert not Component.deserialize(engine, Component(engine, HOST).serialize())._waits
    exports = Linker(engine).instantiate(store, component).exports(store)
    assert exports.f.type(store).is_async
    assert exports.f(store, 41) == 42
    with pytest.raises(ComponentTrap, match="unreachable"):
        exports.trap(store)


class Blob:
    """
    A resource of the host.
    """

    dropped: ClassVar[list[int]] = []

    def __init__(self, size: int) -> None:
        self._size = size

    def size(self) -> int:
        """
        The method of the interface.
        """
        return self._size

    @staticmethod
    def merge(a: Blob, b: Blob) -> Blob:
        """
        The static function of the interface.
        """
        return Blob(a._size + b._size)

    def drop(self) -> None:
        """
        The destructor.
        """
        self.dropped.append(self._size)


def test_a_class_implements_a_resource(engine: Engine, store: Store) -> None:
    Blob.dropped.clear()
    component = Component(engine, RESOURCES)
    linker = Linker(engine)
    linker.define_imports(component, {"res": {"Blob": Blob}})
    exports = linker.instantiate(store, component).exports(store)
    assert exports.run(store, 3, 4) == 7
    assert Blob.dropped == [7]
    blob = exports.make(store, 5)
    assert isinstance(blob, Blob)
    assert blob.size() == 5
    assert exports.look(store, blob) == 5
    assert exports.take(store, blob) == 5
    assert Blob.dropped == [7, 5]
    assert exports.take(store, Blob(9)) == 9
    exports.keep(store, Blob(11))
    assert Blob.dropped == [7, 5, 9]


def test_what_a_resource_raises_arrives(engine: Engine, store: Store) -> None:
    class Bad(Blob):
        def drop(self) -> None:
            raise LookupError("drop")

    component = Component(engine, RESOURCES)
    linker = Linker(engine)
    linker.define_imports(component, {"res": {"blob": Bad}})
    exports = linker.instantiate(store, component).exports(store)
    with pytest.raises(LookupError, match="drop"):
        exports.take(store, Bad(1))


def test_functions_of_resources_may_need_the_store(engine: Engine, store: Store) -> None:
    seen = []

    class Needy(Blob):
        @needs_store
        def size(self, store: Any) -> int:  # type: ignore[override]
            seen.append(type(store))
            return super().size()

    component = Component(engine, RESOURCES)
    linker = Linker(engine)
    linker.define_imports(component, {"res": {"blob": Needy}})
    exports = linker.instantiate(store, component).exports(store)
    assert exports.take(store, Needy(6)) == 6
    assert seen == [StoreContext]


def test_resources_of_the_host_by_hand(engine: Engine, store: Store) -> None:
    component = Component(engine, RESOURCES)
    dropped: list[int] = []
    borrowed: list[Any] = []
    linker = Linker(engine)
    with linker.root() as root, root.add_instance("res") as res:
        res.add_resource("blob", ResourceType.host(7), lambda _store, rep: dropped.append(rep))
        res.add_func("[constructor]blob", lambda _store, size: ResourceHost.own(size, 7))

        def size(context: StoreContext, blob: ResourceAny) -> int:
            assert not blob.owned
            borrowed.append(blob)
            return blob.to_host(context).rep

        res.add_func("[method]blob.size", size)
        res.add_func("[static]blob.merge", lambda _store, a, b: a)
    instance = linker.instantiate(store, component)
    make, take, look = [instance.get_func(store, name) for name in ("make", "take", "look")]
    assert make is not None
    assert take is not None
    assert look is not None
    blob = make(store, 3)
    assert isinstance(blob, ResourceAny)
    assert blob.owned
    assert blob.type == ResourceType.host(7)
    assert look(store, blob) == 3
    for use in (
        lambda: borrowed[0].to_host(store),
        lambda: borrowed[0].drop(store),
        lambda: borrowed[0].type,
        lambda: look(store, borrowed[0]),
    ):
        with pytest.raises(WasmtimeError, match="call that is over"):
            use()
    assert take(store, blob) == 3
    assert dropped == [3]
    for use in (lambda: blob.drop(store), lambda: blob.to_host(store)):
        with pytest.raises(WasmtimeError, match="already"):
            use()
    other = Store(engine)
    foreign = ResourceHost.own(5, 7).to_any(other)
    for use in (lambda: foreign.drop(store), lambda: take(store, foreign)):
        with pytest.raises(WasmtimeError, match="belongs to another store"):
            use()
    with pytest.raises(WasmtimeError, match="cannot be given away"):
        take(store, ResourceHost.borrow(1, 7).to_any(store))
    with pytest.raises(TypeError, match="a: expected own"):
        take(store, 3)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(foreign)


def test_results_of_functions_by_define_imports(engine: Engine, store: Store) -> None:
    component = echo_through_host(engine, "(result u8 (error u8))")
    linker = Linker(engine)
    linker.define_imports(component, {"x": lambda value: Err(1) if value == Ok(2) else Ok(3)})
    func = linker.instantiate(store, component).exports(store).x
    assert func(store, Ok(2)) == Err(1)
    assert func(store, Ok(4)) == Ok(3)


def test_exports_are_found_by_many_names(engine: Engine, store: Store) -> None:
    text = """(component
      (core module $m (func (export "f") (result i32) (i32.const 7)))
      (core instance $i (instantiate $m))
      (func $f (result u32) (canon lift (core func $i "f")))
      (instance $ops (export "mul-add" (func $f)) (export "get" (func $f)))
      (export "example:math/ops@1.0.0" (instance $ops))
      (export "top-level" (func $f)))"""
    exports = Linker(engine).instantiate(store, Component(engine, text)).exports(store)
    assert list(exports) == ["example:math/ops@1.0.0", "top-level"]
    assert len(exports) == 2
    assert "top-level" in exports
    for ops in (
        exports["example:math/ops@1.0.0"],
        exports["example:math/ops"],
        exports["ops"],
        exports.ops,
    ):
        assert ops["mul-add"](store) == ops.mul_add(store) == ops.get(store) == 7
    assert exports.top_level(store=store) == 7
    assert exports.top_level.__name__ == "top-level"
    assert "top_level" in dir(exports)
    with pytest.raises(KeyError, match="there is no such export, only"):
        exports["other"]
    with pytest.raises(AttributeError, match="no such export"):
        _ = exports.other


def test_a_cycle_through_a_host_function_is_collected(engine: Engine) -> None:
    store = Store(engine)
    component = Component(engine, HOST)
    linker = Linker(engine)
    with linker.root() as root:
        root.add_func("x", lambda _store, value, keep=store: value)
    instance: Any = linker.instantiate(store, component)
    instance.exports(store).x(store, 1)
    reference = weakref.ref(store)
    del store, linker, instance
    gc.collect()
    assert reference() is None


def test_components_travel_as_compiled_code(engine: Engine, store: Store, tmp_path: Any) -> None:
    component = Component(engine, HOST)
    artifact = component.serialize()
    path = tmp_path / "host.cwasm"
    path.write_bytes(artifact)
    for copy in (Component.deserialize(engine, artifact), Component.deserialize_file(engine, path)):
        assert list(copy.imports) == ["x"]
        assert not copy._waits
    other = pickle.loads(pickle.dumps(component))
    assert list(other.exports) == ["x", "trap", "spin"]
    with pytest.raises(WasmtimeError, match="damaged"):
        Component.deserialize(engine, artifact[:-1] + b"x")
    with pytest.raises(WasmtimeError):
        Component.deserialize(engine, Module(engine, "(module)").serialize())


def test_threads_with_stores_of_their_own(engine: Engine) -> None:
    component = Component(engine, HOST)
    linker = Linker(engine)
    with linker.root() as root:
        root.add_func("x", lambda _store, value: value + 1)
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(20):
            store = Store(engine)
            func = linker.instantiate(store, component).exports(store).x
            wrong.extend(value for value in range(50) if func(store, value) != value + 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
