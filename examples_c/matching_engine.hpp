// A matching engine that survives crashes. Every request is in the log before the book sees it,
// and the book depends on nothing but the log. So after a crash, the newest snapshot and one pass
// over what follows it in the log rebuild the book.

#ifndef MATCHING_ENGINE_HPP
#define MATCHING_ENGINE_HPP

#include "book_snapshot.hpp"
#include "order_book.hpp"
#include "snapshot_child.hpp"

#include <flashstrike_wal.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>

class MatchingEngine {
public:
    /// Opens the log, recovering it after a crash, and rebuilds the book.
    MatchingEngine(const std::string& dir, const fs_wal_config& config,
                   Snapshots snapshots = Snapshots::kUse)
        : dir_(dir), log_(dir, config) {
        rebuilt_ = rebuild(dir, snapshots, book_);
        last_event_id_ = rebuilt_.last_event_id;
        const std::uint64_t recovered = log_.meta().last_event_id;
        if (last_event_id_ != recovered)
            throw std::runtime_error("replay ended at event " + std::to_string(last_event_id_) +
                                     ", the log at " + std::to_string(recovered));
    }

    void submit(const fs_request_event& request) {
        record(request);
        act_on(request);
    }

    /// The two halves of submit. When record returns, the request survives the death of this
    /// process.
    void record(const fs_request_event& request) {
        log_.append(request);
        last_event_id_ = request.event_id;
    }
    void act_on(const fs_request_event& request) { book_.apply(request); }

    /// Begins a snapshot of the book as it is now, in a child process. False if the child before is
    /// still at work.
    bool begin_snapshot() {
        if (snapshot_child_.busy()) return false;
        snapshot_child_.start(dir_, last_event_id_, book_);
        return true;
    }

    void shutdown() {
        log_.sync();  // lets the child end
        snapshot_child_.wait();
        log_.shutdown();
    }

    const OrderBook& book() const { return book_; }
    const flashstrike::wal::Log& log() const { return log_; }
    std::uint64_t last_event_id() const { return last_event_id_; }
    /// What the book was rebuilt from.
    const Rebuilt& rebuilt() const { return rebuilt_; }

private:
    std::string dir_;
    flashstrike::wal::Log log_;
    OrderBook book_;
    SnapshotChild snapshot_child_;
    Rebuilt rebuilt_{};
    std::uint64_t last_event_id_ = 0;
};

#endif  // MATCHING_ENGINE_HPP
