/* G9: one writer per log, and a forked child can neither write to the log nor keep it locked. */

#define _GNU_SOURCE

#include "../support/check.h"

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static fs_wal *open_log(void)
{
    const fs_wal_config config = small_segments();
    fs_wal *wal;
    CHECK_OK(fs_wal_open("log", &config, &wal));
    return wal;
}

static void append(fs_wal *wal, uint64_t event_id)
{
    const fs_request_event event = make_event(event_id);
    CHECK_OK(fs_wal_append(wal, &event));
}

/* Runs `body` in a child, which must exit with success. */
static void in_child(void (*body)(fs_wal *), fs_wal *wal)
{
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        body(wal);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void refused_as_locked(pid_t owner)
{
    fs_wal *second = NULL;
    char pid[32];
    snprintf(pid, sizeof pid, "%d", (int)owner);
    CHECK_STATUS(fs_wal_open("log", NULL, &second), FS_WAL_ERR_LOCKED);
    CHECK_ERROR_NAMES(pid);
    CHECK(second == NULL);
}

static void child_is_refused_as_locked(fs_wal *unused)
{
    (void)unused;
    refused_as_locked(getppid());
}

static int open_descriptors_into_the_log(void)
{
    int count = 0;
    DIR *fds = opendir("/proc/self/fd");
    CHECK(fds);
    for (const struct dirent *entry; (entry = readdir(fds));) {
        char path[PATH_MAX], target[PATH_MAX];
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        const ssize_t length = readlink(path, target, sizeof target - 1);
        if (length < 0)
            continue;
        target[length] = 0;
        const char *name = strrchr(target, '/');
        if (name && (strncmp(name, "/FS.", 4) == 0 || strncmp(name, "/wal_", 5) == 0))
            count++;
    }
    closedir(fds);
    return count;
}

static void every_call_says_closed(fs_wal *wal)
{
    const fs_request_event event = make_event(2);
    fs_request_event *slot;
    fs_wal_meta_state meta;
    size_t appended;
    CHECK_STATUS(fs_wal_commit(wal, 2), FS_WAL_ERR_CLOSED); /* of the parent's claim */
    CHECK_STATUS(fs_wal_append(wal, &event), FS_WAL_ERR_CLOSED);
    CHECK_STATUS(fs_wal_append_batch(wal, &event, 1, &appended), FS_WAL_ERR_CLOSED);
    CHECK_STATUS(fs_wal_claim(wal, &slot), FS_WAL_ERR_CLOSED);
    CHECK_STATUS(fs_wal_meta(wal, &meta), FS_WAL_ERR_CLOSED);
    CHECK_STATUS(fs_wal_durable(wal, &meta), FS_WAL_ERR_CLOSED);
    CHECK_STATUS(fs_wal_sync(wal), FS_WAL_ERR_CLOSED);
    CHECK_STATUS(fs_wal_wait_durable(wal, 1, 0), FS_WAL_ERR_CLOSED);
    CHECK(open_descriptors_into_the_log() == 0);
    CHECK_STATUS(fs_wal_shutdown(wal), FS_WAL_ERR_CLOSED);
}

/* What comes after the shutdown is turned away: the memory of a handle stays one. */
static void a_handle_that_was_shut_down(fs_wal *wal)
{
    const fs_request_event event = make_event(100);
    fs_request_event *slot;
    fs_wal_meta_state meta;
    for (int twice = 0; twice < 2; twice++) {
        CHECK_STATUS(fs_wal_append(wal, &event), FS_WAL_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(fs_wal_append_batch(wal, &event, 1, NULL), FS_WAL_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(fs_wal_claim(wal, &slot), FS_WAL_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(fs_wal_commit(wal, 100), FS_WAL_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(fs_wal_meta(wal, &meta), FS_WAL_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(fs_wal_sync(wal), FS_WAL_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(fs_wal_shutdown(wal), FS_WAL_ERR_INVALID_ARGUMENT);
    }
}

/* A child that outlives the log's owner must not hold its lock. */
static void child_does_not_keep_the_log_locked(void)
{
    int ready[2], sleeper[2];
    CHECK(pipe(ready) == 0 && pipe(sleeper) == 0);
    const pid_t owner = fork();
    CHECK(owner >= 0);
    if (owner == 0) {
        fs_wal *wal = open_log();
        append(wal, 3);
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            char byte;
            close(sleeper[1]);
            CHECK(write(ready[1], "x", 1) == 1);
            _exit(read(sleeper[0], &byte, 1) != 0); /* until the test closes its end */
        }
        pause();
    }
    char byte;
    CHECK(read(ready[0], &byte, 1) == 1);
    CHECK(kill(owner, SIGKILL) == 0 && waitpid(owner, NULL, 0) == owner);

    fs_wal *wal = open_log();
    fs_wal_meta_state meta;
    CHECK_OK(fs_wal_meta(wal, &meta));
    CHECK(meta.last_event_id == 3);
    CHECK_OK(fs_wal_shutdown(wal));
    close(sleeper[1]);
}

int main(void)
{
    fs_wal *wal = open_log();
    append(wal, 1);
    CHECK(open_descriptors_into_the_log() > 0); /* or the count in the child proves nothing */
    refused_as_locked(getpid());
    in_child(child_is_refused_as_locked, wal);
    fs_request_event *slot;
    CHECK_OK(fs_wal_claim(wal, &slot));
    in_child(every_call_says_closed, wal);

    /* The child's attempts did not touch the parent's log: the claim is valid, the id unused. */
    const fs_request_event event = make_event(2);
    memcpy((char *)slot + 8, (const char *)&event + 8, sizeof event - 8);
    CHECK_OK(fs_wal_commit(wal, 2));
    CHECK_OK(fs_wal_sync(wal));
    CHECK_OK(fs_wal_shutdown(wal));
    a_handle_that_was_shut_down(wal);
    child_does_not_keep_the_log_locked();
    return 0;
}
