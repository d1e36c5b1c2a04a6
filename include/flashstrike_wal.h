/**
 * @file flashstrike_wal.h
 * A write-ahead log for matching engines.
 *
 * Generated from the Rust code by `make header`; do not edit.
 *
 * An engine appends every request before it acts on it. When fs_wal_append has returned FS_WAL_OK,
 * the request survives the death of the process at any later instruction. When the durable
 * watermark has passed it, by default as soon as the disk can sync, it survives a power cut. A new
 * process opens the same directory, replays it, and goes on. (Error handling is left out here.)
 *
 *     fs_wal *wal;
 *     fs_wal_reader *reader;
 *     fs_request_event event;
 *     fs_wal_open("/var/lib/engine/wal", NULL, &wal);             // lock, recover
 *     fs_wal_reader_open("/var/lib/engine/wal", NULL, &reader);
 *     fs_wal_reader_seek(reader, 1);                              // GAP next if any was deleted
 *     while (fs_wal_reader_next(reader, &event) == FS_WAL_OK)     // rebuild the books
 *         apply(&event);
 *     fs_wal_reader_close(reader);
 *     while (next_request(&event))                                // sets event_id: ids rise
 *         if (fs_wal_append(wal, &event) == FS_WAL_OK)
 *             apply(&event);
 *     fs_wal_shutdown(wal);                                       // OK: all of it is durable
 *
 * CONTENTS, in the order in which a program needs them
 *
 *   1. Version
 *   2. Status and errors
 *   3. Events
 *   4. Opening and shutting down
 *   5. Appending
 *   6. Durability
 *   7. Retention
 *   8. Reading
 *   9. Snapshots and holds
 *   10. Verifying
 *   11. Metrics
 *   12. Segment files on disk
 *   13. The control file
 *
 * THREADS
 *
 *   One thread, the writer, calls fs_wal_append, fs_wal_append_batch, fs_wal_claim and
 *   fs_wal_commit. Another thread may become the writer later, if something (a join, a mutex)
 *   orders the two. Every other call on a fs_wal may come from any thread at any time. A
 *   fs_wal_reader is for one thread at a time. The comment of each function says "Threads:".
 *
 *   A log has one thread of its own, the persister. The threads that prepare, close and compress
 *   segments are shared by the logs of the process that are on the same filesystems. When the last
 *   log has been shut down, no thread of the library is left. fs_wal_config.persister_cpus,
 *   worker_cpus and worker_nice place these threads.
 *
 * FORK
 *
 *   In a child made by fork(), every call on a handle of the parent returns FS_WAL_ERR_CLOSED and
 *   does nothing else. The child may open logs and readers of its own, and go on reading with those
 *   of the parent.
 *
 *   A child made by _Fork() or clone() without CLONE_VM runs no fork handlers. Calls on a handle of
 *   the parent return FS_WAL_ERR_CLOSED there too (since Linux 4.14); they neither wait nor
 *   allocate. But the child keeps the log's descriptors, and so keeps it locked after its parent's
 *   death, until it executes a program or ends; and like malloc, all other calls may find a lock
 *   that a thread of the parent held. A child made by vfork() or clone() with CLONE_VM uses the
 *   parent's memory: what it calls, the parent's thread has called.
 *
 * CANCELLATION
 *
 *   A thread may be cancelled (pthread_cancel) in any call. The call ends as if nothing had come,
 *   and the cancellation acts at the next cancellation point after it. This is so with deferred
 *   cancellation, the default. A thread whose cancellation is asynchronous must not call the
 *   library: it could be ended between any two instructions.
 *
 * SIGNALS
 *
 *   The library's threads block every signal except faults and SIGPROF, so a program's handlers do
 *   not run on them. fs_wal_open and fs_wal_shutdown block the same signals on their thread until
 *   they return. A write past RLIMIT_FSIZE is therefore an error (FS_WAL_ERR_NO_SPACE) and raises
 *   no SIGXFSZ.
 *
 *   fs_wal_meta, fs_wal_durable and fs_wal_metrics are async-signal-safe: a handler may call them,
 *   whatever it has interrupted, also with NULL or after the log was shut down. They take bounded
 *   time on any thread, of whatever priority. Only the refusal of out (NULL, not aligned, a wrong
 *   struct_size) allocates memory. All other calls are not for handlers.
 *
 * STACKS
 *
 *   A call needs 32 KiB of stack, an append that has a segment ready and the three above far less.
 *
 * POINTERS AND STRINGS
 *
 *   Every pointer must be aligned for its type. NULL is refused with FS_WAL_ERR_INVALID_ARGUMENT
 *   unless a comment says that it is allowed. Paths are NUL-terminated bytes in no particular
 *   encoding. Arguments are copied: of the caller's pointers, the library keeps only
 *   fs_wal_config.log_user. Out-parameters are written on success only, unless a comment says
 *   otherwise. A handle or reader that a call made is the caller's, who gives it to the call that
 *   frees it.
 *
 * STRUCTS THAT GROW
 *
 *   A struct that begins with struct_size gets more fields at its end in later versions. Set
 *   struct_size to the sizeof that you compiled with. Options that you do not know yet then have
 *   their defaults, and reports give you the fields that you know. Options that the library does
 *   not know yet must be 0, or the call returns FS_WAL_ERR_UNSUPPORTED; a bit of a flags field
 *   that it does not know is FS_WAL_ERR_INVALID_ARGUMENT. Set struct_size before every call, also
 *   in a report that is only written to.
 */

#ifndef FLASHSTRIKE_WAL_H
#define FLASHSTRIKE_WAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @defgroup wal_version 1. Version
 *
 * The macros are the version of this header, fs_wal_version is that of the library at run time. A
 * program that loads the library dynamically can compare the two.
 * @{
 */

/// Major version of this header. A different major version of the library is not compatible.
#define FS_WAL_VERSION_MAJOR 0

/// Minor version of this header.
#define FS_WAL_VERSION_MINOR 1

/// Patch version of this header.
#define FS_WAL_VERSION_PATCH 0

/// The version of the library at run time, as text: "0.1.0". Never NULL. The text is static and
/// belongs to the library. Threads: any.
const char *fs_wal_version(void);

/** @} */

/**
 * @defgroup wal_errors 2. Status and errors
 *
 * A call that can fail returns a fs_wal_status. FS_WAL_OK is 0. After a failure, on the same
 * thread, fs_wal_last_error says in words what failed and why, and fs_wal_last_error_detail gives
 * the numbers.
 *
 * The common statuses are FS_WAL_OK, FS_WAL_ERR_INVALID_ARGUMENT (the error text names the argument
 * or field), FS_WAL_ERR_INTERNAL, and for calls on a fs_wal also FS_WAL_ERR_CLOSED. The comment of
 * each function says which others it returns.
 *
 * FS_WAL_ERR_WOULD_BLOCK, FS_WAL_ERR_TIMEOUT and FS_WAL_END are normal flow: they are no failures
 * and leave the last error as it is.
 *
 * Do not ignore what a call returns that is marked FS_WAL_MUST_CHECK.
 *
 * FS_WAL_ERR_POISONED is final: a write or a sync of the log has failed, or the library has met a
 * defect of its own (the call that met it returned FS_WAL_ERR_INTERNAL). Shut the log down. The
 * next open recovers what was appended.
 * @{
 */

/// What a call returns: `FS_WAL_OK`, `FS_WAL_END` or one of `FS_WAL_ERR_`.
typedef int32_t fs_wal_status;

/// Success. The only value that is 0.
#define FS_WAL_OK 0

/// An argument is NULL, misaligned or out of range. The error text names it.
#define FS_WAL_ERR_INVALID_ARGUMENT 1

/// There is no such directory, or no log in it. From `fs_wal_open`, which makes the directory: its
/// parent does not exist, or the path is a link that leads nowhere.
#define FS_WAL_ERR_NOT_FOUND 2

/// Another owner has the log open for writing; the error text gives its process id. From a reader:
/// a program that is not this library has locked a segment.
#define FS_WAL_ERR_LOCKED 3

/// The operating system denies access.
#define FS_WAL_ERR_PERMISSION 4

/// The disk, the quota or the memory directory is full, or the process has reached a limit
/// (descriptors, file size, memory). Try again when there is room.
#define FS_WAL_ERR_NO_SPACE 5

/// An input or output operation failed. The operating system's error number is in
/// `fs_wal_error_detail.os_errno`.
#define FS_WAL_ERR_IO 6

/// The files contradict what must have been written. The error text and `fs_wal_error_detail` say
/// where.
#define FS_WAL_ERR_CORRUPT 7

/// The event id is not above the last one, or is 0 or 2^64-1. Nothing was written.
#define FS_WAL_ERR_OUT_OF_ORDER 8

/// Cannot be done right now without waiting: try again. Normal flow, leaves no error text.
#define FS_WAL_ERR_WOULD_BLOCK 9

/// The time given has passed. Normal flow, leaves no error text.
#define FS_WAL_ERR_TIMEOUT 10

/// The log has failed for good. The error text is that of the first failure. Shut the log down;
/// the next open recovers it.
#define FS_WAL_ERR_POISONED 11

/// Retention removed events before the reader got to them. Returned once; reading goes on after
/// the gap.
#define FS_WAL_ERR_GAP 12

/// This version of the library cannot do that.
#define FS_WAL_ERR_UNSUPPORTED 13

/// A defect in the library. Please report it, with the error text.
#define FS_WAL_ERR_INTERNAL 14

/// The log was shut down, or the handle belongs to the parent of this forked process.
#define FS_WAL_ERR_CLOSED 16

/// A reader is at the end of the log. Normal flow, leaves no error text.
#define FS_WAL_END 15

#if defined(__cplusplus) && __cplusplus >= 201703L
/// Marks the calls whose status must be looked at: a program that ignores it loses events, or goes
/// on with something that is not there. The compiler warns. To ignore one on purpose, cast it to
/// void; before C23 and C++17, assign it to a variable.
#define FS_WAL_MUST_CHECK [[nodiscard]]
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202000L
/// The same in C23.
#define FS_WAL_MUST_CHECK [[nodiscard]]
#elif defined(__GNUC__)
/// The same before C23 and C++17.
#define FS_WAL_MUST_CHECK __attribute__((warn_unused_result))
#else
/// This compiler has no such warning.
#define FS_WAL_MUST_CHECK
#endif

/// The name of a status as this header spells it: "FS_WAL_ERR_IO". Never NULL; for a number that
/// is no status, a text that says so. The text is static and belongs to the library. Threads: any.
const char *fs_wal_status_string(fs_wal_status status);

/// The last failure on the calling thread in words: what failed, on which path, and why. Never
/// NULL; empty while no call has failed on this thread. A later success does not clear it. The
/// text belongs to the library. It is valid until the next failure on this thread, or the thread's
/// end. Threads: any.
const char *fs_wal_last_error(void);

/// The last failure on a thread as data: what the call returned, and where the failure happened.
/// What is not known, or does not apply, is 0.
typedef struct fs_wal_error_detail {
    /// Set it to `sizeof(fs_wal_error_detail)`. On return: bytes written.
    uint32_t struct_size;
    /// What the failed call returned; `FS_WAL_OK` when no call has failed on this thread yet.
    fs_wal_status status;
    /// The operating system's error number (`errno`), 0 when there is none.
    int32_t os_errno;
    /// Index of the segment concerned. Valid when `has_segment_index` is 1.
    uint32_t segment_index;
    /// Byte offset in that segment's file. Valid when `has_offset` is 1.
    uint64_t offset;
    /// First event id concerned, 0 = none.
    uint64_t first_event_id;
    /// Last event id concerned, 0 = none.
    uint64_t last_event_id;
    /// 1 when `segment_index` is known, else 0.
    uint32_t has_segment_index;
    /// 1 when `offset` is known, else 0.
    uint32_t has_offset;
} fs_wal_error_detail;

/// The last failure on the calling thread as data, the same failure that `fs_wal_last_error`
/// describes. Threads: any. Returns a common status; what it returns other than `FS_WAL_OK` is
/// then the last failure.
fs_wal_status fs_wal_last_error_detail(struct fs_wal_error_detail *out);

/** @} */

/**
 * @defgroup wal_events 3. Events
 *
 * A log is a sequence of events of 64 bytes. The library interprets only event_id: over the whole
 * life of a log ids rise, with gaps if you like; 0 and 2^64-1 are not ids. The other 56 bytes come
 * back as they went in. An engine may use them for a layout of its own.
 * @{
 */

/// A request, as the engine passes it in and gets it back, byte for byte. 64 bytes, aligned to 8.
/// The library interprets `event_id` alone; the meanings of the other fields are a convention.
typedef struct fs_request_event {
    /// Rises over the whole life of the log, with gaps if you like; never 0 nor 2^64-1. The
    /// library stores it after the other 56 bytes, and so makes the event exist.
    uint64_t event_id;
    /// Time of the request in nanoseconds, from a clock of the engine's choice.
    uint64_t timestamp;
    /// Price in scaled ticks: an integer, in a unit of the engine's choice.
    int64_t price;
    /// Quantity in scaled ticks, in a unit of the engine's choice.
    int64_t quantity;
    /// Who sent the request.
    uint32_t user_id;
    /// The order that the request creates, modifies or cancels.
    uint32_t order_id;
    /// 0 new, 1 modify price, 2 modify quantity, 3 cancel.
    uint8_t type;
    /// 0 limit, 1 market.
    uint8_t order_type;
    /// 0 bid, 1 ask.
    uint8_t side;
    /// Free for the engine.
    uint8_t reserved[21];
} fs_request_event;

/** @} */

/**
 * @defgroup wal_opening 4. Opening and shutting down
 *
 * A log is a directory. One process at a time has it open for writing, with one handle.
 * fs_wal_open recovers what an earlier process left and fs_wal_shutdown makes everything durable
 * and frees the handle.
 *
 *     fs_wal_config config;
 *     fs_wal_config_init(&config, sizeof config);
 *     config.max_compressed_segments = FS_WAL_KEEP_ALL;
 *     if (fs_wal_open("/var/lib/engine/wal", &config, &wal) != FS_WAL_OK)
 *         fprintf(stderr, "%s\n", fs_wal_last_error());
 *
 * The log is stored in segments, files of num_blocks blocks of 256 events. The segment that is
 * being written lies in memory that outlives the process (the active directory, on tmpfs) and is
 * copied to the disk from there. Full segments stay as plain files (hot), are compressed later
 * (cold), and are deleted in the end (see "Retention").
 *
 * The log function, fs_wal_config.log, receives what happens to the log: opening and what recovery
 * decided and noticed, unsuitable filesystems and memory, the failure that poisons the log, a full
 * disk and its end, compression that fails, segments that retention deletes, shutdown. The threads
 * in fs_wal_open and fs_wal_shutdown call it, and threads of the library in between; append,
 * append_batch, claim and commit never do. There is one call at a time for each log. Every message
 * begins with the log's directory, as it was given to fs_wal_open, or with a path in it. A slow
 * function delays the disk work of the log, and of the logs that share its threads. It must not
 * throw, and must not call into any log except with fs_wal_meta, fs_wal_durable and fs_wal_metrics.
 * @{
 */

/// A log open for writing. `fs_wal_open` makes the handle and `fs_wal_shutdown` frees it.
typedef struct fs_wal fs_wal;

/// Fewest blocks in a segment.
#define FS_WAL_MIN_BLOCKS 16

/// Most blocks in a segment: its file stays under 4 GiB.
#define FS_WAL_MAX_BLOCKS 261120

/// For `max_segments` and `max_compressed_segments`: no limit.
#define FS_WAL_KEEP_ALL UINT32_MAX

/// For `max_compressed_segments` only: keep no cold segments at all.
#define FS_WAL_KEEP_NONE (UINT32_MAX - 1)

/// Where recovery would refuse to open, open at the last event that can be proved. The rest is
/// kept aside in `*.corrupt` files.
#define FS_WAL_FLAG_ACCEPT_LOSS 1

/// Open on any filesystem. On copy-on-write and network filesystems space cannot really be
/// reserved, and a full disk may kill the process; on vfat and the like a power cut may take whole
/// files.
#define FS_WAL_FLAG_ALLOW_ANY_FILESYSTEM 2

/// Compress nothing. Hot segments beyond `max_segments` stay, unless `max_compressed_segments` is
/// `FS_WAL_KEEP_NONE`: then they are deleted. Cold ones that are there obey their own limit.
#define FS_WAL_FLAG_NO_COMPRESSION 4

/// The persister spins for new events instead of sleeping. Uses a whole processor core and makes
/// events durable sooner.
#define FS_WAL_FLAG_SPIN 8

/// When the disk is slow and no segment is ready, an append waits.
#define FS_WAL_BACKPRESSURE_BLOCK 0

/// When the disk is slow and no segment is ready, an append returns `FS_WAL_ERR_WOULD_BLOCK`.
#define FS_WAL_BACKPRESSURE_FAIL_FAST 1

/// Events are made durable as soon as there are any; under load one sync follows the other.
#define FS_WAL_SYNC_CONTINUOUS 0

/// Events are made durable every `sync_interval_ns`.
#define FS_WAL_SYNC_INTERVAL 1

/// Events are made durable when their segment is full.
#define FS_WAL_SYNC_ROTATION 2

/// Level of a log message: the log has failed, or could not be opened.
#define FS_WAL_LOG_ERROR 1

/// Level of a log message: something is not as it should be, and the log goes on.
#define FS_WAL_LOG_WARN 2

/// Level of a log message: what was done (opened, recovered, deleted, shut down).
#define FS_WAL_LOG_INFO 3

/// A second thread in a call that only the writer may make gets `FS_WAL_ERR_INVALID_ARGUMENT`, with
/// the ids of both threads in the text, and nothing is appended by that call. So does
/// `fs_wal_shutdown` while the writer is in a call: the log stays open. Without this check two
/// threads that append at once overwrite each other's events, and no call says so; an append beside
/// a shutdown may write to memory that is gone.
#define FS_WAL_CHECK_ONE_WRITER 1

/// `fs_wal_claim` hands out a place beside the log, and `fs_wal_commit` copies it. What is written
/// there when it is not claimed any more is reported by the writer's next call, with
/// `FS_WAL_ERR_INVALID_ARGUMENT` and the id of the event, and does not change the log. Without this
/// check it changes an event that exists, and possibly one that is durable.
#define FS_WAL_CHECK_SLOTS 2

/// Options of `fs_wal_open`. A field that is 0 (or NULL) has its default.
///
/// RETENTION: old events are DELETED. The defaults keep the last 160 segments, 10.5 million events.
/// Set `max_segments` and `max_compressed_segments` to what you need. The limits are those of each
/// open, and hold from its first moment: a log that was kept whole, and is opened with the defaults
/// once, loses what is beyond them.
typedef struct fs_wal_config {
    /// Set it to `sizeof(fs_wal_config)`; `fs_wal_config_init` does. Fields beyond it have their
    /// defaults.
    uint32_t struct_size;
    /// Blocks of 256 events in a segment, `FS_WAL_MIN_BLOCKS` to `FS_WAL_MAX_BLOCKS`. Default 256:
    /// segments of 4.2 MB.
    uint32_t num_blocks;
    /// Hot segments to keep, the active one included, or `FS_WAL_KEEP_ALL`. Default 32.
    uint32_t max_segments;
    /// Cold (compressed) segments to keep, or `FS_WAL_KEEP_ALL`, or `FS_WAL_KEEP_NONE`. Default
    /// 128.
    uint32_t max_compressed_segments;
    /// Segments to keep prepared ahead of the writer, 1 to 64. Default 4. The log uses the memory
    /// of this many segments and 2 more.
    uint32_t prepared_segments;
    /// Any of `FS_WAL_FLAG_`, or-ed. Default: none.
    uint32_t flags;
    /// One of `FS_WAL_BACKPRESSURE_`. Default: block.
    uint32_t backpressure;
    /// One of `FS_WAL_SYNC_`. Default: continuous.
    uint32_t sync_mode;
    /// Nanoseconds between syncs, for `FS_WAL_SYNC_INTERVAL` only. Default 10 ms.
    uint64_t sync_interval_ns;
    /// Event id: nothing at or above it is deleted. 0 = no floor. `fs_wal_set_retention_floor`
    /// moves it later.
    uint64_t retention_floor;
    /// Path of the directory, best on tmpfs, in which the library makes the active directory. NULL
    /// = /dev/shm. It is copied, and may be freed once `fs_wal_open` has returned.
    const char *active_dir;
    /// Function that receives what happens to the log, or NULL; see "The log function" above.
    /// `user` is `log_user`. `level` is one of `FS_WAL_LOG_`. `message` is one line, valid during
    /// the call.
    void (*log)(void *user, int32_t level, const char *message);
    /// Passed to `log` as `user`; may be NULL. It must be usable from other threads, and stay
    /// valid until `fs_wal_shutdown` has returned or `fs_wal_open` has failed.
    void *log_user;
    /// Processors that the log's own thread, the persister, may run on: bit n is processor n. A
    /// processor that is not available is refused. 0 = those of the thread that opens; but if that
    /// thread is pinned to one processor (or the whole process is), all others of its cpuset except
    /// those of isolcpus and nohz_full. To have it share that processor, set its bit.
    uint64_t persister_cpus;
    /// The same for the threads that logs share. Logs share threads when they have the same
    /// `worker_cpus` and `worker_nice` and are on the same filesystems. 0 = as for
    /// `persister_cpus`, by the thread that opens the first of these logs. `fs_wal_recovery_report`
    /// says what was done.
    uint64_t worker_cpus;
    /// Nice value of all these threads, -20 to 19; compression always has 19. 0 = that of the
    /// thread that opens. A value that the process may not set is refused with
    /// `FS_WAL_ERR_PERMISSION`.
    int32_t worker_nice;
    /// Must be 0.
    uint32_t reserved;
    /// Bytes that holds and snapshots may keep on disk beyond `max_segments` and
    /// `max_compressed_segments`. When it is more, the one that holds the most is broken, until it
    /// is not: see `fs_wal_hold_open`. 0 = no limit: what is held stays, whatever it takes.
    uint64_t max_held_bytes;
    /// Snapshots to keep, the newest; the events behind the oldest of them are kept too. Default 2.
    uint32_t max_snapshots;
    /// Any of `FS_WAL_CHECK_`, or-ed: for tests of an engine, which then runs slower. Default:
    /// none.
    uint32_t checks;
    /// One in so many appends is timed: `append_latency` in `fs_wal_metrics_t`. That costs the
    /// append that is timed about 50 ns, and the others nothing. Default: none is.
    uint32_t sample_appends;
    /// Must be 0.
    uint32_t reserved2;
} fs_wal_config;

/// Fills `*config` with the defaults, spelt out as numbers (`active_dir` and `log` are NULL), and
/// sets its `struct_size`. Pass `sizeof(fs_wal_config)` as `struct_size`: no more bytes than that
/// are written, and those that this version of the library does not know are zeroed. A config of
/// zeros with `struct_size` set has the same meaning. When `config` is NULL or `struct_size` is
/// above 4096, nothing is written, and `fs_wal_last_error` says so. Threads: any.
void fs_wal_config_init(struct fs_wal_config *config, uint32_t struct_size);

/// Opens the log in directory `dir` for writing: creates the directory if it does not exist, locks
/// it (the directory itself and the file `wal_lock` in it), recovers what an earlier process left,
/// prepares segments and starts the worker threads. Where recovery cannot prove what belongs to the
/// log it refuses to open, and changes nothing.
///
/// `config` may be NULL: all defaults. On success `*out` is a handle that the caller owns and gives
/// to `fs_wal_shutdown`.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_UNSUPPORTED` (a field or filesystem that this
/// version does not support), `FS_WAL_ERR_LOCKED`, `FS_WAL_ERR_CORRUPT` (see
/// `FS_WAL_FLAG_ACCEPT_LOSS`), `FS_WAL_ERR_NO_SPACE`, `FS_WAL_ERR_PERMISSION`,
/// `FS_WAL_ERR_NOT_FOUND` or `FS_WAL_ERR_IO`.
FS_WAL_MUST_CHECK
fs_wal_status fs_wal_open(const char *dir,
                          const struct fs_wal_config *config,
                          struct fs_wal **out);

/// The library's threads run where the thread that opened could run.
#define FS_WAL_THREADS_INHERIT 0

/// `persister_cpus` and `worker_cpus` say where the library's threads run.
#define FS_WAL_THREADS_CONFIGURED 1

/// The thread that opened is pinned to one processor: the library's threads run on the others.
#define FS_WAL_THREADS_BESIDE 2

/// The thread that opened is pinned to one processor and there is no other that the library's
/// threads may use: they share it, and appends wait for them.
#define FS_WAL_THREADS_SHARE 3

/// What `fs_wal_open` found and did, as `fs_wal_recovery_report` returns it. Texts are
/// NUL-terminated; one that does not fit is cut and ends in "...".
typedef struct fs_wal_recovery_report_t {
    /// Set it to `sizeof(fs_wal_recovery_report_t)`. On return: bytes written.
    uint32_t struct_size;
    /// 1 when the log was new or its last shutdown was clean, else 0.
    uint32_t clean;
    /// 1 when every mapped segment is locked in memory, else 0. Only then can no append take a
    /// page fault.
    uint32_t memory_locked;
    /// Hot segments that hold events, after recovery.
    uint32_t hot_segments;
    /// Cold (compressed) segments.
    uint32_t cold_segments;
    /// Always 0.
    uint32_t reserved;
    /// How often this log has been opened for writing, this time included.
    uint64_t generation;
    /// Id of the last event in the log, 0 = the log is empty.
    uint64_t last_event_id;
    /// Highest event id that was known to be durable before recovery, 0 = none.
    uint64_t durable_event_id;
    /// Events that were only in the active directory and were carried over to the disk.
    uint64_t events_carried_over;
    /// Events above `durable_event_id` that recovery found, proved and made durable.
    uint64_t events_accepted;
    /// Events beyond the end of the log that recovery kept aside, in `*.corrupt` files: the sum of
    /// what it counted file by file. A cold segment counts by its header, so a damaged file may
    /// hold fewer; an event that is in several of the files counts in each.
    uint64_t events_kept_aside;
    /// Filesystem of the log's directory: its magic number, as in `statfs(2)`.
    uint64_t wal_filesystem;
    /// Filesystem of the active directory: its magic number.
    uint64_t active_filesystem;
    /// Which case recovery met: a label that stays the same in later versions, such as "clean".
    char decision[64];
    /// What else was noticed, separated by "; ". The log function gets all of it, uncut.
    char notes[256];
    /// Path of the active directory.
    char active_path[256];
    /// Name of the filesystem of the log's directory, such as "xfs"; "unknown" when the library
    /// does not know its name.
    char wal_filesystem_name[16];
    /// Name of the active directory's filesystem.
    char active_filesystem_name[16];
    /// Where the library's threads run and why: one of `FS_WAL_THREADS_`.
    uint32_t placement;
    /// With `FS_WAL_THREADS_BESIDE` and `FS_WAL_THREADS_SHARE`, the processor that the opening
    /// thread is pinned to, else 0.
    uint32_t pinned_processor;
} fs_wal_recovery_report_t;

/// Says what `fs_wal_open` found and did. Threads: any. Returns a common status.
fs_wal_status fs_wal_recovery_report(const struct fs_wal *wal,
                                     struct fs_wal_recovery_report_t *out);

/// Shuts the log down: makes everything appended durable, closes full segments, stops the worker
/// threads, releases the lock and frees the handle. `wal` may be NULL.
///
/// It takes as long as the disk needs for what is not durable yet, which is no more than the
/// active set, plus a second: that long, compression and retention go on. What they have not done
/// then is left to the next open. Other logs are not waited for. Where all processors are busy it
/// takes some seconds more, until the threads that compress, which have the lowest priority, have
/// got one to stop on. The calling thread does part of the work.
///
/// Threads that wait in `fs_wal_sync` or `fs_wal_wait_durable` get `FS_WAL_ERR_CLOSED`. Calls of
/// other threads that have begun are waited for, or return `FS_WAL_ERR_INVALID_ARGUMENT`. So do
/// calls that begin later, until a log opened afterwards has the same handle.
///
/// The handle is freed whatever is returned, except with `FS_WAL_ERR_INVALID_ARGUMENT` (it is no
/// handle; or, with `FS_WAL_CHECK_ONE_WRITER`, the writer is in a call: the log stays open) and
/// `FS_WAL_ERR_INTERNAL`, and except in a forked child, where `FS_WAL_ERR_CLOSED` is
/// returned and nothing is done.
///
/// Threads: the writer; or any, once the writer has stopped for good. Returns `FS_WAL_OK` when
/// everything appended is on stable storage. Otherwise what went wrong: `FS_WAL_ERR_POISONED`,
/// `FS_WAL_ERR_IO`, `FS_WAL_ERR_NO_SPACE`, `FS_WAL_ERR_PERMISSION` or a common status.
FS_WAL_MUST_CHECK fs_wal_status fs_wal_shutdown(struct fs_wal *wal);

/** @} */

/**
 * @defgroup wal_appending 5. Appending
 *
 * Three ways to append, all by the writer's thread: one event that is copied, a batch of events
 * that is copied, or one event that is filled in place (claim, fill, commit). When the call has
 * returned FS_WAL_OK, the event is in the log and survives the death of the process at any later
 * instruction; once the durable watermark has passed it, also a power cut.
 *
 * fs_wal_append is the hot path: while a prepared segment is ready it makes no system call,
 * allocates nothing, takes no lock and no page fault.
 * @{
 */

/// Appends one event. `event` is copied, all 64 bytes. Its `event_id` must be above that of the
/// last event.
///
/// Threads: the writer. Returns a common status, `FS_WAL_ERR_OUT_OF_ORDER`,
/// `FS_WAL_ERR_WOULD_BLOCK` (only with `FS_WAL_BACKPRESSURE_FAIL_FAST`), `FS_WAL_ERR_NO_SPACE` (try
/// again when there is space) or `FS_WAL_ERR_POISONED`. Unless it returns `FS_WAL_OK`, nothing was
/// appended.
FS_WAL_MUST_CHECK
fs_wal_status fs_wal_append(struct fs_wal *wal,
                            const struct fs_request_event *event);

/// Appends the `count` events at `events` in order, as `count` calls of `fs_wal_append` would, in
/// less time. `events` may be NULL when `count` is 0.
///
/// `appended` may be NULL. Otherwise `*appended` is set, also on failure, to the number of events
/// that were appended: the first ones of the batch, which are in the log for good.
///
/// Threads: the writer. Returns what `fs_wal_append` returns, for the first event that was not
/// appended.
FS_WAL_MUST_CHECK
fs_wal_status fs_wal_append_batch(struct fs_wal *wal,
                                  const struct fs_request_event *events,
                                  size_t count,
                                  size_t *appended);

/// Claims the next event's place in the log, to be filled without a copy. `*slot` then points at
/// its 64 bytes, which hold whatever was there before. Fill all but `event_id`, and call
/// `fs_wal_commit`, which stores the id: that makes the event exist. Do not write `event_id`
/// yourself.
///
/// The slot belongs to the library. It is valid until the next append, append_batch, claim, commit
/// or shutdown. A claim that is not committed leaves no trace.
///
/// Threads: the writer. Returns what `fs_wal_append` returns, except `FS_WAL_ERR_OUT_OF_ORDER`.
FS_WAL_MUST_CHECK fs_wal_status fs_wal_claim(struct fs_wal *wal, struct fs_request_event **slot);

/// Makes the event in the claimed slot exist, with this id. It then survives as an event of
/// `fs_wal_append` does. After `FS_WAL_ERR_OUT_OF_ORDER` the claim still holds.
///
/// Threads: the writer. Returns a common status (`FS_WAL_ERR_INVALID_ARGUMENT` when nothing is
/// claimed), `FS_WAL_ERR_OUT_OF_ORDER` or `FS_WAL_ERR_POISONED`.
FS_WAL_MUST_CHECK fs_wal_status fs_wal_commit(struct fs_wal *wal, uint64_t event_id);

/** @} */

/**
 * @defgroup wal_durability 6. Durability
 *
 * An event is durable, and survives a power cut, when it is on stable storage. The library syncs
 * by itself, as fs_wal_config.sync_mode says, and moves the durable watermark: everything up to it
 * is durable. Read the watermark, or wait for it, before you confirm a request to anyone who
 * relies on it after a power cut.
 * @{
 */

/// A place in the log: an event, and where it lies. All 0 = there is none yet. 16 bytes.
typedef struct fs_wal_meta_state {
    /// Index of the segment that holds the event.
    uint32_t last_segment_index;
    /// Byte offset just past the event in that segment.
    uint32_t last_offset;
    /// Id of the event.
    uint64_t last_event_id;
} fs_wal_meta_state;

/// The last event appended: its segment, the offset just past it, and its id, all of the same
/// moment. All 0 while the log is empty. Never waits. Threads: any. Returns a common status.
FS_WAL_MUST_CHECK
fs_wal_status fs_wal_meta(const struct fs_wal *wal,
                          struct fs_wal_meta_state *out);

/// The durable watermark: the last event on stable storage, given as `fs_wal_meta` gives the last
/// event appended. It and every event before it survive a power cut. Never waits. Threads: any;
/// also in a signal handler. Returns a common status.
FS_WAL_MUST_CHECK
fs_wal_status fs_wal_durable(const struct fs_wal *wal,
                             struct fs_wal_meta_state *out);

/// Makes everything that was appended before this call durable, and returns when it is.
///
/// Threads: any. When the writer calls it, the writer waits. Returns a common status or
/// `FS_WAL_ERR_POISONED` (a write or sync has failed: what is above the watermark may never survive
/// a power cut).
FS_WAL_MUST_CHECK fs_wal_status fs_wal_sync(struct fs_wal *wal);

/// Waits until the event `event_id` is durable, at most `timeout_ns` nanoseconds (`UINT64_MAX`:
/// without limit; 0: only looks). When the sync mode would not soon bring a sync, it asks for one.
/// The event need not be appended yet: then a sync is asked for when it is, within a few
/// milliseconds, and none for the events before it. An id of 0 is durable at once.
///
/// Threads: any. Returns a common status (`FS_WAL_ERR_CLOSED` when another thread shut the log down
/// meanwhile; `FS_WAL_ERR_INVALID_ARGUMENT` for `UINT64_MAX`, which is no id),
/// `FS_WAL_ERR_TIMEOUT` or `FS_WAL_ERR_POISONED`.
FS_WAL_MUST_CHECK
fs_wal_status fs_wal_wait_durable(struct fs_wal *wal,
                                  uint64_t event_id,
                                  uint64_t timeout_ns);

/// Makes a descriptor, an eventfd, for an event loop (epoll, io_uring): it becomes readable each
/// time the durable watermark has moved, when the log fails, and a last time when it is shut down.
/// To read its 8 bytes is to have seen that; then ask `fs_wal_durable`. What has moved before this
/// returns is not told. After a spell of rest it becomes readable as late as the watermark moves:
/// within 15 ms of the append, or 2 ms while a thread waits in `fs_wal_wait_durable` or the
/// persister spins.
///
/// Each call makes one of its own, non-blocking and close-on-exec, so consumers do not take each
/// other's counts. The caller owns it and closes it, before or after the log is shut down; then the
/// library forgets it, too. What counts for that is the number that was given: keep it open while
/// copies of it are in use. A log for which this was never called makes no system call for it. A
/// forked child shares the descriptor with its parent.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_NO_SPACE` (no descriptors are left),
/// `FS_WAL_ERR_POISONED` or `FS_WAL_ERR_IO`.
FS_WAL_MUST_CHECK fs_wal_status fs_wal_durable_fd(struct fs_wal *wal, int *fd);

/** @} */

/**
 * @defgroup wal_retention 7. Retention
 *
 * Old segments are deleted: fs_wal_config.max_segments and max_compressed_segments say how many
 * are kept. The defaults keep 3 hours at 1,000 events a second, 10 seconds at a million a second.
 *
 * The retention floor, an event id, protects events from this: none at or above it is deleted,
 * whatever the limits say. It is not stored: give it to the next fs_wal_open in the config. What is
 * kept because of it takes disk space beyond the limits. Floors that last are holds and snapshots
 * (see "Snapshots and holds").
 * @{
 */

/// Moves the retention floor, which `fs_wal_config.retention_floor` set first. Once this has
/// returned `FS_WAL_OK`, nothing at or above `event_id` is deleted; 0 = no floor. A higher floor
/// lets retention go on at once. A lower one protects, from now on, what is still there. The
/// segment that holds `event_id` is kept whole.
///
/// May wait for the removal of one file, but not for a sync. Never delays the writer. Threads: any.
/// Returns a common status or `FS_WAL_ERR_POISONED` (nothing is deleted any more).
FS_WAL_MUST_CHECK fs_wal_status fs_wal_set_retention_floor(struct fs_wal *wal, uint64_t event_id);

/** @} */

/**
 * @defgroup wal_reading 8. Reading
 *
 * A reader is a place in a log. It gives the events of cold, hot and active segments in order, from
 * the oldest that is kept, and may be used while this process or another writes the log. It changes
 * nothing in the log. Every block is verified before its events are given.
 *
 * Damage is not passed over: the read fails with FS_WAL_ERR_CORRUPT and so does the next one. With
 * FS_WAL_READER_SALVAGE a read that meets damage fails once, with FS_WAL_ERR_CORRUPT,
 * FS_WAL_ERR_IO, FS_WAL_ERR_PERMISSION or FS_WAL_ERR_GAP, and fs_wal_last_error_detail has the
 * range that is lost; the next read goes on behind it.
 *
 * Retention does not take away the segment that a reader is in, but may remove later ones before
 * they are read. The next read then returns FS_WAL_ERR_GAP, once; the one after it gives the oldest
 * event there is. fs_wal_last_error_detail has the first segment that is gone, and the ids from the
 * one after the last event given to the one before the next.
 *
 * Threads of a reader: with fs_wal_reader_config.threads, threads of the library open, decompress
 * and verify ahead of the caller, who works along when it would wait otherwise. Events and errors
 * are the same, in the same order. At most 6 MB and two segments a thread, and as much once more,
 * are read ahead. The threads end in fs_wal_reader_close. When the opening thread may use one
 * processor only, they run on the others of its cpuset. In a forked child a reader goes on without
 * them.
 *
 * With FS_WAL_READER_FOLLOW a reader does not end: where there is nothing more, a read returns
 * FS_WAL_ERR_WOULD_BLOCK, and fs_wal_reader_wait waits. In this process or another, an event is
 * seen right after it was appended, by a load from memory and without a system call, through
 * rotations, shutdowns, crashes and new opens of the log. The log need not be there yet. Events
 * that were given and then taken back (the memory of the log was lost before they were durable, or
 * a loss was accepted) are FS_WAL_ERR_CORRUPT, with their range, also when their ids were used
 * again since; the follower stays there until it seeks. So it does, with FS_WAL_ERR_NOT_FOUND,
 * where another log has taken the place of the one that it followed. It maps the active files: who
 * truncates those ends the engine, and its followers too.
 *
 * With FS_WAL_READER_DURABLE_ONLY an event is given when it is durable, so that only an accepted
 * loss takes it back.
 * @{
 */

/// A place in a log. `fs_wal_reader_open` makes it and `fs_wal_reader_close` frees it.
///
/// It writes nothing and never delays the writer. One thread at a time.
typedef struct fs_wal_reader fs_wal_reader;

/// Follow a live log; see above. Not together with `FS_WAL_READER_SALVAGE`.
#define FS_WAL_READER_FOLLOW 1

/// Read around damage; see above how it is reported. Not together with `FS_WAL_READER_NO_VERIFY`.
#define FS_WAL_READER_SALVAGE 2

/// Do not verify the checksums of sealed blocks.
#define FS_WAL_READER_NO_VERIFY 4

/// Give an event when the durable watermark has passed it. Not together with
/// `FS_WAL_READER_SALVAGE`.
#define FS_WAL_READER_DURABLE_ONLY 8

/// Highest `threads` of a reader.
#define FS_WAL_READER_MAX_THREADS 16

/// Options of `fs_wal_reader_open`.
typedef struct fs_wal_reader_config {
    /// Set it to `sizeof(fs_wal_reader_config)`. Fields beyond it have their defaults.
    uint32_t struct_size;
    /// Any of `FS_WAL_READER_`, or-ed. Default: none.
    uint32_t flags;
    /// Threads that open, decompress and verify segments ahead of the caller, at most 16. Default:
    /// none, the caller's own thread does it. See "Threads of a reader" above. A follower, and a
    /// reader with `FS_WAL_READER_DURABLE_ONLY`, uses none.
    uint32_t threads;
    /// Must be 0.
    uint32_t reserved;
    /// Event id: behind it reading ends with `FS_WAL_END`, wherever `fs_wal_reader_seek` goes. 0 =
    /// at the end of the log.
    uint64_t end_event_id;
    /// With `FS_WAL_READER_FOLLOW`: how long `fs_wal_reader_wait` spins before it sleeps, in
    /// nanoseconds; `UINT64_MAX` = always. Default, also for 0: 20,000.
    uint64_t spin_ns;
    /// Name of a hold (see "Snapshots and holds") that the reader opens and moves along; NULL =
    /// none. The reader begins where the hold stands; a new one is made at the oldest event there
    /// is. To call `fs_wal_reader_next`, `fs_wal_reader_next_batch` or `fs_wal_reader_wait` again
    /// is to be done with the events that were given before; past those the hold moves, at most
    /// once a second, and when the reader is closed. So a consumer that is started again goes on
    /// by itself, and sees again at most what it may not have finished. Only the log's own user
    /// can, and one reader a name at a time. In a forked child the reader goes on, and moves
    /// nothing.
    const char *hold;
} fs_wal_reader_config;

/// Opens the log in directory `dir` for reading, at its oldest event. The log may be open for
/// writing, in this process or another, or not at all. What is wrong with the log's files is
/// reported by the first read, not here. With `FS_WAL_READER_FOLLOW` there need not be a log yet.
///
/// `config` may be NULL: all defaults, every block is verified. On success `*out` is a reader that
/// the caller owns and gives to `fs_wal_reader_close`.
///
/// Who may read the directory but not the log's active directory gets every event that is durable,
/// then `FS_WAL_END`.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_NOT_FOUND` (there is no log in the directory,
/// or no directory; with a hold, no log that this library has had open for writing), with a hold
/// also what `fs_wal_hold_open` returns, `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_NO_SPACE`
/// (descriptors or memory) or `FS_WAL_ERR_IO`.
FS_WAL_MUST_CHECK
fs_wal_status fs_wal_reader_open(const char *dir,
                                 const struct fs_wal_reader_config *config,
                                 struct fs_wal_reader **out);

/// Copies the next event to `*out`. At the end of the log it returns `FS_WAL_END`, or, when it
/// follows, `FS_WAL_ERR_WOULD_BLOCK`. A later call goes on from there, if events have been appended
/// since.
///
/// Threads: one at a time. Returns a common status, `FS_WAL_END`, `FS_WAL_ERR_WOULD_BLOCK`,
/// `FS_WAL_ERR_NOT_FOUND` (another log is in the place of the followed one), `FS_WAL_ERR_CORRUPT`,
/// `FS_WAL_ERR_GAP`, `FS_WAL_ERR_LOCKED`, `FS_WAL_ERR_NO_SPACE` (descriptors or memory),
/// `FS_WAL_ERR_PERMISSION` or `FS_WAL_ERR_IO`.
FS_WAL_MUST_CHECK
fs_wal_status fs_wal_reader_next(struct fs_wal_reader *reader,
                                 struct fs_request_event *out);

/// Gives some of the next events, at least one, without copying them: `*events` points at the
/// first and `*count` is their number. They belong to the reader and are valid until the next call
/// on it. Threads: one at a time. Returns what `fs_wal_reader_next` returns.
FS_WAL_MUST_CHECK
fs_wal_status fs_wal_reader_next_batch(struct fs_wal_reader *reader,
                                       const struct fs_request_event **events,
                                       size_t *count);

/// Moves the reader, forwards or back, to the first event whose id is `event_id` or higher, of the
/// events that are still there. The place is found by headers; what lies before it is not read.
/// When the beginning of the log is gone and `event_id` with it, the next read returns
/// `FS_WAL_ERR_GAP` once, with the range, and the one after it gives the oldest event there is;
/// with `event_id` 0 it gives that at once. When there is no such event yet, the next read returns
/// what it does at the end. On failure the reader stays where it was. A follower that has ended,
/// because events were taken back or the log is another one, begins anew here.
///
/// Threads: one at a time. Returns what `fs_wal_reader_next` returns, except `FS_WAL_END` and
/// `FS_WAL_ERR_GAP`.
FS_WAL_MUST_CHECK fs_wal_status fs_wal_reader_seek(struct fs_wal_reader *reader, uint64_t event_id);

/// Moves the reader, forwards or back, to the first event whose `timestamp` is `timestamp_ns` or
/// higher, of the events that are still there. The place is found by a binary search, which is
/// exact if timestamps rise from event to event (equal ones are fine). If they do not, the reader
/// still begins with an event of that time or a later one; but there may be others before it. When
/// there is no such event yet, the next read returns `FS_WAL_END`. On failure the reader stays
/// where it was.
///
/// Threads: one at a time. Returns what `fs_wal_reader_next` returns, except `FS_WAL_END` and
/// `FS_WAL_ERR_GAP`.
FS_WAL_MUST_CHECK
fs_wal_status fs_wal_reader_seek_time(struct fs_wal_reader *reader,
                                      uint64_t timestamp_ns);

/// Waits until a follower (`FS_WAL_READER_FOLLOW`) has an event to give, at most `timeout_ns`
/// nanoseconds (`UINT64_MAX`: without limit; 0: only looks). Spins for `spin_ns` of its options,
/// then sleeps between looks, at most 1 ms. A failure that the next read would return is returned
/// here instead, once where a read returns it once.
///
/// Threads: one at a time. Returns what `fs_wal_reader_next` returns, except `FS_WAL_END` and
/// `FS_WAL_ERR_WOULD_BLOCK`, or `FS_WAL_ERR_TIMEOUT`; `FS_WAL_ERR_INVALID_ARGUMENT` for a reader
/// that does not follow.
fs_wal_status fs_wal_reader_wait(struct fs_wal_reader *reader, uint64_t timeout_ns);

/// What a reader has done since it was opened. Times are in nanoseconds, and those of its threads
/// are added up. What was read ahead counts when the reader comes to it.
typedef struct fs_wal_reader_metrics_t {
    /// Set it to `sizeof(fs_wal_reader_metrics_t)`. On return: how many bytes were filled in.
    uint32_t struct_size;
    /// Threads that read ahead. 0 in a child of the process that opened the reader.
    uint32_t threads;
    /// 1 = this user may not read the log's active directory: the reader gives what is durable on
    /// disk, and then `FS_WAL_END`.
    uint32_t active_denied;
    /// Reserved.
    uint32_t reserved;
    /// Segments opened.
    uint64_t segments_opened;
    /// Blocks whose checksums were verified.
    uint64_t blocks_verified;
    /// Bytes of blocks, uncompressed.
    uint64_t bytes;
    /// Events given out.
    uint64_t events;
    /// Reads that failed because of damage.
    uint64_t damages;
    /// Finding and opening segments.
    uint64_t open_ns;
    /// Reading hot segments.
    uint64_t read_ns;
    /// Reading and decompressing cold segments.
    uint64_t decompress_ns;
    /// Verifying blocks.
    uint64_t verify_ns;
    /// Waiting for the reader's threads.
    uint64_t wait_ns;
} fs_wal_reader_metrics_t;

/// Fills `*out` with what the reader has done so far. Threads: one at a time. Returns a common
/// status.
fs_wal_status fs_wal_reader_metrics(struct fs_wal_reader *reader,
                                    struct fs_wal_reader_metrics_t *out);

/// Closes and frees the reader, and with it the events that `fs_wal_reader_next_batch` gave.
/// `reader` may be NULL. Its hold is moved past the events that it gave, except those of the last
/// call that gave any, if no other call has followed that: they may not be finished. Threads: one
/// at a time; it is the last call on the reader.
void fs_wal_reader_close(struct fs_wal_reader *reader);

/** @} */

/**
 * @defgroup wal_snapshots 9. Snapshots and holds
 *
 * A snapshot is the engine's state after some event. With it, recovery replays only what follows:
 *
 *     fs_wal_snapshot_info info = {sizeof info};
 *     fs_wal_snapshot *snapshot;
 *     if (fs_wal_snapshot_open(dir, 0, &info, &snapshot) == FS_WAL_OK) {
 *         restore(snapshot);                                  // fs_wal_snapshot_read until END
 *         fs_wal_snapshot_close(snapshot);
 *         fs_wal_reader_seek(reader, info.event_id + 1);
 *     }
 *
 * It is a file of the WAL directory, taken from any process of the log's user, while the engine
 * goes on. The newest fs_wal_config.max_snapshots are kept, and no event that follows the oldest of
 * them is deleted.
 *
 * A hold is a retention floor with a name. Others set it, and move it as they go on: a backup, a
 * standby, a slow reader. It lasts until it is removed, whoever has died meanwhile; to bound what
 * that may cost there is fs_wal_config.max_held_bytes.
 *
 * Retention obeys the lowest of the floor, the holds and the kept snapshots.
 * @{
 */

/// A snapshot that is being written or read. `fs_wal_snapshot_create` or `fs_wal_snapshot_open`
/// makes it; `fs_wal_snapshot_commit` or `fs_wal_snapshot_close` frees it.
///
/// One thread at a time. In a forked child calls on it return `FS_WAL_ERR_CLOSED`.
typedef struct fs_wal_snapshot fs_wal_snapshot;

/// What a snapshot says of itself.
typedef struct fs_wal_snapshot_info {
    /// Set it to `sizeof(fs_wal_snapshot_info)`. On return: bytes written.
    uint32_t struct_size;
    /// 0.
    uint32_t reserved;
    /// The state is that after this event: recovery goes on with the next one.
    uint64_t event_id;
    /// When the snapshot was begun: wall clock, nanoseconds since 1970.
    uint64_t created_ns;
    /// Bytes of the state.
    uint64_t size;
    /// How many newer snapshots are not good and were passed over. When it is not 0,
    /// `fs_wal_last_error` says what is wrong with the newest of them.
    uint32_t passed_over;
    /// 0.
    uint32_t reserved2;
} fs_wal_snapshot_info;

/// Begins a snapshot: the engine's state after the event `event_id` and before the next one. By
/// directory, so that any process of the log's own user can take it, beside the engine: a standby
/// that follows the log, or a forked child. The log may be open or not. Nothing is visible until
/// `fs_wal_snapshot_commit`.
///
/// On success `*out` is a snapshot that the caller owns: fill it with `fs_wal_snapshot_write`.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_NOT_FOUND` (no directory, or no log in it),
/// `FS_WAL_ERR_LOCKED` (somebody is writing a snapshot of this event), `FS_WAL_ERR_CORRUPT`
/// (`wal_identity` is damaged), `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_NO_SPACE` or
/// `FS_WAL_ERR_IO`.
FS_WAL_MUST_CHECK
fs_wal_status fs_wal_snapshot_create(const char *dir,
                                     uint64_t event_id,
                                     struct fs_wal_snapshot **out);

/// Adds `n` bytes to the state. They are compressed and written as the log's own cold files are,
/// past the page cache, in small pieces. `bytes` may be NULL when `n` is 0. After a failure the
/// snapshot cannot be committed: close it.
///
/// Threads: one at a time. Returns a common status, `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_NO_SPACE`,
/// `FS_WAL_ERR_PERMISSION` or `FS_WAL_ERR_IO`.
FS_WAL_MUST_CHECK
fs_wal_status fs_wal_snapshot_write(struct fs_wal_snapshot *snapshot,
                                    const void *bytes,
                                    size_t n);

/// Makes the snapshot durable and gives it its name, or leaves nothing of it. The file is then
/// `SNAP.<event id>.fss`. The writer of the log deletes older ones (`fs_wal_config.max_snapshots`),
/// and no event that follows the oldest one that is left. Nothing can be added after the first
/// call.
///
/// While the event is not known to be durable, it returns `FS_WAL_ERR_WOULD_BLOCK`: call it again,
/// or close the snapshot. A snapshot is never ahead of its log. Who may not read the log's active
/// directory learns a fifth of a second later that an event is durable.
///
/// It frees the snapshot, whatever it returns, except with `FS_WAL_ERR_WOULD_BLOCK`,
/// `FS_WAL_ERR_CLOSED`, and `FS_WAL_ERR_INVALID_ARGUMENT`.
///
/// Threads: one at a time. Returns a common status, `FS_WAL_ERR_CLOSED`,
/// `FS_WAL_ERR_WOULD_BLOCK`, `FS_WAL_ERR_CORRUPT` (the log was cut since, and events that led to
/// this state were taken back, whatever has their ids now; or it is another log), `FS_WAL_ERR_GAP`
/// (events that follow are gone already: set a hold before), `FS_WAL_ERR_LOCKED` (somebody holds
/// `wal_holds/.lock` for ten seconds), `FS_WAL_ERR_NOT_FOUND` (the log is gone),
/// `FS_WAL_ERR_NO_SPACE`, `FS_WAL_ERR_PERMISSION` or `FS_WAL_ERR_IO`.
FS_WAL_MUST_CHECK fs_wal_status fs_wal_snapshot_commit(struct fs_wal_snapshot *snapshot);

/// Opens the newest good snapshot of the log in `dir` whose event is at or below `at_most` (0: the
/// newest). Every byte of it is checked first. Passed over are: one that is damaged, one of another
/// log, one whose events were taken back, one of what was done after this log was copied or after
/// the backup that it was restored from, and one of which events that follow are gone. Those that
/// were passed over are counted in `info->passed_over`, and `fs_wal_last_error` and
/// `fs_wal_last_error_detail` say why of the newest, although `FS_WAL_OK` is returned.
///
/// To recover: open it, restore the state, `fs_wal_reader_seek` to the event behind `event_id`,
/// replay. Beside a live writer, set a hold first, or retention may delete meanwhile.
///
/// `info` may be NULL. On success `*out` is a snapshot that the caller owns and gives to
/// `fs_wal_snapshot_close`.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_NOT_FOUND` (there is no snapshot there, or no
/// log), `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_NO_SPACE` (descriptors or memory); when there are
/// snapshots and none is good, what is wrong with the newest: `FS_WAL_ERR_CORRUPT`,
/// `FS_WAL_ERR_GAP` or `FS_WAL_ERR_IO`.
FS_WAL_MUST_CHECK
fs_wal_status fs_wal_snapshot_open(const char *dir,
                                   uint64_t at_most,
                                   struct fs_wal_snapshot_info *info,
                                   struct fs_wal_snapshot **out);

/// Reads the next bytes of the state into the `n` bytes at `buf`, and sets `*got` to how many there
/// were: `n`, or fewer at the end. When all is read it returns `FS_WAL_END`.
///
/// Threads: one at a time. Returns a common status, `FS_WAL_ERR_CLOSED`, `FS_WAL_END`,
/// `FS_WAL_ERR_CORRUPT` (the file was changed since it was opened) or `FS_WAL_ERR_IO`.
FS_WAL_MUST_CHECK
fs_wal_status fs_wal_snapshot_read(struct fs_wal_snapshot *snapshot,
                                   void *buf,
                                   size_t n,
                                   size_t *got);

/// Closes and frees a snapshot. Of one that is being written nothing is left. `snapshot` may be
/// NULL. Threads: one at a time; it is the last call on the snapshot.
void fs_wal_snapshot_close(struct fs_wal_snapshot *snapshot);

/// A hold, as the one who has it open sees it. `fs_wal_hold_open` makes it and `fs_wal_hold_close`
/// frees it; the hold itself stays.
///
/// One thread at a time. In a forked child calls on it return `FS_WAL_ERR_CLOSED`.
typedef struct fs_wal_hold fs_wal_hold;

/// Opens the hold `name` of the log in `dir`: a retention floor of its own that lasts, for whoever
/// needs events longer than the limits keep them: a backup, a standby, an archive, a slow reader.
/// Once this has returned `FS_WAL_OK`, no event at or above its id is deleted, whatever the limits
/// say, also when nobody has it open, and when the log is opened anew.
///
/// A hold that there is stands where it stood, whatever `event_id` is. A new one begins at
/// `event_id`; 0 is the oldest event there is. Names are 1 to 64 of A-Z, a-z, 0-9, `_` and `-`. It
/// is a file in `wal_holds`, which `fs_wal_open` makes; only the log's own user can set it.
///
/// With `fs_wal_config.max_held_bytes` the log breaks the lowest of holds and snapshots when too
/// much is kept. Then calls on it return `FS_WAL_ERR_GAP` with the events that are gone, and so
/// does this one, until `fs_wal_hold_remove` was called.
///
/// On success `*out` is a hold that the caller owns and gives to `fs_wal_hold_close`.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_NOT_FOUND` (no log that this library has had
/// open for writing), `FS_WAL_ERR_LOCKED` (it is open elsewhere; or `wal_holds/.lock` is locked for
/// ten seconds), `FS_WAL_ERR_GAP` (events from `event_id` on are gone, and nothing is held:
/// `fs_wal_last_error_detail` has them; or the hold was broken), `FS_WAL_ERR_CORRUPT` (its file is
/// damaged; or the log was cut below it, and events below it were taken back: remove it and begin
/// anew), `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_NO_SPACE` or `FS_WAL_ERR_IO`.
FS_WAL_MUST_CHECK
fs_wal_status fs_wal_hold_open(const char *dir,
                               const char *name,
                               uint64_t event_id,
                               struct fs_wal_hold **out);

/// Moves the hold: everything below `event_id` may go. It never goes back: an id that it has passed
/// leaves it where it is. Nothing is synced for it, so after a power cut it may stand where it
/// stood before, and holds more; never below events that were deleted.
///
/// Threads: one at a time. Returns a common status, `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_GAP` (it was
/// broken), `FS_WAL_ERR_NOT_FOUND` (somebody has removed it), `FS_WAL_ERR_CORRUPT` (the log was cut
/// below it), `FS_WAL_ERR_LOCKED` (`wal_holds/.lock` is locked for ten seconds),
/// `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_NO_SPACE` or `FS_WAL_ERR_IO`.
fs_wal_status fs_wal_hold_move(struct fs_wal_hold *hold, uint64_t event_id);

/// Where the hold stands: nothing at or above `*event_id` is deleted.
///
/// Threads: one at a time. Returns a common status, `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_GAP` (it was
/// broken), `FS_WAL_ERR_NOT_FOUND` (somebody has removed it) or `FS_WAL_ERR_IO`.
FS_WAL_MUST_CHECK fs_wal_status fs_wal_hold_get(const struct fs_wal_hold *hold, uint64_t *event_id);

/// Closes the hold and frees the handle. The hold stays, and holds. `hold` may be NULL. Threads:
/// one at a time; it is the last call on the handle.
void fs_wal_hold_close(struct fs_wal_hold *hold);

/// Removes the hold `name`, broken or not, if nobody has it open. What it held may go from now on.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_NOT_FOUND` (there is none),
/// `FS_WAL_ERR_LOCKED` (it is open; or `wal_holds/.lock` is locked for ten seconds),
/// `FS_WAL_ERR_PERMISSION` or `FS_WAL_ERR_IO`.
fs_wal_status fs_wal_hold_remove(const char *dir, const char *name);

/** @} */

/**
 * @defgroup wal_verifying 10. Verifying
 *
 * Checks a whole log and lists what is wrong with it, without changing anything: before a backup
 * is trusted, after a disk has failed, or from a monitoring job.
 *
 * Checked are headers, both checksums of every block, the order of ids, counts, the frames of cold
 * segments to their last byte, the record files, and that what was durable is still there. It
 * creates no file and delays no writer. The log may be open for writing, crashed, on a read-only
 * filesystem, or another user's; of the active directory it reads what this user may read.
 * @{
 */

/// A file, or a part of one, cannot be read; `os_errno` says why.
#define FS_WAL_DAMAGE_UNREADABLE 1

/// The LZ4 frame of a cold segment is damaged. The event ids are those of the events lost with it.
#define FS_WAL_DAMAGE_FRAME 2

/// A cold segment has more bytes after its frame.
#define FS_WAL_DAMAGE_TRAILING 3

/// A segment header is not valid, or contradicts the blocks. The events may all be right.
#define FS_WAL_DAMAGE_SEGMENT_HEADER 4

/// The file's name says one segment, its header another.
#define FS_WAL_DAMAGE_MISNAMED 5

/// A block header is not valid, or is another block's.
#define FS_WAL_DAMAGE_BLOCK_HEADER 6

/// The events of a block do not match its checksum.
#define FS_WAL_DAMAGE_BLOCK 7

/// A block is right by itself but does not continue the chain of checksums.
#define FS_WAL_DAMAGE_CHAIN 8

/// Event ids do not rise.
#define FS_WAL_DAMAGE_ORDER 9

/// The file ends before the events that its header counts.
#define FS_WAL_DAMAGE_TRUNCATED 10

/// The hot and the cold file of a segment differ.
#define FS_WAL_DAMAGE_TWINS 11

/// A segment between two others is missing.
#define FS_WAL_DAMAGE_MISSING_SEGMENT 12

/// Events that were durable are gone.
#define FS_WAL_DAMAGE_DURABLE_LOST 13

/// `wal_meta.dat` is not valid.
#define FS_WAL_DAMAGE_META 14

/// `wal_identity` is not valid.
#define FS_WAL_DAMAGE_IDENTITY 15

/// The log was not shut down, and its active directory is gone or holds other events.
#define FS_WAL_DAMAGE_ACTIVE 16

/// Not known where the newest events are: `wal_identity` is missing or damaged. (The C++ recorder
/// writes none, and keeps nothing outside the directory.)
#define FS_WAL_NEWEST_NOT_KNOWN 0

/// The log was shut down: all of it is in its directory.
#define FS_WAL_NEWEST_ON_DISK 1

/// The log is open, or its process died: they are in its active directory, which was read.
#define FS_WAL_NEWEST_IN_MEMORY 2

/// The same, but this user may not read the active directory. Events behind `last_event_id` may be
/// missing here.
#define FS_WAL_NEWEST_DENIED 3

/// The directory is a copy, made while the log was open or after its process died. The newest
/// events are with the original; those behind `last_event_id` may be missing here.
#define FS_WAL_NEWEST_ELSEWHERE 4

/// The log was not shut down and its active directory is not here: it was in the memory of another
/// boot, or cannot be seen from this container. Events behind `last_event_id` may be missing.
#define FS_WAL_NEWEST_NOT_HERE 5

/// One thing that is wrong with a log: what, and where.
typedef struct fs_wal_damage {
    /// One of `FS_WAL_DAMAGE_`.
    uint32_t kind;
    /// Index of the segment concerned. Valid when `has_segment_index` is 1.
    uint32_t segment_index;
    /// Byte offset, in the segment, of the block, header or event concerned. In a cold segment it
    /// counts decompressed bytes.
    uint64_t offset;
    /// The same place as a byte offset in the file. In a cold segment: of its LZ4 block.
    uint64_t file_offset;
    /// First event id that cannot be trusted, 0 = none.
    uint64_t first_event_id;
    /// Last event id that cannot be trusted; 0 with a `first_event_id` = not known.
    uint64_t last_event_id;
    /// The operating system's error number (`errno`), 0 when there is none.
    int32_t os_errno;
    /// 1 when `segment_index` is known, else 0.
    uint32_t has_segment_index;
    /// Name of the file, without its directory, NUL-terminated.
    char file[64];
} fs_wal_damage;

/// Damages that a report lists; more are only counted.
#define FS_WAL_VERIFY_MAX_DAMAGES 16

/// What `fs_wal_verify` checked and found.
typedef struct fs_wal_verify_report_t {
    /// Set it to `sizeof(fs_wal_verify_report_t)`. On return: bytes written.
    uint32_t struct_size;
    /// Hot segments that are closed.
    uint32_t hot_segments;
    /// Cold (compressed) segments.
    uint32_t cold_segments;
    /// Hot segments that are not closed, prepared ones without events included.
    uint32_t open_segments;
    /// Files whose names are not the library's. They are left alone.
    uint32_t foreign_files;
    /// `*.corrupt` files, which recovery kept aside.
    uint32_t kept_aside_files;
    /// Blocks whose events are right.
    uint64_t blocks;
    /// Events that are right, those in the active directory included.
    uint64_t events;
    /// Bytes read.
    uint64_t bytes;
    /// Id of the first event of the log, 0 = none.
    uint64_t first_event_id;
    /// Id of the last event of the log, 0 = none.
    uint64_t last_event_id;
    /// Highest event id that the directory says is durable, 0 = not known: by `wal_meta.dat` and by
    /// block headers. Beside a live log it is up to a fifth of a second old.
    uint64_t durable_event_id;
    /// How many things are wrong: 0 = all is well.
    uint64_t damage_count;
    /// The first of them, in the order of the log. The rest of the array is zero.
    struct fs_wal_damage damages[FS_WAL_VERIFY_MAX_DAMAGES];
    /// Id of the last event that the directory holds by itself, without the active directory, 0 =
    /// none. Once `fs_wal_sync` has returned it is at least the last id that was appended before.
    uint64_t on_disk_event_id;
    /// Where the newest events are: one of `FS_WAL_NEWEST_`.
    uint32_t newest;
    /// 1 when the directory is a copy of the one in which the log was opened last, else 0.
    uint32_t is_copy;
    /// The active directory of a log that was not shut down, NUL-terminated and cut if it is
    /// longer; empty if the log was shut down.
    char active_path[256];
} fs_wal_verify_report_t;

/// Checks every byte of the log in directory `dir`, and goes on behind whatever is wrong. It takes
/// as long as reading the directory does, and some megabytes of memory however large the log is.
/// The states in snapshots are not the log: `fs_wal_snapshot_open` checks them.
///
/// Unlike other out-parameters, `*out` is also written when the call fails because of a file, with
/// `FS_WAL_ERR_CORRUPT`, `FS_WAL_ERR_IO`, `FS_WAL_ERR_PERMISSION` or `FS_WAL_ERR_NO_SPACE`: then
/// `damage_count` is not 0, and `fs_wal_last_error` and `fs_wal_last_error_detail` have the first
/// damage.
///
/// Threads: any. Returns `FS_WAL_OK` when all is well; `FS_WAL_ERR_CORRUPT`; `FS_WAL_ERR_IO`,
/// `FS_WAL_ERR_PERMISSION` or `FS_WAL_ERR_NO_SPACE` (descriptors or memory) when what could be read
/// is not damaged; `FS_WAL_ERR_NOT_FOUND` when there is no log in the directory, or no directory;
/// or a common status.
FS_WAL_MUST_CHECK fs_wal_status fs_wal_verify(const char *dir, struct fs_wal_verify_report_t *out);

/** @} */

/**
 * @defgroup wal_metrics 11. Metrics
 *
 * Counters of an open log, as numbers or as text for Prometheus.
 * @{
 */

/// How often something was done and how long it took, in nanoseconds.
typedef struct fs_wal_timing {
    /// How often.
    uint64_t count;
    /// All of them together.
    uint64_t total_ns;
    /// The longest.
    uint64_t max_ns;
} fs_wal_timing;

/// A bounded ring between two threads.
typedef struct fs_wal_ring {
    /// Entries in it now.
    uint64_t fill;
    /// Entries there is room for.
    uint64_t capacity;
    /// Pushes that found it full and had to wait or be put off.
    uint64_t full;
    /// Pops that found it empty though something was wanted.
    uint64_t empty;
} fs_wal_ring;

/// What a worker has done.
typedef struct fs_wal_worker {
    /// How often it was at work.
    uint64_t steps;
    /// How long, in nanoseconds.
    uint64_t work_ns;
    /// How long it was not, since the log was opened.
    uint64_t idle_ns;
} fs_wal_worker;

/// How long things took, in nanoseconds. Each is the longest time of the bucket that it falls
/// into, so it is up to an eighth too long, never too short.
typedef struct fs_wal_latency {
    /// How many there were.
    uint64_t count;
    /// Half of them took no longer.
    uint64_t p50_ns;
    /// 90 % took no longer.
    uint64_t p90_ns;
    /// 99 % took no longer.
    uint64_t p99_ns;
    /// 99.9 % took no longer.
    uint64_t p999_ns;
} fs_wal_latency;

/// The log takes events, or is about to; or its writer has died meanwhile.
#define FS_WAL_STATE_OPEN 1

/// The log has failed and takes no more events.
#define FS_WAL_STATE_FAILED 2

/// The log was shut down, and everything in it is durable.
#define FS_WAL_STATE_CLOSED 3

/// The counters of one log at one moment. Counts are since `fs_wal_open`.
typedef struct fs_wal_metrics_t {
    /// In: bytes the caller's struct has. Out: bytes written.
    uint32_t struct_size;
    /// 1 when every mapped segment is locked in memory.
    uint32_t memory_locked;
    /// Highest appended event id.
    uint64_t appended_event_id;
    /// Highest durable event id.
    uint64_t durable_event_id;
    /// Events appended by this handle.
    uint64_t appended_events;
    /// Events made durable by this handle.
    uint64_t durable_events;
    /// Bytes written to segment files for them: events and block headers.
    uint64_t bytes_written;
    /// Disk files newly made.
    uint64_t segments_created;
    /// Disk files used again.
    uint64_t segments_recycled;
    /// Hot and cold segments that retention removed.
    uint64_t segments_deleted;
    /// Hot segments now, the active one included.
    uint64_t hot_segments;
    /// Cold segments now.
    uint64_t cold_segments;
    /// Freezes that failed and are tried again.
    uint64_t compression_failures;
    /// Bytes before compression.
    uint64_t compression_bytes_in;
    /// Bytes after compression.
    uint64_t compression_bytes_out;
    /// Appends turned away with `FS_WAL_ERR_WOULD_BLOCK`.
    uint64_t would_block;
    /// Appends turned away with `FS_WAL_ERR_NO_SPACE`.
    uint64_t no_space;
    /// `fs_wal_open`, recovery included.
    struct fs_wal_timing open;
    /// A segment made ready.
    struct fs_wal_timing prepare;
    /// A rotation on the append thread.
    struct fs_wal_timing rotation;
    /// Appends that had to wait for a prepared segment.
    struct fs_wal_timing append_wait;
    /// Sealing one batch of events, in memory.
    struct fs_wal_timing persist;
    /// Writing one batch and making it durable: a write that is durable when it returns, or, where
    /// the filesystem has none and at the end of a segment, a write and `fdatasync`.
    struct fs_wal_timing sync;
    /// Header of a full segment written and synced.
    struct fs_wal_timing close;
    /// `wal_meta.dat` replaced.
    struct fs_wal_timing meta_flush;
    /// A hot segment compressed, synced, read back and proved. Several at once count as the sum.
    struct fs_wal_timing compression;
    /// Prepared segments, filled by the preparer, emptied by the writer.
    struct fs_wal_ring prepared_segments;
    /// Segments in use, filled by the writer, emptied by the persister.
    struct fs_wal_ring segments_to_persist;
    /// Full segments, filled by the persister, emptied by the maintainer.
    struct fs_wal_ring segments_to_close;
    /// Expired hot segments, filled by the maintainer, emptied by the freezers.
    struct fs_wal_ring segments_to_freeze;
    /// Frozen segments whose hot file may go, filled by the freezers, emptied by the maintainer.
    struct fs_wal_ring segments_to_free;
    /// 1 when the log has failed and takes no more events.
    uint64_t poisoned;
    /// Id of the oldest event that is kept, 0 = none yet.
    uint64_t oldest_event_id;
    /// Bytes of the hot segments' files, the active one included.
    uint64_t hot_bytes;
    /// Bytes of the cold segments' files.
    uint64_t cold_bytes;
    /// Age of the oldest appended event that is not durable, in nanoseconds, to within 15 ms; 0 =
    /// all are. It grows while a disk hangs, and for good once the log has failed.
    uint64_t durable_lag_ns;
    /// Segments whose file somebody else has removed.
    uint64_t missing_segments;
    /// Segments that were found damaged when they were to be compressed or deleted.
    uint64_t damaged_segments;
    /// Bytes that holds and snapshots keep beyond the limits.
    uint64_t held_bytes;
    /// Holds and snapshots that were broken, because more than `max_held_bytes` was kept.
    uint64_t broken_holds;
    /// One of `FS_WAL_STATE_`.
    uint32_t state;
    /// The error number of the operating system with which the log has failed; 0 = none.
    uint32_t failed_errno;
    /// The generation of the log.
    uint64_t generation;
    /// Process id of the writer, as it sees itself.
    uint64_t writer_pid;
    /// When the log was opened, in nanoseconds since 1970.
    uint64_t opened_ns;
    /// How long ago one of the workers was at work, in nanoseconds. In an open log that is at most
    /// 20 ms, unless the disk or the system holds them up; in one whose writer has died it grows.
    uint64_t heartbeat_age_ns;
    /// Limit: hot segments to keep, or `FS_WAL_KEEP_ALL`.
    uint64_t max_segments;
    /// Limit: cold segments to keep, or `FS_WAL_KEEP_ALL`; 0 = none.
    uint64_t max_compressed_segments;
    /// Limit: bytes that the active segments may take.
    uint64_t active_set_bytes;
    /// Limit: nothing at or above this event id is deleted; 0 = no floor.
    uint64_t retention_floor;
    /// One in so many appends is timed; 0 = none.
    uint64_t sample_appends;
    /// Retention's removal of a segment, with the sync of its name.
    struct fs_wal_timing deletion;
    /// Damage found while the log was open, once a segment: that of kind `FS_WAL_DAMAGE_x` is
    /// number `FS_WAL_DAMAGE_x` - 1.
    uint64_t integrity_failures[16];
    /// Seals, writes, syncs.
    struct fs_wal_worker persister;
    /// Prepares segments.
    struct fs_wal_worker preparer;
    /// Closes, expires, deletes.
    struct fs_wal_worker maintainer;
    /// Compress: all four together.
    struct fs_wal_worker freezers;
    /// Writes `wal_meta.dat`.
    struct fs_wal_worker coordinator;
    /// Looks for events in an idle log.
    struct fs_wal_worker watcher;
    /// Appends that were sampled.
    struct fs_wal_latency append_latency;
    /// As `rotation`.
    struct fs_wal_latency rotation_latency;
    /// As `append_wait`.
    struct fs_wal_latency append_wait_latency;
    /// As `sync`.
    struct fs_wal_latency sync_latency;
    /// As `close`.
    struct fs_wal_latency close_latency;
    /// As `compression`.
    struct fs_wal_latency compression_latency;
} fs_wal_metrics_t;

/// The counters of the log now. Each counter is right by itself; they are not all read at the same
/// instant. Never waits. Threads: any; also in a signal handler. Returns a common status.
fs_wal_status fs_wal_metrics(const struct fs_wal *wal, struct fs_wal_metrics_t *out);

/// The counters of the log in the directory `dir`, which any process may have open, as
/// `fs_wal_metrics` gives them there. Of a log whose writer has died they are those of its last
/// moment, until the log is opened again: then `heartbeat_age_ns` grows. It delays nobody.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_NOT_FOUND` (there is no log, or it is closed,
/// or it is a copy or was left by an earlier boot), `FS_WAL_ERR_PERMISSION` (the active directory
/// is not this user's to read), `FS_WAL_ERR_CORRUPT`, `FS_WAL_ERR_UNSUPPORTED` (another version of
/// the library has it open) or `FS_WAL_ERR_IO`.
fs_wal_status fs_wal_metrics_of(const char *dir, struct fs_wal_metrics_t *out);

/// Writes the counters in the Prometheus text format, NUL-terminated, into the `len` bytes at
/// `buf`. When the text does not fit, `buf` is not written and the call returns
/// `FS_WAL_ERR_INVALID_ARGUMENT`.
///
/// Every sample has a label `log`: the directory as it was given to `fs_wal_open`. A scrape may
/// hold one such text only; for several logs there is `fs_wal_metrics_prometheus_of_all`.
///
/// `needed` may be NULL. Otherwise `*needed` is set to the size of the text with its NUL, also
/// when it does not fit. To ask for the size alone, give `buf` NULL and `len` 0. Numbers grow: the
/// next call may need a few bytes more. Threads: any. Returns a common status.
fs_wal_status fs_wal_metrics_prometheus(const struct fs_wal *wal,
                                        char *buf,
                                        size_t len,
                                        size_t *needed);

/// The same of `count` logs in one text, each of them with its own label `log`. `wals` has `count`
/// handles, none of them twice; the logs must have been opened by different paths.
///
/// Threads: any, while none of the logs is shut down. Returns a common status.
fs_wal_status fs_wal_metrics_prometheus_of_all(const struct fs_wal *const *wals,
                                               size_t count,
                                               char *buf,
                                               size_t len,
                                               size_t *needed);

/** @} */

/**
 * @defgroup wal_files 12. Segment files on disk
 *
 * For programs that read segment files by themselves. They need this header but not the library. A
 * hot segment is a segment header and then blocks; a block is a block header and then its events.
 * All numbers are little-endian. A cold segment is the same bytes in an LZ4 frame. docs/format.md
 * describes the files, and how the end of an open segment is found.
 * @{
 */

/// First two bytes of a segment file, as a number: 0x4653.
#define FS_WAL_SEGMENT_MAGIC 18003

/// Version of the on-disk format.
#define FS_WAL_FORMAT_VERSION 1

/// Bytes of a segment header.
#define FS_WAL_SEGMENT_HEADER_SIZE 64

/// First 64 bytes of a segment file, little-endian. A closed segment counts its blocks and events
/// here. In an open one (`closed_ts_ns` is 0) the counts and ids mean nothing: its events are
/// found by scanning the blocks.
typedef struct fs_wal_segment_header {
    /// `FS_WAL_SEGMENT_MAGIC`.
    uint16_t magic;
    /// `FS_WAL_FORMAT_VERSION`.
    uint8_t version;
    /// Bytes of this header: 64.
    uint8_t header_size;
    /// Index of the segment, the number in the file's name.
    uint32_t segment_index;
    /// Blocks that hold events.
    uint32_t block_count;
    /// Events in the segment.
    uint32_t event_count;
    /// Id of the first event, 0 = none.
    uint64_t first_event_id;
    /// Id of the last event, 0 = none.
    uint64_t last_event_id;
    /// When the segment was created: wall clock, nanoseconds since 1970.
    uint64_t created_ts_ns;
    /// When the segment was closed: wall clock, nanoseconds since 1970; 0 = still open.
    uint64_t closed_ts_ns;
    /// Checksum of this header: `XXH64(bytes[56..64], XXH64(bytes[0..48], 0))`.
    uint64_t header_checksum;
    /// `chained_checksum` of the last block.
    uint64_t last_chained_checksum;
} fs_wal_segment_header;

/// Events in a full block.
#define FS_WAL_EVENTS_PER_BLOCK 256

/// Bytes of a block header.
#define FS_WAL_BLOCK_HEADER_SIZE 64

/// Bytes of a full block: its header and 256 events. Block i begins at byte 64 + i * 16448.
#define FS_WAL_BLOCK_SIZE 16448

/// First 64 bytes of a block, little-endian; the block's events follow. It is written again as the
/// block fills.
typedef struct fs_wal_block_header {
    /// Id of the first event in the block.
    uint64_t first_event_id;
    /// Id of the last event in the block.
    uint64_t last_event_id;
    /// Checksum of the block's events: `XXH64(events, 0)`.
    uint64_t block_checksum;
    /// Checksum of the events that continues that of the block before: `XXH64(events, chained
    /// checksum of the block before)`. The first block of a segment continues 0.
    uint64_t chained_checksum;
    /// Checksum of this header: `XXH64(bytes[40..64], XXH64(bytes[0..32], 0))`.
    uint64_t header_checksum;
    /// The block's number in its segment, from 0.
    uint32_t block_index;
    /// Events in the block, 1 to 256; fewer than 256 only in a segment's last block.
    uint16_t event_count;
    /// Always 0.
    uint16_t reserved0;
    /// When this header was written, every event up to this id was on stable storage. 0 = nothing
    /// known.
    uint64_t durable_event_id;
    /// Always 0.
    uint64_t reserved1;
} fs_wal_block_header;

/** @} */

/**
 * @defgroup wal_control 12. The control file
 *
 * For programs that watch a log by themselves, without the library: `wal_control` in the active
 * directory, which `active_path=` in `wal_identity` names. docs/format.md describes it.
 * @{
 */

/// First word of `wal_control`: "FSWALCTL" in memory.
#define FS_WAL_CONTROL_MAGIC 5500095039719035718

/// Version of the layout of `wal_control`.
#define FS_WAL_CONTROL_VERSION 1

/// Which file this is, and whose. Never changes.
typedef struct fs_wal_control_identity {
    /// `FS_WAL_CONTROL_MAGIC`.
    uint64_t magic;
    /// `FS_WAL_CONTROL_VERSION`.
    uint32_t layout_version;
    /// Bytes of the file.
    uint32_t file_size;
    /// The log's id in `wal_identity`: its first 16 hexadecimal digits.
    uint64_t log_id_high;
    /// The other 16.
    uint64_t log_id_low;
    /// The generation in `wal_identity`.
    uint64_t generation;
    /// Process id of the writer, as it sees itself.
    uint64_t pid;
    /// When the log was opened, since 1970.
    uint64_t opened_ns;
    /// The same by `CLOCK_MONOTONIC`.
    uint64_t opened_clock_ns;
    /// 0.
    uint64_t reserved[8];
} fs_wal_control_identity;

/// What the log was opened with. Of these, only the retention floor changes.
typedef struct fs_wal_control_limits {
    /// Blocks of a new segment.
    uint64_t num_blocks;
    /// Hot segments to keep, or `FS_WAL_KEEP_ALL`.
    uint64_t max_segments;
    /// Cold segments to keep, or `FS_WAL_KEEP_ALL`; 0 = none.
    uint64_t max_compressed_segments;
    /// Bytes that the active segments may take.
    uint64_t active_set_bytes;
    /// One of `FS_WAL_SYNC_`.
    uint64_t sync_mode;
    /// For `FS_WAL_SYNC_INTERVAL`; otherwise 0.
    uint64_t sync_interval_ns;
    /// One in so many appends is timed; 0 = none.
    uint64_t sample_appends;
    /// Nothing at or above this event id is deleted; 0 = no floor.
    uint64_t retention_floor;
    /// Entries that there is room for in the rings: prepared, to persist, to close, to freeze, to
    /// free.
    uint64_t ring_capacity[5];
    /// 0.
    uint64_t reserved[3];
} fs_wal_control_limits;

/// Whether the log takes events.
typedef struct fs_wal_control_state {
    /// One of `FS_WAL_STATE_`. Stored after what explains it.
    uint64_t state;
    /// When it has failed, since 1970; 0 = it has not.
    uint64_t failed_ns;
    /// The operating system's error number of that failure; 0 = there is none.
    uint64_t failed_errno;
    /// 0.
    uint64_t reserved[13];
} fs_wal_control_state;

/// Signs of life.
typedef struct fs_wal_control_pulse {
    /// When a worker was last at work, by `CLOCK_MONOTONIC`. It moves at least every 20 ms, unless
    /// the disk or the system holds the workers up.
    uint64_t heartbeat_ns;
    /// 1 while all memory of the log is locked.
    uint64_t memory_locked;
    /// 0.
    uint64_t reserved[14];
} fs_wal_control_pulse;

/// An event and its place. Both words are stored together; see `fs_wal_control` on reading them.
typedef struct fs_wal_control_triple {
    /// Its id; 0 = there is none yet.
    uint64_t event_id;
    /// Its segment's index in the upper 32 bits, and the offset just past it in the lower ones.
    uint64_t position;
    /// 0.
    uint64_t reserved[14];
} fs_wal_control_triple;

/// One end of a ring.
typedef struct fs_wal_control_ring {
    /// Entries that were put in, or taken out, at this end.
    uint64_t moved;
    /// Times that there was no room, or no entry.
    uint64_t missed;
} fs_wal_control_ring;

/// What the appending thread counts.
typedef struct fs_wal_control_writer {
    /// The segment that it has entered last.
    uint64_t entered;
    /// Events appended before it entered that, less those that were in it already. Stored together
    /// with `entered`.
    uint64_t appended_before;
    /// As in `fs_wal_metrics_t`.
    struct fs_wal_timing rotation;
    /// As in `fs_wal_metrics_t`.
    struct fs_wal_timing append_wait;
    /// As in `fs_wal_metrics_t`.
    uint64_t would_block;
    /// As in `fs_wal_metrics_t`.
    uint64_t no_space;
    /// Where prepared segments come out.
    struct fs_wal_control_ring prepared_out;
    /// Where segments to persist go in.
    struct fs_wal_control_ring to_persist_in;
    /// What the appends that were sampled took together.
    uint64_t sampled_ns;
    /// 0.
    uint64_t reserved;
} fs_wal_control_writer;

/// What the persister counts.
typedef struct fs_wal_control_persister {
    /// As in `fs_wal_metrics_t`.
    uint64_t durable_events;
    /// As in `fs_wal_metrics_t`.
    uint64_t bytes_written;
    /// As in `fs_wal_metrics_t`.
    struct fs_wal_timing persist;
    /// As in `fs_wal_metrics_t`.
    struct fs_wal_timing sync;
    /// Since when the oldest event that is not durable waits, by `CLOCK_MONOTONIC`; 0 = all are.
    uint64_t behind_since_ns;
    /// Where segments to persist come out.
    struct fs_wal_control_ring to_persist_out;
    /// Where segments to close go in.
    struct fs_wal_control_ring to_close_in;
    /// 0.
    uint64_t reserved[3];
} fs_wal_control_persister;

/// What the preparer counts.
typedef struct fs_wal_control_preparer {
    /// As in `fs_wal_metrics_t`.
    struct fs_wal_timing prepare;
    /// As in `fs_wal_metrics_t`.
    uint64_t segments_created;
    /// As in `fs_wal_metrics_t`.
    uint64_t segments_recycled;
    /// Where prepared segments go in.
    struct fs_wal_control_ring prepared_in;
    /// 0.
    uint64_t reserved[9];
} fs_wal_control_preparer;

/// What the maintainer counts: two lines.
typedef struct fs_wal_control_maintainer {
    /// As in `fs_wal_metrics_t`.
    struct fs_wal_timing close;
    /// As in `fs_wal_metrics_t`.
    struct fs_wal_timing deletion;
    /// As in `fs_wal_metrics_t`.
    uint64_t hot_segments;
    /// As in `fs_wal_metrics_t`.
    uint64_t cold_segments;
    /// As in `fs_wal_metrics_t`.
    uint64_t oldest_event_id;
    /// As in `fs_wal_metrics_t`.
    uint64_t hot_bytes;
    /// As in `fs_wal_metrics_t`.
    uint64_t cold_bytes;
    /// As in `fs_wal_metrics_t`.
    uint64_t segments_deleted;
    /// As in `fs_wal_metrics_t`.
    uint64_t missing_segments;
    /// As in `fs_wal_metrics_t`.
    uint64_t damaged_segments;
    /// As in `fs_wal_metrics_t`.
    uint64_t held_bytes;
    /// As in `fs_wal_metrics_t`.
    uint64_t broken_holds;
    /// Where segments to close come out.
    struct fs_wal_control_ring to_close_out;
    /// Where segments to freeze go in.
    struct fs_wal_control_ring to_freeze_in;
    /// Where segments to free come out.
    struct fs_wal_control_ring to_free_out;
    /// 0.
    uint64_t reserved[10];
} fs_wal_control_maintainer;

/// What the freezers count, all together.
typedef struct fs_wal_control_freezers {
    /// As in `fs_wal_metrics_t`.
    struct fs_wal_timing compression;
    /// As in `fs_wal_metrics_t`.
    uint64_t compression_failures;
    /// As in `fs_wal_metrics_t`.
    uint64_t compression_bytes_in;
    /// As in `fs_wal_metrics_t`.
    uint64_t compression_bytes_out;
    /// Where segments to freeze come out.
    struct fs_wal_control_ring to_freeze_out;
    /// Where segments to free go in.
    struct fs_wal_control_ring to_free_in;
    /// 0.
    uint64_t reserved[6];
} fs_wal_control_freezers;

/// What is left: the opening thread's, and that of the worker that writes `wal_meta.dat`.
typedef struct fs_wal_control_meta {
    /// As in `fs_wal_metrics_t`.
    struct fs_wal_timing open;
    /// As in `fs_wal_metrics_t`.
    struct fs_wal_timing meta_flush;
    /// 0.
    uint64_t reserved[10];
} fs_wal_control_meta;

/// What one worker has done.
typedef struct fs_wal_control_worker {
    /// How often it was at work.
    uint64_t steps;
    /// How long, in all.
    uint64_t work_ns;
    /// 0.
    uint64_t reserved[14];
} fs_wal_control_worker;

/// The first page of `wal_control`, a file in the active directory of a log that is open: what its
/// writer tells other processes. Whoever may read that directory may read it, by `mmap` or `pread`.
/// When the writer has died it stays as it was until the log is opened again.
///
/// What different threads write is on different lines of 128 bytes, so that who looks does not slow
/// who writes. Words are little-endian and aligned, and each is written in one piece. Times are in
/// nanoseconds.
///
/// Read the id and the position of `appended` or `durable` with one load of 16 bytes, which is one
/// piece where there is AVX. Or with loads of 8 bytes, in this order: the id, the position, the id
/// again. If both ids are the same, the position is that of this id, because ids only rise;
/// otherwise begin again. With `pread`, read both words until two reads give the same.
typedef struct fs_wal_control {
    /// Line 0.
    struct fs_wal_control_identity identity;
    /// Line 1.
    struct fs_wal_control_limits limits;
    /// Line 2.
    struct fs_wal_control_state state;
    /// Line 3.
    struct fs_wal_control_pulse pulse;
    /// Line 4: the last event that was appended.
    struct fs_wal_control_triple appended;
    /// Line 5: the last event on stable storage.
    struct fs_wal_control_triple durable;
    /// Line 6.
    struct fs_wal_control_writer writer;
    /// Line 7.
    struct fs_wal_control_persister persister;
    /// Line 8.
    struct fs_wal_control_preparer preparer;
    /// Lines 9 and 10.
    struct fs_wal_control_maintainer maintainer;
    /// Line 11.
    struct fs_wal_control_freezers freezers;
    /// Line 12.
    struct fs_wal_control_meta meta;
    /// Line 13: damage that was found while the log was open, by kind: `FS_WAL_DAMAGE_`, less 1.
    uint64_t integrity_failures[16];
    /// Lines 14 to 22: persister, preparer, maintainer, four freezers, the one that writes
    /// `wal_meta.dat`, and the watcher.
    struct fs_wal_control_worker workers[9];
    /// 0.
    uint64_t reserved[144];
} fs_wal_control;

/// How long things took, behind the page: for each a word for each bucket. Of the times below 8 ns
/// each has its bucket. Above, every doubling of the time has 8 buckets of the same width, up to
/// the last one, which has everything from 2^42 - 2^38 ns on.
typedef struct fs_wal_control_histograms {
    /// Appends that were sampled (`fs_wal_config.sample_appends`).
    uint64_t append[320];
    /// As `rotation` in `fs_wal_metrics_t`.
    uint64_t rotation[320];
    /// As `append_wait` there.
    uint64_t append_wait[320];
    /// As `sync` there.
    uint64_t sync[320];
    /// As `close` there.
    uint64_t close[320];
    /// As `compression` there.
    uint64_t compression[320];
} fs_wal_control_histograms;

/** @} */

#ifdef __cplusplus
} // extern "C"
#endif

/* The layouts that files and other programs depend on. C99 has no way to check them. */
/** @cond */
#if defined(__cplusplus) && __cplusplus >= 201103L
/// Fails to compile when a layout differs.
#define FS_WAL_LAYOUT_(condition) static_assert(condition, #condition)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
/// Fails to compile when a layout differs.
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
FS_WAL_LAYOUT_(sizeof(fs_wal_control) == 4096);
FS_WAL_LAYOUT_(sizeof(fs_wal_control_histograms) == 15360);
FS_WAL_LAYOUT_(offsetof(fs_wal_control, identity) == 0);
FS_WAL_LAYOUT_(offsetof(fs_wal_control, limits) == 128);
FS_WAL_LAYOUT_(offsetof(fs_wal_control, state) == 256);
FS_WAL_LAYOUT_(offsetof(fs_wal_control, pulse) == 384);
FS_WAL_LAYOUT_(offsetof(fs_wal_control, appended) == 512);
FS_WAL_LAYOUT_(offsetof(fs_wal_control, durable) == 640);
FS_WAL_LAYOUT_(offsetof(fs_wal_control, writer) == 768);
FS_WAL_LAYOUT_(offsetof(fs_wal_control, persister) == 896);
FS_WAL_LAYOUT_(offsetof(fs_wal_control, preparer) == 1024);
FS_WAL_LAYOUT_(offsetof(fs_wal_control, maintainer) == 1152);
FS_WAL_LAYOUT_(offsetof(fs_wal_control, freezers) == 1408);
FS_WAL_LAYOUT_(offsetof(fs_wal_control, meta) == 1536);
FS_WAL_LAYOUT_(offsetof(fs_wal_control, integrity_failures) == 1664);
FS_WAL_LAYOUT_(offsetof(fs_wal_control, workers) == 1792);
#undef FS_WAL_LAYOUT_
#endif
/** @endcond */

#endif /* FLASHSTRIKE_WAL_H */
