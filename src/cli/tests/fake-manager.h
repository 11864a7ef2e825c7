/*
 * A scripted manager for tests: answers what it was told to answer, remembers what it was asked.
 *
 * It runs in a thread of its own, so that the test may block in a client or a child process.
 * Threading: every function may be called from the test's thread; a lock guards the script.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct FakeManager FakeManager;

/* What was asked. */
typedef struct {
    char *method, *path;
    char *query; /* "" without */
    char *body;  /* "" without */
    size_t body_length;
    char *authorization, *if_match, *accept, *last_event_id; /* NULL without */
} FakeRequest;

/* `directory` holds tls/; NULL: plain HTTP. */
FakeManager *fake_manager_new(const char *directory);
void fake_manager_free(FakeManager *manager);

/* A context file that leads to it; borrowed. With `ca` NULL the right one is in it. */
const char *fake_manager_context(FakeManager *manager, const char *ca);
const char *fake_manager_url(const FakeManager *manager);

/* The next answer to "GET /v1/vms" (without the query). The last one told is repeated. */
void fake_manager_answer(FakeManager *manager, const char *what, int status, const char *body);
/* The same, of another kind: "text/event-stream" ends its connection after the body. */
void fake_manager_answer_as(FakeManager *manager, const char *what, int status, const char *type,
                            const char *body);
/* A console that says `greeting` and then whatever it hears, in capitals. */
void fake_manager_console(FakeManager *manager, const char *path, const char *greeting);

unsigned fake_manager_count(FakeManager *manager);
/* The i-th request, or from the end for negative numbers; the caller's to fake_request_free. */
FakeRequest *fake_manager_request(FakeManager *manager, int i);
void fake_request_free(FakeRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeRequest, fake_request_free)
