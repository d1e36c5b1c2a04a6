/* Retention through the C ABI (G11): the retention floor of an open log, and the gap reported
 * to a reader whose next events were deleted. */

#include "../support/check.h"

#define SEGMENT EVENTS_PER_SMALL_SEGMENT

/* Keeps one hot segment and no cold one, so retention deletes every segment below the floor but the
 * newest. */
static fs_wal *open_log(const char *dir, uint64_t floor)
{
    fs_wal_config config = small_segments();
    config.max_segments = 1;
    config.max_compressed_segments = FS_WAL_KEEP_NONE;
    config.retention_floor = floor;
    fs_wal *wal;
    CHECK_OK(fs_wal_open(dir, &config, &wal));
    return wal;
}

static uint64_t first_of(const char *dir)
{
    fs_wal_reader *reader;
    fs_request_event event;
    CHECK_OK(fs_wal_reader_open(dir, NULL, &reader));
    CHECK_OK(fs_wal_reader_next(reader, &event));
    CHECK(is_made_event(&event));
    fs_wal_reader_close(reader);
    return event.event_id;
}

/* Shutdown waits until retention has deleted all it may. */
static void check_floor(void)
{
    fs_wal *wal = open_log("floor", 1);
    append_events(wal, 1, 5 * SEGMENT + 1);
    CHECK_OK(fs_wal_set_retention_floor(wal, 2 * SEGMENT + 10));
    CHECK_OK(fs_wal_shutdown(wal));
    CHECK(first_of("floor") == 2 * SEGMENT + 1);

    wal = open_log("floor", 1);
    CHECK_OK(fs_wal_set_retention_floor(wal, 0));
    CHECK_OK(fs_wal_shutdown(wal));
    CHECK(first_of("floor") == 5 * SEGMENT + 1);

    CHECK_STATUS(fs_wal_set_retention_floor(NULL, 1), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_ERROR_NAMES("wal is NULL");
}

static void check_gap(void)
{
    fs_wal *wal = open_log("gap", 0);
    append_events(wal, 1, 10);
    fs_wal_reader *reader;
    CHECK_OK(fs_wal_reader_open("gap", NULL, &reader));
    append_events(wal, 11, 4 * SEGMENT + 1);
    CHECK_OK(fs_wal_shutdown(wal));

    fs_request_event event;
    for (uint64_t id = 1; id <= SEGMENT; id++) { /* the reader still has its current segment open */
        CHECK_OK(fs_wal_reader_next(reader, &event));
        CHECK(event.event_id == id && is_made_event(&event));
    }
    CHECK_STATUS(fs_wal_reader_next(reader, &event), FS_WAL_ERR_GAP);
    CHECK(event.event_id == SEGMENT); /* unchanged by a failed call */
    CHECK_ERROR_NAMES("events 4097 to 16384");
    fs_wal_error_detail detail = {.struct_size = sizeof detail};
    CHECK_OK(fs_wal_last_error_detail(&detail));
    CHECK(detail.status == FS_WAL_ERR_GAP && detail.has_segment_index && detail.segment_index == 1);
    CHECK(detail.first_event_id == SEGMENT + 1 && detail.last_event_id == 4 * SEGMENT);

    /* The gap is reported once; the next call continues after it. */
    const fs_request_event *events;
    size_t count;
    CHECK_OK(fs_wal_reader_next_batch(reader, &events, &count));
    CHECK(count == 1 && events[0].event_id == 4 * SEGMENT + 1 && is_made_event(events));
    CHECK_STATUS(fs_wal_reader_next(reader, &event), FS_WAL_END);

    /* Seeking a deleted event succeeds. The next read reports what is gone, once; then it continues
     * at the oldest event there is. */
    CHECK_OK(fs_wal_reader_seek(reader, 17));
    CHECK_STATUS(fs_wal_reader_next(reader, &event), FS_WAL_ERR_GAP);
    CHECK_ERROR_NAMES("events 17 to 16384");
    CHECK_OK(fs_wal_reader_next(reader, &event));
    CHECK(event.event_id == 4 * SEGMENT + 1);
    fs_wal_reader_close(reader);
}

int main(void)
{
    check_floor();
    check_gap();
    return 0;
}
