#include "sim/world.h"

#include <stdio.h>

#include "base/error.h"

SimWorld *sim_world_new(uint64_t seed, int64_t start_ms)
{
    SimWorld *world = g_new0(SimWorld, 1);
    world->now_ms = start_ms;
    world->digest = UINT64_C(14695981039346656037);
    berth_rng_init(&world->rng, seed);
    world->queue = g_array_new(FALSE, FALSE, sizeof(SimEvent));
    return world;
}

static void event_drop(const SimEvent *event)
{
    if (event->free_data != NULL && event->data != NULL) {
        event->free_data(event->data);
    }
}

void sim_world_free(SimWorld *world)
{
    if (world == NULL) {
        return;
    }
    for (guint i = 0; i < world->queue->len; i++) {
        event_drop(&g_array_index(world->queue, SimEvent, i));
    }
    g_array_unref(world->queue);
    g_clear_error(&world->broken);
    g_free(world);
}

static bool earlier(const SimEvent *a, const SimEvent *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->sequence < b->sequence;
}

static void swap(SimEvent *a, SimEvent *b)
{
    SimEvent kept = *a;
    *a = *b;
    *b = kept;
}

static void sift_up(SimEvent *heap, guint i)
{
    while (i > 0 && earlier(&heap[i], &heap[(i - 1) / 2])) {
        swap(&heap[i], &heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static void sift_down(SimEvent *heap, guint n, guint i)
{
    for (;;) {
        guint least = i;
        for (guint child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++) {
            least = earlier(&heap[child], &heap[least]) ? child : least;
        }
        if (least == i) {
            return;
        }
        swap(&heap[i], &heap[least]);
        i = least;
    }
}

void sim_after(SimWorld *world, int64_t delay_ms, SimFunc func, void *owner, void *data,
               GDestroyNotify free_data)
{
    SimEvent event = {.at_ms = world->now_ms + MAX(delay_ms, 0),
                      .sequence = world->next_sequence++,
                      .func = func,
                      .owner = owner,
                      .data = data,
                      .free_data = free_data};
    g_array_append_val(world->queue, event);
    sift_up((SimEvent *)world->queue->data, world->queue->len - 1);
}

static SimEvent pop(SimWorld *world)
{
    SimEvent *heap = (SimEvent *)world->queue->data;
    SimEvent first = heap[0];
    heap[0] = heap[world->queue->len - 1];
    g_array_set_size(world->queue, world->queue->len - 1);
    sift_down(heap, world->queue->len, 0);
    return first;
}

bool sim_run_until(SimWorld *world, int64_t until_ms)
{
    while (world->broken == NULL && world->queue->len > 0 &&
           g_array_index(world->queue, SimEvent, 0).at_ms <= until_ms) {
        SimEvent event = pop(world);
        world->now_ms = event.at_ms;
        world->fired++;
        event.func(event.owner, event.data);
        event_drop(&event);
        if (world->watch != NULL) {
            world->watch(world->watcher);
        }
    }
    if (world->broken == NULL) {
        world->now_ms = MAX(world->now_ms, until_ms);
    }
    return world->broken == NULL;
}

/* FNV-1a over what was told and when. */
static void digest(SimWorld *world, const char *line)
{
    uint64_t hash = world->digest ^ (uint64_t)world->now_ms;
    for (; *line != '\0'; line++) {
        hash = (hash ^ (unsigned char)*line) * UINT64_C(1099511628211);
    }
    world->digest = hash;
}

G_GNUC_PRINTF(2, 0)
static void log_line(SimWorld *world, const char *format, va_list args)
{
    char *line = world->log[world->logged++ % SIM_LOG_LINES];
    int start = g_snprintf(line, SIM_LOG_WIDTH, "%" G_GINT64_FORMAT " ", world->now_ms);
    vsnprintf(line + start, SIM_LOG_WIDTH - start, format, args);
    digest(world, line + start);
    if (world->trace) {
        fprintf(stderr, "%s\n", line);
    }
}

void sim_log(SimWorld *world, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line(world, format, args);
    va_end(args);
}

void sim_broken(SimWorld *world, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *rule = g_strdup_vprintf(format, args);
    va_end(args);
    sim_log(world, "BROKEN: %s", rule);
    if (world->broken == NULL) {
        berth_error_set(&world->broken, BERTH_ERROR_INTERNAL, NULL, NULL, NULL, "%s", rule);
    }
}

char *sim_recent(const SimWorld *world)
{
    GString *text = g_string_new(NULL);
    uint64_t first = world->logged > SIM_LOG_LINES ? world->logged - SIM_LOG_LINES : 0;
    for (uint64_t i = first; i < world->logged; i++) {
        g_string_append_printf(text, "%s\n", world->log[i % SIM_LOG_LINES]);
    }
    return g_string_free(text, FALSE);
}

bool sim_chance(SimWorld *world, double probability)
{
    return berth_rng_chance(&world->rng, probability);
}

int64_t sim_between(SimWorld *world, int64_t low, int64_t high)
{
    return berth_rng_between(&world->rng, low, high);
}

int64_t sim_delay(SimWorld *world, int64_t typical_ms)
{
    int64_t delay = sim_between(world, typical_ms / 2, typical_ms + typical_ms / 2 + 1);
    return sim_chance(world, 0.02) ? delay * sim_between(world, 2, 20) : delay;
}
