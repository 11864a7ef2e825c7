#include "base/order.h"

#include <string.h>

int berth_order_keys(const void *a, const void *b, void *unused)
{
    return strcmp(a, b);
}

int berth_order_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}
