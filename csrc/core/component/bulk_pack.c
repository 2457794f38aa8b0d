/* Packing: seven bits of every byte, so that any data travels as text. A unit of 112 bytes becomes
 * one of 128, in whose last 16 are the high bits of the others. The codec in the guest does the
 * same with vectors of 16 bytes (wasmtime/component/_bulk/codec.py); here a vector is two words. */

#define UNIT_PLAIN 112
#define UNIT_PACKED 128
/* Units of one message: both its forms stay below the sizes for which malloc asks the system. */
#define BULK_UNITS 256
#define BULK_ROOM (BULK_UNITS * UNIT_PLAIN)
#define BULK_PACKED (BULK_UNITS * UNIT_PACKED)

#define LOW_BITS 0x7f7f7f7f7f7f7f7full
#define HIGH_BITS 0x8080808080808080ull
#define EACH_BYTE 0x0101010101010101ull

static void
pack_unit(char *packed, const char *plain)
{
    uint64_t in[14], out[16];
    memcpy(in, plain, sizeof(in));
    for (int half = 0; half < 2; half++) {
        uint64_t high = 0;
        for (int i = 0; i < 7; i++) {
            uint64_t word = in[2 * i + half];
            out[2 * i + half] = word & LOW_BITS;
            high |= (word >> (7 - i)) & (EACH_BYTE << i);
        }
        out[14 + half] = high;
    }
    memcpy(packed, out, sizeof(out));
}

static HOT void
unpack_unit(char *plain, const char *packed)
{
    uint64_t in[16], out[14];
    memcpy(in, packed, sizeof(in));
    for (int half = 0; half < 2; half++) {
        uint64_t high = in[14 + half];
        for (int i = 0; i < 7; i++) {
            out[2 * i + half] = in[2 * i + half] | ((high << (7 - i)) & HIGH_BITS);
        }
    }
    memcpy(plain, out, sizeof(out));
}

/* Pack `size` bytes, the last unit filled up with zeros; how many bytes that makes. */
static size_t
bulk_pack(char *packed, const char *plain, size_t size)
{
    size_t units = size / UNIT_PLAIN, rest = size % UNIT_PLAIN;
    for (size_t i = 0; i < units; i++) {
        pack_unit(packed + i * UNIT_PACKED, plain + i * UNIT_PLAIN);
    }
    if (rest != 0) {
        char last[UNIT_PLAIN] = {0};
        memcpy(last, plain + units * UNIT_PLAIN, rest);
        pack_unit(packed + units * UNIT_PACKED, last);
        units++;
    }
    return units * UNIT_PACKED;
}

/* Unpack the bytes from `first` to `end`, counted in what was packed. */
static HOT void
bulk_unpack(char *plain, const void *packed, size_t first, size_t end)
{
    while (first < end) {
        const char *unit = (const char *)packed + first / UNIT_PLAIN * UNIT_PACKED;
        size_t skipped = first % UNIT_PLAIN;
        size_t count = UNIT_PLAIN - skipped < end - first ? UNIT_PLAIN - skipped : end - first;
        if (count == UNIT_PLAIN) {
            unpack_unit(plain, unit);
        }
        else {
            char whole[UNIT_PLAIN];
            unpack_unit(whole, unit);
            memcpy(plain, whole + skipped, count);
        }
        plain += count;
        first += count;
    }
}
