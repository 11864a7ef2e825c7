/* An agent that goes wrong at a keeper's socket: the input is all that it sends. */
#include "fuzz.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "keep/control.h"
#include "schema/keeper.h"

static json_t *on_call(const char *method, const json_t *params, gpointer data, GError **error)
{
    if (strcmp(method, KEEPER_METHOD_KEEPER_KILL) != 0) {
        berth_error_set(error, BERTH_ERROR_NOT_FOUND, "method", method, NULL, "no such method");
        return NULL;
    }
    g_autoptr(KeeperKill) kill = keeper_kill_decode(params, CODEC_TOLERANT, error);
    return kill != NULL ? json_object() : NULL;
}

/* Bound by the kernel to an abstract address of its choice. */
static int listen_anywhere(struct sockaddr_un *ret_address, socklen_t *ret_length)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)), ==, 0);
    g_assert_cmpint(listen(fd, 8), ==, 0);
    *ret_length = sizeof *ret_address;
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)ret_address, ret_length), ==, 0);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sockaddr_un address;
    static socklen_t length;
    static KeepControl *control;
    if (control == NULL) {
        control = keep_control_new(listen_anywhere(&address, &length), on_call, NULL);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, length), ==, 0);
    send(fd, data, size, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    char answer[4096];
    while (recv(fd, answer, sizeof answer, MSG_DONTWAIT) != 0) {
        g_main_context_iteration(NULL, FALSE);
        keep_control_notify(control, KEEPER_METHOD_KEEPER_EXITED, NULL);
    }
    close(fd);
    return 0;
}
