/* F42: a thread is cancelled while it is in a call, whichever one. The call ends as if nothing had
 * come, and the thread ends after it. */

#define _GNU_SOURCE

#include "../support/check.h"

#include <pthread.h>
#include <unistd.h>

#define EVENTS (3 * EVENTS_PER_SMALL_SEGMENT)

static fs_wal *wal;
static fs_wal_reader *reader;
static int returned;

/* Each body runs on a thread that has been cancelled before it calls: the first cancellation point
 * inside would end it. */
static void *in_a_cancelled_thread(void *body)
{
    void (*call)(void);
    memcpy(&call, body, sizeof call);
    CHECK(pthread_cancel(pthread_self()) == 0);
    call();
    returned = 1;
    pthread_testcancel();
    return NULL;
}

static void cancelled(void (*call)(void))
{
    pthread_t thread;
    void *result;
    returned = 0;
    CHECK(pthread_create(&thread, NULL, in_a_cancelled_thread, &call) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(returned);                     /* the call came back */
    CHECK(result == PTHREAD_CANCELED);   /* and did not swallow the cancellation */
}

static void log_function(void *user, int32_t level, const char *message)
{
    (void)user, (void)level, (void)message;
    usleep(1); /* a cancellation point, on the thread that opens and shuts down */
}

static void open_log(void)
{
    fs_wal_config config = small_segments();
    config.log = log_function;
    config.max_segments = 2;
    config.max_compressed_segments = FS_WAL_KEEP_ALL;
    CHECK_OK(fs_wal_open("log", &config, &wal));
}

static void open_again(void)
{
    fs_wal *second;
    CHECK_STATUS(fs_wal_open("log", NULL, &second), FS_WAL_ERR_LOCKED);
}

static void append_in_all_ways(void)
{
    static uint64_t id;
    for (uint64_t last = id + EVENTS; id < last;) {
        const fs_request_event event = make_event(++id);
        CHECK_OK(fs_wal_append(wal, &event));
    }
    for (uint64_t last = id + EVENTS; id < last; id += 256) {
        fs_request_event events[256];
        for (uint64_t i = 0; i < 256; i++)
            events[i] = make_event(id + i + 1);
        CHECK_OK(fs_wal_append_batch(wal, events, 256, NULL));
    }
    for (uint64_t last = id + EVENTS; id < last;) {
        fs_request_event *slot;
        const fs_request_event event = make_event(++id);
        CHECK_OK(fs_wal_claim(wal, &slot));
        memcpy((char *)slot + 8, (const char *)&event + 8, sizeof event - 8);
        CHECK_OK(fs_wal_commit(wal, id));
    }
}

/* Until one of the calls has waited for a prepared segment. */
static void append(void)
{
    fs_wal_metrics_t metrics = {.struct_size = sizeof metrics};
    do {
        append_in_all_ways();
        CHECK_OK(fs_wal_metrics(wal, &metrics));
    } while (metrics.append_wait.count == 0);
}

static void sync_log(void)
{
    fs_wal_meta_state durable;
    fs_wal_metrics_t metrics = {.struct_size = sizeof metrics};
    CHECK_OK(fs_wal_sync(wal));
    CHECK_OK(fs_wal_durable(wal, &durable));
    CHECK_OK(fs_wal_metrics(wal, &metrics));
    CHECK_OK(fs_wal_set_retention_floor(wal, 1));
    CHECK_STATUS(fs_wal_wait_durable(wal, UINT64_MAX - 1, 1000000), FS_WAL_ERR_TIMEOUT);
}

static void open_reader(void) { CHECK_OK(fs_wal_reader_open("log", NULL, &reader)); }

static void read_all(void)
{
    const fs_request_event *events;
    fs_request_event event;
    size_t count;
    uint64_t seen = 0;
    for (int half = 0; half < 2; half++) {
        while (fs_wal_reader_next_batch(reader, &events, &count) == FS_WAL_OK)
            seen += count;
        CHECK_OK(fs_wal_reader_seek(reader, 1));
    }
    while (fs_wal_reader_next(reader, &event) == FS_WAL_OK)
        seen++;
    CHECK(seen >= 6 * EVENTS);
}

static void close_reader(void) { fs_wal_reader_close(reader); }

static void verify(void)
{
    fs_wal_verify_report_t report = {.struct_size = sizeof report};
    CHECK_OK(fs_wal_verify("log", &report));
    CHECK(report.damage_count == 0);
}

static void shut_down(void) { CHECK_OK(fs_wal_shutdown(wal)); }

int main(void)
{
    void (*const calls[])(void) = {open_log,    open_again, append, sync_log,     verify,
                                   open_reader, read_all,   append, close_reader, shut_down};
    for (int round = 0; round < 2; round++) {
        /* The second time there is something to recover from. */
        for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
            cancelled(calls[i]);
    }
    return 0;
}
