/*
 * What every back end must do, whatever it keeps its entries in: store.h as tests. A back end's
 * test program calls both and adds what is its own.
 */
#pragma once

#include "fixture.h"

/* Keys, revisions, compares, ranges, order, bounds: /store/<name>/… */
void conformance_add(const Backend *backend);
/* Watches and their history: /store/<name>/watch/… */
void conformance_add_watches(const Backend *backend);
