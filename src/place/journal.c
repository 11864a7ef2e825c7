#include "place/journal.h"

#include <stdlib.h>
#include <string.h>

#include "place/inventory.h"
#include "place/relations.h"

/* The word on top: kind, number of words below, host. */
#define KIND_BITS 8
#define COUNT_BITS 8

void journal_free(Journal *journal)
{
    if (journal != NULL) {
        free(journal->words);
        free(journal);
    }
}

bool journal_reserve(BerthPlace *place, uint32_t n_words)
{
    Journal *journal = place->journal;

    if (!journal_is_open(place) || journal->n + n_words + 1 <= journal->room) {
        return true;
    }
    size_t room = 2 * journal->room + n_words + 1;
    uint64_t *words = realloc(journal->words, room * sizeof *words);
    if (words == NULL) {
        return false;
    }
    journal->words = words;
    journal->room = room;
    return true;
}

static void put_top(Journal *journal, JournalKind kind, uint32_t host, uint32_t n)
{
    journal->words[journal->n++] =
        (uint64_t)host << (KIND_BITS + COUNT_BITS) | (uint64_t)n << KIND_BITS | (uint64_t)kind;
}

void journal_note_vector(BerthPlace *place, JournalKind kind, uint32_t host, const int64_t *vector)
{
    if (journal_is_open(place)) {
        memcpy(place->journal->words + place->journal->n, vector, place->n_dims * sizeof *vector);
        place->journal->n += place->n_dims;
        put_top(place->journal, kind, host, place->n_dims);
    }
}

void journal_note_groups(BerthPlace *place, JournalKind kind, uint32_t host, const uint32_t *groups,
                         uint32_t n_groups)
{
    if (journal_is_open(place)) {
        for (uint32_t i = 0; i < n_groups; i++) {
            place->journal->words[place->journal->n++] = groups[i];
        }
        put_top(place->journal, kind, host, n_groups);
    }
}

void journal_note_devices(BerthPlace *place, JournalKind kind, uint32_t host, uint32_t slices,
                          uint64_t chosen)
{
    if (journal_is_open(place)) {
        place->journal->words[place->journal->n++] = slices;
        place->journal->words[place->journal->n++] = chosen;
        put_top(place->journal, kind, host, JOURNAL_DEVICE_WORDS);
    }
}

static void undo(BerthPlace *place, JournalKind kind, uint32_t host, const uint64_t *words,
                 uint32_t n)
{
    int64_t vector[BERTH_PLACE_MAX_DIMS];
    uint32_t groups[BERTH_PLACE_MAX_GROUPS];

    switch (kind) {
    case JOURNAL_TAKE:
    case JOURNAL_GIVE:
        memcpy(vector, words, n * sizeof *vector);
        fleet_shift(place, host, vector, kind == JOURNAL_TAKE);
        return;
    case JOURNAL_ENTER:
    case JOURNAL_LEAVE:
        for (uint32_t i = 0; i < n; i++) {
            groups[i] = (uint32_t)words[i];
        }
        relations_move_vm(place, host, groups, n, kind == JOURNAL_LEAVE);
        return;
    case JOURNAL_ENABLE:
    case JOURNAL_DISABLE:
        fleet_enable(place, host, kind == JOURNAL_DISABLE);
        return;
    case JOURNAL_TAKE_DEVICES:
    case JOURNAL_GIVE_DEVICES:
        inventory_shift(place, host, (uint32_t)words[0], words[1], kind == JOURNAL_TAKE_DEVICES);
        return;
    }
}

BerthPlaceResult berth_place_begin(BerthPlace *place)
{
    if (journal_is_open(place)) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    if (place->journal == NULL) {
        place->journal = calloc(1, sizeof *place->journal);
        if (place->journal == NULL) {
            return BERTH_PLACE_ERROR_NO_MEMORY;
        }
    }
    place->journal->is_open = true;
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_rollback(BerthPlace *place)
{
    Journal *journal = place->journal;

    if (!journal_is_open(place)) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    journal->is_open = false;
    while (journal->n > 0) {
        uint64_t top = journal->words[--journal->n];
        uint32_t n = top >> KIND_BITS & ((1U << COUNT_BITS) - 1);
        journal->n -= n;
        undo(place, (JournalKind)(top & ((1U << KIND_BITS) - 1)),
             (uint32_t)(top >> (KIND_BITS + COUNT_BITS)), journal->words + journal->n, n);
    }
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_commit(BerthPlace *place)
{
    if (!journal_is_open(place)) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    place->journal->is_open = false;
    place->journal->n = 0;
    return BERTH_PLACE_OK;
}
