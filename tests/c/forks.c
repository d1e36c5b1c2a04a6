/* G9: an engine that forks and starts programs while it records. No child can write to the log or
 * disturb it, whenever it is forked and however it ends. */

#define _GNU_SOURCE

#include "../support/check.h"

#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKS 200
#define PROGRAMS 50

static fs_wal *wal;
static atomic_bool stop;
static atomic_uint_least64_t appended;

static void *append_all_the_time(void *unused)
{
    (void)unused;
    for (uint64_t id = 1; !atomic_load(&stop); id++) {
        const fs_request_event event = make_event(id);
        CHECK_OK(fs_wal_append(wal, &event));
        atomic_store(&appended, id);
        if (id % 1000 == 0)
            CHECK_OK(fs_wal_sync(wal));
    }
    return NULL;
}

/* Keeps opening and closing another log, so that forks happen while its threads start and stop. */
static void *come_and_go(void *unused)
{
    const fs_wal_config config = small_segments();
    (void)unused;
    for (uint64_t id = 1; !atomic_load(&stop); id++) {
        const fs_request_event event = make_event(id);
        fs_wal *other;
        CHECK_OK(fs_wal_open("coming-and-going", &config, &other));
        CHECK_OK(fs_wal_append(other, &event));
        CHECK_OK(fs_wal_shutdown(other));
    }
    return NULL;
}

static int threads_of_this_process(void)
{
    char line[256];
    int threads = 0;
    FILE *status = fopen("/proc/self/status", "r");
    CHECK(status != NULL);
    while (fgets(line, sizeof line, status))
        if (sscanf(line, "Threads: %d", &threads) == 1)
            break;
    fclose(status);
    return threads;
}

static void expect_success(pid_t child)
{
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The fork may have interrupted the parent's other threads anywhere. */
static void in_the_child(int number)
{
    const fs_request_event event = make_event(UINT64_MAX - 1);
    fs_wal_meta_state meta;
    fs_wal *other = NULL;
    CHECK_STATUS(fs_wal_append(wal, &event), FS_WAL_ERR_CLOSED);
    CHECK_STATUS(fs_wal_meta(wal, &meta), FS_WAL_ERR_CLOSED);
    CHECK_STATUS(fs_wal_sync(wal), FS_WAL_ERR_CLOSED);
    CHECK_STATUS(fs_wal_open("log", NULL, &other), FS_WAL_ERR_LOCKED);
    if (number % 5 == 0) {
        /* The log is closed in a grandchild too. */
        const pid_t child = fork();
        if (child == 0) {
            CHECK_STATUS(fs_wal_append(wal, &event), FS_WAL_ERR_CLOSED);
            _exit(0);
        }
        expect_success(child);
    }
    if (number % 10 == 1) {
        /* A child may open a log of its own. */
        const fs_wal_config config = small_segments();
        char name[32];
        snprintf(name, sizeof name, "child-%d", number);
        /* The parent's threads do not exist in the child; the new log starts its own. */
        CHECK(threads_of_this_process() == 1);
        CHECK_OK(fs_wal_open(name, &config, &other));
        /* This one, four for the log, and two that compress for each processor, up to four. */
        const int threads = threads_of_this_process();
        CHECK(threads >= 7 && threads <= 9);
        CHECK_OK(fs_wal_append(other, &event));
        CHECK_OK(fs_wal_shutdown(other));
    }
    if (number % 2)
        CHECK_STATUS(fs_wal_shutdown(wal), FS_WAL_ERR_CLOSED);
    if (number % 3)
        exit(0); /* runs the atexit handlers, unlike _exit */
    _exit(0);
}

static void everything_is_there(uint64_t last)
{
    fs_wal_reader *reader;
    fs_request_event event;
    CHECK_OK(fs_wal_reader_open("log", NULL, &reader));
    for (uint64_t id = 1; id <= last; id++) {
        CHECK_OK(fs_wal_reader_next(reader, &event));
        CHECK(event.event_id == id && is_made_event(&event));
    }
    CHECK_STATUS(fs_wal_reader_next(reader, &event), FS_WAL_END);
    fs_wal_reader_close(reader);
}

int main(void)
{
    fs_wal_config config = small_segments();
    config.max_compressed_segments = FS_WAL_KEEP_ALL;
    CHECK_OK(fs_wal_open("log", &config, &wal));
    pthread_t writer, visitor;
    CHECK(pthread_create(&writer, NULL, append_all_the_time, NULL) == 0);
    CHECK(pthread_create(&visitor, NULL, come_and_go, NULL) == 0);
    while (atomic_load(&appended) == 0)
        continue;
    const uint64_t before = atomic_load(&appended);

    for (int number = 0; number < FORKS; number++) {
        const pid_t child = fork();
        if (child == 0)
            in_the_child(number);
        expect_success(child);
    }
    for (int number = 0; number < PROGRAMS; number++) {
        /* Like vfork: the child uses its parent's memory until it executes the program. */
        char name[] = "true", *const arguments[] = {name, NULL}, *const environment[] = {NULL};
        pid_t child;
        CHECK(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environment) == 0);
        expect_success(child);
    }

    CHECK(atomic_load(&appended) > before); /* otherwise nothing was recorded during the forks */
    atomic_store(&stop, true);
    CHECK(pthread_join(writer, NULL) == 0 && pthread_join(visitor, NULL) == 0);
    CHECK_OK(fs_wal_shutdown(wal));
    everything_is_there(atomic_load(&appended));
    return 0;
}
