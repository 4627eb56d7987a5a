/* What stands in a page or mail, found in one pass; for the Python module. */
#ifndef BUCKLER_PAGE_TEXT_H
#define BUCKLER_PAGE_TEXT_H

#include <stddef.h>
#include <stdint.h>

enum { WORD_SET_WORDS = 255 };

/* Words of at least two bytes in lower case. */
typedef struct {
    const uint8_t *words[WORD_SET_WORDS];
    size_t lengths[WORD_SET_WORDS], n;
} word_set;

/* Adds a word, which stays the caller's; 0 if there is no place for it. */
int bk_add_word(word_set *set, const uint8_t *word, size_t length);

/* Sets found[i] for each word that stands in the text, in any case of ASCII. */
void bk_find_words(const word_set *set, const uint8_t *text, size_t length, uint8_t *found);

/*
 * The next function of the set that a script calls from *at on: its number, counted from 1, and *at
 * behind its parenthesis; 0 at the end, -1 where letters beyond ASCII stand before the parenthesis.
 */
int bk_next_call(const word_set *set, const uint8_t *text, size_t length, size_t *at);

/* The number of runs of at least `least` characters of base64. */
size_t bk_count_encoded(const uint8_t *text, size_t length, size_t least);

/* Whether there may be invisible characters, or words of Latin and other letters that look alike. */
int bk_may_hide(const uint8_t *text, size_t length);

#endif
