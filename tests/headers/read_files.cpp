// flashstrike_wal_read.hpp, without exceptions: the events that the library gives, as ranges.

#include <flashstrike_wal_read.hpp>

#include "made_files.h"

#include <cstring>
#include <string>
#include <vector>

namespace files = flashstrike::wal::files;

namespace {

constexpr std::uint64_t events = 5 * EVENTS_PER_SMALL_SEGMENT + 321;

void record(const char* dir) {
    fs_wal_config config = small_segments();
    fs_wal* wal = nullptr;
    config.max_segments = 2;
    config.max_compressed_segments = FS_WAL_KEEP_ALL;
    CHECK_OK(fs_wal_open(dir, &config, &wal));
    append_events(wal, 1, events);
    CHECK_OK(fs_wal_shutdown(wal));
}

struct Directory {
    explicit Directory(const char* dir) {
        DIR* listing = opendir(dir);
        CHECK(listing);
        while (const dirent* entry = readdir(listing))
            if (entry->d_type == DT_REG) names.emplace_back(entry->d_name);
        closedir(listing);
        for (const std::string& name : names) contents.push_back(read_bytes(dir, name.c_str()));
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    ~Directory() {
        for (const bytes& content : contents) std::free(content.at);
    }

    std::size_t give_to(files::Log& log) const {
        std::size_t taken = 0;
        for (std::size_t i = 0; i < names.size(); i++)
            taken += log.add(names[i].c_str(), contents[i].at, contents[i].size);
        return taken;
    }

    const bytes& operator[](const std::string& name) const {
        std::size_t i = 0;
        while (names[i] != name) i++;
        return contents[i];
    }

    std::vector<std::string> names;
    std::vector<bytes> contents;
};

void whole_log(const Directory& directory) {
    files::Log log(LZ4_FUNCTION);
    CHECK(directory.give_to(log) < directory.names.size());  // wal_lock, wal_history
    CHECK(log.identity() && log.identity()->clean == 1);
    CHECK(!log.add("notes.txt", "x", 1));
    std::uint64_t next = 1;
    for (const fs_request_event& event : log) {
        CHECK(event.event_id == next++ && is_made_event(&event));
    }
    CHECK(next == events + 1 && log.ok() && log.status() == FS_WAL_END);
    CHECK(log.last_event_id() == events && log.next_batch().empty());

    files::Log batched(LZ4_FUNCTION);
    directory.give_to(batched);
    std::uint64_t count = 0;
    for (const files::Events& batch : batched.batches()) {
        CHECK(batch[0].event_id == count + 1 && batch.size() <= FS_WAL_EVENTS_PER_BLOCK);
        count += batch.size();
    }
    CHECK(count == events && batched.ok());
}

void one_segment(const Directory& directory) {
    const bytes& last = directory["FS.00000005.wal"];
    files::Segment segment = files::Segment::hot(last.at, last.size, 5);
    std::uint64_t count = 0;
    for (const fs_request_event& event : segment) count += event.event_id != 0;
    CHECK(count == 321 && segment.ok() && segment.details().has_room);

    last.at[fs_wal_read_block_offset(1) + 64 + 8] ^= 1;
    files::Segment damaged = files::Segment::hot(last.at, last.size, 5);
    count = 0;
    for (const files::Events& batch : damaged.batches()) count += batch.size();
    CHECK(count == 256 && !damaged.ok() && damaged.status() == FS_WAL_ERR_CORRUPT);
    CHECK(damaged.damage().kind == FS_WAL_DAMAGE_BLOCK);
    CHECK(damaged.damage().offset == fs_wal_read_block_offset(1));

    files::Log log(LZ4_FUNCTION);
    directory.give_to(log);
    while (!log.next_batch().empty()) {
    }
    CHECK(!log.ok() && log.damage().segment_index == 5);
    CHECK(log.last_event_id() == events - 321 + 256);
    last.at[fs_wal_read_block_offset(1) + 64 + 8] ^= 1;

    const bytes& first = directory["FS.00000000.wal.lz4"];
    const bytes content = content_of(first);
    const fs_wal_read_frame frame{content.size, nullptr, 0, 0, nullptr};
    files::Segment cold = files::Segment::cold(content.at, frame, 0);
    count = 0;
    for (const files::Events& batch : cold.batches()) count += batch.size();
    CHECK(count == EVENTS_PER_SMALL_SEGMENT && cold.ok() && !cold.details().has_room);
    CHECK(!files::Segment::active(content.at, content.size, 1).ok());
    std::free(content.at);
}

}  // namespace

int main() {
    record("log");
    const Directory directory("log");
    whole_log(directory);
    one_segment(directory);
    return 0;
}
