/*
 * The one error of the house.
 *
 * Every function that can fail takes `GError **error` last and answers true or non-NULL on success;
 * outputs `ret_…` are untouched on failure. A BerthError carries, besides its message, what a person
 * needs to put things right: the field at fault, the value that it had and the remedy. They travel
 * unchanged from a leaf to the HTTP answer and to the command line, which shows all three.
 *
 *     return berth_error_set(error, BERTH_ERROR_INVALID, "resources.cpu", "4x",
 *                            "write a count of CPUs (4, 0.5) or millicores (500m)",
 *                            "not a quantity of CPU");
 *
 * Errors of other domains (GIO, GnuTLS, …) pass through g_propagate_prefixed_error and count as
 * BERTH_ERROR_INTERNAL when they reach a user.
 *
 * Thread safety: pure functions, any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define BERTH_ERROR (berth_error_quark())

typedef enum {
    BERTH_ERROR_INTERNAL,        /* a defect or an environment that fails us; HTTP 500 */
    BERTH_ERROR_INVALID,         /* the request is wrong in itself; 400 */
    BERTH_ERROR_UNAUTHENTICATED, /* no token, or one that is wrong or expired; 401 */
    BERTH_ERROR_FORBIDDEN,       /* the token does not allow it; 403 */
    BERTH_ERROR_NOT_FOUND,       /* 404 */
    BERTH_ERROR_EXISTS,          /* a name that is taken; 409 */
    BERTH_ERROR_CONFLICT,        /* not in this state, or busy with something else; 409 */
    BERTH_ERROR_PRECONDITION,    /* If-Match or an epoch that is not current; 412 */
    BERTH_ERROR_TOO_LARGE,       /* over a stated cap; 413 */
    BERTH_ERROR_NO_CAPACITY,     /* well formed, but nowhere to place it; 409 */
    BERTH_ERROR_UNAVAILABLE,     /* try again: a peer is away, or the store refuses writes; 503 */
    BERTH_ERROR_TIMEOUT,         /* 504 */
} BerthErrorCode;

GQuark berth_error_quark(void);

/* Sets `error` (which may be NULL) and returns false, so that a caller can `return` it.
 * `field`, `value` and `remedy` may each be NULL; `value` is cut to 100 bytes at a character. */
bool berth_error_set(GError **error, BerthErrorCode code, const char *field, const char *value,
                     const char *remedy, const char *format, ...) G_GNUC_PRINTF(6, 7);
#ifdef __clang_analyzer__ /* which does not look into error.c for the answer */
#define berth_error_set(...) (berth_error_set(__VA_ARGS__), false)
#endif

/* What an error carries; NULL where it does not, or when it is of another domain. */
const char *berth_error_field(const GError *error);
const char *berth_error_value(const GError *error);
const char *berth_error_remedy(const GError *error);

/* The code as a program reads it: "invalid", "not-found", …; "internal" for other domains. */
const char *berth_error_code_name(const GError *error);
bool berth_error_code_from_name(const char *name, BerthErrorCode *ret_code);
int berth_error_http_status(const GError *error);

/* Puts `prefix` and a dot before the error's field: the caller knows where the value stands. */
void berth_error_prefix_field(GError **error, const char *prefix);

/* The whole for a person, one line: `message (field 'f', value 'v'): remedy`. */
char *berth_error_describe(const GError *error);
