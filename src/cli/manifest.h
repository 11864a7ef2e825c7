/*
 * Manifests: what a user wants a cluster to hold, in YAML.
 *
 *     kind: size                          kind: app
 *     name: small                         name: web
 *     spec:                               spec:
 *       resources: {cpu: 500m,              size: small
 *                   memory: 256MiB}         image: demo
 *                                           count: 6
 *     kind: image                           networks: [blue]
 *     name: demo
 *     spec: {kernel: vmlinuz, initrd: demo.cpio.gz}
 *
 * Kinds are tenant, size, network, image, rule, reservation, app and vm. A spec has the fields of the
 * API's create request but the name; networks, rules, reservations, apps and VMs may say whose they are,
 * with `tenant` beside the name. Amounts of resources are written as on the command line. An image names its files
 * instead (kernel, initrd, disk, format), by paths that begin at the manifest's folder.
 *
 * Everything is checked against the schema while it is read; an error says `FILE:LINE: `, and the
 * field from the document's root.
 *
 * Threading: one thread.
 */
#pragma once

#include "base/yaml.h"
#include "cli/upload.h"

/* In the order in which they are made: later ones refer to earlier ones. */
typedef enum {
    MANIFEST_TENANT,
    MANIFEST_SIZE,
    MANIFEST_NETWORK,
    MANIFEST_IMAGE,
    MANIFEST_RULE,
    MANIFEST_RESERVATION,
    MANIFEST_APP,
    MANIFEST_VM,
} ManifestKind;

typedef struct {
    ManifestKind kind;
    char *name;
    char *tenant;           /* NULL: not said */
    char *path, *where;     /* FILE; FILE:LINE */
    YamlDocument *document; /* where its fields stand */
    char *note;             /* of what is read otherwise than written; NULL: nothing */
    json_t *body;           /* of the create request; of an image without its files */
    char *paths[3];
    UploadFile files[3]; /* of an image */
    size_t n_files;
} ManifestItem;

const char *manifest_kind_name(ManifestKind kind);

/* Puts before an error that speaks of the item where it stands: FILE:LINE:COLUMN of the field, if the spec
 * has it, else FILE:LINE. The manager names fields without `spec`, which is put before them. */
void manifest_locate(const ManifestItem *item, GError **error);

/* The items of these files (`-`: standard input) in the order of their kinds; ManifestItem *. */
GPtrArray *manifest_read(const char *const *paths, GError **error);

/* The same of one text; `path` is its name in errors and where relative paths begin. */
bool manifest_parse(const char *path, const char *text, size_t length, GPtrArray *items,
                    GError **error);

void manifest_item_free(ManifestItem *item); /* takes NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ManifestItem, manifest_item_free)
