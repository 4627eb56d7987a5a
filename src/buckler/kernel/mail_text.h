/* What would take Python a step a line or a word in mails; for the Python module. */
#ifndef BUCKLER_MAIL_TEXT_H
#define BUCKLER_MAIL_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Writes a text with its lines ended by line feeds alone, however often carriage returns were doubled. */
size_t bk_end_lines(const uint8_t *text, size_t length, uint8_t *out);

enum header_kind { HEADER_LINE, HEADER_FOLDED, HEADER_KNOWN, HEADER_OTHER };

/*
 * Tells what a line of a block of headers is: the continuation of the one before, a header that mail
 * knows, another one, or none of these. *name and *value are the bytes of a name and where its value begins.
 */
enum header_kind bk_read_header(const uint8_t *line, const uint8_t *end, size_t *name, const uint8_t **value);

/* The number of addresses of wallets; -1 where letters beyond ASCII stand beside what looks like one. */
int64_t bk_count_wallets(const uint8_t *text, size_t length);

/* Decodes base64 in any number of padded pieces, and passes over other bytes. `out` holds as many bytes as the text. */
size_t bk_decode_pieces(const uint8_t *text, size_t length, uint8_t *out);

/* Decodes quoted-printable, without the blanks at the ends of lines. `out` holds as many bytes as the text. */
size_t bk_decode_quoted(const uint8_t *text, size_t length, uint8_t *out);

/* Where the lines of base64 at the beginning end. */
size_t bk_end_of_base64(const uint8_t *text, size_t length);

/* Where the first line begins that starts with two words; the length if there is none. */
size_t bk_find_text_line(const uint8_t *text, size_t length);

/*
 * The next link in a text from *at on: 1, with *begin where it begins and *at where it ends; 0 if there is
 * none, -1 where a character beyond ASCII stands before it, which may be part of a word.
 */
int bk_next_text_link(const uint8_t *text, size_t length, size_t *at, size_t *begin);

/* What most mails have: "name" <address>, name <address>, address, or address (name). No name is NULL. */
typedef struct {
    const uint8_t *address, *address_end, *name, *name_end;
} text_mailbox;

/* Reads a header that has one such mailbox, and nothing that other rules are for; 0 where it is another. */
int bk_read_mailbox(const uint8_t *value, size_t length, text_mailbox *found);

#endif
