/* Hosts that are addresses, in every form that browsers read. */
#include "unicode.h"
#include "url.h"

/* 3232235777, 0xC0A80101, 0300.0250.1.1, 192.168.257: as browsers read them. 0 if it is none. */
static size_t write_dotted(url_part host, uint8_t *out) {
    uint32_t parts[4], n = 0, address = 0;
    for (size_t at = 0; at < host.length; n++) {
        if (n == 4) return 0;
        size_t end = at;
        while (end < host.length && host.bytes[end] != '.') end++;
        size_t used = 0;
        if (end - at > 1 && host.bytes[at] == '0' && lower(host.bytes[at + 1]) != 'x') { /* octal */
            for (parts[n] = 0; at + used < end && host.bytes[at + used] >= '0' && host.bytes[at + used] <= '7' &&
                               parts[n] < 1u << 28; used++)
                parts[n] = parts[n] * 8 + (host.bytes[at + used] - '0');
        } else {
            used = bk_read_number(host.bytes + at, end - at, &parts[n]);
            if (end - at == 2 && host.bytes[at] == '0' && lower(host.bytes[at + 1]) == 'x') used = 2, parts[n] = 0;
        }
        if (used == 0 || at + used != end) return 0;
        at = end + 1;
    }
    if (n == 0) return 0;
    for (uint32_t i = 0; i + 1 < n; i++) {
        if (parts[i] > 255) return 0;
        address |= parts[i] << (24 - 8 * i);
    }
    if (n > 1 && parts[n - 1] >> (8 * (5 - n))) return 0;
    address |= parts[n - 1];
    size_t w = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        uint32_t value = address >> shift & 255;
        if (value >= 100) out[w++] = (uint8_t)('0' + value / 100);
        if (value >= 10) out[w++] = (uint8_t)('0' + value / 10 % 10);
        out[w++] = (uint8_t)('0' + value % 10);
        if (shift) out[w++] = '.';
    }
    return w;
}

/* Reads up to four hexadecimal digits; how many there were. */
static size_t read_group(const uint8_t *text, size_t length, uint16_t *group) {
    size_t n = 0;
    for (*group = 0; n < length && n < 4 && hex_value(text[n]) != NO_HEX; n++)
        *group = (uint16_t)(*group << 4 | hex_value(text[n]));
    return n;
}

/* Four decimal numbers as the last two groups; 1 if that is what the text is. */
static int read_tail(const uint8_t *text, size_t length, uint16_t *groups) {
    size_t at = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t value = 0;
        size_t start = at;
        for (; at < length && is_digit(text[at]) && at - start < 3; at++) value = value * 10 + (text[at] - '0');
        if (at == start || value > 255 || (at - start > 1 && text[start] == '0')) return 0;
        groups[i / 2] = (uint16_t)(i % 2 ? groups[i / 2] << 8 | value : value);
        if (i < 3 && (at == length || text[at++] != '.')) return 0;
    }
    return at == length;
}

/* "[0:0::1]" becomes "[::1]", as the URL standard writes it. */
static size_t write_groups(url_part host, uint8_t *out) {
    uint16_t groups[8] = {0};
    size_t n = 0, gap = 8, at = 1, end = host.length - 1;
    if (host.length < 4 || host.bytes[0] != '[' || host.bytes[end] != ']') return 0;
    if (host.bytes[1] == ':') {
        if (host.bytes[2] != ':') return 0;
        gap = 0, at = 3;
    }
    while (at < end) {
        if (n == 8) return 0;
        size_t used = read_group(host.bytes + at, end - at, &groups[n]);
        if (at + used < end && host.bytes[at + used] == '.') {
            if (n > 6 || !read_tail(host.bytes + at, end - at, groups + n)) return 0;
            n += 2, at = end;
            break;
        }
        if (used == 0) return 0;
        n++, at += used;
        if (at == end) break;
        if (host.bytes[at++] != ':' || at == end) return 0;
        if (host.bytes[at] == ':') {
            if (gap < 8) return 0;
            gap = n, at++;
        }
    }
    if (gap == 8 ? n < 8 : n > 7) return 0;
    for (size_t moved = 0; gap < 8 && moved < n - gap; moved++) { /* what follows the gap stands at the end */
        groups[7 - moved] = groups[n - 1 - moved];
        if (n - 1 - moved < 8 - (n - gap)) groups[n - 1 - moved] = 0;
    }
    size_t best = 8, longest = 1;
    for (size_t i = 0, run; i < 8; i += run + 1) {
        for (run = 0; i + run < 8 && groups[i + run] == 0; run++) continue;
        if (run > longest) best = i, longest = run;
    }
    byte_sink sink = {out, 0, 48};
    sink_byte(&sink, '[');
    for (size_t i = 0; i < 8; i++) {
        if (i == best) {
            bk_sink_text(&sink, i == 0 ? "::" : ":");
            i += longest - 1;
            continue;
        }
        int started = 0;
        for (int shift = 12; shift >= 0; shift -= 4) {
            uint32_t digit = groups[i] >> shift & 15;
            if (digit || started || shift == 0) sink_byte(&sink, (uint8_t)"0123456789abcdef"[digit]), started = 1;
        }
        if (i < 7) sink_byte(&sink, ':');
    }
    sink_byte(&sink, ']');
    return sink.length;
}

size_t bk_write_address(url_part host, uint8_t *out) {
    return host.length > 0 && host.bytes[0] == '[' ? write_groups(host, out) : write_dotted(host, out);
}
