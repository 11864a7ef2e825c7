#include <string.h>

#include "base/error.h"
#include "base/words.h"
#include "cluster/explain.h"
#include "base/resources.h"
#include "base/timefmt.h"
#include "base/units.h"
#include "cluster/commands.h"
#include "cluster/devices.h"
#include "cluster/ends.h"
#include "cluster/journal.h"
#include "cluster/keys.h"
#include "cluster/labels.h"
#include "cluster/reservations.h"
#include "cluster/spec.h"
#include "cluster/tenants.h"
#include "cluster/txn.h"

#define DEFAULT_GRACE_S 300

static json_t *encode_one(ClusterCore *core, const void *object, const void *shown)
{
    const ClusterReservation *reservation = object;
    return tenant_is_shown(shown, reservation->object->tenant)
               ? render_reservation(core, reservation)
               : NULL;
}

bool list_reservations(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ListReservationsQuery *query = request->query;
    reply_list(core, request->id, core->reservations, query->limit, query->after, encode_one,
               tenant_shown(request));
    return true;
}

bool get_reservation(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ClusterReservation *reservation =
        find_reservation(core, request->principal.tenant, request->params[0], error);
    if (reservation == NULL) {
        return false;
    }
    reply_json(core, request->id, 200, render_reservation(core, reservation),
               reservation->object->revision);
    return true;
}

/* What is asked for, read and checked in itself. */
typedef struct {
    Reservation *object; /* without hosts; start-ms is the earliest that is wanted */
    bool fixed;
    int64_t latest_ms;            /* the latest start */
    const char *deadline, *start; /* as written */
} Wanted;

static void wanted_clear(Wanted *wanted)
{
    g_clear_pointer(&wanted->object, reservation_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Wanted, wanted_clear)

static bool read_times(ClusterCore *core, const ReservationCreate *body, Wanted *wanted,
                       GError **error)
{
    int64_t start = core->now_ms, duration = body->duration_seconds * 1000, deadline = 0;
    if ((body->start != NULL && !ends_read_time(core, "start", body->start, &start, error)) ||
        (body->deadline != NULL &&
         !ends_read_time(core, "deadline", body->deadline, &deadline, error))) {
        return false;
    }
    if (body->deadline != NULL &&
        !ends_check_deadline(body->deadline, deadline, start + duration, error)) {
        return false;
    }
    wanted->start = body->start;
    wanted->deadline = body->deadline;
    wanted->fixed = body->start != NULL && body->deadline == NULL;
    wanted->latest_ms = wanted->fixed            ? start
                        : body->deadline != NULL ? deadline - duration
                                                 : INT64_MAX;
    wanted->object->start_ms = start;
    wanted->object->end_ms = start + duration;
    wanted->object->has_deadline_ms = body->deadline != NULL;
    wanted->object->deadline_ms = deadline;
    return true;
}

static bool read_resources(ClusterCore *core, const ReservationCreate *body, Reservation *object,
                           GError **error)
{
    if ((body->size != NULL) == (body->resources != NULL)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "size", body->size,
                               "give either a size or resources",
                               "a reservation is room for VMs of one size");
    }
    const Size *size = body->size != NULL ? find_size(core, body->size, error) : NULL;
    if (body->size != NULL && size == NULL) {
        return false;
    }
    object->size = g_strdup(body->size);
    object->resources = resources_copy(size != NULL ? size->resources : body->resources);
    Vector vector;
    return spec_check_resources("resources", object->resources, error) &&
           fleet_vector(core, object->resources, &vector, error);
}

static bool read_wanted(ClusterCore *core, const char *tenant, const ReservationCreate *body,
                        Wanted *wanted, GError **error)
{
    Reservation *object = wanted->object = reservation_new();
    if (!read_resources(core, body, object, error) || !read_times(core, body, wanted, error) ||
        !labels_check("labels", body->labels, NULL, error) ||
        !labels_check("host-labels", body->host_labels, NULL, error) ||
        !spec_check_policy(body->policy, body->policy_weights, error)) {
        return false;
    }
    object->name = g_strdup(body->name);
    g_free(object->tenant);
    object->tenant = g_strdup(tenant);
    object->count = body->count;
    object->at_end = body->at_end != AT_END_UNSET ? body->at_end : AT_END_STOP;
    object->grace_seconds = body->has_grace_seconds ? body->grace_seconds : DEFAULT_GRACE_S;
    object->policy = body->policy != PLACE_POLICY_UNSET ? body->policy : PLACE_POLICY_MOST_FREE;
    int_map_assign(&object->policy_weights, body->policy_weights);
    object->overhead = core->overhead;
    object->created_ms = core->now_ms;
    object->description = g_strdup(body->description);
    string_map_assign(&object->labels, body->labels);
    string_map_assign(&object->host_labels, body->host_labels);
    return true;
}

static int64_t held_ms(const Reservation *object)
{
    int64_t release = reservation_release_ms(object);
    return release == BERTH_CALENDAR_NEVER ? release : release - object->start_ms;
}

/* Shows the engine what is free over the time that the reservation would hold. */
static void look(ClusterCore *core, const Reservation *object)
{
    int64_t held = held_ms(object);
    int64_t until = held == BERTH_CALENDAR_NEVER ? BERTH_CALENDAR_NEVER : object->start_ms + held;
    BerthPlaceResult result =
        berth_calendar_open(core->calendar, object->start_ms, until, ends_lasting(object->at_end));
    g_assert(result == BERTH_PLACE_OK);
}

static Explanation *explain_at(ClusterCore *core, const Reservation *object, const uint32_t *hosts)
{
    g_autoptr(VmSpec) spec = reservation_spec(object);
    look(core, object);
    Explanation *explanation = fleet_explain(core, object->tenant, spec, NULL, NULL);
    berth_calendar_close(core->calendar);
    for (guint i = 0; i < explanation->hosts->len; i++) {
        HostVerdict *verdict = explanation->hosts->pdata[i];
        int64_t count = 0;
        for (int64_t k = 0; hosts != NULL && k < object->count; k++) {
            const ClusterHost *host = core->by_handle->pdata[hosts[k]];
            count += strcmp(host->spec->name, verdict->host) == 0;
        }
        verdict->chosen = count > 0;
        if (count > 0) {
            g_free(verdict->verdict);
            verdict->verdict =
                g_strdup_printf("chosen for %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " VMs",
                                count, object->count);
        }
    }
    return explanation;
}

/* As things are there is no such time; says why not even when all has ended that will. */
static void refuse_never(ClusterCore *core, const Reservation *object, GError **error)
{
    g_autoptr(VmSpec) spec = reservation_spec(object);
    BerthPlaceResult result =
        berth_calendar_open(core->calendar, BERTH_TIME_MAX, BERTH_CALENDAR_NEVER, 0);
    g_assert(result == BERTH_PLACE_OK);
    g_autoptr(GPtrArray) fits =
        fleet_try(core, object->tenant, spec, NULL, object->count, NULL, error);
    berth_calendar_close(core->calendar);
    if (fits == NULL) {
        g_prefix_error(error, "there is room at no time, as things are: ");
    }
}

/* There is a time, but it is later than wanted. */
static void refuse_late(const Wanted *wanted, int64_t earliest, GError **error)
{
    const Reservation *object = wanted->object;
    int64_t duration = object->end_ms - object->start_ms;
    g_autofree char *start = berth_time_format(earliest);
    if (wanted->fixed) {
        g_autofree char *remedy = g_strdup_printf("start at %s, or give a deadline instead", start);
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY, "start", wanted->start, remedy,
                        "there is no room then for so long: the earliest start after it is %s",
                        start);
    } else {
        ends_refuse_deadline(wanted->deadline, earliest, duration, error);
    }
}

/* Finds start and hosts. False: refused, with verdicts on the hosts if they are wanted. */
static bool decide(ClusterCore *core, const Wanted *wanted, bool explain,
                   Explanation **ret_verdicts, GError **error)
{
    Reservation *object = wanted->object;
    g_autoptr(VmSpec) spec = reservation_spec(object);
    g_autofree uint32_t *hosts = g_new0(uint32_t, object->count);
    g_autofree uint64_t *devices = g_new0(uint64_t, object->count);
    EngineRequest engine;
    int64_t start = 0, duration = object->end_ms - object->start_ms;
    if (!fleet_request(core, object->tenant, spec, NULL, &engine, error)) {
        return false;
    }
    BerthCalendarRequest request = {.struct_size = sizeof request,
                                    .count = (uint32_t)object->count,
                                    .request = &engine.request,
                                    .from = object->start_ms,
                                    .duration = held_ms(object),
                                    .deadline = BERTH_CALENDAR_NEVER,
                                    .lasting = ends_lasting(object->at_end)};
    BerthPlaceResult result =
        berth_calendar_earliest(core->calendar, &request, &start, hosts, devices);
    bool met = result == BERTH_PLACE_OK && start <= wanted->latest_ms;
    if (result == BERTH_PLACE_NO_HOST) {
        refuse_never(core, object, error);
    } else if (result != BERTH_PLACE_OK) {
        berth_error_set(error, BERTH_ERROR_INVALID, "resources", NULL, "ask for something else",
                        "cannot be placed: %s", berth_place_strerror(result));
    } else if (!met) {
        refuse_late(wanted, start, error);
    } else {
        object->start_ms = start;
        object->end_ms = start + duration;
    }
    if (explain) {
        *ret_verdicts = explain_at(core, object, met ? hosts : NULL);
    }
    for (int64_t i = 0; met && i < object->count; i++) {
        const ClusterHost *host = core->by_handle->pdata[hosts[i]];
        ReservationSlot *slot = reservation_slot_new();
        slot->host = g_strdup(host->id);
        slot->host_name = g_strdup(host->spec->name);
        g_ptr_array_unref(slot->devices);
        slot->devices = devices_promised(core, host, &engine.request, devices[i]);
        g_ptr_array_add(object->slots, slot);
    }
    fleet_request_clear(&engine);
    return met;
}

static json_t *with_explanation(const ClusterCore *core, json_t *json, Explanation *explanation)
{
    if (explanation != NULL) {
        explanation_fold(core, explanation);
        json_object_set_new(json, "explanation", explanation_encode(explanation));
        explanation_free(explanation);
    }
    return json;
}

static json_t *make(ClusterCore *core, Reservation *object, int64_t *ret_revision)
{
    object->id = model_new_id(core);
    ClusterReservation *reservation = reservation_add(core, object);
    reservation_link(core, reservation);
    name_take(core, "reservation", object->tenant, object->name, object->id, reservation);
    save_reservation(core, reservation);
    Subject subject = subject_of_reservation(reservation);
    g_autofree char *start = berth_time_format(object->start_ms);
    g_autofree char *end = berth_time_format(object->end_ms);
    g_autofree char *vms = berth_words_count(object->count, "VM");
    event_add(core, "reservation.made", &subject, NULL, NULL,
              "room for %s is reserved from %s to %s", vms, start, end);
    *ret_revision = object->revision;
    return render_reservation(core, reservation);
}

bool create_reservation(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ReservationCreate *body = request->body;
    const CreateReservationQuery *query = request->query;
    const char *tenant = tenant_for_new(core, request, body->tenant, error);
    g_auto(Wanted) wanted = {0};
    if (tenant == NULL || !name_is_free(core, "reservation", tenant, body->name, error) ||
        !read_wanted(core, tenant, body, &wanted, error)) {
        return false;
    }
    Explanation *verdicts = NULL;
    GError *refusal = NULL;
    if (!decide(core, &wanted, query->explain, &verdicts, &refusal) ||
        !tenant_allows_over(core, tenant, wanted.object->resources, wanted.object->count,
                            wanted.object->start_ms, wanted.object->end_ms, &refusal)) {
        reply_refusal(core, request->id, refusal, verdicts);
        return true;
    }
    if (query->dry_run) {
        wanted.object->id = g_strdup("");
        json_t *json = reservation_encode(wanted.object);
        reply_json(core, request->id, 200, with_explanation(core, json, verdicts), -1);
        return true;
    }
    int64_t revision = 0;
    json_t *json = make(core, g_steal_pointer(&wanted.object), &revision);
    reply_json(core, request->id, 201, with_explanation(core, json, verdicts), revision);
    return true;
}

bool delete_reservation(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    ClusterReservation *reservation =
        find_reservation(core, request->principal.tenant, request->params[0], error);
    if (reservation == NULL || !check_if_match(request, reservation->object->revision, error)) {
        return false;
    }
    const Reservation *object = reservation->object;
    for (guint i = 0; i < reservation->n_slots; i++) {
        if (reservation->slots[i].vm != NULL) {
            return berth_error_set(error, BERTH_ERROR_CONFLICT, "reservation", object->name,
                                   "delete its VMs first", "VM %s is in it",
                                   reservation->slots[i].vm->spec->name);
        }
    }
    Subject subject = subject_of_reservation(reservation);
    event_add(core, "reservation.removed", &subject, NULL, NULL, "reservation %s is given up",
              object->name);
    txn_delete(core, key_of("reservation", object->tenant, object->id));
    name_release(core, "reservation", object->tenant, object->name);
    reservation_remove(core, reservation);
    reply_json(core, request->id, 200, json_object(), -1);
    return true;
}
