/* fs_wal_metrics_of: the counters of a log that another process writes, has closed, or has died
 * with. */

#define _GNU_SOURCE

#include "../support/check.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static fs_wal_metrics_t metrics_of(const char *dir)
{
    fs_wal_metrics_t metrics = {.struct_size = sizeof metrics};
    CHECK_OK(fs_wal_metrics_of(dir, &metrics));
    CHECK(metrics.struct_size == sizeof metrics);
    return metrics;
}

static void check_not_found(const char *dir, const char *words)
{
    fs_wal_metrics_t metrics = {.struct_size = sizeof metrics, .appended_events = 77};
    CHECK_STATUS(fs_wal_metrics_of(dir, &metrics), FS_WAL_ERR_NOT_FOUND);
    CHECK_ERROR_NAMES(words);
    CHECK(metrics.appended_events == 77);
}

/* Appends, says so, and waits to be told to go on or to be killed. */
static void write_log(int ready, int go_on)
{
    fs_wal *wal;
    fs_wal_config config = small_segments();
    config.sample_appends = 10;
    CHECK_OK(fs_wal_open("log", &config, &wal));
    for (uint64_t id = 1; id <= 10000; id++) {
        const fs_request_event event = make_event(id);
        CHECK_OK(fs_wal_append(wal, &event));
    }
    CHECK_OK(fs_wal_sync(wal));
    fs_wal_metrics_t metrics = {.struct_size = sizeof metrics};
    do /* it counts when the watermark has moved */
        CHECK_OK(fs_wal_metrics(wal, &metrics));
    while (metrics.durable_events < 10000);
    char byte = 0;
    CHECK(write(ready, &byte, 1) == 1);
    while (read(go_on, &byte, 1) == 1)
        CHECK_OK(fs_wal_shutdown(wal));
    _exit(0);
}

static pid_t start(int *ready, int *go_on)
{
    int up[2], down[2];
    CHECK(pipe(up) == 0 && pipe(down) == 0);
    const pid_t writer = fork();
    CHECK(writer >= 0);
    if (writer == 0) {
        close(down[1]);
        write_log(up[1], down[0]);
    }
    close(up[1]);
    close(down[0]);
    *ready = up[0];
    *go_on = down[1];
    char byte;
    CHECK(read(*ready, &byte, 1) == 1);
    return writer;
}

static void check_metrics(const fs_wal_metrics_t *metrics, pid_t writer)
{
    CHECK(metrics->state == FS_WAL_STATE_OPEN && metrics->poisoned == 0);
    CHECK(metrics->writer_pid == (uint64_t)writer);
    CHECK(metrics->appended_event_id == 10000 && metrics->durable_event_id == 10000);
    CHECK(metrics->appended_events == 10000 && metrics->durable_events == 10000);
    CHECK(metrics->prepared_segments.capacity == 4 && metrics->max_segments == 32);
    CHECK(metrics->sync.count > 0 && metrics->sync_latency.count == metrics->sync.count);
    CHECK(metrics->sync_latency.p50_ns > 0);
    CHECK(metrics->sync_latency.p50_ns <= metrics->sync_latency.p999_ns);
    CHECK(metrics->sample_appends == 10 && metrics->append_latency.count == 1000);
    CHECK(metrics->rotation.count == 3 && metrics->rotation_latency.count == 3);
    CHECK(metrics->persister.steps > 0 && metrics->persister.work_ns > 0);
}

static void live_and_closed(void)
{
    int ready, go_on;
    const pid_t writer = start(&ready, &go_on);
    const fs_wal_metrics_t metrics = metrics_of("log");
    check_metrics(&metrics, writer);
    CHECK(metrics.generation == 1);
    char byte = 0;
    CHECK(write(go_on, &byte, 1) == 1 && close(go_on) == 0);
    int status;
    CHECK(waitpid(writer, &status, 0) == writer && status == 0);
    check_not_found("log", "log: the log is closed");
}

static void dead(void)
{
    CHECK(system("rm -r log") == 0);
    int ready, go_on;
    const pid_t writer = start(&ready, &go_on);
    CHECK(kill(writer, SIGKILL) == 0);
    CHECK(waitpid(writer, NULL, 0) == writer);
    const fs_wal_metrics_t metrics = metrics_of("log");
    check_metrics(&metrics, writer);
    usleep(1000);
    CHECK(metrics_of("log").heartbeat_age_ns > metrics.heartbeat_age_ns);
    CHECK(system("cp -r log copy") == 0);
    check_not_found("copy", "its active directory is not here");
    fs_wal *wal;
    CHECK_OK(fs_wal_open("log", NULL, &wal));
    const fs_wal_metrics_t again = metrics_of("log");
    CHECK(again.writer_pid == (uint64_t)getpid() && again.generation == 2);
    CHECK(again.appended_event_id == 10000 && again.appended_events == 0);
    fs_wal_metrics_t own = {.struct_size = sizeof own};
    CHECK_OK(fs_wal_metrics(wal, &own));
    CHECK(own.generation == 2 && own.durable_event_id == again.durable_event_id);
    CHECK_OK(fs_wal_shutdown(wal));
    check_not_found("log", "the log is closed");
}

int main(void)
{
    fs_wal_metrics_t metrics = {.struct_size = sizeof metrics};
    CHECK_STATUS(fs_wal_metrics_of(NULL, &metrics), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fs_wal_metrics_of("log", NULL), FS_WAL_ERR_INVALID_ARGUMENT);
    metrics.struct_size = 4;
    CHECK_STATUS(fs_wal_metrics_of("log", &metrics), FS_WAL_ERR_INVALID_ARGUMENT);
    check_not_found("log", "there is no such directory");
    check_not_found("/", "there is no log here");
    live_and_closed();
    dead();
    return 0;
}
