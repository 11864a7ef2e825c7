/*
 * What several parts do with plain arrays. Private to the library.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Replaces an array, of which `array` is the address of the pointer, by a copy; an empty one by NULL. False:
 * no memory, and NULL stands in its place. What was there stays its owner's. */
bool array_duplicate(void *array, uint32_t n, size_t size);

/* Where a number is among rising ones, or would be. */
static inline uint32_t array_position(const uint32_t *numbers, uint32_t n, uint32_t wanted)
{
    uint32_t low = 0, high = n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (numbers[middle] < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
