#include "tests/fixture.h"

#include <ftw.h>
#include <glib/gstdio.h>

char *fixture_new(void)
{
    g_autoptr(GError) error = NULL;
    char *root = g_dir_make_tmp("berth-linux-XXXXXX", &error);

    g_assert_no_error(error);
    return root;
}

void fixture_put(const char *root, const char *path, const char *content)
{
    g_autofree char *full = g_build_filename(root, path, NULL);
    g_autofree char *directory = g_path_get_dirname(full);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(g_mkdir_with_parents(directory, 0755), ==, 0);
    g_file_set_contents(full, content, -1, &error);
    g_assert_no_error(error);
}

char *fixture_get(const char *root, const char *path)
{
    g_autofree char *full = g_build_filename(root, path, NULL);
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    g_file_get_contents(full, &text, NULL, &error);
    g_assert_no_error(error);
    return text;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    return g_remove(path);
}

void fixture_remove(char *root)
{
    g_assert_cmpint(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), ==, 0);
    g_free(root);
}
