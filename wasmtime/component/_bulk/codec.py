"""The codec: a core module, written as text for the functions of one component.

It has a memory of one page, which never grows:

    0      the answer in hand: where it is, and its length
    16     the flat arguments of the call, eight bytes each, and its flat result
    192    the blocks that are being written, by depth: their addresses in the guest
    512    what is still to be visited of a result: a stack of frames
    32512  the buffer: a message, packed or unpacked

What passes is packed into seven bits a byte, since it travels as text: a unit of 112 bytes becomes
one of 128, in whose last 16 are the high bits of the others.

**Arguments.** The host calls ``feed`` with messages, then ``c…`` for the function, with the last
one and an empty one. A message is a sequence of records: a header of 12 bytes (size, offset, depth,
alignment) and so many bytes. The first record has the flat arguments. Each of the others is a block
of the guest's memory, in the order in which the canonical ABI allocates them. Its address goes into
its parent, which is the last block of the depth above, at an offset. Data of a block may go on in
the next message.

A message is taken when the engine asks for room for the next one, with ``realloc``: the guest's
allocator then runs where it would run without the codec, in a component that must not be left.

**Results.** ``c…`` answers with the beginning and ``more`` with the rest: the value itself, then
what each pointer in it points to, depth first. Two characters are behind each answer: how much of
the last unit is not meant, and what follows: `_DONE`, `_MORE`, or the fault that was found. The
guest's post-return runs as that of the last answer, in a component that must not be left either.
``drop`` forgets the rest, and ``fail`` traps, which ends the instance as a fault does that the
engine finds.
"""

from __future__ import annotations

from typing import Optional

from ..._trap import HIDDEN_MODULE
from ..._wasm.decode import Func
from ..._wasm.grammar import POST_RETURN_OPTION
from . import layout
from .layout import Type

__all__ = ["codec_text", "fits"]

_SLOTS, _RESULT, _BLOCKS, _STACK, _BUFFER = 16, 144, 192, 512, 32512
#: How many units a message has, and the bytes in it.
_UNITS = 256
_ROOM = _UNITS * 112
_FRAME = 24
#: Blocks may be inside of one another so deep: a list in a list, and so on.
_MAX_DEPTH = (_STACK - _BLOCKS) // 4 - 2
_MAX_FRAMES = (_BUFFER - _STACK) // _FRAME

_DONE, _MORE = ord("0"), ord("1")
#: The faults: misaligned, and the next one out of bounds. ``bulk_read.c`` has their messages.
_FAULT_REALLOC, _FAULT_ROOT, _FAULT_LIST, _FAULT_STRING, _FAULT_MAP = map(ord, "acegi")
_FAULT_TOO_MUCH = ord("k")


def fits(func: Func) -> bool:
    """Tell whether a function's types are such that the codec's memory suffices for any value."""
    parts = [type for _, type in func.params]
    if func.result is not None:
        parts.append(func.result)
    return func.size <= 4096 and all(
        _depth(part) <= _MAX_DEPTH and _frames(part) < _MAX_FRAMES for part in parts
    )


def _depth(type: Type) -> int:
    """Return how many blocks can be inside of one another."""
    type = layout.plain(type)
    own = layout.element_of(type) is not None or not layout.has_inside(type)
    return int(own) + max(map(_depth, layout.parts(type)), default=0)


def _frames(type: Type) -> int:
    """Return how many frames the stack has at most while a value is visited."""
    type = layout.plain(type)
    element = layout.element_of(type)
    if element is not None:
        return 1 + _frames(element)
    if not layout.has_inside(type):
        return 1
    return sum(map(_frames, layout.parts(type)))


# --- packing --------------------------------------------------------------------------------------


def _splat(byte: int) -> str:
    word = "0x" + f"{byte:02x}" * 8
    return f"(v128.const i64x2 {word} {word})"


def _load_unit(count: int) -> str:
    return "\n".join(
        f"    (local.set $v{i} (v128.load $own offset={16 * i} (local.get $from)))"
        for i in range(count)
    )


def _unpack() -> str:
    """Unpack the buffer in place, from its beginning: what is written is never ahead."""
    stores = "\n".join(
        f"""    (v128.store $own offset={16 * i} (local.get $to) (v128.or (local.get $v{i})
      (v128.and (i64x2.shl (local.get $v7) (i32.const {7 - i})) {_splat(0x80)})))"""
        for i in range(7)
    )
    return f"""
(func $unpack (param $units i32)
  (local $from i32) (local $to i32) {_vectors(8)}
  (local.set $from (i32.const {_BUFFER}))
  (local.set $to (i32.const {_BUFFER}))
  (block $done (loop $next
    (br_if $done (i32.eqz (local.get $units)))
    (local.set $units (i32.sub (local.get $units) (i32.const 1)))
{_load_unit(8)}
{stores}
    (local.set $from (i32.add (local.get $from) (i32.const 128)))
    (local.set $to (i32.add (local.get $to) (i32.const 112)))
    (br $next))))
"""


def _pack() -> str:
    """Pack the buffer in place, from its end: what is written is never ahead of what is read."""
    high = f"{_splat(0)}"
    for i in range(7):
        high = f"""(v128.or {high}
      (v128.and (i64x2.shr_u (local.get $v{i}) (i32.const {7 - i})) {_splat(1 << i)}))"""
    stores = "\n".join(
        f"""    (v128.store $own offset={16 * i} (local.get $to)
      (v128.and (local.get $v{i}) {_splat(0x7F)}))"""
        for i in range(7)
    )
    return f"""
(func $pack (param $units i32)
  (local $from i32) (local $to i32) {_vectors(7)}
  (local.set $from
    (i32.add (i32.const {_BUFFER}) (i32.mul (local.get $units) (i32.const 112))))
  (local.set $to (i32.add (i32.const {_BUFFER}) (i32.mul (local.get $units) (i32.const 128))))
  (block $done (loop $next
    (br_if $done (i32.le_u (local.get $to) (i32.const {_BUFFER})))
    (local.set $from (i32.sub (local.get $from) (i32.const 112)))
    (local.set $to (i32.sub (local.get $to) (i32.const 128)))
{_load_unit(7)}
    (v128.store $own offset=112 (local.get $to) {high})
{stores}
    (br $next))))
"""


def _vectors(count: int) -> str:
    return " ".join(f"(local $v{i} v128)" for i in range(count))


# --- what is the same for all functions -----------------------------------------------------------

_HEAD = f"""
(memory $own (export "memory") 1 1)
(global $arrived (mut i32) (i32.const 0))  ;; bytes of the message that was fed and not yet taken
(global $into (mut i32) (i32.const 0))     ;; the block that is being written: where to go on
(global $left (mut i32) (i32.const 0))     ;; and how much is to come
(global $top (mut i32) (i32.const {_STACK}))  ;; of the stack of frames
(global $from (mut i32) (i32.const 0))     ;; the block that is being read: where to go on
(global $rest (mut i32) (i32.const 0))     ;; and how much is left
(global $budget (mut i64) (i64.const 0))   ;; how much a result may still come to
(global $fault (mut i32) (i32.const 0))    ;; the fault that was found, or 0
(global $due (mut i32) (i32.const -1))     ;; the function whose post-return has to run, or -1

;; Whether a block lies in the guest's memory; otherwise one of two faults is noted. The library
;; looks at the alignment last, but of what the allocator and the function itself returned.
(func $check (param $at i32) (param $bytes i64) (param $align i32) (param $fault i32) (result i32)
  (local $misaligned i32) (local $outside i32)
  (local.set $misaligned
    (i32.and (local.get $at) (i32.sub (local.get $align) (i32.const 1))))
  (local.set $outside
    (i64.gt_u (i64.add (i64.extend_i32_u (local.get $at)) (local.get $bytes))
              (i64.shl (i64.extend_i32_u (memory.size $guest)) (i64.const 16))))
  (if (i32.eqz (i32.or (local.get $misaligned) (local.get $outside)))
    (then (return (i32.const 1))))
  (if (i32.and (i32.lt_u (local.get $fault) (i32.const {_FAULT_LIST}))
               (i32.ne (local.get $misaligned) (i32.const 0)))
    (then (local.set $outside (i32.const 0))))
  (global.set $fault (i32.add (local.get $fault) (local.get $outside)))
  (i32.const 0))
"""

_TAKE = f"""
;; The record at $at: allocate the block, and put its address into its parent. 0: there is none.
(func $begin (param $at i32) (result i32)
  (local $size i32) (local $offset i32) (local $depth i32) (local $align i32) (local $block i32)
  (local.set $size (i32.load $own (local.get $at)))
  (local.set $offset (i32.load $own offset=4 (local.get $at)))
  (local.set $depth (i32.load16_u $own offset=8 (local.get $at)))
  (local.set $align (i32.load16_u $own offset=10 (local.get $at)))
  (if (i32.eqz (local.get $depth)) (then (return (i32.const 0))))
  (local.set $block (call $realloc
    (i32.const 0) (i32.const 0) (local.get $align) (local.get $size)))
  (if (i32.eqz (call $check (local.get $block) (i64.extend_i32_u (local.get $size))
                            (local.get $align) (i32.const {_FAULT_REALLOC})))
    (then (return (i32.const 0))))
  (if (i32.eq (local.get $depth) (i32.const 1))
    (then (i32.store $own offset={_SLOTS} (local.get $offset) (local.get $block)))
    (else (i32.store $guest
      (i32.add (local.get $offset)
               (i32.load $own offset={_BLOCKS - 4} (i32.shl (local.get $depth) (i32.const 2))))
      (local.get $block))))
  (i32.store $own offset={_BLOCKS} (i32.shl (local.get $depth) (i32.const 2)) (local.get $block))
  (global.set $into (local.get $block))
  (global.set $left (local.get $size))
  (i32.const 1))

;; Take the message that was fed.
(func $take
  (local $at i32) (local $end i32) (local $n i32)
  (local.set $at (i32.const {_BUFFER}))
  (local.set $n (i32.shr_u (global.get $arrived) (i32.const 7)))  ;; units
  (call $unpack (local.get $n))
  (local.set $end (i32.add (local.get $at) (i32.mul (local.get $n) (i32.const 112))))
  (global.set $arrived (i32.const 0))
  (if (global.get $fault) (then (return)))
  (if (i32.eq (i32.load16_u $own offset=8 (local.get $at)) (i32.const 0xffff)) (then  ;; the first
    (memory.copy $own $own (i32.const {_SLOTS}) (i32.add (local.get $at) (i32.const 12))
                           (i32.const {_RESULT - _SLOTS}))
    (global.set $left (i32.const 0))
    (local.set $at
      (i32.add (local.get $at) (i32.add (i32.load $own (local.get $at)) (i32.const 12))))))
  (loop $next
    (local.set $n (i32.sub (local.get $end) (local.get $at)))
    (if (i32.gt_u (local.get $n) (global.get $left)) (then (local.set $n (global.get $left))))
    (memory.copy $guest $own (global.get $into) (local.get $at) (local.get $n))
    (global.set $into (i32.add (global.get $into) (local.get $n)))
    (global.set $left (i32.sub (global.get $left) (local.get $n)))
    (local.set $at (i32.add (local.get $at) (local.get $n)))
    (br_if $next (if (result i32)
      (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 12))
      (then (i32.const 0))
      (else (call $begin (local.get $at))
            (local.set $at (i32.add (local.get $at) (i32.const 12))))))))

;; The engine asks for room for a message.
(func (export "realloc") (param i32 i32 i32 i32) (result i32)
  (if (global.get $arrived) (then (call $take)))
  (if (i32.gt_u (local.get 3) (i32.const {_UNITS * 128})) (then unreachable))
  (global.set $arrived (local.get 3))
  (i32.const {_BUFFER}))

;; The message lies in the buffer now.
(func (export "feed") (param i32 i32))
"""

_ANSWER = f"""
;; A block is to be visited: $count elements from $at on.
(func $push (param $visitor i32) (param $at i32) (param $count i32)
            (param $size i32) (param $align i32) (param $fault i32)
  (local $frame i32)
  (local.set $frame (global.get $top))
  (i32.store $own (local.get $frame) (local.get $visitor))
  (i32.store $own offset=4 (local.get $frame) (local.get $at))
  (i32.store $own offset=8 (local.get $frame) (local.get $count))
  (i32.store $own offset=12 (local.get $frame) (local.get $size))
  (i32.store $own offset=16 (local.get $frame) (local.get $align))
  (i32.store $own offset=20 (local.get $frame) (local.get $fault))  ;; 0 once it was begun
  (global.set $top (i32.add (local.get $frame) (i32.const {_FRAME}))))

;; Begin to send the block of the frame, or visit its next element.
(func $step (param $frame i32)
  (local $at i32) (local $count i32) (local $size i32) (local $bytes i64)
  (local.set $at (i32.load $own offset=4 (local.get $frame)))
  (local.set $count (i32.load $own offset=8 (local.get $frame)))
  (local.set $size (i32.load $own offset=12 (local.get $frame)))
  (if (i32.load $own offset=20 (local.get $frame)) (then
    (local.set $bytes
      (i64.mul (i64.extend_i32_u (local.get $count)) (i64.extend_i32_u (local.get $size))))
    (if (i32.eqz (call $check (local.get $at) (local.get $bytes)
                              (i32.load $own offset=16 (local.get $frame))
                              (i32.load $own offset=20 (local.get $frame)))) (then (return)))
    (if (i64.gt_u (local.get $bytes) (global.get $budget)) (then
      (global.set $fault (i32.const {_FAULT_TOO_MUCH}))
      (return)))
    (global.set $budget (i64.sub (global.get $budget) (local.get $bytes)))
    (global.set $from (local.get $at))
    (global.set $rest (i32.wrap_i64 (local.get $bytes)))
    (i32.store $own offset=20 (local.get $frame) (i32.const 0))
    (if (i32.eqz (i32.load $own (local.get $frame))) (then
      (global.set $top (local.get $frame))))
    (return)))
  (if (i32.eqz (local.get $count)) (then
    (global.set $top (local.get $frame))
    (return)))
  (i32.store $own offset=4 (local.get $frame) (i32.add (local.get $at) (local.get $size)))
  (i32.store $own offset=8 (local.get $frame) (i32.sub (local.get $count) (i32.const 1)))
  (call $visit (i32.load $own (local.get $frame)) (local.get $at)))

;; Fill the buffer from $at on, and make an answer of it.
(func $answer (param $at i32) (result i32)
  (local $n i32) (local $units i32) (local $what i32)
  (block $full (loop $next
    (local.set $n (i32.sub (i32.const {_BUFFER + _ROOM}) (local.get $at)))
    (if (i32.gt_u (local.get $n) (global.get $rest)) (then (local.set $n (global.get $rest))))
    (memory.copy $own $guest (local.get $at) (global.get $from) (local.get $n))
    (local.set $at (i32.add (local.get $at) (local.get $n)))
    (global.set $from (i32.add (global.get $from) (local.get $n)))
    (global.set $rest (i32.sub (global.get $rest) (local.get $n)))
    (br_if $full (global.get $rest))
    (br_if $full (global.get $fault))
    (br_if $full (i32.eq (global.get $top) (i32.const {_STACK})))
    (call $step (i32.sub (global.get $top) (i32.const {_FRAME})))
    (br $next)))
  (local.set $units (i32.div_u
    (i32.add (i32.sub (local.get $at) (i32.const {_BUFFER})) (i32.const 111)) (i32.const 112)))
  (call $pack (local.get $units))
  (local.set $what (i32.const {_MORE}))
  (if (global.get $fault)
    (then
      (local.set $what (global.get $fault))
      (global.set $due (i32.const -1)))
    (else (if (call $is_over) (then (local.set $what (i32.const {_DONE}))))))
  (local.set $n (i32.shl (local.get $units) (i32.const 7)))
  (i32.store8 $own offset={_BUFFER} (local.get $n)
    (i32.sub (i32.add (i32.mul (local.get $units) (i32.const 112)) (i32.const {_BUFFER}))
             (local.get $at)))
  (i32.store8 $own offset={_BUFFER + 1} (local.get $n) (local.get $what))
  (i32.store $own (i32.const 0) (i32.const {_BUFFER}))
  (i32.store $own (i32.const 4) (i32.add (local.get $n) (i32.const 2)))
  (i32.const 0))

(func $is_over (result i32)
  (i32.and (i32.eqz (global.get $rest)) (i32.eq (global.get $top) (i32.const {_STACK}))))

(func (export "more") (result i32) (call $answer (i32.const {_BUFFER})))

(func (export "drop")
  (global.set $rest (i32.const 0))
  (global.set $top (i32.const {_STACK})))

(func (export "fail") unreachable)

;; The post-returns of what answers, and of drop.
(func (export "after") (param i32) (if (call $is_over) (then (call $post))))
(func (export "dropped") (call $post))
"""

# --- what is made for each function and type ------------------------------------------------------


class _Visitors:
    """The functions that find the pointers in a value of a type, and push what they point to."""

    def __init__(self) -> None:
        self._numbers: dict[Type, int] = {}
        self.functions: list[str] = []

    def number(self, type: Type) -> int:
        """Return the number of a type's visitor; 0 if there are no pointers in it."""
        type = layout.plain(type)
        if not layout.has_pointers(type):
            return 0
        if type not in self._numbers:
            self._numbers[type] = number = len(self.functions) + 1
            self.functions.append("")
            self.functions[number - 1] = f"(func $visit{number} (param $at i32){self._body(type)})"
        return self._numbers[type]

    def _body(self, type: Type) -> str:
        element = layout.element_of(type)
        if element is not None:
            size, alignment = layout.layout(element)
            fault = _FAULT_MAP if isinstance(type, layout.MapType) else _FAULT_LIST
            return self._push(self.number(element), size, alignment, fault)
        if not layout.has_inside(type):
            return self._push(0, 1, 1, _FAULT_STRING)
        payloads = layout.cases(type)
        return self._fields(type) if payloads is None else self._cases(payloads)

    @staticmethod
    def _push(visitor: int, size: int, alignment: int, fault: int) -> str:
        numbers = " ".join(f"(i32.const {each})" for each in (size, alignment, fault))
        return f"""
  (call $push (i32.const {visitor})
    (i32.load $guest (local.get $at)) (i32.load $guest offset=4 (local.get $at)) {numbers})"""

    def _fields(self, type: Type) -> str:
        calls, offset = [], 0
        for field in layout.fields(type) or ():
            size, alignment = layout.layout(field)
            offset = layout.aligned(offset, alignment)
            calls.append(self._visit(field, offset))
            offset += size
        return "".join(reversed(calls))  # what is pushed last is visited first

    def _cases(self, payloads: list[Optional[Type]]) -> str:
        bits = {1: "8_u", 2: "16_u", 4: ""}[layout.discriminant_size(len(payloads))]
        offset = layout.case_offset(payloads)
        return "".join(
            f"\n  (if (i32.eq (i32.load{bits} $guest (local.get $at)) (i32.const {number}))"
            f" (then {self._visit(payload, offset)}))"
            for number, payload in enumerate(payloads)
            if payload is not None and layout.has_pointers(payload)
        )

    def _visit(self, type: Type, offset: int) -> str:
        number = self.number(type)
        place = f"(i32.add (local.get $at) (i32.const {offset}))"
        return f"\n  (call $visit{number} {place})" if number else ""

    def dispatch(self) -> str:
        """Return the function that calls the visitor of a number."""
        calls = [f"(call $visit{n + 1} (local.get $at))" for n in range(len(self.functions))]
        return f"(func $visit (param $which i32) (param $at i32){_switch(calls, first=1)})"


def _switch(calls: list[str], first: int) -> str:
    """Return what does one of several things by the number ``$which``, counted from `first`."""
    if not calls:
        return ""
    labels = " ".join(f"$case{n}" for n in range(len(calls)))
    text = f"(br_table {labels} $none (i32.sub (local.get $which) (i32.const {first})))"
    for n, call in enumerate(calls):
        text = f"(block $case{n} {text})\n    {call} (br $none)"
    return f"\n  (block $none {text})"


def _core_result(func: Func) -> Optional[str]:
    """Return the core type of what a function returns; None if it returns nothing."""
    flat = layout.flatten(func.result) if func.result is not None else []
    return None if not flat else flat[0] if len(flat) == 1 else "i32"


def _imports(number: int, func: Func) -> str:
    result = _core_result(func)
    params = " ".join(layout.flatten_params(func))
    returned = f"(result {result})" if result else ""
    text = f'(import "" "f{number}" (func $f{number} (param {params}) {returned}))'
    if _post_return(func) is not None:
        text += f'\n(import "" "p{number}" (func $p{number} (param {result or ""})))'
    return text


def _post_return(func: Func) -> Optional[int]:
    assert func.lift is not None
    return func.lift.options.get(POST_RETURN_OPTION)


def _call(number: int, func: Func, visitors: _Visitors) -> str:
    """Return the function that calls one of the guest's."""
    arguments = " ".join(
        f"({flat}.load $own (i32.const {_SLOTS + 8 * n}))"
        for n, flat in enumerate(layout.flatten_params(func))
    )
    call, result = f"(call $f{number} {arguments})", _core_result(func)
    if result is not None:
        call = f"({result}.store $own (i32.const {_RESULT}) {call})"
    root, used = "", 0
    if func.result is not None and len(layout.flatten(func.result)) > 1:
        size, alignment = layout.layout(func.result)
        root = f"""
  (call $push (i32.const {visitors.number(func.result)})
    (i32.load $own (i32.const {_RESULT})) (i32.const 1)
    (i32.const {size}) (i32.const {alignment}) (i32.const {_FAULT_ROOT}))"""
    elif result is not None:
        root, used = (
            f"\n  (i64.store $own (i32.const {_BUFFER}) (i64.load $own (i32.const {_RESULT})))",
            8,
        )
    return f"""
(func (export "{number}") (param i32 i32 i32 i32) (result i32)
  (if (global.get $fault) (then (return (call $answer (i32.const {_BUFFER})))))
  (global.set $due (i32.const -1))
  (i64.store $own (i32.const {_RESULT}) (i64.const 0))
  {call}
  (global.set $due (i32.const {number}))
  (global.set $top (i32.const {_STACK}))
  (global.set $rest (i32.const 0))
  (call $allow){root}
  (call $answer (i32.const {_BUFFER + used})))
"""


_ALLOWANCE = """
;; An honest result fits in the guest's memory; parts may be shared up to what the library allows.
(func $allow
  (local $bytes i64)
  (local.set $bytes (i64.shl (i64.extend_i32_u (memory.size $guest)) (i64.const 16)))
  (global.set $budget (select (local.get $bytes) (i64.const 0x8000000)
                              (i64.gt_u (local.get $bytes) (i64.const 0x8000000)))))
"""


def _post(functions: list[Func]) -> str:
    """Return the function that runs the post-return which is due."""
    calls = []
    for number, func in enumerate(functions):
        result = _core_result(func)
        value = f"({result}.load $own (i32.const {_RESULT}))" if result else ""
        calls.append("" if _post_return(func) is None else f"(call $p{number} {value})")
    return f"""
(func $post (local $which i32)
  (local.set $which (global.get $due))
  (global.set $due (i32.const -1)){_switch(calls, first=0)})
"""


def codec_text(functions: list[Func], has_realloc: bool) -> str:
    """Return the text of the codec for some functions.

    Args:
        functions: The functions; the codec exports its half of each under its number.
        has_realloc: Whether there is an allocator of the guest.
    """
    visitors = _Visitors()
    calls = [_call(number, func, visitors) for number, func in enumerate(functions)]
    signature = "(param i32 i32 i32 i32) (result i32)"
    realloc = f'(import "" "realloc" (func $realloc {signature}))' if has_realloc else ""
    return "\n".join(
        [
            f'(module ${HIDDEN_MODULE} (import "" "memory" (memory $guest 0))',
            realloc,
            *(_imports(number, func) for number, func in enumerate(functions)),
            "" if has_realloc else f"(func $realloc {signature} unreachable)",
            _HEAD,
            _unpack(),
            _pack(),
            _TAKE,
            _ANSWER,
            _ALLOWANCE,
            *visitors.functions,
            visitors.dispatch(),
            *calls,
            _post(functions),
            ")",
        ]
    )
