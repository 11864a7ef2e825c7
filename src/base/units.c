#include "base/units.h"
#include "base/error.h"

#include <string.h>

__extension__ typedef unsigned __int128 Wide;

/* More significant digits than this are refused, so that digits times the largest unit stays below
 * 2^128. */
#define MAX_DIGITS 19

typedef enum { ROUND_UP, REFUSE_FRACTION } Rounding;

/* A unit is worth num / den of what the quantity is carried in. */
typedef struct {
    Wide num, den;
} Worth;

/* How an amount may be written, smallest first. */
typedef struct {
    const char *suffix;
    int64_t worth;
} FormatUnit;

typedef struct {
    const char *name, *unit, *remedy;
    int64_t max;
    Rounding rounding;
    int64_t plain;        /* worth of a number without unit; 0: not accepted */
    bool prefixed;        /* k, Mi, … may stand before a stem */
    const char *stems[4]; /* what is left of a unit without its prefix */
    int64_t carried_in;   /* of prefixed quantities: the carried unit in bytes or bits */
    FormatUnit formats[12];
} Spec;

static const Spec specs[BERTH_QUANTITY_COUNT] = {
    [BERTH_QUANTITY_CPU] =
        {
            .name = "CPU",
            .unit = "millicores",
            .remedy = "write a count of CPUs (4, 0.5) or millicores (500m)",
            .max = BERTH_QUANTITY_MAX,
            .rounding = REFUSE_FRACTION,
            .plain = 1000,
            .formats = {{"m", 1}, {"", 1000}},
        },
    [BERTH_QUANTITY_MEMORY] =
        {
            .name = "memory",
            .unit = "MiB",
            .remedy =
                "write MiB (512), or a number with MiB, GiB, TiB (powers of 1024) or MB, GB, TB "
                "(powers of 1000), as in 2GiB",
            .max = BERTH_QUANTITY_MAX,
            .plain = 1,
            .prefixed = true,
            .stems = {"B", ""},
            .carried_in = INT64_C(1) << 20,
            .formats = {{"MiB", 1}, {"GiB", 1 << 10}, {"TiB", 1 << 20}, {"PiB", 1 << 30}},
        },
    [BERTH_QUANTITY_DISK] =
        {
            .name = "disk space",
            .unit = "GiB",
            .remedy =
                "write GiB (20), or a number with MiB, GiB, TiB (powers of 1024) or MB, GB, TB "
                "(powers of 1000), as in 20GiB",
            .max = BERTH_QUANTITY_MAX,
            .plain = 1,
            .prefixed = true,
            .stems = {"B", ""},
            .carried_in = INT64_C(1) << 30,
            .formats = {{"GiB", 1}, {"TiB", 1 << 10}, {"PiB", 1 << 20}},
        },
    [BERTH_QUANTITY_DISK_BW] =
        {
            .name = "disk bandwidth",
            .unit = "MB/s",
            .remedy = "write MB/s (100), or a number with kB/s, MB/s, GB/s, MiB/s or GiB/s, as in "
                      "100MB/s",
            .max = BERTH_QUANTITY_MAX,
            .plain = 1,
            .prefixed = true,
            .stems = {"B/s", "Bps"},
            .carried_in = 1000000,
            .formats = {{"MB/s", 1}, {"GB/s", 1000}, {"TB/s", 1000000}},
        },
    [BERTH_QUANTITY_NET_BW] =
        {
            .name = "network bandwidth",
            .unit = "Mbit/s",
            .remedy = "write Mbit/s (100), or a number with kbit, Mbit or Gbit, as in 1Gbit",
            .max = BERTH_QUANTITY_MAX,
            .plain = 1,
            .prefixed = true,
            .stems = {"bit", "bit/s", "bps"},
            .carried_in = 1000000,
            .formats = {{"Mbit", 1}, {"Gbit", 1000}, {"Tbit", 1000000}},
        },
    [BERTH_QUANTITY_DURATION] =
        {
            .name = "time",
            .unit = "ms",
            .remedy = "write a number with ms, s, m, h or d, as in 30s",
            .max = INT64_C(1) << 53,
            .rounding = REFUSE_FRACTION,
            .formats = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}},
        },
    [BERTH_QUANTITY_BYTES] =
        {
            .name = "bytes",
            .unit = "bytes",
            .remedy =
                "write bytes (4096), or a number with KiB, MiB, GiB, TiB (powers of 1024) or kB, "
                "MB, GB, TB (powers of 1000), as in 64KiB",
            .max = INT64_MAX,
            .rounding = REFUSE_FRACTION,
            .plain = 1,
            .prefixed = true,
            .stems = {"B", ""},
            .carried_in = 1,
            .formats = {{"B", 1},
                        {"KiB", INT64_C(1) << 10},
                        {"MiB", INT64_C(1) << 20},
                        {"GiB", INT64_C(1) << 30},
                        {"TiB", INT64_C(1) << 40},
                        {"PiB", INT64_C(1) << 50},
                        {"kB", 1000},
                        {"MB", 1000000},
                        {"GB", 1000000000},
                        {"TB", INT64_C(1000000000000)},
                        {"PB", INT64_C(1000000000000000)}},
        },
};

/* A decimal number as written: digits / 10^decimals. */
typedef struct {
    uint64_t digits;
    unsigned decimals;
} Decimal;

typedef enum { DECIMAL_OK, DECIMAL_NONE, DECIMAL_TOO_LONG } DecimalResult;

/* Reads `digits[.digits]` and moves *text behind it. Zeros that mean nothing do not count as
 * digits. */
static DecimalResult scan_decimal(const char **text, Decimal *ret)
{
    const char *at = *text;
    Decimal number = {0};
    unsigned significant = 0, zeros = 0;
    bool fraction = false;

    if (!g_ascii_isdigit(*at)) {
        return DECIMAL_NONE;
    }
    for (;; at++) {
        if (*at == '.' && !fraction && g_ascii_isdigit(at[1])) {
            fraction = true;
            continue;
        }
        if (!g_ascii_isdigit(*at)) {
            break;
        }
        if (fraction && *at == '0') {
            zeros++;
            continue;
        }
        for (unsigned i = 0; i <= zeros; i++) {
            if (significant + (number.digits != 0 || *at != '0') > MAX_DIGITS ||
                number.decimals + fraction > MAX_DIGITS) {
                return DECIMAL_TOO_LONG;
            }
            number.digits = number.digits * 10 + (i == zeros ? (unsigned)(*at - '0') : 0);
            significant += number.digits != 0;
            number.decimals += fraction;
        }
        zeros = 0;
    }
    *text = at;
    *ret = number;
    return DECIMAL_OK;
}

/* 1000^n or 1024^n of a prefix, 1 without; moves *unit behind it. */
static Wide scan_prefix(const char **unit)
{
    static const char prefixes[] = "kMGTP";
    const char *at = *unit;
    const char *found = *at != '\0' ? strchr(prefixes, *at == 'K' ? 'k' : *at) : NULL;
    if (found == NULL) {
        return 1;
    }

    bool binary = at[1] == 'i';
    Wide worth = 1;
    for (const char *p = prefixes; p <= found; p++) {
        worth *= binary ? 1024 : 1000;
    }
    *unit = at + 1 + binary;
    return worth;
}

/* "b" of "bit" and "B" are told apart by the stems, which are compared whole. */
static bool parse_prefixed_unit(const Spec *spec, const char *unit, Worth *ret)
{
    Wide worth = scan_prefix(&unit);

    for (size_t i = 0; i < G_N_ELEMENTS(spec->stems) && spec->stems[i] != NULL; i++) {
        if (strcmp(unit, spec->stems[i]) == 0) {
            *ret = (Worth){worth, (Wide)spec->carried_in};
            return true;
        }
    }
    return false;
}

static bool parse_unit(const Spec *spec, const char *unit, Worth *ret)
{
    if (unit[0] == '\0') {
        *ret = (Worth){(Wide)spec->plain, 1};
        return spec->plain != 0;
    }
    if (spec->prefixed) {
        return parse_prefixed_unit(spec, unit, ret);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(spec->formats) && spec->formats[i].suffix != NULL; i++) {
        if (strcmp(unit, spec->formats[i].suffix) == 0) {
            *ret = (Worth){(Wide)spec->formats[i].worth, 1};
            return true;
        }
    }
    return false;
}

/* The name of the first other quantity that has this unit, or NULL. */
static const char *whose_unit(const char *unit)
{
    Worth worth;

    for (size_t i = 0; i < BERTH_QUANTITY_COUNT; i++) {
        if (unit[0] != '\0' && parse_unit(&specs[i], unit, &worth)) {
            return specs[i].name;
        }
    }
    return NULL;
}

static bool refuse(const Spec *spec, const char *field, const char *text, GError **error,
                   const char *message)
{
    return berth_error_set(error, BERTH_ERROR_INVALID, field, text, spec->remedy, "%s", message);
}

static bool refuse_unit(const Spec *spec, const char *field, const char *text, const char *unit,
                        GError **error)
{
    const char *whose = whose_unit(unit);

    if (unit[0] == '\0') {
        return berth_error_set(error, BERTH_ERROR_INVALID, field, text, spec->remedy,
                               "a quantity of %s needs a unit", spec->name);
    }
    if (whose != NULL) {
        return berth_error_set(error, BERTH_ERROR_INVALID, field, text, spec->remedy,
                               "not a quantity of %s: %s is a unit of %s", spec->name, unit, whose);
    }
    return berth_error_set(error, BERTH_ERROR_INVALID, field, text, spec->remedy,
                           "not a quantity of %s", spec->name);
}

static bool refuse_too_large(const Spec *spec, const char *field, const char *text, GError **error)
{
    g_autofree char *remedy =
        g_strdup_printf("write at most %" G_GINT64_FORMAT " %s", spec->max, spec->unit);

    return berth_error_set(error, BERTH_ERROR_INVALID, field, text, remedy,
                           "a quantity of %s too large to be carried", spec->name);
}

static bool convert(const Spec *spec, const char *field, const char *text, Decimal number,
                    Worth worth, int64_t *ret_amount, GError **error)
{
    Wide divisor = worth.den;
    for (unsigned i = 0; i < number.decimals; i++) {
        divisor *= 10;
    }
    Wide scaled = (Wide)number.digits * worth.num;
    Wide amount = scaled / divisor;

    if (scaled % divisor != 0) {
        if (spec->rounding == REFUSE_FRACTION) {
            g_autofree char *message = g_strdup_printf(
                "a quantity of %s that is no whole number of %s", spec->name, spec->unit);
            return refuse(spec, field, text, error, message);
        }
        amount++;
    }
    if (amount > (Wide)spec->max) {
        return refuse_too_large(spec, field, text, error);
    }
    *ret_amount = (int64_t)amount;
    return true;
}

bool berth_quantity_parse(BerthQuantity quantity, const char *field, const char *text,
                          int64_t *ret_amount, GError **error)
{
    const Spec *spec = &specs[quantity];
    const char *at = text;
    Decimal number;
    Worth worth;

    if (text[0] == '-' && g_ascii_isdigit(text[1])) {
        return refuse(spec, field, text, error, "a negative quantity");
    }
    DecimalResult scanned = scan_decimal(&at, &number);
    if (scanned == DECIMAL_NONE) {
        g_autofree char *message = g_strdup_printf("not a quantity of %s", spec->name);
        return refuse(spec, field, text, error, message);
    }
    if (scanned == DECIMAL_TOO_LONG) {
        return refuse(spec, field, text, error, "a number of more than 19 digits");
    }
    at += at[0] == ' ' && at[1] != '\0';
    if (!parse_unit(spec, at, &worth)) {
        if (number.digits == 0 && at[0] == '\0') {
            worth = (Worth){1, 1};
        } else {
            return refuse_unit(spec, field, text, at, error);
        }
    }
    return convert(spec, field, text, number, worth, ret_amount, error);
}

char *berth_quantity_format(BerthQuantity quantity, int64_t amount)
{
    const Spec *spec = &specs[quantity];
    uint64_t magnitude = amount < 0 ? -(uint64_t)amount : (uint64_t)amount;
    char best[64] = "0", text[64];

    for (size_t i = 0; i < G_N_ELEMENTS(spec->formats) && spec->formats[i].suffix != NULL; i++) {
        uint64_t worth = (uint64_t)spec->formats[i].worth;
        if (magnitude == 0 || magnitude % worth != 0) {
            continue;
        }
        g_snprintf(text, sizeof text, "%s%" G_GUINT64_FORMAT "%s", amount < 0 ? "-" : "",
                   magnitude / worth, spec->formats[i].suffix);
        if (i == 0 || strlen(text) <= strlen(best)) {
            memcpy(best, text, sizeof best);
        }
    }
    return g_strdup(best);
}

const char *berth_quantity_unit(BerthQuantity quantity)
{
    return specs[quantity].unit;
}

const char *berth_quantity_name(BerthQuantity quantity)
{
    return specs[quantity].name;
}
