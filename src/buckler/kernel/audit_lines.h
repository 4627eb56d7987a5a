/* Programs out of the log of Linux's audit daemon, for the Python module. */
#ifndef BUCKLER_AUDIT_LINES_H
#define BUCKLER_AUDIT_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "arrow_strings.h"

enum audit_column { AUDIT_TEXT, AUDIT_IMAGE, AUDIT_USER, AUDIT_HOST, AUDIT_TIME, AUDIT_COLUMNS };
enum audit_fault { AUDIT_NO_RECORD, AUDIT_NO_SERIAL };

/* Bytes of a column: a quote of one byte becomes four. */
#define AUDIT_COLUMN_BYTES(length) (4 * (length) + 1)

typedef struct {
    int64_t line, fault, begin, end; /* counted from 0; enum audit_fault; where the line stands */
} audit_bad_line;

typedef struct {
    arrow_strings columns[AUDIT_COLUMNS]; /* AUDIT_COLUMN_BYTES each */
    int64_t *lines;                       /* of each program's last EXECVE record, counted from 0 */
    audit_bad_line *bad_lines;
    size_t n_programs, n_bad_lines;
} audit_programs;

/* The number of lines, each ended by a line feed, a carriage return or both. */
size_t bk_audit_count(const uint8_t *data, size_t length);

/*
 * Reads the programs that were started, in the order of their serial numbers: all arrays have as many
 * rows as there are lines. Texts need not be UTF-8. 0, or 1 if memory is short.
 */
int bk_audit_programs(const uint8_t *data, size_t length, audit_programs *found);

#endif
