/* Deflated payloads (RFC 1951), as scripts carry them in base64: inflated up to a bound. See command.h. */
#include <string.h>

#include "command.h"

enum { MOST_BITS = 15, LITERALS = 288, DISTANCES = 30, LENGTHS = 19 };

typedef struct {
    const uint8_t *bytes;
    size_t length, at;
    uint32_t held, n_held;
    int ended;
} bit_reader;

typedef struct {
    uint16_t counts[MOST_BITS + 1], symbols[LITERALS];
} code_table;

static uint32_t take_bits(bit_reader *r, uint32_t n) {
    while (r->n_held < n) {
        if (r->at >= r->length) {
            r->ended = 1;
            return 0;
        }
        r->held |= (uint32_t)r->bytes[r->at++] << r->n_held;
        r->n_held += 8;
    }
    uint32_t value = r->held & ((1u << n) - 1);
    r->held >>= n;
    r->n_held -= n;
    return value;
}

static void build_table(code_table *t, const uint8_t *lengths, size_t n) {
    uint16_t starts[MOST_BITS + 2] = {0};
    memset(t->counts, 0, sizeof t->counts);
    for (size_t i = 0; i < n; i++) t->counts[lengths[i]]++;
    t->counts[0] = 0;
    for (size_t i = 1; i <= MOST_BITS; i++) starts[i + 1] = (uint16_t)(starts[i] + t->counts[i]);
    for (size_t i = 0; i < n; i++)
        if (lengths[i]) t->symbols[starts[lengths[i]]++] = (uint16_t)i;
}

/* The next symbol, or -1 where no code fits. */
static int take_symbol(bit_reader *r, const code_table *t) {
    int code = 0, first = 0, index = 0;
    for (int bits = 1; bits <= MOST_BITS && !r->ended; bits++) {
        code |= (int)take_bits(r, 1);
        int count = t->counts[bits];
        if (code - count < first) return t->symbols[index + code - first];
        index += count;
        first = (first + count) << 1;
        code <<= 1;
    }
    return -1;
}

static int read_tables(bit_reader *r, code_table *literals, code_table *distances) {
    static const uint8_t order[LENGTHS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[LITERALS + 32] = {0};
    uint32_t n_literals = take_bits(r, 5) + 257, n_distances = take_bits(r, 5) + 1, n = take_bits(r, 4) + 4;
    if (n_literals > LITERALS - 2 || n_distances > DISTANCES) return 0;
    for (uint32_t i = 0; i < n; i++) lengths[order[i]] = (uint8_t)take_bits(r, 3);
    build_table(literals, lengths, LENGTHS);
    memset(lengths, 0, sizeof lengths);
    for (uint32_t i = 0; i < n_literals + n_distances && !r->ended;) {
        int symbol = take_symbol(r, literals);
        uint32_t times = 1;
        uint8_t value = 0;
        if (symbol < 0 || (symbol == 16 && i == 0)) return 0;
        if (symbol < 16) value = (uint8_t)symbol;
        else if (symbol == 16) value = lengths[i - 1], times = 3 + take_bits(r, 2);
        else times = symbol == 17 ? 3 + take_bits(r, 3) : 11 + take_bits(r, 7);
        if (i + times > n_literals + n_distances) return 0;
        while (times--) lengths[i++] = value;
    }
    build_table(literals, lengths, n_literals);
    build_table(distances, lengths + n_literals, n_distances);
    return !r->ended;
}

static void fixed_tables(code_table *literals, code_table *distances) {
    uint8_t lengths[LITERALS];
    for (size_t i = 0; i < LITERALS; i++) lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    build_table(literals, lengths, LITERALS);
    memset(lengths, 5, DISTANCES);
    build_table(distances, lengths, DISTANCES);
}

/* One compressed block. 0 at its end or at a fault, which also ends the reader. */
static void inflate_block(bit_reader *r, byte_sink *out, const code_table *literals,
                          const code_table *distances) {
    static const uint16_t bases[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                       31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const uint8_t extras[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    while (!r->ended && out->length < out->capacity) {
        int symbol = take_symbol(r, literals);
        if (symbol == 256) return;
        if (symbol < 0 || symbol > 285) break;
        if (symbol < 256) {
            sink_byte(out, (uint8_t)symbol);
            continue;
        }
        uint32_t length = bases[symbol - 257] + take_bits(r, extras[symbol - 257]);
        int code = take_symbol(r, distances);
        if (code < 0 || code >= DISTANCES) break;
        uint32_t extra = code < 2 ? 0 : (uint32_t)code / 2 - 1;
        uint32_t distance = code < 2 ? (uint32_t)code + 1 : ((2u + (code & 1)) << extra) + 1 + take_bits(r, extra);
        if (r->ended || distance > out->length) break;
        while (length-- && out->length < out->capacity) sink_byte(out, out->bytes[out->length - distance]);
    }
    r->ended = 1;
}

size_t bk_inflate(const uint8_t *data, size_t length, uint8_t *out, size_t capacity) {
    bit_reader r = {data, length, 0, 0, 0, 0};
    byte_sink sink = {out, 0, capacity};
    code_table literals, distances;
    for (uint32_t last = 0; !last && !r.ended && sink.length < capacity;) {
        last = take_bits(&r, 1);
        uint32_t kind = take_bits(&r, 2);
        if (r.ended || kind == 3) break;
        if (kind == 0) {
            r.held = r.n_held = 0;
            if (r.at + 4 > length) break;
            size_t n = (size_t)data[r.at] | (size_t)data[r.at + 1] << 8;
            if ((n ^ 0xFFFF) != ((size_t)data[r.at + 2] | (size_t)data[r.at + 3] << 8)) break;
            for (r.at += 4; n-- && r.at < length;) sink_byte(&sink, data[r.at++]);
            continue;
        }
        if (kind == 1) fixed_tables(&literals, &distances);
        else if (!read_tables(&r, &literals, &distances)) break;
        inflate_block(&r, &sink, &literals, &distances);
    }
    return sink.length;
}

/* Where the deflated data begin behind the header of gzip or zlib; 0 if it is none. */
size_t bk_deflate_start(const uint8_t *data, size_t length) {
    if (length > 18 && data[0] == 0x1F && data[1] == 0x8B && data[2] == 8) {
        size_t at = 10;
        if (data[3] & 4) at += 2 + ((size_t)data[10] | (size_t)data[11] << 8);
        for (int field = 8; field <= 16; field <<= 1) /* a name, a comment */
            if (data[3] & field)
                while (at < length && data[at++]) continue;
        if (data[3] & 2) at += 2;
        return at < length ? at : 0;
    }
    return length > 6 && data[0] == 0x78 && ((size_t)data[0] << 8 | data[1]) % 31 == 0 ? 2 : 0;
}
