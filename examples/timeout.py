"""Interrupting runaway code.

It is stopped after a time, by a decision of the host at each tick of a clock, or by a signal such
as Ctrl-C.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from wasmtime import Config, Engine, Instance, Module, Store, Trap, TrapCode

SPIN = '(module (func (export "spin") (loop (br 0))))'


@contextmanager
def clock(engine: Engine, seconds: float) -> Iterator[None]:
    """Move the engine's epoch every so often.

    All stores of an engine have the same epoch, so an engine has one clock, however many calls
    there are: deadlines are counted in its ticks.
    """
    done = threading.Event()

    def tick() -> None:
        while not done.wait(seconds):
            engine.increment_epoch()

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def after_a_time(engine: Engine, module: Module) -> None:
    store = Store(engine)
    spin = Instance(store, module, []).exports(store).get_func("spin")
    store.set_epoch_deadline(5)
    started = time.monotonic()
    try:
        spin(store)
    except Trap as trap:
        interrupted = trap.trap_code == TrapCode.INTERRUPT
        print(f"stopped: {interrupted}, in time: {time.monotonic() - started < 5}")


def by_a_decision(engine: Engine, module: Module) -> None:
    store = Store(engine)
    spin = Instance(store, module, []).exports(store).get_func("spin")
    asked = []

    def decide() -> int:
        asked.append(time.monotonic())
        if len(asked) == 3:
            raise TimeoutError(f"enough after {len(asked)} ticks")
        return 1  # go on for one tick more

    store.set_epoch_deadline(1)
    store.set_epoch_deadline_callback(decide)
    try:
        spin(store)
    except TimeoutError as error:
        print(f"stopped: {error}")


def by_a_signal(module: Module, engine: Engine) -> None:
    if not hasattr(signal, "setitimer"):
        print("stopped: Alarm (not tried: this platform has no timers that send signals)")
        return

    class Alarm(Exception):
        pass

    def ring(number: int, frame: object) -> None:
        raise Alarm

    store = Store(engine)
    spin = Instance(store, module, []).exports(store).get_func("spin")
    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        spin(store)
    except Alarm:
        # KeyboardInterrupt, which Ctrl-C raises, arrives in the same way.
        print("stopped: Alarm")
    finally:
        signal.signal(signal.SIGALRM, previous)


def main() -> None:
    config = Config()
    config.epoch_interruption = True
    engine = Engine(config)
    module = Module(engine, SPIN)
    with clock(engine, 0.02):
        after_a_time(engine, module)
        by_a_decision(engine, module)

    default = Engine()  # nothing needs to be configured for signals
    by_a_signal(Module(default, SPIN), default)


if __name__ == "__main__":
    main()
