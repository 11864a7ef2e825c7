/*
 * Which hosts have which label. Private to the library.
 *
 * Most labels are rare (a rack's, a host's own name), some are everywhere (a kind of processor). A
 * label's hosts are therefore a sorted array of numbers while that takes less room than a bit for each
 * slot of the fleet, and a bitmap from then on, until it has no host left. A million hosts in 25,000
 * racks so take 4 MB instead of 3 GB, and a question for one rack looks at its hosts alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t n;      /* hosts */
    uint32_t room;   /* of `hosts` */
    uint32_t *hosts; /* rising; not used beside `bits` */
    uint64_t *bits;  /* by slot; NULL: `hosts` serves */
} LabelHosts;

typedef struct {
    uint32_t n;     /* length of `of` */
    uint32_t slots; /* of each bitmap, a multiple of 64 */
    LabelHosts *of; /* by label */
} Labels;

void labels_clear(Labels *labels);

/* False: no memory, and nothing has changed. `slots` must not fall. */
bool labels_lengthen(Labels *labels, uint32_t slots);
/* `copy` is overwritten; after a failure it may be cleared. */
bool labels_copy(const Labels *labels, Labels *copy);

/* False: no memory, and nothing has changed. */
bool labels_set(Labels *labels, uint32_t label, uint32_t host);
void labels_unset(Labels *labels, uint32_t label, uint32_t host);
void labels_host_removed(Labels *labels, uint32_t host);

bool labels_has(const Labels *labels, uint32_t label, uint32_t host);
uint32_t labels_count(const Labels *labels, uint32_t label);
/* The first host from `host` on that has the label; UINT32_MAX: none. */
uint32_t labels_next(const Labels *labels, uint32_t label, uint32_t host);
