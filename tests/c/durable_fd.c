/* fs_wal_durable_fd: event loops of two threads are told of every move of the watermark, of a
 * failure and of the end; what the caller closes is forgotten; nothing is written to a stranger's
 * file; children and a process without descriptors get a clear answer. */

#define _GNU_SOURCE

#include "../support/at_rest.h"
#include "../support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVENTS 20000
#define FOREVER (-1)

static int is_readable(int fd, int timeout_ms)
{
    struct epoll_event event = {.events = EPOLLIN};
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    int ready;
    do
        ready = epoll_wait(epoll, &event, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    CHECK(ready >= 0 && close(epoll) == 0);
    return ready == 1;
}

static uint64_t take(int fd)
{
    uint64_t moves = 0;
    const ssize_t got = read(fd, &moves, sizeof moves);
    CHECK(got == sizeof moves || (got < 0 && errno == EAGAIN));
    return moves;
}

static uint64_t durable_id(const fs_wal *wal)
{
    fs_wal_meta_state durable;
    CHECK_OK(fs_wal_durable(wal, &durable));
    return durable.last_event_id;
}

static int new_fd(fs_wal *wal)
{
    int fd = -1;
    CHECK_OK(fs_wal_durable_fd(wal, &fd));
    CHECK(fd >= 3 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) && (fcntl(fd, F_GETFL) & O_NONBLOCK));
    return fd;
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1000; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

struct consumer {
    fs_wal *wal;
    int fd;
    uint64_t seen;
};

/* An event loop that has nothing but the descriptor to wake it. Were a move not told, it would wait
 * for ever. */
static void *consume(void *argument)
{
    struct consumer *consumer = argument;
    while (consumer->seen < EVENTS) {
        CHECK(is_readable(consumer->fd, FOREVER));
        CHECK(take(consumer->fd) > 0);
        const uint64_t seen = durable_id(consumer->wal);
        CHECK(seen >= consumer->seen);
        consumer->seen = seen;
    }
    return NULL;
}

static void two_consumers(void)
{
    fs_wal *wal;
    const fs_wal_config config = small_segments();
    CHECK_OK(fs_wal_open("told", &config, &wal));
    struct consumer consumers[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        consumers[i] = (struct consumer){wal, new_fd(wal), 0};
        CHECK(!is_readable(consumers[i].fd, 0));
        CHECK(pthread_create(&threads[i], NULL, consume, &consumers[i]) == 0);
    }
    for (uint64_t id = 1; id <= EVENTS; id++) {
        const fs_request_event event = make_event(id);
        CHECK_OK(fs_wal_append(wal, &event));
        if (id % 5000 == 0)
            usleep(40000); /* a rest: the persister parks */
    }
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(durable_id(wal) == EVENTS);
    /* One who comes late is told of what moves from then on. */
    const int late = new_fd(wal);
    take(consumers[0].fd);
    const fs_request_event event = make_event(EVENTS + 1);
    CHECK_OK(fs_wal_append(wal, &event));
    CHECK(is_readable(late, FOREVER));
    CHECK(durable_id(wal) == EVENTS + 1);
    take(late);
    CHECK_OK(fs_wal_shutdown(wal));
    CHECK(is_readable(late, 0) && is_readable(consumers[0].fd, 0));
    CHECK(close(late) == 0 && close(consumers[0].fd) == 0 && close(consumers[1].fd) == 0);
}

/* The number that was given may be closed at any time, and given to another eventfd. */
static void closed_by_the_caller(void)
{
    fs_wal *wal;
    const fs_wal_config config = small_segments();
    CHECK_OK(fs_wal_open("closed", &config, &wal));
    const int before = open_descriptors(), other = new_fd(wal);
    uint64_t id = 0;
    for (int i = 0; i < 50; i++) {
        const int fd = new_fd(wal);
        CHECK(close(fd) == 0);
        const int stranger = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        const fs_request_event event = make_event(++id);
        CHECK_OK(fs_wal_append(wal, &event));
        CHECK_OK(fs_wal_sync(wal));
        CHECK(is_readable(other, FOREVER) && take(other) > 0);
        CHECK(take(stranger) == 0);
        CHECK(close(stranger) == 0);
    }
    /* Without a move in between, the number alone tells. */
    for (int i = 0; i < 200; i++)
        CHECK(close(new_fd(wal)) == 0);
    /* The other one and the library's end of it; prepared files come and go. */
    CHECK(open_descriptors() <= before + 12);
    CHECK_OK(fs_wal_shutdown(wal));
    CHECK(is_readable(other, 0) && close(other) == 0);
}

/* A daemon closes every descriptor and makes eventfds of its own, which get the same numbers. */
static void closed_by_a_daemon(void)
{
    fs_wal *wal;
    fs_wal_config config = small_segments();
    config.sync_mode = FS_WAL_SYNC_ROTATION;
    CHECK_OK(fs_wal_open("daemon", &config, &wal));
    append_events(wal, 1, 1);
    CHECK_OK(fs_wal_sync(wal));
    new_fd(wal);
    new_fd(wal);
    /* A call that is under way on a descriptor that is closed at that moment cannot be helped. */
    wait_until_at_rest(wal);
    for (int fd = 3; fd < 1000; fd++)
        close(fd);
    int own[64];
    for (int i = 0; i < 64; i++)
        CHECK((own[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) >= 3);
    const fs_request_event event = make_event(2);
    if (fs_wal_append(wal, &event) == FS_WAL_OK)
        CHECK(fs_wal_sync(wal) != FS_WAL_OK);
    CHECK_STATUS(fs_wal_shutdown(wal), FS_WAL_ERR_POISONED);
    for (int i = 0; i < 64; i++)
        CHECK(take(own[i]) == 0 && close(own[i]) == 0);
}

static void failure_is_told(void)
{
    fs_wal *wal;
    fs_wal_config config = small_segments();
    config.sync_mode = FS_WAL_SYNC_ROTATION;
    CHECK_OK(fs_wal_open("fails", &config, &wal));
    const fs_request_event event = make_event(1);
    CHECK_OK(fs_wal_append(wal, &event));
    const int fd = new_fd(wal);
    CHECK(unlink("fails/FS.00000000.wal") == 0);
    CHECK_STATUS(fs_wal_sync(wal), FS_WAL_ERR_POISONED);
    CHECK(is_readable(fd, FOREVER) && take(fd) > 0);
    CHECK(durable_id(wal) == 0);
    int none = -7;
    CHECK_STATUS(fs_wal_durable_fd(wal, &none), FS_WAL_ERR_POISONED);
    CHECK(none == -7);
    CHECK_STATUS(fs_wal_shutdown(wal), FS_WAL_ERR_POISONED);
    CHECK(is_readable(fd, 0) && close(fd) == 0);
}

static void no_descriptors_and_a_child(void)
{
    fs_wal *wal;
    const fs_wal_config config = small_segments();
    CHECK_OK(fs_wal_open("limits", &config, &wal));
    int fd = -7;
    CHECK_STATUS(fs_wal_durable_fd(NULL, &fd), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fs_wal_durable_fd(wal, NULL), FS_WAL_ERR_INVALID_ARGUMENT);
    const int shared = new_fd(wal);
    struct rlimit limit, none;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (int free_ones = 0; free_ones < 2; free_ones++) {
        none = limit;
        none.rlim_cur = (rlim_t)(shared + 1 + free_ones);
        int taken[1000], count = 0;
        CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
        while (count < 1000 && (taken[count] = dup(0)) >= 0)
            count++;
        if (free_ones && count > 0)
            close(taken[--count]);
        CHECK_STATUS(fs_wal_durable_fd(wal, &fd), FS_WAL_ERR_NO_SPACE);
        CHECK(fd == -7);
        while (count > 0)
            close(taken[--count]);
        CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    }
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_STATUS(fs_wal_durable_fd(wal, &fd), FS_WAL_ERR_CLOSED);
        CHECK(is_readable(shared, FOREVER)); /* the parent's move, on the same eventfd */
        _exit(0);
    }
    const fs_request_event event = make_event(1);
    CHECK_OK(fs_wal_append(wal, &event));
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(is_readable(shared, FOREVER));
    CHECK_OK(fs_wal_shutdown(wal));
    CHECK(close(shared) == 0);
}

int main(void)
{
    two_consumers();
    closed_by_the_caller();
    failure_is_told();
    no_descriptors_and_a_child();
    closed_by_a_daemon();
    return 0;
}
