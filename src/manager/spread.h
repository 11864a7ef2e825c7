/*
 * Work of many equal and independent parts, on several cores: the caller does its share, and the
 * call returns when all is done. So nothing that the parts touch needs a lock or another owner, as
 * long as no two parts touch the same.
 *
 * Threading: one thread calls; the parts run in it and in threads of the spread's own.
 */
#pragma once

#include <glib.h>

typedef struct Spread Spread;

/* Besides the caller at most so many threads, of which none is made before there is work. */
Spread *spread_new(guint threads);
void spread_free(Spread *spread); /* takes NULL */

/* `run` for each index below n. Few parts are not worth a thread. */
typedef void (*SpreadFunc)(guint index, gpointer data);
void spread_run(Spread *spread, guint n, SpreadFunc run, gpointer data);
