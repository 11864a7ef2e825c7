/* Prometheus text. A name is never changed once released. */
#include "manager/manager.h"

static void add(GString *text, const char *name, const char *type, const char *help, double value)
{
    g_string_append_printf(text, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type,
                           name, value);
}

char *metrics_text(const Manager *manager)
{
    GString *text = g_string_new(NULL);
    add(text, "berth_store_revision", "gauge", "Last durable revision of the store.",
        (double)store_revision(manager->store));
    g_autoptr(GError) health = store_health(manager->store);
    add(text, "berth_store_writable", "gauge", "1 if the store takes writes.", health == NULL);
    add(text, "berth_commits_total", "counter", "Transactions made durable since the start.",
        (double)manager->commits);
    add(text, "berth_http_requests_total", "counter", "HTTP requests since the start.",
        (double)manager->requests);
    add(text, "berth_agents_connected", "gauge", "Hosts whose agent is connected.",
        agents_count(manager->agents));
    add(text, "berth_event_followers", "gauge", "Clients that follow events.",
        events_count(manager->events));
    add(text, "berth_uptime_seconds", "gauge", "Since the manager's start.",
        (double)(manager_now_ms() - manager->started_ms) / 1000);
    return g_string_free(text, FALSE);
}
