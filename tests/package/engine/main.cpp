// A project outside this repository, linked against the package. It records an event and reads it
// back.

#include <flashstrike_wal.hpp>

#include <cstdio>

int main() {
    flashstrike::wal::Log log("log");
    fs_request_event event{};
    event.event_id = log.meta().last_event_id + 1;
    log.append(event);
    log.shutdown();

    flashstrike::wal::Reader reader("log");
    std::uint64_t events = 0;
    while (reader.next(event)) ++events;
    std::printf("flashstrike_wal %s: %llu\n", fs_wal_version(),
                static_cast<unsigned long long>(events));
    return events == 1 ? 0 : 1;
}
