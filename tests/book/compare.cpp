// Two recorders beside each other: do they have the same events? docs/migrating.md says when.
//
//     compare OLD NEW FROM_ID

#include <flashstrike_wal.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

namespace wal = flashstrike::wal;

namespace {

// ANCHOR: compare
/// Whether the new log has every event of the old one from `from` on, with the same bytes. It may
/// have more: what the old recorder lost when it was killed.
bool compare(const std::string& old_dir, const std::string& new_dir, std::uint64_t from) {
    wal::Reader theirs(old_dir), ours(new_dir);
    theirs.seek(from);
    ours.seek(from);
    fs_request_event a, b;
    std::uint64_t same = 0;
    for (; theirs.next(a); ++same) {
        if (!ours.next(b) || std::memcmp(&a, &b, sizeof a) != 0) {
            std::printf("event %llu is missing in the new log, or another one there\n",
                        static_cast<unsigned long long>(a.event_id));
            return false;
        }
    }
    std::printf("%llu events are the same\n", static_cast<unsigned long long>(same));
    return true;
}
// ANCHOR_END: compare

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: compare OLD NEW FROM_ID\n");
        return 2;
    }
    try {
        return compare(argv[1], argv[2], std::strtoull(argv[3], nullptr, 10)) ? 0 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "compare: %s\n", error.what());
        return 2;
    }
}
