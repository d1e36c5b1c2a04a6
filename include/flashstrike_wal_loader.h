/**
 * @file flashstrike_wal_loader.h
 * Loads the library when the program runs: an engine that works without it, and uses it where it is
 * installed.
 *
 * C99, C++11 and later; nothing to link but, with a glibc before 2.34, libdl. A program that links
 * the library needs none of this.
 *
 *     fs_wal_api wal;
 *     char error[FS_WAL_LOADER_ERROR_SIZE];
 *     if (fs_wal_load(&wal, NULL, error, sizeof error) != FS_WAL_OK) {
 *         fprintf(stderr, "no write-ahead log: %s\n", error);
 *         return run_without_log();
 *     }
 *     fs_wal *log;
 *     if (wal.open("/var/lib/engine/wal", NULL, &log) != FS_WAL_OK)
 *         fprintf(stderr, "%s\n", wal.last_error());
 *
 * fs_wal_api has a member for every function of flashstrike_wal.h, of that name without "fs_wal_".
 * Either all of them are there or fs_wal_load fails, so a program never finds out later. Calls cost
 * what calls into a linked library do. flashstrike_wal.hpp calls the functions themselves and is
 * not for programs that load them.
 *
 * The members are written by tools/loader_table.py.
 */

#ifndef FLASHSTRIKE_WAL_LOADER_H
#define FLASHSTRIKE_WAL_LOADER_H

#include "flashstrike_wal.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Room for any error text of `fs_wal_load` with a path of up to 1000 bytes.
#define FS_WAL_LOADER_ERROR_SIZE 2500

#define FS_WAL_LOADER_TEXT2_(x) #x
#define FS_WAL_LOADER_TEXT_(x) FS_WAL_LOADER_TEXT2_(x)

/// The file that `fs_wal_load` looks for when it is given no path: the name that programs which
/// link the library look for. Before version 1.0 every minor version has its own.
#if FS_WAL_VERSION_MAJOR == 0
#define FS_WAL_LOADER_FILE                                                                        \
    "libflashstrike_wal.so.0." FS_WAL_LOADER_TEXT_(FS_WAL_VERSION_MINOR)
#else
#define FS_WAL_LOADER_FILE                                                                        \
    "libflashstrike_wal.so." FS_WAL_LOADER_TEXT_(FS_WAL_VERSION_MAJOR)
#endif

/// The library's functions: each member is the function of that name in flashstrike_wal.h, which
/// says what it does.
typedef struct fs_wal_api {
    /** @cond */
    /* fields: begin */
    const char *(*version)(void);
    const char *(*status_string)(fs_wal_status status);
    const char *(*last_error)(void);
    fs_wal_status (*last_error_detail)(struct fs_wal_error_detail *out);
    void (*config_init)(struct fs_wal_config *config, uint32_t struct_size);
    fs_wal_status (*open)(const char *dir, const struct fs_wal_config *config, struct fs_wal **out);
    fs_wal_status (*recovery_report)(const struct fs_wal *wal,
                                     struct fs_wal_recovery_report_t *out);
    fs_wal_status (*shutdown)(struct fs_wal *wal);
    fs_wal_status (*append)(struct fs_wal *wal, const struct fs_request_event *event);
    fs_wal_status (*append_batch)(struct fs_wal *wal, const struct fs_request_event *events,
                                  size_t count, size_t *appended);
    fs_wal_status (*claim)(struct fs_wal *wal, struct fs_request_event **slot);
    fs_wal_status (*commit)(struct fs_wal *wal, uint64_t event_id);
    fs_wal_status (*meta)(const struct fs_wal *wal, struct fs_wal_meta_state *out);
    fs_wal_status (*durable)(const struct fs_wal *wal, struct fs_wal_meta_state *out);
    fs_wal_status (*sync)(struct fs_wal *wal);
    fs_wal_status (*wait_durable)(struct fs_wal *wal, uint64_t event_id, uint64_t timeout_ns);
    fs_wal_status (*durable_fd)(struct fs_wal *wal, int *fd);
    fs_wal_status (*set_retention_floor)(struct fs_wal *wal, uint64_t event_id);
    fs_wal_status (*reader_open)(const char *dir, const struct fs_wal_reader_config *config,
                                 struct fs_wal_reader **out);
    fs_wal_status (*reader_next)(struct fs_wal_reader *reader, struct fs_request_event *out);
    fs_wal_status (*reader_next_batch)(struct fs_wal_reader *reader,
                                       const struct fs_request_event **events, size_t *count);
    fs_wal_status (*reader_seek)(struct fs_wal_reader *reader, uint64_t event_id);
    fs_wal_status (*reader_seek_time)(struct fs_wal_reader *reader, uint64_t timestamp_ns);
    fs_wal_status (*reader_wait)(struct fs_wal_reader *reader, uint64_t timeout_ns);
    fs_wal_status (*reader_metrics)(struct fs_wal_reader *reader,
                                    struct fs_wal_reader_metrics_t *out);
    void (*reader_close)(struct fs_wal_reader *reader);
    fs_wal_status (*snapshot_create)(const char *dir, uint64_t event_id,
                                     struct fs_wal_snapshot **out);
    fs_wal_status (*snapshot_write)(struct fs_wal_snapshot *snapshot, const void *bytes, size_t n);
    fs_wal_status (*snapshot_commit)(struct fs_wal_snapshot *snapshot);
    fs_wal_status (*snapshot_open)(const char *dir, uint64_t at_most,
                                   struct fs_wal_snapshot_info *info, struct fs_wal_snapshot **out);
    fs_wal_status (*snapshot_read)(struct fs_wal_snapshot *snapshot, void *buf, size_t n,
                                   size_t *got);
    void (*snapshot_close)(struct fs_wal_snapshot *snapshot);
    fs_wal_status (*hold_open)(const char *dir, const char *name, uint64_t event_id,
                               struct fs_wal_hold **out);
    fs_wal_status (*hold_move)(struct fs_wal_hold *hold, uint64_t event_id);
    fs_wal_status (*hold_get)(const struct fs_wal_hold *hold, uint64_t *event_id);
    void (*hold_close)(struct fs_wal_hold *hold);
    fs_wal_status (*hold_remove)(const char *dir, const char *name);
    fs_wal_status (*verify)(const char *dir, struct fs_wal_verify_report_t *out);
    fs_wal_status (*metrics)(const struct fs_wal *wal, struct fs_wal_metrics_t *out);
    fs_wal_status (*metrics_of)(const char *dir, struct fs_wal_metrics_t *out);
    fs_wal_status (*metrics_prometheus)(const struct fs_wal *wal, char *buf, size_t len,
                                        size_t *needed);
    fs_wal_status (*metrics_prometheus_of_all)(const struct fs_wal *const *wals, size_t count,
                                               char *buf, size_t len, size_t *needed);
    /* fields: end */
    /** @endcond */

    /// For `fs_wal_unload`.
    void *handle;
} fs_wal_api;

/// Where a function goes.
typedef struct fs_wal_loader_entry_ {
    const char *name;
    size_t offset;
} fs_wal_loader_entry_;

/// All functions.
static const fs_wal_loader_entry_ fs_wal_loader_table_[] = {
    /* table: begin */
    {"fs_wal_version", offsetof(fs_wal_api, version)},
    {"fs_wal_status_string", offsetof(fs_wal_api, status_string)},
    {"fs_wal_last_error", offsetof(fs_wal_api, last_error)},
    {"fs_wal_last_error_detail", offsetof(fs_wal_api, last_error_detail)},
    {"fs_wal_config_init", offsetof(fs_wal_api, config_init)},
    {"fs_wal_open", offsetof(fs_wal_api, open)},
    {"fs_wal_recovery_report", offsetof(fs_wal_api, recovery_report)},
    {"fs_wal_shutdown", offsetof(fs_wal_api, shutdown)},
    {"fs_wal_append", offsetof(fs_wal_api, append)},
    {"fs_wal_append_batch", offsetof(fs_wal_api, append_batch)},
    {"fs_wal_claim", offsetof(fs_wal_api, claim)},
    {"fs_wal_commit", offsetof(fs_wal_api, commit)},
    {"fs_wal_meta", offsetof(fs_wal_api, meta)},
    {"fs_wal_durable", offsetof(fs_wal_api, durable)},
    {"fs_wal_sync", offsetof(fs_wal_api, sync)},
    {"fs_wal_wait_durable", offsetof(fs_wal_api, wait_durable)},
    {"fs_wal_durable_fd", offsetof(fs_wal_api, durable_fd)},
    {"fs_wal_set_retention_floor", offsetof(fs_wal_api, set_retention_floor)},
    {"fs_wal_reader_open", offsetof(fs_wal_api, reader_open)},
    {"fs_wal_reader_next", offsetof(fs_wal_api, reader_next)},
    {"fs_wal_reader_next_batch", offsetof(fs_wal_api, reader_next_batch)},
    {"fs_wal_reader_seek", offsetof(fs_wal_api, reader_seek)},
    {"fs_wal_reader_seek_time", offsetof(fs_wal_api, reader_seek_time)},
    {"fs_wal_reader_wait", offsetof(fs_wal_api, reader_wait)},
    {"fs_wal_reader_metrics", offsetof(fs_wal_api, reader_metrics)},
    {"fs_wal_reader_close", offsetof(fs_wal_api, reader_close)},
    {"fs_wal_snapshot_create", offsetof(fs_wal_api, snapshot_create)},
    {"fs_wal_snapshot_write", offsetof(fs_wal_api, snapshot_write)},
    {"fs_wal_snapshot_commit", offsetof(fs_wal_api, snapshot_commit)},
    {"fs_wal_snapshot_open", offsetof(fs_wal_api, snapshot_open)},
    {"fs_wal_snapshot_read", offsetof(fs_wal_api, snapshot_read)},
    {"fs_wal_snapshot_close", offsetof(fs_wal_api, snapshot_close)},
    {"fs_wal_hold_open", offsetof(fs_wal_api, hold_open)},
    {"fs_wal_hold_move", offsetof(fs_wal_api, hold_move)},
    {"fs_wal_hold_get", offsetof(fs_wal_api, hold_get)},
    {"fs_wal_hold_close", offsetof(fs_wal_api, hold_close)},
    {"fs_wal_hold_remove", offsetof(fs_wal_api, hold_remove)},
    {"fs_wal_verify", offsetof(fs_wal_api, verify)},
    {"fs_wal_metrics", offsetof(fs_wal_api, metrics)},
    {"fs_wal_metrics_of", offsetof(fs_wal_api, metrics_of)},
    {"fs_wal_metrics_prometheus", offsetof(fs_wal_api, metrics_prometheus)},
    {"fs_wal_metrics_prometheus_of_all", offsetof(fs_wal_api, metrics_prometheus_of_all)},
    /* table: end */
};

/// Whether a library of this version serves programs that were compiled with this header: the same
/// major version and, before 1.0, the same minor one; from then on that one or a later one.
static inline int fs_wal_loader_serves_(const char *version)
{
    int major = -1, minor = -1;
    if (sscanf(version, "%d.%d.", &major, &minor) != 2 || major != FS_WAL_VERSION_MAJOR)
        return 0;
    return major == 0 ? minor == FS_WAL_VERSION_MINOR : minor >= FS_WAL_VERSION_MINOR;
}

/// Frees what `fs_wal_load` has loaded; no log, reader or other handle may be left. The members of
/// `api` are NULL then. Threads: one at a time.
static inline void fs_wal_unload(fs_wal_api *api)
{
    if (api->handle)
        dlclose(api->handle);
    memset(api, 0, sizeof *api);
}

/// Loads the library from the file `path`, or with NULL `FS_WAL_LOADER_FILE` from where the dynamic
/// linker looks: LD_LIBRARY_PATH, the program's RUNPATH, the system's directories. A name without a
/// slash is looked for in the same places.
///
/// When it fails, all members of `api` are NULL, nothing stays loaded, and the `error_size` bytes
/// at `error` say in words why, and for which file. Threads: any, each with an `api` of its own.
/// Returns `FS_WAL_OK`; `FS_WAL_ERR_NOT_FOUND`: it cannot be loaded, because it is not there, is no
/// library, is for another machine, or needs what is not there; `FS_WAL_ERR_UNSUPPORTED`: it is
/// another library, or of a version that does not serve this program.
static inline fs_wal_status fs_wal_load(fs_wal_api *api, const char *path, char *error,
                                        size_t error_size)
{
    const char *file = path ? path : FS_WAL_LOADER_FILE;
    const size_t count = sizeof fs_wal_loader_table_ / sizeof fs_wal_loader_table_[0];
    if (error_size > 0)
        error[0] = '\0';
    memset(api, 0, sizeof *api);
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *why = dlerror();
        snprintf(error, error_size, "%s cannot be loaded: %s", file, why ? why : "not known why");
        return FS_WAL_ERR_NOT_FOUND;
    }
    api->handle = handle;
    void *symbol = dlsym(handle, "fs_wal_version");
    memcpy(&api->version, &symbol, sizeof symbol);
    if (!symbol) {
        snprintf(error, error_size, "%s is another library: it has no fs_wal_version", file);
        fs_wal_unload(api);
        return FS_WAL_ERR_UNSUPPORTED;
    }
    if (!fs_wal_loader_serves_(api->version())) {
        snprintf(error, error_size, "%s is version %s, and the program was compiled for %d.%d",
                 file, api->version(), FS_WAL_VERSION_MAJOR, FS_WAL_VERSION_MINOR);
        fs_wal_unload(api);
        return FS_WAL_ERR_UNSUPPORTED;
    }
    for (size_t i = 0; i < count; i++) {
        symbol = dlsym(handle, fs_wal_loader_table_[i].name);
        if (!symbol) {
            snprintf(error, error_size, "%s is version %s and has no %s, which the program needs",
                     file, api->version(), fs_wal_loader_table_[i].name);
            fs_wal_unload(api);
            return FS_WAL_ERR_UNSUPPORTED;
        }
        memcpy((char *)api + fs_wal_loader_table_[i].offset, &symbol, sizeof symbol);
    }
    return FS_WAL_OK;
}

#ifdef __cplusplus
}
#endif

#endif
