// A program of the matrix that has nothing but the headers, from C++17 on: it counts the events of
// a hot segment, the first of its log.

#include <flashstrike_wal_read.hpp>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    std::ifstream file(argv[1], std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    flashstrike::wal::files::Log log;
    log.add("FS.00000000.wal", bytes.data(), bytes.size());
    unsigned events = 0;
    for (const fs_request_event& event : log) events += event.event_id > 0 ? 1 : 0;
    if (!log.ok()) {
        std::fprintf(stderr, "%s\n", log.damage().what);
        return 1;
    }
    std::printf("flashstrike_wal %d.%d.%d: %u\n", FS_WAL_VERSION_MAJOR, FS_WAL_VERSION_MINOR,
                FS_WAL_VERSION_PATCH, events);
    return 0;
}
