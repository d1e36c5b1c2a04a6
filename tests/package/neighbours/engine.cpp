// Records enough that segments are compressed, reads them back, and calls what is its own.

#include <flashstrike_wal.hpp>

#include <chrono>
#include <cstdio>
#include <thread>

extern "C" {
void own_calls(int allowed);
int LZ4_compress_default(void);
int LZ4F_compressUpdate(void);
int XXH64(void);
int other_catches(void);
}

namespace {

constexpr std::uint64_t segment = FS_WAL_MIN_BLOCKS * FS_WAL_EVENTS_PER_BLOCK;

void record(std::uint64_t events) {
    flashstrike::wal::Config config;
    config.num_blocks = FS_WAL_MIN_BLOCKS;
    config.max_segments = 1;
    config.max_compressed_segments = FS_WAL_KEEP_ALL;
    flashstrike::wal::Log log("log", config);
    fs_request_event event{};
    for (event.event_id = 1; event.event_id <= events; event.event_id++) log.append(event);
    while (log.metrics().cold_segments < 2)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    log.shutdown();
}

}  // namespace

int main() {
    own_calls(0);
    record(4 * segment);
    flashstrike::wal::Reader reader("log");
    fs_request_event event{};
    std::uint64_t events = 0;
    while (reader.next(event)) ++events;
    own_calls(1);
    const bool own = LZ4_compress_default() + LZ4F_compressUpdate() + XXH64() == 3 * 7;
    const bool caught = other_catches() == 1;
    std::printf("flashstrike_wal %s: %d\n", fs_wal_version(),
                events == 4 * segment && own && caught);
    return 0;
}
