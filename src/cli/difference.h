/*
 * In what a manifest's item and an object of the cluster differ.
 *
 * Only what the manifest says counts; what it leaves out is as it may be. Ids by which objects
 * refer to each other are compared by their names.
 *
 * Threading: one thread.
 */
#pragma once

#include "cli/manifest.h"

typedef struct {
    char *field;  /* path within the spec: "resources.cpu" */
    char *before; /* as text for a person */
    char *after;
    json_t *wanted; /* what `after` tells, as a request carries it */
} Difference;

void difference_free(Difference *difference); /* takes NULL */

/* Of the item's body and the object as the API shows it; Difference *. NULL with an error when the
 * object makes no sense. For an image the body holds its files. */
GPtrArray *difference_find(Cli *cli, const ManifestItem *item, const json_t *object,
                           GError **error);
