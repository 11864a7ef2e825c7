/*
 * What was changed since berth_place_begin, so that it can be undone: a stack of words, each change
 * its content and on top of that what it was and where. The room stays for the next time.
 */
#pragma once

#include "place/fleet.h"

typedef enum {
    JOURNAL_TAKE,   /* a vector */
    JOURNAL_GIVE,   /* a vector */
    JOURNAL_ENTER,  /* groups */
    JOURNAL_LEAVE,  /* groups */
    JOURNAL_ENABLE, /* nothing */
    JOURNAL_DISABLE,
    JOURNAL_TAKE_DEVICES, /* slices, and which */
    JOURNAL_GIVE_DEVICES,
} JournalKind;

typedef struct Journal {
    bool is_open;
    size_t n, room;
    uint64_t *words;
} Journal;

void journal_free(Journal *journal);

static inline bool journal_is_open(const BerthPlace *place)
{
    return place->journal != NULL && place->journal->is_open;
}

/* Room for a change with so many words, so that the note cannot fail. Without a journal both do
 * nothing. */
bool journal_reserve(BerthPlace *place, uint32_t n_words);
void journal_note_vector(BerthPlace *place, JournalKind kind, uint32_t host, const int64_t *vector);
void journal_note_groups(BerthPlace *place, JournalKind kind, uint32_t host, const uint32_t *groups,
                         uint32_t n_groups);

#define JOURNAL_DEVICE_WORDS 2
void journal_note_devices(BerthPlace *place, JournalKind kind, uint32_t host, uint32_t slices,
                          uint64_t chosen);
