/* Prints the events of a log while another process writes it, as `tail -f` does.
 *
 *     tail [--durable] DIRECTORY [FIRST_ID]
 *
 * With --durable an event is printed when it survives a power cut, otherwise as soon as it is
 * appended. Begins at FIRST_ID, or at the oldest event. May be started before there is a log, and
 * goes on through crashes and restarts of its writer. SIGINT and SIGTERM end it.
 * Exit status: 0 told to end, 1 an error, 2 wrong usage. */

#define _DEFAULT_SOURCE

#include <flashstrike_wal.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t told_to_end;

static void on_signal(int signal)
{
    (void)signal;
    told_to_end = 1;
}

/* Prints what there is. False if it cannot be printed. */
static bool print(const fs_request_event *events, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("%" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 "\n", events[i].event_id,
               events[i].timestamp, events[i].price, events[i].quantity);
    return fflush(stdout) == 0;
}

/* Follows until it is told to end. */
static fs_wal_status follow(fs_wal_reader *reader)
{
    const fs_request_event *events;
    size_t count;
    while (!told_to_end) {
        /* Not for ever: the wait goes on when a signal has come. */
        fs_wal_status status = fs_wal_reader_wait(reader, UINT64_C(100000000));
        if (status == FS_WAL_OK)
            status = fs_wal_reader_next_batch(reader, &events, &count);
        if (status == FS_WAL_ERR_GAP) {
            /* Told once: retention was faster. What is printed next follows the gap. */
            fprintf(stderr, "tail: %s\n", fs_wal_last_error());
            continue;
        }
        if (status == FS_WAL_ERR_TIMEOUT || status == FS_WAL_ERR_WOULD_BLOCK)
            continue;
        if (status != FS_WAL_OK)
            return status; /* CORRUPT: events that were printed were taken back, or are damaged */
        if (!print(events, count)) {
            if (told_to_end)
                break; /* the signal has interrupted the write */
            perror("tail: standard output");
            exit(1);
        }
    }
    return FS_WAL_OK;
}

int main(int argc, char **argv)
{
    const bool durable = argc > 1 && strcmp(argv[1], "--durable") == 0;
    const int arguments = argc - durable;
    char *end = NULL;
    const char *const number = arguments == 3 ? argv[durable + 2] : "0";
    errno = 0;
    const uint64_t first_id = strtoull(number, &end, 10);
    if (arguments < 2 || arguments > 3 || !isdigit((unsigned char)*number) || *end || errno ||
        strcmp(argv[1], "--help") == 0) {
        fprintf(stderr, "usage: tail [--durable] DIRECTORY [FIRST_ID]\n");
        return 2;
    }
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    const fs_wal_reader_config config = {
        .struct_size = sizeof config,
        .flags = FS_WAL_READER_FOLLOW | (durable ? FS_WAL_READER_DURABLE_ONLY : 0),
    };
    fprintf(stderr, "tail: following %s\n", argv[durable + 1]);
    fs_wal_reader *reader;
    fs_wal_status status = fs_wal_reader_open(argv[durable + 1], &config, &reader);
    if (status == FS_WAL_OK) {
        status = fs_wal_reader_seek(reader, first_id);
        if (status == FS_WAL_OK)
            status = follow(reader);
        if (status != FS_WAL_OK)
            fprintf(stderr, "tail: %s\n", fs_wal_last_error());
        fs_wal_reader_close(reader);
    } else {
        fprintf(stderr, "tail: %s\n", fs_wal_last_error());
    }
    return status == FS_WAL_OK ? 0 : 1;
}
