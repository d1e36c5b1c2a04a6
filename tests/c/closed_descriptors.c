/* f2_, the other way round: an engine closes descriptors that are not its own after it has opened
 * the log, as daemons do (closefrom), and gets their numbers for its own files. The log fails;
 * nothing of it is written into those files, and nothing more is called durable. */

#define _GNU_SOURCE

#include "../support/at_rest.h"
#include "../support/check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES 64

/* Closes what is not the engine's: every descriptor, or those of regular files alone. */
static void close_others(int only_files)
{
    for (int descriptor = 3; descriptor < 1000; descriptor++) {
        struct stat file;
        if (!only_files || (fstat(descriptor, &file) == 0 && S_ISREG(file.st_mode)))
            close(descriptor);
    }
}

static void check_closed(const char *dir, int only_files)
{
    fs_wal *wal;
    fs_wal_config config = small_segments();
    config.sync_mode = FS_WAL_SYNC_ROTATION;
    CHECK_OK(fs_wal_open(dir, &config, &wal));
    uint64_t id = 1;
    for (; id <= 1000; id++) {
        const fs_request_event event = make_event(id);
        CHECK_OK(fs_wal_append(wal, &event));
    }
    CHECK_OK(fs_wal_sync(wal));
    /* A call that is under way on a descriptor that is closed at that moment cannot be helped. */
    wait_until_at_rest(wal);
    close_others(only_files);
    char name[32];
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "%s-own-%d", dir, i);
        CHECK(open(name, O_RDWR | O_CREAT | O_TRUNC, 0600) >= 0);
    }
    fs_wal_status status = FS_WAL_OK;
    for (; status == FS_WAL_OK && id <= 20 * EVENTS_PER_SMALL_SEGMENT; id++) {
        const fs_request_event event = make_event(id);
        status = fs_wal_append(wal, &event);
    }
    CHECK_STATUS(fs_wal_sync(wal), FS_WAL_ERR_POISONED);
    fs_wal_meta_state durable;
    CHECK_OK(fs_wal_durable(wal, &durable));
    CHECK(durable.last_event_id == 1000);
    for (int i = 0; i < FILES; i++) {
        struct stat own;
        snprintf(name, sizeof name, "%s-own-%d", dir, i);
        CHECK(stat(name, &own) == 0 && own.st_size == 0);
    }
    CHECK_STATUS(fs_wal_shutdown(wal), FS_WAL_ERR_POISONED);
}

int main(void)
{
    check_closed("all", 0);
    check_closed("files", 1);
    return 0;
}
