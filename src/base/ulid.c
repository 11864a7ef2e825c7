#include "base/ulid.h"
#include "base/error.h"

#include <string.h>

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#define TIME_LENGTH 10

void berth_ulid_make(int64_t now_ms, const uint8_t random[BERTH_ULID_RANDOM_BYTES],
                     char ret_ulid[BERTH_ULID_SIZE])
{
    uint64_t time = (uint64_t)CLAMP(now_ms, 0, BERTH_ULID_MAX_MS);

    for (int i = TIME_LENGTH - 1; i >= 0; i--) {
        ret_ulid[i] = alphabet[time & 31];
        time >>= 5;
    }
    /* 80 bits are two halves of 40, eight characters each. */
    for (int half = 0; half < 2; half++) {
        uint64_t bits = 0;
        for (int i = 0; i < 5; i++) {
            bits = bits << 8 | random[5 * half + i];
        }
        for (int i = 7; i >= 0; i--) {
            ret_ulid[TIME_LENGTH + 8 * half + i] = alphabet[bits & 31];
            bits >>= 5;
        }
    }
    ret_ulid[BERTH_ULID_LENGTH] = '\0';
}

static bool is_digit(char c)
{
    return c != '\0' && strchr(alphabet, c) != NULL;
}

bool berth_ulid_is_valid(const char *text)
{
    for (size_t i = 0; i < BERTH_ULID_LENGTH; i++) {
        if (!is_digit(text[i])) {
            return false;
        }
    }
    /* 26 characters hold 130 bits; the first must leave the top two empty. */
    return text[BERTH_ULID_LENGTH] == '\0' && text[0] <= '7';
}

static char canonical(char c)
{
    char upper = g_ascii_toupper(c);

    return upper == 'I' || upper == 'L' ? '1' : upper == 'O' ? '0' : upper;
}

bool berth_ulid_parse(const char *field, const char *text, char ret_ulid[BERTH_ULID_SIZE],
                      GError **error)
{
    char ulid[BERTH_ULID_SIZE] = "";

    if (strnlen(text, BERTH_ULID_SIZE) == BERTH_ULID_LENGTH) {
        for (size_t i = 0; i < BERTH_ULID_LENGTH; i++) {
            ulid[i] = canonical(text[i]);
        }
    }
    if (!berth_ulid_is_valid(ulid)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, field, text,
                               "write the 26 characters of an id, as in 01J9ZK3V5W8Q2R4T6Y8A0B1C2D",
                               "not an id");
    }
    memcpy(ret_ulid, ulid, sizeof ulid);
    return true;
}

int64_t berth_ulid_time(const char *ulid)
{
    int64_t time = 0;

    for (int i = 0; i < TIME_LENGTH; i++) {
        time = time << 5 | (int64_t)(strchr(alphabet, ulid[i]) - alphabet);
    }
    return time;
}

int berth_ulid_compare(const char *a, const char *b)
{
    return memcmp(a, b, BERTH_ULID_LENGTH);
}

void berth_ulid_generator_init(BerthUlidGenerator *generator, uint64_t seed)
{
    *generator = (BerthUlidGenerator){.last_ms = -1};
    berth_rng_init(&generator->rng, seed);
}

static void draw(BerthUlidGenerator *generator)
{
    uint64_t high = berth_rng_next(&generator->rng);
    uint64_t low = berth_rng_next(&generator->rng);

    for (size_t i = 0; i < BERTH_ULID_RANDOM_BYTES; i++) {
        generator->random[i] = (uint8_t)(i < 8 ? high >> (8 * i) : low >> (8 * (i - 8)));
    }
}

/* Adds one to the random part; false when it was all ones. */
static bool increment(BerthUlidGenerator *generator)
{
    for (size_t i = BERTH_ULID_RANDOM_BYTES; i-- > 0;) {
        if (++generator->random[i] != 0) {
            return true;
        }
    }
    memset(generator->random, 0xff, BERTH_ULID_RANDOM_BYTES);
    return false;
}

void berth_ulid_generator_follow(BerthUlidGenerator *generator, const char *ulid)
{
    int64_t after_ms = MIN(berth_ulid_time(ulid) + 1, BERTH_ULID_MAX_MS);

    if (after_ms > generator->last_ms) {
        generator->last_ms = after_ms;
        draw(generator);
    }
}

void berth_ulid_generator_next(BerthUlidGenerator *generator, int64_t now_ms,
                               char ret_ulid[BERTH_ULID_SIZE])
{
    int64_t now = CLAMP(now_ms, 0, BERTH_ULID_MAX_MS);

    if (now > generator->last_ms) {
        generator->last_ms = now;
        draw(generator);
    } else if (!increment(generator) && generator->last_ms < BERTH_ULID_MAX_MS) {
        generator->last_ms++;
        draw(generator);
    }
    berth_ulid_make(generator->last_ms, generator->random, ret_ulid);
}
