/* The shortest useful program: records a few requests, and knows when they are durable.
 *
 *     record DIRECTORY
 *
 * Run it again, and it continues where the log ends. */

#include <flashstrike_wal.h>

#include <inttypes.h>
#include <stdio.h>

static int failed(const char *what)
{
    fprintf(stderr, "record: %s: %s\n", what, fs_wal_last_error());
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: record DIRECTORY\n");
        return 2;
    }
    fs_wal *wal;
    if (fs_wal_open(argv[1], NULL, &wal) != FS_WAL_OK)
        return failed("open");

    fs_wal_meta_state last;
    if (fs_wal_meta(wal, &last) != FS_WAL_OK)
        return failed("meta");

    for (uint32_t i = 1; i <= 1000; i++) {
        fs_request_event event = {
            .event_id = last.last_event_id + i, /* must rise; all other fields are up to you */
            .price = 577 * 10000 + i,
            .quantity = 100,
            .order_id = i,
        };
        /* After OK, the request survives if this process dies at any later instruction. */
        if (fs_wal_append(wal, &event) != FS_WAL_OK)
            return failed("append");
    }
    /* After OK, all of them survive a power cut too. */
    if (fs_wal_wait_durable(wal, last.last_event_id + 1000, UINT64_C(5000000000)) != FS_WAL_OK)
        return failed("wait_durable");
    printf("recorded %" PRIu64 " to %" PRIu64 ", durable\n", last.last_event_id + 1,
           last.last_event_id + 1000);

    return fs_wal_shutdown(wal) == FS_WAL_OK ? 0 : failed("shutdown");
}
