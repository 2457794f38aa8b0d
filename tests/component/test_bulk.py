"""Lists through the codec that is injected into components: no caller sees a difference but speed.

Each test calls the same component twice: with the codec, and on the direct path, where the C API
passes each element by itself (``Config.component_bulk = False``).
"""

from __future__ import annotations

import pickle
from array import array
from random import Random
from typing import Any

import pytest

from wasmtime import Config, Engine, Store, Trap, WasmtimeError
from wasmtime.component import Component, Exports, Linker

from .echo import echo_in_guest, echo_through_host, guest_text
from .random_worlds import World


def engines(**settings: Any) -> tuple[Engine, Engine]:
    """An engine whose components have codecs, and one whose components have none."""
    settings["wasm_component_model_map"] = True
    return Engine(Config(**settings)), Engine(Config(component_bulk=False, **settings))


BULK, DIRECT = engines()


def exports_of(component: Component, **imports: Any) -> tuple[Store, Exports]:
    """An instance's exports, and their store."""
    store, linker = Store(component.engine), Linker(component.engine)
    with linker.root() as root:
        for name, function in imports.items():
            root.add_func(name, function)
    return store, linker.instantiate(store, component).exports(store)


def outcome(store: Store, function: Any, *values: Any) -> Any:
    """What a call comes to: its result, or the class and the words of what it raises."""
    try:
        return function(store, *values)
    except (WasmtimeError, TypeError, ValueError, OverflowError, AttributeError) as error:
        return type(error), str(error)


# --- random types and values ---------------------------------------------------------------------


def compare_worlds(seeds: range) -> int:
    """Pass random values of random types both ways; how many types had a codec."""
    served = 0
    for seed in seeds:
        world = World(Random(seed))
        seen: list[Any] = []

        def host(_store: Any, x: Any, seen: list[Any] = seen) -> Any:
            seen.append(x)
            return x

        bulk, direct = (echo_through_host(engine, world.text) for engine in (BULK, DIRECT))
        served += bulk._codec is not None
        assert direct._codec is None
        assert str(bulk.type) == str(direct.type)
        for _ in range(4):
            value = world.value()
            store, exports = exports_of(bulk, x=host)
            other_store, other = exports_of(direct, x=host)
            expected = outcome(other_store, other.x, value)
            for _ in range(2):
                assert outcome(store, exports.x, value) == expected, (seed, world.text)
            assert seen[-1] == seen[-3], (seed, world.text)
    return served


@pytest.mark.slow
def test_random_values_of_random_types_pass_both_ways_alike() -> None:
    assert compare_worlds(range(60)) > 25


@pytest.mark.slow
def test_many_more_random_values_of_random_types_pass_both_ways_alike() -> None:
    assert compare_worlds(range(100, 500)) > 150


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(list u8)", [1, 256]),
        ("(list u8)", "text"),
        ("(list u8)", array("h", [-1])),
        ("(list f64)", [1.0, "x"]),
        ("(list char)", ["a", "bc"]),
        ("(list string)", ["a", "\ud800"]),
        ('r = (record (field "x" string)) ; (list $r)', [{"x": "a"}, {"y": "b"}]),
        ('e = (enum "a" "b") ; (list $e)', ["a", "c"]),
        ("(list (tuple u8 string))", [(1, "a"), (1,)]),
        ("(list (option string))", [None, 3]),
        ("(map string u8)", {"a": 300}),
    ],
)
def test_values_that_do_not_fit_are_refused_in_the_same_words(text: str, value: Any) -> None:
    results = []
    for engine in (BULK, DIRECT):
        store, exports = exports_of(echo_in_guest(engine, text))
        results.append(outcome(store, exports.echo, value))
        assert not isinstance(outcome(store, exports.echo, [] if "list" in text else {}), tuple)
    assert results[0] == results[1]
    assert isinstance(results[0], tuple)


# --- hostile guests ------------------------------------------------------------------------------


def guest(
    result: str,
    body: str,
    realloc: str = "i32.const 64",
    post_return: str = "",
    declared: str = "",
    host: str = "",
) -> str:
    """A component of a function ``f`` from a list of u32 to a type, made to break the rules.

    Args:
        result: The type of the result.
        body: What the core function does, which returns a pointer.
        realloc: What the allocator does.
        post_return: What is done after the call.
        declared: Declarations of types.
        host: Declares the import ``h`` of the core module, if it has one.
    """
    lowered = "(core func $h (canon lower (func $h)))" if host else ""
    instance = '(with "" (instance (export "h" (func $h))))' if host else ""
    imported = '(import "" "h" (func $h))' if host else ""
    return f"""(component {host} {lowered} {declared}
      (core module $m {imported} (memory (export "mem") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc})
        (func (export "f") (param i32 i32) (result i32) {body})
        (func (export "after") (param i32) {post_return}))
      (core instance $i (instantiate $m {instance}))
      (func (export "f") (param "x" (list u32)) (result {result})
        (canon lift (core func $i "f") (memory (core memory $i "mem"))
          (realloc (core func $i "realloc")) (post-return (core func $i "after")))))"""


def pair(pointer: int, length: int) -> str:
    """The body of a function that returns a list."""
    return f"""(i32.store (i32.const 1024) (i32.const {pointer}))
      (i32.store (i32.const 1028) (i32.const {length})) i32.const 1024"""


def element(value: int, result: str, declared: str = "") -> tuple[str, str, str]:
    """A list of one element, whose first word has a value."""
    body = f"(i32.store (i32.const 2048) (i32.const {value})) {pair(2048, 1)}"
    return f"(list {result})", body, declared


ENUM = """(type $t' (enum "a" "b")) (export $t "t" (type $t'))"""
BROKEN = [
    ("(list u32)", pair(2049, 1), ""),
    ("(list u32)", pair(1, 0), ""),
    ("(list u32)", pair(65532, 2), ""),
    ("(list u32)", pair(65540, 0), ""),
    ("(list u32)", pair(0, 0x7FFFFFFF), ""),
    ("(list u32)", pair(8, 0x40000001), ""),
    ("(list u32)", "i32.const 1026", ""),
    ("(list u32)", "i32.const 65532", ""),
    ("(list u32)", "i32.const -4", ""),
    ("(list u8)", pair(65535, 2), ""),
    ("(tuple string u8)", pair(65535, 2), ""),
    ("(tuple string u8)", pair(65537, 0), ""),
    ("(map u32 u32)", pair(2049, 1), ""),
    ("(map u32 u32)", pair(65532, 1), ""),
    ("(list (list u32))", f"(i32.store (i32.const 2048) (i32.const 2)) {pair(2048, 1)}", ""),
    ("(list string)", f"(i32.store (i32.const 2052) (i32.const 65537)) {pair(2048, 1)}", ""),
    ("(tuple string u8)", f"(i32.store (i32.const 2048) (i32.const 0xff61)) {pair(2048, 3)}", ""),
    ("(tuple string u8)", f"(i32.store (i32.const 2048) (i32.const 0xe26161)) {pair(2048, 3)}", ""),
    element(0x110000, "char"),
    element(0xD800, "char"),
    element(2, "$t", ENUM),
    element(2, "(option u8)"),
    element(7, "(result)"),
    ("$t", "i32.const 258", ENUM),
]


@pytest.mark.parametrize("arrays", [False, True], ids=["lists", "arrays"])
@pytest.mark.parametrize(("result", "body", "declared"), BROKEN)
def test_a_guest_that_breaks_the_rules_is_stopped_in_the_same_words(
    result: str, body: str, declared: str, arrays: bool
) -> None:
    outcomes = []
    for engine in (BULK, DIRECT):
        component = Component(engine, guest(result, body, declared=declared))
        assert (component._codec is not None) == (engine is BULK)
        store, exports = exports_of(component)
        function = exports.f.with_arrays() if arrays else exports.f
        outcomes.append([outcome(store, function, []) for _ in range(2)])
    assert outcomes[0] == outcomes[1]
    assert "cannot enter component instance" in outcomes[0][1][1]


@pytest.mark.parametrize(
    "realloc", ["i32.const 65", "i32.const 65536", "i32.const -4", "unreachable"]
)
def test_an_allocator_that_breaks_the_rules_is_stopped_in_the_same_words(realloc: str) -> None:
    outcomes = []
    for engine in (BULK, DIRECT):
        component = Component(engine, guest("(list u32)", pair(0, 0), realloc))
        store, exports = exports_of(component)
        outcomes.append([outcome(store, exports.f, [1]) for _ in range(2)])
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("place", ["realloc", "post_return", "body"])
def test_calls_of_the_host_are_refused_where_they_are_without_the_codec(place: str) -> None:
    host = '(import "h" (func $h))'
    parts = {"realloc": "i32.const 64", "post_return": "", "body": pair(0, 0)}
    parts[place] = f"(call $h) {parts[place]}"
    outcomes = []
    for engine in (BULK, DIRECT):
        component = Component(engine, guest("(list u32)", host=host, **parts))
        calls: list[int] = []
        store, exports = exports_of(component, h=lambda _store, calls=calls: calls.append(1))
        outcomes.append((outcome(store, exports.f, [1]), len(calls)))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][1] == (place == "body")


def test_a_function_may_be_called_while_it_runs() -> None:
    component = Component(
        BULK, guest("(list u32)", f"(call $h) {pair(2048, 3)}", host='(import "h" (func $h))')
    )
    depth = 0

    def host(store: Any) -> None:
        nonlocal depth
        if depth < 3:
            depth += 1
            assert exports.f(store, [1, 2]) == [0, 0, 0]

    store, exports = exports_of(component, h=host)
    assert exports.f(store, [1]) == [0, 0, 0]
    assert depth == 3


def test_a_result_that_shares_its_parts_is_bounded() -> None:
    # 4,000 strings of 60,000 bytes each, all of them the same ones: 240 MB.
    body = f"""(local $n i32)
      (loop $next
        (i32.store (i32.add (i32.const 4096) (i32.shl (local.get $n) (i32.const 3)))
                   (i32.const 4096))
        (i32.store offset=4 (i32.add (i32.const 4096) (i32.shl (local.get $n) (i32.const 3)))
                   (i32.const 60000))
        (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1)))
                               (i32.const 4000))))
      {pair(4096, 4000)}"""
    component = Component(BULK, guest("(list (list u8))", body))
    store, exports = exports_of(component)
    with pytest.raises(WasmtimeError, match="too much data is being copied"):
        exports.f(store, [])
    with pytest.raises(Trap, match="cannot enter component instance"):
        exports.f(store, [])


# --- what nobody sees ----------------------------------------------------------------------------

TRAPPING = guest("(list u32)", "unreachable")


def test_traces_are_those_of_the_guest() -> None:
    traces = []
    for engine in (BULK, DIRECT):
        store, exports = exports_of(Component(engine, TRAPPING))
        with pytest.raises(Trap) as trapped:
            exports.f(store, [1])
        traces.append((str(trapped.value), trapped.value.frames, trapped.value.trap_code))
    assert traces[0] == traces[1]
    assert len(traces[0][1]) == 1


def test_the_exception_of_a_host_function_has_the_guests_frames_only() -> None:
    component = Component(
        BULK, guest("(list u32)", f"(call $h) {pair(0, 0)}", host='(import "h" (func $h))')
    )
    error = KeyError("mine")

    def host(_store: Any) -> None:
        raise error

    store, exports = exports_of(component, h=host)
    with pytest.raises(KeyError) as raised:
        exports.f(store, [1])
    assert raised.value is error
    assert len(error.wasm_backtrace) == 1  # type: ignore[attr-defined]


def test_the_codec_is_no_export() -> None:
    component = echo_in_guest(BULK, "(list u8)")
    plain = echo_in_guest(DIRECT, "(list u8)")
    assert component._codec is not None
    assert list(component.exports) == list(plain.exports) == ["echo"]
    assert str(component.type) == str(plain.type)
    assert component.type == plain.type
    assert component.get_export_index("wasmtime-bulk1") is None
    store = Store(BULK)
    instance = Linker(BULK).instantiate(store, component)
    assert instance.get_export_index(store, "wasmtime-bulk1") is None
    assert instance.get_func(store, "wasmtime-bulk1") is None
    assert list(instance.exports(store)) == ["echo"]


def test_the_codec_goes_where_the_compiled_code_goes(tmp_path: Any) -> None:
    component = echo_in_guest(BULK, "(list u8)")
    path = tmp_path / "echo.cwasm"
    path.write_bytes(component.serialize())
    restored: list[Component] = [
        Component.deserialize(BULK, component.serialize()),
        Component.deserialize_file(BULK, path),
        pickle.loads(pickle.dumps(component)),
    ]
    for each in restored:
        assert each._codec is not None
        store, exports = exports_of(each)
        assert exports.echo(store, b"x" * (3 << 20)) == b"x" * (3 << 20)


def test_a_component_from_the_cache_has_a_codec(tmp_path: Any) -> None:
    for _ in range(2):
        component = Component(BULK, guest_text("(list u8)"), cache=tmp_path)
        assert component._codec is not None
        store, exports = exports_of(component)
        assert exports.echo(store, bytes(100_000)) == bytes(100_000)


@pytest.mark.parametrize(
    "settings",
    [
        {"consume_fuel": True},
        {"wasm_multi_memory": False},
        {"wasm_simd": False, "wasm_relaxed_simd": False},
        {"allocation_strategy": "pooling"},
        {"component_bulk": False},
    ],
)
def test_engines_that_cannot_have_codecs_go_without(settings: dict[str, Any]) -> None:
    component = echo_in_guest(Engine(Config(**settings)), "(list u8)")
    assert component._codec is None
    assert list(component.exports) == ["echo"]


@pytest.mark.parametrize(
    "text",
    [
        "(component)",
        """(component (core module $m (func (export "f") (param i32 i32) (result i32) i32.const 0)
             (memory (export "mem") 1)
             (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 8))
           (core instance $i (instantiate $m))
           (func (export "f") (param "x" string) (result u32)
             (canon lift (core func $i "f") (memory (core memory $i "mem"))
               (realloc (core func $i "realloc")))))""",
    ],
)
def test_components_without_lists_stay_as_they_are(text: str) -> None:
    assert Component(BULK, text)._codec is None


@pytest.mark.parametrize("encoding", ["string-encoding=utf16", "string-encoding=latin1+utf16"])
def test_other_encodings_of_text_keep_the_direct_path(encoding: str) -> None:
    text = guest("(list string)", pair(0, 0)).replace("(memory (core", f"{encoding} (memory (core")
    store, exports = exports_of(Component(BULK, text))
    assert Component(BULK, text)._codec is None
    assert exports.f(store, [1]) == []


def test_a_component_that_has_the_name_keeps_it() -> None:
    text = guest("(list u32)", pair(0, 0))
    text = text[: text.rindex(")")] + '(instance $n) (export "wasmtime-bulk1" (instance $n)))'
    component = Component(BULK, text)
    assert component._codec is None
    assert set(component.exports) == {"f", "wasmtime-bulk1"}
    again = Component.deserialize(BULK, component.serialize())
    assert set(again.exports) == {"f", "wasmtime-bulk1"}


def test_what_is_not_valid_is_refused_in_the_same_words() -> None:
    from wasmtime import wat2wasm

    binary = bytes(wat2wasm(guest("(list u32)", pair(0, 0)))) + b"\x0b\x04\x00\x01x\x01"
    errors = []
    for engine in (BULK, DIRECT):
        with pytest.raises(WasmtimeError) as refused:
            Component(engine, binary)
        errors.append(str(refused.value))
    assert errors[0] == errors[1]


def test_the_guests_memory_is_all_that_the_limits_of_a_store_meet() -> None:
    for engine in (BULK, DIRECT):
        component = echo_in_guest(engine, "(list u8)")
        store = Store(engine)
        store.set_limits(memory_size=4 << 20, instances=2, memories=1)
        echo = Linker(engine).instantiate(store, component).exports(store).echo
        assert echo(store, bytes(100_000)) == bytes(100_000)
        with pytest.raises(WasmtimeError):  # one instance more
            Linker(engine).instantiate(store, component)


def test_a_list_larger_than_the_guests_memory_may_be_fails_as_the_guest_says() -> None:
    results = []
    for engine in (BULK, DIRECT):
        store, exports = exports_of(echo_in_guest(engine, "(list u8)"))
        store.set_limits(memory_size=1 << 20)
        results.append(outcome(store, exports.echo, bytes(2 << 20)))
    assert results[0] == results[1]
    assert results[0][1] == "realloc return: beyond end of memory"


# --- large values, buffers and arrays ------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 111, 112, 113, 28_651, 28_652, 28_672, 57_344, 5 << 20])
def test_bytes_of_any_size_pass(size: int) -> None:
    store, exports = exports_of(echo_in_guest(BULK, "(list u8)"))
    data = Random(size).randbytes(size)
    for value in (data, bytearray(data), memoryview(data), array("B", data)):
        assert exports.echo(store, value) == data


@pytest.mark.parametrize("count", [0, 1, 14, 3_582, 3_583, 3_584, 7_168, 100_000])
def test_arrays_of_any_size_pass(count: int) -> None:
    store, exports = exports_of(echo_in_guest(BULK, "(list f64)"))
    values = array("d", Random(count).randbytes(8 * count))
    result = exports.echo.with_arrays()(store, values)
    assert result.tobytes() == values.tobytes()


def test_many_texts_pass() -> None:
    store, exports = exports_of(echo_in_guest(BULK, "(list (tuple string (list string)))"))
    values = [("é" * (n % 300), ["x" * (n % 7)] * (n % 5)) for n in range(20_000)]
    assert exports.echo(store, values) == values


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("s8", "b"),
        ("s16", "h"),
        ("u16", "H"),
        ("s32", "i"),
        ("u32", "I"),
        ("s64", "q"),
        ("u64", "Q"),
        ("f32", "f"),
        ("f64", "d"),
    ],
)
@pytest.mark.parametrize("engine", [BULK, DIRECT], ids=["bulk", "direct"])
def test_lists_of_numbers_come_as_arrays_on_request(engine: Engine, kind: str, code: str) -> None:
    store, exports = exports_of(echo_in_guest(engine, f"(list {kind})"))
    values = array(code, range(100))
    assert exports.echo(store, values) == values.tolist()
    result = exports.echo.with_arrays()(store, values)
    assert isinstance(result, array)
    assert result == values
    assert result.typecode == code
    assert exports.echo.with_arrays()(store, []) == array(code)


@pytest.mark.parametrize("engine", [BULK, DIRECT], ids=["bulk", "direct"])
def test_arrays_are_made_at_any_depth(engine: Engine) -> None:
    text = "(list (tuple (list f64) (list bool) (list u8) (option (list u16))))"
    store, exports = exports_of(echo_in_guest(engine, text))
    value = [([1.5], [True], b"x", [7]), ([], [], b"", None)]
    assert exports.echo(store, value) == value
    assert exports.echo.with_arrays()(store, value) == [
        (array("d", [1.5]), [True], b"x", array("H", [7])),
        (array("d"), [], b"", None),
    ]


def test_a_function_with_arrays_is_another_one() -> None:
    _, exports = exports_of(echo_in_guest(BULK, "(list u16)"))
    with_arrays = exports.echo.with_arrays()
    assert with_arrays != exports.echo
    assert with_arrays == exports.echo.with_arrays() == with_arrays.with_arrays()
    assert with_arrays.__name__ == "echo"


@pytest.mark.parametrize(
    "value",
    [
        array("i", range(10_000)),  # another width
        memoryview(array("q", range(20_000)))[::2],  # with gaps
        array("q", range(10_000)),  # as it is
        range(10_000),
        tuple(range(10_000)),
    ],
)
def test_sequences_and_buffers_of_other_layouts_are_converted(value: Any) -> None:
    store, exports = exports_of(echo_in_guest(BULK, "(list s64)"))
    assert exports.echo(store, value) == list(value)


def test_a_buffer_is_held_during_the_call_only() -> None:
    store, exports = exports_of(echo_in_guest(BULK, "(list u8)"))
    value = bytearray(b"x" * 1000)
    assert exports.echo(store, value) == value
    value.append(1)  # BufferError if it were held


def test_numpy_arrays_pass_both_ways() -> None:
    numpy = pytest.importorskip("numpy")
    store, exports = exports_of(echo_in_guest(BULK, "(list f64)"))
    values = numpy.linspace(0, 1, 10_000)
    assert (numpy.asarray(exports.echo.with_arrays()(store, values)) == values).all()


@pytest.mark.parametrize("engine", [BULK, DIRECT], ids=["bulk", "direct"])
@pytest.mark.parametrize("kind", ["u8", "f64"])
def test_buffers_of_other_dimensions_are_refused_with_the_way_out(
    engine: Engine, kind: str
) -> None:
    store, exports = exports_of(echo_in_guest(engine, f"(list {kind})"))
    flat = memoryview(bytes(8) if kind == "u8" else array("d", [0.0]))
    table = flat.cast("B").cast(flat.format or "B", [len(flat), 1])
    with pytest.raises(TypeError, match=r"a list has one dimension, and this memoryview has 2: "):
        exports.echo(store, table)
    with pytest.raises(TypeError, match=r"expected (list|bytes), got memoryview"):
        exports.echo(store, flat[:1].cast("B").cast(flat.format or "B", []))


@pytest.mark.parametrize("engine", [BULK, DIRECT], ids=["bulk", "direct"])
def test_rows_of_a_table_are_lists_of_lists(engine: Engine) -> None:
    numpy = pytest.importorskip("numpy")
    store, exports = exports_of(echo_in_guest(engine, "(list (list f64))"))
    table = numpy.arange(6.0).reshape(2, 3)
    assert exports.echo(store, table) == table.tolist()
    assert exports.echo.with_arrays()(store, table.T) == [array("d", row) for row in table.T]


def test_more_than_sixteen_flat_parameters_pass() -> None:
    world = "(tuple " + " ".join(["(list u16)"] * 9) + ")"
    for engine in (BULK, DIRECT):
        store, exports = exports_of(echo_through_host(engine, world), x=lambda _store, x: x)
        value = tuple([n] * n for n in range(9))
        assert exports.x(store, value) == value


def test_a_list_that_no_memory_can_hold_is_refused_before_the_call() -> None:
    store, exports = exports_of(echo_in_guest(BULK, "(list u64)"))

    numpy = pytest.importorskip("numpy")
    value = numpy.broadcast_to(numpy.uint64(1), ((1 << 29) + 1,))
    with pytest.raises(OverflowError, match=r"x: 536870913 elements of 8 bytes do not fit"):
        exports.echo(store, value)
    assert exports.echo(store, [1]) == [1]


def test_plain_text_of_any_size_passes_without_a_codec() -> None:
    component = echo_in_guest(BULK, "string")
    assert component._codec is None
    store, exports = exports_of(component)
    for size in (0, 65_536, 65_537, 3 << 20):
        assert exports.echo(store, "é" * size) == "é" * size
