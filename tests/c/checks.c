/* f45: misuse that `fs_wal_config.checks` finds: two threads append at once, or one appends while
 * another shuts the log down; a slot is written when it is not claimed any more, or the log is shut
 * down. Nothing of it reaches the log. */

#include "../support/check.h"

#include <pthread.h>
#include <stdatomic.h>

static fs_wal *open_checked(const char *dir, uint32_t checks)
{
    fs_wal_config config = small_segments();
    config.max_segments = FS_WAL_KEEP_ALL;
    config.checks = checks;
    fs_wal *wal;
    CHECK_OK(fs_wal_open(dir, &config, &wal));
    return wal;
}

static fs_wal *shared;
static _Atomic uint64_t next_id = 1;
static atomic_int found;

/* Appends with ids of its own; the other thread's may be higher by then, which is in order. */
static void *append_until_found(void *unused)
{
    (void)unused;
    while (!atomic_load(&found)) {
        const fs_request_event event = make_event(atomic_fetch_add(&next_id, 1));
        const fs_wal_status status = fs_wal_append(shared, &event);
        if (status == FS_WAL_ERR_INVALID_ARGUMENT) {
            CHECK_ERROR_NAMES("two threads append at once: thread ");
            atomic_store(&found, 1);
        } else {
            CHECK(status == FS_WAL_OK || status == FS_WAL_ERR_OUT_OF_ORDER);
        }
    }
    return NULL;
}

static void check_two_writers(void)
{
    shared = open_checked("two", FS_WAL_CHECK_ONE_WRITER);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, append_until_found, NULL) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    const fs_request_event event = make_event(atomic_load(&next_id));
    CHECK_OK(fs_wal_append(shared, &event));
    CHECK_OK(fs_wal_shutdown(shared));
    fs_wal_verify_report_t report = {.struct_size = sizeof report};
    CHECK_OK(fs_wal_verify("two", &report));
    CHECK(report.last_event_id == event.event_id);
}

static atomic_int shut_down;

/* Appends until it is turned away for good. Returns the last event that was acknowledged. */
static void *append_until_shut_down(void *unused)
{
    (void)unused;
    uint64_t last = 0;
    for (;;) {
        const int is_shut_down = atomic_load(&shut_down);
        const fs_request_event event = make_event(last + 1);
        const fs_wal_status status = fs_wal_append(shared, &event);
        if (status == FS_WAL_OK) {
            CHECK(!is_shut_down);
            last++;
            atomic_store(&next_id, last);
            continue;
        }
        CHECK_STATUS(status, FS_WAL_ERR_INVALID_ARGUMENT);
        if (is_shut_down) {
            CHECK_ERROR_NAMES("wal is not an open log");
            return (void *)(uintptr_t)last;
        }
    }
}

/* The log is shut down while its writer still appends: one of the two is turned away, and what was
 * acknowledged is there. */
static void check_shutdown_beside_a_writer(void)
{
    int refused = 0;
    /* Whether the two meet is chance, on some machines one in twenty: ten rounds, and more until
     * they have. */
    for (int round = 0; round < 10 || (refused == 0 && round < 400); round++) {
        char dir[16];
        snprintf(dir, sizeof dir, "beside-%d", round);
        shared = open_checked(dir, FS_WAL_CHECK_ONE_WRITER);
        atomic_store(&next_id, 0);
        atomic_store(&shut_down, 0);
        pthread_t writer;
        CHECK(pthread_create(&writer, NULL, append_until_shut_down, NULL) == 0);
        while (atomic_load(&next_id) < 1000)
            ;
        fs_wal_status status;
        while ((status = fs_wal_shutdown(shared)) != FS_WAL_OK) {
            CHECK_STATUS(status, FS_WAL_ERR_INVALID_ARGUMENT);
            CHECK_ERROR_NAMES("is shut down while thread ");
            refused++;
        }
        atomic_store(&shut_down, 1);
        void *last;
        CHECK(pthread_join(writer, &last) == 0);
        fs_wal_verify_report_t report = {.struct_size = sizeof report};
        CHECK_OK(fs_wal_verify(dir, &report));
        CHECK(report.last_event_id == (uintptr_t)last && report.events == (uintptr_t)last);
    }
    CHECK(refused > 0);
}

static void fill(fs_request_event *slot, uint64_t id)
{
    const fs_request_event event = make_event(id);
    memcpy((char *)slot + 8, (const char *)&event + 8, sizeof event - 8);
}

static void check_slots(void)
{
    fs_wal *wal = open_checked("slots", FS_WAL_CHECK_SLOTS);
    fs_request_event *slot, *before;
    CHECK_STATUS(fs_wal_commit(wal, 1), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_OK(fs_wal_claim(wal, &slot));
    fill(slot, 1);
    CHECK_OK(fs_wal_commit(wal, 1));
    before = slot;

    /* After its commit. The next call says so, once. */
    before->price = 7;
    CHECK_STATUS(fs_wal_claim(wal, &slot), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_ERROR_NAMES("written after it was given back (last committed event: 1)");
    CHECK_OK(fs_wal_claim(wal, &slot));
    fill(slot, 2);
    CHECK_STATUS(fs_wal_commit(wal, 1), FS_WAL_ERR_OUT_OF_ORDER);
    CHECK_OK(fs_wal_commit(wal, 2));

    /* After another call has taken it back. */
    CHECK_OK(fs_wal_claim(wal, &slot));
    const fs_request_event third = make_event(3);
    CHECK_OK(fs_wal_append(wal, &third));
    slot->user_id = 7;
    const fs_request_event fourth = make_event(4);
    size_t appended = 9;
    CHECK_STATUS(fs_wal_append_batch(wal, &fourth, 1, &appended), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK(appended == 0);
    CHECK_OK(fs_wal_append_batch(wal, &fourth, 1, &appended));
    CHECK_STATUS(fs_wal_commit(wal, 5), FS_WAL_ERR_INVALID_ARGUMENT);

    /* A call that has stored nothing takes it back, too. */
    CHECK_OK(fs_wal_claim(wal, &slot));
    fill(slot, 5);
    CHECK_OK(fs_wal_append_batch(wal, &fourth, 0, &appended));
    CHECK_STATUS(fs_wal_commit(wal, 5), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_OK(fs_wal_claim(wal, &slot));
    fill(slot, 5);
    CHECK_STATUS(fs_wal_append(wal, &fourth), FS_WAL_ERR_OUT_OF_ORDER);
    CHECK_STATUS(fs_wal_commit(wal, 5), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_OK(fs_wal_shutdown(wal));

    fs_wal_reader *reader;
    fs_request_event event;
    CHECK_OK(fs_wal_reader_open("slots", NULL, &reader));
    for (uint64_t id = 1; id <= 4; id++) {
        CHECK_OK(fs_wal_reader_next(reader, &event));
        CHECK(event.event_id == id && is_made_event(&event));
    }
    CHECK(fs_wal_reader_next(reader, &event) == FS_WAL_END);
    fs_wal_reader_close(reader);
}

/* The slot is the log's no longer when that is shut down: what is written there reaches neither it
 * nor the log that has the same handle next, which says so. */
static void check_slots_after_a_shutdown(void)
{
    fs_wal *wal = open_checked("before", FS_WAL_CHECK_SLOTS);
    fs_request_event *slot;
    CHECK_OK(fs_wal_claim(wal, &slot));
    fill(slot, 1);
    CHECK_OK(fs_wal_commit(wal, 1));
    CHECK_OK(fs_wal_claim(wal, &slot));
    CHECK_OK(fs_wal_shutdown(wal));
    fill(slot, 2);
    CHECK_STATUS(fs_wal_commit(wal, 2), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_ERROR_NAMES("wal is not an open log");
    const fs_request_event second = make_event(2);
    CHECK_STATUS(fs_wal_append(wal, &second), FS_WAL_ERR_INVALID_ARGUMENT);

    fs_wal *next = open_checked("next", FS_WAL_CHECK_SLOTS);
    CHECK(next == wal);
    const fs_request_event first = make_event(1);
    CHECK_OK(fs_wal_append(next, &first));
    slot->price = 7;
    CHECK_STATUS(fs_wal_append(next, &second), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_ERROR_NAMES("written after it was given back");
    CHECK_OK(fs_wal_append(next, &second));
    CHECK_OK(fs_wal_shutdown(next));

    for (uint64_t events = 1; events <= 2; events++) {
        fs_wal_reader *reader;
        fs_request_event event;
        CHECK_OK(fs_wal_reader_open(events == 1 ? "before" : "next", NULL, &reader));
        for (uint64_t id = 1; id <= events; id++) {
            CHECK_OK(fs_wal_reader_next(reader, &event));
            CHECK(event.event_id == id && is_made_event(&event));
        }
        CHECK(fs_wal_reader_next(reader, &event) == FS_WAL_END);
        fs_wal_reader_close(reader);
    }
}

/* With checks on, everything else is as ever: across blocks and segments, in all ways. */
static void check_that_the_rest_works(void)
{
    fs_wal *wal = open_checked("rest", FS_WAL_CHECK_ONE_WRITER | FS_WAL_CHECK_SLOTS);
    for (uint64_t id = 1; id <= 3 * EVENTS_PER_SMALL_SEGMENT; id++) {
        fs_request_event *slot;
        const fs_request_event event = make_event(id);
        if (id % 2) {
            CHECK_OK(fs_wal_append(wal, &event));
        } else {
            CHECK_OK(fs_wal_claim(wal, &slot));
            fill(slot, id);
            CHECK_OK(fs_wal_commit(wal, id));
        }
    }
    CHECK_OK(fs_wal_shutdown(wal));
    fs_wal_verify_report_t report = {.struct_size = sizeof report};
    CHECK_OK(fs_wal_verify("rest", &report));
    CHECK(report.events == 3 * EVENTS_PER_SMALL_SEGMENT);
}

int main(void)
{
    fs_wal_config config = small_segments();
    fs_wal *wal;
    config.checks = 4;
    CHECK_STATUS(fs_wal_open("none", &config, &wal), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_ERROR_NAMES("config.checks is 0x4");
    check_two_writers();
    check_shutdown_beside_a_writer();
    check_slots();
    check_slots_after_a_shutdown();
    check_that_the_rest_works();
    return 0;
}
