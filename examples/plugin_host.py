"""
A host of plug-ins that it does not trust: each gets a store with limits, and one that computes for
ever, allocates without end or runs wild costs its host a failed call and nothing else.
"""

import threading

from wasmtime import Config, Engine, Linker, Module, Store, Trap, TrapCode, WasmtimeError

FUEL = 1_000_000
MORE_FUEL = 1 << 50
MEMORY = 1 << 20
SECONDS = 1.0

APPLY = '(func $apply (export "apply") (param i32) (result i32)'
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
    "giant": (f"(memory 1000) {APPLY} (i32.const 0))", FUEL),
    "divider": (f"{APPLY} (i32.div_s (i32.const 1) (i32.const 0)))", FUEL),
    "diver": (f"{APPLY} (call $apply (local.get 0)))", FUEL),
    "curious": (f'(import "env" "secret" (func)) {APPLY} (i32.const 0))', FUEL),
}


def engine_for_plugins() -> Engine:
    config = Config()
    config.consume_fuel = True  # bounds how much is computed, the same on every machine
    config.epoch_interruption = True  # bounds how long it takes
    return Engine(config)


def apply(engine: Engine, module: Module, number: int, fuel: int) -> int:
    store = Store(engine)
    store.set_fuel(fuel)
    store.set_limits(memory_size=MEMORY, instances=1, memories=1, tables=1)
    store.set_epoch_deadline(1)
    alarm = threading.Timer(SECONDS, engine.increment_epoch)
    alarm.start()
    try:
        exports = Linker(engine).instantiate(store, module).exports(store)
        result: int = exports["apply"](store, number)
        return result
    finally:
        alarm.cancel()
        alarm.join()  # not that it rings for the next plug-in
        store.close()


def main() -> None:
    engine = engine_for_plugins()
    for name, (text, fuel) in PLUGINS.items():
        module = Module(engine, f"(module {text})")
        try:
            print(f"{name}: {apply(engine, module, 12, fuel)}")
        except Trap as trap:
            code = trap.trap_code or TrapCode.INTERRUPT
            print(f"{name}: stopped, {code.name.lower()}")
        except WasmtimeError as error:
            print(f"{name}: refused, {error}")


if __name__ == "__main__":
    main()
