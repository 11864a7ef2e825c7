/*
 * A VM's serial console over a WebSocket, on this terminal.
 *
 * A terminal is put into raw mode for the time, so that every key goes to the guest; Ctrl-] ends
 * it. Anything else on standard input is sent as it comes, and when it ends the console stays open
 * for what the guest still says.
 *
 * Threading: one thread; runs a main loop of its own.
 */
#pragma once

#include "cli/cli.h"

typedef struct {
    bool read_only;
    int64_t for_ms; /* end after so long; 0: not */
} ConsoleOptions;

bool console_run(Cli *cli, const char *vm, const ConsoleOptions *options, GError **error);
