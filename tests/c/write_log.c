/* A log for tests of examples: event n has timestamp 1000 n and quantity n.
 *
 *     write_log DIRECTORY COUNT [kill|forget]
 *
 * Goes on where the log ends. Nothing is durable before a segment is full, or all is written.
 * With kill the process dies by SIGKILL behind the last append; with forget retention keeps the
 * newest two segments only. */

#define _DEFAULT_SOURCE

#include "../support/check.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int is_there(const char *directory, uint64_t index, const char *suffix)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/FS.%08llu.wal%s", directory, (unsigned long long)index, suffix);
    return access(path, F_OK) == 0;
}

/* Of all segments but the newest two, only the cold files are left, or none: tests look for cold
 * files, and for what is gone. */
static void wait_for_retention(const char *directory, const fs_wal_config *config, uint64_t newest)
{
    const int cold = config->max_compressed_segments != FS_WAL_KEEP_NONE;
    for (uint64_t index = 0; index + config->max_segments <= newest; index++)
        while (is_there(directory, index, "") || is_there(directory, index, ".lz4") != cold)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

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
    if (strcmp(how, "kill") == 0)
        raise(SIGKILL);
    CHECK_OK(fs_wal_sync(wal)); /* the newest segment counts from its first durable event */
    CHECK_OK(fs_wal_meta(wal, &last));
    wait_for_retention(argv[1], &config, last.last_segment_index);
    CHECK_OK(fs_wal_shutdown(wal));
    return 0;
}
