/* What codec.c (trees) and codec_text.c (text) share; private to src/base. */
#pragma once

#include "base/codec.h"

#define CODEC_MEMBER(type, object, offset) (*(type *)((char *)(object) + (offset)))

#define CODEC_MAX_BYTES (8 << 20) /* of a text, where no limit is given */

/* The members of a new object that are never NULL. */
void codec_init_field(const CodecField *field, void *object);
void codec_set_default(const CodecField *field, void *object);

bool codec_matches(const CodecField *field, const char *text); /* the pattern, if it has one */

/* One value, which is the whole text. False: it is not ordinary, the member may have changed. */
bool codec_scan_value(const CodecField *field, void *object, const char *text);
