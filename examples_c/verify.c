/* Checks a log, and prints each damage and where it is.
 *
 *     verify DIRECTORY
 *
 * Changes nothing, and may run while the log is being written.
 * Exit status: 0 no damage, 1 damage, 2 the log could not be checked. */

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
        return 2;
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
    if (status == FS_WAL_OK) {
        printf("all is well\n");
        return 0;
    }
    printf("damages: %" PRIu64 "\n", report.damage_count);
    for (size_t i = 0; i < report.damage_count && i < FS_WAL_VERIFY_MAX_DAMAGES; i++)
        print_damage(&report.damages[i]);
    return 1;
}
