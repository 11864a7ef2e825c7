#include "base/words.h"

static char *join(const GPtrArray *items, const char *last)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < items->len; i++) {
        const char *before = i == 0 ? "" : i + 1 < items->len ? ", " : last;
        g_string_append_printf(text, "%s%s", before, (const char *)items->pdata[i]);
    }
    return g_string_free(text, FALSE);
}

char *berth_words_join(const GPtrArray *items)
{
    return join(items, " and ");
}

char *berth_words_choice(const GPtrArray *items)
{
    return join(items, " or ");
}

char *berth_words_count(int64_t n, const char *thing)
{
    return g_strdup_printf("%" G_GINT64_FORMAT " %s%s", n, thing, n == 1 ? "" : "s");
}
