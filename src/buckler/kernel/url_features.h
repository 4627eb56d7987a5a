/* Features of a URL's build: counts, shapes, well-known names in places that are not theirs. */
#ifndef BUCKLER_URL_FEATURES_H
#define BUCKLER_URL_FEATURES_H

#include <string.h>

#include "url.h"
#include "url_words.h"

enum { WINDOW_BYTES = 64, PLAIN_BLOCKS = 8, SHAPE_RUNS = 12, MAX_NAME_BYTES = 64 };

/* What each of 64 bytes can mean in a URL: one bit for each. */
typedef struct {
    uint64_t letter; /* or beyond ASCII */
    uint64_t upper, digit, dot, dash, slash, colon;
    uint64_t end;     /* ? # */
    uint64_t unusual; /* a control character, beyond ASCII, or one of % @ \ [ ( { */
} byte_classes;

/*
 * Arithmetic in place of branches, here and below: compilers make jumps of conditions, and no processor can
 * foretell where the parts of the next URL end.
 */
static inline uint64_t first_bits(size_t n) { return ~(~0ull << n % 64) | -(uint64_t)(n >= 64); }

static inline size_t last_bit(uint64_t bits) { return 63 - (size_t)__builtin_clzll(bits); }

/* The position behind the last bit; 0 if there is none. */
static inline size_t bits_end(uint64_t bits) { return last_bit(bits | 1) + (bits != 0); }

/* The position of the first bit; 64 if there is none. */
static inline size_t bits_start(uint64_t bits) { return (size_t)__builtin_ctzll(bits | 1ull << 63) + (bits == 0); }

/* The position of the first bit from `at` on in a set of blocks; `otherwise` if there is none. */
static size_t find_bit(const uint64_t *blocks, size_t n_blocks, size_t at, size_t otherwise) {
    size_t b = at / WINDOW_BYTES;
    uint64_t rest = b < n_blocks ? blocks[b] & ~first_bits(at % WINDOW_BYTES) : 0;
    while (rest == 0 && ++b < n_blocks) rest = blocks[b];
    const size_t found = b * WINDOW_BYTES + bits_start(rest);
    return found < otherwise ? found : otherwise;
}

/* "www." in any case. */
static inline int is_www(const uint8_t *host) {
    uint32_t letters;
    memcpy(&letters, host, sizeof letters);
    return (letters | 0x20202020u) == 0x2E777777u;
}

static inline void copy_part(uint8_t *out, const uint8_t *from, size_t length, int is_short) {
    if (is_short) memcpy(out, from, WINDOW_BYTES);
    else memcpy(out, from, length);
}


/* --- words ------------------------------------------------------------------------------------------ */

enum { IN_SUB = 0, IN_NAME = 2, BEHIND = 4, OWN = 64 }; /* kinds of words found, shifted by their place */
enum { KNOWN_SITE = 1 << 16 };

/* Whether a word stands here, in any case: no loop, since where it would end cannot be predicted. */
static inline int is_word_at(const uint8_t *text, const url_word *word) {
    static const uint8_t ones[32] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    uint64_t read[2], letters[2], mask[2];
    memcpy(read, text, sizeof read);
    memcpy(letters, word->text, sizeof letters);
    memcpy(mask, ones + sizeof mask - word->length, sizeof mask);
    return ((((read[0] | 0x2020202020202020u) ^ letters[0]) & mask[0]) | (((read[1] | 0x2020202020202020u) ^ letters[1]) & mask[1])) == 0;
}

/* The longest word that begins here, or NULL. Of the text, 16 bytes can be read. */
static inline const url_word *find_word(const uint8_t *text, size_t left) {
    uint32_t letters;
    memcpy(&letters, text, sizeof letters);
    const uint32_t h = ((letters | 0x20202020u) * 0x9E3779B1u) >> 24;
    const url_word *end = url_words + words_by_hash[h + 1];
    for (const url_word *word = url_words + words_by_hash[h]; word < end; word++)
        if (word->length <= left && is_word_at(text, word)) return word;
    return NULL;
}

/* Whether a brand of three letters stands by itself in the name. */
static uint32_t find_short_brand(const uint8_t *name, size_t length, uint64_t letters) {
    const uint64_t runs = letters & letters >> 1 & letters >> 2 & ~(letters >> 3) & ~(letters << 1);
    for (uint64_t places = runs; places; places &= places - 1) {
        const size_t at = (size_t)__builtin_ctzll(places);
        for (size_t b = 0; b < sizeof short_brands / sizeof *short_brands; b++)
            if (memcmp(name + at, short_brands[b], 3) == 0)
                return length == 3 ? BRAND << IN_NAME | OWN : BRAND << IN_NAME;
    }
    return 0;
}

/* Whether a word is a brand but for one letter more, less, or changed, or two swapped. */
static int differs_by_one(const uint8_t *word, size_t length, const char *brand, size_t n) {
    size_t i = 0, tail = 0, shorter = length < n ? length : n;
    while (i < shorter && word[i] == (uint8_t)brand[i]) i++;
    while (tail < shorter - i && word[length - 1 - tail] == (uint8_t)brand[n - 1 - tail]) tail++;
    size_t left = length - i - tail, right = n - i - tail;
    if (left + right == 0) return 0;
    if (left <= 1 && right <= 1) return 1;
    return left == 2 && right == 2 && word[i] == (uint8_t)brand[i + 1] && word[i + 1] == (uint8_t)brand[i];
}

/*
 * A change leaves of a brand of at least five letters the first three, the last three, the first two and the
 * last one, or the first one and the last two: whether a brand of about this length shares any of these.
 */
static inline int may_be_near_brand(const uint8_t *word, size_t length) {
    uint32_t start, end, found = 0;
    memcpy(&start, word, sizeof start);
    memcpy(&end, word + length - 3, sizeof end);
    const uint32_t kept[4] = {start, (start & 0xFFFF) | (end & 0xFF0000), (start & 0xFF) | (end & 0xFFFF00), end};
    for (uint32_t k = 0; k < 4; k++) {
        const uint32_t letters = kept[k] & 0x1F1F1F; /* by their low five bits */
        const uint32_t h = ((letters | k << 24 | (uint32_t)length << 26) * 0x9E3779B1u) >> (32 - HASH_BITS);
        found |= near_hashes[h >> 5] >> (h & 31);
    }
    return found & 1;
}

/* A change leaves the first two letters or the last two: brands are listed by these and by those. */
static inline int is_near_brand(const uint8_t *word, size_t length) {
    if (length < 4 || length > LONGEST_BRAND + 1 || !may_be_near_brand(word, length)) return 0;
    const size_t pairs[2] = {(word[0] & 31u) << 5 | (word[1] & 31u),
                             1024 + ((word[length - 2] & 31u) << 5 | (word[length - 1] & 31u))};
    for (int i = 0; i < 2; i++)
        for (size_t b = brands_by_end[pairs[i]]; near_brands[b].end == pairs[i]; b++) {
            const size_t n = near_brands[b].length;
            if (n + 1 >= length && n <= length + 1 && differs_by_one(word, length, near_brands[b].text, n)) return 1;
        }
    return 0;
}

static inline int holds_near_brand(const uint8_t *name, size_t length, uint64_t dashes) {
    dashes &= first_bits(length);
    for (size_t start = 0, end; start < length; start = end + 1, dashes &= dashes - 1) {
        end = dashes ? (size_t)__builtin_ctzll(dashes) : length;
        if (is_near_brand(name + start, end - start)) return 1;
    }
    return 0;
}

/* Whether the registered domain of a host is that of a well-known site, and the page its owner's. */
static inline int is_known_site(const uint8_t *host, size_t host_length, size_t name_at) {
    const uint8_t *site = host + name_at;
    const size_t length = host_length - name_at;
    if (length < 4 || length > LONGEST_SITE) return 0;
    uint32_t letters;
    memcpy(&letters, site, sizeof letters);
    const uint32_t h = ((letters ^ (uint32_t)length << 24) * 0x9E3779B1u) >> (32 - HASH_BITS);
    if (!(site_hashes[h >> 5] >> (h & 31) & 1)) return 0;
    size_t s = sites_by_hash[h >> (HASH_BITS - 8)];
    const size_t end = sites_by_hash[(h >> (HASH_BITS - 8)) + 1];
    while (s < end && (site_ends[s + 1] - site_ends[s] != (int)length || memcmp(site, site_text + site_ends[s], length)))
        s++;
    if (s == end) return 0;
    for (size_t i = 0; i < sizeof user_content / sizeof *user_content; i++)
        if (user_content[i].length == host_length && memcmp(host, user_content[i].text, host_length) == 0) return 0;
    return 1;
}

/* --- numbers ---------------------------------------------------------------------------------------- */

/* Counts in steps that grow with them: 0, 1, 2, 3, 4, 6, 8, 12, 16, 24, ... */
static inline uint32_t size_step(size_t n) {
    const uint32_t log = 63 - (uint32_t)__builtin_clzll(n | 1);
    return 2 * log + (uint32_t)(2 * n >> log & 1) + (n == 1);
}

static inline uint32_t count_bits(uint64_t bits) { return (uint32_t)__builtin_popcountll(bits); }

static inline uint64_t mix_bits(uint64_t h, uint64_t value) {
    h = (h ^ value) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 32;
}

/* Up to eight bytes at the end of a text, of which 64 can be read. */
static inline uint64_t ending_bytes(const uint8_t *text, size_t length) {
    uint64_t bytes;
    memcpy(&bytes, text + (length > 8 ? length - 8 : 0), sizeof bytes);
    return length < 8 ? bytes & first_bits(8 * length) : bytes;
}

/* How many runs of letters and of digits there are, and other bytes; and whether it begins or ends with digits. */
static inline uint64_t shape(const byte_classes *c, size_t begin, size_t end) {
    const uint64_t inside = first_bits(end) & ~first_bits(begin);
    const uint64_t letter = c->letter & inside, digit = c->digit & inside;
    const uint64_t other = inside & ~letter & ~digit, last = digit >> (end - 1) % 64 & 1;
    return count_bits(letter & ~(letter << 1)) | count_bits(digit & ~(digit << 1)) << 7 | count_bits(other & c->dash) << 14 |
           count_bits(other & ~c->dash) << 21 | (uint64_t)(digit >> begin % 64 & 1) << 28 | last << 29;
}

/* The labels that registries sell under a country: without the whole list, good enough for a shape. */
static inline int is_registry_label(const uint8_t *label, size_t length) {
#define LABEL(a, b, c) a | b << 8 | c << 16
    static const uint32_t known[16] = { /* some twice, to fill registers */
        LABEL('a', 'c', 0), LABEL('c', 'o', 0), LABEL('g', 'o', 0), LABEL('n', 'e', 0), LABEL('o', 'r', 0),
        LABEL('c', 'o', 'm'), LABEL('e', 'd', 'u'), LABEL('g', 'o', 'v'), LABEL('n', 'e', 't'), LABEL('o', 'r', 'g'),
        LABEL('a', 'c', 0), LABEL('c', 'o', 0), LABEL('g', 'o', 0), LABEL('n', 'e', 0), LABEL('o', 'r', 0), LABEL('c', 'o', 'm')};
#undef LABEL
    uint32_t letters, found = 0;
    memcpy(&letters, label, sizeof letters);
    letters &= (uint32_t)first_bits(8 * length);
    for (int i = 0; i < 16; i++) found |= letters == known[i];
    return (int)found;
}

/* Where the name in a host, which somebody registered, lies, and what follows it. */
typedef struct {
    size_t name, end, suffix;
    uint64_t dots; /* before the name */
} host_places;

/* Of the host, WINDOW_BYTES can be read; `dots` are those in it. Few branches: they cannot be predicted. */
static inline host_places split_host(const uint8_t *host, size_t length, uint64_t dots) {
    if (!dots) return (host_places){0, length, length, 0};
    size_t end = last_bit(dots), suffix = end + 1;
    dots ^= 1ull << end;
    size_t label = bits_end(dots);
    if ((dots != 0) & (length - suffix == 2) & is_registry_label(host + label, end - label)) {
        suffix = label, end = label - 1;
        dots ^= 1ull << end;
        label = bits_end(dots);
    }
    return (host_places){label, end, suffix, dots};
}

/* --- all together ----------------------------------------------------------------------------------- */

/* A feature: its name, and a number of 18 bits in three printable bytes. */
static inline uint32_t feature(uint32_t name, uint32_t value) {
    const uint32_t sixes = (value & 0x3F) << 8 | (value & 0xFC0) << 10 | (value & 0x3F000) << 12;
    return name | (sixes + 0x30303000u);
}

static inline uint32_t hash18(uint64_t hash) { return (uint32_t)((hash * 0x9E3779B97F4A7C15u) >> 46); }

enum { FIXED_FEATURES = 20 }; /* named from 'a' on; further ones are marks */

#endif
