#include <string.h>

#include "base/error.h"
#include "cluster/commands.h"
#include "cluster/keys.h"
#include "cluster/labels.h"
#include "cluster/levels.h"
#include "cluster/rules.h"
#include "cluster/tenants.h"
#include "cluster/txn.h"

static json_t *encode_rule(ClusterCore *core, const void *object, const void *shown)
{
    const ClusterRule *rule = object;
    return tenant_is_shown(shown, rule->object->tenant) ? rule_encode(rule->object) : NULL;
}

bool list_rules(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ListRulesQuery *query = request->query;
    reply_list(core, request->id, core->rules, query->limit, query->after, encode_rule,
               tenant_shown(request));
    return true;
}

bool get_rule(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ClusterRule *rule = find_rule(core, request->principal.tenant, request->params[0], error);
    if (rule == NULL) {
        return false;
    }
    reply_object(core, request->id, 200, &rule_type, rule->object, rule->object->revision);
    return true;
}

/* app/NAME, vm/NAME or label/KEY=VALUE. What it names need not be there yet. */
static bool check_subject(const char *field, const char *subject, GError **error)
{
    const char *slash = strchr(subject, '/');
    bool good = slash != NULL && slash[1] != '\0' &&
                (g_str_has_prefix(subject, "app/") || g_str_has_prefix(subject, "vm/") ||
                 (g_str_has_prefix(subject, "label/") && strchr(slash, '=') > slash + 1));
    if (!good) {
        return berth_error_set(error, BERTH_ERROR_INVALID, field, subject,
                               "app/NAME, vm/NAME or label/KEY=VALUE",
                               "a rule cannot speak of that");
    }
    g_autofree char *key = g_strndup(slash + 1, strcspn(slash + 1, "="));
    return !g_str_has_prefix(subject, "label/") || labels_check_key(field, key, error);
}

static bool check_fields(const ClusterCore *core, const RuleCreate *body, GError **error)
{
    const char *kind = rule_kind_to_string(body->kind);
    bool speaks_of_two = body->kind == RULE_KIND_TOGETHER || body->kind == RULE_KIND_APART ||
                         body->kind == RULE_KIND_NEAR;
    if (!check_subject("subject", body->subject, error) ||
        (body->other != NULL && !check_subject("other", body->other, error))) {
        return false;
    }
    if (body->other != NULL && !speaks_of_two) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "other", body->other, "leave it out",
                               "a rule of kind %s speaks of its subject alone", kind);
    }
    if (body->level != NULL && levels_find(core, body->level) < 0) {
        g_autofree char *names = levels_text(core);
        return berth_error_set(error, BERTH_ERROR_INVALID, "level", body->level, names,
                               "hosts have no such level");
    }
    if (body->has_skew && body->kind != RULE_KIND_SPREAD) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "skew", NULL, "leave it out",
                               "a rule of kind %s has none", kind);
    }
    if (body->kind == RULE_KIND_NEAR && (body->weight == 0 || body->level != NULL)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, body->weight == 0 ? "weight" : "level",
                               NULL,
                               "give a weight and no level, or take kind together with a level",
                               "near is soft: as near as can be");
    }
    return true;
}

static Rule *rule_from_create(ClusterCore *core, const char *tenant, const RuleCreate *body)
{
    Rule *rule = rule_new();
    rule->id = model_new_id(core);
    rule->name = g_strdup(body->name);
    g_free(rule->tenant);
    rule->tenant = g_strdup(tenant);
    rule->kind = body->kind;
    rule->subject = g_strdup(body->subject);
    rule->other = g_strdup(body->other);
    rule->level = g_strdup(body->level);
    rule->skew = body->has_skew ? body->skew : body->kind == RULE_KIND_SPREAD;
    rule->weight = body->weight;
    rule->description = g_strdup(body->description);
    return rule;
}

bool create_rule(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const RuleCreate *body = request->body;
    const CreateRuleQuery *query = request->query;
    const char *tenant = tenant_for_new(core, request, body->tenant, error);
    if (tenant == NULL || !check_fields(core, body, error) ||
        !name_is_free(core, "rule", tenant, body->name, error)) {
        return false;
    }
    if (request->principal.bound && body->kind == RULE_KIND_ALONE && body->weight == 0) {
        return berth_error_set(error, BERTH_ERROR_FORBIDDEN, "kind", "alone",
                               "give it a weight, or ask an operator for the rule",
                               "it would keep others off hosts, which no quota counts");
    }
    ClusterRule *rule = model_add_rule(core, rule_from_create(core, tenant, body));
    if (!rules_enlist(core, rule, error)) {
        g_tree_remove(core->rules, rule->object->id);
        return false;
    }
    if (query->dry_run) {
        reply_object(core, request->id, 200, &rule_type, rule->object, -1);
        rules_strike(core, rule);
        g_tree_remove(core->rules, rule->object->id);
        return true;
    }
    name_take(core, "rule", tenant, body->name, rule->object->id, rule);
    save_rule(core, rule);
    reply_object(core, request->id, 201, &rule_type, rule->object, rule->object->revision);
    return true;
}

bool delete_rule(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    ClusterRule *rule = find_rule(core, request->principal.tenant, request->params[0], error);
    if (rule == NULL || !check_if_match(request, rule->object->revision, error)) {
        return false;
    }
    core->room_made = true;
    rules_strike(core, rule);
    txn_delete(core, key_of("rule", rule->object->tenant, rule->object->id));
    name_release(core, "rule", rule->object->tenant, rule->object->name);
    g_tree_remove(core->rules, rule->object->id);
    reply_json(core, request->id, 200, json_object(), -1);
    return true;
}
