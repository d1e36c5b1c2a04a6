/* fs_wal_verify and FS_WAL_READER_SALVAGE through the C ABI: the damage is reported, and the reader
 * skips it. */

#include "../support/check.h"

#define EVENTS (3 * EVENTS_PER_SMALL_SEGMENT)

static void record(void)
{
    fs_wal_config config = small_segments();
    config.max_segments = FS_WAL_KEEP_ALL;
    fs_wal *wal;
    CHECK_OK(fs_wal_open("log", &config, &wal));
    for (uint64_t id = 1; id <= EVENTS; id++) {
        const fs_request_event event = make_event(id);
        CHECK_OK(fs_wal_append(wal, &event));
    }
    fs_wal_verify_report_t live = {.struct_size = sizeof live};
    CHECK_OK(fs_wal_verify("log", &live));
    CHECK(live.events == EVENTS && live.last_event_id == EVENTS);
    CHECK(live.newest == FS_WAL_NEWEST_IN_MEMORY && !live.is_copy);
    CHECK(strstr(live.active_path, "flashstrike-wal-") != NULL);
    CHECK_OK(fs_wal_sync(wal));
    CHECK_OK(fs_wal_verify("log", &live));
    CHECK(live.on_disk_event_id == EVENTS);
    CHECK_OK(fs_wal_shutdown(wal));
}

static void change_byte(const char *path, long offset)
{
    FILE *file = fopen(path, "r+b");
    CHECK(file && fseek(file, offset, SEEK_SET) == 0);
    const int byte = fgetc(file);
    CHECK(byte != EOF && fseek(file, offset, SEEK_SET) == 0);
    CHECK(fputc(byte ^ 0x20, file) != EOF && fclose(file) == 0);
}

static void check_report(uint64_t first_lost, uint64_t last_lost)
{
    fs_wal_verify_report_t report = {.struct_size = sizeof report};
    CHECK_STATUS(fs_wal_verify("log", &report), FS_WAL_ERR_CORRUPT);
    CHECK_ERROR_NAMES("FS.00000001.wal");
    CHECK(report.damage_count == 1 && report.events == EVENTS - 256);
    const fs_wal_damage *damage = &report.damages[0];
    CHECK(damage->kind == FS_WAL_DAMAGE_BLOCK && strcmp(damage->file, "FS.00000001.wal") == 0);
    CHECK(damage->has_segment_index && damage->segment_index == 1);
    CHECK(damage->offset == FS_WAL_SEGMENT_HEADER_SIZE + 2 * FS_WAL_BLOCK_SIZE);
    CHECK(damage->first_event_id == first_lost && damage->last_event_id == last_lost);
    CHECK(report.damages[1].kind == 0);

    fs_wal_error_detail detail = {.struct_size = sizeof detail};
    CHECK_OK(fs_wal_last_error_detail(&detail));
    CHECK(detail.status == FS_WAL_ERR_CORRUPT && detail.offset == damage->offset);
    CHECK(detail.first_event_id == first_lost && detail.last_event_id == last_lost);

    /* A caller with an older, shorter report gets only the fields it knows. */
    unsigned char room[sizeof report];
    memset(room, 0xaa, sizeof room);
    const uint32_t size = 24;
    memcpy(room, &size, sizeof size);
    _Alignas(8) unsigned char aligned[sizeof report];
    memcpy(aligned, room, sizeof room);
    CHECK_STATUS(fs_wal_verify("log", (fs_wal_verify_report_t *)(void *)aligned),
                 FS_WAL_ERR_CORRUPT);
    CHECK(aligned[24] == 0xaa && aligned[sizeof aligned - 1] == 0xaa);
}

static void check_salvage(uint64_t first_lost, uint64_t last_lost)
{
    const fs_wal_reader_config config = {.struct_size = sizeof config,
                                         .flags = FS_WAL_READER_SALVAGE};
    fs_wal_reader *reader;
    CHECK_OK(fs_wal_reader_open("log", &config, &reader));
    fs_request_event event;
    uint64_t expected = 1, reported = 0;
    for (;;) {
        const fs_wal_status status = fs_wal_reader_next(reader, &event);
        if (status == FS_WAL_END)
            break;
        if (status == FS_WAL_ERR_CORRUPT) {
            fs_wal_error_detail detail = {.struct_size = sizeof detail};
            CHECK_OK(fs_wal_last_error_detail(&detail));
            CHECK(detail.first_event_id == first_lost && detail.last_event_id == last_lost);
            CHECK(expected == first_lost);
            expected = last_lost + 1;
            reported++;
            continue;
        }
        CHECK_STATUS(status, FS_WAL_OK);
        CHECK(event.event_id == expected && is_made_event(&event));
        expected++;
    }
    CHECK(expected == EVENTS + 1 && reported == 1);
    CHECK_STATUS(fs_wal_reader_next(reader, &event),
                 FS_WAL_END); /* the damage is reported only once */
    fs_wal_reader_close(reader);
}

int main(void)
{
    fs_wal_verify_report_t report = {.struct_size = sizeof report};
    CHECK_STATUS(fs_wal_verify("log", &report), FS_WAL_ERR_NOT_FOUND);
    CHECK_STATUS(fs_wal_verify("/etc", &report), FS_WAL_ERR_NOT_FOUND);
    CHECK_ERROR_NAMES("/etc: there is no log here");
    record();
    CHECK_OK(fs_wal_verify("log", &report));
    CHECK(report.newest == FS_WAL_NEWEST_ON_DISK && report.active_path[0] == 0);
    CHECK(report.events == EVENTS && report.damage_count == 0 && report.hot_segments >= 3);
    CHECK(report.first_event_id == 1 && report.last_event_id == EVENTS &&
          report.durable_event_id == EVENTS);

    const uint64_t first_lost = EVENTS_PER_SMALL_SEGMENT + 2 * 256 + 1;
    change_byte("log/FS.00000001.wal", FS_WAL_SEGMENT_HEADER_SIZE + 2 * FS_WAL_BLOCK_SIZE + 1000);
    check_report(first_lost, first_lost + 255);
    check_salvage(first_lost, first_lost + 255);

    const fs_wal_reader_config both = {.struct_size = sizeof both,
                                       .flags =
                                           FS_WAL_READER_SALVAGE | FS_WAL_READER_NO_VERIFY};
    fs_wal_reader *reader;
    CHECK_STATUS(fs_wal_reader_open("log", &both, &reader), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fs_wal_verify(NULL, &report), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fs_wal_verify("log", NULL), FS_WAL_ERR_INVALID_ARGUMENT);
    return 0;
}
