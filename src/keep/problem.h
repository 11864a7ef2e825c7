/*
 * An error as one JSON object, the form in which it leaves the keeper: from the child that could
 * not become QEMU to the keeper, and from the keeper to the agent's ear on standard error. It is
 * the error object of JSON-RPC, as rpc_error_to_json (rpc/message.h) makes it:
 *
 *     {"code": -32001, "message": "…",
 *      "data": {"code": "invalid", "field": "argv[0]", "value": "…", "remedy": "…"}}
 *
 * Members that an error does not have are absent. Pure functions, any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* One line without the newline. */
char *keep_problem_write(const GError *error);

/* Sets `error` to what the text says and returns false. A text that is no such object becomes the
 * message. */
bool keep_problem_read(const char *text, GError **error);
