/* Wrappers: redirectors that everybody may use, and what mail gateways put around links. */
#include <string.h>

#include "unicode.h"
#include "url.h"

enum { ANY = 0, DEFENSE, AMP, NAME_IN_QUERY }; /* where the target stands */

/* "google.*" stands for the name under any country. */
static const struct {
    const char *host, *path;
    uint8_t host_length, path_length, kind;
} wrappers[] = {
#define W(host, path, kind) {host, path, sizeof host - 1, sizeof path - 1, kind}
    W("google.*", "url", ANY),
    W("google.*", "amp/", AMP),
    W("google.*", "aclk", ANY),
    W("google.*", "imgres", ANY),
    W("ampproject.org", "c/", AMP),
    W("bing.com", "ck/", ANY),
    W("bing.com", "aclick", ANY),
    W("r.search.yahoo.com", "", ANY),
    W("yandex.*", "clck/", ANY),
    W("duckduckgo.com", "l/", ANY),
    W("youtube.com", "redirect", ANY),
    W("facebook.com", "l.php", ANY),
    W("facebook.com", "flx/warn", ANY),
    W("l.facebook.com", "", ANY),
    W("lm.facebook.com", "", ANY),
    W("l.instagram.com", "", ANY),
    W("l.messenger.com", "", ANY),
    W("l.threads.net", "", ANY),
    W("l.wl.co", "", ANY),
    W("linkedin.com", "redir", ANY),
    W("linkedin.com", "safety", ANY),
    W("out.reddit.com", "", ANY),
    W("t.umblr.com", "redirect", ANY),
    W("pinterest.com", "offsite", ANY),
    W("slack-redir.net", "", ANY),
    W("href.li", "", ANY),
    W("vk.com", "away", ANY),
    W("steamcommunity.com", "linkfilter", ANY),
    W("translate.google.com", "", ANY),
    W("web.archive.org", "", ANY),
    W("googleadservices.com", "", ANY),
    W("doubleclick.net", "", ANY),
    W("safelinks.protection.outlook.com", "", ANY),
    W("safelinks.protection.office365.us", "", ANY),
    W("safelinks.protection.partner.outlook.cn", "", ANY),
    W("statics.teams.cdn.office.net", "evergreen-assets/safelinks", ANY),
    W("urldefense.com", "", DEFENSE),
    W("urldefense.us", "", DEFENSE),
    W("urldefense.proofpoint.com", "", DEFENSE),
    W("linkprotect.cudasvc.com", "", ANY),
    W("fireeye.com", "", ANY),
    W("fireeye.cloud", "", ANY),
    W("secure-web.cisco.com", "", ANY),
    W("trendmicro.com", "wis/", ANY),
    W("protection.sophos.com", "", ANY),
    W("clicktime.symantec.com", "", ANY),
    W("clicktime.cloud.postoffice.net", "", ANY),
    W("url-protection.com", "", ANY),
    W("url.avanan.click", "", ANY),
    W("protect.checkpoint.com", "", ANY),
    W("urlsand.esvalabs.com", "", ANY),
    W("linkscan.io", "", ANY),
    W("mimecast.com", "", NAME_IN_QUERY),
    W("mimecastprotect.com", "", NAME_IN_QUERY),
#undef W
};

/* "com", "de", "co.uk", "com.au" */
static int is_country(const uint8_t *text, size_t length) {
    if (length > 3 && (memcmp(text, "co.", 3) == 0 || (length > 4 && memcmp(text, "com.", 4) == 0))) {
        size_t skip = text[2] == '.' ? 3 : 4;
        text += skip, length -= skip;
        return length == 2 && is_alpha(text[0]) && is_alpha(text[1]);
    }
    return (length == 2 && is_alpha(text[0]) && is_alpha(text[1])) || (length == 3 && memcmp(text, "com", 3) == 0);
}

/* Without the country, and the dot before it: "www.google" of "www.google.co.uk". */
static url_part without_country(url_part host) {
    size_t length = host.length;
    for (size_t at = host.length; at > 0 && host.length - at < 7; at--)
        if (host.bytes[at - 1] == '.' && is_country(host.bytes + at, host.length - at)) length = at - 1;
    return (url_part){host.bytes, length};
}

static int ends_with(url_part host, const char *name, size_t n) {
    return host.length >= n && host.bytes[host.length - 1] == (uint8_t)name[n - 1] &&
           memcmp(host.bytes + host.length - n, name, n) == 0 &&
           (host.length == n || host.bytes[host.length - n - 1] == '.');
}

static size_t is_url(const uint8_t *text, size_t length) {
    size_t n = bk_starts_with(text, length, "https:") ? 6 : bk_starts_with(text, length, "http:") ? 5 : 0;
    return n && n < length && (text[n] == '/' || text[n] == '\\');
}

/* Base64 in either alphabet, as far as it goes. */
static size_t base64_decode(const uint8_t *text, size_t length, uint8_t *out) {
    size_t w = 0;
    uint32_t bits = 0, have = 0;
    for (size_t i = 0; i < length; i++) {
        uint8_t c = text[i];
        uint32_t value = c >= 'A' && c <= 'Z' ? c - 65u : c >= 'a' && c <= 'z' ? c - 71u
                         : is_digit(c) ? c + 4u : c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : 64;
        if (value > 63) break;
        bits = bits << 6 | value, have += 6;
        if (have >= 8) out[w++] = (uint8_t)(bits >> (have -= 8));
    }
    return w;
}

/* The URL that a value is: as it is, escaped up to three times, or in base64 (in Bing's behind "a1"). */
static size_t read_value(const uint8_t *text, size_t length, uint8_t *out) {
    for (size_t skip = 0; skip <= 2; skip += 2)
        if (length > skip + 5 && memcmp(text + skip, "aHR0c", 5) == 0) {
            size_t n = base64_decode(text + skip, length - skip, out);
            if (is_url(out, n)) return n;
        }
    memcpy(out, text, length);
    for (int pass = 0; pass < 3 && !is_url(out, length); pass++) {
        size_t before = length;
        length = bk_percent_decode_once(out, length);
        if (length == before) break;
    }
    return is_url(out, length) ? length : 0;
}

/* One that is escaped ends at the next slash; "___https://a.example/___.mark" ends before the mark. */
static size_t find_in_path(url_part rest, uint8_t *out) {
    for (size_t start = 0; start < rest.length && rest.bytes[start] != '?'; start++) {
        const uint8_t *at = rest.bytes + start;
        size_t left = rest.length - start;
        if (start > 0 && at[-1] != '/' && at[-1] != '=' && at[-1] != '_') continue;
        if (*at != '%' && memcmp(at, "aHR0c", left < 5 ? left : 5) != 0 && !bk_starts_with(at, left, "http")) continue;
        if (!is_url(at, left)) {
            const uint8_t *slash = memchr(at, '/', left);
            if (slash) left = (size_t)(slash - at);
        }
        size_t n = read_value(at, left, out);
        for (size_t i = 0; i + 3 <= n; i++)
            if (memcmp(out + i, "___", 3) == 0) return i;
        if (n) return n;
    }
    return 0;
}

/* The query as a whole, or its first parameter that is a URL. */
static size_t find_in_query(url_part query, uint8_t *out) {
    if (is_url(query.bytes, query.length)) {
        memcpy(out, query.bytes, query.length);
        return query.length;
    }
    for (size_t start = 0, n; start < query.length; start += n + 1) {
        const uint8_t *at = query.bytes + start, *end = memchr(at, '&', query.length - start);
        n = end ? (size_t)(end - at) : query.length - start;
        const uint8_t *value = memchr(at, '=', n);
        size_t skip = value ? (size_t)(value - at) + 1 : 0, found = read_value(at + skip, n - skip, out);
        if (found == 0 && skip) found = read_value(at, n, out);
        if (found) return found;
    }
    return 0;
}

static size_t find_parameter(url_part query, const char *name, uint8_t *out) {
    for (size_t start = 0, n; start < query.length; start += n + 1) {
        const uint8_t *at = query.bytes + start, *end = memchr(at, '&', query.length - start);
        n = end ? (size_t)(end - at) : query.length - start;
        size_t skip = strlen(name);
        if (n <= skip || !bk_starts_with(at, n, name)) continue;
        memcpy(out, at + skip, n - skip);
        return n - skip;
    }
    return 0;
}

static size_t run_length(uint8_t c) {
    return 2 + (size_t)(c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26
                        : is_digit(c) ? c - '0' + 52 : c == '-' ? 62 : 63);
}

/* Proofpoint's third form: '*' stands for letters behind "__;" in base64, "**B" for as many as B says. */
static size_t undo_third(const uint8_t *text, size_t length, uint8_t *out) {
    uint8_t letters[URL_INPUT_BYTES];
    size_t end = length, known = 0, used = 0, w = 0;
    for (size_t i = 0; i + 3 <= length && end == length; i++)
        if (memcmp(text + i, "__;", 3) == 0) {
            end = i;
            known = base64_decode(text + i + 3, length - i - 3, letters);
        }
    if (end == length && length > 1 && memcmp(text + length - 2, "__", 2) == 0) end -= 2;
    for (size_t i = 0; i < end; i++) {
        size_t run = text[i] != '*' ? 0 : 1;
        if (run && i + 2 < end && text[i + 1] == '*') run = run_length(text[i += 2]);
        if (run == 0 || used == known) {
            if (w < URL_INPUT_BYTES) out[w++] = text[i];
            continue;
        }
        for (; run > 0 && used < known; run--) {
            uint32_t point;
            size_t n = bk_utf8_read(letters + used, known - used, &point);
            for (n += n == 0; n > 0; n--, used++)
                if (w < URL_INPUT_BYTES) out[w++] = letters[used];
        }
    }
    return w;
}

/* The second form escapes with '-', and writes '_' for '/'. */
static size_t undo_second(url_part query, uint8_t *out) {
    size_t n = find_parameter(query, "u=", out);
    for (size_t i = 0; i < n; i++) out[i] = out[i] == '-' ? '%' : out[i] == '_' ? '/' : out[i];
    return bk_percent_decode_once(out, n);
}

static int may_end_in_wrapper(const uint8_t *text, size_t length) {
    size_t label = length;
    while (label > 0 && text[label - 1] != '.') label--;
    return may_be_wrapper(text + label, length - label);
}

int bk_may_wrap(url_part host) {
    const url_part name = without_country(host);
    size_t dot = host.length;
    while (dot > 0 && host.bytes[dot - 1] != '.') dot--;
    return (dot > 0 && may_end_in_wrapper(host.bytes, dot - 1)) || may_end_in_wrapper(name.bytes, name.length);
}

int bk_is_wrapper(url_part host, url_part rest) {
    const url_part name = without_country(host);
    while (rest.length > 0 && rest.bytes[0] == '/') rest.bytes++, rest.length--;
    for (size_t k = 0; k < sizeof wrappers / sizeof *wrappers; k++) {
        size_t n = wrappers[k].host_length;
        int any_country = wrappers[k].host[n - 1] == '*';
        if (ends_with(any_country ? name : host, wrappers[k].host, any_country ? n - 2 : n) &&
            bk_starts_with(rest.bytes, rest.length, wrappers[k].path)) return 1;
    }
    return 0;
}

size_t bk_unwrap_url(url_part host, url_part rest, uint8_t *out) {
    const url_part name = without_country(host);
    const uint8_t *mark = memchr(rest.bytes, '?', rest.length);
    url_part query = {rest.bytes + rest.length, 0};
    if (mark) query = (url_part){mark + 1, (size_t)(rest.bytes + rest.length - mark) - 1};
    for (size_t k = 0; k < sizeof wrappers / sizeof *wrappers; k++) {
        size_t n = wrappers[k].host_length;
        int any_country = wrappers[k].host[n - 1] == '*';
        if (!ends_with(any_country ? name : host, wrappers[k].host, any_country ? n - 2 : n)) continue;
        if (!bk_starts_with(rest.bytes, rest.length, wrappers[k].path)) continue;
        n = wrappers[k].path_length;
        if (wrappers[k].kind == NAME_IN_QUERY) return find_parameter(query, "domain=", out);
        if (wrappers[k].kind == DEFENSE && bk_starts_with(rest.bytes, rest.length, "v3/__"))
            return undo_third(rest.bytes + 5, rest.length - 5, out);
        if (wrappers[k].kind == DEFENSE && bk_starts_with(rest.bytes, rest.length, "v2/"))
            return undo_second(query, out);
        if (wrappers[k].kind == AMP) {
            if (bk_starts_with(rest.bytes + n, rest.length - n, "s/")) n += 2;
            memcpy(out, rest.bytes + n, rest.length - n);
            return rest.length - n;
        }
        n = find_in_path(rest, out);
        return n ? n : find_in_query(query, out);
    }
    return 0;
}
