// The wrapper by statuses alone: every call in its try_ form. Built with exceptions and without.

#include <flashstrike_wal.hpp>

#include "../support/check.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

using namespace flashstrike::wal;
using namespace std::chrono_literals;

namespace {

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

void what_is_not_open_refuses_every_call() {
    Log log;
    Claim place;
    DurableFd moved;
    fs_wal_meta_state state;
    fs_wal_metrics_t metrics;
    fs_wal_recovery_report_t report;
    std::size_t n = 0;
    const fs_request_event event = make_event(1);
    const fs_wal_status statuses[] = {
        log.try_append(event),         log.try_append_batch(&event, 1, n),
        log.try_claim(place),          log.try_commit(1),
        log.try_meta(state),           log.try_durable(state),
        log.try_sync(),                log.try_wait_durable(1, 0ns),
        log.try_durable_fd(moved),     log.try_set_retention_floor(1),
        log.try_metrics(metrics),      log.try_recovery_report(report),
        Reader().try_seek(1),          Reader().try_seek_time(1),
        Reader().try_wait(0ns),        SnapshotWriter().try_write("", 0),
        SnapshotWriter().try_commit(), SnapshotReader().try_read(&n, 1, n),
        Hold().try_move(1),
    };
    for (const fs_wal_status status : statuses) CHECK(status == FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK(log.try_shutdown() == FS_WAL_OK && moved.get() == -1);
}

void a_status_becomes_an_error_with_its_detail() {
    Config config;
    config.num_blocks = 1;
    Log log;
    const fs_wal_status status = log.try_open("log", config);
    CHECK(status == FS_WAL_ERR_INVALID_ARGUMENT);
    const Error error = failure(status, "open");
    CHECK(error.status() == status && error.detail().status == status);
    CHECK(contains(error.what(), "open: ") && contains(error.what(), "num_blocks"));
    // Normal flow has no words, and its last error is another one.
    CHECK(failure(FS_WAL_END, "next").detail().status == FS_WAL_OK);
}

void a_log_is_recorded_and_read() {
    std::vector<std::string> told;
    const LogFunction tell = [&](std::int32_t, const char* message) { told.push_back(message); };
    Log log;
    CHECK(log.try_open("log", small_segments(), tell) == FS_WAL_OK && log.handle());
    CHECK(Log().try_open("log") == FS_WAL_ERR_LOCKED);
    CHECK(log.try_open("log") == FS_WAL_ERR_LOCKED && log.handle());  // the one before stays

    for (std::uint64_t id = 1; id <= 10; ++id) CHECK(log.try_append(make_event(id)) == FS_WAL_OK);
    CHECK(log.try_sync() == FS_WAL_OK && log.try_wait_durable(10, forever) == FS_WAL_OK);
    DurableFd moved;
    CHECK(log.try_durable_fd(moved) == FS_WAL_OK && moved.get() >= 0);
    CHECK(log.try_set_retention_floor(1) == FS_WAL_OK);
    fs_wal_meta_state state;
    CHECK(log.try_meta(state) == FS_WAL_OK && state.last_event_id == 10);
    CHECK(log.try_durable(state) == FS_WAL_OK && state.last_event_id == 10);
    fs_wal_metrics_t metrics;
    CHECK(log.try_metrics(metrics) == FS_WAL_OK && metrics.appended_event_id == 10);
    CHECK(try_metrics_of("log", metrics) == FS_WAL_OK && metrics.appended_event_id == 10);
    CHECK(try_metrics_of("absent", metrics) == FS_WAL_ERR_NOT_FOUND);
    fs_wal_recovery_report_t report;
    CHECK(log.try_recovery_report(report) == FS_WAL_OK && report.struct_size == sizeof report);
    std::string text;
    CHECK(try_metrics_prometheus({&log}, text) == FS_WAL_OK && contains(text, "log=\"log\"} 10"));
    const Log closed;
    CHECK(try_metrics_prometheus({&log, &closed}, text) == FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK(text.empty());

    Reader reader;
    CHECK(reader.try_open("absent") == FS_WAL_ERR_NOT_FOUND);
    CHECK(reader.try_open("log") == FS_WAL_OK && reader.try_seek(9) == FS_WAL_OK);
    fs_request_event event;
    CHECK(reader.try_next(event) == FS_WAL_OK && event.event_id == 9);
    Events events;
    CHECK(reader.try_next_batch(events) == FS_WAL_OK && events.size() == 1);
    CHECK(reader.try_next(event) == FS_WAL_END);
    fs_wal_reader_metrics_t read;
    CHECK(reader.try_metrics(read) == FS_WAL_OK && read.events == 2);

    CHECK(log.try_open("other", small_segments()) == FS_WAL_OK);  // shuts the first one down
    CHECK(contains(told.back(), "log: shut down"));
    fs_wal_verify_report_t verified;
    CHECK(try_verify("log", verified) == FS_WAL_OK && verified.events == 10);
    CHECK(try_verify("absent", verified) == FS_WAL_ERR_NOT_FOUND);
    CHECK(log.try_shutdown() == FS_WAL_OK && !log.handle());
}

void state_is_kept() {
    Log log;
    CHECK(log.try_open("kept") == FS_WAL_OK && log.try_append(make_event(5)) == FS_WAL_OK);
    SnapshotWriter writer;
    CHECK(writer.try_create("absent", 1) == FS_WAL_ERR_NOT_FOUND);
    CHECK(writer.try_create("kept", 6) == FS_WAL_OK);
    CHECK(writer.try_commit() == FS_WAL_ERR_WOULD_BLOCK);
    CHECK(writer.try_create("kept", 5) == FS_WAL_OK && writer.try_write("state", 5) == FS_WAL_OK);
    CHECK(log.try_sync() == FS_WAL_OK && writer.try_commit() == FS_WAL_OK);

    SnapshotReader reader;
    CHECK(reader.try_open("absent") == FS_WAL_ERR_NOT_FOUND);
    CHECK(reader.try_open("kept") == FS_WAL_OK && reader.info().event_id == 5);
    char state[6] = {};
    std::size_t got = 0;
    CHECK(reader.try_read(state, sizeof state, got) == FS_WAL_OK && got == 5);
    CHECK(std::strcmp(state, "state") == 0);
    CHECK(reader.try_read(state, sizeof state, got) == FS_WAL_END);

    Hold hold;
    std::uint64_t at = 0;
    CHECK(hold.try_open("kept", "replica", 2) == FS_WAL_OK && hold.try_move(3) == FS_WAL_OK);
    CHECK(hold.try_event_id(at) == FS_WAL_OK && at == 3);
    CHECK(Hold::try_remove("kept", "replica") == FS_WAL_ERR_LOCKED);
    hold = Hold();
    CHECK(Hold::try_remove("kept", "replica") == FS_WAL_OK);
}

}  // namespace

int main() {
    what_is_not_open_refuses_every_call();
    a_status_becomes_an_error_with_its_detail();
    a_log_is_recorded_and_read();
    state_is_kept();
    return 0;
}
