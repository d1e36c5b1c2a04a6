// Usage: wrapper WAY COUNT
// Appends COUNT events to a new log in ./log, through C or through the C++ wrapper, while
// tools/wrapper_instructions.py counts the instructions of both. For each way there are two loops,
// loop_c and loop_cpp, that do the same.

#include "../support/check.h"

#include <flashstrike_wal.hpp>

#include <string>

using namespace flashstrike::wal;

namespace {

constexpr std::size_t kBatch = 256;

/// An engine's own event.
struct Order {
    std::uint64_t id, price, words[6];
};

/// What a C program does with a status that is not FS_WAL_OK.
[[noreturn, gnu::cold, gnu::noinline]] void give_up(fs_wal_status status) {
    std::fprintf(stderr, "%s: %s\n", fs_wal_status_string(status), fs_wal_last_error());
    std::exit(1);
}

inline void ok(fs_wal_status status) {
    if (status != FS_WAL_OK) give_up(status);
}

fs_request_event events[kBatch];

void number_events(std::uint64_t first) {
    for (std::size_t i = 0; i < kBatch; ++i) events[i].event_id = first + i;
}

}  // namespace

// One loop each, out of line and with a name that the tool can count.
#define LOOP(name) extern "C" [[gnu::noinline]] void name(Log& log, std::uint64_t count)

LOOP(append_c) {
    fs_wal* const wal = log.handle();
    fs_request_event event{};
    for (std::uint64_t id = 1; id <= count; ++id) {
        event.event_id = id;
        ok(fs_wal_append(wal, &event));
    }
}
LOOP(append_cpp) {
    fs_request_event event{};
    for (std::uint64_t id = 1; id <= count; ++id) {
        event.event_id = id;
        log.append(event);
    }
}
LOOP(try_append_cpp) {
    fs_request_event event{};
    for (std::uint64_t id = 1; id <= count; ++id) {
        event.event_id = id;
        ok(log.try_append(event));
    }
}
LOOP(append_own_cpp) {
    Order order{};
    for (std::uint64_t id = 1; id <= count; ++id) {
        order.id = id;
        log.append(order);
    }
}

LOOP(batch_c) {
    fs_wal* const wal = log.handle();
    for (std::uint64_t id = 1; id <= count; id += kBatch) {
        std::size_t appended = 0;
        number_events(id);
        ok(fs_wal_append_batch(wal, events, kBatch, &appended));
    }
}
LOOP(batch_cpp) {
    for (std::uint64_t id = 1; id <= count; id += kBatch) {
        number_events(id);
        log.append_batch(events);
    }
}

LOOP(claim_c) {
    fs_wal* const wal = log.handle();
    for (std::uint64_t id = 1; id <= count; ++id) {
        fs_request_event* slot;
        ok(fs_wal_claim(wal, &slot));
        slot->price = static_cast<std::int64_t>(id);
        ok(fs_wal_commit(wal, id));
    }
}
LOOP(claim_cpp) {
    for (std::uint64_t id = 1; id <= count; ++id) {
        log.claim().price() = static_cast<std::int64_t>(id);
        log.commit(id);
    }
}

int main(int argc, char** argv) {
    CHECK(argc == 3);
    const std::string way = argv[1];
    const std::uint64_t count = std::stoull(argv[2]);
    Config config;
    config.num_blocks = static_cast<std::uint32_t>(count / FS_WAL_EVENTS_PER_BLOCK) + 1;
    config.prepared_segments = 1;
    config.sync_mode = FS_WAL_SYNC_ROTATION;
    Log log("log", config);

    struct {
        const char* way;
        void (*loop)(Log&, std::uint64_t);
    } const loops[] = {
        {"append_c", append_c},         {"append_cpp", append_cpp},
        {"append_own_cpp", append_own_cpp}, {"try_append_cpp", try_append_cpp},
        {"batch_c", batch_c},           {"batch_cpp", batch_cpp},
        {"claim_c", claim_c},           {"claim_cpp", claim_cpp},
    };
    for (const auto& [name, loop] : loops)
        if (way == name) loop(log, count);
    CHECK(log.meta().last_segment_index == 0 && log.meta().last_event_id == count);
    log.shutdown();
    return 0;
}
