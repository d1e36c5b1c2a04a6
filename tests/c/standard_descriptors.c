/* F2: a program that runs without standard input, output or error, and prints and reads all the
 * same. Nothing of a log may ever be under those numbers. */

#define _GNU_SOURCE

#include "../support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVENTS (20 * EVENTS_PER_SMALL_SEGMENT)

static atomic_bool stop;
static int closed; /* a bit for each of 0, 1, 2 */
static int report; /* where the child says what is wrong */

static void fail(const char *what, int number)
{
    dprintf(report, "with %d closed: %s of descriptor %d succeeded\n", closed, what, number);
    _exit(1);
}

/* The C library opens a file of its own now and then: malloc reads how memory is overcommitted. */
static int is_of_a_log(int number)
{
    char path[64], target[4096];
    snprintf(path, sizeof path, "/proc/self/fd/%d", number);
    const ssize_t length = readlink(path, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = 0;
    return strstr(target, "log") || strstr(target, "flashstrike-wal");
}

/* What is written gets into no file at all, and what is read comes from no log. */
static void *print_all_the_time(void *unused)
{
    while (!atomic_load(&stop))
        for (int number = 0; number < 3; number++) {
            char byte = 'x';
            if (!(closed >> number & 1))
                continue;
            if (write(number, &byte, 1) != -1 || errno != EBADF)
                fail("write", number);
            if ((read(number, &byte, 1) != -1 || errno != EBADF) && is_of_a_log(number))
                fail("read", number);
        }
    return unused;
}

static void replay(void)
{
    fs_wal_reader *reader;
    fs_request_event event;
    CHECK_OK(fs_wal_reader_open("log", NULL, &reader));
    for (uint64_t id = 1; id <= EVENTS; id++) {
        CHECK_OK(fs_wal_reader_next(reader, &event));
        CHECK(event.event_id == id && is_made_event(&event));
    }
    fs_wal_reader_close(reader);
    fs_wal_verify_report_t found = {.struct_size = sizeof found};
    CHECK_OK(fs_wal_verify("log", &found));
    CHECK(found.last_event_id == EVENTS);
}

static void nothing_is_open_there(void)
{
    for (int number = 0; number < 3; number++)
        if (closed >> number & 1)
            CHECK(fcntl(number, F_GETFD) == -1 && errno == EBADF);
}

static void live_without(void)
{
    fs_wal_config config = small_segments();
    config.max_segments = 3;
    config.max_compressed_segments = FS_WAL_KEEP_ALL;
    for (int number = 0; number < 3; number++)
        if (closed >> number & 1)
            close(number);
    nothing_is_open_there();
    pthread_t printer;
    CHECK(pthread_create(&printer, NULL, print_all_the_time, NULL) == 0);
    fs_wal *wal, *second;
    CHECK_OK(fs_wal_open("log", &config, &wal));
    CHECK_STATUS(fs_wal_open("log", &config, &second), FS_WAL_ERR_LOCKED);
    for (uint64_t id = 1; id <= EVENTS; id++) {
        const fs_request_event event = make_event(id);
        CHECK_OK(fs_wal_append(wal, &event));
        if (id % 1000 == 0)
            CHECK_OK(fs_wal_sync(wal));
    }
    replay();
    CHECK_OK(fs_wal_shutdown(wal));
    replay();
    CHECK_OK(fs_wal_open("log", &config, &wal)); /* what is there is read, and goes on */
    CHECK_OK(fs_wal_shutdown(wal));
    atomic_store(&stop, true);
    CHECK(pthread_join(printer, NULL) == 0);
    nothing_is_open_there();
}

int main(void)
{
    report = fcntl(2, F_DUPFD_CLOEXEC, 100);
    CHECK(report >= 100);
    for (closed = 1; closed < 8; closed++) {
        CHECK(system("rm -rf log") == 0);
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            live_without();
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fprintf(stderr, "the child without descriptors %d failed: %x\n", closed, status);
            return 1;
        }
    }
    return 0;
}
