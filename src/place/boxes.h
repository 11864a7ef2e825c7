/*
 * The boxes of a forest: around one host, a leaf's hosts, or all below a node.
 */
#pragma once

#include "place/forest.h"

/* Gives a slot of a node the box of nothing. */
void boxes_clear(const Forest *forest, Node *node, uint32_t slot);

/* Whether that changed anything. */
bool boxes_write(const Forest *forest, Node *node, uint32_t slot, const Box *box);

void boxes_of_node(const Forest *forest, const Node *node, Box *ret_box);
void boxes_of_leaf(const Forest *forest, const Leaf *leaf, Box *ret_box);

/* Of one host: by its amounts, or as a leaf has it. */
void boxes_of_host(const Forest *forest, const int64_t *capacity, const int64_t *available,
                   Box *ret_box);
void boxes_in_leaf(const Forest *forest, const Leaf *leaf, uint32_t i, Box *ret_box);

/* How much a box would have to grow to take in another. */
float boxes_growth(const Forest *forest, const Box *box, const Box *more);

float boxes_lowest(const float *values, uint32_t n);
float boxes_highest(const float *values, uint32_t n);
