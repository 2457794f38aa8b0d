"""Code with its imports resolved: what is instantiated for each run.

It serves any number of runs at once, each with a store of its own. What has no functions of the
host is shared by all objects of the process; what has some lives with them (`HostFunctions`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

from .. import Engine, Func, Linker, Memory, Module, Store
from .engines import Compiled, Recent, compiled_code, preferred
from .functions import HostFunctions, define_component, define_core
from .source import Code
from .steps import Step, Steps, calling

if TYPE_CHECKING:
    from .._snapshots.rewrite import Prepared
    from .._snapshots.state import State
    from ..component import Component
    from .limits import ResourceLimits

__all__ = ["Linked", "LinkedComponent", "LinkedModule", "Made", "link"]

#: Where programs that use WASI preview 1 import it from.
PREVIEW1 = "wasi_snapshot_preview1"


class Made(NamedTuple):
    """An instance that has run nothing.

    Attributes:
        instance: The instance.
        is_renewable: Whether it can be given the same state once more, when it has run.
    """

    instance: Any
    is_renewable: bool = False


class LinkedModule:
    """A core module with its imports resolved.

    Args:
        module: The module.
        functions: What the host gives it.
        prepared: What was added to it, so that snapshots can be taken.

    Raises:
        SandboxError: It does not import what the host gives.
    """

    def __init__(
        self, module: Module, functions: HostFunctions, prepared: Optional[Prepared] = None
    ) -> None:
        self.compiled = module
        self.engine: Engine = module.engine
        self.uses_wasi = any(each.module == PREVIEW1 for each in module.imports)
        self.has_unguarded = False
        # What a function of the host was shown of an instance, it may keep.
        self._shows_itself = bool(functions)
        self.memories = 1  # as far as is known: see Execution
        self.prepared = prepared
        #: Elements of a table of ours, which no limit of the guest's is for.
        self.own_elements = 0 if prepared is None else len(prepared.functions)
        self.displacement = 0 if prepared is None else prepared.displacement
        self._exports = [each.name for each in module.exports]
        self.is_program = "_start" in self._exports
        self.is_reactor = "_initialize" in self._exports and not self.is_program
        self._linker = Linker(self.engine)
        self._linker.define_wasi()
        define_core(self._linker, module, functions)
        # Imports may be missing, which is what a run reports: it is not refused here.
        self._pre: Any = None
        self._memories: Optional[list[str]] = None

    @property
    def linker(self) -> Linker:
        """The linker that resolves the imports."""
        return self._linker

    def instantiating(self, store: Store, state: Optional[State] = None) -> Steps[Made]:
        """A new instance; raises what `Linker.instantiate` raises.

        Args:
            store: The store.
            state: What the instance begins with, of a snapshot of the same code.
        """
        instance, is_renewable = (yield self._instantiation(store)), False
        if self._pre is None:
            self._pre = self._linker.instantiate_pre(self.compiled)
        if self.prepared is not None:
            if state is not None:
                from .._snapshots.restore import restore

                is_renewable = restore(self.prepared, state, store, instance)
            elif self.prepared.has_start:
                yield calling(instance.exports(store)[self.prepared.named("start")], store)
        return Made(instance, is_renewable and not self._shows_itself)

    def _instantiation(self, store: Store) -> Step:
        pre, linker = self._pre, self._linker
        if pre is None:
            return Step(linker.instantiate, linker.instantiate_async, (store, self.compiled))
        return Step(pre.instantiate, pre.instantiate_async, (store,))

    def hides(self, name: str) -> bool:
        """Whether an export is not the guest's own, but was added to it."""
        return self.prepared is not None and name.startswith(self.prepared.prefix)

    def memory_size(self, store: Store, instance: Any) -> Optional[int]:
        """Bytes of the memories that an instance exports, None if there are none."""
        exports = instance.exports(store)
        if self._memories is None:
            names = self._exports
            if self.prepared is not None:  # which exports each memory once under a name of ours
                count = len(self.prepared.layout.memories)
                names = [self.prepared.named("memory", index) for index in range(count)]
            self._memories = [name for name in names if isinstance(exports[name], Memory)]
        if not self._memories:
            return None
        total: int = sum(exports[name].data_len(store) for name in self._memories)
        return total

    def entry(self, store: Store, instance: Any) -> Func:
        """The function that runs it as a program."""
        start: Func = instance.exports(store)["_start"]
        return start

    @staticmethod
    def exit_code(returned: Any) -> int:
        """The exit status of a program that returned."""
        return 0


class LinkedComponent:
    """A component with its imports resolved, as `LinkedModule`."""

    uses_wasi = True
    is_reactor = False
    own_elements = displacement = 0

    def __init__(self, component: Component, functions: HostFunctions) -> None:
        from ..component import Linker as ComponentLinker

        self.compiled = component
        self.engine: Engine = component.engine
        self.memories = 1
        self.has_unguarded = any(isinstance(each, type) for each in _parts(functions))
        self._linker = ComponentLinker(self.engine)
        self._linker.allow_shadowing = True
        self._linker.add_wasip2()
        runs = [name for name in component.exports if name.startswith("wasi:cli/run@")]
        self._run, self.is_program = "".join(runs[:1]), bool(runs)
        self.uses_http = any(name.startswith("wasi:http") for name in component.imports)
        if self.uses_http:
            self._linker.add_wasi_http()
        define_component(self._linker, component, functions)

    def instantiating(self, store: Store, state: Optional[State] = None) -> Steps[Made]:
        """A new instance; raises what `component.Linker.instantiate` raises."""
        linker = self._linker
        instance = yield Step(linker.instantiate, linker.instantiate_async, (store, self.compiled))
        return Made(instance)

    def hides(self, name: str) -> bool:
        """False: nothing was added to it."""
        return False

    def memory_size(self, store: Store, instance: Any) -> Optional[int]:
        """None: the C API shows no memory of a component."""
        return None

    def entry(self, store: Store, instance: Any) -> Any:
        """The function that runs it as a program."""
        return instance.exports(store)[self._run]["run"]

    @staticmethod
    def exit_code(returned: Any) -> int:
        """The exit status of a program that returned."""
        from ..component import Err

        return 1 if isinstance(returned, Err) else 0


def _parts(functions: Mapping[str, Any]) -> Iterator[Any]:
    """What a `functions` argument is made of."""
    for value in functions.values():
        if isinstance(value, Mapping):
            yield from _parts(value)
        elif callable(value):
            yield value
        else:  # an object that implements an interface
            yield from vars(type(value)).values()


Linked = Union[LinkedModule, LinkedComponent]

_lock = threading.RLock()
_shared: Recent[Linked] = Recent(128)


def link(
    code: Code,
    limits: ResourceLimits,
    functions: HostFunctions,
    cache: Any,
    data: Optional[bytes] = None,
    pooled: bool = True,
) -> Linked:
    """Code with its imports resolved, compiled if need be.

    Args:
        code: The code.
        limits: What it is compiled for.
        functions: What the host gives it.
        cache: As `Module` takes it.
        data: The bytes of the code, if they are at hand.
        pooled: Whether instances may be taken from the pool, for code that gains by it.

    Raises:
        SandboxError: It is not accepted.
    """
    compiled = (preferred if pooled else compiled_code)(code, limits, cache, data)
    return _linked(compiled, functions, code.prepared)


def _linked(compiled: Compiled, functions: HostFunctions, prepared: Optional[Prepared]) -> Linked:
    """Compiled code with its imports resolved."""
    known: Any = functions.linked if functions else _shared
    with _lock:
        found: Optional[Linked] = known.get(compiled)
        if found is not None:
            return found
    made: Linked
    if isinstance(compiled, Module):
        made = LinkedModule(compiled, functions, prepared)
    else:
        made = LinkedComponent(compiled, functions)
    with _lock:
        if functions:
            functions.linked[compiled] = made
        else:
            _shared.keep(compiled, made)
    return made
