/*
 * Does a JSON value hold what is expected of it?
 *
 * An object holds another when each expected member is there and holds; members that are not
 * expected do not matter. null is expected of a member that is absent or null. An array holds
 * another when its elements are found in it in their order, others between them or not. A text that
 * begins with ~ is expected to be contained in a text. Numbers, booleans and other texts are equal.
 *
 * Threading: pure functions, any thread.
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

/* False with the path of the first difference and both sides of it in `error`. */
bool match_holds(const json_t *actual, const json_t *expected, GError **error);
