#include "base/credits.h"

#include <string.h>

#include "base/error.h"

#define MICRO 1000000
#define DECIMALS 6

char *berth_credits_format(int64_t micro)
{
    char fraction[DECIMALS + 1];
    uint64_t size = micro < 0 ? -(uint64_t)micro : (uint64_t)micro;
    g_snprintf(fraction, sizeof fraction, "%06u", (unsigned)(size % MICRO));
    for (int i = DECIMALS - 1; i >= 0 && fraction[i] == '0'; i--) {
        fraction[i] = '\0';
    }
    return g_strdup_printf("%s%" G_GUINT64_FORMAT "%s%s", micro < 0 ? "-" : "", size / MICRO,
                           fraction[0] != '\0' ? "." : "", fraction);
}

static bool refuse(const char *field, const char *text, GError **error)
{
    return berth_error_set(error, BERTH_ERROR_INVALID, field, text,
                           "write a number such as 10 or 0.25, with at most six decimals",
                           "not a number of credits");
}

bool berth_credits_parse(const char *field, const char *text, int64_t *ret_micro, GError **error)
{
    bool negative = text[0] == '-';
    const char *digits = negative ? text + 1 : text;
    const char *point = strchr(digits, '.');
    size_t decimals = point != NULL ? strlen(point + 1) : 0;
    if (decimals > DECIMALS || (point != NULL && decimals == 0)) {
        return refuse(field, text, error);
    }
    g_autofree char *whole =
        point != NULL ? g_strndup(digits, (gsize)(point - digits)) : g_strdup(digits);
    char fraction[DECIMALS + 1] = "000000";
    if (point != NULL) {
        memcpy(fraction, point + 1, decimals);
    }
    guint64 credits = 0, rest = 0;
    if (!g_ascii_string_to_unsigned(whole, 10, 0, INT64_MAX / MICRO - 1, &credits, NULL) ||
        !g_ascii_string_to_unsigned(fraction, 10, 0, MICRO - 1, &rest, NULL)) {
        return refuse(field, text, error);
    }
    int64_t micro = (int64_t)(credits * MICRO + rest);
    *ret_micro = negative ? -micro : micro;
    return true;
}
