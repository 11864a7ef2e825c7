/*
 * Whether a file is what an image says that it is, by how it begins. What guests boot is not looked into
 * any further; but a disk must not lean on other files, which QEMU would open on the host.
 *
 * Thread safety: pure functions, any thread.
 */
#pragma once

#include <stdint.h>

#include "schema/types.h"

#define IMAGE_CONTENT_BYTES 1024 /* of its beginning are looked at; less where it is shorter */

typedef struct {
    const char *what;      /* is wrong, in a few words; NULL: nothing */
    const char *remedy;    /* with it */
    int64_t virtual_bytes; /* that a guest sees of a qcow2 disk; 0 of others */
} ImageContent;

/* A kernel is a bzImage or ELF, an initrd a cpio archive or compressed, a qcow2 disk whole and in the
 * clear; any bytes make a raw disk. */
ImageContent image_content_examine(ImageFileRole role, ImageFormat format, const uint8_t *begin,
                                   size_t n);

/* The name of the disk format that the bytes look like, such as qcow2; NULL: none that tells itself. */
const char *image_content_looks_like(const uint8_t *begin, size_t n);

/* Does a BIOS find something to boot in a raw disk of these first bytes? */
bool image_content_boots(const uint8_t *begin, size_t n);
