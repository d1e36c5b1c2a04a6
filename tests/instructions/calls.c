/* Usage: calls append|batch|claim COUNT
 * Appends COUNT events to a new log in ./log, while tools/instruction_counts.py counts the
 * instructions. The events fit into one segment, so that the count does not depend on how fast the
 * workers are. */

#include "../support/check.h"

#define EVENTS_PER_CALL 256

static void append_each(fs_wal *wal, uint64_t count)
{
    fs_request_event event = make_event(1);
    for (uint64_t id = 1; id <= count; id++) {
        event.event_id = id;
        CHECK_OK(fs_wal_append(wal, &event));
    }
}

static void append_batches(fs_wal *wal, uint64_t count)
{
    static fs_request_event events[EVENTS_PER_CALL];
    for (uint64_t id = 1; id <= count; id += EVENTS_PER_CALL) {
        size_t appended = 0;
        for (uint64_t i = 0; i < EVENTS_PER_CALL; i++)
            events[i].event_id = id + i;
        CHECK_OK(fs_wal_append_batch(wal, events, EVENTS_PER_CALL, &appended));
        CHECK(appended == EVENTS_PER_CALL);
    }
}

static void claim_each(fs_wal *wal, uint64_t count)
{
    for (uint64_t id = 1; id <= count; id++) {
        fs_request_event *slot;
        CHECK_OK(fs_wal_claim(wal, &slot));
        slot->price = (int64_t)id;
        CHECK_OK(fs_wal_commit(wal, id));
    }
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    const uint64_t count = strtoull(argv[2], NULL, 10);
    fs_wal_config config;
    fs_wal_config_init(&config, sizeof config);
    config.num_blocks = (uint32_t)(count / FS_WAL_EVENTS_PER_BLOCK) + 1;
    config.prepared_segments = 1;
    config.sync_mode = FS_WAL_SYNC_ROTATION;
    CHECK(count % EVENTS_PER_CALL == 0 && config.num_blocks > FS_WAL_MIN_BLOCKS);

    fs_wal *wal;
    CHECK_OK(fs_wal_open("log", &config, &wal));
    if (strcmp(argv[1], "append") == 0)
        append_each(wal, count);
    else if (strcmp(argv[1], "batch") == 0)
        append_batches(wal, count);
    else if (strcmp(argv[1], "claim") == 0)
        claim_each(wal, count);
    else
        CHECK(!"a way to append");

    fs_wal_meta_state meta;
    CHECK_OK(fs_wal_meta(wal, &meta));
    CHECK(meta.last_segment_index == 0 && meta.last_event_id == count);
    CHECK_OK(fs_wal_shutdown(wal));
    return 0;
}
