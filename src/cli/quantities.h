/*
 * Resource vectors on the command line and in manifests: amounts with their units (base/units.h)
 * become the plain integers of the API.
 *
 * Threading: pure functions.
 */
#pragma once

#include <jansson.h>

#include "cli/command.h"

/* --cpu, --memory, --disk, --disk-bw, --net-bw, as entries of an option table. */
#define QUANTITY_OPTIONS                                                                           \
    {"cpu", 0, "AMOUNT", "CPUs (2, 0.5) or millicores (500m)"},                                    \
        {"memory", 0, "AMOUNT", "512MiB, 2GiB; a plain number is MiB"},                            \
        {"disk-bw", 0, "AMOUNT", "of the disk: 100MB/s; 0: not limited"},                          \
    {                                                                                              \
        "net-bw", 0, "AMOUNT", "of the network: 100Mbit, 1Gbit; 0: not limited"                    \
    }
#define DISK_OPTIONS                                                                               \
    {"disk", 0, "AMOUNT", "20GiB; a plain number is GiB"},                                         \
    {                                                                                              \
        "accelerator", 0, "NAME=COUNT", "slices of a device, such as gpu/a100=1; may be repeated", \
            "accelerators"                                                                         \
    }

/* Puts the amounts that were given into `resources`. Errors name the option. */
bool quantities_from_args(const CliArgs *args, json_t *resources, GError **error);

/* A resource vector as a manifest has it: texts with units, or numbers as on the command line
 * (`cpu: 0.5` is half a CPU). Gives the vector with integers; fields that it does not know stay as
 * they are, for the codec to refuse. Errors name the field within the vector. */
json_t *quantities_from_manifest(const json_t *vector, GError **error);

/* What the API tells of a field such as `resources.cpu` (or `grace-seconds`) with the value `500`, as
 * people write it: `500m`. NULL where that is no amount of such a field. g_free it. */
char *quantities_readable(const char *field, const char *value);
