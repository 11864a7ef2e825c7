#include "sim/link.h"

#define TYPICAL_MS 1
#define DIAL_MS 5
#define REDIAL_FIRST_MS 300
#define REDIAL_MAX_MS 20000
#define SILENCE_MS 15000 /* after which keepalive takes a peer for gone */

typedef struct {
    SimLink *link;
    uint64_t session;
    bool open[2];        /* as each end sees it */
    uint64_t life[2];    /* of the program at each end, which it does not outlive */
    int64_t last_due[2]; /* of what was sent towards each end */
    bool broken;
    int64_t cut_ms[2]; /* what was due later towards each end is lost */
} Connection;

#define CALLS_KEPT 24

/* A call that a manager has sent, and in which of its lives. */
typedef struct {
    uint64_t life;
    const char *method;
    json_t *json;
} Sent;

struct SimLink {
    SimWorld *world;
    char *host;
    SimEnds ends;
    void *owner[2];
    bool alive[2];
    uint64_t life[2]; /* rises with each end of the program there */
    Connection *newest[2];
    uint64_t last_session;
    uint64_t dial; /* the one attempt that counts */
    int attempts;
    int64_t outage_until_ms;
    int64_t typical_ms;
    GArray *sent; /* of Sent, newest last: what the manager asked to be done with VMs */
};

typedef struct {
    Connection *connection;
    SimEnd to;
    SimMessage *message;
} Delivery;

typedef struct {
    Connection *connection;
    SimEnd end;
} Notice;

SimMessage *sim_message_new(SimMessageKind kind, uint64_t id)
{
    SimMessage *message = g_new0(SimMessage, 1);
    message->kind = kind;
    message->id = id;
    return message;
}

static void message_free(SimMessage *message)
{
    json_decref(message->json);
    g_clear_error(&message->error);
    agent_report_free(message->report);
    host_measure_free(message->measure);
    g_free(message);
}

static void sent_clear(void *sent)
{
    json_decref(((Sent *)sent)->json);
}

SimLink *sim_link_new(SimWorld *world, const char *host, const SimEnds *ends, void *manager,
                      void *agent)
{
    SimLink *link = g_new0(SimLink, 1);
    link->world = world;
    link->host = g_strdup(host);
    link->ends = *ends;
    link->owner[SIM_END_MANAGER] = manager;
    link->owner[SIM_END_AGENT] = agent;
    link->typical_ms = TYPICAL_MS;
    link->sent = g_array_new(FALSE, FALSE, sizeof(Sent));
    g_array_set_clear_func(link->sent, sent_clear);
    return link;
}

static void forget(SimLink *link, SimEnd end)
{
    g_clear_pointer(&link->newest[end], g_rc_box_release);
}

void sim_link_free(SimLink *link)
{
    if (link != NULL) {
        forget(link, SIM_END_MANAGER);
        forget(link, SIM_END_AGENT);
        g_array_unref(link->sent);
        g_free(link->host);
        g_free(link);
    }
}

const char *sim_link_host(const SimLink *link)
{
    return link->host;
}

void sim_link_set_typical(SimLink *link, int64_t typical_ms)
{
    link->typical_ms = typical_ms;
}

static SimEnd other(SimEnd end)
{
    return end == SIM_END_MANAGER ? SIM_END_AGENT : SIM_END_MANAGER;
}

static bool is_open(const Connection *connection, SimEnd end)
{
    return connection->open[end] && connection->life[end] == connection->link->life[end];
}

static void delivery_free(void *data)
{
    Delivery *delivery = data;
    message_free(delivery->message);
    g_rc_box_release(delivery->connection);
    g_free(delivery);
}

static void deliver(void *owner, void *data)
{
    SimLink *link = owner;
    const Delivery *d = data;
    const Connection *connection = d->connection;
    bool lost = connection->broken && link->world->now_ms > connection->cut_ms[d->to];
    if (lost || !is_open(connection, d->to)) {
        return;
    }
    if (d->message->kind == SIM_MESSAGE_HELLO) {
        link->attempts = 0;
        link->ends.agent_up(link->owner[SIM_END_AGENT]);
    } else if (d->to == SIM_END_AGENT) {
        link->ends.agent_receive(link->owner[SIM_END_AGENT], d->message);
    } else {
        link->ends.manager_receive(link->owner[SIM_END_MANAGER], link, connection->session,
                                   d->message);
    }
}

static void keep_sent(SimLink *link, const SimMessage *message)
{
    if (!g_str_has_prefix(message->method, "vm.")) {
        return; /* who hears of networks from two managers drops the older connection */
    }
    Sent sent = {link->life[SIM_END_MANAGER], message->method, json_incref(message->json)};
    g_array_append_val(link->sent, sent);
    if (link->sent->len > CALLS_KEPT) {
        g_array_remove_index(link->sent, 0);
    }
}

bool sim_link_hear_deposed(SimLink *link)
{
    guint old = 0;
    while (old < link->sent->len &&
           g_array_index(link->sent, Sent, old).life < link->life[SIM_END_MANAGER]) {
        old++;
    }
    if (old == 0 || !link->alive[SIM_END_AGENT]) {
        return false;
    }
    for (guint i = (guint)sim_between(link->world, 0, old - 1); i < old; i++) {
        const Sent *sent = &g_array_index(link->sent, Sent, i);
        SimMessage *message = sim_message_new(SIM_MESSAGE_CALL, SIM_CALL_OF_NOBODY);
        message->method = sent->method;
        message->json = json_incref(sent->json);
        link->ends.agent_receive(link->owner[SIM_END_AGENT], message);
        message_free(message);
    }
    return true;
}

void sim_link_send(SimLink *link, SimEnd from, SimMessage *message)
{
    if (message->kind == SIM_MESSAGE_CALL) {
        keep_sent(link, message);
    }
    SimEnd to = other(from);
    Connection *connection = link->newest[from];
    if (connection == NULL || connection->broken) {
        message_free(message);
        return;
    }
    int64_t now = link->world->now_ms;
    int64_t *last = &connection->last_due[to];
    int64_t due = now + sim_delay(link->world, link->typical_ms);
    *last = MAX(*last, due);
    Delivery *delivery = g_new(Delivery, 1);
    *delivery = (Delivery){g_rc_box_acquire(connection), to, message};
    sim_after(link->world, *last - now, deliver, link, delivery, delivery_free);
}

bool sim_link_is_up(const SimLink *link, SimEnd end)
{
    return link->newest[end] != NULL;
}

static void dial_later(SimLink *link, int64_t delay_ms);

static void establish(SimLink *link)
{
    Connection *connection = g_rc_box_new0(Connection);
    connection->link = link;
    connection->session = ++link->last_session;
    for (SimEnd end = SIM_END_MANAGER; end <= SIM_END_AGENT; end++) {
        forget(link, end);
        connection->open[end] = true;
        connection->life[end] = link->life[end];
        link->newest[end] = g_rc_box_acquire(connection);
    }
    g_rc_box_release(connection);
    sim_log(link->world, "link %s session %" G_GUINT64_FORMAT, link->host, link->last_session);
    link->ends.manager_up(link->owner[SIM_END_MANAGER], link, link->last_session);
    sim_link_send(link, SIM_END_MANAGER, sim_message_new(SIM_MESSAGE_HELLO, 0));
}

static void on_dial(void *owner, void *data)
{
    SimLink *link = owner;
    if (!link->alive[SIM_END_AGENT] || *(uint64_t *)data != link->dial) {
        return;
    }
    if (link->alive[SIM_END_MANAGER] && link->world->now_ms >= link->outage_until_ms) {
        establish(link);
        return;
    }
    link->attempts++;
    int64_t longest = MIN((int64_t)REDIAL_FIRST_MS << MIN(link->attempts, 10), REDIAL_MAX_MS);
    dial_later(link, sim_between(link->world, longest / 2, longest));
}

static void dial_later(SimLink *link, int64_t delay_ms)
{
    link->dial++;
    sim_after(link->world, delay_ms, on_dial, link, g_memdup2(&link->dial, sizeof link->dial),
              g_free);
}

static void notice_free(void *data)
{
    Notice *notice = data;
    g_rc_box_release(notice->connection);
    g_free(notice);
}

static void on_notice(void *owner, void *data)
{
    SimLink *link = owner;
    Notice *notice = data;
    Connection *connection = notice->connection;
    if (!is_open(connection, notice->end)) {
        return;
    }
    connection->open[notice->end] = false;
    if (link->newest[notice->end] == connection) {
        forget(link, notice->end);
    }
    if (notice->end == SIM_END_MANAGER) {
        link->ends.manager_down(link->owner[SIM_END_MANAGER], link, connection->session,
                                "connection lost");
    } else {
        link->ends.agent_down(link->owner[SIM_END_AGENT]);
        dial_later(link, sim_between(link->world, 0, REDIAL_FIRST_MS));
    }
}

static void notice_after(Connection *connection, SimEnd end, int64_t delay_ms)
{
    Notice *notice = g_new(Notice, 1);
    *notice = (Notice){g_rc_box_acquire(connection), end};
    sim_after(connection->link->world, delay_ms, on_notice, connection->link, notice, notice_free);
}

/* A part of what is under way still arrives; then each end notices, in time of its own. */
static void break_connection(Connection *connection, int64_t latest_notice_ms)
{
    SimWorld *world = connection->link->world;
    if (!connection->broken) {
        connection->broken = true;
        for (SimEnd end = SIM_END_MANAGER; end <= SIM_END_AGENT; end++) {
            int64_t cut = sim_between(world, 0, 20);
            connection->cut_ms[end] = world->now_ms + cut;
        }
    }
    for (SimEnd end = SIM_END_MANAGER; end <= SIM_END_AGENT; end++) {
        if (is_open(connection, end)) {
            int64_t cut = MAX(connection->cut_ms[end] - world->now_ms, 0);
            notice_after(connection, end, cut + sim_between(world, 0, latest_notice_ms));
        }
    }
}

void sim_link_start(SimLink *link, SimEnd end)
{
    link->alive[end] = true;
    if (end == SIM_END_AGENT) {
        link->attempts = 0;
        dial_later(link, sim_delay(link->world, DIAL_MS));
    }
}

void sim_link_stop(SimLink *link, SimEnd end, bool says_so)
{
    link->alive[end] = false;
    Connection *connection = link->newest[end];
    link->life[end]++;
    if (connection != NULL) {
        break_connection(connection, says_so ? 5 : SILENCE_MS);
        forget(link, end);
    }
}

void sim_link_break(SimLink *link, int64_t outage_ms)
{
    link->outage_until_ms = MAX(link->outage_until_ms, link->world->now_ms + outage_ms);
    for (SimEnd end = SIM_END_MANAGER; end <= SIM_END_AGENT; end++) {
        if (link->newest[end] != NULL) {
            break_connection(link->newest[end], SILENCE_MS);
        }
    }
}

void sim_link_close(SimLink *link)
{
    if (link->newest[SIM_END_MANAGER] != NULL) {
        break_connection(link->newest[SIM_END_MANAGER], 5);
    }
}

void sim_link_mend(SimLink *link)
{
    link->outage_until_ms = 0;
}
