// Many instruments in one process: a log for each book, so that each has ids of its own. Engine
// threads, one a processor, have the books between them. One processor is left to the library's
// threads: one for each log, which sleeps while nothing is recorded, and some that all logs share.
// The books are recovered side by side, and shut down side by side.
//
//     books DIRECTORY [BOOKS [REQUESTS]]
//
// REQUESTS is for each book. SIGTERM and SIGINT end it earlier, with all books shut down.

#include "number.hpp"

#include <flashstrike_wal.hpp>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

namespace {

namespace wal = flashstrike::wal;

std::atomic<bool> told_to_end{false};

/// One instrument: its log, and what it knows.
class Book {
public:
    Book(const std::string& dir, const wal::Config& config) : log_(dir, config) {
        wal::Reader reader(dir);
        reader.seek(1);  // throws if retention has deleted the beginning
        for (const wal::Events& events : reader.batches())
            for (const fs_request_event& event : events) act_on(event);
        last_id_ = log_.meta().last_event_id;
    }

    void take(std::int64_t quantity) {
        fs_request_event request{};
        request.event_id = last_id_ + 1;
        request.quantity = quantity;
        log_.append(request);
        last_id_ = request.event_id;
        act_on(request);
    }

    void shutdown() { log_.shutdown(); }
    std::uint64_t requests() const { return requests_; }

private:
    void act_on(const fs_request_event& request) {
        ++requests_;
        quantity_ += request.quantity;
    }

    wal::Log log_;
    std::uint64_t last_id_ = 0;
    std::uint64_t requests_ = 0;
    std::int64_t quantity_ = 0;
};

/// The processors that this process may use, those that have a bit in the masks of the options.
std::vector<int> processors() {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    std::vector<int> found;
    for (int processor = 0; processor < 64; ++processor)
        if (CPU_ISSET(processor, &set)) found.push_back(processor);
    if (found.empty()) throw std::runtime_error("none of the first 64 processors may be used");
    return found;
}

void pin_to(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

class Exchange {
public:
    Exchange(const std::string& dir, std::size_t books) : books_(books) {
        // A book takes a few requests at a time: small segments, and few of them prepared. The
        // options of a busy one differ.
        config_.num_blocks = 64;
        config_.prepared_segments = 2;
        config_.max_compressed_segments = FS_WAL_KEEP_ALL;
        engines_ = processors();
        if (engines_.size() > 1) {
            // A log does not know of the engines of others: without these its thread runs on the
            // processors of theirs.
            config_.persister_cpus = config_.worker_cpus = std::uint64_t{1} << engines_.back();
            engines_.pop_back();
        }
        std::filesystem::create_directories(dir);
        side_by_side(kDiskThreads, [&](std::size_t first) {
            for (std::size_t i = first; i < books_.size(); i += kDiskThreads)
                books_[i] = std::make_unique<Book>(dir + "/book-" + std::to_string(i), config_);
        });
    }

    /// What the books have of /dev/shm.
    std::uint64_t active_bytes() const {
        return books_.size() * (config_.prepared_segments + 2) *
               (64 + std::uint64_t{config_.num_blocks} * 16448);
    }

    std::uint64_t requests() const {
        std::uint64_t sum = 0;
        for (const auto& book : books_) sum += book->requests();
        return sum;
    }

    /// Each engine has the books from its own number on, one in so many.
    void record(std::uint64_t requests) {
        side_by_side(engines_.size(), [&](std::size_t engine) {
            pin_to(engines_[engine]);
            for (std::uint64_t n = 0; n < requests && !told_to_end; ++n)
                for (std::size_t i = engine; i < books_.size(); i += engines_.size())
                    books_[i]->take(100);
        });
    }

    void shutdown() {
        side_by_side(kDiskThreads, [&](std::size_t first) {
            for (std::size_t i = first; i < books_.size(); i += kDiskThreads)
                books_[i]->shutdown();
        });
    }

private:
    /// Opening and shutting down wait for the disk, so more threads than processors do it.
    static constexpr std::size_t kDiskThreads = 16;

    /// Runs `work` on so many threads, with their numbers, and waits for them. That they have ended
    /// is what hands a log on to the thread that has it next.
    template <typename Work>
    static void side_by_side(std::size_t threads, Work work) {
        std::vector<std::future<void>> running;
        for (std::size_t number = 0; number < threads; ++number)
            running.push_back(std::async(std::launch::async, [&work, number] { work(number); }));
        for (std::future<void>& thread : running) thread.get();  // throws what it threw
    }

    wal::Config config_;
    std::vector<int> engines_;  // their processors
    std::vector<std::unique_ptr<Book>> books_;
};

void run(const std::string& dir, std::size_t books, std::uint64_t requests) {
    const auto note = [](int) { told_to_end = true; };
    std::signal(SIGTERM, note);
    std::signal(SIGINT, note);
    // A log has 20 to 30 descriptors open.
    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }

    Exchange exchange(dir, books);
    const std::uint64_t recovered = exchange.requests();
    std::printf("recovered %zu books, %llu requests, %llu KB in memory\n", books,
                static_cast<unsigned long long>(recovered),
                static_cast<unsigned long long>(exchange.active_bytes() / 1024));
    std::fflush(stdout);
    exchange.record(requests);
    exchange.shutdown();
    std::printf("recorded %llu, all shut down\n",
                static_cast<unsigned long long>(exchange.requests() - recovered));
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t books = 8, requests = 100'000;
    if (argc < 2 || argc > 4 || (argc > 2 && !parse_number(argv[2], books)) ||
        (argc > 3 && !parse_number(argv[3], requests)) || books == 0) {
        std::fprintf(stderr, "usage: books DIRECTORY [BOOKS [REQUESTS]]\n");
        return 2;
    }
    try {
        run(argv[1], books, requests);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "books: %s\n", error.what());
        return 1;
    }
}
