#include "place/arrays.h"

#include <stdlib.h>
#include <string.h>

bool array_duplicate(void *array, uint32_t n, size_t size)
{
    void *copy = NULL, *original;

    memcpy(&original, array, sizeof original);
    if (n > 0 && original != NULL) {
        copy = malloc(n * size);
        if (copy == NULL) {
            memcpy(array, &copy, sizeof copy);
            return false;
        }
        memcpy(copy, original, n * size);
    }
    memcpy(array, &copy, sizeof copy);
    return true;
}
