/* Following through the C interface: two processes, and what a follower may and may not ask for. */

#include "../support/check.h"

#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVENTS = 30000 };

static fs_wal_reader *follow(const char *log, uint32_t flags, uint64_t spin_ns)
{
    const fs_wal_reader_config config = {.struct_size = sizeof config,
                                         .flags = FS_WAL_READER_FOLLOW | flags,
                                         .spin_ns = spin_ns};
    fs_wal_reader *reader = NULL;
    CHECK_OK(fs_wal_reader_open(log, &config, &reader));
    return reader;
}

/* Reads all events, by waiting for each or by looking for batches. */
static void read_all(uint32_t flags, int by_batches)
{
    fs_wal_reader *reader = follow("log", flags, by_batches ? UINT64_MAX : 0);
    for (uint64_t id = 1; id <= EVENTS;) {
        CHECK_OK(fs_wal_reader_wait(reader, UINT64_MAX));
        fs_request_event event;
        const fs_request_event *events = &event;
        size_t count = 1;
        if (by_batches)
            CHECK_OK(fs_wal_reader_next_batch(reader, &events, &count));
        else
            CHECK_OK(fs_wal_reader_next(reader, &event));
        CHECK(count > 0);
        for (size_t n = 0; n < count; n++, id++)
            CHECK(events[n].event_id == id && is_made_event(&events[n]));
    }
    fs_request_event none;
    CHECK_STATUS(fs_wal_reader_next(reader, &none), FS_WAL_ERR_WOULD_BLOCK);
    CHECK_STATUS(fs_wal_reader_wait(reader, 0), FS_WAL_ERR_TIMEOUT);
    CHECK_STATUS(fs_wal_reader_wait(reader, 2000000), FS_WAL_ERR_TIMEOUT);
    CHECK_OK(fs_wal_reader_seek(reader, EVENTS));
    CHECK_OK(fs_wal_reader_wait(reader, UINT64_MAX));
    CHECK_OK(fs_wal_reader_next(reader, &none));
    CHECK(none.event_id == EVENTS);
    fs_wal_reader_close(reader);
}

static pid_t start(uint32_t flags, int by_batches)
{
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        read_all(flags, by_batches);
        _exit(0);
    }
    return child;
}

static void what_cannot_be_asked_for(void)
{
    fs_wal_reader *reader = NULL;
    const uint32_t others[] = {FS_WAL_READER_FOLLOW, FS_WAL_READER_DURABLE_ONLY};
    for (size_t n = 0; n < 2; n++) {
        const fs_wal_reader_config config = {.struct_size = sizeof config,
                                             .flags = FS_WAL_READER_SALVAGE | others[n]};
        CHECK_STATUS(fs_wal_reader_open("log", &config, &reader), FS_WAL_ERR_INVALID_ARGUMENT);
    }
    CHECK_OK(fs_wal_reader_open("log", NULL, &reader));
    CHECK_STATUS(fs_wal_reader_wait(reader, 0), FS_WAL_ERR_INVALID_ARGUMENT);
    fs_wal_reader_close(reader);
    CHECK_STATUS(fs_wal_reader_wait(NULL, 0), FS_WAL_ERR_INVALID_ARGUMENT);
    const fs_wal_reader_config durable = {.struct_size = sizeof durable,
                                          .flags = FS_WAL_READER_DURABLE_ONLY};
    CHECK_STATUS(fs_wal_reader_open("absent", &durable, &reader), FS_WAL_ERR_NOT_FOUND);
    CHECK_OK(fs_wal_reader_open("log", &durable, &reader));
    fs_request_event event;
    for (uint64_t id = 1; id <= EVENTS; id++)
        CHECK_OK(fs_wal_reader_next(reader, &event));
    CHECK_STATUS(fs_wal_reader_next(reader, &event), FS_WAL_END);
    fs_wal_reader_close(reader);
}

/* The log comes when the process is somewhere else. */
static void from_another_directory(void)
{
    fs_wal_reader *reader = follow("late", 0, 0);
    CHECK(mkdir("elsewhere", 0700) == 0 && chdir("elsewhere") == 0);
    fs_wal *wal = NULL;
    CHECK_OK(fs_wal_open("../late", NULL, &wal));
    fs_request_event event = make_event(1);
    CHECK_OK(fs_wal_append(wal, &event));
    CHECK_OK(fs_wal_reader_wait(reader, UINT64_C(60000000000)));
    CHECK_OK(fs_wal_reader_next(reader, &event));
    CHECK(event.event_id == 1);
    fs_wal_reader_close(reader);
    CHECK_OK(fs_wal_shutdown(wal));
    CHECK(chdir("..") == 0);
}

int main(void)
{
    /* They are there before the log is. */
    const pid_t followers[] = {start(0, 0), start(0, 1), start(FS_WAL_READER_DURABLE_ONLY, 0),
                               start(FS_WAL_READER_NO_VERIFY | FS_WAL_READER_DURABLE_ONLY, 1)};
    const fs_wal_config config = small_segments();
    for (uint64_t id = 1; id <= EVENTS;) {
        fs_wal *wal = NULL;
        CHECK_OK(fs_wal_open("log", &config, &wal));
        for (int n = 0; n < EVENTS / 5; n++, id++) {
            const fs_request_event event = make_event(id);
            CHECK_OK(fs_wal_append(wal, &event));
        }
        CHECK_OK(fs_wal_shutdown(wal));
    }
    for (size_t n = 0; n < sizeof followers / sizeof *followers; n++) {
        int status = 0;
        CHECK(waitpid(followers[n], &status, 0) == followers[n]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    what_cannot_be_asked_for();
    from_another_directory();
    return 0;
}
