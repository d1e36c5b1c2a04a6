/* A program that the ABI test builds with the headers of several versions, and runs with the
 * libraries of several versions. It records, reads and verifies a log in ./log through every struct
 * that grows, and prints for each how much of it the library has written:
 *
 *     fs_wal_metrics_t 1184 of 1208
 *
 * With -DLATER the header has a field `appended` at the end of each of these structs, which no
 * library knows yet. */

#include "../support/check.h"

#define EVENTS 1000
#define UNTOUCHED 0xa5

/* A struct as the library may find it: full of rubbish but for its size, and with something behind
 * it that is not the library's. */
#define GUARDED(type)                                                                             \
    struct {                                                                                      \
        type value;                                                                               \
        unsigned char behind[256];                                                                \
    }

#define PREPARE(guarded)                                                                          \
    do {                                                                                          \
        memset(&(guarded), UNTOUCHED, sizeof(guarded));                                           \
        (guarded).value.struct_size = sizeof((guarded).value);                                    \
    } while (0)

static void check_untouched(const void *from, const void *to)
{
    for (const unsigned char *byte = from; byte != to; byte++)
        CHECK(*byte == UNTOUCHED);
}

/* What a library may know of a struct. */
#ifdef LATER
#define LONGEST(type) offsetof(type, appended)
#else
#define LONGEST(type) sizeof(type)
#endif

/* The library has written what it knows of the struct, says how much that was, and has written
 * nothing behind it. */
#define CHECK_WRITTEN(guarded, type)                                                              \
    do {                                                                                          \
        const uint32_t written = (guarded).value.struct_size;                                     \
        CHECK(written > 8 && written <= LONGEST(type));                                           \
        check_untouched((const char *)&(guarded) + written, (&(guarded)) + 1);                    \
        printf(#type " %u of %zu\n", written, sizeof(type));                                      \
    } while (0)

static fs_wal *open_log(void)
{
    GUARDED(fs_wal_config) config;
    PREPARE(config);
    fs_wal_config_init(&config.value, sizeof config.value);
    CHECK(config.value.struct_size == sizeof config.value && config.value.num_blocks > 0);
    CHECK(config.value.active_dir == NULL && config.value.log == NULL);
    check_untouched(config.behind, &config + 1);

    fs_wal *wal = NULL;
#ifdef LATER
    /* A field that the library does not know is refused, not ignored. */
    CHECK(config.value.appended[2] == 0);
    config.value.appended[2] = 1;
    CHECK_STATUS(fs_wal_open("log", &config.value, &wal), FS_WAL_ERR_UNSUPPORTED);
    CHECK_ERROR_NAMES("struct_size");
    config.value.appended[2] = 0;
#endif
    config.value.num_blocks = FS_WAL_MIN_BLOCKS;
    CHECK_OK(fs_wal_open("log", &config.value, &wal));
    return wal;
}

static void record(void)
{
    fs_wal *wal = open_log();
    append_events(wal, 1, EVENTS);
    CHECK_OK(fs_wal_wait_durable(wal, EVENTS, UINT64_MAX));

    GUARDED(fs_wal_recovery_report_t) report;
    PREPARE(report);
    CHECK_OK(fs_wal_recovery_report(wal, &report.value));
    CHECK_WRITTEN(report, fs_wal_recovery_report_t);

    GUARDED(fs_wal_metrics_t) metrics;
    PREPARE(metrics);
    CHECK_OK(fs_wal_metrics(wal, &metrics.value));
    CHECK_WRITTEN(metrics, fs_wal_metrics_t);
    CHECK(metrics.value.appended_event_id == EVENTS && metrics.value.durable_event_id == EVENTS);
    PREPARE(metrics);
    CHECK_OK(fs_wal_metrics_of("log", &metrics.value));
    CHECK(metrics.value.appended_event_id == EVENTS);

    const fs_request_event again = make_event(EVENTS);
    CHECK_STATUS(fs_wal_append(wal, &again), FS_WAL_ERR_OUT_OF_ORDER);
    GUARDED(fs_wal_error_detail) detail;
    PREPARE(detail);
    CHECK_OK(fs_wal_last_error_detail(&detail.value));
    CHECK_WRITTEN(detail, fs_wal_error_detail);
    CHECK(detail.value.status == FS_WAL_ERR_OUT_OF_ORDER);
    CHECK_OK(fs_wal_shutdown(wal));
}

static void read_back(void)
{
    fs_wal_reader *reader = NULL;
    fs_wal_reader_config config = {0};
    config.struct_size = sizeof config;
    config.threads = 1;
    config.end_event_id = EVENTS - 1;
#ifdef LATER
    config.appended[0] = 1;
    CHECK_STATUS(fs_wal_reader_open("log", &config, &reader), FS_WAL_ERR_UNSUPPORTED);
    config.appended[0] = 0;
#endif
    CHECK_OK(fs_wal_reader_open("log", &config, &reader));
    fs_request_event event;
    uint64_t expected = 1;
    fs_wal_status status;
    while ((status = fs_wal_reader_next(reader, &event)) == FS_WAL_OK)
        CHECK(event.event_id == expected++ && is_made_event(&event));
    CHECK(status == FS_WAL_END && expected == EVENTS);

    GUARDED(fs_wal_reader_metrics_t) metrics;
    PREPARE(metrics);
    CHECK_OK(fs_wal_reader_metrics(reader, &metrics.value));
    CHECK_WRITTEN(metrics, fs_wal_reader_metrics_t);
    CHECK(metrics.value.events == EVENTS - 1);
    fs_wal_reader_close(reader);
}

static void keep_state(void)
{
    fs_wal_snapshot *snapshot = NULL;
    CHECK_OK(fs_wal_snapshot_create("log", EVENTS, &snapshot));
    CHECK_OK(fs_wal_snapshot_write(snapshot, "state", 5));
    CHECK_OK(fs_wal_snapshot_commit(snapshot));
    GUARDED(fs_wal_snapshot_info) info;
    PREPARE(info);
    CHECK_OK(fs_wal_snapshot_open("log", 0, &info.value, &snapshot));
    CHECK_WRITTEN(info, fs_wal_snapshot_info);
    CHECK(info.value.event_id == EVENTS && info.value.size == 5);
    fs_wal_snapshot_close(snapshot);
}

static void verify(void)
{
    static GUARDED(fs_wal_verify_report_t) report;
    PREPARE(report);
    CHECK_OK(fs_wal_verify("log", &report.value));
    CHECK_WRITTEN(report, fs_wal_verify_report_t);
    CHECK(report.value.events == EVENTS && report.value.damage_count == 0);
}

int main(void)
{
    record();
    read_back();
    keep_state();
    verify();
    return 0;
}
