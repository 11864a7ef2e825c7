#include "place/labels.h"

#include <stdlib.h>
#include <string.h>

#include "place/arrays.h"

#define FEWEST 8 /* hosts that the first array of a label has room for */

void labels_clear(Labels *labels)
{
    for (uint32_t i = 0; i < labels->n; i++) {
        free(labels->of[i].hosts);
        free(labels->of[i].bits);
    }
    free(labels->of);
    *labels = (Labels){0};
}

bool labels_lengthen(Labels *labels, uint32_t slots)
{
    slots = (slots + 63) / 64 * 64;
    if (slots <= labels->slots) {
        return true;
    }
    for (uint32_t i = 0; i < labels->n; i++) {
        uint64_t *bits = labels->of[i].bits;
        if (bits != NULL) {
            /* Those made longer before one could not be are only too long. */
            bits = realloc(bits, slots / 64 * sizeof *bits);
            if (bits == NULL) {
                return false;
            }
            memset(bits + labels->slots / 64, 0, (slots - labels->slots) / 64 * sizeof *bits);
            labels->of[i].bits = bits;
        }
    }
    labels->slots = slots;
    return true;
}

bool labels_copy(const Labels *labels, Labels *copy)
{
    *copy = (Labels){.slots = labels->slots};
    copy->of = labels->n > 0 ? calloc(labels->n, sizeof *copy->of) : NULL;
    if (labels->n > 0 && copy->of == NULL) {
        return false;
    }
    bool good = true;
    for (; copy->n < labels->n; copy->n++) {
        const LabelHosts *from = &labels->of[copy->n];
        LabelHosts *to = &copy->of[copy->n];
        *to = (LabelHosts){.n = from->n,
                           .room = from->bits == NULL ? from->n : 0,
                           .hosts = from->hosts,
                           .bits = from->bits};
        good = array_duplicate(&to->bits, labels->slots / 64, sizeof *to->bits) && good;
        good = array_duplicate(&to->hosts, to->room, sizeof *to->hosts) && good;
    }
    return good;
}

static bool reserve_label(Labels *labels, uint32_t label)
{
    if (label < labels->n) {
        return true;
    }
    uint32_t wanted = labels->n > 0 ? labels->n : 16;
    while (wanted <= label) {
        wanted *= 2;
    }
    LabelHosts *of = realloc(labels->of, wanted * sizeof *of);
    if (of == NULL) {
        return false;
    }
    memset(of + labels->n, 0, (wanted - labels->n) * sizeof *of);
    labels->of = of;
    labels->n = wanted;
    return true;
}

/* Where a host is in the array, or would be. */
static uint32_t position(const LabelHosts *its, uint32_t host)
{
    if (its->n > 0 && its->hosts[its->n - 1] < host) {
        return its->n; /* hosts mostly come in the order of their numbers */
    }
    return array_position(its->hosts, its->n, host);
}

static bool is_in_bits(const LabelHosts *its, uint32_t host)
{
    return (its->bits[host / 64] >> (host % 64) & 1) != 0;
}

static bool is_in(const LabelHosts *its, uint32_t host)
{
    if (its->bits != NULL) {
        return is_in_bits(its, host);
    }
    uint32_t at = position(its, host);
    return at < its->n && its->hosts[at] == host;
}

static bool make_bits(const Labels *labels, LabelHosts *its)
{
    its->bits = calloc(labels->slots / 64, sizeof *its->bits);
    if (its->bits == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < its->n; i++) {
        its->bits[its->hosts[i] / 64] |= UINT64_C(1) << (its->hosts[i] % 64);
    }
    free(its->hosts);
    its->hosts = NULL;
    its->room = 0;
    return true;
}

static bool reserve_host(LabelHosts *its)
{
    if (its->n < its->room) {
        return true;
    }
    uint32_t room = its->room > 0 ? its->room * 2 : FEWEST;
    uint32_t *hosts = realloc(its->hosts, room * sizeof *hosts);
    if (hosts == NULL) {
        return false;
    }
    its->hosts = hosts;
    its->room = room;
    return true;
}

bool labels_set(Labels *labels, uint32_t label, uint32_t host)
{
    if (!reserve_label(labels, label)) {
        return false;
    }
    LabelHosts *its = &labels->of[label];
    if (is_in(its, host)) {
        return true;
    }
    if (its->bits == NULL && its->n >= FEWEST && its->n >= labels->slots / 32 &&
        !make_bits(labels, its)) {
        return false;
    }
    if (its->bits != NULL) {
        its->bits[host / 64] |= UINT64_C(1) << (host % 64);
    } else if (reserve_host(its)) {
        uint32_t at = position(its, host);
        memmove(&its->hosts[at + 1], &its->hosts[at], (its->n - at) * sizeof *its->hosts);
        its->hosts[at] = host;
    } else {
        return false;
    }
    its->n++;
    return true;
}

static void take_out(LabelHosts *its, uint32_t host)
{
    if (!is_in(its, host)) {
        return;
    }
    its->n--;
    if (its->bits == NULL) {
        uint32_t at = position(its, host);
        memmove(&its->hosts[at], &its->hosts[at + 1], (its->n - at) * sizeof *its->hosts);
        return;
    }
    its->bits[host / 64] &= ~(UINT64_C(1) << (host % 64));
    if (its->n == 0) {
        free(its->bits);
        its->bits = NULL;
    }
}

void labels_unset(Labels *labels, uint32_t label, uint32_t host)
{
    if (label < labels->n) {
        take_out(&labels->of[label], host);
    }
}

void labels_host_removed(Labels *labels, uint32_t host)
{
    for (uint32_t i = 0; i < labels->n; i++) {
        take_out(&labels->of[i], host);
    }
}

bool labels_has(const Labels *labels, uint32_t label, uint32_t host)
{
    return label < labels->n && is_in(&labels->of[label], host);
}

uint32_t labels_count(const Labels *labels, uint32_t label)
{
    return label < labels->n ? labels->of[label].n : 0;
}

uint32_t labels_next(const Labels *labels, uint32_t label, uint32_t host)
{
    if (label >= labels->n) {
        return UINT32_MAX;
    }
    const LabelHosts *its = &labels->of[label];
    if (its->bits == NULL) {
        uint32_t at = position(its, host);
        return at < its->n ? its->hosts[at] : UINT32_MAX;
    }
    for (uint32_t word = host / 64; word < labels->slots / 64; word++) {
        uint64_t rest =
            its->bits[word] & (word == host / 64 ? ~UINT64_C(0) << (host % 64) : ~UINT64_C(0));
        if (rest != 0) {
            return word * 64 + (uint32_t)__builtin_ctzll(rest);
        }
    }
    return UINT32_MAX;
}
