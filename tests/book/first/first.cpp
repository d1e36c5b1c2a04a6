// An engine, as small as it can be: it knows the quantity that was ordered in all.
//
//     first DIRECTORY [crash]

#include <flashstrike_wal.hpp>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

namespace wal = flashstrike::wal;

struct Engine {
    std::int64_t quantity = 0;
    void act_on(const fs_request_event& request) { quantity += request.quantity; }
};

void run(const std::string& dir, bool crash) {
    Engine engine;

    // ANCHOR: recover
    wal::Log log(dir);  // makes the directory, or recovers what an earlier process left in it
    wal::Reader reader(dir);
    reader.seek(1);  // throws if retention has deleted the beginning: the rest gives no state
    for (const wal::Events& events : reader.batches())
        for (const fs_request_event& event : events) engine.act_on(event);
    std::uint64_t id = log.meta().last_event_id;
    // ANCHOR_END: recover
    std::printf("replayed %d requests, quantity %d\n", int(id), int(engine.quantity));

    // ANCHOR: record
    for (int i = 0; i < 1000; ++i) {
        fs_request_event request{};
        request.event_id = ++id;  // must rise; the other 56 bytes are yours
        request.price = 10'050;
        request.quantity = 100;
        log.append(request);  // from here on it survives the death of the process,
        engine.act_on(request);
    }
    if (crash) {
        std::fflush(stdout);
        std::raise(SIGKILL);
    }
    log.wait_durable(id);  // and from here on a power cut, too
    log.shutdown();
    // ANCHOR_END: record
    std::printf("recorded up to %d, quantity %d\n", int(id), int(engine.quantity));
}

int main(int argc, char** argv) {
    if (argc != 2 && (argc != 3 || std::strcmp(argv[2], "crash") != 0)) {
        std::fprintf(stderr, "usage: first DIRECTORY [crash]\n");
        return 2;
    }
    try {
        run(argv[1], argc == 3);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "first: %s\n", error.what());
        return 1;
    }
}
