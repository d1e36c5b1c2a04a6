/* flashstrike_wal.h: a write-ahead log for matching engines.
 *
 * Generated from the Rust code by cbindgen; do not edit.
 *
 * An engine appends every request before it acts on it. When fs_wal_append has returned FS_WAL_OK,
 * the request survives the death of the process at any later instruction; when the durable
 * watermark has passed it, by default as soon as the disk can sync, it survives a power cut. A new
 * process opens the same directory, replays it, and goes on. (Error handling left out:)
 *
 *     fs_wal *wal;
 *     fs_wal_reader *reader;
 *     fs_request_event event;
 *     fs_wal_open("/var/lib/engine/wal", NULL, &wal);             // lock, recover
 *     fs_wal_reader_open("/var/lib/engine/wal", NULL, &reader);
 *     while (fs_wal_reader_next(reader, &event) == FS_WAL_OK)     // rebuild the books
 *         apply(&event);
 *     fs_wal_reader_close(reader);
 *     while (next_request(&event))                                // sets event_id: ids rise
 *         if (fs_wal_append(wal, &event) == FS_WAL_OK)
 *             apply(&event);
 *     fs_wal_shutdown(wal);                                       // OK: all of it is durable
 *
 * WHAT THERE IS
 *
 *   fs_wal          A log open for writing, by one owner in one process. From fs_wal_open to
 *                   fs_wal_shutdown, which frees it.
 *   fs_wal_reader   A place in a log, for replay, also while the log is being written by this or
 *                   another process. From fs_wal_reader_open to fs_wal_reader_close.
 *   fs_request_event
 *                   64 bytes, of which the library interprets only event_id: over the whole life of
 *                   a log ids rise, with gaps if you like; 0 and 2^64-1 are not ids. The other 56
 *                   bytes come back as they went in.
 *   On-disk structs fs_wal_segment_header and fs_wal_block_header, for programs that read segment
 *                   files (little-endian) by themselves; those need not link the library.
 *
 * THREADS
 *
 *   One thread, the writer, calls append, append_batch, claim and commit. It may be another thread
 *   later, when something (a join, a mutex) orders the two. Every other call on a fs_wal may come
 *   from any thread at any time. A fs_wal_reader is for one thread at a time. Each function says
 *   "Threads:". In a child made by fork() a handle of the parent answers FS_WAL_ERR_CLOSED; give it
 *   to no one, and open another log if you need one.
 *
 *   A log has one thread of its own; those that prepare, close and compress are shared by the logs
 *   of the process that are on the same filesystems. The last log to be shut down ends them: then
 *   no thread of the library is left. See fs_wal_config.persister_cpus, worker_cpus, worker_nice.
 *
 * SIGNALS
 *
 *   The library's threads block every signal but faults and SIGPROF: a program's handlers do not run
 *   on them. fs_wal_open and fs_wal_shutdown block the same on their thread meanwhile. A write past
 *   RLIMIT_FSIZE is therefore an error (FS_WAL_ERR_NO_SPACE), and no SIGXFSZ.
 *
 * ERRORS
 *
 *   Calls that can fail return a fs_wal_status: FS_WAL_OK is 0. Out-parameters are written only on
 *   success, unless a function says otherwise. fs_wal_last_error has the words for the last failure
 *   on the calling thread and fs_wal_last_error_detail the numbers. FS_WAL_ERR_WOULD_BLOCK,
 *   FS_WAL_ERR_TIMEOUT and FS_WAL_END are normal flow: no failures, no words.
 *   FS_WAL_ERR_POISONED is final: a write or a sync of the log has failed, or the library has met a
 *   defect of its own (the call that met it returned FS_WAL_ERR_INTERNAL). Shut the log down; the
 *   next open carries over what was appended.
 *
 * POINTERS AND STRUCTS
 *
 *   Every pointer must be aligned for its type; NULL is refused (FS_WAL_ERR_INVALID_ARGUMENT) unless
 *   a function says that it is fine. Paths are NUL-terminated bytes, in no particular encoding.
 *   Arguments are copied; the library keeps no pointer of the caller's but fs_wal_config.log_user.
 *   Structs that begin with struct_size grow in later versions, at the end. Set it to the sizeof
 *   that you compiled with. Options that you do not know yet have their defaults, and reports give
 *   you the fields that you know. Options that the library does not know yet must be 0, or
 *   fs_wal_open returns FS_WAL_ERR_UNSUPPORTED. */

#ifndef FLASHSTRIKE_WAL_H
#define FLASHSTRIKE_WAL_H

#include <stddef.h>
#include <stdint.h>

// The header's version; compare with `fs_wal_version()`, the library's.
#define FS_WAL_VERSION_MAJOR 0

// See `FS_WAL_VERSION_MAJOR`.
#define FS_WAL_VERSION_MINOR 1

// See `FS_WAL_VERSION_MAJOR`.
#define FS_WAL_VERSION_PATCH 0

// First two bytes of a segment file: 0x4653.
#define FS_WAL_SEGMENT_MAGIC 18003

// Version of the on-disk format.
#define FS_WAL_FORMAT_VERSION 1

// Bytes of a segment header.
#define FS_WAL_SEGMENT_HEADER_SIZE 64

// Bytes of a block header.
#define FS_WAL_BLOCK_HEADER_SIZE 64

// Events of a full block.
#define FS_WAL_EVENTS_PER_BLOCK 256

// Bytes of a block: its header and 256 events. Block i begins at byte 64 + i * 16448.
#define FS_WAL_BLOCK_SIZE 16448

// Fewest blocks of a segment.
#define FS_WAL_MIN_BLOCKS 16

// Most blocks of a segment: its file stays under 4 GiB.
#define FS_WAL_MAX_BLOCKS 261120

// The log has failed, or could not be opened.
#define FS_WAL_LOG_ERROR 1

// Something is not as it should be, and the log goes on.
#define FS_WAL_LOG_WARN 2

// What was done: opened, recovered, deleted, shut down.
#define FS_WAL_LOG_INFO 3

// `max_segments`, `max_compressed_segments`: no limit.
#define FS_WAL_KEEP_ALL UINT32_MAX

// `max_compressed_segments` only: no cold segments at all.
#define FS_WAL_KEEP_NONE (UINT32_MAX - 1)

// Where recovery would refuse to open, open at the last provable event; the rest is kept aside.
#define FS_WAL_FLAG_ACCEPT_LOSS 1

// Open on any filesystem: also on copy-on-write and network ones, where space cannot really be
// reserved and a full disk may kill the process, and on vfat and its like, where a power cut may
// take whole files.
#define FS_WAL_FLAG_ALLOW_ANY_FILESYSTEM 2

// Delete hot segments past `max_segments` instead of compressing them.
#define FS_WAL_FLAG_NO_COMPRESSION 4

// The persister spins for new events and never sleeps: a core for a shorter time to durable.
#define FS_WAL_FLAG_SPIN 8

// When the disk is slow and no segment is ready, an append waits.
#define FS_WAL_BACKPRESSURE_BLOCK 0

// When the disk is slow and no segment is ready, an append returns `FS_WAL_ERR_WOULD_BLOCK`.
#define FS_WAL_BACKPRESSURE_FAIL_FAST 1

// Events are made durable as soon as there are any, syncs back to back under load.
#define FS_WAL_SYNC_CONTINUOUS 0

// Events are made durable every `sync_interval_ns`.
#define FS_WAL_SYNC_INTERVAL 1

// Events are made durable when their segment is full.
#define FS_WAL_SYNC_ROTATION 2

// Follow a live log. Not in this version: `FS_WAL_ERR_UNSUPPORTED`.
#define FS_WAL_READER_FOLLOW 1

// Read around damage. Each call that meets some fails once, with `FS_WAL_ERR_CORRUPT` (or
// `FS_WAL_ERR_IO`, `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_GAP`) and the range in
// `fs_wal_last_error_detail`; the next call goes on behind it. Not together with
// `FS_WAL_READER_NO_VERIFY`.
#define FS_WAL_READER_SALVAGE 2

// Do not verify the checksums of sealed blocks.
#define FS_WAL_READER_NO_VERIFY 4

// Stop at the durable watermark. Not in this version: `FS_WAL_ERR_UNSUPPORTED`.
#define FS_WAL_READER_DURABLE_ONLY 8

// A file or a part of one cannot be read; `os_errno` says why.
#define FS_WAL_DAMAGE_UNREADABLE 1

// The LZ4 frame of a cold segment. Event ids are those of events that it has cost.
#define FS_WAL_DAMAGE_FRAME 2

// Bytes follow the frame of a cold segment.
#define FS_WAL_DAMAGE_TRAILING 3

// A segment header is not valid, or not what the blocks say. Its events may all be right.
#define FS_WAL_DAMAGE_SEGMENT_HEADER 4

// The file is another segment's.
#define FS_WAL_DAMAGE_MISNAMED 5

// A block header is not valid, or another block's.
#define FS_WAL_DAMAGE_BLOCK_HEADER 6

// The events of a block are not those of its checksum.
#define FS_WAL_DAMAGE_BLOCK 7

// A block is right by itself and does not continue the chain of checksums.
#define FS_WAL_DAMAGE_CHAIN 8

// Event ids do not rise.
#define FS_WAL_DAMAGE_ORDER 9

// The file ends before the events it counts.
#define FS_WAL_DAMAGE_TRUNCATED 10

// The hot and the cold file of a segment differ.
#define FS_WAL_DAMAGE_TWINS 11

// A segment is missing between others.
#define FS_WAL_DAMAGE_MISSING_SEGMENT 12

// Events that were durable are gone.
#define FS_WAL_DAMAGE_DURABLE_LOST 13

// `wal_meta.dat` is not valid.
#define FS_WAL_DAMAGE_META 14

// `wal_identity` is not valid.
#define FS_WAL_DAMAGE_IDENTITY 15

// The active directory of a log that was not shut down is gone, or has other events.
#define FS_WAL_DAMAGE_ACTIVE 16

// Damages that a report lists; more are only counted.
#define FS_WAL_VERIFY_MAX_DAMAGES 16

// A log open for writing: made by `fs_wal_open`, freed by `fs_wal_shutdown`.
//
// One thread, the writer, appends (append, append_batch, claim, commit). The writer may be
// another thread later if something orders the two, such as a join or a mutex. All other calls
// may come from any thread at any time, also while the writer appends.
typedef struct fs_wal fs_wal;

// A reader of a log: made by `fs_wal_reader_open`, freed by `fs_wal_reader_close`.
//
// Gives the events in order, over cold, hot and active segments, also while another thread or
// process appends; it writes nothing and never holds the writer up. One thread at a time.
typedef struct fs_wal_reader fs_wal_reader;

// What a call returns: `FS_WAL_OK`, `FS_WAL_END` or an `FS_WAL_ERR_` code.
typedef int32_t fs_wal_status;

// Where and why the last failure on a thread happened.
typedef struct fs_wal_error_detail {
    // In: bytes the caller's struct has. Out: bytes written.
    uint32_t struct_size;
    // What the failed call returned; `FS_WAL_OK` when none has failed on this thread yet.
    fs_wal_status status;
    // The operating system's error number, 0 when there is none.
    int32_t os_errno;
    // Segment concerned, if `has_segment_index`; else 0.
    uint32_t segment_index;
    // Byte offset in that segment's file, if `has_offset`; else 0.
    uint64_t offset;
    // First event id concerned, 0 = none.
    uint64_t first_event_id;
    // Last event id concerned, 0 = none.
    uint64_t last_event_id;
    // 1 when `segment_index` is known.
    uint32_t has_segment_index;
    // 1 when `offset` is known.
    uint32_t has_offset;
} fs_wal_error_detail;

// Options of `fs_wal_open`. A field that is 0 (or NULL) has its default.
//
// RETENTION: old events are DELETED. The defaults keep the last 160 segments, 10.5 million events:
// 3 hours at 1,000 a second, 10 seconds at a million a second. Set `max_segments` and
// `max_compressed_segments` to what you need.
typedef struct fs_wal_config {
    // `sizeof(fs_wal_config)` as the caller knows it. Fields past it have their defaults.
    uint32_t struct_size;
    // Blocks of 256 events a segment, `FS_WAL_MIN_BLOCKS` to `FS_WAL_MAX_BLOCKS`. Default 256:
    // segments of 4.2 MB.
    uint32_t num_blocks;
    // Hot segments kept, the active one included. Default 32; `FS_WAL_KEEP_ALL`.
    uint32_t max_segments;
    // Cold (compressed) segments kept. Default 128; `FS_WAL_KEEP_ALL`, `FS_WAL_KEEP_NONE`.
    uint32_t max_compressed_segments;
    // Segments kept ready ahead of the writer, 1 to 64. Default 4. Memory in use is this and 2
    // more segments.
    uint32_t prepared_segments;
    // `FS_WAL_FLAG_`, or-ed.
    uint32_t flags;
    // One of `FS_WAL_BACKPRESSURE_`. Default: block.
    uint32_t backpressure;
    // One of `FS_WAL_SYNC_`. Default: continuous.
    uint32_t sync_mode;
    // For `FS_WAL_SYNC_INTERVAL`. Default 10 ms.
    uint64_t sync_interval_ns;
    // Nothing at or above this event id is deleted. 0 = no floor. See
    // `fs_wal_set_retention_floor`.
    uint64_t retention_floor;
    // Directory, best on tmpfs, in which the active directory is made. NULL = /dev/shm. Copied:
    // it may be freed once `fs_wal_open` has returned.
    const char *active_dir;
    // Told what happens to the log: opening and what recovery decided and noticed, filesystem and
    // memory that are not as they should be, the failure that poisons the log, a full disk and its
    // end, compression that fails, segments that retention deletes, shutdown. NULL = nobody.
    //
    // `level` is one of `FS_WAL_LOG_`; `message` is one line, valid during the call. It is called
    // on the thread that opens and the one that shuts down, and between the two on threads of the
    // library, never by append, append_batch, claim or commit; one call at a time for each log.
    // What is late in it holds up the disk work of the log, and of those that share its threads. It
    // must not throw, and must not call into any log but for `fs_wal_meta`, `fs_wal_durable` and
    // `fs_wal_metrics`.
    void (*log)(void *user, int32_t level, const char *message);
    // Handed to `log` as `user`. Must be fit for other threads, and stay until `fs_wal_shutdown`
    // has returned, or `fs_wal_open` has failed.
    void *log_user;
    // Processors that the log's own thread, its persister, may run on: bit n is processor n. 0 =
    // those of the thread that opens. One that is not available is refused.
    uint64_t persister_cpus;
    // The same for the threads that logs share: those with the same `worker_cpus` and
    // `worker_nice`, on the same filesystems. 0 = those of the thread that opens the first of them.
    uint64_t worker_cpus;
    // Nice value of all these threads, -20 to 19; compression always has 19. 0 = that of the thread
    // that opens. A value the process may not have is refused with `FS_WAL_ERR_PERMISSION`.
    int32_t worker_nice;
    // 0.
    uint32_t reserved;
} fs_wal_config;

// A request as the engine hands it in and gets it back, byte for byte.
typedef struct fs_request_event {
    // Strictly increasing over the whole life of the log, never 0 nor 2^64-1. The library's
    // commit word: it becomes visible after the other 56 bytes.
    uint64_t event_id;
    // Nanoseconds; the library does not interpret it.
    uint64_t timestamp;
    // Scaled ticks.
    int64_t price;
    // Scaled ticks.
    int64_t quantity;
    // The user.
    uint32_t user_id;
    // The order.
    uint32_t order_id;
    // 0 new, 1 modify price, 2 modify quantity, 3 cancel.
    uint8_t type;
    // 0 limit, 1 market.
    uint8_t order_type;
    // 0 bid, 1 ask.
    uint8_t side;
    // Stored and given back verbatim.
    uint8_t reserved[21];
} fs_request_event;

// A place in the log: the last event of it, and where that event lies. All zero = none yet.
typedef struct fs_wal_meta_state {
    // Segment that holds the event.
    uint32_t last_segment_index;
    // Byte offset just past the event in that segment.
    uint32_t last_offset;
    // The event's id.
    uint64_t last_event_id;
} fs_wal_meta_state;

// What `fs_wal_open` found and did.
typedef struct fs_wal_recovery_report_t {
    // In: bytes the caller's struct has. Out: bytes written.
    uint32_t struct_size;
    // 1 when the log was new or its last shutdown clean.
    uint32_t clean;
    // 1 when every mapped segment is locked in memory: only then can no append fault.
    uint32_t memory_locked;
    // Hot segments with events, after recovery.
    uint32_t hot_segments;
    // Cold segments.
    uint32_t cold_segments;
    // Zero.
    uint32_t reserved;
    // Opens of this log, this one included.
    uint64_t generation;
    // Last event id of the log, 0 = none.
    uint64_t last_event_id;
    // Highest event id that was known durable before recovery.
    uint64_t durable_event_id;
    // Events that were only in the active directory and were carried over.
    uint64_t events_carried_over;
    // Events above `durable_event_id` that were found, proved and made durable.
    uint64_t events_accepted;
    // Events behind the end of the log, kept aside in `*.corrupt` files.
    uint64_t events_kept_aside;
    // Filesystem of the WAL directory: magic number, as in `statfs(2)`.
    uint64_t wal_filesystem;
    // Filesystem of the active directory.
    uint64_t active_filesystem;
    // The row of the recovery table that was decided by: a stable label, NUL-terminated.
    char decision[64];
    // What else was noticed, separated by "; ", NUL-terminated. What does not fit is cut and ends
    // in "..."; the log function (`fs_wal_config.log`) is given all of it.
    char notes[256];
    // The active directory, NUL-terminated; a longer path is cut and ends in "...".
    char active_path[256];
    // Name of the WAL directory's filesystem, "ext4"; "unknown" if the library has none for it.
    char wal_filesystem_name[16];
    // Name of the active directory's filesystem.
    char active_filesystem_name[16];
} fs_wal_recovery_report_t;

// How often something was done and how long it took, in nanoseconds.
typedef struct fs_wal_timing {
    // How often.
    uint64_t count;
    // All of them together.
    uint64_t total_ns;
    // The longest.
    uint64_t max_ns;
} fs_wal_timing;

// A bounded ring between two threads.
typedef struct fs_wal_ring {
    // Entries in it now.
    uint64_t fill;
    // Entries there is room for.
    uint64_t capacity;
    // Pushes that found it full and had to wait or be put off.
    uint64_t full;
    // Pops that found it empty though something was wanted.
    uint64_t empty;
} fs_wal_ring;

// The counters of one log at one moment. Counts are since `fs_wal_open`.
typedef struct fs_wal_metrics_t {
    // In: bytes the caller's struct has. Out: bytes written.
    uint32_t struct_size;
    // 1 when every mapped segment is locked in memory.
    uint32_t memory_locked;
    // Highest appended event id.
    uint64_t appended_event_id;
    // Highest durable event id.
    uint64_t durable_event_id;
    // Events appended by this handle.
    uint64_t appended_events;
    // Events made durable by this handle.
    uint64_t durable_events;
    // Bytes written to segment files for them: events and block headers.
    uint64_t bytes_written;
    // Disk files newly made.
    uint64_t segments_created;
    // Disk files used again.
    uint64_t segments_recycled;
    // Hot and cold segments that retention removed.
    uint64_t segments_deleted;
    // Hot segments now, the active one included.
    uint64_t hot_segments;
    // Cold segments now.
    uint64_t cold_segments;
    // Freezes that failed and are tried again.
    uint64_t compression_failures;
    // Bytes before compression.
    uint64_t compression_bytes_in;
    // Bytes after compression.
    uint64_t compression_bytes_out;
    // Appends turned away with `FS_WAL_ERR_WOULD_BLOCK`.
    uint64_t would_block;
    // Appends turned away with `FS_WAL_ERR_NO_SPACE`.
    uint64_t no_space;
    // `fs_wal_open`, recovery included.
    struct fs_wal_timing open;
    // A segment made ready.
    struct fs_wal_timing prepare;
    // A rotation on the append thread.
    struct fs_wal_timing rotation;
    // Appends that had to wait for a prepared segment.
    struct fs_wal_timing append_wait;
    // Sealing and writing one batch of events, without the sync.
    struct fs_wal_timing persist;
    // `fdatasync` of one batch.
    struct fs_wal_timing sync;
    // Header of a full segment written and synced.
    struct fs_wal_timing close;
    // `wal_meta.dat` replaced.
    struct fs_wal_timing meta_flush;
    // A hot segment compressed, synced, read back and compared.
    struct fs_wal_timing compression;
    // Prepared segments, filled by the preparer, emptied by the writer.
    struct fs_wal_ring prepared_segments;
    // Segments in use, filled by the writer, emptied by the persister.
    struct fs_wal_ring segments_to_persist;
    // Full segments, filled by the persister, emptied by the maintainer.
    struct fs_wal_ring segments_to_close;
    // Expired hot segments, filled by the maintainer, emptied by the freezer.
    struct fs_wal_ring segments_to_freeze;
    // Frozen segments whose hot file may go, filled by the freezer, emptied by the maintainer.
    struct fs_wal_ring segments_to_free;
} fs_wal_metrics_t;

// Options of `fs_wal_reader_open`.
typedef struct fs_wal_reader_config {
    // `sizeof(fs_wal_reader_config)` as the caller knows it.
    uint32_t struct_size;
    // `FS_WAL_READER_`, or-ed.
    uint32_t flags;
} fs_wal_reader_config;

// Something wrong with a log.
typedef struct fs_wal_damage {
    // One of `FS_WAL_DAMAGE_`.
    uint32_t kind;
    // Segment concerned, if `has_segment_index`; else 0.
    uint32_t segment_index;
    // Byte offset in the segment of the block, header or event concerned. In a cold segment: in
    // what its frame holds.
    uint64_t offset;
    // The same as an offset in the file; in a cold one, of the LZ4 block.
    uint64_t file_offset;
    // First event id that cannot be trusted, 0 = none.
    uint64_t first_event_id;
    // Last one; 0 with a first one = not known.
    uint64_t last_event_id;
    // The operating system's error number, 0 when there is none.
    int32_t os_errno;
    // 1 when `segment_index` is known.
    uint32_t has_segment_index;
    // Name of the file, without its directory, NUL-terminated.
    char file[64];
} fs_wal_damage;

// What `fs_wal_verify` has checked and found.
typedef struct fs_wal_verify_report_t {
    // In: bytes the caller's struct has. Out: bytes written.
    uint32_t struct_size;
    // Hot segments that are closed.
    uint32_t hot_segments;
    // Cold segments.
    uint32_t cold_segments;
    // Hot segments that are not closed; prepared ones without events too.
    uint32_t open_segments;
    // Files with names that are not the library's: left alone.
    uint32_t foreign_files;
    // `*.corrupt` files: kept aside by recovery.
    uint32_t kept_aside_files;
    // Blocks whose events are right.
    uint64_t blocks;
    // Events that are right, those in the active directory too.
    uint64_t events;
    // Bytes read.
    uint64_t bytes;
    // First event of the log, 0 = none.
    uint64_t first_event_id;
    // Last event of the log, 0 = none.
    uint64_t last_event_id;
    // The last event that `wal_meta.dat` says is durable, 0 = nothing known.
    uint64_t durable_event_id;
    // How many things are wrong.
    uint64_t damage_count;
    // The first of them, in the order of the log; the rest of the array is zero.
    struct fs_wal_damage damages[FS_WAL_VERIFY_MAX_DAMAGES];
} fs_wal_verify_report_t;

// First 64 bytes of a segment file. An open segment (`closed_ts_ns` 0) counts nothing: its events
// are found by scanning the blocks.
typedef struct fs_wal_segment_header {
    // `FS_WAL_SEGMENT_MAGIC`.
    uint16_t magic;
    // `FS_WAL_FORMAT_VERSION`.
    uint8_t version;
    // 64.
    uint8_t header_size;
    // The number in the file's name.
    uint32_t segment_index;
    // Blocks in use.
    uint32_t block_count;
    // Events in the segment.
    uint32_t event_count;
    // 0 = none.
    uint64_t first_event_id;
    // 0 = none.
    uint64_t last_event_id;
    // Wall clock, ns.
    uint64_t created_ts_ns;
    // Wall clock, ns; 0 = still open.
    uint64_t closed_ts_ns;
    // `XXH64(bytes[56..64], XXH64(bytes[0..48], 0))`.
    uint64_t header_checksum;
    // Chained checksum of the last block.
    uint64_t last_chained_checksum;
} fs_wal_segment_header;

// First 64 bytes of a block; its events follow. Written again as the block fills.
typedef struct fs_wal_block_header {
    // First event id in the block.
    uint64_t first_event_id;
    // Last event id in the block.
    uint64_t last_event_id;
    // `XXH64(events, 0)` over `event_count` events.
    uint64_t block_checksum;
    // `XXH64(events, chained checksum of the block before)`; 0 before a segment's first block.
    uint64_t chained_checksum;
    // `XXH64(bytes[40..64], XXH64(bytes[0..32], 0))`.
    uint64_t header_checksum;
    // The block's number in its segment.
    uint32_t block_index;
    // 1 to 256; fewer than 256 only in a segment's last block.
    uint16_t event_count;
    // Zero.
    uint16_t reserved0;
    // When this header was written, every event up to this id was on stable storage; 0 = nothing
    // known.
    uint64_t durable_event_id;
    // Zero.
    uint64_t reserved1;
} fs_wal_block_header;

// Success.
#define FS_WAL_OK 0

// An argument is NULL, misaligned or out of its range; the error text names it.
#define FS_WAL_ERR_INVALID_ARGUMENT 1

// The directory does not exist.
#define FS_WAL_ERR_NOT_FOUND 2

// Another owner has the log open for writing; the error text gives its process id. To a reader: a
// foreign program has locked a segment.
#define FS_WAL_ERR_LOCKED 3

// The operating system denies access.
#define FS_WAL_ERR_PERMISSION 4

// Disk, quota or memory directory is full, or a limit of the process (descriptors, size of a file,
// memory) is reached. Goes away when there is room again.
#define FS_WAL_ERR_NO_SPACE 5

// An input or output operation failed.
#define FS_WAL_ERR_IO 6

// The files contradict what is known to have been written.
#define FS_WAL_ERR_CORRUPT 7

// The event id is not above the last one, or is 0 or 2^64-1. Nothing was written.
#define FS_WAL_ERR_OUT_OF_ORDER 8

// Nothing can be done right now: try again. Normal flow, leaves no error text.
#define FS_WAL_ERR_WOULD_BLOCK 9

// The time given has passed. Normal flow, leaves no error text.
#define FS_WAL_ERR_TIMEOUT 10

// The log has failed for good; the error text carries the first failure.
#define FS_WAL_ERR_POISONED 11

// Events were removed by retention before the reader got to them. Said once; reading goes on.
#define FS_WAL_ERR_GAP 12

// This version cannot do that.
#define FS_WAL_ERR_UNSUPPORTED 13

// A defect in the library.
#define FS_WAL_ERR_INTERNAL 14

// A reader is at the end of the log. Normal flow, leaves no error text.
#define FS_WAL_END 15

// The log was shut down, or the handle belongs to the parent of this forked process.
#define FS_WAL_ERR_CLOSED 16





#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The library's version at run time, "0.1.0". Never NULL; static, belongs to the library.
//
// Threads: any.
const char *fs_wal_version(void);

// The name of a status, as it is spelt in this header: "FS_WAL_ERR_IO". Never NULL; a number that
// is no status has a name that says so. The text is static and belongs to the library.
//
// Threads: any.
const char *fs_wal_status_string(fs_wal_status status);

// The last failure on the calling thread in words: what failed, on which path, why. Never NULL;
// empty while no call has failed on this thread. A later success does not clear it, and
// `FS_WAL_ERR_WOULD_BLOCK`, `FS_WAL_ERR_TIMEOUT` and `FS_WAL_END` leave it as it is.
//
// The text belongs to the library and is valid until the next failure on this thread, or its end.
//
// Threads: any; each has its own.
const char *fs_wal_last_error(void);

// The last failure on the calling thread as data; see `fs_wal_last_error` for which that is. Set
// `out->struct_size` to `sizeof *out` before.
//
// Threads: any; each has its own.
//
// Returns `FS_WAL_OK`, or `FS_WAL_ERR_INVALID_ARGUMENT` (which then is the last failure).
fs_wal_status fs_wal_last_error_detail(struct fs_wal_error_detail *out);

// Fills a config with the defaults, as numbers one can read (`active_dir` stays NULL), and sets
// its `struct_size`. Give `sizeof(fs_wal_config)`: no more bytes than that are written, and those
// that this version of the library does not know are zeroed.
//
// Writes nothing when `config` is NULL or `struct_size` is above 4096; `fs_wal_last_error` says
// so. Starting from `{0}` with `struct_size` set does as well.
//
// Threads: any.
void fs_wal_config_init(struct fs_wal_config *config, uint32_t struct_size);

// Opens the log in directory `dir` for writing: makes the directory if need be, locks it, recovers
// what an earlier process left, makes segments ready and starts the workers.
//
// `config` may be NULL: all defaults. `dir` and `config` are copied. On success `*out` is a handle
// that the caller owns and gives back to `fs_wal_shutdown`. On failure `*out` is not touched; what
// recovery cannot prove it refuses, changing nothing.
//
// A child made by fork() cannot use its parent's handle (`FS_WAL_ERR_CLOSED`) but may open others.
//
// Threads: any.
//
// Returns `FS_WAL_OK`; `FS_WAL_ERR_INVALID_ARGUMENT` (naming the field), `FS_WAL_ERR_UNSUPPORTED`
// (a field or filesystem this version does not support), `FS_WAL_ERR_LOCKED` (naming the owner's
// process id), `FS_WAL_ERR_CORRUPT` (saying where; see `FS_WAL_FLAG_ACCEPT_LOSS`),
// `FS_WAL_ERR_NO_SPACE`, `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_NOT_FOUND`, `FS_WAL_ERR_IO`,
// `FS_WAL_ERR_INTERNAL`.
fs_wal_status fs_wal_open(const char *dir, const struct fs_wal_config *config, struct fs_wal **out);

// Appends one event. The hot path: no system call, no allocation, no lock, no page fault while a
// prepared segment is ready. When it has returned `FS_WAL_OK` the event survives the death of the
// process at any later instruction; when the durable watermark has passed it, a power cut too.
//
// `event` is copied: all 64 bytes, of which only `event_id` is interpreted. Ids rise.
//
// Threads: the writer.
//
// Returns `FS_WAL_OK`; `FS_WAL_ERR_OUT_OF_ORDER`, `FS_WAL_ERR_WOULD_BLOCK` (only with
// `FS_WAL_BACKPRESSURE_FAIL_FAST`), `FS_WAL_ERR_NO_SPACE` (try again when there is space),
// `FS_WAL_ERR_POISONED`, `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_INVALID_ARGUMENT`,
// `FS_WAL_ERR_INTERNAL`. Unless it is OK, nothing was appended.
fs_wal_status fs_wal_append(struct fs_wal *wal, const struct fs_request_event *event);

// Appends `count` events in order, as many calls of `fs_wal_append` would, in less time. With
// `count` 0, `events` may be NULL.
//
// `*appended`, unless `appended` is NULL, is always set: how many went in, on an error too. They
// are the first ones, and they are in the log for good.
//
// Threads: the writer.
//
// Returns as `fs_wal_append`, for the first event that did not go in.
fs_wal_status fs_wal_append_batch(struct fs_wal *wal,
                                  const struct fs_request_event *events,
                                  size_t count,
                                  size_t *appended);

// Gives out the place of the next event in the log, to be filled in place: `*slot` points at its
// 64 bytes. Fill all but `event_id` (they hold whatever was there), leave `event_id` alone, and
// call `fs_wal_commit`, which stores the id and so makes the event exist.
//
// The slot belongs to the library. It is valid until the next call of append, append_batch, claim,
// commit or shutdown; an abandoned claim leaves no trace.
//
// Threads: the writer.
//
// Returns `FS_WAL_OK`, or the errors of `fs_wal_append` but `FS_WAL_ERR_OUT_OF_ORDER`.
fs_wal_status fs_wal_claim(struct fs_wal *wal, struct fs_request_event **slot);

// Makes the event in the claimed slot exist, under this id; promises what `fs_wal_append` does.
// After `FS_WAL_ERR_OUT_OF_ORDER` the claim still holds.
//
// Threads: the writer.
//
// Returns `FS_WAL_OK`; `FS_WAL_ERR_INVALID_ARGUMENT` (nothing is claimed),
// `FS_WAL_ERR_OUT_OF_ORDER`, `FS_WAL_ERR_POISONED`, `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_INTERNAL`.
fs_wal_status fs_wal_commit(struct fs_wal *wal, uint64_t event_id);

// The last event appended: segment, offset just past it, id, as one consistent triple. All 0 while
// the log is empty. Never waits.
//
// Threads: any.
//
// Returns `FS_WAL_OK`, `FS_WAL_ERR_INVALID_ARGUMENT`, `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_INTERNAL`.
fs_wal_status fs_wal_meta(const struct fs_wal *wal, struct fs_wal_meta_state *out);

// The durable watermark: the last event on stable storage, like `fs_wal_meta`. It and everything
// before it survives a power cut. Never waits.
//
// Threads: any.
//
// Returns `FS_WAL_OK`, `FS_WAL_ERR_INVALID_ARGUMENT`, `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_INTERNAL`.
fs_wal_status fs_wal_durable(const struct fs_wal *wal, struct fs_wal_meta_state *out);

// Makes everything appended before this call durable, and returns when it is.
//
// Threads: any. On the writer's thread it holds up the writer.
//
// Returns `FS_WAL_OK`; `FS_WAL_ERR_POISONED` (a sync has failed: what is above the watermark may
// not survive a power cut, ever), `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_INVALID_ARGUMENT`,
// `FS_WAL_ERR_INTERNAL`.
fs_wal_status fs_wal_sync(struct fs_wal *wal);

// Waits until `event_id` is durable, at most `timeout_ns` (`UINT64_MAX`: for ever; 0: only looks).
// Asks for a sync when the policy would not soon bring one. The id need not be appended yet.
//
// Threads: any.
//
// Returns `FS_WAL_OK`; `FS_WAL_ERR_TIMEOUT`, `FS_WAL_ERR_POISONED`, `FS_WAL_ERR_CLOSED` (shut down
// by another thread meanwhile), `FS_WAL_ERR_INVALID_ARGUMENT`, `FS_WAL_ERR_INTERNAL`.
fs_wal_status fs_wal_wait_durable(struct fs_wal *wal, uint64_t event_id, uint64_t timeout_ns);

// Moves the retention floor (first `fs_wal_config.retention_floor`): once this has returned OK,
// nothing at or above `event_id` is deleted; 0 = no floor. Raised, it lets retention go on at once;
// lowered, it protects from now on what is still there. The segment that holds `event_id` is kept
// whole. It is not remembered: give it to the next open, in the config.
//
// May wait for the removal of one file, but not for a sync. Never holds up the writer: what is
// kept for the floor takes disk space beyond `max_segments` and `max_compressed_segments`.
//
// Threads: any.
//
// Returns `FS_WAL_OK`; `FS_WAL_ERR_POISONED` (nothing is deleted any more), `FS_WAL_ERR_CLOSED`,
// `FS_WAL_ERR_INVALID_ARGUMENT`, `FS_WAL_ERR_INTERNAL`.
fs_wal_status fs_wal_set_retention_floor(struct fs_wal *wal, uint64_t event_id);

// Shuts the log down: seals, makes everything durable, drains every queue, stops the workers,
// releases the lock and frees the handle. Threads waiting in `fs_wal_sync` or
// `fs_wal_wait_durable` get `FS_WAL_ERR_CLOSED`, and calls still inside are waited for. To begin a
// call on the handle once this one has begun is an error that cannot be detected. NULL is fine.
//
// The handle is freed whatever is returned, except `FS_WAL_ERR_INVALID_ARGUMENT` (no handle) and
// `FS_WAL_ERR_INTERNAL`. In a forked child it returns `FS_WAL_ERR_CLOSED` and does nothing else.
//
// Threads: the writer, or any once the writer has stopped for good.
//
// Returns `FS_WAL_OK`: everything appended is on stable storage. Else what went wrong:
// `FS_WAL_ERR_POISONED`, `FS_WAL_ERR_IO`, `FS_WAL_ERR_NO_SPACE`, `FS_WAL_ERR_PERMISSION`,
// `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_INVALID_ARGUMENT`, `FS_WAL_ERR_INTERNAL`.
fs_wal_status fs_wal_shutdown(struct fs_wal *wal);

// What `fs_wal_open` found and did. Set `out->struct_size` to `sizeof *out` before; of a longer
// report than that the caller gets the beginning.
//
// Threads: any.
//
// Returns `FS_WAL_OK`, `FS_WAL_ERR_INVALID_ARGUMENT`, `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_INTERNAL`.
fs_wal_status fs_wal_recovery_report(const struct fs_wal *wal,
                                     struct fs_wal_recovery_report_t *out);

// The counters of the log now. Set `out->struct_size` to `sizeof *out` before; of more counters
// than that the caller gets the first. Each is right by itself; they are not read at one instant.
//
// Threads: any.
//
// Returns `FS_WAL_OK`, `FS_WAL_ERR_INVALID_ARGUMENT`, `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_INTERNAL`.
fs_wal_status fs_wal_metrics(const struct fs_wal *wal, struct fs_wal_metrics_t *out);

// The counters in the Prometheus text format, NUL-terminated, in `buf` of `len` bytes.
//
// `*needed`, unless `needed` is NULL, is the size of the text with its NUL, also when it does not
// fit. `buf` NULL with `len` 0 asks for the size alone. Numbers grow: the text may need a few
// bytes more at the next call.
//
// Threads: any.
//
// Returns `FS_WAL_OK`; `FS_WAL_ERR_INVALID_ARGUMENT` (also when the text does not fit: `buf` is
// not written), `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_INTERNAL`.
fs_wal_status fs_wal_metrics_prometheus(const struct fs_wal *wal,
                                        char *buf,
                                        size_t len,
                                        size_t *needed);

// Opens the log in directory `dir` for reading, at its oldest event. The log may be open for
// writing, in this process or another, or not at all; nothing in it is changed. The reader holds
// the segment it stands in: retention does not take that from it.
//
// `config` may be NULL: every block is verified. `dir` and `config` are copied. On success `*out`
// is a reader that the caller owns and gives back to `fs_wal_reader_close`; on failure `*out` is
// not touched.
//
// Threads: any.
//
// Returns `FS_WAL_OK`; `FS_WAL_ERR_NOT_FOUND`, `FS_WAL_ERR_INVALID_ARGUMENT`,
// `FS_WAL_ERR_UNSUPPORTED` (a flag or field this version does not support),
// `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_NO_SPACE` (descriptors or memory), `FS_WAL_ERR_IO`,
// `FS_WAL_ERR_INTERNAL`. What is wrong with the log's files, the first read says.
fs_wal_status fs_wal_reader_open(const char *dir,
                                 const struct fs_wal_reader_config *config,
                                 struct fs_wal_reader **out);

// Copies the next event to `*out`. At the end of the log it returns `FS_WAL_END`; asked again
// later it goes on where it stopped, if events have been appended since.
//
// Threads: one at a time.
//
// Returns `FS_WAL_OK`, `FS_WAL_END`; `FS_WAL_ERR_CORRUPT` (saying where; it is not passed over, but
// with `FS_WAL_READER_SALVAGE`, where it is told once), `FS_WAL_ERR_GAP` (see below),
// `FS_WAL_ERR_LOCKED` (a program that is not this library holds a segment locked),
// `FS_WAL_ERR_NO_SPACE` (descriptors or memory), `FS_WAL_ERR_PERMISSION`,
// `FS_WAL_ERR_IO`, `FS_WAL_ERR_INVALID_ARGUMENT`, `FS_WAL_ERR_INTERNAL`.
//
// `FS_WAL_ERR_GAP`: retention has removed events before they were read. Said once; the next call
// gives the oldest event there is. `fs_wal_last_error_detail` has the first segment that is gone
// and the ids, from the one after the last event given to the one before the next.
fs_wal_status fs_wal_reader_next(struct fs_wal_reader *reader, struct fs_request_event *out);

// Some of the next events, at least one, without copying them: `*count` of them at `*events`. They
// belong to the reader and are valid until the next call on it.
//
// Threads: one at a time.
//
// Returns as `fs_wal_reader_next`.
fs_wal_status fs_wal_reader_next_batch(struct fs_wal_reader *reader,
                                       const struct fs_request_event **events,
                                       size_t *count);

// Goes to the first event whose id is at least `event_id`, forwards or back, of those that are
// still there: an id that retention removed before is not an error, look at the id that comes.
// When there is none yet, the next call returns `FS_WAL_END`.
//
// Threads: one at a time.
//
// Returns `FS_WAL_OK`; `FS_WAL_ERR_CORRUPT`, `FS_WAL_ERR_LOCKED`, `FS_WAL_ERR_NO_SPACE`,
// `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_IO`, `FS_WAL_ERR_INVALID_ARGUMENT`,
// `FS_WAL_ERR_INTERNAL`. On a failure the reader stands where it stood.
fs_wal_status fs_wal_reader_seek(struct fs_wal_reader *reader, uint64_t event_id);

// Closes and frees the reader, and what `fs_wal_reader_next_batch` gave out with it. NULL is fine.
//
// Threads: one at a time, and the last.
void fs_wal_reader_close(struct fs_wal_reader *reader);

// Checks every byte of the log in directory `dir`: headers, both checksums of every block, the
// order of ids, counts, frames of cold segments to their last byte, the records, and that what was
// durable is there. Changes nothing, makes no file, and keeps no writer from anything; the log may
// be open for writing, crashed, on a read-only filesystem, or another user's. What it reads of the
// active directory is what this user may read.
//
// Set `out->struct_size` to `sizeof *out` before. Unlike other out-parameters `*out` is written
// also when this fails with `FS_WAL_ERR_CORRUPT`, `FS_WAL_ERR_IO`, `FS_WAL_ERR_PERMISSION` or
// `FS_WAL_ERR_NO_SPACE` because of a file (then `damage_count` is not 0): it goes on behind
// whatever is wrong. `fs_wal_last_error` and `fs_wal_last_error_detail` have the first damage.
//
// Takes as long as reading the directory does, and some megabytes of memory, whatever is in it.
//
// Threads: any.
//
// Returns `FS_WAL_OK`: all is well; `FS_WAL_ERR_CORRUPT`; `FS_WAL_ERR_IO`, `FS_WAL_ERR_PERMISSION`
// or `FS_WAL_ERR_NO_SPACE` (out of descriptors or memory) when nothing is damaged in what could be
// read; `FS_WAL_ERR_NOT_FOUND`, `FS_WAL_ERR_INVALID_ARGUMENT`, `FS_WAL_ERR_INTERNAL`.
fs_wal_status fs_wal_verify(const char *dir, struct fs_wal_verify_report_t *out);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/* The layouts that files and other programs depend on. C99 has no way to check them. */
#if defined(__cplusplus) && __cplusplus >= 201103L
#define FS_WAL_LAYOUT_(condition) static_assert(condition, #condition)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define FS_WAL_LAYOUT_(condition) _Static_assert(condition, #condition)
#endif
#ifdef FS_WAL_LAYOUT_
FS_WAL_LAYOUT_(sizeof(fs_request_event) == 64);
FS_WAL_LAYOUT_(offsetof(fs_request_event, timestamp) == 8);
FS_WAL_LAYOUT_(offsetof(fs_request_event, price) == 16);
FS_WAL_LAYOUT_(offsetof(fs_request_event, quantity) == 24);
FS_WAL_LAYOUT_(offsetof(fs_request_event, user_id) == 32);
FS_WAL_LAYOUT_(offsetof(fs_request_event, order_id) == 36);
FS_WAL_LAYOUT_(offsetof(fs_request_event, type) == 40);
FS_WAL_LAYOUT_(offsetof(fs_request_event, order_type) == 41);
FS_WAL_LAYOUT_(offsetof(fs_request_event, side) == 42);
FS_WAL_LAYOUT_(offsetof(fs_request_event, reserved) == 43);
FS_WAL_LAYOUT_(sizeof(fs_wal_meta_state) == 16);
FS_WAL_LAYOUT_(offsetof(fs_wal_meta_state, last_event_id) == 8);
FS_WAL_LAYOUT_(sizeof(fs_wal_segment_header) == FS_WAL_SEGMENT_HEADER_SIZE);
FS_WAL_LAYOUT_(offsetof(fs_wal_segment_header, segment_index) == 4);
FS_WAL_LAYOUT_(offsetof(fs_wal_segment_header, block_count) == 8);
FS_WAL_LAYOUT_(offsetof(fs_wal_segment_header, event_count) == 12);
FS_WAL_LAYOUT_(offsetof(fs_wal_segment_header, first_event_id) == 16);
FS_WAL_LAYOUT_(offsetof(fs_wal_segment_header, last_event_id) == 24);
FS_WAL_LAYOUT_(offsetof(fs_wal_segment_header, created_ts_ns) == 32);
FS_WAL_LAYOUT_(offsetof(fs_wal_segment_header, closed_ts_ns) == 40);
FS_WAL_LAYOUT_(offsetof(fs_wal_segment_header, header_checksum) == 48);
FS_WAL_LAYOUT_(offsetof(fs_wal_segment_header, last_chained_checksum) == 56);
FS_WAL_LAYOUT_(sizeof(fs_wal_block_header) == FS_WAL_BLOCK_HEADER_SIZE);
FS_WAL_LAYOUT_(offsetof(fs_wal_block_header, last_event_id) == 8);
FS_WAL_LAYOUT_(offsetof(fs_wal_block_header, block_checksum) == 16);
FS_WAL_LAYOUT_(offsetof(fs_wal_block_header, chained_checksum) == 24);
FS_WAL_LAYOUT_(offsetof(fs_wal_block_header, header_checksum) == 32);
FS_WAL_LAYOUT_(offsetof(fs_wal_block_header, block_index) == 40);
FS_WAL_LAYOUT_(offsetof(fs_wal_block_header, event_count) == 44);
FS_WAL_LAYOUT_(offsetof(fs_wal_block_header, durable_event_id) == 48);
#undef FS_WAL_LAYOUT_
#endif

#endif /* FLASHSTRIKE_WAL_H */
