#include "base/timefmt.h"
#include "base/error.h"

#include <string.h>

char *berth_time_format(int64_t time_ms)
{
    int64_t shown = CLAMP(time_ms, BERTH_TIME_MIN, BERTH_TIME_MAX);
    int64_t ms = shown % 1000;
    if (ms < 0) {
        ms += 1000;
    }
    g_autoptr(GDateTime) date = g_date_time_new_from_unix_utc((shown - ms) / 1000);

    return g_strdup_printf("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", g_date_time_get_year(date),
                           g_date_time_get_month(date), g_date_time_get_day_of_month(date),
                           g_date_time_get_hour(date), g_date_time_get_minute(date),
                           g_date_time_get_second(date), (int)ms);
}

/* Reads exactly `digits` digits and, unless it is NUL, the character behind them. */
static bool scan_number(const char **text, int digits, char behind, int *ret_number)
{
    int number = 0;

    for (int i = 0; i < digits; i++) {
        if (!g_ascii_isdigit(**text)) {
            return false;
        }
        number = number * 10 + (*(*text)++ - '0');
    }
    if (behind != '\0' && g_ascii_toupper(*(*text)++) != behind) {
        return false;
    }
    *ret_number = number;
    return true;
}

static bool scan_fraction(const char **text, int *ret_ms)
{
    int ms = 0, weight = 100;

    if (**text == '.') {
        (*text)++;
        if (!g_ascii_isdigit(**text)) {
            return false;
        }
        for (; g_ascii_isdigit(**text); (*text)++) {
            ms += (**text - '0') * weight;
            weight /= 10;
        }
    }
    *ret_ms = ms;
    return true;
}

static bool scan_offset(const char **text, int *ret_minutes)
{
    char sign = *(*text)++;
    int hours, minutes;

    if (sign == 'Z' || sign == 'z') {
        *ret_minutes = 0;
        return true;
    }
    if ((sign != '+' && sign != '-') || !scan_number(text, 2, ':', &hours) ||
        !scan_number(text, 2, '\0', &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    *ret_minutes = (sign == '-' ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

static bool scan_time(const char *text, int64_t *ret_time_ms)
{
    int year, month, day, hour, minute, second, ms, offset;

    if (!scan_number(&text, 4, '-', &year) || !scan_number(&text, 2, '-', &month) ||
        !scan_number(&text, 2, 'T', &day) || !scan_number(&text, 2, ':', &hour) ||
        !scan_number(&text, 2, ':', &minute) || !scan_number(&text, 2, '\0', &second) ||
        !scan_fraction(&text, &ms) || !scan_offset(&text, &offset) || *text != '\0') {
        return false;
    }
    g_autoptr(GDateTime) date = g_date_time_new_utc(year, month, day, hour, minute, second);
    if (date == NULL) {
        return false;
    }
    int64_t time_ms = g_date_time_to_unix(date) * 1000 + ms - (int64_t)offset * 60000;
    if (time_ms < BERTH_TIME_MIN || time_ms > BERTH_TIME_MAX) {
        return false;
    }
    *ret_time_ms = time_ms;
    return true;
}

bool berth_time_parse(const char *field, const char *text, int64_t *ret_time_ms, GError **error)
{
    if (!scan_time(text, ret_time_ms)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, field, text,
                               "write a time as in 2026-11-25T06:58:47Z (RFC 3339)", "not a time");
    }
    return true;
}

/* In the first unit of which there are few enough. What is over is cut off, or rounded. */
static char *length_format(int64_t ms, bool rounded)
{
    static const struct {
        int64_t seconds, until;
        char suffix;
    } units[] = {
        {1, 60, 's'},
        {60, 60, 'm'},
        {3600, 48, 'h'},
        {86400, 730, 'd'},
        {365 * 86400, INT64_MAX, 'y'},
    };
    size_t i = 0;
    int64_t count;

    for (;; i++) {
        int64_t unit = units[i].seconds * 1000;
        count = ms / unit + (rounded && ms % unit >= unit / 2);
        if (count < units[i].until) {
            break;
        }
    }
    return g_strdup_printf("%" G_GINT64_FORMAT "%c", count, units[i].suffix);
}

char *berth_age_format(int64_t age_ms)
{
    return length_format(MAX(age_ms, 0), false);
}

char *berth_time_ago_format(int64_t time_ms, int64_t now_ms)
{
    int64_t age_ms;

    if (__builtin_sub_overflow(now_ms, time_ms, &age_ms)) {
        age_ms = now_ms > time_ms ? INT64_MAX : -INT64_MAX;
    }
    if (age_ms > -1000 && age_ms < 1000) {
        return g_strdup("now");
    }
    g_autofree char *length = length_format(age_ms < 0 ? -age_ms : age_ms, age_ms < 0);

    return age_ms < 0 ? g_strdup_printf("in %s", length) : g_strdup_printf("%s ago", length);
}
