"""What generated packages are made of at run time: nothing here is for use by hand.

A generated package declares how each of its types is converted between its own classes and the
values of `wasmtime.component` (`record`, `variant`, ... make these declarations), and an
`EmbeddedComponent` with what it imports and exports. Lifting and lowering themselves, to and from
the component's memory, is the library's.

The names in this module keep their meaning in all later versions, so that generated packages need
not be generated again.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pkgutil import get_data
from typing import TYPE_CHECKING, Any, Callable, ClassVar, Optional, TypeVar

from .._artifacts.cache import CacheOption
from .._error import WasmtimeError
from .._func import Func
from .._linker import Linker as CoreLinker
from .._module import Module
from .._types import FuncType
from ..component import Component, Instance, Linker, ResourceAny, ResourceHost, ResourceType
from ..component import Err as _NativeErr
from ..component import Ok as _NativeOk
from ..component import Variant as _NativeVariant
from ..component._host import _table, _type_numbers, destroy

if TYPE_CHECKING:
    from .._engine import Engine
    from .._store import Store

__all__ = [
    "PLAIN",
    "EmbeddedComponent",
    "EmbeddedModule",
    "Resource",
    "Shape",
    "constructor",
    "enum",
    "flags",
    "function",
    "host_resource",
    "instance_of",
    "interface",
    "list_of",
    "map_of",
    "method",
    "option_of",
    "option_of_option",
    "record",
    "resource",
    "result_of",
    "signature",
    "static",
    "tuple_of",
    "variant",
]

_T = TypeVar("_T")

#: Converts one value; None stands for a value that passes as it is.
_Convert = Optional[Callable[[Any], Any]]


def _same(value: Any) -> Any:
    return value


# --- shapes --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Shape:
    """How the values of one type are converted.

    Attributes:
        make: Given the instance, makes the pair of conversions: from the component's value to
            Python's ("lift"), and back ("lower").
        nullable: Whether None is among the values on the component's side.
    """

    make: Callable[[_Bound], tuple[_Convert, _Convert]]
    nullable: bool = False


#: The shape of everything that passes as it is.
PLAIN = Shape(lambda bound: (None, None))


def record(cls: type, *fields: tuple[str, str, Shape]) -> Shape:
    """A record that a dataclass stands for.

    Args:
        cls: The class.
        fields: For each field, its name in WIT, that of the attribute, and its shape.
    """
    keys = [name.replace("-", "_") for name, _, _ in fields]
    attributes = [attribute for _, attribute, _ in fields]

    def make(bound: _Bound) -> tuple[_Convert, _Convert]:
        lifts, lowers = zip(*(bound.conversions(shape) for _, _, shape in fields))
        if any(lifts):
            steps = [each or _same for each in lifts]

            def lift(value: Any) -> Any:
                parts = value.__dict__.values()
                return cls(*[step(part) for step, part in zip(steps, parts)])
        else:

            def lift(value: Any) -> Any:
                return cls(*value.__dict__.values())

        if not any(lowers) and keys == attributes:
            return lift, None  # the component takes any object with these attributes
        plan = list(zip(keys, map(attrgetter, attributes), [each or _same for each in lowers]))

        def lower(value: Any) -> Any:
            try:
                return {key: step(get(value)) for key, get, step in plan}
            except AttributeError:
                if isinstance(value, cls):
                    raise
                raise _wrong(value, cls.__name__) from None

        return lift, lower

    return Shape(make)


def variant(*cases: Any) -> Shape:
    """A variant, each of whose cases a class stands for.

    Args:
        cases: For each case, its name in WIT, the class, and the shape of the payload if it has
            one.
    """

    def make(bound: _Bound) -> tuple[_Convert, _Convert]:
        lifts: dict[str, Callable[[Any], Any]] = {}
        lowers: dict[type, Callable[[Any], Any]] = {}
        for tag, cls, *shape in cases:
            lift, lower = bound.conversions(shape[0]) if shape else (None, None)
            lifts[tag] = _case_lift(cls, lift, bool(shape))
            lowers[cls] = _case_lower(tag, lower, bool(shape))

        def lift_variant(value: Any) -> Any:
            return lifts[value.tag](value.payload)

        def lower_variant(value: Any) -> Any:
            cls = type(value)
            while cls not in lowers:
                bases = [base for base in cls.__mro__ if base in lowers]
                if not bases:
                    names = ", ".join(each.__name__ for each in lowers)
                    raise _wrong(value, f"one of {names}")
                cls = bases[0]
            return lowers[cls](value)

        return lift_variant, lower_variant

    return Shape(make)


def _case_lift(cls: Any, lift: _Convert, payload: bool) -> Callable[[Any], Any]:
    if not payload:
        return lambda _: cls()
    if lift is None:
        return cls  # type: ignore[no-any-return]
    step = lift
    return lambda value: cls(step(value))


def _case_lower(tag: str, lower: _Convert, payload: bool) -> Callable[[Any], Any]:
    if not payload:
        return lambda _: _NativeVariant(tag)
    step = lower or _same
    return lambda value: _NativeVariant(tag, step(value.value))


def enum(*members: tuple[str, Any]) -> Shape:
    """An enum, whose cases are the members of an `enum.Enum`.

    Args:
        members: For each case, its name in WIT, and the member.
    """
    by_name = dict(members)
    names = {member: name for name, member in members}
    cls = type(members[0][1]).__name__

    def lower(value: Any) -> Any:
        try:
            return names[value]
        except (KeyError, TypeError):
            raise _wrong(value, cls) from None

    return Shape(lambda bound: (by_name.__getitem__, lower))


def flags(*members: tuple[str, Any]) -> Shape:
    """Flags, which are the members of an `enum.Flag`.

    Args:
        members: For each flag, its name in WIT, and the member.
    """
    by_name = dict(members)
    cls: Any = type(members[0][1]) if members else None

    def lift(value: Any) -> Any:
        result = cls(0)
        for name in value:
            result |= by_name[name]
        return result

    def lower(value: Any) -> Any:
        if not isinstance(value, cls):
            raise _wrong(value, cls.__name__)
        return {name for name, member in members if member in value}

    return Shape(lambda bound: (lift, lower))


def list_of(element: Shape) -> Shape:
    """A list.

    Args:
        element: The shape of the elements.
    """

    def make(bound: _Bound) -> tuple[_Convert, _Convert]:
        lift, lower = bound.conversions(element)
        return _each(lift), _each(lower)

    return Shape(make)


def _each(step: _Convert) -> _Convert:
    if step is None:
        return None
    convert = step
    return lambda values: [convert(value) for value in values]


def map_of(key: Shape, value: Shape) -> Shape:
    """A map.

    Args:
        key: The shape of the keys.
        value: The shape of the values.
    """

    def both(key: _Convert, value: _Convert) -> _Convert:
        if key is None and value is None:
            return None
        first, second = key or _same, value or _same
        return lambda values: {first(name): second(part) for name, part in values.items()}

    def make(bound: _Bound) -> tuple[_Convert, _Convert]:
        keys, values = bound.conversions(key), bound.conversions(value)
        return both(keys[0], values[0]), both(keys[1], values[1])

    return Shape(make)


def tuple_of(*elements: Shape) -> Shape:
    """A tuple.

    Args:
        elements: The shapes of the elements.
    """

    def all_of(steps: Sequence[_Convert]) -> _Convert:
        if not any(steps):
            return None
        converts = [step or _same for step in steps]

        def convert(values: Any) -> Any:
            if len(values) != len(converts):
                raise TypeError(f"expected a tuple of {len(converts)} elements, got {len(values)}")
            return tuple([step(value) for step, value in zip(converts, values)])

        return convert

    def make(bound: _Bound) -> tuple[_Convert, _Convert]:
        lifts, lowers = zip(*(bound.conversions(shape) for shape in elements))
        return all_of(lifts), all_of(lowers)

    return Shape(make)


def option_of(payload: Shape) -> Shape:
    """An option of what is not an option itself: None, or the payload.

    Args:
        payload: The payload's shape.
    """

    def maybe(step: _Convert) -> _Convert:
        if step is None:
            return None
        convert = step
        return lambda value: None if value is None else convert(value)

    def make(bound: _Bound) -> tuple[_Convert, _Convert]:
        lift, lower = bound.conversions(payload)
        return maybe(lift), maybe(lower)

    return Shape(make, nullable=True)


def option_of_option(payload: Shape, some: Any) -> Shape:
    """An option of an option: None, or the payload in a `Some`.

    Args:
        payload: The shape of the inner option.
        some: The class `Some`.
    """
    # Where the inner None could be taken for the outer one, the component's value has a tag.
    tagged = payload.nullable

    def make(bound: _Bound) -> tuple[_Convert, _Convert]:
        lift, lower = (each or _same for each in bound.conversions(payload))

        def lift_option(value: Any) -> Any:
            if tagged:
                return some(lift(value.payload)) if value.tag == "some" else None
            return None if value is None else some(lift(value))

        def lower_option(value: Any) -> Any:
            if value is None:
                return _NativeVariant("none") if tagged else None
            if not isinstance(value, some):
                raise _wrong(value, "Some or None")
            inner = lower(value.value)
            return _NativeVariant("some", inner) if tagged else inner

        return lift_option, lower_option

    return Shape(make, nullable=not tagged)


def result_of(ok: Shape, err: Shape, ok_class: Any, err_class: Any) -> Shape:
    """A result.

    Args:
        ok: The shape of the value.
        err: The shape of the error.
        ok_class: The class `Ok`.
        err_class: The class `Err`.
    """

    def make(bound: _Bound) -> tuple[_Convert, _Convert]:
        lift_ok, lower_ok = (each or _same for each in bound.conversions(ok))
        lift_err, lower_err = (each or _same for each in bound.conversions(err))

        def lift(value: Any) -> Any:
            if value.tag == "ok":
                return ok_class(lift_ok(value.payload))
            return err_class(lift_err(value.payload))

        def lower(value: Any) -> Any:
            if isinstance(value, ok_class):
                inner: Any = value.value
                return _NativeOk(None if inner is None and ok is PLAIN else lower_ok(inner))
            if isinstance(value, err_class):
                inner = value.value
                return _NativeErr(None if inner is None and err is PLAIN else lower_err(inner))
            raise _wrong(value, "Ok or Err")

        return lift, lower

    return Shape(make)


def resource(cls: type[Resource], own: bool = False) -> Shape:
    """A handle to a resource that the component provides.

    Args:
        cls: Its class.
        own: Whether the handle is an own one.
    """

    def make(bound: _Bound) -> tuple[_Convert, _Convert]:
        bound_class = bound.bind(cls)

        def lower(value: Any) -> Any:
            if isinstance(value, Resource) and isinstance(value, cls):
                handle = value._use()
                if own:
                    value._handle = None
                    bound.moving.append((value, handle))
                return handle
            if isinstance(value, ResourceAny):
                return value
            raise _wrong(value, cls.__name__)

        return bound_class._wrap, lower

    return Shape(make)


def host_resource(name: str, own: bool) -> Shape:
    """A handle to a resource that the host provides: the object itself.

    Args:
        name: Interface and name of the resource.
        own: Whether the handle is an own one.
    """

    def make(bound: _Bound) -> tuple[_Convert, _Convert]:
        number = bound.component.resource_number(name)
        if number is None:
            return None, None  # the library provides it

        def lower(value: Any) -> Any:
            if isinstance(value, (ResourceAny, ResourceHost)):
                return value
            table = _table(bound.store)
            if own:
                return ResourceHost.own(table.add(value), number)
            known = table.numbers.get(id(value))
            return ResourceHost.borrow(table.add(value) if known is None else known, number)

        return None, lower

    return Shape(make)


def _wrong(value: Any, wanted: str) -> TypeError:
    return TypeError(f"expected {wanted}, got {type(value).__name__}")


# --- functions -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Signature:
    """How the parameters and the result of a function are converted."""

    params: list[Shape]
    result: Shape


def signature(params: list[Shape], result: Shape) -> _Signature:
    """An exported function whose values need converting.

    Args:
        params: The shapes of the parameters.
        result: The shape of the result.
    """
    return _Signature(params, result)


@dataclass(frozen=True)
class _Import:
    """An imported function.

    Attributes:
        find: Given the object that implements the interface, the callable.
        name: What to look for, in words.
        signature: How values are converted.
    """

    find: Callable[[Any], Callable[..., Any]]
    name: str
    signature: _Signature


def function(name: str, params: list[Shape], result: Shape) -> _Import:
    """An imported function that a method implements."""
    return _Import(attrgetter(name), name, _Signature(params, result))


def constructor(cls: str, params: list[Shape], result: Shape) -> _Import:
    """The constructor of a resource, which a class implements."""
    return _Import(attrgetter(cls), cls, _Signature(params, result))


def static(cls: str, name: str, params: list[Shape], result: Shape) -> _Import:
    """A static function of a resource, which a static or class method implements."""
    return _Import(attrgetter(f"{cls}.{name}"), f"{cls}.{name}", _Signature(params, result))


def method(name: str, params: list[Shape], result: Shape) -> _Import:
    """A method of a resource, which a method of the resource's object implements."""

    def call(this: Any, *arguments: Any) -> Any:
        return getattr(this, name)(*arguments)

    return _Import(lambda implementation: call, name, _Signature([PLAIN, *params], result))


@dataclass(frozen=True)
class _Interface:
    """An imported interface."""

    name: str
    field: str
    functions: Mapping[str, _Import]
    resources: Sequence[str]
    by_library: bool


def interface(
    name: str,
    field: str,
    functions: Mapping[str, _Import],
    resources: Sequence[str] = (),
    by_library: bool = False,
) -> _Interface:
    """An imported interface, or what is imported at the top level.

    Args:
        name: Its name; empty for the top level.
        field: The field of the class of imports that implements it.
        functions: Its functions, by their names.
        resources: The names of its resources.
        by_library: Whether the library provides it when the field is None.
    """
    return _Interface(name, field, functions, resources, by_library)


# --- compiling -----------------------------------------------------------------------------------


def _read(package: Optional[str], file: str) -> bytes:
    binary = get_data(package or "", file)
    if binary is None:
        raise WasmtimeError(
            f"{file!r} cannot be read from the package {package!r}: its loader has no get_data()"
        )
    return binary


def compile_component(engine: Engine, binary: bytes, cache: CacheOption) -> Component:
    """Compile a component, or take it from a cache."""
    return Component._cached(engine, binary, cache)


def compile_module(engine: Engine, binary: bytes, cache: CacheOption) -> Module:
    """Compile a module, or take it from a cache."""
    return Module._cached(engine, binary, cache)


# --- components ----------------------------------------------------------------------------------


@dataclass
class EmbeddedComponent:
    """The component of a generated package.

    Attributes:
        package: The package's name.
        file: The component's file in it.
        imports: What it imports.
        exports: Its exported functions that need converting, by interface and name.
        cache: Where to keep compiled code, as for `Component.from_file`.
    """

    package: Optional[str]
    file: str
    imports: Sequence[_Interface] = ()
    exports: Mapping[str, Mapping[str, _Signature]] = field(default_factory=dict)
    cache: CacheOption = False

    def __post_init__(self) -> None:
        self._compiled: weakref.WeakKeyDictionary[Engine, Component] = weakref.WeakKeyDictionary()
        self._numbers: dict[str, int] = {}

    def compile(self, engine: Engine) -> Component:
        """The component, compiled once for each engine."""
        component = self._compiled.get(engine)
        if component is None:
            component = self._load(engine)
            self._compiled[engine] = component
        return component

    def _load(self, engine: Engine) -> Component:
        return compile_component(engine, _read(self.package, self.file), self.cache)

    def resource_number(self, name: str) -> Optional[int]:
        """The number of the type of a resource that the host provides, None if it is another's."""
        return self._numbers.get(name)

    def instantiate(
        self, store: Store, imports: Any, component: Optional[Component] = None
    ) -> _Bound:
        """Instantiate the component.

        Args:
            store: The store to instantiate in.
            imports: The object of the class of imports, or None.
            component: Another component of the same world to instantiate instead.

        Raises:
            WasmtimeError: An import is missing or cannot be linked.
            TypeError: An import's implementation lacks a function.
        """
        if component is None:
            component = self.compile(store.engine)
        bound = _Bound(self, store)
        linker = Linker(store.engine)
        given: list[tuple[_Interface, Any]] = []
        left: list[_Interface] = []
        for each in self.imports:
            implementation = getattr(imports, each.field, None)
            if implementation is not None or not each.by_library:
                given.append((each, implementation))
            else:
                left.append(each)
        # Another component of the same world may use WASI by itself.
        wasi = {name for name in component.imports if name.startswith("wasi:")}
        if left or wasi.difference(each.name for each, _ in given):
            linker.add_wasip2()
            if any(name.startswith("wasi:http/") for name in wasi):
                linker.add_wasi_http()
            linker.allow_shadowing = True
        for each, _ in given:
            for name in each.resources:
                self._numbers.setdefault(f"{each.name}#{name}", next(_type_numbers))
        with linker.root() as root:
            for each, implementation in given:
                if not each.name:
                    bound.define(root, each, implementation)
                    continue
                with root.add_instance(each.name) as inner:
                    bound.define(inner, each, implementation)
        bound.instance = linker.instantiate(store, component)
        return bound


def instance_of(root: Any) -> _Bound:
    """What the object of a generated class for a component wraps."""
    instance: _Bound = root._instance
    return instance


class _Bound:
    """An instance of a component: its functions, with conversions."""

    instance: Instance

    def __init__(self, component: EmbeddedComponent, store: Store) -> None:
        self.component = component
        self.store = store
        #: Resources that the call at hand gives away.
        self.moving: list[tuple[Resource, Any]] = []
        self._conversions: dict[Shape, tuple[_Convert, _Convert]] = {}
        self._classes: dict[type[Resource], type[Resource]] = {}
        self._interfaces: dict[Any, Any] = {}
        self._functions: dict[str, dict[str, Callable[..., Any]]] = {}

    def conversions(self, shape: Shape) -> tuple[_Convert, _Convert]:
        """The conversions of a shape for this instance."""
        if shape not in self._conversions:
            self._conversions[shape] = shape.make(self)
        return self._conversions[shape]

    def interface(self, cls: Callable[[Any], _T], root: Any) -> _T:
        """The one object for an exported interface."""
        if cls not in self._interfaces:
            self._interfaces[cls] = cls(root)
        found: _T = self._interfaces[cls]
        return found

    def bind(self, cls: type[_R]) -> type[_R]:
        """The class of a resource, for this instance."""
        if cls not in self._classes:
            interface, _, _ = cls._wit_name.partition("#")
            namespace = {
                "__module__": cls.__module__,
                "__qualname__": cls.__qualname__,
                "__doc__": cls.__doc__,
                "_bound": self,
                "_functions": self.functions(interface),
            }
            self._classes[cls] = type(cls.__name__, (cls,), namespace)
        return self._classes[cls]  # type: ignore[return-value]

    def functions(self, interface: str) -> Mapping[str, Callable[..., Any]]:
        """The functions of an exported interface, or of the top level, by name."""
        if interface in self._functions:
            return self._functions[interface]
        result = self._functions[interface] = {}
        exports: Any = self.instance.exports(self.store)
        signatures = self.component.exports.get(interface, {})
        try:
            found_exports = exports[interface] if interface else exports
        except KeyError:
            raise WasmtimeError(
                f"the component does not export the interface {interface!r}: it is not of the "
                "world that this package was generated from"
            ) from None
        for name, native in found_exports.items():
            if callable(native):
                found = signatures.get(name)
                result[name] = native if found is None else self._converting(native, found)
        return result

    def _converting(self, native: Any, signature: _Signature) -> Callable[..., Any]:
        lift = self.conversions(signature.result)[0]
        lowers = [self.conversions(shape)[1] for shape in signature.params]
        if not any(lowers):
            if lift is None:
                return native  # type: ignore[no-any-return]
            convert = lift
            return lambda store, *arguments: convert(native(store, *arguments))
        steps = [step or _same for step in lowers]
        finish = lift or _same

        def call(store: Any, *arguments: Any) -> Any:
            moving = self.moving = []
            try:
                lowered = [step(value) for step, value in zip(steps, arguments)]
                if len(lowered) != len(arguments):
                    lowered.extend(arguments[len(lowered) :])  # too many: for the error
                result = native(store, *lowered)
            except (TypeError, ValueError, OverflowError, AttributeError):
                # An argument was refused, so that none was given away.
                for value, handle in moving:
                    value._handle = handle
                raise
            return finish(result)

        return call

    def define(self, linker: Any, interface: _Interface, implementation: Any) -> None:
        """Define the items of an imported interface."""
        for name in interface.resources:
            number = self.component.resource_number(f"{interface.name}#{name}")
            assert number is not None
            linker.add_resource(name, ResourceType.host(number), destroy)
        for name, wanted in interface.functions.items():
            linker._define(name, self._implementing(wanted, interface, implementation), True, False)

    def _implementing(
        self, wanted: _Import, interface: _Interface, implementation: Any
    ) -> Callable[..., Any]:
        lifts = [self.conversions(shape)[0] for shape in wanted.signature.params]
        lower = self.conversions(wanted.signature.result)[1]
        # Looked up for each call, so that a method can be replaced while the instance lives; but
        # an object without it is refused at once.
        find = wanted.find
        try:
            find(implementation)
        except AttributeError:
            raise TypeError(
                f"the import {interface.field!r} is implemented by "
                f"{type(implementation).__name__!r}, which has no {wanted.name!r}"
            ) from None
        if not any(lifts) and lower is None:
            return lambda *arguments: find(implementation)(*arguments)
        steps = [step or _same for step in lifts]
        finish = lower or _same

        def call(*arguments: Any) -> Any:
            lifted = [step(value) for step, value in zip(steps, arguments)]
            return finish(find(implementation)(*lifted))

        return call


@dataclass
class EmbeddedModule:
    """The core module of a generated package.

    Attributes:
        package: The package's name.
        file: The module's file in it.
        imports: For each module that it imports from, the field of the class of imports, and the
            attribute for each name.
        cache: Where to keep compiled code, as for `Module.from_file`.
    """

    package: Optional[str]
    file: str
    imports: Mapping[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    cache: CacheOption = False

    def __post_init__(self) -> None:
        self._compiled: weakref.WeakKeyDictionary[Engine, Module] = weakref.WeakKeyDictionary()

    def compile(self, engine: Engine) -> Module:
        """The module, compiled once for each engine."""
        module = self._compiled.get(engine)
        if module is None:
            binary = _read(self.package, self.file)
            module = compile_module(engine, binary, self.cache)
            self._compiled[engine] = module
        return module

    def instantiate(self, store: Store, imports: Any) -> Mapping[str, Any]:
        """Instantiate the module.

        Args:
            store: The store to instantiate in. What the module imports of WASI comes from its
                `WasiConfig`.
            imports: The object of the class of imports, or None.

        Returns:
            The exports by name.

        Raises:
            WasmtimeError: An import is of a wrong type.
            TypeError: An import's implementation lacks something.
        """
        module = self.compile(store.engine)
        linker = CoreLinker(store.engine)
        for entry in module.imports:
            if entry.module not in self.imports:
                continue
            attribute, names = self.imports[entry.module]
            implementation = getattr(imports, attribute)
            try:
                item = getattr(implementation, names[entry.name or ""])
            except AttributeError:
                raise TypeError(
                    f"the import {attribute!r} is implemented by "
                    f"{type(implementation).__name__!r}, which has no {names[entry.name or '']!r}"
                ) from None
            if isinstance(entry.type, FuncType) and not isinstance(item, Func):
                item = Func(store, entry.type, item)
            linker.define(store, entry.module, entry.name or "", item)
        if module._imports_wasi:
            linker.define_wasi()
        exports = linker.instantiate(store, module).exports(store)
        return {name: exports[name] for name in exports}


class Resource:
    """Base of the classes of resources that a component provides.

    An object is a handle: what it stands for lives in the component until `drop` is called, the
    handle is given away, or the store is closed. In a ``with`` statement it is dropped at the end.
    Using it afterwards raises WasmtimeError.
    """

    _bound: ClassVar[Any]
    _functions: ClassVar[Mapping[str, Callable[..., Any]]]
    #: Interface and name of the resource.
    _wit_name: ClassVar[str] = ""
    _handle: Any

    def __init_subclass__(cls, wit: str = "", **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if wit:
            cls._wit_name = wit

    def __init__(self, *arguments: Any) -> None:
        raise TypeError(f"{type(self).__name__} has no constructor: the component makes them")

    def _construct(self, name: str, store: Any, *arguments: Any) -> None:
        functions = getattr(type(self), "_functions", None)
        if functions is None:
            raise TypeError(
                f"{type(self).__name__} belongs to an instance of its component: take the class "
                "from the object of the interface"
            )
        made: Resource = functions[name](store, *arguments)
        self._handle, made._handle = made._handle, None

    @classmethod
    def _wrap(cls: type[_R], handle: Any) -> _R:
        self = cls.__new__(cls)
        self._handle = handle
        return self

    def drop(self, caller: Any) -> None:
        """Give the resource up; its destructor runs in the component.

        Args:
            caller: The store that it lives in.

        Raises:
            WasmtimeError: It was dropped or given away before.
        """
        self._use().drop(caller)
        self._handle = None

    def _use(self) -> Any:
        if self._handle is None:
            raise WasmtimeError(
                f"this {type(self).__name__} was dropped, or given away as an argument"
            )
        return self._handle

    def __enter__(self: _R) -> _R:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._handle is not None:
            Resource.drop(self, self._bound.store)


_R = TypeVar("_R", bound=Resource)
