"""Threads: the compiled module is shared, each thread has a store of its own.

Python's global lock is released while WebAssembly runs, so the threads compute at the same time.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

from wasmtime import Engine, Func, FuncType, Instance, Module, Store, WasmtimeError

COUNT_PRIMES = """
(module
  (func (export "primes") (param $from i32) (param $to i32) (result i32)
    (local $n i32) (local $d i32) (local $count i32)
    (local.set $n (local.get $from))
    (loop $number
      (if (i32.lt_u (local.get $n) (local.get $to))
        (then
          (local.set $d (i32.const 2))
          (block $composite
            (loop $divisor
              (if (i32.le_u (i32.mul (local.get $d) (local.get $d)) (local.get $n))
                (then
                  (br_if $composite (i32.eqz (i32.rem_u (local.get $n) (local.get $d))))
                  (local.set $d (i32.add (local.get $d) (i32.const 1)))
                  (br $divisor))))
            (local.set $count (i32.add (local.get $count) (i32.const 1))))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br $number))))
    (local.get $count)))
"""

local = threading.local()


def count(module: Module, start: int, stop: int) -> int:
    if not hasattr(local, "primes"):
        store = Store(module.engine)
        exports = Instance(store, module, []).exports(store)
        local.primes = exports.get_func("primes").bind(store)
    primes: int = local.primes(start, stop)
    return primes


def main() -> None:
    module = Module(Engine(), COUNT_PRIMES)
    limit, step = 200_000, 10_000
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(
            lambda start: count(module, max(start, 2), start + step), range(0, limit, step)
        )
        print(f"{sum(parts)} primes below {limit}")

    # One store is for one thread at a time; a second one is told so.
    store = Store(module.engine)
    inside, finish = threading.Event(), threading.Event()

    def work() -> None:
        inside.set()
        finish.wait()

    busy_function = Func(store, FuncType([], []), work)
    busy = threading.Thread(target=busy_function, args=(store,))
    busy.start()
    inside.wait()
    try:
        busy_function(store)
    except WasmtimeError as error:
        print(str(error).split(":")[0])
    finish.set()
    busy.join()


if __name__ == "__main__":
    main()
