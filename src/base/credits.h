/*
 * Credits as people write them; Berth carries micro-credits, a million to the credit.
 *
 * Thread safety: pure functions, any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* "12.5", "-0.000001": without needless zeros. g_free it. */
char *berth_credits_format(int64_t micro);

/* Reads "12", "0.25", "-3": at most six decimals, exact. BERTH_ERROR_INVALID names `field`. */
bool berth_credits_parse(const char *field, const char *text, int64_t *ret_micro, GError **error);
