"""
Parsing and compiling: on any stack, and whoever waits for it can let go.
"""

from __future__ import annotations

import sys

import pytest
from support import run_in_subprocess, skip_without_threads_of

from wasmtime import Engine, WasmtimeError
from wasmtime._native import core

TEXTS = """
from wasmtime.component import Component
from wasmtime.bindgen import generate

def lists(depth):
    value = "(list " * depth + "u8" + ")" * depth
    return f'(component (import "f" (func (param "a" {value}))))'

def components(depth):
    return "(component " * depth + ")" * depth

def blocks(depth):
    return "(func " + "block " * depth + "end " * depth + ")"

def sums(depth):
    value = "(i32.add (i32.const 1) " * depth + "(i32.const 1)" + ")" * depth
    return f"(func (result i32) {value})"

def bomb(levels):
    '''A component that takes twice as long with each level.'''
    text = "(component $c0 (core module $m) (core instance (instantiate $m)))"
    for n in range(1, levels + 1):
        text = f"(component $c{n} {text}" + f"(instance (instantiate $c{n - 1}))" * 2 + ")"
    return text
"""


@pytest.mark.parametrize("kib", [64, 128, 192, 256, 1024, 1200])
def test_deep_text_on_a_small_stack(kib: int) -> None:
    skip_without_threads_of(kib)
    run_in_subprocess(
        f"STACK = {kib} * 1024"
        + TEXTS
        + """
engine = Engine()
generate("a", lists(20))  # imports what it needs, on a large stack
artifact = Component(engine, lists(90)).serialize()
problems = []
def work():
    try:
        for text in lists(90), components(95), sums(90), blocks(300), blocks(5000):
            binary = wat2wasm(text)
        Component(engine, lists(90)), Component.deserialize(engine, artifact)
        Module(engine, blocks(5000)), Module.validate(engine, blocks(5000))
        Module(engine, sums(90))
        generate("a", lists(20))
        for text in "(" * 4000, lists(150), components(200):
            try: wat2wasm(text)
            except WasmtimeError: pass
            else: raise AssertionError
    except BaseException as error:
        problems.append(error)
threading.stack_size(STACK)
thread = threading.Thread(target=work)
thread.start()
thread.join()
assert not problems, problems
"""
    ).check()


def test_threads_compile_at_once() -> None:
    run_in_subprocess(
        """
engine = Engine()
text = "(module " + '(func (export "f") (result i32) (i32.const 7))' + " " * 5000 + ")"
def work():
    for _ in range(30):
        store = Store(engine)
        assert Instance(store, Module(engine, text), []).exports(store)["f"](store) == 7
        try: Module(engine, text.replace("7", "x"))
        except WasmtimeError: pass
        else: raise AssertionError
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    ).check()


def test_an_error_of_the_compiler_arrives() -> None:
    drops_nothing = b"\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\x0a\5\1\3\0\x1a\x0b"
    with pytest.raises(WasmtimeError, match="type mismatch"):
        core.run_job("validate", drops_nothing, Engine()._use())


@pytest.mark.parametrize("arguments", [("nothing", b""), ("module",), ("text", b"", 1), (1, b"")])
def test_a_wrong_job(arguments: tuple[object, ...]) -> None:
    with pytest.raises((TypeError, ValueError)):
        core.run_job(*arguments)  # type: ignore[arg-type]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_lets_go_of_a_compilation() -> None:
    """
    The compilation goes on by itself; nothing else waits for it, the end of the process included.
    """
    run_in_subprocess(
        TEXTS
        + """
engine = Engine()
binary = wat2wasm(bomb(40))
started = threading.Event()
def interrupt():
    started.wait()
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)
for _ in range(2):
    threading.Thread(target=interrupt, daemon=True).start()
    started.set()
    try: Component(engine, binary)
    except KeyboardInterrupt: pass
    else: raise AssertionError
class Late(Exception): pass
def late(*_): raise Late
signal.signal(signal.SIGALRM, late)
signal.siginterrupt(signal.SIGALRM, False)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try: Component(engine, bomb(40))
except Late: pass
store = Store(engine)
text = '(func (export "f") (result i32) (i32.const 7))'
assert Instance(store, Module(engine, text), []).exports(store)["f"](store) == 7
store.close()
engine.close()
""",
        timeout=30,
    ).check()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_handlers_that_do_not_raise_are_heard_while_compiling() -> None:
    run_in_subprocess(
        TEXTS
        + """
heard = []
def handler(*_):
    heard.append(True)
    Module(engine, "(module)")  # one that compiles, too
    if len(heard) == 3:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise KeyboardInterrupt
engine = Engine()
Component(engine, "(component)")  # what compiling imports is there when the handler compiles
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
try: Component(engine, bomb(40))
except KeyboardInterrupt: pass
assert len(heard) == 3
""",
        timeout=30,
    ).check()


def test_the_interpreter_exits_while_a_thread_compiles() -> None:
    run_in_subprocess(
        TEXTS
        + """
engine = Engine()
for _ in range(3):
    threading.Thread(target=lambda: Component(engine, bomb(40)), daemon=True).start()
time.sleep(0.2)
""",
        timeout=30,
    ).check()
