/*
 * Files of images: described by their hash, then sent as a stream. A file is never in memory as a
 * whole, and both steps show how far they are.
 *
 * Threading: one thread; blocks.
 */
#pragma once

#include "cli/cli.h"

typedef struct {
    const char *role;   /* kernel, initrd or disk */
    const char *path;   /* here */
    const char *format; /* raw or qcow2, of a disk; NULL: raw */
    const char *field;  /* what errors call it */
} UploadFile;

/* The file as the API's ImageFile, or NULL with an error: it cannot be read, is empty, or
 * is not what it is called (base/image_content.h). Reads all of it. */
json_t *upload_describe(Cli *cli, const UploadFile *file, GError **error);

/* Sends what the image (as the manager shows it) declares and lacks; `files` in the order of the
 * image's. Gives the image as it is then. Takes `image` over. */
json_t *upload_missing(Cli *cli, json_t *image, const UploadFile *files, GError **error);
