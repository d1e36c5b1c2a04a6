/* An engine, as small as it can be: it knows the quantity that was ordered in all.
 *
 *     first DIRECTORY [crash] */

#include <flashstrike_wal.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int64_t quantity;

static void act_on(const fs_request_event *request)
{
    quantity += request->quantity;
}

/* ANCHOR: replay */
static fs_wal_status replay(const char *dir)
{
    fs_wal_reader *reader;
    const fs_request_event *events;
    size_t count;
    fs_wal_status status = fs_wal_reader_open(dir, NULL, &reader);
    if (status != FS_WAL_OK)
        return status;
    /* GAP in the next call if retention has deleted the beginning: the rest gives no state. */
    status = fs_wal_reader_seek(reader, 1);
    while (status == FS_WAL_OK) {
        status = fs_wal_reader_next_batch(reader, &events, &count);
        for (size_t i = 0; status == FS_WAL_OK && i < count; i++)
            act_on(&events[i]);
    }
    fs_wal_reader_close(reader);
    return status == FS_WAL_END ? FS_WAL_OK : status; /* END: that was all */
}
/* ANCHOR_END: replay */

/* ANCHOR: record */
static fs_wal_status record(fs_wal *wal, uint64_t *id)
{
    for (int i = 0; i < 1000; i++) {
        fs_request_event request = {
            .event_id = *id + 1, /* must rise; the other 56 bytes are yours */
            .price = 10050,
            .quantity = 100,
        };
        fs_wal_status status = fs_wal_append(wal, &request);
        if (status != FS_WAL_OK)
            return status; /* nothing was appended: do not act on it */
        *id += 1;
        act_on(&request);
    }
    return FS_WAL_OK;
}
/* ANCHOR_END: record */

static int failed(const char *what)
{
    fprintf(stderr, "first: %s: %s\n", what, fs_wal_last_error());
    return 1;
}

int main(int argc, char **argv)
{
    int crash = argc == 3 && strcmp(argv[2], "crash") == 0;
    if (argc != 2 && !crash) {
        fprintf(stderr, "usage: first DIRECTORY [crash]\n");
        return 2;
    }
    /* ANCHOR: main */
    fs_wal *wal;
    fs_wal_meta_state last;
    if (fs_wal_open(argv[1], NULL, &wal) != FS_WAL_OK)
        return failed("open");
    if (replay(argv[1]) != FS_WAL_OK)
        return failed("replay");
    if (fs_wal_meta(wal, &last) != FS_WAL_OK)
        return failed("meta");
    uint64_t id = last.last_event_id;
    printf("replayed %" PRIu64 " requests, quantity %" PRId64 "\n", id, quantity);

    if (record(wal, &id) != FS_WAL_OK)
        return failed("record");
    if (crash) {
        fflush(stdout);
        raise(SIGKILL);
    }
    if (fs_wal_wait_durable(wal, id, UINT64_MAX) != FS_WAL_OK)
        return failed("wait_durable");
    if (fs_wal_shutdown(wal) != FS_WAL_OK)
        return failed("shutdown");
    /* ANCHOR_END: main */
    printf("recorded up to %" PRIu64 ", quantity %" PRId64 "\n", id, quantity);
    return 0;
}
