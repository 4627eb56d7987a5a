/* Style attributes that hide an element, and those that show it again. */
#ifndef BUCKLER_HTML_STYLES_H
#define BUCKLER_HTML_STYLES_H

#include "html_stack.h"

/* The effect of a style whose references are decoded; the last declaration of a property counts. Writes over it. */
effect bk_html_style(uint8_t *style, size_t length);

#endif
