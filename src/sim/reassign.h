/*
 * `berth-sim reassign`: files of the machine reassignment problem in, a cheaper assignment out.
 *
 * Threading: the main thread only; it takes SIGINT and SIGTERM for as long as the search runs, which
 * end it and keep the best so far.
 */
#pragma once

/* The exit code of the program: 0, 1 when the initial assignment breaks a constraint, 2 for wrong
 * use or an unreadable file. */
int reassign_main(int argc, char **argv);
