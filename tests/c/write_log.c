/* A log for tests of examples: event n has timestamp 1000 n and quantity n.
 *
 *     write_log DIRECTORY COUNT [kill|forget]
 *
 * Goes on where the log ends. Nothing is durable before a segment is full, or the log shut down.
 * With kill the process dies by SIGKILL behind the last append; with forget retention keeps the
 * newest two segments only. */

#define _DEFAULT_SOURCE

#include "../support/check.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
    CHECK(argc == 3 || argc == 4);
    const char *how = argc == 4 ? argv[3] : "";
    fs_wal_config config;
    fs_wal_config_init(&config, sizeof config);
    config.num_blocks = 16; /* 4,096 events a segment, the fewest there can be */
    config.sync_mode = FS_WAL_SYNC_ROTATION;
    config.max_segments = 2;
    config.max_compressed_segments = strcmp(how, "forget") == 0 ? FS_WAL_KEEP_NONE
                                                                : FS_WAL_KEEP_ALL;
    fs_wal *wal;
    fs_wal_meta_state last;
    CHECK_OK(fs_wal_open(argv[1], &config, &wal));
    CHECK_OK(fs_wal_meta(wal, &last));
    const uint64_t end = last.last_event_id + strtoull(argv[2], NULL, 10);
    for (uint64_t id = last.last_event_id + 1; id <= end; id++) {
        const fs_request_event event = {
            .event_id = id, .timestamp = id * 1000, .quantity = (int64_t)id};
        CHECK_OK(fs_wal_append(wal, &event));
    }
    /* Retention has done its part: tests look for cold files, and for what is gone. */
    fs_wal_metrics_t metrics = {.struct_size = sizeof metrics};
    do {
        CHECK_OK(fs_wal_metrics(wal, &metrics));
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    } while (metrics.hot_segments > config.max_segments);
    if (strcmp(how, "kill") == 0)
        raise(SIGKILL);
    CHECK_OK(fs_wal_shutdown(wal));
    return 0;
}
