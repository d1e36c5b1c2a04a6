/* The pieces of C that docs/manual.md shows, run on a log of 1,000 events. */

#define _DEFAULT_SOURCE /* usleep */

#include <flashstrike_wal.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char restored[16];

static void expect(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "manual: not so: %s (%s)\n", what, fs_wal_last_error());
    exit(1);
}

/* The follower's: it never ends by itself. */
static void apply(const fs_request_event *events, size_t count)
{
    if (count > 0 && events[count - 1].event_id == 1000)
        _exit(0);
}

static void wait_a_little(void)
{
    usleep(1000);
}

static void restore(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        restored[i] = bytes[i];
}

static void follow(const char *dir)
{
    fs_wal_reader *reader;
    const fs_request_event *events;
    size_t count;
    fs_wal_status status;
    /* ANCHOR: follow */
    fs_wal_reader_config config = {.struct_size = sizeof config, .flags = FS_WAL_READER_FOLLOW};
    status = fs_wal_reader_open(dir, &config, &reader);    /* the log need not be there yet */
    while (status == FS_WAL_OK) {
        status = fs_wal_reader_wait(reader, UINT64_MAX);
        if (status == FS_WAL_OK)
            status = fs_wal_reader_next_batch(reader, &events, &count);
        if (status == FS_WAL_OK)
            apply(events, count);
    }                                                      /* GAP, CORRUPT: see below */
    /* ANCHOR_END: follow */
    expect(0, "followed to the end");
}

static fs_wal_status take_snapshot(const char *dir, uint64_t event_id)
{
    fs_wal_snapshot *snapshot;
    fs_wal_status status;
    const char *bytes = "state";
    size_t n = 5;
    /* ANCHOR: snapshot */
    status = fs_wal_snapshot_create(dir, event_id, &snapshot);  /* the state after event_id */
    if (status != FS_WAL_OK)
        return status;
    status = fs_wal_snapshot_write(snapshot, bytes, n);         /* as often as you like */
    if (status != FS_WAL_OK) {
        fs_wal_snapshot_close(snapshot);                        /* nothing of it is left */
        return status;
    }
    while ((status = fs_wal_snapshot_commit(snapshot)) == FS_WAL_ERR_WOULD_BLOCK)
        wait_a_little();                                        /* the event is not durable yet */
    return status;
    /* ANCHOR_END: snapshot */
}

static void recover(const char *dir)
{
    fs_wal_snapshot *snapshot;
    fs_wal_reader *reader;
    fs_request_event event;
    fs_wal_status status;
    char buffer[16];
    size_t got;
    expect(fs_wal_reader_open(dir, NULL, &reader) == FS_WAL_OK, "the reader");
    /* ANCHOR: recover */
    fs_wal_snapshot_info info = {.struct_size = sizeof info};   /* event_id 0: from the beginning */
    status = fs_wal_snapshot_open(dir, 0, &info, &snapshot);    /* NOT_FOUND: there is none yet */
    if (status == FS_WAL_OK) {
        while ((status = fs_wal_snapshot_read(snapshot, buffer, sizeof buffer, &got)) == FS_WAL_OK)
            restore(buffer, got);                               /* FS_WAL_END: that was all */
        fs_wal_snapshot_close(snapshot);
    }
    if (status == FS_WAL_END || status == FS_WAL_ERR_NOT_FOUND)
        status = fs_wal_reader_seek(reader, info.event_id + 1); /* and replay */
    /* ANCHOR_END: recover */
    expect(status == FS_WAL_OK && strcmp(restored, "state") == 0, "the state");
    expect(fs_wal_reader_next(reader, &event) == FS_WAL_OK && event.event_id == 501, "the rest");
    fs_wal_reader_close(reader);
}

static void rescue(const char *dir, fs_wal *rescued)
{
    fs_wal_reader_config config = {.struct_size = sizeof config, .flags = FS_WAL_READER_SALVAGE};
    fs_wal_reader *reader;
    fs_request_event event;
    fs_wal_status status;
    fs_wal_meta_state last;
    expect(fs_wal_reader_open(dir, &config, &reader) == FS_WAL_OK, "the salvaging reader");
    /* ANCHOR: salvage */
    while ((status = fs_wal_reader_next(reader, &event)) != FS_WAL_END) {
        if (status == FS_WAL_OK) {
            if (fs_wal_append(rescued, &event) != FS_WAL_OK)
                break;                                       /* stop: it is not rescued */
        } else {
            fprintf(stderr, "%s\n", fs_wal_last_error());   /* the range that is skipped */
            if (status == FS_WAL_ERR_NO_SPACE || status == FS_WAL_ERR_LOCKED)
                break;                                       /* no range: mend it first */
        }
    }
    /* ANCHOR_END: salvage */
    fs_wal_reader_close(reader);
    expect(fs_wal_meta(rescued, &last) == FS_WAL_OK && last.last_event_id == 1000, "all of it");
}

int main(void)
{
    fs_wal *wal, *rescued;
    int child_status;
    pid_t child = fork();
    if (child == 0)
        follow("wal");
    expect(child > 0, "fork");
    expect(fs_wal_open("wal", NULL, &wal) == FS_WAL_OK, "open");
    for (uint64_t id = 1; id <= 1000; id++) {
        fs_request_event event = {.event_id = id};
        expect(fs_wal_append(wal, &event) == FS_WAL_OK, "append");
    }
    expect(waitpid(child, &child_status, 0) == child && child_status == 0, "the follower");
    expect(take_snapshot("wal", 500) == FS_WAL_OK, "the snapshot");
    recover("wal");
    expect(fs_wal_shutdown(wal) == FS_WAL_OK, "shutdown");
    expect(fs_wal_open("rescued", NULL, &rescued) == FS_WAL_OK, "open another");
    rescue("wal", rescued);
    expect(fs_wal_shutdown(rescued) == FS_WAL_OK, "shutdown of the other");
    return 0;
}
