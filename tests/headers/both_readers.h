/* The library's reader and the header-only one over the same directory: they must give the same
 * events and end in the same way, at the same place. */

#ifndef BOTH_READERS_H
#define BOTH_READERS_H

#include "../support/check.h"

#include <flashstrike_wal_read.h>

#include <dirent.h>
#include <inttypes.h>

#ifdef WITH_LZ4
#include <lz4.h>
#include <lz4frame.h>
#define LZ4_FUNCTION LZ4_decompress_safe_usingDict
#else
#define LZ4_FUNCTION NULL
#endif

/* A file in memory. The buffer is as long as the file, so that a sanitizer sees every byte past
 * it. */
typedef struct bytes {
    unsigned char *at;
    size_t size;
} bytes;

static inline bytes read_bytes(const char *dir, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "rb");
    bytes result = {NULL, 0};
    if (!file)
        return result;
    CHECK(fseek(file, 0, SEEK_END) == 0);
    result.size = (size_t)ftell(file);
    rewind(file);
    result.at = (unsigned char *)malloc(result.size ? result.size : 1);
    CHECK(result.at && fread(result.at, 1, result.size, file) == result.size);
    fclose(file);
    return result;
}

static inline void write_bytes(const char *dir, const char *name, bytes content)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(content.at, 1, content.size, file) == content.size);
    CHECK(fclose(file) == 0);
}

/* What a reader came to. */
typedef struct outcome {
    fs_wal_status status;
    uint64_t events, hash;
    fs_wal_read_damage damage;
} outcome;

static inline void take(outcome *found, const fs_request_event *events, size_t count)
{
    found->events += count;
    for (size_t i = 0; i < count; i++)
        found->hash = fs_wal_read_xxh64(events + i, sizeof *events, found->hash);
}

#define MOST_SEGMENTS 64

typedef struct loaded_log {
    fs_wal_read_files segments[MOST_SEGMENTS];
    fs_wal_read_log log;
    bool meta_is_bad, identity_is_bad;
} loaded_log;

static inline fs_wal_read_files *files_of(loaded_log *loaded, uint32_t index)
{
    size_t place = loaded->log.segment_count;
    while (place > 0 && loaded->segments[place - 1].index > index)
        place--;
    if (place > 0 && loaded->segments[place - 1].index == index)
        return &loaded->segments[place - 1];
    CHECK(loaded->log.segment_count < MOST_SEGMENTS);
    for (size_t i = loaded->log.segment_count++; i > place; i--)
        loaded->segments[i] = loaded->segments[i - 1];
    memset(&loaded->segments[place], 0, sizeof loaded->segments[place]);
    loaded->segments[place].index = index;
    return &loaded->segments[place];
}

static inline void load_records(loaded_log *loaded, const char *dir)
{
    const bytes meta = read_bytes(dir, FS_WAL_READ_META_NAME);
    const bytes identity = read_bytes(dir, FS_WAL_READ_IDENTITY_NAME);
    fs_wal_meta_state state;
    fs_wal_read_identity_t who;
    bool is_right = meta.at && fs_wal_read_meta(meta.at, meta.size, &state);
    if (meta.at && !is_right && !identity.at)
        is_right = fs_wal_read_meta_of_cpp(meta.at, meta.size, &state);
    loaded->log.has_no_identity = !identity.at;
    loaded->log.durable_id = is_right ? state.last_event_id : 0;
    /* What the C++ recorder may have written is no damage, and counts as missing. */
    loaded->meta_is_bad = meta.at && !is_right && meta.size != 16;
    loaded->identity_is_bad =
        identity.at && !fs_wal_read_identity(identity.at, identity.size, &who);
    free(meta.at);
    free(identity.at);
}

static inline void load_log(loaded_log *loaded, const char *dir)
{
    memset(loaded, 0, sizeof *loaded);
    load_records(loaded, dir);
    DIR *listing = opendir(dir);
    CHECK(listing);
    for (struct dirent *entry; (entry = readdir(listing));) {
        uint64_t index;
        const int kind = fs_wal_read_name(entry->d_name, &index);
        if (kind != FS_WAL_READ_NAME_HOT && kind != FS_WAL_READ_NAME_COLD)
            continue;
        fs_wal_read_files *files = files_of(loaded, (uint32_t)index);
        const bytes content = read_bytes(dir, entry->d_name);
        CHECK(content.at);
        if (kind == FS_WAL_READ_NAME_HOT) {
            files->has_hot = true;
            files->hot = content.at;
            files->hot_size = content.size;
        } else {
            files->has_cold = true;
            files->cold = content.at;
            files->cold_size = content.size;
            const size_t room = fs_wal_read_unpacked_size(content.at, content.size);
            if (room > loaded->log.room_size)
                loaded->log.room_size = room;
        }
    }
    closedir(listing);
    loaded->log.segments = loaded->segments;
    loaded->log.lz4 = LZ4_FUNCTION;
    loaded->log.room = malloc(loaded->log.room_size + 1);
    CHECK(loaded->log.room);
}

static inline void unload_log(loaded_log *loaded)
{
    for (size_t i = 0; i < loaded->log.segment_count; i++) {
        free((void *)(uintptr_t)loaded->segments[i].hot);
        free((void *)(uintptr_t)loaded->segments[i].cold);
    }
    free(loaded->log.room);
}

static inline outcome by_the_header(loaded_log *loaded)
{
    outcome found;
    const fs_request_event *events;
    size_t count;
    memset(&found, 0, sizeof found);
    while ((found.status = fs_wal_read_log_events(&loaded->log, &events, &count)) == FS_WAL_OK)
        take(&found, events, count);
    found.damage = loaded->log.damage;
    return found;
}

static inline outcome by_the_library(const char *dir)
{
    outcome found;
    const fs_request_event *events;
    size_t count;
    fs_wal_reader *reader;
    memset(&found, 0, sizeof found);
    CHECK_OK(fs_wal_reader_open(dir, NULL, &reader));
    while ((found.status = fs_wal_reader_next_batch(reader, &events, &count)) == FS_WAL_OK)
        take(&found, events, count);
    if (found.status != FS_WAL_END) {
        fs_wal_error_detail detail;
        detail.struct_size = sizeof detail;
        fs_wal_last_error_detail(&detail);
        found.damage.has_segment_index = detail.has_segment_index;
        found.damage.segment_index = detail.segment_index;
        found.damage.has_offset = detail.has_offset;
        found.damage.offset = detail.offset;
        found.damage.first_event_id = detail.first_event_id;
        found.damage.last_event_id = detail.last_event_id;
    }
    fs_wal_reader_close(reader);
    return found;
}

/* Whether the library's error says the same in its words. They differ where it names a number. */
static inline bool says_the_same(const fs_wal_read_damage *damage)
{
    static const char *const words[][2] = {
        {"the header is another segment's", "the header is that of segment"},
        {"missing, though a later segment is there", "missing, though segment"},
        {"begins among the events of an earlier segment", "begins with event"}};
    const char *error = fs_wal_last_error(), *what = damage->what;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(what, words[i][0]) == 0)
            what = words[i][1];
    if (damage->kind == FS_WAL_DAMAGE_DURABLE_LOST && !damage->has_offset)
        what = "were durable and are gone";
    return strstr(error, what) != NULL;
}

static inline bool is_same_outcome(const outcome *header, const outcome *library)
{
    const fs_wal_read_damage *a = &header->damage, *b = &library->damage;
    if (header->status != library->status || header->events != library->events ||
        header->hash != library->hash)
        return false;
    return header->status == FS_WAL_END ||
           (a->has_segment_index == b->has_segment_index && a->segment_index == b->segment_index &&
            a->has_offset == b->has_offset && a->offset == b->offset &&
            a->first_event_id == b->first_event_id && a->last_event_id == b->last_event_id &&
            says_the_same(a));
}

static inline void print_outcome(const char *who, const outcome *found)
{
    const fs_wal_read_damage *d = &found->damage;
    fprintf(stderr,
            "%s: %s after %" PRIu64 " events; segment %" PRIu32 " (%" PRIu32 ") offset %" PRIu64
            " (%" PRIu32 ") ids %" PRIu64 " to %" PRIu64 ": %s\n",
            who, fs_wal_status_string(found->status), found->events, d->segment_index,
            d->has_segment_index, d->offset, d->has_offset, d->first_event_id, d->last_event_id,
            found->status == FS_WAL_END ? "" : d->what ? d->what : fs_wal_last_error());
}

/* Whether verify lists a record of this kind as not valid. (A record that is valid and wrong names
 * events.) */
static inline bool lists(const fs_wal_verify_report_t *report, uint32_t kind)
{
    for (size_t i = 0; i < FS_WAL_VERIFY_MAX_DAMAGES && i < report->damage_count; i++)
        if (report->damages[i].kind == kind && report->damages[i].first_event_id == 0)
            return true;
    return false;
}

/* Reads a directory in both ways. Returns what they agree on; when they do not, prints both and
 * returns false in `*same`. */
static inline outcome read_both(const char *dir, bool *same)
{
    static loaded_log loaded;
    load_log(&loaded, dir);
    const outcome header = by_the_header(&loaded), library = by_the_library(dir);
    *same = is_same_outcome(&header, &library);
    if (!*same) {
        print_outcome("the header ", &header);
        print_outcome("the library", &library);
    }
    static fs_wal_verify_report_t report;
    report.struct_size = sizeof report;
    const fs_wal_status verified = fs_wal_verify(dir, &report);
    if (header.status == FS_WAL_ERR_CORRUPT && verified == FS_WAL_OK) {
        print_outcome("both readers", &header);
        fprintf(stderr, "and fs_wal_verify finds nothing\n");
        *same = false;
    }
    if (loaded.meta_is_bad != lists(&report, FS_WAL_DAMAGE_META) ||
        loaded.identity_is_bad != lists(&report, FS_WAL_DAMAGE_IDENTITY)) {
        fprintf(stderr, "meta is bad: %d, identity: %d by the header, and not by fs_wal_verify\n",
                loaded.meta_is_bad, loaded.identity_is_bad);
        *same = false;
    }
    unload_log(&loaded);
    return header;
}

#endif
