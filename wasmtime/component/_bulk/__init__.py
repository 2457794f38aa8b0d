"""Lists of any size through components, at the speed of memory.

The C API passes each element of a list as a value of its own, of 32 bytes, and gives up beyond 128
MiB of them. It has one value that it copies as a whole: the string. So a component whose exports
have lists gets a small core module more, the codec: it shares the guest's memory, calls the
guest's functions, and speaks the canonical ABI there; what goes in and out lies packed in strings.

- `layout` computes how values lie in memory;
- `plan` chooses the functions;
- `codec` writes the codec for them, as text;
- `inject` appends it to the component's binary.

The other half is in ``csrc/core/component/bulk_*.c``. ``docs/bulk.md`` tells the whole story.
"""
