/*
 * "Did you mean …?": the known name that a mistyped one most likely stood for.
 *
 * The distance is Damerau-Levenshtein in its restricted form (optimal string alignment: insert,
 * delete, replace, swap of neighbours, each costs 1; Boytsov, "Indexing methods for approximate
 * dictionary searching", 2011) over bytes, after ASCII letters are folded to lower case and `_` to
 * `-`, since `Disk_BW` for `disk-bw` is no mistake worth counting.
 *
 * Thread safety: pure functions, any thread. Answers point into the candidates.
 */
#pragma once

#include <glib.h>

/* The edits between two names, as above. Only the first 64 bytes of each count. */
unsigned berth_nearest_distance(const char *a, const char *b);

/* The nearest of the NULL-terminated `candidates`, or NULL when none is near enough to be a help: a
 * third of the longer name's bytes may differ, at least one, but never all of them; a name of three
 * bytes or more that begins a candidate (`mem`, `memory`) is near too, after every one within that
 * bound. Of equals the first wins. */
const char *berth_nearest_name(const char *name, const char *const *candidates);
