#include "cli/progress.h"

#include <stdlib.h>
#include <string.h>

#define SECOND G_USEC_PER_SEC

typedef struct {
    FILE *out;
    char *text;
    size_t length;
} Memory;

static void open_memory(Memory *memory)
{
    memory->out = open_memstream(&memory->text, &memory->length);
}

static void assert_written(Memory *memory, const char *wanted)
{
    fclose(memory->out);
    g_assert_cmpstr(memory->text, ==, wanted);
    free(memory->text);
}

static void test_quick_says_nothing(void)
{
    Memory memory;
    open_memory(&memory);
    Progress *progress = progress_new(memory.out, true, 5 * SECOND);
    progress_update(progress, 5 * SECOND + SECOND / 2, "waits");
    progress_free(progress);
    assert_written(&memory, "");
}

static void test_terminal_writes_over(void)
{
    Memory memory;
    open_memory(&memory);
    Progress *progress = progress_new(memory.out, true, 0);
    progress_update(progress, 2 * SECOND, "waits");
    progress_update(progress, 2 * SECOND + 1, "too soon");
    progress_update(progress, 3 * SECOND, "goes\non");
    progress_free(progress);
    assert_written(&memory, "\r\033[Kwaits (2 s)\r\033[Kgoes on (3 s)\r\033[K");
}

static void test_pipe_gets_lines(void)
{
    Memory memory;
    open_memory(&memory);
    Progress *progress = progress_new(memory.out, false, 0);
    progress_update(progress, 2 * SECOND, "waits");
    progress_update(progress, 5 * SECOND, "too soon");
    progress_update(progress, 13 * SECOND, "waits");
    progress_update(progress, 30 * SECOND, "goes on");
    progress_free(progress);
    assert_written(&memory, "waits\ngoes on\n");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/progress/quick-says-nothing", test_quick_says_nothing);
    g_test_add_func("/cli/progress/terminal-writes-over", test_terminal_writes_over);
    g_test_add_func("/cli/progress/pipe-gets-lines", test_pipe_gets_lines);
    return g_test_run();
}
