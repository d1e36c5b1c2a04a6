/* Snapshots and holds through the C ABI: recovery from a snapshot, a hold that lasts, and what the
 * calls refuse. */

#include "../support/check.h"

#include <sys/wait.h>
#include <unistd.h>

#define SEGMENT EVENTS_PER_SMALL_SEGMENT
#define STATE_SIZE 100000

/* Keeps as little as it can. */
static fs_wal *open_log(const char *dir)
{
    fs_wal_config config = small_segments();
    config.max_segments = 1;
    config.max_compressed_segments = FS_WAL_KEEP_NONE;
    config.max_snapshots = 1;
    fs_wal *wal;
    CHECK_OK(fs_wal_open(dir, &config, &wal));
    return wal;
}

/* The first event from this one on; of the whole log, if that is 1. */
static uint64_t first_from(const char *dir, uint64_t id)
{
    fs_wal_reader *reader;
    fs_request_event event;
    CHECK_OK(fs_wal_reader_open(dir, NULL, &reader));
    if (id > 1)
        CHECK_OK(fs_wal_reader_seek(reader, id));
    CHECK_OK(fs_wal_reader_next(reader, &event));
    CHECK(is_made_event(&event));
    fs_wal_reader_close(reader);
    return event.event_id;
}

static unsigned char byte_of(uint64_t event_id, size_t n)
{
    return (unsigned char)(event_id * 31 + n * n / 7);
}

static fs_wal_snapshot *begin(const char *dir, uint64_t event_id)
{
    static unsigned char state[STATE_SIZE];
    fs_wal_snapshot *snapshot;
    CHECK_OK(fs_wal_snapshot_create(dir, event_id, &snapshot));
    for (size_t n = 0; n < sizeof state; n++)
        state[n] = byte_of(event_id, n);
    CHECK_OK(fs_wal_snapshot_write(snapshot, state, 7));
    CHECK_OK(fs_wal_snapshot_write(snapshot, NULL, 0));
    CHECK_OK(fs_wal_snapshot_write(snapshot, state + 7, sizeof state - 7));
    return snapshot;
}

static void take(const char *dir, uint64_t event_id)
{
    fs_wal_snapshot *snapshot = begin(dir, event_id);
    fs_wal_status status;
    while ((status = fs_wal_snapshot_commit(snapshot)) == FS_WAL_ERR_WOULD_BLOCK)
        usleep(1000);
    CHECK_OK(status);
}

static void check_opened(const char *dir, uint64_t event_id, uint32_t passed_over)
{
    fs_wal_snapshot_info info = {.struct_size = sizeof info};
    fs_wal_snapshot *snapshot;
    CHECK_OK(fs_wal_snapshot_open(dir, 0, &info, &snapshot));
    CHECK(info.event_id == event_id && info.size == STATE_SIZE && info.created_ns > 0);
    CHECK(info.passed_over == passed_over && info.struct_size == sizeof info);
    unsigned char buf[999];
    size_t got, at = 0;
    fs_wal_status status;
    while ((status = fs_wal_snapshot_read(snapshot, buf, sizeof buf, &got)) == FS_WAL_OK)
        for (size_t n = 0; n < got; n++, at++)
            CHECK(buf[n] == byte_of(event_id, at));
    CHECK_STATUS(status, FS_WAL_END);
    CHECK(at == STATE_SIZE);
    fs_wal_snapshot_close(snapshot);
}

static void check_snapshots(void)
{
    fs_wal *wal = open_log("taken");
    append_events(wal, 1, SEGMENT + 100);
    take("taken", SEGMENT + 50);
    append_events(wal, SEGMENT + 101, 6 * SEGMENT);
    check_opened("taken", SEGMENT + 50, 0);
    CHECK(first_from("taken", SEGMENT + 51) == SEGMENT + 51);

    /* Never ahead of the log. */
    fs_wal_snapshot *ahead = begin("taken", 6 * SEGMENT + 1);
    CHECK_STATUS(fs_wal_snapshot_commit(ahead), FS_WAL_ERR_WOULD_BLOCK);
    CHECK_STATUS(fs_wal_snapshot_write(ahead, "x", 1), FS_WAL_ERR_INVALID_ARGUMENT);
    fs_wal_snapshot_close(ahead);

    /* A forked child takes one, and the parent's it must leave alone. */
    fs_wal_snapshot *mine = begin("taken", 3 * SEGMENT);
    const pid_t child = fork();
    if (child == 0) {
        CHECK_STATUS(fs_wal_snapshot_commit(mine), FS_WAL_ERR_CLOSED);
        fs_wal_snapshot_close(mine);
        take("taken", 4 * SEGMENT);
        _exit(0);
    }
    int ended;
    CHECK(waitpid(child, &ended, 0) == child && ended == 0);
    check_opened("taken", 4 * SEGMENT, 0);
    fs_wal_snapshot_close(mine);
    fs_wal_snapshot_close(NULL);
    CHECK_OK(fs_wal_shutdown(wal));
}

/* A damaged one is passed over, and said. */
static void check_passed_over(void)
{
    fs_wal_config config = small_segments();
    fs_wal *wal;
    CHECK_OK(fs_wal_open("damaged", &config, &wal));
    append_events(wal, 1, 100);
    CHECK_OK(fs_wal_shutdown(wal));
    take("damaged", 50);
    take("damaged", 60);
    FILE *file = fopen("damaged/SNAP.00000000000000000060.fss", "r+b");
    CHECK(file && fseek(file, 1000, SEEK_SET) == 0 && fputs("damage", file) > 0);
    CHECK(fclose(file) == 0);
    check_opened("damaged", 50, 1);
    CHECK_ERROR_NAMES("SNAP.00000000000000000060.fss");
    fs_wal_error_detail detail = {.struct_size = sizeof detail};
    CHECK_STATUS(fs_wal_snapshot_open("damaged", 1, NULL, NULL), FS_WAL_ERR_INVALID_ARGUMENT);
    fs_wal_snapshot *snapshot;
    CHECK_STATUS(fs_wal_snapshot_open("damaged", 1, NULL, &snapshot), FS_WAL_ERR_NOT_FOUND);
    CHECK_OK(fs_wal_last_error_detail(&detail));
    CHECK(detail.status == FS_WAL_ERR_NOT_FOUND);

    /* One that is read is not written. */
    CHECK_OK(fs_wal_snapshot_open("damaged", 0, NULL, &snapshot));
    CHECK_STATUS(fs_wal_snapshot_write(snapshot, "x", 1), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fs_wal_snapshot_commit(snapshot), FS_WAL_ERR_INVALID_ARGUMENT);
    fs_wal_snapshot_close(snapshot);
}

static void check_holds(void)
{
    fs_wal *wal = open_log("held");
    fs_wal_hold *hold, *other;
    uint64_t at;
    CHECK_OK(fs_wal_hold_open("held", "backup", 0, &hold));
    append_events(wal, 1, 5 * SEGMENT + 1);
    CHECK_OK(fs_wal_hold_get(hold, &at));
    CHECK(at == 1);
    CHECK_STATUS(fs_wal_hold_open("held", "backup", 0, &other), FS_WAL_ERR_LOCKED);
    CHECK_STATUS(fs_wal_hold_remove("held", "backup"), FS_WAL_ERR_LOCKED);
    CHECK_OK(fs_wal_hold_move(hold, 2 * SEGMENT + 10));
    fs_wal_hold_close(hold);
    CHECK_OK(fs_wal_shutdown(wal));
    CHECK(first_from("held", 1) == 2 * SEGMENT + 1);

    wal = open_log("held");
    append_events(wal, 5 * SEGMENT + 2, 7 * SEGMENT + 1);
    CHECK_STATUS(fs_wal_hold_open("held", "late", 5, &hold), FS_WAL_ERR_GAP);
    fs_wal_error_detail detail = {.struct_size = sizeof detail};
    CHECK_OK(fs_wal_last_error_detail(&detail));
    CHECK(detail.first_event_id == 5 && detail.last_event_id == 2 * SEGMENT);
    CHECK_OK(fs_wal_hold_open("held", "backup", 5, &hold));
    CHECK_OK(fs_wal_hold_get(hold, &at));
    CHECK(at == 2 * SEGMENT + 10);
    const pid_t child = fork();
    if (child == 0) {
        CHECK_STATUS(fs_wal_hold_move(hold, 7 * SEGMENT), FS_WAL_ERR_CLOSED);
        fs_wal_hold_close(hold);
        _exit(0);
    }
    int ended;
    CHECK(waitpid(child, &ended, 0) == child && ended == 0);
    CHECK_OK(fs_wal_hold_get(hold, &at));
    CHECK(at == 2 * SEGMENT + 10);
    fs_wal_hold_close(hold);
    fs_wal_hold_close(NULL);
    CHECK_OK(fs_wal_hold_remove("held", "backup"));
    CHECK_STATUS(fs_wal_hold_remove("held", "backup"), FS_WAL_ERR_NOT_FOUND);
    CHECK_OK(fs_wal_shutdown(wal));
    CHECK(first_from("held", 1) == 7 * SEGMENT + 1);
}

static void check_refused(void)
{
    fs_wal_snapshot *snapshot;
    fs_wal_hold *hold;
    fs_wal_snapshot_info info = {.struct_size = 7};
    size_t got;
    CHECK_STATUS(fs_wal_snapshot_create(NULL, 1, &snapshot), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fs_wal_snapshot_create("held", 0, &snapshot), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fs_wal_snapshot_create("held", 1, NULL), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fs_wal_snapshot_create("absent", 1, &snapshot), FS_WAL_ERR_NOT_FOUND);
    CHECK_STATUS(fs_wal_snapshot_write(NULL, "", 0), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_ERROR_NAMES("snapshot is NULL");
    CHECK_STATUS(fs_wal_snapshot_commit(NULL), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fs_wal_snapshot_read(NULL, NULL, 0, &got), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fs_wal_snapshot_open("held", 0, &info, &snapshot), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_ERROR_NAMES("info.struct_size is 7");
    CHECK_OK(fs_wal_snapshot_create("held", 9, &snapshot));
    CHECK_STATUS(fs_wal_snapshot_write(snapshot, NULL, 1), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fs_wal_snapshot_read(snapshot, &got, 1, &got), FS_WAL_ERR_INVALID_ARGUMENT);
    fs_wal_snapshot_close(snapshot);
    CHECK_STATUS(fs_wal_hold_open("held", NULL, 0, &hold), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fs_wal_hold_open("held", "a/b", 0, &hold), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fs_wal_hold_open("held", "a", 0, NULL), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fs_wal_hold_open("absent", "a", 0, &hold), FS_WAL_ERR_NOT_FOUND);
    CHECK_STATUS(fs_wal_hold_move(NULL, 1), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_ERROR_NAMES("hold is NULL");
    CHECK_STATUS(fs_wal_hold_get(NULL, NULL), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fs_wal_hold_remove("held", NULL), FS_WAL_ERR_INVALID_ARGUMENT);
}

int main(void)
{
    check_snapshots();
    check_passed_over();
    check_holds();
    check_refused();
    return 0;
}
