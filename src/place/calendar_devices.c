#include <stdlib.h>
#include <string.h>

#include "place/calendar_state.h"
#include "place/fleet.h"
#include "place/inventory.h"
#include "place/journal.h"

BerthPlaceResult calendar_slices(const BerthCalendar *calendar, const BerthCommitment *commitment,
                                 int64_t *ret_slices, uint32_t *ret_n)
{
    const Bay *bay = inventory_bay(calendar->place, commitment->host);
    const BerthPlaceDevice *devices = inventory_devices(calendar->place, bay);
    uint64_t seen = 0;

    if (commitment->holdings == NULL && commitment->n_holdings > 0) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    memset(ret_slices, 0, BERTH_PLACE_MAX_DEVICES * sizeof *ret_slices);
    for (uint32_t k = 0; k < commitment->n_holdings; k++) {
        const BerthPlaceHolding *holding = &commitment->holdings[k];

        if (holding->devices == 0 || (holding->devices & seen) != 0 ||
            (bay->n < BERTH_PLACE_MAX_DEVICES && holding->devices >> bay->n != 0)) {
            return BERTH_PLACE_ERROR_ARGUMENT;
        }
        seen |= holding->devices;
        for (uint64_t left = holding->devices; left != 0; left &= left - 1) {
            uint32_t device = (uint32_t)__builtin_ctzll(left);
            uint32_t all = devices[device].capacity;

            ret_slices[device] = holding->slices == BERTH_PLACE_WHOLE ? all : holding->slices;
            if (ret_slices[device] < 1 || ret_slices[device] > all) {
                return BERTH_PLACE_ERROR_AMOUNT;
            }
        }
    }
    *ret_n = seen != 0 ? 64 - (uint32_t)__builtin_clzll(seen) : 0;
    return BERTH_PLACE_OK;
}

BerthPlaceResult calendar_reserve_devices(const BerthCalendar *calendar, uint32_t host, uint32_t n)
{
    Page *page = &calendar->pages[host];

    if (page->devices == NULL && n > 0) {
        page->devices = timeline_new(n, calendar->now);
        if (page->devices == NULL || !inventory_may_owe(calendar->place, host)) {
            calendar_drop_devices(page);
            return BERTH_PLACE_ERROR_NO_MEMORY;
        }
    }
    bool ok = page->devices == NULL ||
              ((n <= page->devices->n_dims || timeline_widen(page->devices, n)) &&
               timeline_reserve(page->devices));
    return ok ? BERTH_PLACE_OK : BERTH_PLACE_ERROR_NO_MEMORY;
}

void calendar_drop_devices(Page *page)
{
    timeline_free(page->devices);
    page->devices = NULL;
}

void calendar_add_slices(Page *page, const Entry *entry, int sign)
{
    int64_t slices[BERTH_PLACE_MAX_DEVICES] = {0};

    if (entry->n_slices > 0 && page->devices != NULL) { /* NULL: it has ended */
        memcpy(slices, entry->slices, entry->n_slices * sizeof *slices);
        timeline_add(page->devices, entry->start, entry->end, slices, sign);
    }
}

void calendar_give_devices(const BerthCalendar *calendar, uint32_t host, const int64_t *more)
{
    int64_t amounts[BERTH_PLACE_MAX_DEVICES];
    const Page *page = &calendar->pages[host];
    uint32_t n = fleet_has(calendar->place, host) ? inventory_bay(calendar->place, host)->n : 0;
    int64_t any = 0;

    for (uint32_t i = 0; i < n; i++) {
        int64_t its = i < page->devices->n_dims ? more[i] : 0;

        any |= its;
        amounts[i] = inventory_amount(calendar->place, host, i) + its;
    }
    if (any != 0) {
        inventory_set_amounts(calendar->place, host, amounts);
    }
}

void calendar_devices_slack(const Page *page, int64_t start, int64_t end, int64_t *ret_more)
{
    timeline_most(page->devices, start, end, ret_more);
    for (uint32_t i = 0; i < page->devices->n_dims; i++) {
        ret_more[i] = page->devices->peak[i] - ret_more[i];
    }
}

/* What is free of each device over a span, less what it owes. */
static uint32_t free_over(const BerthCalendar *calendar, uint32_t host, int64_t start, int64_t end,
                          int64_t *ret_free)
{
    const Page *page = calendar_page(calendar, host);
    uint32_t n = inventory_bay(calendar->place, host)->n;
    int64_t more[BERTH_PLACE_MAX_DEVICES] = {0};

    if (page != NULL && page->devices != NULL) {
        calendar_devices_slack(page, start, end, more);
    }
    for (uint32_t i = 0; i < n; i++) {
        ret_free[i] = inventory_amount(calendar->place, host, i) + more[i];
    }
    return n;
}

bool calendar_devices_are_free(const BerthCalendar *calendar, const Entry *entry)
{
    int64_t free[BERTH_PLACE_MAX_DEVICES];

    if (entry->n_slices == 0) {
        return true;
    }
    uint32_t n = free_over(calendar, entry->host, entry->start, entry->end, free);
    for (uint32_t i = 0; i < entry->n_slices; i++) {
        if (entry->slices[i] > 0 && (i >= n || entry->slices[i] > free[i])) {
            return false;
        }
    }
    return true;
}

BerthPlaceResult berth_calendar_devices_on(const BerthCalendar *calendar, uint32_t host,
                                           int64_t start, int64_t end, int64_t *ret_free,
                                           uint32_t *ret_n)
{
    if (!fleet_has(calendar->place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    if (start >= end || calendar->open) {
        return start >= end ? BERTH_PLACE_ERROR_TIME : BERTH_PLACE_ERROR_BUSY;
    }
    *ret_n = free_over(calendar, host, start, end, ret_free);
    return BERTH_PLACE_OK;
}

void berth_calendar_devices_peak(const BerthCalendar *calendar, uint32_t host, int64_t *ret_peak)
{
    const Page *page = calendar_page(calendar, host);

    memset(ret_peak, 0, BERTH_PLACE_MAX_DEVICES * sizeof *ret_peak);
    if (page != NULL && page->devices != NULL) {
        memcpy(ret_peak, page->devices->peak, page->devices->n_dims * sizeof *ret_peak);
    }
}

BerthPlaceResult berth_calendar_set_devices(BerthCalendar *calendar, uint32_t host,
                                            const BerthPlaceDevice *devices, uint32_t n)
{
    const Page *page = calendar_page(calendar, host);
    int64_t less[BERTH_PLACE_MAX_DEVICES] = {0};

    if (calendar->open) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    BerthPlaceResult result = berth_place_set_devices(calendar->place, host, devices, n);
    if (result == BERTH_PLACE_OK && page != NULL && page->devices != NULL) {
        for (uint32_t i = 0; i < page->devices->n_dims; i++) {
            less[i] = -page->devices->peak[i];
        }
        calendar_give_devices(calendar, host, less);
    }
    return result;
}
