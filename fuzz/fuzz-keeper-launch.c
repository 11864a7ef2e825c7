/* The launch that a keeper reads on its standard input. */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "keep/launch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("launch", MFD_CLOEXEC);
    }
    g_assert_cmpint(ftruncate(fd, 0), ==, 0);
    g_assert_cmpint(pwrite(fd, data, size, 0), ==, (gssize)size);
    g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0);
    g_autoptr(KeeperLaunch) launch = keep_launch_read(fd, NULL);
    if (launch != NULL) {
        g_assert_cmpuint(launch->argv->len, >, 0);
        g_assert_true(g_path_is_absolute(launch->run_dir));
        json_t *json = keeper_launch_encode(launch);
        fuzz_round_trip(&keeper_launch_type, json, CODEC_TOLERANT);
        json_decref(json);
    }
    return 0;
}
