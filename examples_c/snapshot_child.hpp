// Takes snapshots in forked children. A child has the book as it was at the fork, so the engine
// pauses only for the fork itself.

#ifndef SNAPSHOT_CHILD_HPP
#define SNAPSHOT_CHILD_HPP

#include "book_snapshot.hpp"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/// At most one child at a time.
class SnapshotChild {
public:
    SnapshotChild() = default;
    SnapshotChild(const SnapshotChild&) = delete;
    SnapshotChild& operator=(const SnapshotChild&) = delete;
    /// Ends a child that has not finished: its event may never become durable.
    ~SnapshotChild() {
        if (pid_ <= 0) return;
        kill(pid_, SIGKILL);
        wait();
    }

    /// Whether a child is at work.
    bool busy() { return pid_ > 0 && !reap(WNOHANG); }

    /// Begins a snapshot of the book as it is now, after `event_id`.
    void start(const std::string& dir, std::uint64_t event_id, const OrderBook& book) {
        wait();
        const pid_t parent = getpid();
        pid_ = fork();
        if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
        if (pid_ == 0) _exit(run(parent, dir, event_id, book));
    }

    /// Waits for the child.
    void wait() {
        if (pid_ > 0) reap(0);
    }

private:
    static int run(pid_t parent, const std::string& dir, std::uint64_t event_id,
                   const OrderBook& book) noexcept {
        // Without its engine it would wait for an event that nobody makes durable.
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) return 1;
        try {
            auto snapshot = write_snapshot(dir, event_id, book);
            while (!snapshot.commit()) usleep(1'000);
            return 0;
        } catch (const std::exception& error) {
            std::fprintf(stderr, "no snapshot after event %llu: %s\n",
                         static_cast<unsigned long long>(event_id), error.what());
            return 1;
        }
    }

    /// Returns whether the child has ended. It has told its failures itself.
    bool reap(int flags) {
        if (waitpid(pid_, nullptr, flags) == 0) return false;
        pid_ = -1;
        return true;
    }

    pid_t pid_ = -1;
};

#endif  // SNAPSHOT_CHILD_HPP
