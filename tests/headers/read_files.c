/* flashstrike_wal_read.h: the golden values, an active directory, wrong arguments.
 * Usage: test_c_read_files GOLDEN-DIRECTORY LINES, which golden_lines.py has written. */

#define _GNU_SOURCE

#include "made_files.h"

#include <ctype.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- golden lines ---------------------------------------------------------------------------- */

static char words[24][2048];
static size_t word_count;
static _Alignas(8) unsigned char raw[1024];
static size_t raw_size;

static void decode_hex(const char *text)
{
    raw_size = 0;
    for (; text[0] != '-' && text[0] && raw_size < sizeof raw - 1; text += 2) {
        unsigned byte;
        CHECK(sscanf(text, "%2x", &byte) == 1);
        raw[raw_size++] = (unsigned char)byte;
    }
    raw[raw_size] = 0;
}

static bool next_line(FILE *lines)
{
    char line[8192], *rest = line;
    if (!fgets(line, sizeof line, lines))
        return false;
    for (word_count = 0; word_count < 24; word_count++) {
        int length = 0;
        if (sscanf(rest, "%2047s%n", words[word_count], &length) != 1)
            break;
        rest += length;
    }
    CHECK(word_count > 0);
    if (word_count > 1)
        decode_hex(words[1]);
    return true;
}

static uint64_t number(size_t word)
{
    CHECK(word < word_count);
    return strtoull(words[word], NULL, 10);
}

static void check_segment_header(void)
{
    fs_wal_segment_header h;
    CHECK(fs_wal_read_segment_header(raw, raw_size, &h));
    CHECK(h.segment_index == number(2) && h.block_count == number(3));
    CHECK(h.event_count == number(4) && h.first_event_id == number(5));
    CHECK(h.last_event_id == number(6) && h.created_ts_ns == number(7));
    CHECK(h.closed_ts_ns == number(8) && h.last_chained_checksum == number(9));
}

static void check_block_header(void)
{
    fs_wal_block_header h;
    CHECK(fs_wal_read_block_header(raw, raw_size, &h));
    CHECK(h.first_event_id == number(2) && h.last_event_id == number(3));
    CHECK(h.block_checksum == number(4) && h.chained_checksum == number(5));
    CHECK(h.block_index == number(6) && h.event_count == number(7));
    CHECK(h.durable_event_id == number(8));
}

static bool is_text(fs_wal_read_text text, const char *hex)
{
    char found[1024];
    for (size_t i = 0; i < text.length; i++)
        snprintf(found + 2 * i, 3, "%02x", (unsigned char)text.begin[i]);
    return strlen(hex) == 2 * text.length && memcmp(found, hex, 2 * text.length) == 0;
}

static void check_identity(void)
{
    fs_wal_read_identity_t who;
    char id[40];
    CHECK(fs_wal_read_identity(raw, raw_size, &who));
    snprintf(id, sizeof id, "%016" PRIx64 "%016" PRIx64, who.id_high, who.id_low);
    CHECK(strcmp(id, words[2]) == 0);
    CHECK(who.wal_dev == number(3) && who.wal_ino == number(4));
    CHECK(who.generation == number(5) && who.clean == number(6));
    CHECK(is_text(who.boot_id, words[7]) && is_text(who.active_path, words[8]));
    CHECK(who.ancestor_count == 0 && who.cut_count == 0 && !who.wal_path.begin);
}

static void check_name(bool is_valid)
{
    uint64_t index = 0;
    const int kind = fs_wal_read_name((const char *)raw, &index);
    if (!is_valid)
        CHECK(kind == FS_WAL_READ_NAME_OTHER || kind == FS_WAL_READ_NAME_TEMPORARY);
    else
        CHECK(index == number(3) && kind == (strcmp(words[2], "hot") == 0
                                                 ? FS_WAL_READ_NAME_HOT
                                                 : FS_WAL_READ_NAME_COLD));
}

/* The golden segment, and beside it what the library says. */
static void check_segment(const char *golden)
{
    const bytes frame = read_bytes(golden, "FS.00000007.wal.lz4");
    const bytes content = content_of(frame);
    fs_wal_read_frame all = {content.size, NULL, 0, 0, NULL};
    fs_wal_read_segment walk;
    fs_request_event event;
    CHECK(content.size == number(9));
    CHECK(fs_wal_read_xxh64(content.at, content.size, 0) == number(10));
    bytes events = {malloc(content.size), 0};
    CHECK(events.at && fs_wal_read_cold(&walk, content.at, &all, 7, 0) == FS_WAL_OK);
    while (fs_wal_read_next(&walk, &event) == FS_WAL_OK) {
        memcpy(events.at + events.size, &event, sizeof event);
        events.size += sizeof event;
    }
    CHECK(fs_wal_read_next(&walk, &event) == FS_WAL_END && !walk.has_room && !walk.ends_log);
    CHECK(walk.event_count == number(3) && walk.last_event_id == number(5));
    CHECK(fs_wal_read_xxh64(events.at, events.size, 0) == number(11));
    decode_hex(words[12]);
    CHECK(memcmp(events.at + events.size - 64, raw, 64) == 0);
    CHECK(fs_wal_read_cold(&walk, content.at, &all, 8, 0) == FS_WAL_ERR_CORRUPT);
    CHECK(walk.damage.kind == FS_WAL_DAMAGE_MISNAMED);
    CHECK(fs_wal_read_cold(&walk, content.at, &all, 7, 1000) == FS_WAL_ERR_CORRUPT);

    bool same;
    CHECK(system("mkdir golden") == 0);
    write_bytes("golden", "FS.00000007.wal.lz4", frame);
    const outcome found = read_both("golden", &same);
    CHECK(same && found.events == number(3) && found.status == FS_WAL_END);
    free(frame.at);
    free(content.at);
    free(events.at);
}

static void golden_values(const char *golden, const char *path)
{
    fs_wal_segment_header segment;
    fs_wal_block_header block;
    fs_wal_meta_state meta;
    fs_wal_read_identity_t who;
    FILE *lines = fopen(path, "r");
    CHECK(lines);
    size_t count = 0;
    for (; next_line(lines); count++) {
        const char *what = words[0];
        if (strcmp(what, "xxh64") == 0)
            CHECK(fs_wal_read_xxh64(raw, raw_size, number(2)) == number(3));
        else if (strcmp(what, "segment_header") == 0)
            check_segment_header();
        else if (strcmp(what, "bad_segment_header") == 0)
            CHECK(!fs_wal_read_segment_header(raw, raw_size, &segment));
        else if (strcmp(what, "block_header") == 0)
            check_block_header();
        else if (strcmp(what, "bad_block_header") == 0)
            CHECK(!fs_wal_read_block_header(raw, raw_size, &block));
        else if (strcmp(what, "meta") == 0)
            CHECK(fs_wal_read_meta(raw, raw_size, &meta) && meta.last_segment_index == number(2) &&
                  meta.last_offset == number(3) && meta.last_event_id == number(4));
        else if (strcmp(what, "bad_meta") == 0)
            CHECK(!fs_wal_read_meta(raw, raw_size, &meta));
        else if (strcmp(what, "identity") == 0)
            check_identity();
        else if (strcmp(what, "bad_identity") == 0)
            CHECK(!fs_wal_read_identity(raw, raw_size, &who));
        else if (strcmp(what, "name") == 0 || strcmp(what, "bad_name") == 0)
            check_name(what[0] == 'n');
        else if (strcmp(what, "segment") == 0)
            check_segment(golden);
        else
            CHECK(!"a line that this test knows");
    }
    CHECK(count > 80); /* an empty file would prove nothing */
    fclose(lines);
}

/* ---- records with more in them --------------------------------------------------------------- */

static bool identity_of(const char *lines, fs_wal_read_identity_t *who)
{
    static char text[2048];
    snprintf(text, sizeof text,
             "id=1f\nwal_dev=1\nwal_ino=2\ngeneration=3\nboot_id=b\nactive_path=/a\nclean=0\n%s",
             lines);
    const uint64_t sum = fs_wal_read_xxh64(text, strlen(text), 0);
    snprintf(text + strlen(text), 24, "xxh64=%016" PRIx64 "\n", sum);
    return fs_wal_read_identity(text, strlen(text), who);
}

static void ancestors_and_cuts(void)
{
    fs_wal_read_identity_t who;
    CHECK(identity_of("ancestors=aa,ffffffffffffffffffffffffffffffff\ncopied_in=8,2\n"
                      "cuts=2:5000,3:4\nwal_path=/w\nnew_key=1\n",
                      &who));
    CHECK(who.id_low == 0x1f && who.ancestor_count == 2 && who.cut_count == 2);
    CHECK(who.ancestors[0].id_low == 0xaa && who.ancestors[1].id_high == UINT64_MAX);
    CHECK(who.ancestors[0].copied_in == 8 && who.ancestors[1].copied_in == 2);
    CHECK(who.cuts[1].generation == 3 && who.cuts[1].last_event_id == 4);
    CHECK(is_text(who.wal_path, "2f77"));
    CHECK(identity_of("ancestors=aa\n", &who) && who.ancestors[0].copied_in == UINT64_MAX);
    CHECK(!identity_of("ancestors=aa\ncopied_in=1,2\n", &who));
    CHECK(!identity_of("ancestors=aa,bb\ncopied_in=1\n", &who));
    CHECK(!identity_of("ancestors=\n", &who));
    CHECK(!identity_of("ancestors=1ffffffffffffffffffffffffffffffff\n", &who));
    CHECK(!identity_of("cuts=5\n", &who));
    CHECK(!identity_of("cuts=1:2,\n", &who));
    CHECK(!identity_of("cuts=1:18446744073709551616\n", &who));
    CHECK(!identity_of("wal_path=\xff\n", &who)); /* texts are UTF-8 */
    CHECK(!identity_of("wal_path=\xed\xa0\x80\n", &who));
    CHECK(identity_of("wal_path=\xf0\x9f\x98\x80\n", &who));
    CHECK(identity_of("cuts=1:1,2:2,3:3,4:4,5:5,6:6,7:7,8:8,9:9,10:10,11:11,12:12,13:13,14:14,"
                      "15:15,16:16,17:17\n",
                      &who));
    CHECK(who.cut_count == 16 && who.cuts[0].generation == 2 && who.cuts[15].generation == 17);
}

static void names(void)
{
    uint64_t number = 0;
    CHECK(fs_wal_read_name("SNAP.18446744073709551615.fss", &number) ==
          FS_WAL_READ_NAME_SNAPSHOT);
    CHECK(number == UINT64_MAX);
    CHECK(fs_wal_read_name("SNAP.00000000000000000007.fss.tmp", &number) ==
          FS_WAL_READ_NAME_BEGUN_SNAPSHOT);
    CHECK(number == 7);
    static const char *const temporary[] = {"wal_meta.dat.tmp", "wal_identity.tmp",
                                            "wal_history.tmp", "FS.00000007.wal.tmp"};
    for (size_t i = 0; i < 4; i++)
        CHECK(fs_wal_read_name(temporary[i], &number) == FS_WAL_READ_NAME_TEMPORARY);
    static const char *const other[] = {"SNAP.18446744073709551616.fss", "SNAP.7.fss", "notes.tmp",
                                        "SNAP.00000000000000000007.fss.broken", "SNAP.7.fss.tmp"};
    for (size_t i = 0; i < 5; i++)
        CHECK(fs_wal_read_name(other[i], &number) == FS_WAL_READ_NAME_OTHER);
}

/* ---- an active directory --------------------------------------------------------------------- */

/* A killed process's newest events are in memory: the header reads the files there, the library
 * the log. */
static void active_directory(void)
{
    const uint64_t events = EVENTS_PER_SMALL_SEGMENT + 500;
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        fs_wal_config config = small_segments();
        fs_wal *wal;
        CHECK_OK(fs_wal_open("killed", &config, &wal));
        append_events(wal, 1, events);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    const bytes identity = read_bytes("killed", FS_WAL_READ_IDENTITY_NAME);
    fs_wal_read_identity_t who;
    char path[400];
    CHECK(fs_wal_read_identity(identity.at, identity.size, &who) && who.clean == 0);
    snprintf(path, sizeof path, "%.*s", (int)who.active_path.length, who.active_path.begin);

    const outcome library = by_the_library("killed");
    outcome header;
    memset(&header, 0, sizeof header);
    fs_wal_read_segment walk;
    const fs_request_event *at;
    size_t count;
    uint64_t after = 0;
    for (uint32_t index = 0; index < 2; index++) {
        char name[32];
        snprintf(name, sizeof name, "FS.%08" PRIu32 ".wal", index);
        bytes file = read_bytes(path, name);
        if (!file.at) /* the writer was done with it before it died */
            file = read_bytes("killed", name);
        fs_wal_segment_header first;
        CHECK(fs_wal_read_segment_header(file.at, file.size, &first));
        if (first.closed_ts_ns)
            CHECK(fs_wal_read_hot(&walk, file.at, file.size, index, after, 0) == FS_WAL_OK);
        else
            CHECK(fs_wal_read_active(&walk, file.at, file.size, index, after) == FS_WAL_OK);
        while (fs_wal_read_events(&walk, &at, &count) == FS_WAL_OK)
            take(&header, at, count);
        CHECK(fs_wal_read_events(&walk, &at, &count) == FS_WAL_END && !at && count == 0);
        CHECK(walk.ends_log == (index == 1));
        after = walk.last_event_id;
        CHECK(fs_wal_read_active(&walk, file.at, file.size, index + 1, 0) == FS_WAL_ERR_CORRUPT);
        free(file.at);
    }
    CHECK(header.events == events && library.events == events && header.hash == library.hash);
    free(identity.at);
    fs_wal *wal; /* removes the active directory */
    CHECK_OK(fs_wal_open("killed", NULL, &wal));
    CHECK_OK(fs_wal_shutdown(wal));
}

/* ---- wrong arguments ------------------------------------------------------------------------- */

static void arguments(const char *golden)
{
    static _Alignas(8) unsigned char segment[FS_WAL_SEGMENT_HEADER_SIZE + 16];
    const bytes frame = read_bytes(golden, "FS.00000007.wal.lz4");
    const size_t room = fs_wal_read_unpacked_size(frame.at, frame.size);
    unsigned char *content = malloc(room);
    fs_wal_read_frame found;
    fs_wal_read_segment walk;
    CHECK(content && room >= 49408);
    CHECK(fs_wal_read_unpack(frame.at, frame.size, LZ4_FUNCTION, content, room - 1, &found) ==
          FS_WAL_ERR_NO_SPACE);
    CHECK(fs_wal_read_unpack(NULL, 0, LZ4_FUNCTION, content, room, &found) ==
          FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK(fs_wal_read_hot(NULL, segment, sizeof segment, 0, 0, 0) == FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK(fs_wal_read_hot(&walk, NULL, 1, 0, 0, 0) == FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK(fs_wal_read_hot(&walk, segment + 4, 64, 0, 0, 0) == FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK(fs_wal_read_cold(&walk, segment, NULL, 0, 0) == FS_WAL_ERR_INVALID_ARGUMENT);
    const fs_request_event *events;
    size_t count;
    CHECK(fs_wal_read_hot(&walk, NULL, 0, 0, 0, 0) == FS_WAL_OK); /* an empty file */
    CHECK(fs_wal_read_events(&walk, &events, &count) == FS_WAL_END && walk.ends_log);

    fs_wal_read_files files[2];
    fs_wal_read_log log;
    memset(files, 0, sizeof files);
    memset(&log, 0, sizeof log);
    CHECK(fs_wal_read_log_events(&log, &events, &count) == FS_WAL_END); /* an empty log */
    files[0].index = 7;
    files[0].has_cold = true;
    files[0].cold = frame.at;
    files[0].cold_size = frame.size;
    log.segments = files;
    log.segment_count = 1;
    log.status_ = FS_WAL_OK;
    CHECK(fs_wal_read_log_events(&log, &events, &count) == FS_WAL_ERR_NO_SPACE);
    log.room = content;
    log.room_size = room;
    files[1] = files[0]; /* twice the same index */
    log.segment_count = 2;
    log.status_ = FS_WAL_OK;
    CHECK(fs_wal_read_log_events(&log, &events, &count) == FS_WAL_ERR_INVALID_ARGUMENT);
    free(content);
    free(frame.at);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    golden_values(argv[1], argv[2]);
    ancestors_and_cuts();
    names();
    active_directory();
    arguments(argv[1]);
    return 0;
}
