"""
What the fuzzer runs: bytes in, conversions and argument parsing of the C half, compared with a
model in Python.

`check` turns some bytes into operations and raises AssertionError where the result is not the
model's; any crash and any exception that is not documented counts as well. `ci/fuzz.py` lets a
coverage-guided fuzzer find the bytes; `test_corpus.py` replays those that it found worth keeping.
"""

from __future__ import annotations

import ctypes
import math
import struct
from typing import Any, Callable

from lists import Lists

from wasmtime import (
    Config,
    Engine,
    Func,
    FuncType,
    Instance,
    Module,
    Store,
    Val,
    ValType,
    WasmtimeError,
)
from wasmtime._artifacts.seal import check_artifact, seal
from wasmtime._extern import core

NUMBERS = ["i32", "i64", "f32", "f64", "v128"]
REFERENCES = ["externref", "funcref"]
SIGNATURES: list[list[str]] = [
    *([ty] for ty in NUMBERS + REFERENCES),
    NUMBERS,
    ["i64"] * 20,
    ["i32", "externref", "f32", "funcref", "v128"],
    [],
]
TYPES = {
    **{name: getattr(ValType, name.upper()) for name in NUMBERS},
    "externref": ValType.EXTERNREF,
    "funcref": ValType.FUNCREF,
}
REFUSALS = (TypeError, ValueError, OverflowError, IndexError, BufferError, WasmtimeError)
PAGE = 65536


class Data:
    """
    Bytes, read from the front; zeros when there are no more.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        part = self.data[self.at : self.at + size]
        self.at += size
        return part.ljust(size, b"\0")

    def byte(self) -> int:
        return self.take(1)[0]

    def pick(self, choices: Any) -> Any:
        return choices[self.byte() % len(choices)]

    def integer(self) -> int:
        """
        Of any size, most of them near where ranges end.
        """
        way = self.byte()
        if way < 96:
            bits = self.pick((0, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000))
            return (-1 if way % 2 else 1) * 2**bits + self.byte() % 5 - 2
        return int.from_bytes(self.take(way % 20), "little", signed=True)

    @property
    def empty(self) -> bool:
        return self.at >= len(self.data)


class Indexed:
    """
    An int to whom asks for an index.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __index__(self) -> Any:
        return self.value

    def __float__(self) -> Any:
        return self.value


def _float(data: Data) -> float:
    if data.byte() % 2:
        return float(struct.unpack("<d", data.take(8))[0])
    return float(struct.unpack("<f", data.take(4))[0])


class Target:
    """
    The objects that are used again and again.
    """

    def __init__(self) -> None:
        config = Config()
        config.memory_may_move = False
        self.engine = Engine(config)
        self.store = Store(self.engine)
        self.func = Func(self.store, FuncType([], []), lambda: None)
        self.returned: Any = None
        self.readers = Lists()
        functions, imports, hosts = [], [], []
        for index, types in enumerate(SIGNATURES):
            signature = f"(param {' '.join(types)}) (result {' '.join(types)})"
            gets = "".join(f"(local.get {i})" for i in range(len(types)))
            imports.append(f'(import "" "" (func $h{index} (result {" ".join(types)})))')
            functions.append(f'(func (export "f{index}") {signature} {gets})')
            functions.append(
                f'(func (export "h{index}") (result {" ".join(types)}) (call $h{index}))'
            )
            ty = FuncType([], [TYPES[name] for name in types])
            hosts.append(Func(self.store, ty, lambda: self.returned))
        text = "".join(imports) + "".join(functions)
        text += '(memory (export "m") 1 1) (table (export "t") 4 4 externref)'
        text += "".join(f'(global (export "g{ty}") (mut {ty}) {ZERO[ty]})' for ty in ZERO)
        instance = Instance(self.store, Module(self.engine, text), hosts)
        self.exports = instance.exports(self.store)
        self.bytes = bytearray(PAGE)

    def value(self, data: Data, depth: int = 0) -> Any:
        """
        Any Python object.
        """
        way = data.byte() % 14
        if way < 4:
            return data.integer()
        if way < 6:
            return _float(data)
        if way == 6:
            return data.take(data.pick((16, 16, 16, 0, 1, 15, 17, 32)))
        if way == 7:
            return data.pick((bytearray, memoryview))(data.take(16))
        if way == 8:
            return data.pick((None, True, False, "", "x", self.func, object, self.store))
        if way == 9 and depth < 3:
            return Indexed(self.value(data, depth + 1))
        if way == 10:
            return self._val(data)
        if way == 11 and depth < 2:
            items = [self.value(data, depth + 1) for _ in range(data.byte() % 6)]
            return data.pick((list, tuple))(items)
        if way == 12:
            return memoryview(bytearray(32))[:: data.pick((1, 2, -2))]
        return float(data.integer() % 2**70)

    def _val(self, data: Data) -> Any:
        number = data.integer()
        return data.pick(
            (
                lambda: Val.i32(number),
                lambda: Val.i64(number),
                lambda: Val.f32(_float(data)),
                lambda: Val.f64(_float(data)),
                lambda: Val.v128(data.take(16)),
                lambda: Val.externref(number),
                lambda: Val.funcref(None),
            )
        )()

    # --- operations, each with a model

    def call(self, data: Data) -> None:
        index = data.byte() % len(SIGNATURES)
        types = SIGNATURES[index]
        given = [self.value(data) for _ in types]
        if data.byte() % 16 == 0:
            given.append(1)
        try:
            result = self.exports[f"f{index}"](self.store, *given)
        except REFUSALS:
            assert len(given) != len(types) or not all(map(plainly_fits, given, types)), given
            return
        self.compare(result, given, types)

    def host(self, data: Data) -> None:
        index = data.byte() % len(SIGNATURES)
        types = SIGNATURES[index]
        given = [self.value(data) for _ in range(data.pick((len(types), len(types), 3)))]
        self.returned = given[0] if len(types) == 1 and given else given or None
        try:
            result = self.exports[f"h{index}"](self.store)
        except REFUSALS:
            assert len(given) != len(types) or not all(map(plainly_fits, given, types)), given
            return
        if len(types) == len(given):
            self.compare(result, given, types)

    def compare(self, result: Any, given: list[Any], types: list[str]) -> None:
        results = [result] if len(types) == 1 else result or []
        assert len(results) == len(types)
        for back, value, ty in zip(results, given, types):
            assert same(back, value, ty), (back, value, ty)

    def global_(self, data: Data) -> None:
        ty = data.pick(list(ZERO))
        value = self.value(data)
        variable = self.exports[f"g{ty}"]
        try:
            variable.set_value(self.store, value)
        except REFUSALS:
            assert not plainly_fits(value, ty), (value, ty)
            return
        assert same(variable.value(self.store), value, ty), (value, ty)

    def table(self, data: Data) -> None:
        table, index, value = self.exports["t"], self.value(data), self.value(data)
        try:
            table.set(self.store, index, value)
            assert same(table.get(self.store, index), value, "externref")
        except REFUSALS:
            fits = type(index) is int and 0 <= index < 4
            assert not fits or not plainly_fits(value, "externref"), (index, value)

    def read(self, data: Data) -> None:
        start, stop = self.value(data), self.value(data)
        try:
            expected: Any = self.bytes[start:stop]
        except TypeError:
            expected = TypeError
        try:
            found: Any = self.exports["m"].read(self.store, start, stop)
        except TypeError:
            found = TypeError
        assert found == expected, (start, stop)

    def write(self, data: Data) -> None:
        value, start = self.value(data), self.value(data)
        way = data.byte() % 4
        memory = self.exports["m"]
        try:
            if way == 0:
                size = memory.write(self.store, value, start=start)
            elif way == 1:
                size = memory.write(self.store, data=value, start=start)
            else:
                size = memory.write(self.store, value, start)
        except REFUSALS:
            # Nothing was written; the whole is compared now and then.
            if way == 3:
                assert memory.read(self.store) == self.bytes
            return
        content = bytes(value)
        begin = slice(start, None).indices(PAGE)[0]
        assert size == len(content)
        assert begin + size <= PAGE
        self.bytes[begin : begin + size] = content
        assert memory.read(self.store, begin, begin + size) == content

    def view(self, data: Data) -> None:
        start, stop = self.value(data), self.value(data)
        try:
            with self.exports["m"].view(self.store, start, stop) as view:
                assert bytes(view) == bytes(self.bytes[start:stop])
        except REFUSALS:
            good = type(start) is int and type(stop) is int and 0 <= start <= stop <= PAGE
            assert not good, (start, stop)

    def keywords(self, data: Data) -> None:
        names = ["store", "start", "stop", "value", "data", "delta", "amt", "init", "val", "x"]
        method = data.pick(
            (
                *(self.exports["m"].read, self.exports["m"].write, self.exports["m"].size),
                *(self.exports["t"].get, self.exports["t"].set, self.exports["t"].size),
                *(self.exports["gi32"].value, self.exports["m"].data_len, self.exports["f0"]),
            )
        )
        positional = [data.pick((self.store, 0, b"")) for _ in range(data.byte() % 5)]
        named = {data.pick(names): data.pick((self.store, 0, b"")) for _ in range(data.byte() % 4)}
        try:
            method(*positional, **named)
        except REFUSALS:
            return
        self.bytes[:] = self.exports["m"].read(self.store)

    def sink(self, data: Data) -> None:
        limit = data.pick((-1, 0, 1, 5, 4096, 5000))
        sink = core.OutputSink(limit)
        callback, environment, finalizer = sink.attach()
        write = WRITE(callback)
        model = b""
        for _ in range(data.byte() % 8):
            part = data.take(data.byte()) * data.pick((1, 1, 20))
            count = write(environment, part, len(part))
            if limit >= 0 and len(model) + len(part) > limit:
                assert count < 0
                assert sink.truncated
            else:
                assert count == len(part)
                model += part
            if data.byte() % 8 == 0:
                assert sink.take() == model
                model = b""
        assert sink.getvalue() == model
        FINALIZE(finalizer)(environment)
        assert sink.take() == model

    def artifact(self, data: Data) -> None:
        whole = seal(b"\x7fELF" + data.take(80))
        part = bytearray(whole)
        part[data.byte() % len(part)] ^= data.byte()
        del part[: data.pick((0, 0, 0, 1, 50))]
        sealed = part[-48:-32] == whole[-48:-32]
        try:
            check_artifact(part, "bytes")
        except WasmtimeError:
            assert part != whole
        else:
            assert part == whole or not sealed

    def lists(self, data: Data) -> None:
        self.readers.compare(data.byte(), data.take(data.byte()))

    def run(self, raw: bytes) -> None:
        """
        Run what the bytes say.
        """
        data = Data(raw)
        for _ in range(8):
            try:
                data.pick(OPERATIONS)(self, data)
            except (RecursionError, MemoryError):
                pass
            if data.empty:
                break


ZERO = {
    "i32": "(i32.const 0)",
    "i64": "(i64.const 0)",
    "f32": "(f32.const 0)",
    "f64": "(f64.const 0)",
    "v128": "(v128.const i64x2 0 0)",
    "externref": "(ref.null extern)",
}
WRITE = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)
FINALIZE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
OPERATIONS: list[Callable[[Target, Data], None]] = [
    *(Target.call, Target.host, Target.global_, Target.table, Target.read, Target.write),
    *(Target.view, Target.keywords, Target.sink, Target.artifact, Target.lists),
]


def plainly_fits(value: Any, ty: str) -> bool:
    """
    Whether a value must be accepted for a type, without any doubt.
    """
    if ty == "externref":
        return not isinstance(value, Val)
    if ty == "funcref":
        return value is None
    if type(value) is int:
        ranges = {"i32": (31, 32), "i64": (63, 64), "v128": (127, 128), "f32": (60, 60)}
        below, above = ranges.get(ty, (60, 60))
        return bool(-(2**below) <= value < 2**above)
    return type(value) is float and ty in ("f32", "f64")


def same(back: Any, value: Any, ty: str) -> bool:
    """
    Whether `back` is what `value` must become by passing through WebAssembly as `ty`.
    """
    if isinstance(value, Val):
        value = value.value
    if ty == "funcref":
        return isinstance(back, Func) == isinstance(value, Func)
    if ty == "externref":
        return back is value or (type(value) in (int, float, bytes) and back == value)
    while isinstance(value, Indexed):
        value = value.value
    if ty in ("i32", "i64"):
        return type(back) is int and (back - int(value)) % 2 ** int(ty[1:]) == 0
    if ty == "v128":
        if isinstance(value, int):
            value = (value % 2**128).to_bytes(16, "little")
        return bool(back == bytes(value))
    value = float(value)
    if math.isnan(value):
        return math.isnan(back) and math.copysign(1, back) == math.copysign(1, value)
    if ty == "f32":
        try:
            value = struct.unpack("<f", struct.pack("<f", value))[0]
        except OverflowError:
            value = math.copysign(math.inf, value)
    return bool(struct.pack("<d", back) == struct.pack("<d", value))


_target: Target


def check(raw: bytes) -> None:
    """
    Run the target; the objects are made at the first call.
    """
    global _target
    try:
        target = _target
    except NameError:
        target = _target = Target()
    target.run(raw)
