/*
 * Tests that touch the real kernel: in a network namespace of the test's own, which ends with it.
 *
 * A Guest stands for a VM: it holds a tap open as QEMU does, and says and hears Ethernet frames.
 */
#pragma once

#include "linux/net.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* First thing in main, before any thread. */
void system_init(void);

/* Adds a test that is skipped, saying why, where system_init could not enter a namespace. */
void system_add(const char *path, void (*test)(void));

typedef struct {
    int fd;
    uint8_t mac[6];
} Guest;

/* Opens a tap that exists, in the namespace of `netns` (a path; NULL: the test's). */
void guest_open(Guest *guest, const char *tap, const char *mac, const char *netns);
void guest_close(Guest *guest);

void guest_say(const Guest *guest, const GByteArray *frame);

/* The next frame, or NULL when none comes in time. */
GByteArray *guest_hear(const Guest *guest, int timeout_ms);

/* Frames to everybody, from `source`. New ones; free with g_byte_array_unref. */
GByteArray *frame_ethernet(const uint8_t source[6], uint16_t type, const void *payload,
                           size_t length);
GByteArray *frame_arp(const uint8_t source[6], const uint8_t sender[6], const char *sender_ip,
                      const char *target_ip);
GByteArray *frame_udp4(const uint8_t source[6], const char *from, const char *to,
                       uint16_t from_port, uint16_t to_port, const void *payload, size_t length);
GByteArray *frame_udp6(const uint8_t source[6], const char *from, const char *to,
                       uint16_t from_port, uint16_t to_port);
GByteArray *frame_icmp6(const uint8_t source[6], const char *from, uint8_t type,
                        const char *target);
GByteArray *frame_tagged(GByteArray *frame, uint16_t vlan); /* takes `frame` */

/* Says `frame`, then `marker`, and tells whether `listener` hears `frame` before `marker`. */
bool frame_passes(const Guest *speaker, const Guest *listener, const GByteArray *frame,
                  const GByteArray *marker);
