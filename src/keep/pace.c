#include "keep/pace.h"

int64_t keep_pace_spend(KeepPace *pace, size_t bytes, int64_t now_us)
{
    int64_t end_us = pace->window_us + KEEP_PACE_WINDOW_US;
    if (now_us >= end_us || now_us < pace->window_us) {
        *pace = (KeepPace){.window_us = now_us};
        end_us = now_us + KEEP_PACE_WINDOW_US;
    }
    pace->reads++;
    pace->bytes += bytes;
    return pace->reads >= KEEP_PACE_READS || pace->bytes >= KEEP_PACE_BYTES ? end_us - now_us : 0;
}
