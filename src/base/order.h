/*
 * Orders for GLib's containers.
 *
 * Thread safety: pure functions, any thread.
 */
#pragma once

/* Of a GTree whose keys are texts: by their bytes, so that ULIDs go by the time they were made. */
int berth_order_keys(const void *a, const void *b, void *unused);

/* The same of a GPtrArray's texts, none of them NULL. */
int berth_order_texts(const void *a, const void *b);
