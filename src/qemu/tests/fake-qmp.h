/*
 * A QMP server, or a guest agent, that plays a script on a socket: one line a step, NULL at the
 * end.
 *
 *     > {"execute":"cont"}     expects this object, "id" left out of the comparison
 *     > *                      expects any object
 *     < {"return":{}}          sends this line; "return" and "error" without "id" get the last one
 * that came; @2 stands for the id of the second object that came, 0 for none
 *     <! {"ret                 sends these bytes with no line feed: a piece of a message
 *     mark                     sends 0xFF, which leads the answer to guest-sync-delimited
 *     greet / greet oob        sends QEMU's greeting and answers qmp_capabilities
 *     sync                     expects guest-sync-delimited and answers it as the guest agent does
 *     flood N                  sends N bytes with no line feed
 *     sleep MS
 *     close                    closes
 *     until-closed             expects that the other side closes, reading what it says till then
 *
 * The script runs in a thread of its own with a deadline of ten seconds for each step.
 */
#pragma once

typedef struct FakeQmp FakeQmp;

/* The client's end goes to *ret_fd and belongs to the caller. */
FakeQmp *fake_qmp_start(const char *const *script, int *ret_fd);

/* Waits for the end of the script and fails the test unless each step went as written. */
void fake_qmp_finish(FakeQmp *fake);
