#include "sim/output.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "base/error.h"

bool output_check(const char *option, const char *path, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, option, path, "give the path of a file",
                               "this is a directory");
    }
    if (g_access(folder, W_OK | X_OK) != 0) {
        int problem = errno;
        return berth_error_set(error, BERTH_ERROR_INVALID, option, path,
                               "give a path in a directory that is there and can be written to",
                               "no file can be made there: %s", g_strerror(problem));
    }
    return true;
}
