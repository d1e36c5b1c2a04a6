// What the first screen of README.md shows: an engine that recovers, replays and records.

#include <cstdint>
#include <cstdio>

// ANCHOR: engine
#include <flashstrike_wal.hpp>
// ANCHOR_END: engine

namespace {

struct Engine {
    std::uint64_t requests = 0;
    void act_on(const fs_request_event&) { ++requests; }
} engine;

int left = 1000;

bool next_request(fs_request_event& request) {
    request = fs_request_event{};
    request.quantity = 100;
    return left-- > 0;
}

}  // namespace

int main() {
    // ANCHOR: body
    flashstrike::wal::Log log("/var/lib/engine/wal");        // recovers what a process left
    flashstrike::wal::Reader reader("/var/lib/engine/wal");
    reader.seek(1);                                          // throws if any of it was deleted
    for (fs_request_event event; reader.next(event);)
        engine.act_on(event);                                // rebuilds the books
    std::uint64_t id = log.meta().last_event_id;
    for (fs_request_event request; next_request(request);) {
        request.event_id = ++id;                             // must rise; 56 bytes are yours
        log.append(request);                                 // from here on it survives SIGKILL
        engine.act_on(request);
    }
    log.wait_durable(id);                                    // from here on, a power cut too
    log.shutdown();
    // ANCHOR_END: body
    std::printf("%d\n", static_cast<int>(engine.requests));
}
