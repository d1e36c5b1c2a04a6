// A standby of a matching engine: another process, which follows the engine's log while it is
// written and so always has the engine's book. It may be started before the engine, and goes on
// through the engine's crashes and restarts. It can also take the snapshots, so that the engine
// need not even fork.
//
// At SIGTERM or SIGINT it reads what is left, prints its book, and ends. If the engine is dead by
// then, that is the book of every request that it had recorded.

#include "book_snapshot.hpp"
#include "flow_options.hpp"
#include "print_book.hpp"

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <thread>

using namespace std::chrono_literals;

namespace {

constexpr const char* kUsage =
    "usage: standby --dir=DIRECTORY [options]\n"
    "  --snapshot-every=N      take a snapshot after so many requests; 0: none (default: 0)\n"
    "  --hold=NAME             have the engine keep what this standby has not read yet\n";

constexpr auto kPause = 10ms;

volatile std::sig_atomic_t told_to_end = 0;

/// Follows the log, with a hold unless its name is empty. A hold is a file of the log: it waits
/// until there is one.
flashstrike::wal::Reader open_reader(const std::string& dir, const std::string& hold) {
    fs_wal_reader_config config{};
    config.flags = FS_WAL_READER_FOLLOW;
    if (!hold.empty()) config.hold = hold.c_str();
    for (;;) {
        try {
            return flashstrike::wal::Reader(dir, config);
        } catch (const flashstrike::wal::Error& error) {
            if (error.status() != FS_WAL_ERR_NOT_FOUND || told_to_end) throw;
        }
        std::this_thread::sleep_for(kPause);
    }
}

class Standby {
public:
    Standby(const std::string& dir, std::uint64_t snapshot_every, const std::string& hold)
        : dir_(dir), snapshot_every_(snapshot_every), reader_(open_reader(dir, hold)) {
        // The hold came first: what follows the snapshot stays while it is restored, however long
        // that takes, and what the standby is behind with. Without one, if retention overtakes the
        // standby, a read throws (FS_WAL_ERR_GAP); started again, it begins with a newer snapshot.
        last_event_id_ = last_snapshot_id_ = restore_snapshot(dir, book_);
        reader_.seek(last_event_id_ + 1);
    }

    /// Waits for the next requests and applies them. False if none have come in `timeout`.
    bool follow(std::chrono::nanoseconds timeout) {
        const bool more = reader_.wait(timeout);
        if (more)
            for (const fs_request_event& request : reader_.next_batch()) {
                book_.apply(request);
                last_event_id_ = request.event_id;
            }
        take_snapshots();
        return more;
    }

    const OrderBook& book() const { return book_; }
    std::uint64_t last_event_id() const { return last_event_id_; }

private:
    /// Never waits: a snapshot whose event is not durable yet is tried again later.
    void take_snapshots() {
        if (snapshot_ && snapshot_->commit()) snapshot_.reset();
        if (snapshot_ || snapshot_every_ == 0) return;
        if (last_event_id_ < last_snapshot_id_ + snapshot_every_) return;
        snapshot_ = write_snapshot(dir_, last_event_id_, book_);
        last_snapshot_id_ = last_event_id_;
    }

    std::string dir_;
    std::uint64_t snapshot_every_;
    flashstrike::wal::Reader reader_;
    OrderBook book_;
    std::uint64_t last_event_id_ = 0;
    std::uint64_t last_snapshot_id_ = 0;
    std::optional<flashstrike::wal::SnapshotWriter> snapshot_;  // until it is committed
};

void run(const std::string& dir, std::uint64_t snapshot_every, const std::string& hold) {
    const auto note = [](int) { told_to_end = 1; };
    std::signal(SIGTERM, note);
    std::signal(SIGINT, note);
    Standby standby(dir, snapshot_every, hold);
    std::printf("following from %llu on\n",
                static_cast<unsigned long long>(standby.last_event_id() + 1));
    std::fflush(stdout);
    while (!told_to_end) standby.follow(10ms);
    while (standby.follow(100ms)) {
    }
    print_book("standby", standby.last_event_id(), standby.book());
}

}  // namespace

int main(int argc, char** argv) {
    try {
        std::string dir, hold;
        std::uint64_t snapshot_every = 0;
        parse_options(argc, argv, 1, [&](const std::string& name, const std::string& value) {
            if (name == "dir")
                dir = value;
            else if (name == "snapshot-every")
                snapshot_every = parse_count(name, value);
            else if (name == "hold")
                hold = value;
            else
                return false;
            return true;
        });
        if (dir.empty()) throw UsageError("--dir is missing");
        run(dir, snapshot_every, hold);
        return 0;
    } catch (const UsageError& wrong) {
        std::fprintf(stderr, "standby: %s\n%s", wrong.what(), kUsage);
        return 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "standby: %s\n", error.what());
        return 1;
    }
}
