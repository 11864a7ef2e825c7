/* A directory tree of a test's own, filled with files, removed at the end. */
#pragma once

#include <glib.h>

char *fixture_new(void);
void fixture_put(const char *root, const char *path, const char *content);
char *fixture_get(const char *root, const char *path);
void fixture_remove(char *root);
