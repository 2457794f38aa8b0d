"""
Random sequences of statements over the public API, mostly wrong ones, across stores and engines:
whatever they do, the process survives. hypothesis shrinks the sequence that kills it.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import run_in_subprocess

DRIVER = """
import json

ENGINES, MODULES = [], []

def make():
    ENGINES[:] = [Engine(), Engine()]
    MODULES[:] = [Module(engine, text) for engine in ENGINES for text in TEXTS]

TEXTS = (
    '(module)',
    '(import "a" "f" (func $f (param i32) (result i32))) (memory (export "m") 1 3)'
    '(func (export "f") (param i32) (result i32) (call $f (local.get 0)))',
    '(func (export "f") (param externref funcref) (result funcref externref)'
    '  (local.get 1) (local.get 0)) (table (export "t") 1 5 externref)'
    '(table (export "u") 1 5 funcref) (global (export "g") (mut funcref) (ref.null func))',
    '(import "a" "m" (memory 1)) (import "a" "t" (table 1 externref))'
    '(import "a" "g" (global (mut i32))) (tag (export "e") (param i32))',
    '(func $x (export "f") (call $x)) (func (export "trap") unreachable)',
    '(import "a" "f" (func $f (param i32) (result i32))) (func $s (drop (call $f (i32.const 1))))'
    '(start $s)',
)
make()
I = ValType.I32
WRONG = [None, 0, 1, -1, 2**32, 2**64, -2**63, 1.5, float("nan"), "", "a", "f", "m", "\\ud800", b"",
         b"abc", [], (), object(), True, Val.i32(1), Val.externref("x"), Val.funcref(None),
         FuncType([], []), FuncType([I], [I]), GlobalType(I, True),
         GlobalType(ValType.FUNCREF, True),
         TableType(ValType.FUNCREF, Limits(1, 4)), TableType(ValType.EXTERNREF, Limits(1)),
         MemoryType(Limits(1, 2)), MemoryType(Limits(1, 2), shared=True), Limits(1),
         TagType(FuncType([I], [])),
         repr, len, Store, Func, Store.__new__(Store), Func.__new__(Func), Memory.__new__(Memory),
         Module.__new__(Module), Linker.__new__(Linker), Engine.__new__(Engine)]

class World:
    def __init__(self):
        self.things = []
        self.depth = 0
        try:
            for engine in ENGINES: self.things += [Store(engine), Linker(engine)]
        except ValueError:  # a program closed an engine
            make()
            self.__init__()

    def host(self, steps):
        def host(*arguments):
            self.things.extend(arguments[:3])
            if self.depth < 3 and steps:
                self.depth += 1
                try:
                    self.step(*steps.pop())
                finally:
                    self.depth -= 1
            if steps and steps[-1][0] % 7 == 0:
                raise [LookupError, Trap, KeyboardInterrupt][steps[-1][1] % 3]("raised")
            return 1
        return host

    def pick(self, number, wanted=None):
        everything = self.things + ENGINES + MODULES + WRONG
        if wanted is not None and number % 8:
            fitting = [thing for thing in everything if isinstance(thing, wanted)]
            if fitting:
                return fitting[number // 8 % len(fitting)]
        return everything[number // 8 % len(everything)]

    def step(self, op, a, b, c, d):
        W, p = self, self.pick
        store = lambda n: p(n, (Store, Caller))
        item = (Func, Memory, Table, Global, Tag)
        steps = [(op // 2, b, c, d, a), (a, c, d, b, op)]
        ops = [
            lambda: Store(p(a, Engine), p(b)),
            lambda: Linker(p(a, Engine)),
            lambda: Func(store(a), p(b, FuncType), W.host(steps), d % 2),
            lambda: Func(store(a), FuncType([I], [I]), W.host(steps), d % 2),
            lambda: Func(store(a), p(b, FuncType), p(c), d % 2),
            lambda: Memory(store(a), p(b, MemoryType)),
            lambda: Table(store(a), p(b, TableType), p(c)),
            lambda: Global(store(a), p(b, GlobalType), p(c)),
            lambda: Tag(store(a), p(b, TagType)),
            lambda: SharedMemory(p(a, Engine), p(b, MemoryType)),
            lambda: Instance(store(a), p(b, Module), [p(c, item)]),
            lambda: Instance(store(a), p(b, Module), []),
            lambda: Instance(store(a), p(b, Module), [p(c, item), p(d, item), p(c + d, item)]),
            lambda: p(a, Linker).define(store(b), "a", "fmtg"[c % 4], p(d, item)),
            lambda: p(a, Linker).define(store(b), p(c, str), p(c, str), p(d, item)),
            lambda: p(a, Linker).define_func("a", "f", FuncType([I], [I]), W.host(steps), d % 2),
            lambda: p(a, Linker).define_instance(store(b), "a", p(c, Instance)),
            lambda: p(a, Linker).define_module(store(b), "a", p(c, Module)),
            lambda: p(a, Linker).instantiate(store(b), p(c, Module)),
            lambda: p(a, Linker).instantiate_pre(p(b, Module)),
            lambda: p(a, InstancePre).instantiate(store(b)),
            lambda: p(a, Linker).get(store(b), "a", "fmtg"[c % 4]),
            lambda: p(a, Linker).get_default(store(b), "a"),
            lambda: setattr(p(a, Linker), "allow_shadowing", bool(b % 2)),
            lambda: p(a, Linker).define_unknown_imports_as_traps(p(b, Module)),
            lambda: p(a, Linker).define_unknown_imports_as_default_values(store(b), p(c, Module)),
            lambda: p(a, Linker).define_wasi(store(b), WasiConfig()),
            lambda: list(p(a, Instance).exports(store(b)).values()),
            lambda: p(a, Instance).get_export(store(b), p(c, str)),
            lambda: p(a, Func)(store(b), p(c), p(d)), lambda: p(a, Func)(store(b), p(c)),
            lambda: p(a, Func)(store(b), p(c, int)), lambda: p(a, Func)(store(b)),
            lambda: p(a, Func).bind(store(b)), lambda: p(a, BoundFunc)(p(b)),
            lambda: p(a, BoundFunc)(), lambda: p(a, Func).type(store(b)),
            lambda: p(a, Func).param_arity(),
            lambda: p(a, Memory).read(store(b), p(c, int), p(d, int)),
            lambda: p(a, Memory).write(store(b), p(c, bytes), p(d, int)),
            lambda: p(a, Memory).grow(store(b), p(c, int)), lambda: p(a, Memory).size(store(b)),
            lambda: p(a, Memory).type(store(b)), lambda: p(a, Memory).data_ptr(store(b)) and None,
            lambda: p(a, Memory).view(store(b)),
            lambda: p(a, Table).get(store(b), p(c, int)),
            lambda: p(a, Table).set(store(b), p(c, int), p(d)),
            lambda: p(a, Table).grow(store(b), c % 3, p(d)), lambda: p(a, Table).size(store(b)),
            lambda: p(a, Global).value(store(b)), lambda: p(a, Global).set_value(store(b), p(c)),
            lambda: p(a, Global).type(store(b)), lambda: p(a, Tag).eq(store(b), p(c, Tag)),
            lambda: p(a, Store).gc(), lambda: p(a, Store).data(),
            lambda: p(a, Store).set_epoch_deadline(p(b, int)),
            lambda: p(a, Store).set_epoch_deadline_callback(W.host(steps)),
            lambda: p(a, Store).set_limits(memories=b % 5 - 1, instances=c % 9 - 1),
            lambda: p(a, Store).set_wasi(WasiConfig()),
            lambda: p(a, Store).set_fuel(p(b, int)),
            lambda: p(a, Engine).increment_epoch(),
            lambda: p(a, (Store, Linker, InstancePre, SharedMemory)).close(),
            lambda: p(a).__init__(p(b), p(c), p(d)),
            lambda: type(p(a)).__new__(type(p(a))),
            lambda: p(a, Caller).get(p(b, str)), lambda: p(a, Caller).data(),
            lambda: W.things.pop(a % len(W.things)) and None, lambda: gc.collect() and None,
            lambda: W.things.clear(), lambda: W.things.append(W),
        ]
        try:
            result = ops[op % len(ops)]()
        except (Exception, KeyboardInterrupt):
            return
        if isinstance(result, list):
            self.things.extend(result)
        elif result is not None:
            self.things.append(result)
        del self.things[60:]

def run(programs):
    for program in programs:
        world = World()
        for step in program:
            world.step(*step)
            if not world.things:
                world = World()
"""

numbers = st.integers(0, 9999)
steps = st.tuples(numbers, numbers, numbers, numbers, numbers)
programs = st.lists(st.lists(steps, min_size=1, max_size=60), min_size=1, max_size=60)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(programs)
@pytest.mark.slow
def test_no_sequence_of_statements_kills_the_process(found: list[list[tuple[int, ...]]]) -> None:
    run_in_subprocess(DRIVER + f"\nrun(json.loads({json.dumps(found)!r}))\n", timeout=90).check()


@pytest.mark.slow
def test_many_random_sequences() -> None:
    """
    The same with plain random numbers, which are cheaper to make.
    """
    run_in_subprocess(
        DRIVER
        + """
import random
chance = random.Random(int(os.environ.get("SEED", "1")))
end = time.monotonic() + float(os.environ.get("SECONDS", "5"))
rounds = 0
while time.monotonic() < end:
    program = [[chance.randrange(10000) for _ in range(5)] for _ in range(80)]
    with open("last.json", "w") as file: json.dump(program, file)
    run([program])
    rounds += 1
assert rounds > 10
"""
    ).check()
