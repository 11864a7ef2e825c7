#include "place/shapes.h"

#include <stdlib.h>
#include <string.h>

#define MIN_SIZE 16

static bool allocate(Shapes *shapes, uint32_t n_dims, uint32_t size)
{
    *shapes = (Shapes){.n_dims = n_dims, .size = size, .spare = SHAPES_NONE};
    shapes->capacity = malloc((size_t)size * n_dims * sizeof *shapes->capacity);
    shapes->uses = malloc(size * sizeof *shapes->uses);
    shapes->hash = malloc(2 * (size_t)size * sizeof *shapes->hash);
    if (shapes->capacity == NULL || shapes->uses == NULL || shapes->hash == NULL) {
        shapes_clear(shapes);
        return false;
    }
    memset(shapes->hash, 0xff, 2 * (size_t)size * sizeof *shapes->hash);
    return true;
}

bool shapes_init(Shapes *shapes, uint32_t n_dims)
{
    return allocate(shapes, n_dims, MIN_SIZE);
}

void shapes_clear(Shapes *shapes)
{
    free(shapes->capacity);
    free(shapes->uses);
    free(shapes->hash);
    *shapes = (Shapes){0};
}

static void copy_rows(Shapes *to, const Shapes *from)
{
    memcpy(to->capacity, from->capacity, (size_t)from->n * from->n_dims * sizeof *from->capacity);
    memcpy(to->uses, from->uses, from->n * sizeof *from->uses);
    to->n = from->n;
    to->spare = from->spare;
}

bool shapes_copy(Shapes *to, const Shapes *from)
{
    if (!allocate(to, from->n_dims, from->size)) {
        return false;
    }
    copy_rows(to, from);
    memcpy(to->hash, from->hash, 2 * (size_t)from->size * sizeof *from->hash);
    return true;
}

/* Where a capacity is in the hash, or the free place where it would be. */
static uint32_t *find(const Shapes *shapes, const int64_t *capacity)
{
    uint32_t mask = 2 * shapes->size - 1;
    uint32_t at = (uint32_t)(shapes_hash(capacity, shapes->n_dims, 0) >> 32) & mask;

    while (shapes->hash[at] != SHAPES_NONE &&
           memcmp(shapes_capacity(shapes, shapes->hash[at]), capacity,
                  shapes->n_dims * sizeof *capacity) != 0) {
        at = (at + 1) & mask;
    }
    return &shapes->hash[at];
}

static bool grow(Shapes *shapes)
{
    Shapes larger;

    if (!allocate(&larger, shapes->n_dims, shapes->size * 2)) {
        return false;
    }
    copy_rows(&larger, shapes);
    for (uint32_t shape = 0; shape < larger.n; shape++) {
        *find(&larger, shapes_capacity(&larger, shape)) = shape;
    }
    shapes_clear(shapes);
    *shapes = larger;
    return true;
}

uint32_t shapes_acquire(Shapes *shapes, const int64_t *capacity)
{
    uint32_t *place = find(shapes, capacity);

    if (*place == SHAPES_NONE && shapes->spare == SHAPES_NONE && shapes->n == shapes->size) {
        if (!grow(shapes)) {
            return SHAPES_NONE;
        }
        place = find(shapes, capacity);
    }
    if (*place == SHAPES_NONE) {
        uint32_t shape = shapes->spare;
        if (shape != SHAPES_NONE) {
            shapes->spare = shapes->uses[shape];
        } else {
            shape = shapes->n++;
        }
        memcpy(shapes->capacity + (size_t)shape * shapes->n_dims, capacity,
               shapes->n_dims * sizeof *capacity);
        shapes->uses[shape] = 0;
        *place = shape;
    }
    shapes->uses[*place]++;
    return *place;
}

/* Takes a shape out of the hash; those behind it move up so that each is still found. */
static void forget(Shapes *shapes, uint32_t shape)
{
    uint32_t mask = 2 * shapes->size - 1;
    uint32_t hole = (uint32_t)(find(shapes, shapes_capacity(shapes, shape)) - shapes->hash);

    for (uint32_t at = (hole + 1) & mask; shapes->hash[at] != SHAPES_NONE; at = (at + 1) & mask) {
        const int64_t *capacity = shapes_capacity(shapes, shapes->hash[at]);
        uint32_t home = (uint32_t)(shapes_hash(capacity, shapes->n_dims, 0) >> 32) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            shapes->hash[hole] = shapes->hash[at];
            hole = at;
        }
    }
    shapes->hash[hole] = SHAPES_NONE;
    shapes->uses[shape] = shapes->spare;
    shapes->spare = shape;
}

void shapes_release(Shapes *shapes, uint32_t shape)
{
    if (--shapes->uses[shape] == 0) {
        forget(shapes, shape);
    }
}
