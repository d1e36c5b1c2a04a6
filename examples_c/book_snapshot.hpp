// Snapshots of the order book in the directory of its log, and the recovery that begins with one.

#ifndef BOOK_SNAPSHOT_HPP
#define BOOK_SNAPSHOT_HPP

#include "order_book.hpp"

#include <flashstrike_wal.hpp>

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

/// Writes the book as it is after `event_id`. The snapshot exists when commit() of what is returned
/// has returned true, which it does once the event is durable.
inline flashstrike::wal::SnapshotWriter write_snapshot(const std::string& dir,
                                                       std::uint64_t event_id,
                                                       const OrderBook& book) {
    flashstrike::wal::SnapshotWriter snapshot(dir, event_id);
    const std::vector<std::uint64_t> state = book.state();
    snapshot.write(state.data(), state.size() * sizeof state[0]);
    return snapshot;
}

/// Restores an empty book from the newest good snapshot. Returns the event that it was taken after;
/// 0 if there is no snapshot, and the book is still empty.
inline std::uint64_t restore_snapshot(const std::string& dir, OrderBook& book) try {
    flashstrike::wal::SnapshotReader snapshot(dir);
    if (!snapshot.warning().empty())
        std::fprintf(stderr, "an older snapshot is used: %s\n", snapshot.warning().c_str());
    std::vector<std::uint64_t> state(snapshot.info().size / sizeof(std::uint64_t));
    auto* to = reinterpret_cast<unsigned char*>(state.data());
    std::size_t left = state.size() * sizeof state[0];
    while (const std::size_t got = snapshot.read(to, left)) {
        to += got;
        left -= got;
    }
    book.restore(state);
    return snapshot.info().event_id;
} catch (const flashstrike::wal::Error& error) {
    if (error.status() != FS_WAL_ERR_NOT_FOUND) throw;
    return 0;
}

enum class Snapshots { kUse, kIgnore };

struct Rebuilt {
    std::uint64_t snapshot_id;    // the event of the snapshot; 0 = all came from the log
    std::uint64_t last_event_id;  // 0 = the log is empty
};

/// Rebuilds an empty book: from the newest snapshot and the events after it, or from all events.
inline Rebuilt rebuild(const std::string& dir, Snapshots snapshots, OrderBook& book) {
    Rebuilt rebuilt{};
    if (snapshots == Snapshots::kUse) rebuilt.snapshot_id = restore_snapshot(dir, book);
    rebuilt.last_event_id = rebuilt.snapshot_id;
    flashstrike::wal::Reader reader(dir);
    // Ids begin at 1. If retention has deleted any of these events, the first read throws.
    reader.seek(rebuilt.snapshot_id + 1);
    for (const flashstrike::wal::Events& events : reader.batches())
        for (const fs_request_event& request : events) {
            book.apply(request);
            rebuilt.last_event_id = request.event_id;
        }
    return rebuilt;
}

#endif  // BOOK_SNAPSHOT_HPP
