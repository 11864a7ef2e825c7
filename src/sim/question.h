/*
 * What-if questions of a scenario (`plan:`), as the requests that ask them.
 *
 * Threading: pure functions, any thread.
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

typedef struct {
    const char *method;
    char *path;         /* with its query */
    const json_t *body; /* borrowed of the question; NULL: none */
} Question;

void question_clear(Question *question);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Question, question_clear)

/* `value` is {fit: SIZE, …}, {lose: HOSTS}, {drain: HOSTS}, {app: {…}, …} or {vm: {…}, …}; anything
 * else is refused, and the error's field is the path within it. */
bool question_read(const json_t *value, Question *ret_question, GError **error);
