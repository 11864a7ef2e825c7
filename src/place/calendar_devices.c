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

BerthPlaceResult calendar_reserve_devices(const BerthCalendar *calendar, Page *page, uint32_t n)
{
    if (page->devices == NULL && n > 0) {
        page->devices = timeline_new(n, calendar->now);
        page->debts = calloc(BERTH_PLACE_MAX_DEVICES, sizeof *page->debts);
        if (page->devices == NULL || page->debts == NULL) {
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
    free(page->debts);
    page->devices = NULL;
    page->debts = NULL;
}

void calendar_add_slices(Page *page, const Entry *entry, int sign)
{
    int64_t slices[BERTH_PLACE_MAX_DEVICES] = {0};

    if (entry->n_slices > 0 && page->devices != NULL) { /* NULL: it has ended */
        memcpy(slices, entry->slices, entry->n_slices * sizeof *slices);
        timeline_add(page->devices, entry->start, entry->end, slices, sign);
    }
}

/* Sets what the fleet shows free, and the debt, so that together they are `amount`. */
static void show_device(BerthPlaceDevice *device, int64_t *debt, int64_t amount)
{
    device->free = amount < 0                           ? 0
                   : amount > (int64_t)device->capacity ? device->capacity
                                                        : (uint32_t)amount;
    *debt = (int64_t)device->free - amount;
}

void calendar_give_devices(const BerthCalendar *calendar, uint32_t host, const int64_t *more)
{
    BerthPlaceDevice devices[BERTH_PLACE_MAX_DEVICES];
    const Page *page = &calendar->pages[host];
    uint32_t n = 0;
    int64_t any = 0;

    berth_place_get_devices(calendar->place, host, devices, &n);
    for (uint32_t i = 0; i < n && i < page->devices->n_dims; i++) {
        any |= more[i];
        show_device(&devices[i], &page->debts[i], devices[i].free - page->debts[i] + more[i]);
    }
    if (any != 0) {
        inventory_set_free(calendar->place, host, devices);
    }
}

void calendar_devices_slack(const Page *page, int64_t start, int64_t end, int64_t *ret_more)
{
    timeline_most(page->devices, start, end, ret_more);
    for (uint32_t i = 0; i < page->devices->n_dims; i++) {
        ret_more[i] = page->devices->peak[i] - ret_more[i];
    }
}

/* What is free of each device over a span, its debt counted. */
static uint32_t free_over(const BerthCalendar *calendar, uint32_t host, int64_t start, int64_t end,
                          int64_t *ret_free)
{
    const Page *page = calendar_page(calendar, host);
    const Bay *bay = inventory_bay(calendar->place, host);
    const BerthPlaceDevice *devices = inventory_devices(calendar->place, bay);
    int64_t more[BERTH_PLACE_MAX_DEVICES] = {0};
    bool committed = page != NULL && page->devices != NULL;

    if (committed) {
        calendar_devices_slack(page, start, end, more);
    }
    for (uint32_t i = 0; i < bay->n; i++) {
        bool here = committed && i < page->devices->n_dims;

        ret_free[i] = devices[i].free + (here ? more[i] - page->debts[i] : 0);
    }
    return bay->n;
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
    BerthPlaceDevice shown[BERTH_PLACE_MAX_DEVICES];
    int64_t debts[BERTH_PLACE_MAX_DEVICES] = {0};

    if (calendar->open) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    if (page == NULL || page->devices == NULL || n > BERTH_PLACE_MAX_DEVICES) {
        return berth_place_set_devices(calendar->place, host, devices, n);
    }
    for (uint32_t i = 0; i < n; i++) {
        shown[i] = devices[i];
        if (i < page->devices->n_dims && devices[i].free <= devices[i].capacity) {
            show_device(&shown[i], &debts[i], devices[i].free - page->devices->peak[i]);
        }
    }
    BerthPlaceResult result = berth_place_set_devices(calendar->place, host, shown, n);
    if (result == BERTH_PLACE_OK) {
        memcpy(page->debts, debts, sizeof debts);
    }
    return result;
}
