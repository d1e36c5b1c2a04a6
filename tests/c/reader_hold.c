/* A reader that moves a hold along: it resumes where its consumer was, and retention waits. */

#include "../support/check.h"

#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEGMENT EVENTS_PER_SMALL_SEGMENT
#define DIR_NAME "followed"

static void append_durably(fs_wal *wal, uint64_t from, uint64_t to)
{
    append_events(wal, from, to);
    CHECK_OK(fs_wal_sync(wal));
}

static fs_wal_reader *resume(uint32_t flags)
{
    const fs_wal_reader_config config = {
        .struct_size = sizeof config, .flags = flags, .hold = "consumer"};
    fs_wal_reader *reader;
    CHECK_OK(fs_wal_reader_open(DIR_NAME, &config, &reader));
    return reader;
}

static void read_on(fs_wal_reader *reader, uint64_t from, uint64_t to)
{
    for (uint64_t id = from; id <= to; id++) {
        fs_request_event event;
        CHECK_OK(fs_wal_reader_next(reader, &event));
        CHECK(is_made_event(&event) && event.event_id == id);
    }
}

static uint64_t held_from(void)
{
    fs_wal_hold *hold;
    uint64_t at;
    CHECK_OK(fs_wal_hold_open(DIR_NAME, "consumer", 0, &hold));
    CHECK_OK(fs_wal_hold_get(hold, &at));
    fs_wal_hold_close(hold);
    return at;
}

static void in_a_child(void (*run)(fs_wal_reader *), fs_wal_reader *reader)
{
    const pid_t child = fork();
    if (child == 0) {
        run(reader);
        _exit(0);
    }
    int ended;
    CHECK(waitpid(child, &ended, 0) == child && ended == 0);
}

/* Dies with all that it was given unfinished, however long it has had the hold. */
static void die_at_once(fs_wal_reader *reader)
{
    (void)reader;
    fs_wal_reader *own = resume(0);
    const fs_request_event *events;
    size_t count;
    usleep(1100 * 1000);
    CHECK_OK(fs_wal_reader_next_batch(own, &events, &count));
    CHECK(events[0].event_id == 31);
}

/* Dies with the second batch unfinished; by coming for it, it was done with the first. */
static void die_after_a_second(fs_wal_reader *reader)
{
    (void)reader;
    fs_wal_reader *own = resume(0);
    const fs_request_event *events;
    size_t count;
    read_on(own, 31, 130);
    CHECK_OK(fs_wal_reader_next_batch(own, &events, &count));
    CHECK(events[count - 1].event_id == FS_WAL_EVENTS_PER_BLOCK);
    usleep(1100 * 1000);
    CHECK_OK(fs_wal_reader_next_batch(own, &events, &count));
}

static void read_and_close(fs_wal_reader *reader)
{
    read_on(reader, 300, 310);
    fs_wal_reader_close(reader);
}

int main(void)
{
    fs_wal_config config = small_segments();
    config.max_segments = 1;
    config.max_compressed_segments = FS_WAL_KEEP_NONE;
    fs_wal *wal;
    CHECK_OK(fs_wal_open(DIR_NAME, &config, &wal));
    append_durably(wal, 1, SEGMENT);

    /* Closed, it has moved past all but what it gave last, which may not be finished. */
    fs_wal_reader *reader = resume(0);
    const fs_wal_reader_config same = {.struct_size = sizeof same, .hold = "consumer"};
    fs_wal_reader *second;
    CHECK_STATUS(fs_wal_reader_open(DIR_NAME, &same, &second), FS_WAL_ERR_LOCKED);
    read_on(reader, 1, 30);
    fs_wal_reader_close(reader);
    CHECK(held_from() == 30);
    reader = resume(0);
    const fs_request_event *events;
    size_t count;
    CHECK_OK(fs_wal_reader_next_batch(reader, &events, &count));
    CHECK(events[0].event_id == 30);
    fs_wal_reader_close(reader);
    CHECK(held_from() == 30);
    reader = resume(0);
    read_on(reader, 30, 31);
    fs_wal_reader_close(reader);
    CHECK(held_from() == 31);

    /* Killed, it sees again what it may not have finished. */
    in_a_child(die_at_once, NULL);
    CHECK(held_from() == 31);
    in_a_child(die_after_a_second, NULL);
    CHECK(held_from() == FS_WAL_EVENTS_PER_BLOCK + 1);

    /* Retention leaves what the consumer still needs, and nothing else. */
    append_durably(wal, SEGMENT + 1, 9 * SEGMENT);
    reader = resume(FS_WAL_READER_FOLLOW | FS_WAL_READER_DURABLE_ONLY);
    read_on(reader, FS_WAL_EVENTS_PER_BLOCK + 1, 299);
    in_a_child(read_and_close, reader);
    read_on(reader, 300, 9 * SEGMENT);
    fs_request_event event;
    CHECK_STATUS(fs_wal_reader_next(reader, &event), FS_WAL_ERR_WOULD_BLOCK);
    fs_wal_reader_close(reader);
    CHECK(held_from() == 9 * SEGMENT + 1);
    CHECK_OK(fs_wal_shutdown(wal));
    CHECK_OK(fs_wal_open(DIR_NAME, &config, &wal));
    CHECK_OK(fs_wal_shutdown(wal));
    CHECK_OK(fs_wal_reader_open(DIR_NAME, NULL, &reader));
    CHECK_OK(fs_wal_reader_next(reader, &event));
    CHECK(event.event_id > SEGMENT);
    fs_wal_reader_close(reader);

    const fs_wal_reader_config wrong = {.struct_size = sizeof wrong, .hold = "no/name"};
    CHECK_STATUS(fs_wal_reader_open(DIR_NAME, &wrong, &reader), FS_WAL_ERR_INVALID_ARGUMENT);
    const fs_wal_reader_config none = {.struct_size = sizeof none, .hold = "consumer"};
    CHECK_STATUS(fs_wal_reader_open("nowhere", &none, &reader), FS_WAL_ERR_NOT_FOUND);
    return 0;
}
