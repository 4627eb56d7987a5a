/* Targets of links as the URL standard resolves them; for the Python module. */
#ifndef BUCKLER_LINKS_H
#define BUCKLER_LINKS_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t *bytes; /* the caller's, as many as the address has */
    size_t scheme, length;
} link_parts;

/* Splits an address without the white space around it and the breaks inside it: scheme, in lower case, and rest. */
void bk_split_link(const uint8_t *address, size_t length, link_parts *parts);

/*
 * Writes a target below a base; a relative one without a base stays. Slashes may lean either way, and be
 * any number behind a web scheme. Returns the length, at most that of both and LINK_SIGNS.
 */
enum { LINK_SIGNS = 8 };
size_t bk_resolve_link(const link_parts *base, const link_parts *target, uint8_t *out);

/* How a target is written, as the URL standard reads schemes. */
typedef enum {
    LINK_EMPTY, LINK_FRAGMENT, LINK_ROOT, LINK_RELATIVE, LINK_ABSOLUTE, LINK_SCRIPT, LINK_DATA, LINK_MAIL, LINK_PHONE,
    LINK_LOCAL /* a file, or a page of the browser */
} link_kind;

link_kind bk_link_kind(const uint8_t *target, size_t length);

/* The host of a resolved target as in url-v3: its length in out, which holds LINK_TEXT_BYTES; 0 without one. */
enum { LINK_TEXT_BYTES = 771 };
size_t bk_link_host(const uint8_t *target, size_t length, uint8_t *out);

/* Host and path of any link as in url-v3, a slash between; its length in out, which holds LINK_TEXT_BYTES and BK_PADDING. */
size_t bk_link_place(const uint8_t *link, size_t length, uint8_t *out);

#endif
