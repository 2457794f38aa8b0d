"""A host of plug-ins that it does not trust, on as many threads as it likes.

Each call gets a store with limits. A plug-in that computes for ever, allocates without end, talks
without end or runs wild costs its host a failed call and nothing else.

What this does not bound is the time that compiling takes: compile plug-ins when they are installed.
"""

from __future__ import annotations

import threading
from types import TracebackType

from wasmtime import (
    Caller,
    Config,
    Engine,
    Func,
    FuncType,
    Linker,
    Memory,
    Module,
    Store,
    Trap,
    TrapCode,
    ValType,
    WasmtimeError,
)

I32 = ValType.i32()

#: How much a call may compute: the same on every machine.
FUEL = 1_000_000
#: How long it may take: so many ticks of the clock, each of so many seconds.
TICKS, TICK = 20, 0.05
#: What its store may allocate: one memory of so many bytes, one table of so many elements.
MEMORY, TABLE = 1 << 20, 1000
#: How many bytes of what it says are kept.
SPEECH = 1000


class PluginHost:
    """Calls plug-ins, from any number of threads at once.

    A deadline is a number of ticks of the engine's epoch, and all stores of an engine have the
    same epoch. So there is one clock for the engine. A timer for each call that moved the epoch
    would end the calls of everybody else.
    """

    def __init__(self) -> None:
        """Start the clock."""
        config = Config()
        config.consume_fuel = True
        config.epoch_interruption = True  # a store without a deadline is not run at all
        self.engine = Engine(config)
        self._closed = threading.Event()
        self._clock = threading.Thread(target=self._tick, name="plug-in clock", daemon=True)
        self._clock.start()

    def _tick(self) -> None:
        while not self._closed.wait(TICK):
            self.engine.increment_epoch()

    def __enter__(self) -> PluginHost:
        """Stop the clock at the end of a ``with`` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the clock."""
        self._closed.set()
        self._clock.join()

    def apply(self, module: Module, number: int, fuel: int = FUEL) -> tuple[int, bytes]:
        """Call a plug-in: its result, and what it said.

        Raises:
            WasmtimeError: It is not what a plug-in should be, or asks for too much.
            Trap: It was stopped.
        """
        said = bytearray()

        def say(caller: Caller, start: int, length: int) -> None:
            memory = caller.get("memory")
            if not isinstance(memory, Memory):
                raise WasmtimeError("it says something, and exports no memory")
            # Addresses come as signed numbers. No more is read than there is room for.
            start, length = start & 0xFFFFFFFF, length & 0xFFFFFFFF
            length = min(length, SPEECH - len(said))
            said.extend(memory.read(caller, start, start + length))

        with Store(self.engine) as store:
            store.set_fuel(fuel)
            store.set_epoch_deadline(TICKS)
            store.set_limits(
                memory_size=MEMORY, memories=1, table_elements=TABLE, tables=1, instances=1
            )
            # No WASI: a plug-in could sleep there for as long as it likes.
            linker = Linker(self.engine)
            linker.define_func("host", "say", FuncType([I32, I32], []), say, access_caller=True)
            apply = linker.instantiate(store, module).exports(store).get("apply")
            if not isinstance(apply, Func) or apply.type(store) != FuncType([I32], [I32]):
                raise WasmtimeError("it has no function apply(i32) -> i32")
            result: int = apply(store, number)
        return result, bytes(said)


APPLY = '(func $apply (export "apply") (param i32) (result i32)'
MORE_FUEL = 1 << 50
PLUGINS = {
    "square": (f"{APPLY} (i32.mul (local.get 0) (local.get 0)))", FUEL),
    "spinner": (f"{APPLY} (loop (br 0)) (i32.const 0))", FUEL),
    "dawdler": (f"{APPLY} (loop (br 0)) (i32.const 0))", MORE_FUEL),
    "hoarder": (
        f"""(memory 1) {APPLY}
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (memory.size))""",
        FUEL,
    ),
    "piler": (
        f"""(table 0 externref) {APPLY}
        (loop $more (br_if $more
            (i32.ne (table.grow (ref.null extern) (i32.const 100)) (i32.const -1))))
        (table.size))""",
        FUEL,
    ),
    "talker": (
        f"""(import "host" "say" (func $say (param i32 i32))) (memory (export "memory") 1) {APPLY}
        (loop $more (call $say (i32.const 0) (i32.const -1)) (br $more)) (i32.const 0))""",
        FUEL,
    ),
    "greeter": (
        f"""(import "host" "say" (func $say (param i32 i32))) (memory (export "memory") 1)
        (data (i32.const 16) "Hello") {APPLY}
        (call $say (i32.const 16) (i32.const 5)) (local.get 0))""",
        FUEL,
    ),
    "giant": (f"(memory 1000) {APPLY} (i32.const 0))", FUEL),
    "divider": (f"{APPLY} (i32.div_s (i32.const 1) (i32.const 0)))", FUEL),
    "diver": (f"{APPLY} (call $apply (local.get 0)))", FUEL),
    "impostor": ('(global (export "apply") i32 (i32.const 0))', FUEL),
    "curious": (f'(import "env" "secret" (func)) {APPLY} (i32.const 0))', FUEL),
}


def main() -> None:
    with PluginHost() as host:
        for name, (text, fuel) in PLUGINS.items():
            module = Module(host.engine, f"(module {text})")
            try:
                result, said = host.apply(module, 12, fuel)
                print(f"{name}: {result}" + (f", {said!r}" if said else ""))
            except Trap as trap:
                code = trap.trap_code or TrapCode.INTERRUPT
                print(f"{name}: stopped, {code.name.lower()}")
            except WasmtimeError as error:
                print(f"{name}: refused, {error}")


if __name__ == "__main__":
    main()
