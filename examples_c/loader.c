/* An engine that runs with and without the library: it loads it at run time, and records requests
 * if it is there. Links nothing but the C library.
 *
 *     loader DIRECTORY [LIBRARY]
 *
 * LIBRARY is the path of libflashstrike_wal.so, or its name if the dynamic linker finds it; by
 * default the name that linked programs look for. Exit status: 0 recorded, 1 an error, 2 wrong
 * usage, 3 no library. */

#include <flashstrike_wal_loader.h>

#include <inttypes.h>
#include <stdio.h>

/* ANCHOR: load */
/* Loads the library. If that fails the engine may go on, without a log. */
static int load(fs_wal_api *wal, const char *library)
{
    char error[FS_WAL_LOADER_ERROR_SIZE];
    if (fs_wal_load(wal, library, error, sizeof error) == FS_WAL_OK)
        return 1;
    fprintf(stderr, "runs without a log: %s\n", error);
    return 0;
}
/* ANCHOR_END: load */

static int failed(const fs_wal_api *wal, const char *call)
{
    fprintf(stderr, "%s: %s\n", call, wal->last_error());
    return 1;
}

/* ANCHOR: record */
static int record(const fs_wal_api *wal, const char *directory)
{
    fs_wal *log;
    if (wal->open(directory, NULL, &log) != FS_WAL_OK)
        return failed(wal, "open");
    fs_wal_meta_state last;
    if (wal->meta(log, &last) != FS_WAL_OK)
        return failed(wal, "meta");
    for (uint64_t id = last.last_event_id + 1; id <= last.last_event_id + 1000; id++) {
        fs_request_event event = {0};
        event.event_id = id;
        if (wal->append(log, &event) != FS_WAL_OK)
            return failed(wal, "append");
    }
    if (wal->shutdown(log) != FS_WAL_OK)
        return failed(wal, "shutdown");
    printf("recorded up to %" PRIu64 " with version %s\n", last.last_event_id + 1000,
           wal->version());
    return 0;
}
/* ANCHOR_END: record */

int main(int argc, char **argv)
{
    fs_wal_api wal;
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: loader DIRECTORY [LIBRARY]\n");
        return 2;
    }
    if (!load(&wal, argc == 3 ? argv[2] : NULL))
        return 3;
    const int status = record(&wal, argv[1]);
    fs_wal_unload(&wal);
    return status;
}
