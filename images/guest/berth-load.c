/*
 * Loads of the demo guest: known amounts of work, so that what a limit gives can be measured from
 * inside the guest that it limits.
 *
 *     berth-load cpu SECONDS [THREADS]            loops done per second, over all threads
 *     berth-load hold MIB [SECONDS]               touches memory and keeps it, for ever by default
 *     berth-load dirty MIB MIB_PER_S [SECONDS]    writes to each page of it at a steady rate
 *     berth-load net-send ADDRESS PORT SECONDS    Mbit/s that the other end received
 *     berth-load net-sink PORT                    takes one connection and says its Mbit/s
 *     berth-load disk FILE|DEVICE SECONDS         MB/s of sequential writes past the page cache
 *     berth-load mem                              MemTotal and MemAvailable in MiB
 *
 * Each prints one line of JSON; a failure prints one on standard error and exits with 1, a command
 * that cannot be read with 2. `disk` overwrites what FILE or DEVICE holds. Units: MiB is 2^20 bytes,
 * MB 10^6 bytes, Mbit 10^6 bits.
 *
 * Linked statically, since the guest has no libraries of its own: no name resolution, addresses only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024.0 * 1024.0)
#define BLOCK_BYTES ((size_t)1 << 20)
#define FILE_BLOCKS 64 /* a file is written round and round within this many blocks */
#define MAX_THREADS 64
#define FOREVER 1e9

static const char usage[] =
    "usage: berth-load cpu SECONDS [THREADS] | hold MIB [SECONDS] | dirty MIB MIB_PER_S [SECONDS] "
    "|\n"
    "       net-send ADDRESS PORT SECONDS | net-sink PORT | disk FILE|DEVICE SECONDS | mem\n";

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void sleep_until(double when)
{
    struct timespec t = {.tv_sec = (time_t)when,
                         .tv_nsec = (long)((when - (double)(time_t)when) * 1e9)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

/* Prints what failed and on what, with errno's text, and ends the program. */
static _Noreturn void fail(const char *what, const char *on)
{
    fprintf(stderr, "{\"error\":\"%s %s: %s\"}\n", what, on, strerror(errno));
    exit(1);
}

static _Noreturn void misused(const char *name, const char *text, const char *want)
{
    fprintf(stderr, "berth-load: %s is '%s', but must be %s\n%s", name, text, want, usage);
    exit(2);
}

static double number(const char *name, const char *text, double low, double high)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= low && value <= high)) {
        char want[64];
        snprintf(want, sizeof want, "a number from %.10g to %.10g", low, high);
        misused(name, text, want);
    }
    return value;
}

static void print_line(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

/* cpu */

typedef struct {
    pthread_t thread;
    double until;
    uint64_t loops;
} Burner;

/* One loop is 1,000 dependent steps of an xorshift: integer work that no compiler can shorten. */
static void *burn(void *data)
{
    Burner *burner = data;
    uint64_t x = (uint64_t)(uintptr_t)burner | 1;
    uint64_t loops = 0;
    while (now() < burner->until) {
        for (int i = 0; i < 1000; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        __asm__ volatile("" : "+r"(x));
        loops++;
    }
    burner->loops = loops;
    return NULL;
}

static int load_cpu(int argc, char **argv)
{
    double seconds = number("SECONDS", argv[0], 0.01, FOREVER);
    int threads = argc > 1 ? (int)number("THREADS", argv[1], 1, MAX_THREADS) : 1;
    Burner burners[MAX_THREADS];
    double start = now();
    for (int i = 0; i < threads; i++) {
        burners[i].until = start + seconds;
        errno = pthread_create(&burners[i].thread, NULL, burn, &burners[i]);
        if (errno != 0) {
            fail("cannot start", "a thread");
        }
    }
    uint64_t loops = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(burners[i].thread, NULL);
        loops += burners[i].loops;
    }
    double took = now() - start;
    print_line("{\"load\":\"cpu\",\"threads\":%d,\"seconds\":%.3f,\"loops\":%" PRIu64
               ",\"loops_per_s\":%.1f}",
               threads, took, loops, (double)loops / took);
    return 0;
}

/* hold, dirty, mem */

/* A page's content is its own, so that merging same pages does not shrink what is held. */
static void write_page(char *memory, size_t page, size_t page_bytes, uint64_t round)
{
    uint64_t *words = (uint64_t *)(void *)(memory + page * page_bytes);
    words[0] = page;
    words[1] = round;
    words[2] = ((uint64_t)getpid() << 32) ^ (page * 0x9e3779b97f4a7c15u);
}

static char *take_memory(double mib, size_t page_bytes, size_t *ret_pages)
{
    size_t bytes = (size_t)(mib * MIB) / page_bytes * page_bytes;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fail("cannot map", "memory");
    }
    *ret_pages = bytes / page_bytes;
    for (size_t page = 0; page < *ret_pages; page++) {
        write_page(memory, page, page_bytes, 0);
    }
    return memory;
}

static int load_hold(int argc, char **argv)
{
    double mib = number("MIB", argv[0], 1, 1e7);
    double seconds = argc > 1 ? number("SECONDS", argv[1], 0, FOREVER) : FOREVER;
    double start = now();
    size_t pages = 0;
    take_memory(mib, (size_t)sysconf(_SC_PAGESIZE), &pages);
    print_line("{\"load\":\"hold\",\"mib\":%.0f,\"pages\":%zu,\"touched_in_s\":%.3f}", mib, pages,
               now() - start);
    sleep_until(now() + seconds);
    return 0;
}

static int load_dirty(int argc, char **argv)
{
    double mib = number("MIB", argv[0], 1, 1e7);
    double rate = number("MIB_PER_S", argv[1], 0.01, 1e6);
    double seconds = argc > 2 ? number("SECONDS", argv[2], 0.01, FOREVER) : FOREVER;
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t pages = 0;
    char *memory = take_memory(mib, page_bytes, &pages);
    const double tick = 0.01;
    double per_tick = rate * MIB / (double)page_bytes * tick;
    double start = now(), next = start, owed = 0;
    uint64_t written = 0;
    while (now() - start < seconds) {
        for (owed += per_tick; owed >= 1; owed--) {
            write_page(memory, written % pages, page_bytes, written / pages);
            written++;
        }
        next += tick;
        if (next > now()) {
            sleep_until(next);
        } else {
            next = now(); /* too slow for this rate: say what was reached, owe nothing */
        }
    }
    double took = now() - start;
    print_line("{\"load\":\"dirty\",\"mib\":%.0f,\"seconds\":%.3f,\"mib_per_s\":%.2f}", mib, took,
               (double)written * (double)page_bytes / MIB / took);
    return 0;
}

static int load_mem(int argc, char **argv)
{
    FILE *file = fopen("/proc/meminfo", "re");
    if (file == NULL) {
        fail("cannot read", "/proc/meminfo");
    }
    char line[128];
    unsigned long long total = 0, available = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        sscanf(line, "MemTotal: %llu kB", &total);
        sscanf(line, "MemAvailable: %llu kB", &available);
    }
    fclose(file);
    print_line("{\"load\":\"mem\",\"total_mib\":%.1f,\"available_mib\":%.1f}", (double)total / 1024,
               (double)available / 1024);
    return 0;
}

/* net */

static size_t socket_address(const char *address, const char *port, struct sockaddr_storage *ret)
{
    uint16_t number_be = htons((uint16_t)number("PORT", port, 1, 65535));
    struct sockaddr_in *four = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, address, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = number_be;
        return sizeof *four;
    }
    if (inet_pton(AF_INET6, address, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = number_be;
        return sizeof *six;
    }
    misused("ADDRESS", address, "an IPv4 or IPv6 address");
}

/* The clock stops when the sink has closed its end, so bytes still in buffers count as time. */
static int load_net_send(int argc, char **argv)
{
    struct sockaddr_storage to;
    size_t to_bytes = socket_address(argv[0], argv[1], &to);
    double seconds = number("SECONDS", argv[2], 0.01, FOREVER);
    static char buffer[64 * 1024];
    memset(buffer, 'b', sizeof buffer);
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, (socklen_t)to_bytes) != 0) {
        fail("cannot connect to", argv[0]);
    }
    double start = now();
    uint64_t sent = 0;
    while (now() - start < seconds) {
        ssize_t n = send(fd, buffer, sizeof buffer, MSG_NOSIGNAL);
        if (n < 0) {
            fail("cannot send to", argv[0]);
        }
        sent += (uint64_t)n;
    }
    if (shutdown(fd, SHUT_WR) != 0 || read(fd, buffer, 1) < 0) {
        fail("cannot finish with", argv[0]);
    }
    double took = now() - start;
    close(fd);
    print_line("{\"load\":\"net-send\",\"bytes\":%" PRIu64 ",\"seconds\":%.3f,\"mbit_per_s\":%.3f}",
               sent, took, (double)sent * 8 / 1e6 / took);
    return 0;
}

static int load_net_sink(int argc, char **argv)
{
    struct sockaddr_storage on;
    size_t on_bytes = socket_address("::", argv[0], &on);
    int yes = 1;
    int door = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (door < 0 || setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(door, (struct sockaddr *)&on, (socklen_t)on_bytes) != 0 || listen(door, 1) != 0) {
        fail("cannot listen on port", argv[0]);
    }
    int fd = accept4(door, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        fail("cannot accept on port", argv[0]);
    }
    close(door);
    static char buffer[64 * 1024];
    double start = now();
    uint64_t received = 0;
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0) {
        received += (uint64_t)n;
    }
    if (n < 0) {
        fail("cannot receive on port", argv[0]);
    }
    double took = now() - start;
    close(fd);
    print_line("{\"load\":\"net-sink\",\"bytes\":%" PRIu64 ",\"seconds\":%.3f,\"mbit_per_s\":%.3f}",
               received, took, (double)received * 8 / 1e6 / took);
    return 0;
}

/* disk */

/* How many blocks may be written before starting over: all of a device, a fixed span of a file. */
static uint64_t blocks_of(int fd, const char *path)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        fail("cannot stat", path);
    }
    if (!S_ISBLK(st.st_mode)) {
        return FILE_BLOCKS;
    }
    uint64_t bytes = 0;
    if (ioctl(fd, BLKGETSIZE64, &bytes) != 0) {
        fail("cannot size", path);
    }
    if (bytes < BLOCK_BYTES) {
        misused("DEVICE", path, "at least 1 MiB large");
    }
    return bytes / BLOCK_BYTES;
}

static int load_disk(int argc, char **argv)
{
    double seconds = number("SECONDS", argv[1], 0.01, FOREVER);
    int fd = open(argv[0], O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail("cannot open past the page cache", argv[0]);
    }
    uint64_t blocks = blocks_of(fd, argv[0]);
    void *block = NULL;
    errno = posix_memalign(&block, 4096, BLOCK_BYTES);
    if (errno != 0) {
        fail("no memory for", argv[0]);
    }
    memset(block, 'b', BLOCK_BYTES);
    double start = now();
    uint64_t written = 0;
    while (now() - start < seconds) {
        off_t at = (off_t)(written % blocks * BLOCK_BYTES);
        if (pwrite(fd, block, BLOCK_BYTES, at) != (ssize_t)BLOCK_BYTES) {
            fail("cannot write to", argv[0]);
        }
        written++;
    }
    if (fdatasync(fd) != 0) {
        fail("cannot flush", argv[0]);
    }
    double took = now() - start;
    free(block);
    close(fd);
    print_line("{\"load\":\"disk\",\"bytes\":%" PRIu64 ",\"seconds\":%.3f,\"mb_per_s\":%.3f}",
               written * BLOCK_BYTES, took, (double)written * (double)BLOCK_BYTES / 1e6 / took);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int least, most; /* arguments */
        int (*run)(int argc, char **argv);
    } loads[] = {
        {"cpu", 1, 2, load_cpu},           {"hold", 1, 2, load_hold},
        {"dirty", 2, 3, load_dirty},       {"mem", 0, 0, load_mem},
        {"net-send", 3, 3, load_net_send}, {"net-sink", 1, 1, load_net_sink},
        {"disk", 2, 2, load_disk},
    };
    for (size_t i = 0; argc > 1 && i < sizeof loads / sizeof *loads; i++) {
        if (strcmp(argv[1], loads[i].name) == 0 && argc - 2 >= loads[i].least &&
            argc - 2 <= loads[i].most) {
            return loads[i].run(argc - 2, argv + 2);
        }
    }
    fputs(usage, stderr);
    return 2;
}
