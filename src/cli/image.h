/*
 * Adding images, for `berth image add` and `berth apply`.
 */
#pragma once

#include "cli/upload.h"

/* The body of a createImage for these files, which are read for their hashes. */
json_t *image_body(Cli *cli, const char *name, const UploadFile *files, size_t count,
                   GError **error);

/* Declares the image and sends its files; goes on where an addition of the same files was broken
 * off. Gives the image. `body` is borrowed. */
json_t *image_put(Cli *cli, json_t *body, const UploadFile *files, bool dry_run, GError **error);
