/* A whole log through the C ABI: recorded over several rotations, synced, closed, reopened,
 * replayed, searched by event id. */

#include "../support/check.h"

#define EVENTS (5 * EVENTS_PER_SMALL_SEGMENT + 100)

static fs_wal *open_log(void)
{
    fs_wal_config config = small_segments();
    config.max_segments = 2; /* so that the oldest segments are read from cold files */
    config.max_compressed_segments = FS_WAL_KEEP_ALL;
    fs_wal *wal;
    CHECK_OK(fs_wal_open("log", &config, &wal));
    return wal;
}

static void append(fs_wal *wal, uint64_t from, uint64_t to)
{
    for (uint64_t id = from; id <= to; id++) {
        /* 8 bytes past a 64-byte line: the struct's own alignment is enough. */
        _Alignas(64) unsigned char bytes[128];
        const fs_request_event event = make_event(id);
        fs_request_event *unaligned = (fs_request_event *)(void *)(bytes + 8);
        memcpy(unaligned, &event, sizeof event);
        CHECK_OK(fs_wal_append(wal, unaligned));
    }
}

static void check_meta(const fs_wal *wal, uint64_t last)
{
    fs_wal_meta_state meta;
    CHECK_OK(fs_wal_meta(wal, &meta));
    CHECK(meta.last_event_id == last);
    const uint64_t in_segment = (last - 1) % EVENTS_PER_SMALL_SEGMENT;
    CHECK(meta.last_segment_index == (last - 1) / EVENTS_PER_SMALL_SEGMENT);
    CHECK(meta.last_offset ==
          FS_WAL_SEGMENT_HEADER_SIZE + FS_WAL_BLOCK_HEADER_SIZE +
              in_segment / FS_WAL_EVENTS_PER_BLOCK * FS_WAL_BLOCK_SIZE +
              (in_segment % FS_WAL_EVENTS_PER_BLOCK + 1) * sizeof(fs_request_event));
}

/* G4: the watermark advances by itself, and at once on fs_wal_sync. */
static void check_durability(fs_wal *wal, uint64_t last)
{
    fs_wal_meta_state durable;
    CHECK_OK(fs_wal_wait_durable(wal, last, UINT64_C(120000000000)));
    CHECK_OK(fs_wal_durable(wal, &durable));
    CHECK(durable.last_event_id == last);
    CHECK_STATUS(fs_wal_wait_durable(wal, last + 1, 1000000), FS_WAL_ERR_TIMEOUT);
    CHECK_OK(fs_wal_sync(wal)); /* nothing new to sync */

    const fs_request_event event = make_event(last + 1);
    CHECK_OK(fs_wal_append(wal, &event));
    CHECK_OK(fs_wal_sync(wal));
    CHECK_OK(fs_wal_durable(wal, &durable));
    CHECK(durable.last_event_id == last + 1);
}

static void check_replay(uint64_t last)
{
    fs_wal_reader *reader;
    fs_request_event event;
    CHECK_OK(fs_wal_reader_open("log", NULL, &reader));
    for (uint64_t id = 1; id <= last; id++) {
        CHECK_OK(fs_wal_reader_next(reader, &event));
        CHECK(event.event_id == id && is_made_event(&event));
    }
    CHECK_STATUS(fs_wal_reader_next(reader, &event), FS_WAL_END);
    CHECK_STATUS(fs_wal_reader_next(reader, &event), FS_WAL_END);

    const uint64_t places[] = {
        1, last, 2 * EVENTS_PER_SMALL_SEGMENT, 2 * EVENTS_PER_SMALL_SEGMENT + 1, 300, 0};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        CHECK_OK(fs_wal_reader_seek(reader, places[i]));
        CHECK_OK(fs_wal_reader_next(reader, &event));
        CHECK(event.event_id == (places[i] ? places[i] : 1) && is_made_event(&event));
    }
    CHECK_OK(fs_wal_reader_seek(reader, last + 1));
    CHECK_STATUS(fs_wal_reader_next(reader, &event), FS_WAL_END);

    /* Batches return the same events, and can be mixed with single ones. */
    CHECK_OK(fs_wal_reader_seek(reader, 10));
    CHECK_OK(fs_wal_reader_next(reader, &event));
    uint64_t id = event.event_id;
    const fs_request_event *events;
    size_t count;
    fs_wal_status status;
    while ((status = fs_wal_reader_next_batch(reader, &events, &count)) == FS_WAL_OK) {
        CHECK(count > 0);
        for (size_t i = 0; i < count; i++)
            CHECK(events[i].event_id == ++id && is_made_event(&events[i]));
    }
    CHECK_STATUS(status, FS_WAL_END);
    CHECK(id == last);
    fs_wal_reader_close(reader);
}

int main(void)
{
    fs_wal *wal = open_log();
    fs_wal_meta_state meta;
    CHECK_OK(fs_wal_meta(wal, &meta));
    CHECK(meta.last_segment_index == 0 && meta.last_offset == 0 && meta.last_event_id == 0);

    append(wal, 1, EVENTS);
    check_meta(wal, EVENTS);
    check_replay(EVENTS); /* while the log is open for writing */
    check_durability(wal, EVENTS);
    CHECK_OK(fs_wal_shutdown(wal));
    check_replay(EVENTS + 1);

    wal = open_log();
    check_meta(wal, EVENTS + 1);
    append(wal, EVENTS + 2, EVENTS + 10); /* continues in the last segment */
    check_meta(wal, EVENTS + 10);
    CHECK_OK(fs_wal_shutdown(wal));
    check_replay(EVENTS + 10);
    return 0;
}
