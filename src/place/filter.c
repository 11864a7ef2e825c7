#include "place/filter.h"

bool filter_begin(Filter *filter, const BerthPlace *place, const BerthPlaceRequest *request)
{
    *filter = (Filter){.place = place, .request = request};
    return request->allowed != NULL || request->banned_count > 0;
}

bool filter_is_allowed(const Filter *filter, uint32_t host)
{
    const BerthPlaceRequest *request = filter->request;

    return request->allowed == NULL || (host / 64 < request->allowed_words &&
                                        (request->allowed[host / 64] >> (host % 64) & 1) != 0);
}

bool filter_is_banned(const Filter *filter, uint32_t host)
{
    const BerthPlaceRequest *request = filter->request;
    uint32_t low = 0, high = request->banned_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (request->banned[middle] < host) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < request->banned_count && request->banned[low] == host;
}

bool filter_admits(const Filter *filter, uint32_t host)
{
    return filter_is_allowed(filter, host) && !filter_is_banned(filter, host);
}
