// What the C++ wrapper adds to the C library: ownership and exceptions.

#include <flashstrike_wal.hpp>

#include "../support/check.h"

#include <chrono>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>

using flashstrike::wal::Claim;
using flashstrike::wal::Config;
using flashstrike::wal::DurableFd;
using flashstrike::wal::Error;
using flashstrike::wal::Log;
using flashstrike::wal::metrics_of;
using flashstrike::wal::Reader;

namespace {

/// The status and message of the Error that `call` throws.
template <typename Call>
std::pair<fs_wal_status, std::string> error_of(Call call) {
    try {
        call();
    } catch (const Error& error) {
        return {error.status(), error.what()};
    }
    return {FS_WAL_OK, ""};
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

void errors_carry_status_and_message() {
    Config config;
    config.num_blocks = 1;
    const auto [status, words] = error_of([&] { Log("log", config); });
    CHECK(status == FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK(contains(words, "fs_wal_open") && contains(words, "num_blocks"));

    CHECK(error_of([] { Reader("absent"); }).first == FS_WAL_ERR_NOT_FOUND);
}

void a_log_is_owned_once() {
    {
        Log first("log");
        CHECK(error_of([] { Log second("log"); }).first == FS_WAL_ERR_LOCKED);
        Log owner = std::move(first);
        owner.append(make_event(1));
        CHECK(error_of([&] { owner.append(make_event(1)); }).first == FS_WAL_ERR_OUT_OF_ORDER);
        CHECK(owner.try_append(make_event(1)) == FS_WAL_ERR_OUT_OF_ORDER);
        // The moved-from object owns nothing: a call fails instead of crashing.
        CHECK(error_of([&] { first.append(make_event(2)); }).first == FS_WAL_ERR_INVALID_ARGUMENT);
    }
    // The destructor has closed it.
    Log again("log");
    CHECK(again.meta().last_event_id == 1);
    again.shutdown();
    CHECK(error_of([&] { again.append(make_event(2)); }).first == FS_WAL_ERR_INVALID_ARGUMENT);
}

void claims_give_out_all_but_the_id() {
    Log log("claimed");
    Claim claim = log.claim();
    fs_request_event wanted = make_event(5);
    std::memcpy(claim.data(), reinterpret_cast<const unsigned char*>(&wanted) + 8, Claim::size());
    log.commit(5);

    claim = log.claim();
    std::memset(claim.data(), 0, Claim::size());
    claim.timestamp() = 11;
    claim.price() = -12;
    claim.quantity() = 13;
    claim.user_id() = 14;
    claim.order_id() = 15;
    claim.type() = 1;
    claim.order_type() = 1;
    claim.side() = 1;
    claim.reserved()[20] = 16;
    log.commit(6);
    CHECK(error_of([&] { log.commit(7); }).first == FS_WAL_ERR_INVALID_ARGUMENT);
    log.shutdown();

    Reader reader("claimed");
    fs_request_event found;
    CHECK(reader.next(found) && std::memcmp(&found, &wanted, sizeof found) == 0);
    fs_request_event second{};
    second.event_id = 6;
    second.timestamp = 11;
    second.price = -12;
    second.quantity = 13;
    second.user_id = 14;
    second.order_id = 15;
    second.type = second.order_type = second.side = 1;
    second.reserved[20] = 16;
    CHECK(reader.next(found) && std::memcmp(&found, &second, sizeof found) == 0);
    CHECK(!reader.next(found));
}

void f26_a_batch_that_fails_tells_how_many_went_in() {
    Log log("batch", small_segments());
    std::vector<fs_request_event> batch;
    for (std::uint64_t i = 1; i <= 9'000; ++i) batch.push_back(make_event(i));
    const auto appended_of = [&]() -> std::size_t {
        try {
            log.append_batch(batch.data(), batch.size());
        } catch (const flashstrike::wal::BatchError& error) {
            CHECK(error.status() == FS_WAL_ERR_OUT_OF_ORDER);
            CHECK(error.detail().status == FS_WAL_ERR_OUT_OF_ORDER);
            CHECK(contains(error.what(), "fs_wal_append_batch"));
            return error.appended();
        }
        return batch.size();
    };
    batch[5'000].event_id = 7;  // in another segment than the first
    CHECK(appended_of() == 5'000);
    CHECK(log.meta().last_event_id == 5'000);
    batch[0].event_id = 0;
    CHECK(appended_of() == 0);
    CHECK(log.meta().last_event_id == 5'000);
}

void an_error_carries_what_the_library_says_of_the_place() {
    {
        Log log("damaged", small_segments());
        for (std::uint64_t i = 1; i <= 600; ++i) log.append(make_event(i));
        log.shutdown();
    }
    std::FILE* file = std::fopen("damaged/FS.00000000.wal", "r+b");
    CHECK(file && std::fseek(file, 64 + 16'448 + 64 + 64 * 10 + 8, SEEK_SET) == 0);
    CHECK(std::fputs("x", file) >= 0 && std::fclose(file) == 0);
    Reader reader("damaged");
    fs_request_event event;
    try {
        while (reader.next(event)) CHECK(event.event_id <= 256);
        CHECK(false);
    } catch (const Error& error) {
        CHECK(error.status() == FS_WAL_ERR_CORRUPT);
        CHECK(error.detail().has_segment_index == 1 && error.detail().segment_index == 0);
        CHECK(error.detail().has_offset == 1 && error.detail().offset == 64 + 16'448);
    }
}

void records_waits_and_replays() {
    Log log("replayed", small_segments());
    fs_request_event batch[100];
    for (std::uint64_t i = 0; i < 100; ++i) batch[i] = make_event(i + 1);
    log.append_batch(batch, 100);
    std::size_t appended = 99;
    CHECK(log.try_append_batch(batch, 100, appended) == FS_WAL_ERR_OUT_OF_ORDER);
    CHECK(appended == 0);
    log.wait_durable(100);
    CHECK(log.durable().last_event_id == 100);
    CHECK(!log.wait_durable(102, std::chrono::milliseconds(1)));
    log.sync();
    CHECK(log.recovery_report().struct_size == sizeof(fs_wal_recovery_report_t));
    CHECK(log.metrics().struct_size == sizeof(fs_wal_metrics_t));
    CHECK(metrics_of("replayed").appended_event_id == 100);
    DurableFd told = log.durable_fd();
    CHECK(told.get() >= 3);
    log.append(make_event(101));
    log.sync();
    // The descriptor is told after those who wait, of this move, and perhaps of the one before.
    pollfd readable{told.get(), POLLIN, 0};
    CHECK(poll(&readable, 1, 60'000) == 1 && told.take());
    while (told.take()) {
    }
    const std::string metrics = metrics_prometheus(log);
    CHECK(contains(metrics, "# TYPE ") && metrics.back() == '\n');
    CHECK(contains(metrics, "fs_wal_appended_event_id{log=\"replayed\"} 101"));

    Reader reader("replayed");
    reader.seek(41);
    std::uint64_t expected = 41;
    for (auto events = reader.next_batch(); !events.empty(); events = reader.next_batch())
        for (const fs_request_event& event : events) {
            CHECK(event.event_id == expected++);
            CHECK(is_made_event(&event));
        }
    CHECK(expected == 102);
}

/// The function moves with the log and is called until the destructor has closed it.
void a_log_function_lives_as_long_as_the_log() {
    std::mutex mutex;
    std::vector<std::pair<std::int32_t, std::string>> reported;
    const auto log_function = [&](std::int32_t level, const char* message) {
        const std::lock_guard<std::mutex> lock(mutex);
        reported.emplace_back(level, message);
    };
    const auto was_reported = [&](std::int32_t level, const std::string& words) {
        const std::lock_guard<std::mutex> lock(mutex);
        for (const auto& [seen, message] : reported)
            if (seen == level && contains(message, words)) return true;
        return false;
    };
    {
        Log first("reporting", small_segments(), log_function);
        CHECK(was_reported(FS_WAL_LOG_INFO, "reporting: open"));
        CHECK(error_of([&] { Log second("reporting", small_segments(), log_function); }).first ==
              FS_WAL_ERR_LOCKED);
        CHECK(was_reported(FS_WAL_LOG_ERROR, "reporting: not opened"));
        Log owner = std::move(first);
        owner.append(make_event(7));
        CHECK(!was_reported(FS_WAL_LOG_INFO, "shut down"));
    }
    CHECK(was_reported(FS_WAL_LOG_INFO,
                       "reporting: shut down: everything up to event 7 is durable"));
    Log replaced("reporting", small_segments(), log_function);
    replaced.append(make_event(8));
    replaced = Log("quiet");  // closes the log before, which still calls its function
    CHECK(was_reported(FS_WAL_LOG_INFO,
                       "reporting: shut down: everything up to event 8 is durable"));
}

void a_retention_floor_keeps_segments_until_cleared() {
    Config config;
    config.num_blocks = FS_WAL_MIN_BLOCKS;
    config.max_segments = 1;
    config.max_compressed_segments = FS_WAL_KEEP_NONE;
    for (const std::uint64_t floor : {EVENTS_PER_SMALL_SEGMENT, std::uint64_t{0}}) {
        Log log("floor", config);
        log.set_retention_floor(floor);
        const std::uint64_t last = log.meta().last_event_id;
        for (std::uint64_t id = last + 1; id <= last + 3 * EVENTS_PER_SMALL_SEGMENT; ++id)
            log.append(make_event(id));
        log.shutdown();
        fs_request_event event;
        Reader reader("floor");
        CHECK(reader.next(event) &&
              event.event_id == (floor ? 1 : 5 * EVENTS_PER_SMALL_SEGMENT + 1));
        CHECK(error_of([&] { log.set_retention_floor(1); }).first == FS_WAL_ERR_INVALID_ARGUMENT);
    }
}

void a_snapshot_is_committed_or_gone_and_a_hold_stays() {
    using flashstrike::wal::Hold;
    using flashstrike::wal::SnapshotReader;
    using flashstrike::wal::SnapshotWriter;
    CHECK(error_of([] { SnapshotWriter("absent", 1); }).first == FS_WAL_ERR_NOT_FOUND);
    Log log("kept", small_segments());
    for (std::uint64_t id = 1; id <= 20; ++id) log.append(make_event(id));
    log.sync();
    CHECK(error_of([] { SnapshotReader("kept"); }).first == FS_WAL_ERR_NOT_FOUND);
    { SnapshotWriter dropped("kept", 10); }
    SnapshotWriter ahead("kept", 21);
    CHECK(!ahead.commit());
    SnapshotWriter writer("kept", 20);
    writer.write("state", 5);
    while (!writer.commit()) {}
    CHECK(error_of([&] { CHECK(!writer.commit()); }).first == FS_WAL_ERR_INVALID_ARGUMENT);
    SnapshotReader reader("kept");
    char state[6] = {};
    CHECK(reader.read(state, sizeof state) == 5 && std::string(state) == "state");
    CHECK(reader.read(state, sizeof state) == 0);
    CHECK(reader.info().event_id == 20 && reader.warning().empty());

    {
        Hold hold("kept", "replica", 5);
        hold.move(7);
        Hold moved = std::move(hold);
        CHECK(moved.event_id() == 7);
        CHECK(error_of([] { Hold("kept", "replica"); }).first == FS_WAL_ERR_LOCKED);
    }
    CHECK(Hold("kept", "replica").event_id() == 7);
    Hold::remove("kept", "replica");
    CHECK(error_of([] { Hold::remove("kept", "replica"); }).first == FS_WAL_ERR_NOT_FOUND);
}

void verifies_and_salvages() {
    using flashstrike::wal::verify;
    CHECK(error_of([] { verify("absent"); }).first == FS_WAL_ERR_NOT_FOUND);
    Log log("verified", small_segments());
    for (std::uint64_t id = 1; id <= 600; ++id) log.append(make_event(id));
    log.shutdown();
    CHECK(verify("verified").damage_count == 0 && verify("verified").events == 600);

    std::FILE* file = std::fopen("verified/FS.00000000.wal", "r+b");
    CHECK(file && std::fseek(file, 64 + 64 + 5 * 64 + 20, SEEK_SET) == 0);
    CHECK(std::fputc('x', file) != EOF && std::fclose(file) == 0);
    const fs_wal_verify_report_t report = verify("verified");
    CHECK(report.damage_count == 1 && report.damages[0].kind == FS_WAL_DAMAGE_BLOCK);

    Reader reader("verified", FS_WAL_READER_SALVAGE);
    fs_request_event event;
    const auto [status, words] = error_of([&] { CHECK(!reader.next(event)); });
    CHECK(status == FS_WAL_ERR_CORRUPT && contains(words, "event ids 1 to 256"));
    std::uint64_t expected = 257;
    while (reader.next(event)) CHECK(event.event_id == expected++);
    CHECK(expected == 601);
}

void reads_ranges_in_batches() {
    using flashstrike::wal::Events;
    Log log("ranges", small_segments());
    for (std::uint64_t id = 1; id <= 6000; ++id) log.append(make_event(id));
    log.shutdown();
    fs_wal_reader_config config{};
    config.threads = 2;
    config.end_event_id = 5000;
    Reader reader("ranges", config);
    std::uint64_t expected = 1;
    for (const Events& events : reader.batches()) {
#if defined(__cpp_lib_span)
        const std::span<const fs_request_event> span = events;
        CHECK(span.data() == events.data() && span.size() == events.size());
#endif
        for (const fs_request_event& event : events) CHECK(event.event_id == expected++);
    }
    CHECK(expected == 5001 && reader.next_batch().empty());
    CHECK(reader.metrics().events == 5000 && reader.metrics().threads == 2);
    reader.seek(4999);
    fs_request_event event;
    CHECK(reader.next(event) && event.event_id == 4999);
    reader.seek_time(0);
    CHECK(reader.next(event) && event.event_id == 1);
}

}  // namespace

int main() {
    errors_carry_status_and_message();
    a_log_is_owned_once();
    claims_give_out_all_but_the_id();
    f26_a_batch_that_fails_tells_how_many_went_in();
    an_error_carries_what_the_library_says_of_the_place();
    records_waits_and_replays();
    a_log_function_lives_as_long_as_the_log();
    a_retention_floor_keeps_segments_until_cleared();
    a_snapshot_is_committed_or_gone_and_a_hold_stays();
    verifies_and_salvages();
    reads_ranges_in_batches();
    return 0;
}
