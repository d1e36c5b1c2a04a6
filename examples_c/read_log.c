/* Reads a whole log with flashstrike_wal_read.h, and links nothing for it.
 *
 *     read_log DIRECTORY
 *
 * Prints the id and the timestamp of every event, and at the end what is wrong. For logs of this
 * library at rest: shut down, or copied. Exit status: 0 read to its end, 1 damage, 2 unreadable or
 * misused. */

#define _DEFAULT_SOURCE

#include <flashstrike_wal_read.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Maps a file. An empty one is NULL and 0. */
static bool map(int directory, const char *name, const void **bytes, size_t *size)
{
    struct stat status;
    const int file = openat(directory, name, O_RDONLY | O_CLOEXEC);
    bool ok = file >= 0 && fstat(file, &status) == 0;
    *bytes = NULL;
    *size = ok ? (size_t)status.st_size : 0;
    if (*size > 0) {
        void *mapped = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, file, 0);
        ok = mapped != MAP_FAILED;
        *bytes = ok ? mapped : NULL;
    }
    if (!ok)
        fprintf(stderr, "%s: %s\n", name, strerror(errno));
    if (file >= 0)
        close(file);
    return ok;
}

/* ANCHOR: files */
/* The log's entry for a segment, a new one if it has none: they are kept by rising index. */
static fs_wal_read_files *entry(fs_wal_read_files *segments, size_t *count, uint32_t index)
{
    size_t place = *count;
    while (place > 0 && segments[place - 1].index > index)
        place--;
    if (place > 0 && segments[place - 1].index == index)
        return &segments[place - 1];
    memmove(segments + place + 1, segments + place, (*count - place) * sizeof *segments);
    memset(&segments[place], 0, sizeof *segments);
    segments[place].index = index;
    ++*count;
    return &segments[place];
}

/* Takes a file of the directory, if it is one that is read. */
static bool add(fs_wal_read_log *log, fs_wal_read_files *segments, int directory, const char *name)
{
    uint64_t number;
    fs_wal_meta_state meta;
    fs_wal_read_identity_t identity;
    const void *bytes;
    size_t size;
    const int kind = fs_wal_read_name(name, &number);
    const bool is_segment = kind == FS_WAL_READ_NAME_HOT || kind == FS_WAL_READ_NAME_COLD;
    const bool is_meta = strcmp(name, FS_WAL_READ_META_NAME) == 0;
    const bool is_identity = strcmp(name, FS_WAL_READ_IDENTITY_NAME) == 0;
    if (!is_segment && !is_meta && !is_identity)
        return true;
    if (!map(directory, name, &bytes, &size))
        return false;
    if (is_meta && fs_wal_read_meta(bytes, size, &meta))
        log->durable_id = meta.last_event_id;
    if (is_identity && fs_wal_read_identity(bytes, size, &identity) && !identity.clean)
        fprintf(stderr, "not shut down: the newest events may be in %.*s only\n",
                (int)identity.active_path.length, identity.active_path.begin);
    if (!is_segment)
        return true;
    fs_wal_read_files *files = entry(segments, &log->segment_count, (uint32_t)number);
    if (kind == FS_WAL_READ_NAME_HOT) {
        files->has_hot = true;
        files->hot = bytes;
        files->hot_size = size;
    } else {
        files->has_cold = true;
        files->cold = bytes;
        files->cold_size = size;
        const size_t room = fs_wal_read_unpacked_size(bytes, size);
        log->room_size = room > log->room_size ? room : log->room_size;
    }
    return true;
}
/* ANCHOR_END: files */

/* ANCHOR: read */
/* Prints the events of the log. Returns the exit status. */
static int print(fs_wal_read_log *log)
{
    const fs_request_event *events;
    size_t count;
    fs_wal_status status;
    log->room = malloc(log->room_size + 1);
    while ((status = fs_wal_read_log_events(log, &events, &count)) == FS_WAL_OK)
        for (size_t i = 0; i < count; i++)
            printf("%" PRIu64 " %" PRIu64 "\n", events[i].event_id, events[i].timestamp);
    free(log->room);
    if (status == FS_WAL_END)
        return 0;
    fflush(stdout);
    const fs_wal_read_damage *damage = &log->damage;
    if (status == FS_WAL_ERR_CORRUPT)
        fprintf(stderr, "segment %" PRIu32 ", offset %" PRIu64 ": %s\n", damage->segment_index,
                damage->offset, damage->what);
    else
        fprintf(stderr, "there is no memory for a cold segment\n");
    return status == FS_WAL_ERR_CORRUPT ? 1 : 2;
}
/* ANCHOR_END: read */

/* How many names a directory has. */
static size_t names_in(DIR *listing)
{
    size_t count = 0;
    while (readdir(listing))
        count++;
    rewinddir(listing);
    return count;
}

int main(int argc, char **argv)
{
    DIR *listing = argc == 2 ? opendir(argv[1]) : NULL;
    if (!listing) {
        if (argc == 2)
            fprintf(stderr, "read_log: %s: %s\n", argv[1], strerror(errno));
        else
            fprintf(stderr, "usage: read_log DIRECTORY\n");
        return 2;
    }
    fs_wal_read_log log;
    memset(&log, 0, sizeof log);
    fs_wal_read_files *segments = calloc(names_in(listing) + 1, sizeof *segments);
    bool ok = segments != NULL;
    for (struct dirent *file; ok && (file = readdir(listing));)
        ok = add(&log, segments, dirfd(listing), file->d_name);
    closedir(listing);
    if (ok && log.segment_count == 0) {
        fprintf(stderr, "read_log: %s: there is no log here\n", argv[1]);
        ok = false;
    }
    log.segments = segments;
    const int status = ok ? print(&log) : 2;
    free(segments); /* the mappings end with the process */
    return fflush(stdout) || ferror(stdout) ? 2 : status;
}
