#include "cluster/rules.h"

#include <string.h>

#include "base/error.h"
#include "cluster/levels.h"
#include "place/rules.h"

G_STATIC_ASSERT(RULES_MAX_GROUPS == BERTH_PLACE_MAX_GROUPS);

/* A name that has a number as long as somebody uses it. */
typedef struct {
    char *name;
    uint32_t number;
    uint32_t users;
    ClusterRule *keeps; /* of a trust domain: its rule, which nobody has made */
} Named;

/* All VMs whose memory may be merged; no tenant's name is empty. */
#define MERGING "/merging"

/* Trust domains that nobody is in are kept until there are so many, since each VM of one that is asked
 * about makes it. */
#define IDLE_TRUST_DOMAINS 256

static void named_free(void *data)
{
    Named *named = data;
    if (named->keeps != NULL) {
        rule_free(named->keeps->object);
        g_free(named->keeps);
    }
    g_free(named->name);
    g_free(named);
}

/* Takes the name over. */
static Named *new_group(ClusterCore *core, char *name)
{
    Named *group = g_new0(Named, 1);
    group->name = name;
    if (!model_reuse_number(core->free_groups, &group->number)) {
        group->number = g_hash_table_size(core->groups);
    }
    g_hash_table_insert(core->groups, group->name, group);
    return group;
}

void rules_init(ClusterCore *core)
{
    core->groups = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, named_free);
    core->host_labels = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    core->host_label_names = g_ptr_array_new();
    core->domains = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    core->free_groups = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    core->rule_numbers = g_ptr_array_new();
    levels_init(core);
    new_group(core, g_strdup(MERGING));
}

void rules_clear(ClusterCore *core)
{
    levels_clear(core);
    g_hash_table_unref(core->groups);
    g_hash_table_unref(core->host_labels);
    g_ptr_array_unref(core->host_label_names);
    g_hash_table_unref(core->domains);
    g_array_unref(core->free_groups);
    g_ptr_array_unref(core->rule_numbers);
}

/* Numbers for names that are never given back: labels and domains of hosts, few and stable. */
static uint32_t number_of(GHashTable *table, const char *name, GPtrArray *names)
{
    void *number;
    if (g_hash_table_lookup_extended(table, name, NULL, &number)) {
        return GPOINTER_TO_UINT(number);
    }
    uint32_t next = g_hash_table_size(table);
    char *key = g_strdup(name);
    g_hash_table_insert(table, key, GUINT_TO_POINTER(next));
    if (names != NULL) {
        g_ptr_array_add(names, key);
    }
    return next;
}

static uint32_t label_number(ClusterCore *core, const char *key, const char *value)
{
    g_autofree char *label = g_strconcat(key, "=", value, NULL);
    return number_of(core->host_labels, label, core->host_label_names);
}

const char *rules_label(const ClusterCore *core, uint32_t number)
{
    return core->host_label_names->pdata[number];
}

/* A domain is named by its whole path, so a rack "r1" of two zones is two racks. A host with a rack
 * and without a zone stands in a rack of no zone. */
static void set_domains(ClusterCore *core, ClusterHost *host)
{
    uint32_t domains[BERTH_PLACE_MAX_LEVELS];
    g_autoptr(GString) path = g_string_new(NULL);
    for (guint l = levels_count(core) - 1; l > 0; l--) {
        const char *level = levels_name(core, l);
        const char *value = string_map_get(host->spec->labels, level);
        g_string_append_printf(path, "/%s=%s", level, value != NULL ? value : "");
        domains[l - 1] =
            value != NULL ? number_of(core->domains, path->str, NULL) : BERTH_PLACE_NONE;
    }
    BerthPlaceResult result = berth_place_set_domains(core->place, host->place, domains);
    g_assert(result == BERTH_PLACE_OK);
}

static void set_labels(ClusterCore *core, const ClusterHost *host, const StringMap *labels,
                       bool present)
{
    for (size_t i = 0; i < string_map_size(labels); i++) {
        uint32_t label = label_number(core, string_map_key(labels, i), string_map_value(labels, i));
        berth_place_set_label(core->place, host->place, label, present);
    }
}

static gboolean enter_each(void *key, void *value, void *core)
{
    rules_vm_enters(core, value);
    return FALSE;
}

static gboolean leave_each(void *key, void *value, void *core)
{
    rules_vm_leaves(core, value);
    return FALSE;
}

void rules_host_changed(ClusterCore *core, ClusterHost *host)
{
    const StringMap *labels = host->spec->labels;
    if (host->labelled != NULL && string_map_equal(host->labelled, labels)) {
        return;
    }
    g_tree_foreach(host->vms, leave_each, core);
    set_domains(core, host);
    g_tree_foreach(host->vms, enter_each, core);
    set_labels(core, host, host->labelled, false);
    set_labels(core, host, labels, true);
    string_map_free(host->labelled);
    host->labelled = labels != NULL ? string_map_copy(labels) : string_map_new();
}

uint32_t rules_host_labels(ClusterCore *core, const VmSpec *spec, uint32_t *ret_labels)
{
    uint32_t n = 0;
    for (size_t i = 0; i < string_map_size(spec->host_labels) && n < 16; i++) {
        ret_labels[n++] = label_number(core, string_map_key(spec->host_labels, i),
                                       string_map_value(spec->host_labels, i));
    }
    return n;
}

static char *group_name(const char *tenant, const char *subject)
{
    return g_strconcat(tenant, "/", subject, NULL);
}

static bool add_group(ClusterCore *core, const char *tenant, char *subject, uint32_t *groups,
                      uint32_t *n)
{
    g_autofree char *owned = subject;
    g_autofree char *name = group_name(tenant, subject);
    const Named *group = g_hash_table_lookup(core->groups, name);
    if (group == NULL) {
        return true;
    }
    if (*n == RULES_MAX_GROUPS) {
        return false;
    }
    groups[(*n)++] = group->number;
    return true;
}

static Named *merging(const ClusterCore *core)
{
    return g_hash_table_lookup(core->groups, MERGING);
}

static char *trust_name(const char *tenant, const VmSpec *spec)
{
    return g_strconcat(tenant, "/trust-domain/", spec->trust_domain, NULL);
}

/* NULL: none, or one that the engine has not been told of. */
static Named *trust_of(const ClusterCore *core, const char *tenant, const VmSpec *spec)
{
    if (spec->trust_domain == NULL) {
        return NULL;
    }
    g_autofree char *name = trust_name(tenant, spec);
    return g_hash_table_lookup(core->groups, name);
}

bool rules_groups(ClusterCore *core, const char *tenant, const VmSpec *spec, uint32_t *ret_groups,
                  uint32_t *ret_n, GError **error)
{
    uint32_t n = 0;
    bool ok = true;
    const Named *trusted = trust_of(core, tenant, spec);
    if (trusted != NULL) {
        ret_groups[n++] = trusted->number;
        ret_groups[n++] = merging(core)->number;
    }
    if (g_hash_table_size(core->groups) > 1) {
        const ClusterApp *app = spec->app != NULL ? g_tree_lookup(core->apps, spec->app) : NULL;
        ok = add_group(core, tenant, g_strconcat("vm/", spec->name, NULL), ret_groups, &n);
        if (ok && app != NULL) {
            ok =
                add_group(core, tenant, g_strconcat("app/", app->spec->name, NULL), ret_groups, &n);
        }
        for (size_t i = 0; ok && i < string_map_size(spec->labels); i++) {
            ok = add_group(core, tenant,
                           g_strconcat("label/", string_map_key(spec->labels, i), "=",
                                       string_map_value(spec->labels, i), NULL),
                           ret_groups, &n);
        }
    }
    *ret_n = n;
    return ok || berth_error_set(error, BERTH_ERROR_INVALID, "labels", spec->name,
                                 "use fewer labels that rules name",
                                 "rules speak of the VM in more than %d ways", RULES_MAX_GROUPS);
}

static uint32_t free_number(ClusterCore *core)
{
    for (guint i = 0; i < core->rule_numbers->len; i++) {
        if (core->rule_numbers->pdata[i] == NULL) {
            return i;
        }
    }
    g_ptr_array_add(core->rule_numbers, NULL);
    return core->rule_numbers->len - 1;
}

static gboolean is_idle_trust(void *key, void *value, void *data)
{
    ClusterCore *core = data;
    const Named *named = value;
    if (named->keeps == NULL || named->users > 0) {
        return FALSE;
    }
    BerthPlaceResult result = berth_place_rule_remove(core->place, named->keeps->number);
    g_assert(result == BERTH_PLACE_OK);
    core->rule_numbers->pdata[named->keeps->number] = NULL;
    g_array_append_val(core->free_groups, named->number);
    core->idle_trusts--;
    return TRUE;
}

const Rule *rules_rule(const ClusterCore *core, uint32_t number)
{
    const ClusterRule *rule =
        number < core->rule_numbers->len ? core->rule_numbers->pdata[number] : NULL;
    return rule != NULL ? rule->object : NULL;
}

static const char *other_of(const Rule *rule)
{
    return rule->other != NULL ? rule->other : rule->subject;
}

char *rules_text(const Rule *rule)
{
    const char *level = rule->level != NULL ? rule->level : "host";
    const char *other = other_of(rule);
    if (rule->kind == RULE_KIND_UNSET) {
        return g_strdup_printf("trust domain '%s', whose memory is merged with no other's",
                               rule->name);
    }
    bool itself = strcmp(other, rule->subject) == 0;
    switch (rule->kind) {
    case RULE_KIND_TOGETHER:
        return itself ? g_strdup_printf("rule '%s': all of %s in one %s", rule->name, other, level)
                      : g_strdup_printf("rule '%s': %s in the %s of %s", rule->name, rule->subject,
                                        level, other);
    case RULE_KIND_APART:
        return itself ? g_strdup_printf("rule '%s': each of %s in a %s of its own", rule->name,
                                        other, level)
                      : g_strdup_printf("rule '%s': no %s with both %s and %s", rule->name, level,
                                        rule->subject, other);
    case RULE_KIND_ALONE:
        return g_strdup_printf("rule '%s': %s shares no %s with others", rule->name, rule->subject,
                               level);
    case RULE_KIND_SPREAD:
        return g_strdup_printf("rule '%s': %s evenly over each %s, by %" G_GINT64_FORMAT " at most",
                               rule->name, rule->subject, level, rule->skew);
    default:
        return g_strdup_printf("rule '%s': %s near %s", rule->name, rule->subject, other);
    }
}

static BerthPlaceRuleKind engine_kind(RuleKind kind)
{
    switch (kind) {
    case RULE_KIND_APART:
        return BERTH_PLACE_APART;
    case RULE_KIND_ALONE:
        return BERTH_PLACE_ALONE;
    case RULE_KIND_SPREAD:
        return BERTH_PLACE_SPREAD;
    case RULE_KIND_NEAR:
        return BERTH_PLACE_NEAR;
    case RULE_KIND_UNSET:
        return BERTH_PLACE_SOLE;
    default:
        return BERTH_PLACE_TOGETHER;
    }
}

static bool refuse(ClusterCore *core, const Rule *rule, BerthPlaceResult result, uint32_t number,
                   GError **error)
{
    const Rule *other = rules_rule(core, number);
    if (other == NULL) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "rule", rule->name, NULL,
                               "the rule cannot be made: %s", berth_place_strerror(result));
    }
    g_autofree char *text = rules_text(other);
    return berth_error_set(error, BERTH_ERROR_CONFLICT, "rule", rule->name,
                           "remove the other rule, or make one of them soft with a weight",
                           result == BERTH_PLACE_ERROR_CYCLE
                               ? "the rules would lead back to where they began, with %s"
                               : "it can never hold together with %s",
                           text);
}

static bool tell(ClusterCore *core, const ClusterRule *rule, GError **error)
{
    const Rule *object = rule->object;
    BerthPlaceRule wanted = {.struct_size = sizeof wanted,
                             .kind = engine_kind(object->kind),
                             .a = rule->a,
                             .b = rule->b,
                             .level = (uint32_t)levels_find(core, object->level),
                             .skew = (uint32_t)object->skew,
                             .weight = (uint32_t)object->weight};
    uint32_t other = BERTH_PLACE_NONE;
    BerthPlaceResult result = berth_place_rule_add(core->place, rule->number, &wanted, &other);
    return result == BERTH_PLACE_OK || refuse(core, object, result, other, error);
}

bool rules_keep_trust(ClusterCore *core, const char *tenant, const VmSpec *spec, GError **error)
{
    if (spec->trust_domain == NULL || trust_of(core, tenant, spec) != NULL) {
        return true;
    }
    if (core->idle_trusts >= IDLE_TRUST_DOMAINS) {
        g_hash_table_foreach_remove(core->groups, is_idle_trust, core);
    }
    Named *named = new_group(core, trust_name(tenant, spec));
    ClusterRule *rule = named->keeps = g_new0(ClusterRule, 1);
    rule->object = rule_new();
    rule->object->name = g_strdup(spec->trust_domain);
    rule->number = free_number(core);
    rule->a = named->number;
    rule->b = merging(core)->number;
    if (!tell(core, rule, error)) {
        g_array_append_val(core->free_groups, named->number);
        g_hash_table_remove(core->groups, named->name);
        return false;
    }
    core->rule_numbers->pdata[rule->number] = rule;
    core->idle_trusts++;
    return true;
}

/* A VM comes to a host or goes. */
static void count_trusted(ClusterCore *core, const ClusterVm *vm, int change)
{
    Named *trusted = trust_of(core, vm->tenant, vm->spec);
    if (trusted != NULL) {
        core->idle_trusts -= trusted->users == 0;
        trusted->users += (uint32_t)change;
        core->idle_trusts += trusted->users == 0;
    }
}

void rules_vm_enters(ClusterCore *core, ClusterVm *vm)
{
    if (vm->host == NULL || vm->entered) {
        return;
    }
    rules_keep_trust(core, vm->tenant, vm->spec, NULL);
    rules_groups(core, vm->tenant, vm->spec, vm->groups, &vm->n_groups, NULL);
    BerthPlaceResult result =
        berth_place_enter(core->place, vm->host->place, vm->groups, vm->n_groups);
    g_assert(result == BERTH_PLACE_OK);
    vm->entered = true;
    count_trusted(core, vm, 1);
}

void rules_vm_leaves(ClusterCore *core, ClusterVm *vm)
{
    if (vm->entered) {
        BerthPlaceResult result =
            berth_place_leave(core->place, vm->host->place, vm->groups, vm->n_groups);
        g_assert(result == BERTH_PLACE_OK);
        vm->entered = false;
        count_trusted(core, vm, -1);
    }
}

/* The VMs of a tenant count anew in which groups they are. */
static void regroup(ClusterCore *core, const char *tenant)
{
    for (GTreeNode *n = g_tree_node_first(core->vms); n != NULL; n = g_tree_node_next(n)) {
        ClusterVm *vm = g_tree_node_value(n);
        if (vm->entered && strcmp(vm->tenant, tenant) == 0) {
            rules_vm_leaves(core, vm);
            rules_vm_enters(core, vm);
        }
    }
}

static Named *use_group(ClusterCore *core, const char *tenant, const char *subject)
{
    g_autofree char *name = group_name(tenant, subject);
    Named *group = g_hash_table_lookup(core->groups, name);
    if (group == NULL) {
        group = new_group(core, g_steal_pointer(&name));
        regroup(core, tenant);
    }
    group->users++;
    return group;
}

static void drop_group(ClusterCore *core, const char *tenant, const char *subject)
{
    g_autofree char *name = group_name(tenant, subject);
    Named *group = g_hash_table_lookup(core->groups, name);
    if (group != NULL && --group->users == 0) {
        uint32_t number = group->number;
        g_hash_table_remove(core->groups, name);
        regroup(core, tenant);
        g_array_append_val(core->free_groups, number);
    }
}

static bool tell_all(ClusterCore *core, GError **error)
{
    for (guint i = 0; i < core->rule_numbers->len; i++) {
        const ClusterRule *rule = core->rule_numbers->pdata[i];
        if (rule != NULL && !tell(core, rule, error)) {
            return false;
        }
    }
    return true;
}

bool rules_tell_anew(ClusterCore *core, GError **error)
{
    GHashTable *before = core->domains;
    core->domains = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL; n = g_tree_node_next(n)) {
        ClusterHost *host = g_tree_node_value(n);
        set_domains(core, host);
        set_labels(core, host, host->labelled, true);
    }
    if (!tell_all(core, error)) {
        g_hash_table_unref(core->domains);
        core->domains = before;
        return false;
    }
    g_hash_table_unref(before);
    for (GTreeNode *n = g_tree_node_first(core->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        if (vm->entered) {
            berth_place_enter(core->place, vm->host->place, vm->groups, vm->n_groups);
        }
    }
    return true;
}

bool rules_enlist(ClusterCore *core, ClusterRule *rule, GError **error)
{
    const Rule *object = rule->object;
    const Named *a = use_group(core, object->tenant, object->subject);
    const Named *b = use_group(core, object->tenant, other_of(object));
    rule->number = free_number(core);
    rule->a = a->number;
    rule->b = b->number;
    if (!tell(core, rule, error)) {
        drop_group(core, object->tenant, object->subject);
        drop_group(core, object->tenant, other_of(object));
        return false;
    }
    core->rule_numbers->pdata[rule->number] = rule;
    return true;
}

void rules_strike(ClusterCore *core, ClusterRule *rule)
{
    BerthPlaceResult result = berth_place_rule_remove(core->place, rule->number);
    g_assert(result == BERTH_PLACE_OK);
    core->rule_numbers->pdata[rule->number] = NULL;
    core->room_made = true;
    drop_group(core, rule->object->tenant, rule->object->subject);
    drop_group(core, rule->object->tenant, other_of(rule->object));
}

/* A VM that its host alone remembered has a trust domain of its own, beside those that it ran with. */
static bool is_adopted(const ClusterVm *vm)
{
    return g_ascii_strcasecmp(vm->spec->trust_domain, vm->id) == 0;
}

static bool check_trust(const ClusterHost *host, GError **error)
{
    const ClusterVm *first = NULL;
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        if (vm->spec->trust_domain == NULL || is_adopted(vm)) {
            continue;
        }
        if (first != NULL && (strcmp(first->tenant, vm->tenant) != 0 ||
                              strcmp(first->spec->trust_domain, vm->spec->trust_domain) != 0)) {
            return berth_error_set(error, BERTH_ERROR_INTERNAL, "host", host->id, NULL,
                                   "memory of VMs %s and %s of two trust domains is merged",
                                   first->id, vm->id);
        }
        first = vm;
    }
    return true;
}

bool rules_check(const ClusterCore *core, GError **error)
{
    for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL; n = g_tree_node_next(n)) {
        if (!check_trust(g_tree_node_value(n), error)) {
            return false;
        }
    }
    return true;
}
