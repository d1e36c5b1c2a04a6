/* F15: children that run no fork handlers. In a copy of the process every call on its handles
 * returns FS_WAL_ERR_CLOSED at once; a child that shares the memory of its parent is its parent. */

#define _GNU_SOURCE

#include "../support/check.h"

#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static fs_wal *wal;
static fs_request_event *slot;

/* fork() without its handlers. */
static pid_t raw_clone(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static pid_t raw_clone3(void)
{
    const uint64_t arguments[8] = {[4] = SIGCHLD}; /* struct clone_args of the first kernels */
    return (pid_t)syscall(SYS_clone3, arguments, sizeof arguments);
}

static void expect_success(pid_t child)
{
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What fails here may not use stdio: another thread may have held its locks, and malloc's. */
#define QUIETLY(condition)                                                                        \
    do {                                                                                          \
        if (!(condition))                                                                         \
            _exit(__LINE__ % 200 + 1);                                                            \
    } while (0)

static void every_call_says_closed(void)
{
    const fs_request_event event = make_event(1000);
    fs_request_event *other;
    fs_wal_meta_state meta;
    fs_wal_metrics_t metrics = {.struct_size = sizeof metrics};
    fs_wal_recovery_report_t recovery = {.struct_size = sizeof recovery};
    size_t appended = 7, needed;
    char text[8];
    alarm(120); /* a call that hangs fails the test */
    QUIETLY(fs_wal_commit(wal, 1000) == FS_WAL_ERR_CLOSED); /* of the parent's claim */
    QUIETLY(fs_wal_append(wal, &event) == FS_WAL_ERR_CLOSED);
    QUIETLY(fs_wal_append_batch(wal, &event, 1, &appended) == FS_WAL_ERR_CLOSED && appended == 0);
    QUIETLY(fs_wal_claim(wal, &other) == FS_WAL_ERR_CLOSED);
    QUIETLY(fs_wal_meta(wal, &meta) == FS_WAL_ERR_CLOSED);
    QUIETLY(fs_wal_durable(wal, &meta) == FS_WAL_ERR_CLOSED);
    QUIETLY(fs_wal_sync(wal) == FS_WAL_ERR_CLOSED);
    QUIETLY(fs_wal_wait_durable(wal, 1, UINT64_MAX) == FS_WAL_ERR_CLOSED);
    QUIETLY(fs_wal_wait_durable(wal, 1000, UINT64_MAX) == FS_WAL_ERR_CLOSED);
    QUIETLY(fs_wal_set_retention_floor(wal, 1) == FS_WAL_ERR_CLOSED);
    QUIETLY(fs_wal_metrics(wal, &metrics) == FS_WAL_ERR_CLOSED);
    QUIETLY(fs_wal_metrics_prometheus(wal, text, sizeof text, &needed) == FS_WAL_ERR_CLOSED);
    QUIETLY(fs_wal_recovery_report(wal, &recovery) == FS_WAL_ERR_CLOSED);
    for (int i = 0; i < 2; i++)
        QUIETLY(fs_wal_shutdown(wal) == FS_WAL_ERR_CLOSED);
    QUIETLY(strstr(fs_wal_last_error(), "belongs to the parent process"));
    fs_wal_error_detail detail = {.struct_size = sizeof detail};
    QUIETLY(fs_wal_last_error_detail(&detail) == FS_WAL_OK && detail.status == FS_WAL_ERR_CLOSED);
    _exit(0);
}

static void append(uint64_t event_id)
{
    const fs_request_event event = make_event(event_id);
    CHECK_OK(fs_wal_append(wal, &event));
}

/* A copy of the process: nothing of the parent's log is touched. */
static void copies(pid_t (*make)(void), uint64_t next)
{
    append(next);
    CHECK_OK(fs_wal_claim(wal, &slot));
    for (int number = 0; number < 20; number++) {
        const pid_t child = make();
        if (child == 0)
            every_call_says_closed();
        expect_success(child);
    }
    const fs_request_event event = make_event(next + 1);
    memcpy((char *)slot + 8, (const char *)&event + 8, sizeof event - 8);
    CHECK_OK(fs_wal_commit(wal, next + 1)); /* the children did not end the claim */
    CHECK_OK(fs_wal_sync(wal));
}

static int in_the_same_memory(void *next)
{
    append(*(uint64_t *)next);
    CHECK_OK(fs_wal_sync(wal));
    return 0;
}

/* As vfork does it: the child uses the memory, and here the descriptors too, of its parent, whose
 * thread waits. It can do what that thread could. */
static void shares_memory(uint64_t next)
{
    static char stack[1024 * 1024] __attribute__((aligned(64)));
    const int how = CLONE_VM | CLONE_VFORK | SIGCHLD;
    expect_success(clone(in_the_same_memory, stack + sizeof stack, how, &next));
}

/* A reader belongs to the copy as well: it has the descriptors and the memory. */
static void readers(pid_t (*make)(void), uint64_t last)
{
    fs_wal_reader *reader;
    fs_request_event event;
    CHECK_OK(fs_wal_reader_open("log", NULL, &reader));
    CHECK_OK(fs_wal_reader_next(reader, &event));
    CHECK(event.event_id == 1);
    const pid_t child = make();
    if (child == 0) {
        alarm(120);
        for (uint64_t id = 2; id <= last; id++)
            QUIETLY(fs_wal_reader_next(reader, &event) == FS_WAL_OK && event.event_id == id);
        QUIETLY(fs_wal_reader_next(reader, &event) == FS_WAL_END);
        fs_wal_reader_close(reader);
        _exit(0);
    }
    expect_success(child);
    CHECK_OK(fs_wal_reader_next(reader, &event));
    CHECK(event.event_id == 2);
    fs_wal_reader_close(reader);
}

int main(void)
{
    /* glibc 2.34 and later have it; the test must run with older ones too. */
    void *found = dlsym(RTLD_DEFAULT, "_Fork");
    pid_t (*bare_fork)(void);
    memcpy(&bare_fork, &found, sizeof bare_fork);
    pid_t (*const ways[])(void) = {raw_clone, raw_clone3, fork, bare_fork ? bare_fork : raw_clone};
    const size_t count = sizeof ways / sizeof ways[0];

    const fs_wal_config config = small_segments();
    CHECK_OK(fs_wal_open("log", &config, &wal));
    uint64_t next = 1;
    for (size_t way = 0; way < count; way++, next += 2)
        copies(ways[way], next);
    shares_memory(next);
    append(next + 1);
    CHECK_OK(fs_wal_shutdown(wal));
    /* No other thread is left, so a child may allocate, whichever way it was made. */
    for (size_t way = 0; way < count; way++)
        readers(ways[way], next + 1);
    return 0;
}
