/*
 * The improver: what to try, in which order and for how long.
 */
#include "place/pack_search.h"

static BerthPlaceResult construct_all(PackSearch *search)
{
    static const BerthPackMethod methods[] = {
        BERTH_PACK_FFD_SUM,          BERTH_PACK_FFD_PROD, BERTH_PACK_FILL_DOT,
        BERTH_PACK_FILL_DOT_DYNAMIC, BERTH_PACK_FILL_L2,  BERTH_PACK_FILL_L2_DYNAMIC,
    };
    BerthPlaceResult result = BERTH_PLACE_OK;

    for (size_t i = 0; i < sizeof methods / sizeof methods[0] && result == BERTH_PLACE_OK; i++) {
        if (i < 1 || pack_goes_on(search, search->total_us)) {
            result = pack_construct(search, methods[i], BERTH_PACK_ORDER_GIVEN);
        }
    }
    return result;
}

BerthPlaceResult pack_improve(PackSearch *search)
{
    BerthPlaceResult result = construct_all(search);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    pack_simple_bounds(search);
    while (pack_goes_on(search, search->total_us)) {
        if (!pack_eject_best(search, search->total_us, NULL)) {
            break;
        }
    }
    return result;
}
