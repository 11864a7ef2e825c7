/*
 * Runs the program `berth` (the path in $BERTH) against a scripted manager of its own.
 */
#pragma once

#include "cli/tests/fake-manager.h"

typedef struct {
    FakeManager *manager;
    char *out, *err;
    int status;
} Run;

/* A test with a manager over plain HTTP, or over TLS. */
void run_test_add(const char *path, void (*test)(Run *, gconstpointer));
void run_test_add_tls(const char *path, void (*test)(Run *, gconstpointer));

/* With these words, split at blanks, and the context of the manager. */
void run_berth(Run *run, const char *line);
/* With another context, and a text on standard input. */
void run_berth_with(Run *run, const char *context, const char *input, const char *line);

void assert_has(const char *text, const char *part);
