/* What the library reports to the program: through the log function, the recovery report, and
 * errors from resource limits. */

#define _GNU_SOURCE

#include "../support/check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

struct messages {
    unsigned count[4]; /* by level */
    unsigned foreign;  /* calls on threads other than the one that opens the log */
    pthread_t opener;
    char all[8192];
};

static void log_function(void *user, int32_t level, const char *message)
{
    struct messages *seen = user;
    CHECK(level >= FS_WAL_LOG_ERROR && level <= FS_WAL_LOG_INFO);
    seen->count[level]++;
    seen->foreign += !pthread_equal(pthread_self(), seen->opener);
    const size_t used = strlen(seen->all);
    snprintf(seen->all + used, sizeof seen->all - used, "%d %s\n", (int)level, message);
}

static fs_wal_config config_with_log_function(struct messages *seen)
{
    memset(seen, 0, sizeof *seen);
    seen->opener = pthread_self();
    fs_wal_config config = small_segments();
    config.log = log_function;
    config.log_user = seen;
    return config;
}

static void check_log_function(void)
{
    struct messages seen;
    fs_wal_config config = config_with_log_function(&seen);
    config.max_segments = 1;
    config.max_compressed_segments = FS_WAL_KEEP_NONE;
    fs_wal *wal, *second;
    CHECK_OK(fs_wal_open("reported", &config, &wal));
    CHECK(strstr(seen.all, "3 reported: opening\n") && strstr(seen.all, "3 reported: open\n"));
    CHECK(strstr(seen.all, "3 reported: recovered as new-log: generation 1, last event 0,"));
    CHECK(seen.foreign == 0 && seen.count[FS_WAL_LOG_ERROR] == 0);

    struct messages refused;
    const fs_wal_config again = config_with_log_function(&refused);
    CHECK_STATUS(fs_wal_open("reported", &again, &second), FS_WAL_ERR_LOCKED);
    CHECK(refused.count[FS_WAL_LOG_ERROR] == 1 && strstr(refused.all, "1 reported: not opened: "));

    for (uint64_t id = 1; id <= 3 * EVENTS_PER_SMALL_SEGMENT + 1; id++) {
        const fs_request_event event = make_event(id);
        CHECK_OK(fs_wal_append(wal, &event));
    }
    CHECK_OK(fs_wal_sync(wal));
    while (access("reported/FS.00000000.wal", F_OK) == 0)
        usleep(1000);
    CHECK_OK(fs_wal_shutdown(wal));
    CHECK(strstr(seen.all, "3 reported: retention has deleted the hot segment 2\n"));
    CHECK(strstr(seen.all, "3 reported: shut down: everything up to event 12289 is durable\n"));
    CHECK(seen.foreign > 0); /* the library's own threads report retention */
}

/* The config of a program that was compiled before the log function existed. */
static void check_older_struct(void)
{
    fs_wal_config config = small_segments();
    memset(&config.log, 0x55, sizeof config.log); /* beyond struct_size: must not be read */
    config.struct_size = offsetof(fs_wal_config, log);
    fs_wal *wal;
    CHECK_OK(fs_wal_open("older", &config, &wal));
    CHECK_OK(fs_wal_shutdown(wal));
}

static fs_wal_recovery_report_t report_of(const fs_wal *wal)
{
    fs_wal_recovery_report_t report;
    memset(&report, 0x55, sizeof report);
    report.struct_size = sizeof report;
    CHECK_OK(fs_wal_recovery_report(wal, &report));
    CHECK(report.struct_size == sizeof report && report.reserved == 0);
    CHECK(memchr(report.notes, 0, sizeof report.notes) &&
          memchr(report.active_path, 0, sizeof report.active_path));
    return report;
}

static void check_report(void)
{
    const fs_wal_config config = small_segments();
    fs_wal *wal;
    CHECK_OK(fs_wal_open("report", &config, &wal));
    fs_wal_recovery_report_t report = report_of(wal);
    CHECK(report.clean == 1 && report.generation == 1 && report.last_event_id == 0);
    CHECK(strcmp(report.decision, "new-log") == 0);
    CHECK(strcmp(report.active_filesystem_name, "tmpfs") == 0 &&
          report.active_filesystem == 0x01021994);
    CHECK(report.wal_filesystem != 0 && report.wal_filesystem_name[0] != 0);
    CHECK(strncmp(report.active_path, "/dev/shm/flashstrike-wal-", 25) == 0);
    CHECK(access(report.active_path, R_OK) == 0);
    fs_wal_metrics_t metrics = {.struct_size = sizeof metrics};
    CHECK_OK(fs_wal_metrics(wal, &metrics));
    CHECK(report.memory_locked == metrics.memory_locked);
    for (uint64_t id = 1; id <= 10; id++) {
        const fs_request_event event = make_event(id);
        CHECK_OK(fs_wal_append(wal, &event));
    }
    CHECK_OK(fs_wal_shutdown(wal));

    CHECK_OK(fs_wal_open("report", &config, &wal));
    report = report_of(wal);
    CHECK(report.clean == 1 && report.generation == 2 && strcmp(report.decision, "clean") == 0);
    CHECK(report.last_event_id == 10 && report.durable_event_id == 10 && report.hot_segments == 1);
    CHECK(report.events_carried_over == 0 && report.events_accepted == 0 &&
          report.events_kept_aside == 0);

    /* A program with an older, shorter report gets only the fields it knows. */
    memset(&report, 0x55, sizeof report);
    report.struct_size = offsetof(fs_wal_recovery_report_t, wal_filesystem_name);
    CHECK_OK(fs_wal_recovery_report(wal, &report));
    CHECK(report.struct_size == offsetof(fs_wal_recovery_report_t, wal_filesystem_name));
    CHECK(strcmp(report.decision, "clean") == 0 && report.wal_filesystem_name[0] == 0x55);
    CHECK_OK(fs_wal_shutdown(wal));
}

static void limit_file_size(rlim_t most)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = most;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* A write past RLIMIT_FSIZE is reported as an error; SIGXFSZ ends no thread of the program. */
static void check_file_size_limit(void)
{
    struct messages seen;
    const fs_wal_config config = config_with_log_function(&seen);
    sigset_t before, after;
    fs_wal *wal;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &before) == 0);
    for (rlim_t most = 0; most < 300 * 1024; most = most * 2 + 1) {
        limit_file_size(most);
        CHECK_STATUS(fs_wal_open("limited", &config, &wal), FS_WAL_ERR_NO_SPACE);
        limit_file_size(RLIM_INFINITY);
        CHECK_ERROR_NAMES("File too large");
        CHECK_ERROR_NAMES("/");
    }
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &after) == 0);
    for (int signal = 1; signal < 32; signal++)
        CHECK(sigismember(&before, signal) == sigismember(&after, signal));

    CHECK_OK(fs_wal_open("limited", &config, &wal));
    limit_file_size(100);
    fs_wal_status status = FS_WAL_OK;
    uint64_t id = 1;
    while (status == FS_WAL_OK) { /* until the persister exceeds the limit and the log fails */
        const fs_request_event event = make_event(id);
        status = fs_wal_append(wal, &event);
        id += status == FS_WAL_OK;
        if (status == FS_WAL_OK && id % 100 == 0)
            status = fs_wal_sync(wal);
    }
    CHECK(status == FS_WAL_ERR_POISONED);
    CHECK_ERROR_NAMES("File too large");
    CHECK_STATUS(fs_wal_shutdown(wal), FS_WAL_ERR_POISONED);
    limit_file_size(RLIM_INFINITY);
    CHECK(strstr(seen.all, "1 limited: the log has failed and takes no more events: "));

    CHECK_OK(fs_wal_open("limited", &config, &wal)); /* every appended event is still there */
    fs_wal_meta_state meta;
    CHECK_OK(fs_wal_meta(wal, &meta));
    CHECK(meta.last_event_id == id - 1);
    CHECK_OK(fs_wal_shutdown(wal));
}

int main(void)
{
    check_log_function();
    check_older_struct();
    check_report();
    check_file_size_limit();
    return 0;
}
