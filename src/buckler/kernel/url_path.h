/*
 * The loops of url-v3, included once for each instruction set with BK_PATH naming the copy and LANES
 * the 32-bit numbers that one of its registers holds.
 */

/* What 64 bytes mean. */
static inline byte_classes BK_PATH(classify)(const uint8_t *text) {
    byte_classes classes, *found = &classes;
#if LANES == 16
    const __m512i v = _mm512_loadu_si512(text), low = _mm512_or_si512(v, _mm512_set1_epi8(0x20));
#define IS(v, c) _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(c))
#define BETWEEN(v, first, last) \
    _mm512_cmple_epu8_mask(_mm512_sub_epi8(v, _mm512_set1_epi8(first)), _mm512_set1_epi8((last) - (first)))
#define ADD(class, mask) found->class = mask
#else
    typedef int8_t bytes __attribute__((vector_size(4 * LANES)));
    bytes v, low;
    classes = (byte_classes){0};
    for (size_t i = 0; i < 64; i += sizeof v) {
        memcpy(&v, text + i, sizeof v);
        low = v | 0x20;
#define IS(v, c) (v == (c))
#define BETWEEN(v, first, last) ((v >= (first)) & (v <= (last)))
#if LANES == 8
#define ADD(class, mask) found->class |= (uint64_t)(uint32_t)_mm256_movemask_epi8((__m256i)(mask)) << i
#elif defined(__SSE2__)
#define ADD(class, mask) found->class |= (uint64_t)(uint32_t)_mm_movemask_epi8((__m128i)(mask)) << i
#else
#define ADD(class, mask) found->class |= (uint64_t)bits_of((bytes16)(mask)) << i
#endif
#endif
    ADD(letter, BETWEEN(low, 'a', 'z') | BETWEEN(v, -128, -1));
    ADD(upper, BETWEEN(v, 'A', 'Z'));
    ADD(digit, BETWEEN(v, '0', '9'));
    ADD(dot, IS(v, '.'));
    ADD(dash, IS(v, '-'));
    ADD(slash, IS(v, '/'));
    ADD(colon, IS(v, ':'));
    ADD(end, IS(v, '?') | IS(v, '#'));
    ADD(unusual, ~BETWEEN(v, ' ', '~') | IS(v, '%') | IS(v, '@') | IS(v, '\\') | IS(v, '(') | IS(low, '{'));
#if LANES != 16
    }
#endif
#undef ADD
#undef BETWEEN
#undef IS
    return classes;
}

/* A copy of less than 64 bytes, with any bytes behind it up to 64. */
static inline const uint8_t *BK_PATH(pad)(uint8_t *copy, const uint8_t *text, size_t length) {
#if LANES == 16
    _mm512_storeu_si512(copy, _mm512_maskz_loadu_epi8(first_bits(length), text));
    return copy;
#else
    if (length >= 32) memcpy(copy, text, 32), memcpy(copy + length - 32, text + length - 32, 32);
    else if (length >= 16) memcpy(copy, text, 16), memcpy(copy + length - 16, text + length - 16, 16);
    else memcpy(copy, text, length);
    return copy;
#endif
}

/*
 * The short way for plain URLs, which most are: positions come from bit masks. 0 where there is
 * something to undo: then the long way is taken, which gives the same for all that this one handles.
 */
static inline int BK_PATH(write_plain)(const uint8_t *text, size_t length, size_t start, size_t room, uint8_t *out, url_fields *fields) {
    uint8_t raw[3 * WINDOW_BYTES];
    uint64_t slashes[PLAIN_BLOCKS], url_ends[PLAIN_BLOCKS], unusual = 0, dotted = 0, inner = 0, carry = 0;
    const size_t n_blocks = (length + WINDOW_BYTES - 1) / WINDOW_BYTES;
    if (n_blocks == 0 || n_blocks > PLAIN_BLOCKS || start >= WINDOW_BYTES) return 0;
    if (room < 2 * WINDOW_BYTES || length + 2 > room - room / 8) return 0; /* a field might be cut */
    const int is_short = length < WINDOW_BYTES;
    byte_classes first = {0};
    for (size_t b = 0; b < n_blocks; b++) {
        const uint8_t *block = text + b * WINDOW_BYTES;
        size_t left = length - b * WINDOW_BYTES;
        if (left < WINDOW_BYTES) block = BK_PATH(pad)(raw, block, left);
        const byte_classes c = BK_PATH(classify)(block);
        const uint64_t inside = first_bits(left);
        if (b == 0) first = c;
        slashes[b] = c.slash & inside;
        url_ends[b] = c.end & inside;
        unusual |= c.unusual & inside;
        dotted |= c.dot & (slashes[b] << 1 | carry) & inside;
        const uint64_t here = c.colon & (slashes[b] >> 1 | 1ull << 63) & inside;
        inner |= b == 0 && start > 0 ? here & ~first_bits(start) : here;
        carry = slashes[b] >> 63;
    }
    if (unusual | dotted) return 0;
    if (is_short) text = raw;
    size_t host = start, end = length;
    const uint64_t stops = (slashes[0] | url_ends[0]) & ~first_bits(start);
    if (stops) end = (size_t)__builtin_ctzll(stops);
    else if (!is_short) return 0;
    size_t stop = end;
    while (stop > host && text[stop - 1] == '.') stop--;
    if (stop - host > 4) host += 4 * (size_t)is_www(text + host);
    const uint64_t in_host = first_bits(stop) & ~first_bits(host), dots = first.dot & in_host;
    const uint64_t dashes = first.dash & in_host;
    const size_t label = host + bits_end(dots >> host); /* the last one */
    if (first.colon & first_bits(end) & ~first_bits(host)) return 0; /* a port */
    if (dashes & dashes >> 1 && has_punycode(text + host, stop - host)) return 0;
    if (first.digit & in_host & 1ull << label % 64) return 0; /* an address */
    size_t w = stop - host;
    copy_part(out, text + host, w, is_short);
    if (first.upper & in_host)
        for (size_t i = 0; i < w; i++) out[i] = lower(out[i]);
    const host_places places = split_host(out, w, dots >> host);
    if ((may_be_wrapper(out + places.name, places.end - places.name) | may_be_wrapper(out + label - host, stop - label)) &&
        bk_is_wrapper((url_part){out, w}, (url_part){text + end, length - end}))
        return 0;
    fields->ends[0] = w;
    out[w++] = BK_FIELD_SEPARATOR;
    size_t begin = end + bits_start(~(slashes[0] >> end % 64));
    if (__builtin_expect(begin >= WINDOW_BYTES, 0))
        while (begin < length && text[begin] == '/') begin++;
    size_t query = find_bit(url_ends, n_blocks, begin, length);
    copy_part(out + w, text + begin, query - begin, is_short);
    w += query - begin;
    fields->ends[1] = w;
    out[w++] = BK_FIELD_SEPARATOR;
    if (query < length && text[query] == '?') query++;
    if (query < length) w += bk_write_query((url_part){text + query, length - query}, out + w, &fields->marks);
    fields->ends[2] = w;
    return inner ? 2 : 1;
}

static size_t BK_PATH(write_url3)(const uint8_t *text, size_t length, uint8_t *out, size_t capacity, url_fields *fields) {
    const uint8_t *trimmed = text;
    size_t trimmed_length = length, start = find_web_authority(text, length);
    if (start == 0) start = bk_find_authority(&trimmed, &trimmed_length);
    fields->marks = 0;
    const int written = BK_PATH(write_plain)(trimmed, trimmed_length, start, url3_room(capacity), out, fields);
    return written == 1 ? fields->ends[2] : bk_finish_url3(text, length, written, out, capacity, fields);
}

/* Where four bytes stand, of 64, with which a word may begin. */
static inline uint64_t BK_PATH(likely_words)(const uint8_t *text, size_t length) {
    uint64_t found = 0;
    for (size_t i = 0; i < (length + 31) / 32 * 32; i += LANES) {
        const uint8_t *t = text + i;
        BK_PATH(lanes) h = BK_PATH(widen)(t) | BK_PATH(widen)(t + 1) << 8 | BK_PATH(widen)(t + 2) << 16 |
                           BK_PATH(widen)(t + 3) << 24;
        h = ((h | 0x20202020u) * HASH_MULTIPLIER) >> (32 - HASH_BITS);
#if LANES == 16
        const __m512i bits = _mm512_i32gather_epi32((__m512i)(h >> 5), word_hashes, 4);
        const uint64_t hits = _mm512_test_epi32_mask((__m512i)((BK_PATH(lanes))bits >> (h & 31)), _mm512_set1_epi32(1));
#elif LANES == 8
        const __m256i bits = _mm256_i32gather_epi32((const int *)word_hashes, (__m256i)(h >> 5), 4);
        const __m256i top = (__m256i)((BK_PATH(lanes))bits << (31 - (h & 31)));
        const uint64_t hits = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(top));
#else
        uint64_t hits = 0;
        for (size_t j = 0; j < LANES; j++) hits |= (uint64_t)(word_hashes[h[j] >> 5] >> (h[j] & 31) & 1) << j;
#endif
        found |= hits << i;
    }
    return found;
}

/* Kinds of words anywhere in a URL, by their place. */
static inline uint32_t BK_PATH(find_words)(const uint8_t *text, size_t length, size_t name, size_t suffix, size_t host_end) {
    uint32_t found = 0;
    for (size_t start = 0; start < length; start += WINDOW_BYTES - 3) {
        size_t left = length - start < WINDOW_BYTES - 3 ? length - start : WINDOW_BYTES - 3;
        uint64_t places = BK_PATH(likely_words)(text + start, left) & first_bits(left);
        for (; places; places &= places - 1) {
            const size_t at = start + (size_t)__builtin_ctzll(places);
            const url_word *word = find_word(text + at, length - at);
            if (!word) continue;
            const uint32_t kind = word->kind, in_host = at < name ? kind << IN_SUB : at < suffix ? kind << IN_NAME : 0;
            found |= at > host_end ? kind << BEHIND : in_host;
            if (at == name && at + word->length == suffix && kind == BRAND) found |= OWN;
        }
    }
    return found;
}

/* Whether letters in place of the digits that look like them make a brand of at least five. */
static int BK_PATH(has_disguised_brand)(const uint8_t *name, size_t length, uint64_t digits) {
    static const char letters[] = "ol.eas....";
    uint8_t plain[MAX_NAME_BYTES + 16] = {0};
    memcpy(plain, name, length);
    for (; digits; digits &= digits - 1) {
        uint8_t *digit = plain + __builtin_ctzll(digits);
        *digit = (uint8_t)letters[*digit - '0'];
    }
    uint64_t places = BK_PATH(likely_words)(plain, length) & first_bits(length);
    for (; places; places &= places - 1) {
        const size_t at = (size_t)__builtin_ctzll(places);
        const url_word *word = find_word(plain + at, length - at);
        if (word && word->kind == BRAND && word->length >= 5) return 1;
    }
    return 0;
}

static inline size_t BK_PATH(url_features)(const uint8_t *text, const size_t ends[3], uint32_t marks, uint32_t *features) {
    const size_t host_at = ends[0] > WINDOW_BYTES ? ends[0] - WINDOW_BYTES : 0, host_length = ends[0] - host_at;
    const uint8_t *host = text + host_at;
    const byte_classes h = BK_PATH(classify)(host);
    const uint64_t in_host = first_bits(host_length);
    const host_places places = split_host(host, host_length, h.dot & in_host);
    const size_t name_at = places.name, name_end = places.end, suffix_at = places.suffix;
    const size_t name_length = name_end - name_at;
    const uint64_t in_name = first_bits(name_length);
    const uint64_t suffix = ending_bytes(host + suffix_at, host_length - suffix_at);

    const size_t path_at = ends[0] < ends[1] ? ends[0] + 1 : ends[1], path_length = ends[1] - path_at;
    const uint8_t *parts = text + path_at;
    const byte_classes p = BK_PATH(classify)(parts);
    const uint64_t in_path = first_bits(path_length);
    const uint64_t slashes = p.slash | ~in_path, segments = ~slashes & (slashes << 1 | 1);
    const size_t first_at = bits_start(segments) % WINDOW_BYTES, first_end = bits_start(slashes & ~first_bits(first_at));
    const uint8_t *tail = parts; /* the window that the last part of the path lies in */
    byte_classes t = p;
    size_t tail_length = path_length;
    if (path_length > WINDOW_BYTES) {
        tail = parts + path_length - WINDOW_BYTES, tail_length = WINDOW_BYTES;
        t = BK_PATH(classify)(tail);
    }
    tail_length = bits_end(~t.slash & first_bits(tail_length));
    const size_t last_at = bits_end(t.slash & first_bits(tail_length));
    const uint64_t points = t.dot & first_bits(tail_length) & ~first_bits(last_at);
    const size_t point = bits_end(points), behind_point = tail_length - point;
    const uint64_t ending = (ending_bytes(tail + point, behind_point < 4 ? behind_point : 4) | 1ull << 40) & -(uint64_t)(points != 0);

    const uint32_t length = size_step(ends[0]), name = size_step(name_length), subs = count_bits(places.dots);
    const uint32_t digits = size_step(count_bits(h.digit & in_host)), hyphens = count_bits(h.dash & in_host);
    const uint32_t depth = count_bits(segments), path_size = size_step(path_length);
    const uint32_t path_digits = size_step(count_bits(p.digit & in_path)), query = size_step(ends[2] > ends[1] ? ends[2] - ends[1] - 1 : 0);
    const uint64_t host_form = (uint64_t)subs << 48 ^ (uint64_t)hyphens << 54 ^ (uint64_t)digits << 58;
    const uint64_t path_form = (uint64_t)depth << 48 ^ (uint64_t)path_size << 53 ^ (uint64_t)path_digits << 58;
    const uint32_t values[FIXED_FEATURES] = {
        length, name, subs, digits, hyphens, depth, path_size, path_digits, query,
        length << 12 | name << 6 | subs,
        digits << 12 | hyphens << 6 | depth,
        path_size << 12 | path_digits << 6 | query,
        hash18(mix_bits(1, suffix) ^ host_form),
        hash18(mix_bits(2, suffix) ^ (uint64_t)name << 48 ^ (uint64_t)depth << 54),
        hash18(mix_bits(3, shape(&h, name_at, name_end))),
        hash18(mix_bits(4, (uint64_t)subs << 18 | (uint64_t)length << 12 | depth << 6 | query)),
        hash18(mix_bits(mix_bits(5, suffix), ending) ^ (uint64_t)depth << 48 ^ (uint64_t)query << 54),
        hash18(mix_bits(6, ending) ^ path_form),
        hash18(mix_bits(mix_bits(7, suffix), (uint64_t)name << 6 | depth) ^ host_form),
        hash18(mix_bits(mix_bits(8, shape(&p, first_at, first_end)), shape(&t, last_at, tail_length))),
    };
    for (uint32_t i = 0; i < FIXED_FEATURES; i++) features[i] = feature('a' + i, values[i]);
    const uint8_t *name_text = host + name_at;
    uint32_t words = BK_PATH(find_words)(text, ends[2], host_at + name_at, host_at + name_end, ends[0]);
    words |= find_short_brand(name_text, name_length, h.letter >> name_at % 64 & in_name);
    if (marks & URL_LOOKALIKE) words &= ~(uint32_t)OWN;
    /* At home a brand is no sign, nor is a name that resembles another one. */
    const int known = !(marks & (URL_FOREIGN | URL_LOOKALIKE)) && is_known_site(host, host_length, name_at);
    if (known) words &= ~(uint32_t)(BRAND << IN_SUB | BRAND << IN_NAME | OWN);
    const int named = known || (words & (BRAND << IN_NAME | OWN)) != 0;
    const uint64_t name_digits = h.digit >> name_at % 64 & in_name;
    const int disguised = !named && name_digits && BK_PATH(has_disguised_brand)(name_text, name_length, name_digits);
    const int near = !named && holds_near_brand(name_text, name_length, h.dash >> name_at % 64);
    uint32_t signs = words | (uint32_t)disguised << 7 | (uint32_t)near << 8 | marks << 9 | (known ? KNOWN_SITE : 0);
    size_t n = FIXED_FEATURES;
    features[n++] = feature('u', signs & 0x3FFFF);
    uint32_t rest = signs;
    for (int i = 0; i < 2; i++, rest &= rest - 1) { /* most have no more: no branch for these */
        features[n] = feature('v', (uint32_t)__builtin_ctz(rest | 1u << 31));
        n += rest != 0;
    }
    for (; rest; rest &= rest - 1) features[n++] = feature('v', (uint32_t)__builtin_ctz(rest));
    return n;
}

/* As bk_normalize_parts. */
static size_t BK_PATH(normalize_url3)(const uint8_t *text, size_t length, uint8_t *out, size_t capacity, text_parts *parts) {
    url_fields fields;
    const size_t written = BK_PATH(write_url3)(text, length, out, capacity, &fields);
    parts->count = 0;
    for (size_t n = 0; n < 3; n++) {
        parts->positions[n] = (uint32_t)fields.ends[n];
        parts->count += fields.ends[n] < written;
    }
    const size_t n_features = BK_PATH(url_features)(out, fields.ends, fields.marks, parts->features);
    const size_t left = capacity - written, fit = left > 2 ? (left - 2) / sizeof(uint32_t) : 0;
    parts->n_features = (uint32_t)(n_features < fit ? n_features : fit);
    return written;
}
