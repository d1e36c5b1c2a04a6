/* The example read_segment, which reads files with the header alone, against the library: it
 * reads the same events and finds every damaged byte.
 * Usage: test_c_read_segment PATH-OF-READ_SEGMENT */

#define _GNU_SOURCE

#include "../support/check.h"

#include <inttypes.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVENTS (2 * EVENTS_PER_SMALL_SEGMENT + 300)

static const char *reader_program;

/* Runs read_segment; its standard output goes to the file `output`. */
static int run(const char *arguments, const char *output)
{
    char command[4096];
    snprintf(command, sizeof command, "'%s' %s >%s 2>errors", reader_program, arguments, output);
    const int status = system(command);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void print_as_documented(FILE *out, const fs_request_event *e)
{
    fprintf(out,
            "%" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %" PRIu32 " %" PRIu32 " %u %u %u ",
            e->event_id, e->timestamp, e->price, e->quantity, e->user_id, e->order_id, e->type,
            e->order_type, e->side);
    for (size_t i = 0; i < sizeof e->reserved; i++)
        fprintf(out, "%02x", e->reserved[i]);
    fputc('\n', out);
}

static void write_wanted(uint64_t events)
{
    FILE *wanted = fopen("wanted", "w");
    CHECK(wanted);
    for (uint64_t id = 1; id <= events; id++) {
        const fs_request_event event = make_event(id);
        print_as_documented(wanted, &event);
    }
    CHECK(fclose(wanted) == 0);
}

static fs_wal *record(const char *dir, uint64_t events)
{
    fs_wal_config config = small_segments();
    config.flags = FS_WAL_FLAG_NO_COMPRESSION;
    fs_wal *wal;
    CHECK_OK(fs_wal_open(dir, &config, &wal));
    for (uint64_t id = 1; id <= events; id++) {
        const fs_request_event event = make_event(id);
        CHECK_OK(fs_wal_append(wal, &event));
    }
    return wal;
}

static void agrees_on_closed_segments(void)
{
    CHECK_OK(fs_wal_shutdown(record("log", EVENTS)));
    write_wanted(EVENTS);
    CHECK(run("--events log/FS.0000000[0-2].wal", "found") == 0);
    CHECK(system("cmp wanted found") == 0);
    CHECK(run("log/FS.0000000[0-2].wal", "found") == 0);
    CHECK(system("test \"$(grep -c ', closed, .* verified, ids ' found)\" = 3") == 0);
    CHECK(run("log/FS.00000001.wal log/FS.00000000.wal", "found") == 1); /* ids must rise */
}

/* The acknowledged events of a killed process are in its active directory, some not yet sealed. */
static void agrees_on_an_open_segment(void)
{
    const uint64_t events = 3000;
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        record("killed", events);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    write_wanted(events);
    CHECK(run("--events \"$(sed -n s/^active_path=//p killed/wal_identity)/FS.00000000.wal\"",
              "found") == 0);
    CHECK(system("cmp wanted found") == 0);

    /* The next open removes the active directory that the killed process left in memory. */
    fs_wal *wal;
    CHECK_OK(fs_wal_open("killed", NULL, &wal));
    CHECK_OK(fs_wal_shutdown(wal));
}

static void flip(const char *path, long offset)
{
    FILE *file = fopen(path, "r+b");
    CHECK(file && fseek(file, offset, SEEK_SET) == 0);
    const int byte = fgetc(file);
    CHECK(byte != EOF && fseek(file, offset, SEEK_SET) == 0);
    CHECK(fputc(byte ^ 0x40, file) != EOF && fclose(file) == 0);
}

static void finds_every_damaged_byte(void)
{
    const char *path = "log/FS.00000002.wal"; /* 300 events: a full block and one of 44 */
    const long end = 64 + FS_WAL_BLOCK_SIZE + 64 + 44 * 64;
    const long second_block = 64 + FS_WAL_BLOCK_SIZE;
    for (long offset = 0; offset < end; offset++) {
        /* Every byte of the headers; of the events, one byte in 61, a prime, so that every field is
         * hit. */
        const int in_header =
            offset < 128 || (offset >= second_block && offset < second_block + 64);
        if (!in_header && offset % 61 != 0)
            continue;
        flip(path, offset);
        const int status = run("log/FS.00000002.wal", "found");
        if (status != 1)
            fprintf(stderr, "offset %ld\n", offset);
        CHECK(status == 1);
        CHECK(system(
                  "grep -q '^log/FS.00000002.wal: at offset [0-9]*: .* is .*, expected ' errors") ==
              0);
        flip(path, offset);
    }
    CHECK(run("log/FS.00000002.wal", "found") == 0);
}

static void finds_a_renamed_and_a_truncated_file(void)
{
    CHECK(system("cp log/FS.00000001.wal FS.00000007.wal") == 0);
    CHECK(run("FS.00000007.wal", "found") == 1);
    CHECK(system("grep -q 'segment index is 1 .* expected 7' errors") == 0);
    CHECK(system("head -c 100000 log/FS.00000001.wal >FS.00000001.wal") == 0);
    CHECK(run("FS.00000001.wal", "found") == 1);
    CHECK(system("head -c 63 log/FS.00000001.wal >FS.00000001.wal") == 0);
    CHECK(run("FS.00000001.wal", "found") == 1);
    CHECK(run("absent", "found") == 2);
    CHECK(run("", "found") == 2);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    reader_program = argv[1];
    agrees_on_closed_segments();
    agrees_on_an_open_segment();
    finds_every_damaged_byte();
    finds_a_renamed_and_a_truncated_file();
    return 0;
}
