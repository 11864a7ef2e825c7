/*
 * Lists as people write them.
 *
 * Thread safety: pure functions, any thread.
 */
#pragma once

#include <glib.h>

/* `a`, `a and b`, `a, b and c`; empty of none. `items` are texts, none of them NULL. g_free it. */
char *berth_words_join(const GPtrArray *items);
/* The same with `or`: `a, b or c`. */
char *berth_words_choice(const GPtrArray *items);

/* `1 VM`, `2 VMs`; `thing` takes an s. g_free it. */
char *berth_words_count(int64_t n, const char *thing);
