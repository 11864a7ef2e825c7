/*
 * Programs that a benchmark starts, and a directory for them: whatever way the benchmark ends, they
 * end with it, and the directory goes. (After a SIGKILL the programs end too, but the files stay.)
 *
 * Threading: the main thread, which must live as long as the programs: they end with the thread
 * that started them.
 */
#pragma once

#include <gio/gio.h>
#include <sys/types.h>

/* First of all, before any other thread. `name` is for messages and the directory's name. */
void programs_init(const char *name);
const char *programs_directory(void);

/* Prints what went wrong and exits. Takes `error`, which may be NULL. */
void programs_fail(const char *what, GError *error) G_GNUC_NORETURN;

/* Removed at the end too. */
void programs_add_file(const char *path);

/* Its output is dropped. Ended with SIGTERM, the last started first. */
GSubprocess *programs_spawn(const char *const *argv);
/* As fork(); the child is to leave by _exit(). */
pid_t programs_fork(void);
void programs_end(GSubprocess *program, int signal); /* now; takes it */

pid_t programs_pid(GSubprocess *program);
double programs_processor_ms(pid_t pid); /* user and system */
