#include "sim/steps.h"

#include <string.h>

#include "base/error.h"
#include "sim/question.h"
#include "sim/rules.h"
#include "sim/whereabouts.h"

#define PATIENCE_MS 600000

bool step_duration(const json_t *value, int64_t *ret_ms, GError **error)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *ret_ms = json_integer_value(value);
        return true;
    }
    const char *text = json_string_value(value);
    char *unit = NULL;
    guint64 amount = text != NULL ? g_ascii_strtoull(text, &unit, 10) : 0;
    for (guint i = 0; i < G_N_ELEMENTS(units); i++) {
        if (unit != NULL && unit != text && strcmp(unit, units[i].unit) == 0 &&
            amount < 1000000000) {
            *ret_ms = (int64_t)amount * units[i].ms;
            return true;
        }
    }
    return berth_error_set(error, BERTH_ERROR_INVALID, NULL, text, "write 30s, 5m, 2h or 100ms",
                           "not a span of time");
}

static bool invalid(const char *field, const char *value, const char *remedy, const char *message,
                    GError **error)
{
    return berth_error_set(error, BERTH_ERROR_INVALID, field, value, remedy, "%s", message);
}

static SimAgent *host_named(const Stage *stage, const json_t *value, GError **error)
{
    const char *name = json_string_value(json_object_get(value, "name"));
    SimAgent *agent = name != NULL ? sim_find_host(stage->sim, name) : NULL;
    if (agent == NULL) {
        invalid("name", name, "name one of the state's hosts", "there is no such host", error);
    }
    return agent;
}

/* The path of an operation by its name: {…} are filled from `params` in order. */
static char *path_of(const ApiRoute *route, const json_t *params)
{
    GString *path = g_string_new(NULL);
    size_t used = 0;
    for (const char *p = route->path; *p != '\0'; p++) {
        if (*p != '{') {
            g_string_append_c(path, *p);
            continue;
        }
        const char *value = json_string_value(json_array_get(params, used++));
        g_string_append_uri_escaped(path, value != NULL ? value : "", NULL, FALSE);
        p = strchr(p, '}');
    }
    return g_string_free(path, FALSE);
}

/* "METHOD PATH", or the name of an operation. */
static bool read_target(const char *text, const json_t *step, char **ret_method, char **ret_path,
                        GError **error)
{
    g_auto(GStrv) words = g_strsplit(text != NULL ? text : "", " ", 2);
    if (g_strv_length(words) == 2) {
        *ret_method = g_strdup(words[0]);
        *ret_path = g_strdup(words[1]);
        return true;
    }
    for (guint i = 0; words[0] != NULL && i < API_N_OPERATIONS; i++) {
        if (strcmp(api_routes[i].name, words[0]) == 0) {
            *ret_method = g_strdup(api_routes[i].method);
            *ret_path = path_of(&api_routes[i], json_object_get(step, "params"));
            return true;
        }
    }
    return invalid("request", text, "write METHOD /v1/path, or an operation of schema/api.yaml",
                   "not a request", error);
}

static void ignore_reply(void *owner, const SimReply *reply)
{
}

static bool do_request(Stage *stage, const json_t *value, const json_t *step, GError **error)
{
    g_autofree char *method = NULL;
    g_autofree char *path = NULL;
    if (!read_target(json_string_value(value), step, &method, &path, error)) {
        return false;
    }
    const json_t *body = json_object_get(step, "body");
    if (json_is_true(json_object_get(step, "unattended"))) {
        sim_manager_ask(stage->sim->manager, method, path, body, -1, ignore_reply, NULL);
        return true;
    }
    stage->status = sim_ask_whole(stage->sim, method, path, body, PATIENCE_MS, &stage->answer);
    return true;
}

static bool do_plan(Stage *stage, const json_t *value, const json_t *step, GError **error)
{
    g_auto(Question) question = {0};
    if (!question_read(value, &question, error)) {
        return false;
    }
    stage->planned = true;
    stage->status = sim_ask_whole(stage->sim, question.method, question.path, question.body,
                                  PATIENCE_MS, &stage->answer);
    return true;
}

static bool do_pass(Stage *stage, const json_t *value, const json_t *step, GError **error)
{
    int64_t ms;
    if (!step_duration(value, &ms, error)) {
        return false;
    }
    sim_run_until(stage->sim->world, stage->sim->world->now_ms + ms);
    return true;
}

static bool do_rest(Stage *stage, const json_t *value, const json_t *step, GError **error)
{
    if (!do_pass(stage, value, step, error)) {
        return false;
    }
    if (stage->sim->world->broken == NULL) {
        sim_check_rest(stage->sim);
    }
    return true;
}

static void lose_link(SimAgent *agent)
{
    sim_link_break(sim_agent_link(agent), G_MAXINT64 / 4);
}

static void mend_link(SimAgent *agent)
{
    sim_link_mend(sim_agent_link(agent));
}

static bool do_host(Stage *stage, const json_t *value, const json_t *step, GError **error)
{
    static const struct {
        const char *what;
        void (*act)(SimAgent *agent);
    } acts[] = {{"lose-power", sim_agent_power_loss},
                {"boot", sim_agent_power_on},
                {"kill-agent", sim_agent_crash},
                {"start-agent", sim_agent_start},
                {"lose-link", lose_link},
                {"mend-link", mend_link}};
    SimAgent *agent = host_named(stage, value, error);
    const char *does = json_string_value(json_object_get(value, "does"));
    if (agent == NULL) {
        return false;
    }
    for (guint i = 0; i < G_N_ELEMENTS(acts); i++) {
        if (g_strcmp0(does, acts[i].what) == 0) {
            acts[i].act(agent);
            return true;
        }
    }
    return invalid("does", does,
                   "lose-power, boot, kill-agent, start-agent, lose-link or mend-link",
                   "a host does no such thing", error);
}

static char *vm_id(const Stage *stage, const json_t *value, GError **error)
{
    const char *name = json_string_value(json_object_get(value, "vm"));
    char *id = name != NULL ? whereabouts_id(stage->sim, "vm", name) : NULL;
    if (id == NULL) {
        invalid("vm", name, "name a VM that the store has", "there is no such VM", error);
    }
    return id;
}

static SimQemu *find_qemu(const Stage *stage, const json_t *value, SimMachine **ret_machine,
                          GError **error)
{
    g_autofree char *id = vm_id(stage, value, error);
    for (guint i = 0; id != NULL && i < stage->sim->agents->len; i++) {
        SimMachine *machine = sim_agent_machine(stage->sim->agents->pdata[i]);
        SimQemu *qemu = sim_machine_qemu(machine, id);
        if (qemu != NULL && qemu->exit == NULL) {
            *ret_machine = machine;
            return qemu;
        }
    }
    if (id != NULL) {
        berth_error_set(error, BERTH_ERROR_CONFLICT, "vm", id, NULL, "no QEMU of it runs");
    }
    return NULL;
}

static bool do_qemu(Stage *stage, const json_t *value, const json_t *step, GError **error)
{
    SimMachine *machine;
    SimQemu *qemu = find_qemu(stage, value, &machine, error);
    const char *does = json_string_value(json_object_get(value, "does"));
    if (qemu == NULL) {
        return false;
    }
    bool exits = g_strcmp0(does, "exit") == 0, oom = g_strcmp0(does, "run-out-of-memory") == 0;
    if (!exits && !oom && g_strcmp0(does, "die") != 0) {
        return invalid("does", does, "die, exit or run-out-of-memory", "QEMU does no such thing",
                       error);
    }
    sim_machine_qemu_ends(machine, qemu,
                          exits ? KEEPER_EXIT_KIND_EXITED : KEEPER_EXIT_KIND_SIGNALED,
                          exits ? 0 : 9, oom);
    return true;
}

static bool do_guest(Stage *stage, const json_t *value, const json_t *step, GError **error)
{
    static const struct {
        const char *what;
        HostGuestEvent event;
    } acts[] = {{"power-off", HOST_GUEST_POWEROFF}, {"panic", HOST_GUEST_PANIC},
                {"reset", HOST_GUEST_RESET},        {"stop", HOST_GUEST_STOPPED},
                {"go-on", HOST_GUEST_RESUMED},      {"fail-disk", HOST_GUEST_IO_ERROR}};
    SimMachine *machine;
    SimQemu *qemu = find_qemu(stage, value, &machine, error);
    const char *does = json_string_value(json_object_get(value, "does"));
    for (guint i = 0; qemu != NULL && i < G_N_ELEMENTS(acts); i++) {
        if (g_strcmp0(does, acts[i].what) == 0) {
            return sim_machine_guest_does(machine, qemu, acts[i].event) ||
                   invalid("does", does, "let it run first", "the guest is not in a state for it",
                           error);
        }
    }
    return qemu != NULL &&
           invalid("does", does, "power-off, panic, reset, stop, go-on or fail-disk",
                   "a guest does no such thing", error);
}

/* As from a backup that is older than the VM. */
static bool forget_vm(Stage *stage, const json_t *value, GError **error)
{
    g_autofree char *id = vm_id(stage, value, error);
    if (id == NULL) {
        return false;
    }
    SimDisk *disk = sim_manager_disk(stage->sim->manager);
    static const char *const parts[] = {"spec", "placement", "status"};
    sim_manager_crash(stage->sim->manager);
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *key = g_strdup_printf("vm/default/%s/%s", id, parts[i]);
        sim_disk_put(disk, key, NULL);
    }
    g_autofree char *name =
        g_strdup_printf("name/vm/default/%s", json_string_value(json_object_get(value, "vm")));
    sim_disk_put(disk, name, NULL);
    sim_manager_start(stage->sim->manager);
    return true;
}

static bool do_manager(Stage *stage, const json_t *value, const json_t *step, GError **error)
{
    const char *does = json_string_value(json_object_get(value, "does"));
    if (g_strcmp0(does, "crash") == 0) {
        sim_manager_crash(stage->sim->manager);
    } else if (g_strcmp0(does, "start") == 0) {
        sim_manager_start(stage->sim->manager);
    } else if (g_strcmp0(does, "forget") == 0) {
        return forget_vm(stage, value, error);
    } else {
        return invalid("does", does, "crash, start or forget", "a manager does no such thing",
                       error);
    }
    return true;
}

static const struct {
    const char *name;
    bool (*act)(Stage *stage, const json_t *value, const json_t *step, GError **error);
} steps[] = {{"request", do_request}, {"plan", do_plan},      {"pass", do_pass},
             {"rest", do_rest},       {"host", do_host},      {"qemu", do_qemu},
             {"guest", do_guest},     {"manager", do_manager}};

bool step_is_known(const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        if (strcmp(steps[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool step_do(Stage *stage, const char *name, const json_t *value, const json_t *step,
             GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        if (strcmp(steps[i].name, name) == 0) {
            if (!steps[i].act(stage, value, step, error)) {
                berth_error_prefix_field(error, name);
                return false;
            }
            return true;
        }
    }
    return false;
}
