#include "cluster/labels.h"

#include <string.h>

#include "base/error.h"

#define MAX_KEY 63

bool labels_is_key(const char *text)
{
    size_t length = strlen(text);
    if (length > MAX_KEY || !g_ascii_isalnum(text[0])) {
        return false;
    }
    for (size_t i = 1; i < length; i++) {
        if (!g_ascii_isalnum(text[i]) && strchr("._/-", text[i]) == NULL) {
            return false;
        }
    }
    return true;
}

bool labels_check_key(const char *field, const char *key, GError **error)
{
    return labels_is_key(key) ||
           berth_error_set(error, BERTH_ERROR_INVALID, field, key,
                           "letters, digits and . _ / -, beginning with a letter or digit, 63 at "
                           "most",
                           "not the key of a label");
}

bool labels_check(const char *field, const StringMap *labels, const StringMap *before,
                  GError **error)
{
    for (size_t i = 0; i < string_map_size(labels); i++) {
        const char *key = string_map_key(labels, i);
        bool known = before != NULL && string_map_get(before, key) != NULL;
        if (!known && !labels_check_key(field, key, error)) {
            return false;
        }
    }
    return true;
}
