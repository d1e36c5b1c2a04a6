/* Ranges, threads and metrics of a reader through the C ABI, and a reader in a forked child. */

#define _DEFAULT_SOURCE

#include "../support/check.h"

#include <sys/wait.h>
#include <unistd.h>

#define SEGMENT EVENTS_PER_SMALL_SEGMENT
#define LAST (6 * SEGMENT + 10)

/* Event n has the time 10 * n. Some segments are cold: shutdown does not wait for that. */
static void record(void)
{
    fs_wal_config config = small_segments();
    config.max_segments = 2;
    config.max_compressed_segments = FS_WAL_KEEP_ALL;
    fs_wal *wal;
    CHECK_OK(fs_wal_open("log", &config, &wal));
    for (uint64_t id = 1; id <= LAST; id++) {
        fs_request_event event = make_event(id);
        event.timestamp = 10 * id;
        CHECK_OK(fs_wal_append(wal, &event));
    }
    fs_wal_metrics_t metrics = {.struct_size = sizeof metrics};
    do {
        usleep(1000);
        CHECK_OK(fs_wal_metrics(wal, &metrics));
    } while (metrics.cold_segments == 0);
    CHECK_OK(fs_wal_shutdown(wal));
}

static fs_wal_reader *open_reader(uint32_t threads, uint64_t end)
{
    const fs_wal_reader_config config = {
        .struct_size = sizeof config, .threads = threads, .end_event_id = end};
    fs_wal_reader *reader;
    CHECK_OK(fs_wal_reader_open("log", &config, &reader));
    return reader;
}

/* Reads on, in batches, and expects the events `first` to `last`. */
static void expect(fs_wal_reader *reader, uint64_t first, uint64_t last)
{
    const fs_request_event *events;
    size_t count;
    fs_wal_status status;
    while ((status = fs_wal_reader_next_batch(reader, &events, &count)) == FS_WAL_OK) {
        CHECK(count > 0 && (uintptr_t)events % 8 == 0);
        for (size_t i = 0; i < count; i++)
            CHECK(events[i].event_id == first + i && events[i].timestamp == 10 * (first + i));
        first += count;
    }
    CHECK_STATUS(status, FS_WAL_END);
    CHECK(first == last + 1);
}

static void ranges(uint32_t threads)
{
    fs_wal_reader *reader = open_reader(threads, 0);
    expect(reader, 1, LAST);
    CHECK_OK(fs_wal_reader_seek(reader, SEGMENT + 300));
    expect(reader, SEGMENT + 300, LAST);
    CHECK_OK(fs_wal_reader_seek_time(reader, 10 * (3 * SEGMENT + 7) - 5));
    expect(reader, 3 * SEGMENT + 7, LAST);
    CHECK_OK(fs_wal_reader_seek_time(reader, 0));
    expect(reader, 1, LAST);
    CHECK_OK(fs_wal_reader_seek_time(reader, 10 * LAST + 1));
    expect(reader, 1, 0);
    fs_wal_reader_close(reader);

    reader = open_reader(threads, 2 * SEGMENT + 1);
    expect(reader, 1, 2 * SEGMENT + 1);
    CHECK_OK(fs_wal_reader_seek(reader, SEGMENT));
    expect(reader, SEGMENT, 2 * SEGMENT + 1);
    fs_wal_reader_close(reader);
}

static void metrics(uint32_t threads)
{
    fs_wal_reader *reader = open_reader(threads, 0);
    expect(reader, 1, LAST);
    fs_wal_reader_metrics_t seen = {.struct_size = sizeof seen};
    CHECK_OK(fs_wal_reader_metrics(reader, &seen));
    CHECK(seen.struct_size == sizeof seen && seen.threads == threads && !seen.active_denied);
    CHECK(seen.events == LAST && seen.segments_opened >= 7 && seen.damages == 0);
    CHECK(seen.blocks_verified >= LAST / 256 && seen.bytes >= LAST * sizeof(fs_request_event));
    CHECK(seen.open_ns > 0 && seen.decompress_ns > 0 && seen.verify_ns > 0);
    CHECK_STATUS(fs_wal_reader_metrics(reader, NULL), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fs_wal_reader_metrics(NULL, &seen), FS_WAL_ERR_INVALID_ARGUMENT);
    seen.struct_size = 4;
    CHECK_STATUS(fs_wal_reader_metrics(reader, &seen), FS_WAL_ERR_INVALID_ARGUMENT);
    fs_wal_reader_close(reader);
}

/* The child has no threads, and may have been forked while they held any lock. It reads on from
 * where the parent stood. */
static void forked_child(void)
{
    for (uint64_t before = 1; before < LAST; before += 1777) {
        fs_wal_reader *reader = open_reader(2, 0);
        fs_request_event event;
        for (uint64_t id = 1; id <= before; id++) {
            CHECK_OK(fs_wal_reader_next(reader, &event));
            CHECK(event.event_id == id);
        }
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(120); /* instead of hanging */
            expect(reader, before + 1, LAST);
            fs_wal_reader_metrics_t seen = {.struct_size = sizeof seen};
            CHECK_OK(fs_wal_reader_metrics(reader, &seen));
            CHECK(seen.threads == 0);
            CHECK_OK(fs_wal_reader_seek(reader, 5));
            expect(reader, 5, LAST);
            fs_wal_reader_close(reader);
            _exit(0);
        }
        expect(reader, before + 1, LAST);
        fs_wal_reader_close(reader);
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && !WEXITSTATUS(status));
    }
}

int main(void)
{
    record();
    for (uint32_t threads = 0; threads <= FS_WAL_READER_MAX_THREADS; threads += 4) {
        ranges(threads);
        metrics(threads);
    }
    const fs_wal_reader_config many = {.struct_size = sizeof many,
                                       .threads = FS_WAL_READER_MAX_THREADS + 1};
    fs_wal_reader *reader = NULL;
    CHECK_STATUS(fs_wal_reader_open("log", &many, &reader), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_ERROR_NAMES("threads");
    CHECK_STATUS(fs_wal_reader_seek_time(NULL, 1), FS_WAL_ERR_INVALID_ARGUMENT);
    forked_child();
    return 0;
}
