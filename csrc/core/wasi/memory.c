/* The guest's memory: looked up, bounds and alignment checked, buffers found.
 *
 * The rules are the library's: what lies out of bounds or is misaligned ends the guest, only the
 * first buffer that is not empty is used, and a list that is too long is refused with an error.
 * A shared memory may change while it is read: each number is read once. */

/* How many bytes of guest memory one call may make the host look at. */
#define WASI_CALL_FUEL ((uint64_t)128 << 20)

static const char WASI_NO_MEMORY_EXPORT[] = "missing required memory export";
static const char WASI_OUT_OF_BOUNDS[] = "WASI: pointer out of bounds of the guest's memory";
static const char WASI_MISALIGNED[] = "WASI: pointer not aligned";

static void
guest_memory_refresh(WasiCall *call)
{
    GuestMemory *memory = &call->memory;
    if (LIKELY(memory->item.kind == WASMTIME_EXTERN_MEMORY)) {
        memory->data = wasmtime_memory_data(call->context, &memory->item.of.memory);
        memory->size = wasmtime_memory_data_size(call->context, &memory->item.of.memory);
    }
    else {
        memory->data = wasmtime_sharedmemory_data(memory->item.of.sharedmemory);
        memory->size = wasmtime_sharedmemory_data_size(memory->item.of.sharedmemory);
    }
}

/* The caller's export "memory"; guest_memory_release() must follow. */
static bool
guest_memory_find(GuestMemory *memory, wasmtime_caller_t *caller)
{
    if (!wasmtime_caller_export_get(caller, "memory", 6, &memory->item)) {
        return false;
    }
    return memory->item.kind == WASMTIME_EXTERN_MEMORY
           || memory->item.kind == WASMTIME_EXTERN_SHAREDMEMORY;
}

static void
guest_memory_release(GuestMemory *memory)
{
    if (UNLIKELY(memory->item.kind == WASMTIME_EXTERN_SHAREDMEMORY)) {
        wasmtime_sharedmemory_delete(memory->item.of.sharedmemory);
    }
}

static WasiStep
wasi_error(WasiCall *call, int error)
{
    call->error = (uint16_t)error;
    return WASI_DONE;
}

static NOINLINE WasiStep
wasi_fail(WasiCall *call, const char *failure)
{
    call->failure = failure;
    return WASI_FAILED;
}

static inline bool
guest_has(const WasiCall *call, uint32_t address, uint64_t size)
{
    return size <= call->memory.size && address <= call->memory.size - size;
}

/* Whether a value of `size` bytes may be at `address`; if not, the failure is set. */
static inline bool
guest_check(WasiCall *call, uint32_t address, uint64_t size, uint32_t alignment)
{
    if (LIKELY(guest_has(call, address, size) && address % alignment == 0)) {
        return true;
    }
    wasi_fail(call, guest_has(call, address, size) ? WASI_MISALIGNED : WASI_OUT_OF_BOUNDS);
    return false;
}

enum { BUFFER_SIZE = 8, SUBSCRIPTION_SIZE = 48, EVENT_SIZE = 32 };

/* The same for an element of an array; `at` becomes its address. */
static inline bool
guest_check_element(WasiCall *call, uint32_t array, uint32_t index, uint32_t size, uint32_t *at)
{
    uint64_t address = array + (uint64_t)index * size;
    if (UNLIKELY(address > UINT32_MAX)) {
        wasi_fail(call, WASI_OUT_OF_BOUNDS);
        return false;
    }
    *at = (uint32_t)address;
    return guest_check(call, *at, size, size == BUFFER_SIZE ? 4 : 8);
}

static inline uint32_t
guest_u32(const WasiCall *call, uint32_t address)
{
    const volatile uint8_t *bytes = call->memory.data + address;
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static inline uint64_t
guest_u64(const WasiCall *call, uint32_t address)
{
    return guest_u32(call, address) | (uint64_t)guest_u32(call, address + 4) << 32;
}

static inline void
guest_put(const WasiCall *call, uint32_t address, uint64_t value, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        call->memory.data[address + i] = (uint8_t)(value >> (8 * i));
    }
}

/* Write a result where the guest wants it, and be done. */
static WasiStep
wasi_result(WasiCall *call, uint32_t address, uint64_t value, uint32_t size)
{
    if (UNLIKELY(!guest_check(call, address, size, size))) {
        return WASI_FAILED;
    }
    guest_put(call, address, value, size);
    return wasi_error(call, WASI_SUCCESS);
}

/* The first buffer of a list that is not empty becomes `buffer` and `length`, unchecked. WASI_RETRY:
 * found. */
static WasiStep
wasi_find_buffer(WasiCall *call, uint32_t list, uint32_t count)
{
    call->buffer = call->length = 0;
    if (UNLIKELY((uint64_t)count * BUFFER_SIZE > WASI_CALL_FUEL)) {
        return wasi_error(call, WASI_NOMEM);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t entry;
        if (UNLIKELY(!guest_check_element(call, list, i, BUFFER_SIZE, &entry))) {
            return WASI_FAILED;
        }
        uint32_t length = guest_u32(call, entry + 4);
        if (length != 0) {
            call->buffer = guest_u32(call, entry);
            call->length = length;
            break;
        }
    }
    return call->length > WASI_CALL_FUEL - (uint64_t)count * BUFFER_SIZE
               ? wasi_error(call, WASI_NOMEM)
               : WASI_RETRY;
}

/* The same, checked, and once for each call. A read of what is only written, or the other way round,
 * is refused in between: `serves` says whether the stream does what is asked. */
static WasiStep
wasi_resolve_buffer(WasiCall *call, bool serves)
{
    if (call->resolved) {
        return WASI_RETRY;
    }
    WasiStep found = wasi_find_buffer(call, call->arguments[1], call->arguments[2]);
    if (found != WASI_RETRY) {
        return found;
    }
    if (!serves) {
        return wasi_error(call, WASI_BADF);
    }
    if (!guest_check(call, call->buffer, call->length, 1)) {
        return WASI_FAILED;
    }
    call->resolved = true;
    return WASI_RETRY;
}

/* What a read or write has come to: once it is done, the guest is told how many bytes it was. */
static WasiStep
wasi_transferred(WasiCall *call, WasiStep step)
{
    if (step != WASI_DONE || call->error != WASI_SUCCESS) {
        return step;
    }
    return wasi_result(call, call->arguments[3], call->done, 4);
}
