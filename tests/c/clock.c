/* f11: a clock that stands at 1970 or before, or jumps, changes nothing but the times in headers:
 * a closing time of 0 would make a closed segment an open one. The clock is this program's own. */

#define _GNU_SOURCE

#include "../support/check.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SEGMENT EVENTS_PER_SMALL_SEGMENT

/* What CLOCK_REALTIME shows. The library's calls come here too. */
static _Atomic int64_t wall_clock_s;

int clock_gettime(clockid_t clock, struct timespec *now)
{
    const int status = (int)syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME) {
        now->tv_sec = wall_clock_s;
        now->tv_nsec = 0;
    }
    return status;
}

/* Appends three segments and more. The clock is at `opened`, and at `later` from the middle of the
 * second segment on: where that is before, segments are closed before they were made. */
static void record(const char *dir, uint64_t first, int64_t opened, int64_t later)
{
    wall_clock_s = opened;
    fs_wal_config config = small_segments();
    config.max_segments = 1;
    config.max_compressed_segments = FS_WAL_KEEP_ALL;
    fs_wal *wal;
    CHECK_OK(fs_wal_open(dir, &config, &wal));
    for (uint64_t id = first; id < first + 3 * SEGMENT + 10; id++) {
        if (id == first + SEGMENT * 3 / 2) {
            wall_clock_s = later;
        }
        const fs_request_event event = make_event(id);
        CHECK_OK(fs_wal_append(wal, &event));
    }
    /* All but the last are compressed: a segment that counts as open never is. */
    fs_wal_metrics_t metrics = {.struct_size = sizeof metrics};
    do {
        CHECK_OK(fs_wal_metrics(wal, &metrics));
        usleep(1000);
    } while (metrics.hot_segments > 1);
    CHECK_OK(fs_wal_shutdown(wal));
}

int main(void)
{
    const int64_t clocks[][2] = {
        {0, 0},
        {1, 1},
        {-5, -5},
        {1700000000, 1700000000},
        {0, 0},
        {4000000000, 4000000000},
        {-1, -1},
        /* It jumps while the log is open: back a little, to 1970, before, and forth. */
        {1700000000, 1699999999},
        {1700000000, 0},
        {4000000000, -1},
        {0, 1700000000},
        {0, 0},
    };
    uint64_t next = 1;
    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
        record("log", next, clocks[i][0], clocks[i][1]);
        next += 3 * SEGMENT + 10;
        fs_wal_verify_report_t report = {.struct_size = sizeof report};
        CHECK_OK(fs_wal_verify("log", &report));
        CHECK(report.events == next - 1);
    }
    fs_wal_reader *reader;
    fs_request_event event;
    CHECK_OK(fs_wal_reader_open("log", NULL, &reader));
    for (uint64_t id = 1; id < next; id++) {
        CHECK_OK(fs_wal_reader_next(reader, &event));
        CHECK(event.event_id == id && is_made_event(&event));
    }
    CHECK(fs_wal_reader_next(reader, &event) == FS_WAL_END);
    fs_wal_reader_close(reader);
    return 0;
}
