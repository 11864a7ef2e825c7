/* Writes berth(1) or the completion to standard output, for the build. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/manual.h"

int main(int argc, char **argv)
{
    bool page = argc == 2 && strcmp(argv[1], "man") == 0;
    if (!page && !(argc == 2 && strcmp(argv[1], "bash") == 0)) {
        fprintf(stderr, "usage: berth-manual man|bash\n");
        return 2;
    }
    g_autofree char *text = page ? manual_page(cli_groups) : manual_completion(cli_groups);
    return fputs(text, stdout) >= 0 && fflush(stdout) == 0 ? 0 : 1;
}
