// The engine of a project outside this repository: it records a request and replays its log.
//
//     engine [DIRECTORY]

#include <flashstrike_wal.hpp>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>

namespace {

std::uint64_t run(const std::string& dir) {
    flashstrike::wal::Log log(dir);
    fs_request_event event{};
    event.event_id = log.meta().last_event_id + 1;
    log.append(event);
    log.shutdown();

    flashstrike::wal::Reader reader(dir);
    std::uint64_t events = 0;
    while (reader.next(event)) ++events;
    return events;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const std::uint64_t events = run(argc > 1 ? argv[1] : "log");
        std::printf("flashstrike_wal %s: %llu\n", fs_wal_version(),
                    static_cast<unsigned long long>(events));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "engine: %s\n", error.what());
        return 1;
    }
}
