/* Hosts and tasks of a trace, one table after another with a zero byte between: what is read is
 * played when it is small, and the fleet stays in order. */
#include "fuzz.h"

#include <string.h>

#include "sim/csv.h"
#include "sim/replay_run.h"

static void play(const ReplayTrace *trace, BerthPlacePolicy policy, double arrival)
{
    g_autoptr(GError) error = NULL;
    ReplayOptions options = {
        .policy = policy, .arrival_percent = arrival, .typical_percent = 95, .seed = 1};
    g_autoptr(ReplayResult) result = replay_run(trace, &options, &error);

    g_assert_true((result != NULL) != (error != NULL));
    g_assert_true(result == NULL || result->last.failed <= result->last.arrived);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL, csv_error = NULL;
    g_autofree char *text = g_malloc0(size + 2); /* ends both tables, whatever is there */

    memcpy(text, data, size);
    g_autoptr(Csv) csv = csv_parse("fuzz.csv", (const char *)data, size, &csv_error);
    g_assert_true((csv != NULL) != (csv_error != NULL));
    g_autoptr(ReplayTrace) trace = replay_trace_parse(text, text + strlen(text) + 1, false, &error);
    g_assert_true((trace != NULL) != (error != NULL));
    if (trace != NULL && trace->hosts->len <= 20 && trace->tasks->len <= 50) {
        play(trace, BERTH_PLACE_FRAGMENTATION, 0);
        play(trace, BERTH_PLACE_FIRST_FIT, 0);
    }
    return 0;
}
