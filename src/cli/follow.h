/*
 * Following the cluster's events: GET /v1/events with `follow`, taken up again where it broke off.
 *
 * Each event's id is a revision; after a lost connection the manager is asked for what came after
 * the last one seen (Last-Event-ID), with a growing pause between attempts, so that a restart of
 * the manager goes unnoticed but for a line on standard error.
 *
 * Threading: one thread; blocks.
 */
#pragma once

#include "cli/cli.h"

typedef struct {
    int64_t from;        /* only what came after this revision; -1: what comes from now on */
    const char *subject; /* only of this object; NULL: all */
    const char *kind;    /* only of this kind, or of all that begin with it and a dot; NULL: all */
    /* One event as JSON; false ends the following without an error. */
    bool (*on_event)(void *data, const json_t *event);
    void *data;
} Follow;

/* Until on_event says so, or with an error that trying again cannot mend. */
bool follow_events(Cli *cli, const Follow *follow, GError **error);
