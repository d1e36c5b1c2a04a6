// What docs/headers.md shows in C++. This program links the library only to record the log that it
// then reads without it.

#include <flashstrike_wal.hpp>
#include <flashstrike_wal_read.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace files = flashstrike::wal::files;

namespace {

std::uint64_t applied = 0;
void apply(const fs_request_event& event) { applied = event.event_id; }

// ANCHOR: log
/// The events of the log in a directory, without the library. False if something is wrong with it.
bool replay(const std::filesystem::path& dir) {
    std::vector<std::vector<char>> contents;  // or map the files
    files::Log log;
    for (const auto& file : std::filesystem::directory_iterator(dir)) {
        if (!file.is_regular_file()) continue;
        std::ifstream in(file.path(), std::ios::binary);
        contents.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
        log.add(file.path().filename().c_str(), contents.back().data(), contents.back().size());
    }
    for (const fs_request_event& event : log) apply(event);
    if (log.ok()) return true;
    std::fprintf(stderr, "segment %u, offset %llu: %s\n", log.damage().segment_index,
                 static_cast<unsigned long long>(log.damage().offset), log.damage().what);
    return false;
}
// ANCHOR_END: log

}  // namespace

int main() {
    {
        flashstrike::wal::Log log("log");
        for (std::uint64_t id = 1; id <= 1000; id++) {
            fs_request_event event{};
            event.event_id = id;
            log.append(event);
        }
        log.shutdown();
    }
    if (!replay("log") || applied != 1000) return 1;
    std::fstream segment("log/FS.00000000.wal", std::ios::in | std::ios::out | std::ios::binary);
    segment.seekp(20'000);
    segment.put('x');
    segment.close();
    return !replay("log") && applied == 256 ? 0 : 1;
}
