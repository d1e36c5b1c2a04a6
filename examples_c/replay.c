/* Replays a log, or a part of it: to rebuild an engine's state, or to see what happened at ten.
 *
 *     replay DIRECTORY                      all that is there
 *     replay DIRECTORY ids FIRST LAST       by event id
 *     replay DIRECTORY times FIRST LAST     by timestamp
 *
 * FIRST and LAST are part of the range; LAST may be "end". The log may be written meanwhile.
 * Threads of the library read, decompress and verify ahead of this program.
 * Exit status: 0 replayed, 1 an error, such as damage or events that are gone, 2 wrong usage. */

#define _DEFAULT_SOURCE

#include <flashstrike_wal.h>

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct range {
    bool by_time;
    uint64_t first, last;
};

/* What is rebuilt: your books stand here. */
struct state {
    uint64_t events, first_id, last_id;
    int64_t quantity;
};

static void act_on(struct state *state, const fs_request_event *event)
{
    if (state->events++ == 0)
        state->first_id = event->event_id;
    state->last_id = event->event_id;
    state->quantity += event->quantity;
}

/* One fewer than there are processors: this thread works, too. */
static uint32_t reader_threads(void)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (processors <= 1)
        return 0;
    const uint32_t threads = (uint32_t)processors - 1;
    return threads < FS_WAL_READER_MAX_THREADS ? threads : FS_WAL_READER_MAX_THREADS;
}

static fs_wal_status open_at(const char *dir, const struct range *range, fs_wal_reader **reader)
{
    const fs_wal_reader_config config = {
        .struct_size = sizeof config,
        .threads = reader_threads(),
        .end_event_id = range->by_time || range->last == UINT64_MAX ? 0 : range->last,
    };
    fs_wal_status status = fs_wal_reader_open(dir, &config, reader);
    if (status != FS_WAL_OK)
        return status;
    status = range->by_time ? fs_wal_reader_seek_time(*reader, range->first)
                            : fs_wal_reader_seek(*reader, range->first);
    if (status != FS_WAL_OK)
        fs_wal_reader_close(*reader);
    return status;
}

/* Replays the events of the range. FS_WAL_END: all of them. */
static fs_wal_status replay(fs_wal_reader *reader, const struct range *range, struct state *state)
{
    const fs_request_event *events; /* the reader's, until its next call */
    size_t count;
    fs_wal_status status;
    while ((status = fs_wal_reader_next_batch(reader, &events, &count)) == FS_WAL_OK) {
        for (size_t i = 0; i < count; i++) {
            if (range->by_time && events[i].timestamp > range->last)
                return FS_WAL_END;
            act_on(state, &events[i]);
        }
    }
    return status;
}

/* Says what failed, and where, for those who have to decide what to do. */
static void print_failure(fs_wal_status status)
{
    fprintf(stderr, "replay: %s\n", fs_wal_last_error());
    fs_wal_error_detail detail = {.struct_size = sizeof detail};
    if (fs_wal_last_error_detail(&detail) != FS_WAL_OK)
        return;
    if (status == FS_WAL_ERR_GAP)
        fprintf(stderr, "replay: begin at %" PRIu64 ", or restore a snapshot\n",
                detail.last_event_id + 1);
    if (status == FS_WAL_ERR_CORRUPT)
        fprintf(stderr, "replay: `verify` names all damage, FS_WAL_READER_SALVAGE reads around\n");
}

/* A number, or "end". */
static bool parse(const char *text, uint64_t *number)
{
    char *end = NULL;
    errno = 0;
    *number = strcmp(text, "end") == 0 ? UINT64_MAX : strtoull(text, &end, 10);
    return !end || (errno == 0 && end != text && *end == '\0' && *text != '-');
}

int main(int argc, char **argv)
{
    struct range range = {.last = UINT64_MAX};
    bool right = argc == 2 || argc == 5;
    if (argc == 5) {
        range.by_time = strcmp(argv[2], "times") == 0;
        right = (range.by_time || strcmp(argv[2], "ids") == 0) && parse(argv[3], &range.first) &&
                parse(argv[4], &range.last) && range.last > 0 && range.first <= range.last;
    }
    if (!right) {
        fprintf(stderr, "usage: replay DIRECTORY [ids|times FIRST {LAST|end}]\n");
        return 2;
    }
    fs_wal_reader *reader;
    fs_wal_status status = open_at(argv[1], &range, &reader);
    if (status != FS_WAL_OK) {
        print_failure(status);
        return 1;
    }
    struct state state = {0};
    status = replay(reader, &range, &state);
    if (status != FS_WAL_END)
        print_failure(status);
    fs_wal_reader_close(reader);
    printf("%" PRIu64 " events, ids %" PRIu64 " to %" PRIu64 ", quantity %" PRId64 "\n",
           state.events, state.first_id, state.last_id, state.quantity);
    return status == FS_WAL_END ? 0 : 1;
}
