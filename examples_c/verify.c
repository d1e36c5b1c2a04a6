/* Checks a log, and prints each damage and where it is.
 *
 *     verify DIRECTORY
 *
 * Changes nothing, and may run while the log is being written.
 * Exit status: 0 no damage, 1 damage, 2 no log there or wrong usage, 3 something cannot be read,
 * and what can be is not damaged. */

#include <flashstrike_wal.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *kind_name(uint32_t kind)
{
    static const char *const names[] = {
        "?",         "unreadable",   "frame",           "trailing",     "segment header",
        "misnamed",  "block header", "block",           "chain",        "order",
        "truncated", "pair",         "missing segment", "durable lost", "meta",
        "identity",  "active",
    };
    return names[kind < sizeof names / sizeof *names ? kind : 0];
}

static void print_damage(const fs_wal_damage *damage)
{
    printf("  %s: %s", damage->file, kind_name(damage->kind));
    if (damage->has_segment_index)
        printf(", segment %" PRIu32 ", offset %" PRIu64 " (%" PRIu64 " in the file)",
               damage->segment_index, damage->offset, damage->file_offset);
    if (damage->first_event_id != 0 && damage->last_event_id != 0)
        printf(", events %" PRIu64 " to %" PRIu64, damage->first_event_id, damage->last_event_id);
    else if (damage->first_event_id != 0)
        printf(", events from %" PRIu64 " on", damage->first_event_id);
    if (damage->os_errno != 0)
        printf(": %s", strerror(damage->os_errno));
    printf("\n");
}

/* What the directory alone cannot tell. */
static void print_newest(const fs_wal_verify_report_t *report)
{
    if (report->is_copy)
        printf("this is a copy\n");
    const char *what;
    switch (report->newest) {
    case FS_WAL_NEWEST_IN_MEMORY:
        printf("not shut down: the newest events are in %s, on disk up to %" PRIu64 "\n",
               report->active_path, report->on_disk_event_id);
        return;
    case FS_WAL_NEWEST_NOT_KNOWN:
        printf("not known where the newest events are: wal_identity is missing or damaged\n");
        printf("if it was not shut down, events after %" PRIu64 " may be missing\n",
               report->last_event_id);
        return;
    case FS_WAL_NEWEST_DENIED:
        what = "are in memory that this user may not read";
        break;
    case FS_WAL_NEWEST_ELSEWHERE:
        what = "are in the memory of the log that this is a copy of";
        break;
    case FS_WAL_NEWEST_NOT_HERE:
        what = "were in memory that is not here";
        break;
    default:
        return;
    }
    printf("not shut down: the newest events %s: %s\n", what, report->active_path);
    printf("events after %" PRIu64 " may be missing\n", report->last_event_id);
}

static int exit_status(fs_wal_status status)
{
    switch (status) {
    case FS_WAL_OK:
        return 0;
    case FS_WAL_ERR_CORRUPT:
        return 1;
    case FS_WAL_ERR_NOT_FOUND:
    case FS_WAL_ERR_INVALID_ARGUMENT:
        return 2;
    default:
        return 3;
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: verify DIRECTORY\n");
        return 2;
    }
    fs_wal_verify_report_t report = {.struct_size = sizeof report};
    const fs_wal_status status = fs_wal_verify(argv[1], &report);
    if (status != FS_WAL_OK && report.damage_count == 0) {
        fprintf(stderr, "verify: %s\n", fs_wal_last_error());
        return exit_status(status);
    }
    printf("segments: %" PRIu32 " hot, %" PRIu32 " cold, %" PRIu32 " open; %" PRIu64
           " bytes read\n",
           report.hot_segments, report.cold_segments, report.open_segments, report.bytes);
    printf("events: %" PRIu64 " in %" PRIu64 " blocks, ids %" PRIu64 " to %" PRIu64
           ", durable up to %" PRIu64 "\n",
           report.events, report.blocks, report.first_event_id, report.last_event_id,
           report.durable_event_id);
    printf("other files: %" PRIu32 " foreign, %" PRIu32 " kept aside\n", report.foreign_files,
           report.kept_aside_files);
    print_newest(&report);
    if (status == FS_WAL_OK) {
        printf("all is well\n");
        return 0;
    }
    printf("the first: %s\n", fs_wal_last_error());
    const char *const what = status == FS_WAL_ERR_CORRUPT ? "damages" : "cannot be read";
    printf("%s: %" PRIu64 "\n", what, report.damage_count);
    for (size_t i = 0; i < report.damage_count && i < FS_WAL_VERIFY_MAX_DAMAGES; i++)
        print_damage(&report.damages[i]);
    return exit_status(status);
}
