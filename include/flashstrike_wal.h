/* flashstrike_wal.h: a write-ahead-log recorder for matching engines.
 *
 * Generated from the Rust code by cbindgen; do not edit.
 *
 * An engine appends every request before it acts on it. An append stores 64 bytes in tens of
 * nanoseconds, with no system call; background threads make the events durable, compress old
 * segments and delete the oldest.
 *
 *     fs_wal *wal;
 *     if (fs_wal_open("/var/lib/engine/wal", NULL, &wal) != FS_WAL_OK) {
 *         fprintf(stderr, "%s\n", fs_wal_last_error());
 *         return 1;
 *     }
 *     fs_wal_meta_state last;
 *     fs_wal_meta(wal, &last);
 *     fs_request_event event = {.event_id = last.last_event_id + 1, .price = 10050};
 *     if (fs_wal_append(wal, &event) == FS_WAL_OK) { ... act on it ... }
 *     fs_wal_shutdown(wal);
 *
 * WHAT IS PROMISED. When an append has returned FS_WAL_OK the event survives the death of the
 * process. Everything at or below the durable watermark (fs_wal_durable) survives a power cut.
 *
 * HANDLES. fs_wal is a log open for writing: from fs_wal_open to fs_wal_shutdown, one in the world
 * for each directory. fs_wal_reader reads a log, live or at rest, in any process.
 *
 * THREADS. One thread at a time, the writer, calls fs_wal_append, _append_batch, _claim and _commit.
 * Every other fs_wal function may be called by any thread at any time between open and shutdown. A
 * reader belongs to one thread at a time. In a forked child the calls on its parent's log fail with
 * FS_WAL_ERR_CLOSED.
 *
 * ERRORS. Functions return a status, 0 for success. Out-parameters are written only on success,
 * except where said. fs_wal_last_error() has the reason in words, and fs_wal_last_error_detail() as
 * data, for the calling thread. Statuses that are part of normal flow (FS_WAL_ERR_WOULD_BLOCK,
 * FS_WAL_END, FS_WAL_ERR_TIMEOUT) leave them as they are. No pointer may be NULL unless it says so;
 * a NULL is an error, not a crash.
 *
 * VERSIONS. Structs that may grow begin with struct_size, which the caller sets to sizeof.
 *
 * ON DISK. fs_wal_segment_header, fs_wal_block_header and fs_request_event are the bytes of a
 * segment file, little-endian: a program that only includes this header can read one.
 */


#ifndef FLASHSTRIKE_WAL_H
#define FLASHSTRIKE_WAL_H

#include <stddef.h>
#include <stdint.h>

/*
 `FS_WAL_SEGMENT_MAGIC`: first two bytes of a segment.
 */
#define FS_WAL_SEGMENT_MAGIC 18003

/*
 Version of the on-disk format.
 */
#define FS_WAL_FORMAT_VERSION 1

/*
 Bytes of a segment header.
 */
#define FS_WAL_SEGMENT_HEADER_SIZE 64

/*
 Bytes of a block header.
 */
#define FS_WAL_BLOCK_HEADER_SIZE 64

/*
 Events of a full block.
 */
#define FS_WAL_EVENTS_PER_BLOCK 256

/*
 Bytes of a block: header and 256 events. Block i of a segment starts at 64 + i * 16448.
 */
#define FS_WAL_BLOCK_SIZE 16448

/*
 Fewest blocks of a segment.
 */
#define FS_WAL_MIN_BLOCKS 16

/*
 Most blocks of a segment.
 */
#define FS_WAL_MAX_BLOCKS 261120

/*
 Keep every segment.
 */
#define FS_WAL_KEEP_ALL 4294967295

/*
 Keep no cold segment: expired hot ones are deleted. For max_compressed_segments only.
 */
#define FS_WAL_KEEP_NONE 4294967294

/*
 Open at the last provable event where recovery would refuse; the rest is kept aside.
 */
#define FS_WAL_FLAG_ACCEPT_LOSS 1

/*
 Open on copy-on-write and network filesystems too, where preallocation does not hold.
 */
#define FS_WAL_FLAG_ALLOW_ANY_FILESYSTEM 2

/*
 Delete expired hot segments instead of compressing them.
 */
#define FS_WAL_FLAG_NO_COMPRESSION 4

/*
 The persister spins for new events instead of sleeping: a core for less delay after idle spells.
 */
#define FS_WAL_FLAG_SPIN 8

/*
 No prepared segment ready: wait (the default).
 */
#define FS_WAL_BACKPRESSURE_BLOCK 0

/*
 No prepared segment ready: return FS_WAL_ERR_WOULD_BLOCK.
 */
#define FS_WAL_BACKPRESSURE_FAIL_FAST 1

/*
 Make events durable as soon as there are new ones (the default).
 */
#define FS_WAL_SYNC_CONTINUOUS 0

/*
 Make events durable every sync_interval_ns.
 */
#define FS_WAL_SYNC_INTERVAL 1

/*
 Make events durable when their segment is full.
 */
#define FS_WAL_SYNC_ROTATION 2

/*
 Follow a live log. Not in this version.
 */
#define FS_WAL_READER_FOLLOW 1

/*
 Read around damage. Not in this version.
 */
#define FS_WAL_READER_SALVAGE 2

/*
 Do not check block checksums: faster, and what a disk changed is not noticed.
 */
#define FS_WAL_READER_NO_VERIFY 4

/*
 Give out only what is durable. Not in this version.
 */
#define FS_WAL_READER_DURABLE_ONLY 8

/*
 The header's own version; compare it with fs_wal_version() to find a mismatched library.
 */
#define FS_WAL_VERSION_MAJOR 0

/*
 See `FS_WAL_VERSION_MAJOR`.
 */
#define FS_WAL_VERSION_MINOR 1

/*
 See `FS_WAL_VERSION_MAJOR`.
 */
#define FS_WAL_VERSION_PATCH 0

/*
 A log open for writing. Made by fs_wal_open, freed by fs_wal_shutdown.

 One thread at a time, the writer, may append, append_batch, claim and commit; every other call
 on the handle may come from any thread at any time until fs_wal_shutdown is called.
 */
typedef struct fs_wal fs_wal;

/*
 Reads a log, in this or another process, while it is written or at rest. Writes nothing. Made by
 fs_wal_reader_open, freed by fs_wal_reader_close; one thread at a time.
 */
typedef struct fs_wal_reader fs_wal_reader;

/*
 Options of a log. Set struct_size, or call fs_wal_config_init; a zero field is its default, a
 value out of range is an error that names the field.

 The defaults keep 32 hot segments of 65,536 events and 128 cold ones: 10.5 million events, which
 are LESS THAN THREE HOURS AT 1,000 EVENTS A SECOND, and 10 seconds at a million. Older events are
 deleted. Set the limits, or FS_WAL_KEEP_ALL, to what you must be able to replay.
 */
typedef struct fs_wal_config {
    /*
     sizeof(fs_wal_config) as the caller knows it.
     */
    uint32_t struct_size;
    /*
     Blocks of 256 events in each new segment: 16 to 261120; 0 = 256.
     */
    uint32_t num_blocks;
    /*
     Hot segments kept, the active one included; 0 = 32; FS_WAL_KEEP_ALL.
     */
    uint32_t max_segments;
    /*
     Cold segments kept; 0 = 128; FS_WAL_KEEP_ALL, FS_WAL_KEEP_NONE.
     */
    uint32_t max_compressed_segments;
    /*
     Segments kept ready ahead of the writer: 1 to 64; 0 = 4. Memory used is
     (prepared_segments + 2) * (64 + num_blocks * 16448) bytes: 25 MB by default.
     */
    uint32_t prepared_segments;
    /*
     FS_WAL_FLAG_...
     */
    uint32_t flags;
    /*
     FS_WAL_BACKPRESSURE_...
     */
    uint32_t backpressure;
    /*
     FS_WAL_SYNC_...
     */
    uint32_t sync_mode;
    /*
     For FS_WAL_SYNC_INTERVAL, nanoseconds; 0 = 10 ms.
     */
    uint64_t sync_interval_ns;
    /*
     Nothing at or above this event id is deleted; 0 = no floor.
     */
    uint64_t retention_floor;
    /*
     Memory-backed directory in which the active directory is made; NULL = /dev/shm. Read during
     fs_wal_open only.
     */
    const char *active_dir;
} fs_wal_config;

/*
 What a function came to: 0 is success.
 */
typedef int32_t fs_wal_status;

/*
 A request as the engine hands it in and gets it back, byte for byte.
 */
typedef struct fs_request_event {
    /*
     Strictly increasing over the whole life of the log, never 0 nor 2^64-1. The library's
     commit word: it becomes visible after the other 56 bytes.
     */
    uint64_t event_id;
    /*
     Nanoseconds; the library does not interpret it.
     */
    uint64_t timestamp;
    /*
     Scaled ticks.
     */
    int64_t price;
    /*
     Scaled ticks.
     */
    int64_t quantity;
    /*
     The user.
     */
    uint32_t user_id;
    /*
     The order.
     */
    uint32_t order_id;
    /*
     0 new, 1 modify price, 2 modify quantity, 3 cancel.
     */
    uint8_t type;
    /*
     0 limit, 1 market.
     */
    uint8_t order_type;
    /*
     0 bid, 1 ask.
     */
    uint8_t side;
    /*
     Stored and given back verbatim.
     */
    uint8_t reserved[21];
} fs_request_event;

/*
 A place in the log: the last event of it, and where that event lies. All zero = none yet.
 */
typedef struct fs_wal_meta_state {
    /*
     Segment that holds the event.
     */
    uint32_t last_segment_index;
    /*
     Byte offset just past the event in that segment.
     */
    uint32_t last_offset;
    /*
     The event's id.
     */
    uint64_t last_event_id;
} fs_wal_meta_state;

/*
 What `fs_wal_open` found and did.
 */
typedef struct fs_wal_recovery_report_t {
    /*
     In: bytes the caller's struct has. Out: bytes written.
     */
    uint32_t struct_size;
    /*
     1 when the log was new or its last shutdown clean.
     */
    uint32_t clean;
    /*
     1 when every mapped segment is locked in memory: only then can no append fault.
     */
    uint32_t memory_locked;
    /*
     Hot segments with events, after recovery.
     */
    uint32_t hot_segments;
    /*
     Cold segments.
     */
    uint32_t cold_segments;
    /*
     Zero.
     */
    uint32_t reserved;
    /*
     Opens of this log, this one included.
     */
    uint64_t generation;
    /*
     Last event id of the log, 0 = none.
     */
    uint64_t last_event_id;
    /*
     Highest event id that was known durable before recovery.
     */
    uint64_t durable_event_id;
    /*
     Events that were only in the active directory and were carried over.
     */
    uint64_t events_carried_over;
    /*
     Events above `durable_event_id` that were found, proved and made durable.
     */
    uint64_t events_accepted;
    /*
     Events behind the end of the log, kept aside in `*.corrupt` files.
     */
    uint64_t events_kept_aside;
    /*
     Filesystem of the WAL directory: magic number, as in `statfs(2)`.
     */
    uint64_t wal_filesystem;
    /*
     Filesystem of the active directory.
     */
    uint64_t active_filesystem;
    /*
     The row of the recovery table that was decided by: a stable label, NUL-terminated.
     */
    char decision[64];
    /*
     What else was noticed, sentences separated by "; ", NUL-terminated.
     */
    char notes[256];
    /*
     The active directory, NUL-terminated.
     */
    char active_path[256];
} fs_wal_recovery_report_t;

/*
 How often something was done and how long it took, in nanoseconds.
 */
typedef struct fs_wal_timing {
    /*
     How often.
     */
    uint64_t count;
    /*
     All of them together.
     */
    uint64_t total_ns;
    /*
     The longest.
     */
    uint64_t max_ns;
} fs_wal_timing;

/*
 A bounded ring between two threads.
 */
typedef struct fs_wal_ring {
    /*
     Entries in it now.
     */
    uint64_t fill;
    /*
     Entries there is room for.
     */
    uint64_t capacity;
    /*
     Pushes that found it full and had to wait or be put off.
     */
    uint64_t full;
    /*
     Pops that found it empty though something was wanted.
     */
    uint64_t empty;
} fs_wal_ring;

/*
 The counters of one log at one moment. Counts are since `fs_wal_open`.
 */
typedef struct fs_wal_metrics_t {
    /*
     In: bytes the caller's struct has. Out: bytes written.
     */
    uint32_t struct_size;
    /*
     1 when every mapped segment is locked in memory.
     */
    uint32_t memory_locked;
    /*
     Highest appended event id.
     */
    uint64_t appended_event_id;
    /*
     Highest durable event id.
     */
    uint64_t durable_event_id;
    /*
     Events appended by this handle.
     */
    uint64_t appended_events;
    /*
     Events made durable by this handle.
     */
    uint64_t durable_events;
    /*
     Bytes written to segment files for them: events and block headers.
     */
    uint64_t bytes_written;
    /*
     Disk files newly made.
     */
    uint64_t segments_created;
    /*
     Disk files used again.
     */
    uint64_t segments_recycled;
    /*
     Hot and cold segments that retention removed.
     */
    uint64_t segments_deleted;
    /*
     Hot segments now, the active one included.
     */
    uint64_t hot_segments;
    /*
     Cold segments now.
     */
    uint64_t cold_segments;
    /*
     Freezes that failed and are tried again.
     */
    uint64_t compression_failures;
    /*
     Bytes before compression.
     */
    uint64_t compression_bytes_in;
    /*
     Bytes after compression.
     */
    uint64_t compression_bytes_out;
    /*
     Appends turned away with `FS_WAL_ERR_WOULD_BLOCK`.
     */
    uint64_t would_block;
    /*
     Appends turned away with `FS_WAL_ERR_NO_SPACE`.
     */
    uint64_t no_space;
    /*
     `fs_wal_open`, recovery included.
     */
    struct fs_wal_timing open;
    /*
     A segment made ready.
     */
    struct fs_wal_timing prepare;
    /*
     A rotation on the append thread.
     */
    struct fs_wal_timing rotation;
    /*
     Appends that had to wait for a prepared segment.
     */
    struct fs_wal_timing append_wait;
    /*
     Sealing and writing one batch of events, without the sync.
     */
    struct fs_wal_timing persist;
    /*
     `fdatasync` of one batch.
     */
    struct fs_wal_timing sync;
    /*
     Header of a full segment written and synced.
     */
    struct fs_wal_timing close;
    /*
     `wal_meta.dat` replaced.
     */
    struct fs_wal_timing meta_flush;
    /*
     A hot segment compressed, synced, read back and compared.
     */
    struct fs_wal_timing compression;
    /*
     Prepared segments, filled by the preparer, emptied by the writer.
     */
    struct fs_wal_ring prepared_segments;
    /*
     Segments in use, filled by the writer, emptied by the persister.
     */
    struct fs_wal_ring segments_to_persist;
    /*
     Full segments, filled by the persister, emptied by the maintainer.
     */
    struct fs_wal_ring segments_to_close;
    /*
     Expired hot segments, filled by the maintainer, emptied by the freezer.
     */
    struct fs_wal_ring segments_to_freeze;
    /*
     Frozen segments whose hot file may go, filled by the freezer, emptied by the maintainer.
     */
    struct fs_wal_ring segments_to_free;
} fs_wal_metrics_t;

/*
 Options of a reader.
 */
typedef struct fs_wal_reader_config {
    /*
     sizeof(fs_wal_reader_config).
     */
    uint32_t struct_size;
    /*
     FS_WAL_READER_...
     */
    uint32_t flags;
} fs_wal_reader_config;

/*
 The last failure of this thread as data.
 */
typedef struct fs_wal_error_detail {
    /*
     In: sizeof(fs_wal_error_detail). Out: bytes written.
     */
    uint32_t struct_size;
    /*
     Its status; `FS_WAL_OK` when this thread has had no failure.
     */
    fs_wal_status status;
    /*
     The operating system's error number; 0 when there is none.
     */
    int32_t os_errno;
    /*
     The segment concerned; `UINT32_MAX` when none is.
     */
    uint32_t segment_index;
    /*
     Byte offset in that segment's file; `UINT64_MAX` when it is not known.
     */
    uint64_t offset;
    /*
     First event id concerned; 0 when none is.
     */
    uint64_t first_event_id;
    /*
     Last event id concerned; 0 when none is.
     */
    uint64_t last_event_id;
} fs_wal_error_detail;

/*
 First 64 bytes of a segment file. An open segment (`closed_ts_ns` 0) counts nothing: its events
 are found by scanning the blocks.
 */
typedef struct fs_wal_segment_header {
    /*
     `FS_WAL_SEGMENT_MAGIC`.
     */
    uint16_t magic;
    /*
     `FS_WAL_FORMAT_VERSION`.
     */
    uint8_t version;
    /*
     64.
     */
    uint8_t header_size;
    /*
     The number in the file's name.
     */
    uint32_t segment_index;
    /*
     Blocks in use.
     */
    uint32_t block_count;
    /*
     Events in the segment.
     */
    uint32_t event_count;
    /*
     0 = none.
     */
    uint64_t first_event_id;
    /*
     0 = none.
     */
    uint64_t last_event_id;
    /*
     Wall clock, ns.
     */
    uint64_t created_ts_ns;
    /*
     Wall clock, ns; 0 = still open.
     */
    uint64_t closed_ts_ns;
    /*
     `XXH64(bytes[56..64], XXH64(bytes[0..48], 0))`.
     */
    uint64_t header_checksum;
    /*
     Chained checksum of the last block.
     */
    uint64_t last_chained_checksum;
} fs_wal_segment_header;

/*
 First 64 bytes of a block; its events follow. Written again as the block fills.
 */
typedef struct fs_wal_block_header {
    /*
     First event id in the block.
     */
    uint64_t first_event_id;
    /*
     Last event id in the block.
     */
    uint64_t last_event_id;
    /*
     `XXH64(events, 0)` over `event_count` events.
     */
    uint64_t block_checksum;
    /*
     `XXH64(events, chained checksum of the block before)`; 0 before a segment's first block.
     */
    uint64_t chained_checksum;
    /*
     `XXH64(bytes[40..64], XXH64(bytes[0..32], 0))`.
     */
    uint64_t header_checksum;
    /*
     The block's number in its segment.
     */
    uint32_t block_index;
    /*
     1 to 256; fewer than 256 only in a segment's last block.
     */
    uint16_t event_count;
    /*
     Zero.
     */
    uint16_t reserved0;
    /*
     When this header was written, every event up to this id was on stable storage; 0 = nothing
     known.
     */
    uint64_t durable_event_id;
    /*
     Zero.
     */
    uint64_t reserved1;
} fs_wal_block_header;

/*
 Success.
 */
#define FS_WAL_OK 0

/*
 An argument is NULL or out of its range; the text names it.
 */
#define FS_WAL_ERR_INVALID_ARGUMENT 1

/*
 The directory does not exist.
 */
#define FS_WAL_ERR_NOT_FOUND 2

/*
 The log is open for writing elsewhere; the text has the owner's pid.
 */
#define FS_WAL_ERR_LOCKED 3

/*
 The operating system denies access.
 */
#define FS_WAL_ERR_PERMISSION 4

/*
 The disk, a quota or the active directory is full. Appends work again when there is space.
 */
#define FS_WAL_ERR_NO_SPACE 5

/*
 The operating system reports an I/O error.
 */
#define FS_WAL_ERR_IO 6

/*
 The files contradict what must have been written; nothing was changed.
 */
#define FS_WAL_ERR_CORRUPT 7

/*
 The event id is not above the last one, or is 0 or 2^64-1; nothing was written.
 */
#define FS_WAL_ERR_OUT_OF_ORDER 8

/*
 Nothing was done; try again.
 */
#define FS_WAL_ERR_WOULD_BLOCK 9

/*
 The time given has passed.
 */
#define FS_WAL_ERR_TIMEOUT 10

/*
 The log has failed before and takes no more events; the text has the first cause.
 */
#define FS_WAL_ERR_POISONED 11

/*
 Retention has removed the events that were to be read next.
 */
#define FS_WAL_ERR_GAP 12

/*
 This version cannot do that.
 */
#define FS_WAL_ERR_UNSUPPORTED 13

/*
 A defect in the library.
 */
#define FS_WAL_ERR_INTERNAL 14

/*
 Reader: nothing more right now. Not a failure.
 */
#define FS_WAL_END 15

/*
 The log was shut down during the call, or belongs to the parent of this forked process.
 */
#define FS_WAL_ERR_CLOSED 16

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Fills a config with the defaults, written out, and its struct_size. Writes no more than
 `struct_size` bytes: give sizeof(fs_wal_config). NULL is fine. Any thread.

 # Safety
 `config` is NULL or points to `struct_size` writable bytes.
 */
void fs_wal_config_init(struct fs_wal_config *config, uint32_t struct_size);

/*
 Opens a log for writing: makes the directory if it is missing, locks it, recovers, prepares
 segments and starts the workers. `config` may be NULL: all defaults. On success `*out` is a
 handle that fs_wal_shutdown frees. Any thread.

 Returns FS_WAL_OK; FS_WAL_ERR_INVALID_ARGUMENT (the text names the argument or field); _LOCKED
 (the text has the owner's pid); _PERMISSION; _NO_SPACE; _CORRUPT (recovery refuses, and has
 changed nothing; FS_WAL_FLAG_ACCEPT_LOSS may open); _UNSUPPORTED; _IO; _INTERNAL.

 # Safety
 `dir` is a NUL-terminated string; `config` is NULL or as large as its struct_size says; `out` can
 be written.
 */
fs_wal_status fs_wal_open(const char *dir, const struct fs_wal_config *config, struct fs_wal **out);

/*
 Appends one event: the hot path. `event` is copied; it must be aligned to 8. When this returns
 FS_WAL_OK the event survives the death of the process; for power loss see fs_wal_durable. Makes
 no system call while a prepared segment is ready. The one writer.

 Returns FS_WAL_OK; FS_WAL_ERR_OUT_OF_ORDER (the id is not above the last one, or 0, or 2^64-1);
 _WOULD_BLOCK (FS_WAL_BACKPRESSURE_FAIL_FAST only); _NO_SPACE; _POISONED; _CLOSED (in a forked
 child); _INVALID_ARGUMENT. On any but FS_WAL_OK nothing was appended.

 # Safety
 `wal` is an open handle and this thread its one writer; `event` points to an event.
 */
fs_wal_status fs_wal_append(struct fs_wal *wal, const struct fs_request_event *event);

/*
 Appends `count` events in order. `*appended`, if not NULL, is always set: how many went in, a
 prefix; on FS_WAL_OK all of them. The one writer.

 Returns as fs_wal_append, for the first event that was not appended.

 # Safety
 `wal` is an open handle and this thread its one writer; `events` points to `count` events;
 `appended` is NULL or can be written.
 */
fs_wal_status fs_wal_append_batch(struct fs_wal *wal,
                                  const struct fs_request_event *events,
                                  size_t count,
                                  size_t *appended);

/*
 Gives out the place of the next event in the log itself: fill bytes 8 to 63 of `**slot`, never
 the id, then commit. The slot is the caller's until its next call on the handle; a claim that
 is not committed leaves no trace. The one writer.

 Returns as fs_wal_append, but for _OUT_OF_ORDER.

 # Safety
 `wal` is an open handle and this thread its one writer; `slot` can be written.
 */
fs_wal_status fs_wal_claim(struct fs_wal *wal, struct fs_request_event **slot);

/*
 Makes the claimed event exist, by storing its id, last. The one writer.

 Returns as fs_wal_append; FS_WAL_ERR_INVALID_ARGUMENT also when nothing is claimed. After
 _OUT_OF_ORDER the claim still stands.

 # Safety
 `wal` is an open handle and this thread its one writer.
 */
fs_wal_status fs_wal_commit(struct fs_wal *wal, uint64_t event_id);

/*
 What was appended last: segment, offset just past it, id, as one consistent triple; all zero in
 an empty log. Any thread, also while the writer appends.

 Returns FS_WAL_OK, FS_WAL_ERR_INVALID_ARGUMENT, or FS_WAL_ERR_CLOSED in a forked child.

 # Safety
 `wal` is an open handle; `out` can be written.
 */
fs_wal_status fs_wal_meta(const struct fs_wal *wal, struct fs_wal_meta_state *out);

/*
 The durable watermark: every event up to this one survives a power cut. Any thread.

 Returns as fs_wal_meta.

 # Safety
 `wal` is an open handle; `out` can be written.
 */
fs_wal_status fs_wal_durable(const struct fs_wal *wal, struct fs_wal_meta_state *out);

/*
 Makes everything appended so far durable, and returns when it is. Any thread; not the hot path.

 Returns FS_WAL_OK, _POISONED (the sync failed, now or before), _CLOSED, _INVALID_ARGUMENT.

 # Safety
 `wal` is an open handle.
 */
fs_wal_status fs_wal_sync(struct fs_wal *wal);

/*
 Waits until the watermark has reached `event_id`, and asks for a sync if the policy would not
 soon bring one. A timeout of 0 only looks; UINT64_MAX waits for ever. Any thread.

 Returns FS_WAL_OK, _TIMEOUT, _POISONED, _CLOSED (shut down meanwhile), _INVALID_ARGUMENT.

 # Safety
 `wal` is an open handle.
 */
fs_wal_status fs_wal_wait_durable(struct fs_wal *wal, uint64_t event_id, uint64_t timeout_ns);

/*
 Seals, makes everything durable, drains every queue, flushes meta and identity, stops the
 workers, releases the lock and frees the handle, also when it returns an error. Wakes waiting
 calls with FS_WAL_ERR_CLOSED and waits until they are out. NULL is fine. The writer, or any
 thread once the writer has stopped; no call may be begun on the handle any more.

 Returns FS_WAL_OK: everything is safe. _POISONED: the log failed, the text has the first cause,
 the next open will recover. _CLOSED: in a forked child; nothing was done. _NO_SPACE, _IO: the
 events are durable, but the clean shutdown could not be noted; the next open will recover.

 # Safety
 `wal` is NULL or an open handle, which is not used again.
 */
fs_wal_status fs_wal_shutdown(struct fs_wal *wal);

/*
 What fs_wal_open found and did. The caller sets `out->struct_size`; no more than that is
 written. Any thread.

 Returns FS_WAL_OK, FS_WAL_ERR_INVALID_ARGUMENT, or FS_WAL_ERR_CLOSED in a forked child.

 # Safety
 `wal` is an open handle; `out` points to as many bytes as its struct_size says.
 */
fs_wal_status fs_wal_recovery_report(const struct fs_wal *wal,
                                     struct fs_wal_recovery_report_t *out);

/*
 The log's counters now. The caller sets `out->struct_size`; no more than that is written. Any
 thread.

 Returns FS_WAL_OK, FS_WAL_ERR_INVALID_ARGUMENT, or FS_WAL_ERR_CLOSED in a forked child.

 # Safety
 `wal` is an open handle; `out` points to as many bytes as its struct_size says.
 */
fs_wal_status fs_wal_metrics(const struct fs_wal *wal, struct fs_wal_metrics_t *out);

/*
 The counters in the Prometheus text format, NUL-terminated. `*needed`, if not NULL, is set to
 the bytes the whole text takes, the NUL included. NULL for `buf` with 0 for `len` only asks for
 that. Any thread.

 Returns FS_WAL_OK; FS_WAL_ERR_INVALID_ARGUMENT when `buf` is too small: nothing was written to
 it, the text says how much is needed, and it may be a little more next time; FS_WAL_ERR_CLOSED
 in a forked child.

 # Safety
 `wal` is an open handle; `buf` points to `len` writable bytes; `needed` is NULL or can be written.
 */
fs_wal_status fs_wal_metrics_prometheus(const struct fs_wal *wal,
                                        char *buf,
                                        size_t len,
                                        size_t *needed);

/*
 Opens a log for reading, at its oldest event. `config` may be NULL. On success `*out` is a
 handle that fs_wal_reader_close frees. Any thread.

 Returns FS_WAL_OK, FS_WAL_ERR_NOT_FOUND (no such directory), _PERMISSION, _UNSUPPORTED (a flag
 of a later version), _INVALID_ARGUMENT, _IO.

 # Safety
 `dir` is a NUL-terminated string; `config` is NULL or as large as its struct_size says; `out` can
 be written.
 */
fs_wal_status fs_wal_reader_open(const char *dir,
                                 const struct fs_wal_reader_config *config,
                                 struct fs_wal_reader **out);

/*
 The next event, copied to `*out`.

 Returns FS_WAL_OK; FS_WAL_END: nothing more right now, a later call may find more;
 FS_WAL_ERR_CORRUPT (fs_wal_last_error_detail says where; nothing damaged is given out); _GAP
 (retention has removed what comes next); _IO; _INVALID_ARGUMENT.

 # Safety
 `reader` is an open reader, used by one thread; `out` can be written.
 */
fs_wal_status fs_wal_reader_next(struct fs_wal_reader *reader, struct fs_request_event *out);

/*
 The next events where they are, at least one: `*events` points to `*count` of them, the reader's
 own, valid until the next call on it.

 Returns as fs_wal_reader_next.

 # Safety
 `reader` is an open reader, used by one thread; `events` and `count` can be written.
 */
fs_wal_status fs_wal_reader_next_batch(struct fs_wal_reader *reader,
                                       const struct fs_request_event **events,
                                       size_t *count);

/*
 Goes to the first event with this id or a higher one, forwards or backwards; 0 is the beginning.

 Returns FS_WAL_OK, also when there is no such event yet: the next call then says FS_WAL_END.
 FS_WAL_ERR_CORRUPT, _IO, _INVALID_ARGUMENT.

 # Safety
 `reader` is an open reader, used by one thread.
 */
fs_wal_status fs_wal_reader_seek(struct fs_wal_reader *reader, uint64_t event_id);

/*
 Frees a reader. NULL is fine.

 # Safety
 `reader` is NULL or an open reader, which is not used again.
 */
void fs_wal_reader_close(struct fs_wal_reader *reader);

/*
 The name of a status, for example "OUT_OF_ORDER". Never NULL, whatever the number; the text is
 static. Any thread.
 */
const char *fs_wal_status_string(fs_wal_status status);

/*
 The last failure of this thread in words: what was tried, on what, and why it failed. Empty
 when there was none; never NULL. Valid until this thread's next failing call. WOULD_BLOCK, END
 and TIMEOUT leave it as it is, and so does success. Any thread.
 */
const char *fs_wal_last_error(void);

/*
 The last failure of this thread as data. The caller sets `out->struct_size`; no more than that
 is written. Any thread.

 Returns FS_WAL_OK, or FS_WAL_ERR_INVALID_ARGUMENT when `out` is NULL or its struct_size is too
 small.

 # Safety
 `out` is NULL or points to a struct of the size it states.
 */
fs_wal_status fs_wal_last_error_detail(struct fs_wal_error_detail *out);

/*
 The version of the library at run time, for example "0.1.0". Static, never NULL. Any thread.
 */
const char *fs_wal_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FLASHSTRIKE_WAL_H */

/* The on-disk structs are what the format says, or the program does not compile. */
#if defined(__cplusplus) && __cplusplus >= 201103L
#define FS_WAL_ASSERT_(condition) static_assert(condition, #condition)
#elif !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define FS_WAL_ASSERT_(condition) _Static_assert(condition, #condition)
#endif
#ifdef FS_WAL_ASSERT_
FS_WAL_ASSERT_(sizeof(fs_request_event) == 64);
FS_WAL_ASSERT_(offsetof(fs_request_event, user_id) == 32);
FS_WAL_ASSERT_(offsetof(fs_request_event, type) == 40);
FS_WAL_ASSERT_(offsetof(fs_request_event, reserved) == 43);
FS_WAL_ASSERT_(sizeof(fs_wal_meta_state) == 16);
FS_WAL_ASSERT_(sizeof(fs_wal_segment_header) == FS_WAL_SEGMENT_HEADER_SIZE);
FS_WAL_ASSERT_(offsetof(fs_wal_segment_header, segment_index) == 4);
FS_WAL_ASSERT_(offsetof(fs_wal_segment_header, first_event_id) == 16);
FS_WAL_ASSERT_(offsetof(fs_wal_segment_header, closed_ts_ns) == 40);
FS_WAL_ASSERT_(offsetof(fs_wal_segment_header, header_checksum) == 48);
FS_WAL_ASSERT_(offsetof(fs_wal_segment_header, last_chained_checksum) == 56);
FS_WAL_ASSERT_(sizeof(fs_wal_block_header) == FS_WAL_BLOCK_HEADER_SIZE);
FS_WAL_ASSERT_(offsetof(fs_wal_block_header, block_checksum) == 16);
FS_WAL_ASSERT_(offsetof(fs_wal_block_header, header_checksum) == 32);
FS_WAL_ASSERT_(offsetof(fs_wal_block_header, event_count) == 44);
FS_WAL_ASSERT_(offsetof(fs_wal_block_header, durable_event_id) == 48);
FS_WAL_ASSERT_(FS_WAL_BLOCK_SIZE ==
               FS_WAL_BLOCK_HEADER_SIZE + FS_WAL_EVENTS_PER_BLOCK * sizeof(fs_request_event));
#endif
