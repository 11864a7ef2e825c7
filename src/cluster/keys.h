/*
 * Where each object lies in the store. Private to src/cluster. Each function gives a new string.
 *
 *     meta/cluster                      ClusterMeta
 *     host/ID/spec, host/ID/facts       HostSpec, HostFacts
 *     size/NAME                         Size
 *     image/TENANT/ID                   Image
 *     network/TENANT/ID                 Network
 *     rule/TENANT/ID                    Rule
 *     reservation/TENANT/ID             Reservation
 *     app/TENANT/ID/spec                AppSpec
 *     vm/TENANT/ID/spec, …/placement, …/status
 *     queue/TENANT/ID                   QueuedRequest; ID is that of its VM or app
 *     name/KIND/TENANT/NAME             "ID", so that a name is taken once
 *     tenant/NAME                       TenantSpec
 *     account/NAME                      Account
 *     charge/NAME/HOUR/APP              Charge: what was charged in an hour, up to its until-ms
 *     credit/NAME/ID                    Credit
 *     meta/levels                       Levels
 *     meta/rates                        Rates
 *     token/ID                          Token, with the hash of its secret
 *     join/ID                           JoinToken, with the hash of its secret
 *     operation/TENANT/ID               Operation
 *     event/ID                          Event; ids rise with time
 *     tombstone/VM                      Tombstone
 *
 * What is wanted (spec), what was decided (placement) and what is (status) are separate keys with
 * separate revisions.
 */
#pragma once

#include <glib.h>

static inline char *key_host(const char *id, const char *part)
{
    return g_strconcat("host/", id, "/", part, NULL);
}

static inline char *key_size(const char *name)
{
    return g_strconcat("size/", name, NULL);
}

static inline char *key_of(const char *kind, const char *tenant, const char *id)
{
    return g_strconcat(kind, "/", tenant, "/", id, NULL);
}

static inline char *key_part(const char *kind, const char *tenant, const char *id, const char *part)
{
    return g_strconcat(kind, "/", tenant, "/", id, "/", part, NULL);
}

static inline char *key_name(const char *kind, const char *tenant, const char *name)
{
    return g_strconcat("name/", kind, "/", tenant, "/", name, NULL);
}

static inline char *key_join(const char *id)
{
    return g_strconcat("join/", id, NULL);
}

static inline char *key_event(const char *id)
{
    return g_strconcat("event/", id, NULL);
}

static inline char *key_tombstone(const char *vm)
{
    return g_strconcat("tombstone/", vm, NULL);
}

static inline char *key_charge(const char *tenant, int64_t hour_ms, const char *app)
{
    return g_strdup_printf("charge/%s/%015" G_GINT64_FORMAT "/%s", tenant, hour_ms, app);
}
