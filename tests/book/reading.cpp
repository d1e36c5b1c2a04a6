// The pieces of docs/reading.md, put together and run on a log of 10,000 events.

#include <flashstrike_wal.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

namespace wal = flashstrike::wal;
using namespace std::chrono_literals;

namespace {

void expect(bool condition, const char* what) {
    if (condition) return;
    std::fprintf(stderr, "reading: not so: %s\n", what);
    std::exit(1);
}

std::uint64_t seen = 0, last = 0;

void apply(const fs_request_event& event) {
    ++seen;
    last = event.event_id;
}

void append(wal::Log& log, std::uint64_t first_id, std::uint64_t last_id) {
    for (std::uint64_t id = first_id; id <= last_id; ++id) {
        fs_request_event event{};
        event.event_id = id;
        event.timestamp = id * 1'000;
        log.append(event);
    }
}

void replay(const std::string& dir) {
    // ANCHOR: replay
    wal::Reader reader(dir);
    for (const wal::Events& events : reader.batches())
        for (const fs_request_event& event : events) apply(event);
    // ANCHOR_END: replay
    expect(seen == 10'000 && last == 10'000, "all events");
}

void range(const std::string& dir) {
    seen = 0;
    // ANCHOR: range
    fs_wal_reader_config config{};
    config.threads = 2;          // read, decompress and verify ahead
    config.end_event_id = 6'000;
    wal::Reader reader(dir, config);
    reader.seek(5'001);          // or seek_time(nanoseconds)
    for (const wal::Events& events : reader.batches())
        for (const fs_request_event& event : events) apply(event);
    // ANCHOR_END: range
    expect(seen == 1'000 && last == 6'000, "the range");
    reader.seek_time(5'999'000);
    expect(reader.next_batch().begin()->event_id == 5'999, "the time");
}

// ANCHOR: follow
/// One turn of a follower: waits for events, and applies them. False if none came in that time.
bool follow(wal::Reader& reader, std::chrono::nanoseconds timeout) {
    try {
        if (!reader.wait(timeout)) return false;
        for (const fs_request_event& event : reader.next_batch()) apply(event);
        return true;
    } catch (const wal::Error& error) {
        const fs_wal_error_detail& lost = error.detail();
        if (error.status() == FS_WAL_ERR_GAP)           // retention was faster: told once
            std::fprintf(stderr, "events up to %llu are gone: begin with a snapshot\n",
                         static_cast<unsigned long long>(lost.last_event_id));
        else if (error.status() == FS_WAL_ERR_CORRUPT)  // events were taken back, or are damaged
            std::fprintf(stderr, "from event %llu on: restore a snapshot, then seek\n",
                         static_cast<unsigned long long>(lost.first_event_id));
        throw;
    }
}
// ANCHOR_END: follow

void following(const std::string& dir, wal::Log& log) {
    seen = 0;
    // ANCHOR: open_follower
    fs_wal_reader_config config{};
    config.flags = FS_WAL_READER_FOLLOW;
    config.hold = "standby";  // goes on where it stopped, and retention waits for it
    wal::Reader reader(dir, config);
    // ANCHOR_END: open_follower
    while (follow(reader, 0ns)) {
    }
    expect(seen == 10'000, "what was there");
    append(log, 10'001, 10'001);
    expect(follow(reader, wal::forever) && last == 10'001, "and what came");
    expect(!follow(reader, 0ns), "no more");
}

void durable_only(const std::string& dir) {
    // ANCHOR: durable_only
    wal::Reader reader(dir, FS_WAL_READER_FOLLOW | FS_WAL_READER_DURABLE_ONLY);
    // ANCHOR_END: durable_only
    seen = 0;
    while (seen < 10'001) follow(reader, wal::forever);
}

void salvage(const std::string& dir) {
    seen = 0;
    // ANCHOR: salvage
    wal::Reader reader(dir, FS_WAL_READER_SALVAGE);
    for (fs_request_event event;;) {
        try {
            if (!reader.next(event)) break;
            apply(event);
        } catch (const wal::Error& damage) {
            if (damage.status() == FS_WAL_ERR_NO_SPACE || damage.status() == FS_WAL_ERR_LOCKED)
                throw;  // no range: mend it, and call again
            std::fprintf(stderr, "%s\n", damage.what());  // the range that is skipped
        }
    }
    // ANCHOR_END: salvage
    expect(seen == 10'001, "nothing is damaged here");
}

}  // namespace

int main() {
    try {
        const std::string dir = "wal";
        wal::Log log(dir);
        append(log, 1, 10'000);
        replay(dir);
        range(dir);
        following(dir, log);
        durable_only(dir);
        log.shutdown();
        salvage(dir);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "reading: %s\n", error.what());
        return 1;
    }
}
