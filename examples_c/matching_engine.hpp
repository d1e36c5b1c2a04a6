// A matching engine that survives crashes. Every request is in the log before the book sees it,
// and the book depends on nothing but the log. So after a crash, one pass over the log rebuilds
// the book.

#ifndef MATCHING_ENGINE_HPP
#define MATCHING_ENGINE_HPP

#include "order_book.hpp"

#include <flashstrike_wal.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>

class MatchingEngine {
public:
    /// Opens the log, recovering it after a crash, and rebuilds the book from it.
    MatchingEngine(const std::string& dir, const fs_wal_config& config) : log_(dir, config) {
        flashstrike::wal::Reader reader(dir);
        for (auto events = reader.next_batch(); !events.empty(); events = reader.next_batch())
            for (const fs_request_event& request : events) {
                book_.apply(request);
                last_event_id_ = request.event_id;
            }
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

    void shutdown() { log_.shutdown(); }

    const OrderBook& book() const { return book_; }
    const flashstrike::wal::Log& log() const { return log_; }
    std::uint64_t last_event_id() const { return last_event_id_; }

private:
    flashstrike::wal::Log log_;
    OrderBook book_;
    std::uint64_t last_event_id_ = 0;
};

#endif  // MATCHING_ENGINE_HPP
