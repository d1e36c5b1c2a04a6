// Kills a matching engine while it takes requests, and shows that no acknowledged request is lost.
//
// This process starts the engine as a child process. The engine writes the id of every request
// whose append has returned into memory of this process. At a random moment after half of the
// requests, this process sends SIGKILL. It starts the engine again, which rebuilds its book from
// the log, and compares every event of the log, byte for byte, with the request that it was made
// from. It also fills a book of its own from the same source, without the log, and compares it with
// the engine's book. Then the engine takes the rest of the requests and shuts down cleanly, and
// everything is compared again. Any difference is reported as a failure, with exit status 1.
//
// Beside the engine runs a standby, which follows the log and takes snapshots. When the engine has
// been killed, the standby's book is compared too, and so is the book that a snapshot and the
// events after it make.

#include "demo_engine.hpp"
#include "demo_standby.hpp"

#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <iostream>
#include <random>

#include <csignal>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

struct Options {
    FlowOptions flow;
    std::string dir = "demo";
    std::uint64_t rate = 1'000'000;
    // Only the parent passes these, to the engine process.
    int page_fd = -1;
    AtTheEnd end = AtTheEnd::kShutDown;

    std::string wal_dir() const { return dir + "/wal"; }
};

constexpr const char* kUsage =
    "usage: demo [options]\n"
    "  --dir=DIRECTORY         the log is made in its subdirectory wal, which is removed first\n"
    "                          (default: demo)\n"
    "  --rate=N                requests a second, 0 for as fast as possible (default: 1000000)\n";

Options parse(int argc, char** argv) {
    Options options;
    parse_options(argc, argv, 1, [&](const std::string& name, const std::string& value) {
        if (name == "dir")
            options.dir = value;
        else if (name == "rate")
            options.rate = parse_count(name, value);
        else if (name == "engine-page")
            options.page_fd = static_cast<int>(parse_count(name, value));
        else if (name == "engine-end")
            options.end = value == "wait" ? AtTheEnd::kWait : AtTheEnd::kShutDown;
        else
            return options.flow.take(name, value);
        return true;
    });
    return options;
}

SharedPage& map_page(int fd) {
    void* memory =
        mmap(nullptr, sizeof(SharedPage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (memory == MAP_FAILED) fail_with_errno("mmap of the shared page");
    return *static_cast<SharedPage*>(memory);
}

/// The engine process, as its parent controls it.
class EngineProcess {
public:
    EngineProcess(int argc, char** argv, int page_fd, SharedPage& page, AtTheEnd end)
        : page_(page) {
        page_.stage.store(kStarting);
        page_.proceed.store(false);
        std::vector<std::string> arguments(argv, argv + argc);
        arguments.push_back("--engine-page=" + std::to_string(page_fd));
        arguments.push_back(end == AtTheEnd::kWait ? "--engine-end=wait" : "--engine-end=shutdown");
        std::vector<char*> pointers;
        for (std::string& argument : arguments) pointers.push_back(argument.data());
        pointers.push_back(nullptr);

        pid_ = fork();
        if (pid_ < 0) fail_with_errno("fork");
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);  // or an engine without its parent would never stop
            execv("/proc/self/exe", pointers.data());
            _exit(127);
        }
    }
    EngineProcess(const EngineProcess&) = delete;
    EngineProcess& operator=(const EngineProcess&) = delete;
    ~EngineProcess() {
        if (pid_ > 0) kill_and_reap();
    }

    void wait_for(Stage stage) {
        while (page_.stage.load() < stage) pause_while_alive();
    }
    void wait_for_acknowledged(std::uint64_t event_id) {
        while (page_.acknowledged.load() < event_id) pause_while_alive();
    }
    void proceed() { page_.proceed.store(true); }

    /// Returns the raw wait status.
    int kill_and_reap() {
        kill(pid_, SIGKILL);
        return reap();
    }
    int reap() {
        int status = 0;
        if (waitpid(pid_, &status, 0) != pid_) fail_with_errno("waitpid");
        pid_ = -1;
        return status;
    }

private:
    void pause_while_alive() {
        int status = 0;
        if (waitpid(pid_, &status, WNOHANG) == pid_) {
            pid_ = -1;
            fail("the engine ended by itself, wait status " + std::to_string(status));
        }
        sleep_ns(500'000);
    }

    SharedPage& page_;
    pid_t pid_;
};

/// Compares the log with the source that it was recorded from, and builds the book of that source.
class Auditor {
public:
    explicit Auditor(const FlowOptions& options) : flow_(options.make_flow(std::cerr)) {}

    /// Reads from where the last call ended to the end of the log. Returns the last id.
    std::uint64_t audit(const std::string& dir) {
        flashstrike::wal::Reader reader(dir);
        reader.seek(last_id_ + 1);
        for (auto events = reader.next_batch(); !events.empty(); events = reader.next_batch())
            for (const fs_request_event& event : events) {
                const fs_request_event expected = flow_->next();
                if (event.event_id < expected.event_id)
                    fail("event " + std::to_string(event.event_id) + " comes twice");
                if (event.event_id > expected.event_id)
                    fail("events " + std::to_string(expected.event_id) + " to " +
                         std::to_string(event.event_id - 1) + " are missing from the log");
                if (std::memcmp(&event, &expected, sizeof event) != 0)
                    fail("event " + std::to_string(event.event_id) +
                         " is not the request that was submitted");
                book_.apply(expected);
                last_id_ = event.event_id;
            }
        return last_id_;
    }

    std::uint64_t digest() const { return book_.digest(); }

private:
    std::unique_ptr<OrderFlow> flow_;
    OrderBook book_;
    std::uint64_t last_id_ = 0;
};

void print_segments(const std::string& dir) {
    std::size_t hot = 0, cold = 0;
    for (const auto& entry : std::filesystem::directory_iterator(dir)) {
        hot += entry.path().extension() == ".wal";
        cold += entry.path().extension() == ".lz4";
    }
    std::printf("segments when killed: %zu hot, %zu compressed\n", hot, cold);
}

std::uint64_t timer_floor_ticks() {
    std::uint64_t least = ~std::uint64_t{0};
    for (int i = 0; i < 10'000; ++i) {
        const std::uint64_t before = ticks();
        least = std::min(least, ticks() - before);
    }
    return least;
}

void print_measurements(const SharedPage& page, double ns_per_tick) {
    const auto ns = [&](std::uint64_t value) { return static_cast<double>(value) * ns_per_tick; };
    const Histogram& append = page.append_ticks;
    std::printf(
        "append latency, ns: p50 %.0f  p99 %.0f  p99.9 %.0f  p99.99 %.0f  max %.0f  "
        "(timer alone: %.0f)\n",
        ns(append.at(0.5)), ns(append.at(0.99)), ns(append.at(0.999)), ns(append.at(0.9999)),
        ns(append.max()), ns(timer_floor_ticks()));
    const Histogram& events = page.behind_events;
    std::printf("durable watermark behind, events: p50 %llu  p99 %llu  max %llu\n",
                static_cast<unsigned long long>(events.at(0.5)),
                static_cast<unsigned long long>(events.at(0.99)),
                static_cast<unsigned long long>(events.max()));
    const Histogram& age = page.behind_ticks;
    std::printf("durable watermark behind, us: p50 %.0f  p99 %.0f  max %.0f\n",
                ns(age.at(0.5)) / 1e3, ns(age.at(0.99)) / 1e3, ns(age.max()) / 1e3);
}

void require_identical_books(const char* whose, std::uint64_t digest, std::uint64_t audited) {
    if (digest != audited)
        fail(std::string(whose) + " book differs from the one the source makes");
}

void compare_standby(const StandbyProcess::Book& standby, std::uint64_t recovered,
                     std::uint64_t audited) {
    if (standby.last_event_id != recovered)
        fail("the standby has the requests up to " + std::to_string(standby.last_event_id));
    require_identical_books("the standby's", standby.digest, audited);
    std::printf("standby, when the engine was killed: %llu requests, book identical\n",
                static_cast<unsigned long long>(standby.last_event_id));
}

/// Rebuilds the book with and without a snapshot, and prints how long that took.
void compare_recoveries(const std::string& dir, std::uint64_t audited) {
    for (const Snapshots snapshots : {Snapshots::kIgnore, Snapshots::kUse}) {
        OrderBook book;
        const std::uint64_t start = clock_ns();
        const Rebuilt rebuilt = rebuild(dir, snapshots, book);
        const double ms = static_cast<double>(clock_ns() - start) / 1e6;
        require_identical_books("a rebuilt", book.digest(), audited);
        if (snapshots == Snapshots::kIgnore)
            std::printf("recovery from the log alone: %.1f ms, book identical\n", ms);
        else if (rebuilt.snapshot_id == 0)
            std::printf("recovery from a snapshot: none was taken before the engine was killed\n");
        else
            std::printf("recovery from the snapshot after request %llu: %.1f ms, book identical\n",
                        static_cast<unsigned long long>(rebuilt.snapshot_id), ms);
    }
}

void kill_while_it_appends(const Options& options, EngineProcess& engine) {
    std::random_device random;
    engine.wait_for(kRebuilt);
    engine.proceed();
    // Somewhere in the third quarter, or later: the engine goes on meanwhile.
    const std::uint64_t half = options.flow.requests / 2;
    engine.wait_for_acknowledged(half + random() % (half / 2 + 1));
    sleep_ns(static_cast<long>(random() % 2'000'000));
    const int status = engine.kill_and_reap();
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail("the engine was to die of SIGKILL; its wait status is " + std::to_string(status));
}

void run_demo(int argc, char** argv, const Options& options) {
    const std::string dir = options.wal_dir();
    std::filesystem::remove_all(dir);
    std::filesystem::create_directories(dir);
    const int page_fd = memfd_create("demo", 0);
    if (page_fd < 0 || ftruncate(page_fd, sizeof(SharedPage)) != 0) fail_with_errno("shared page");
    SharedPage& page = map_page(page_fd);
    Auditor auditor(options.flow);
    const TickRate tick_rate;

    StandbyProcess standby(dir, options.flow.requests / 10 + 1);
    {
        EngineProcess engine(argc, argv, page_fd, page, AtTheEnd::kWait);
        kill_while_it_appends(options, engine);
    }
    const StandbyProcess::Book standby_book = standby.end();
    const std::uint64_t acknowledged = page.acknowledged.load();
    print_segments(dir);
    std::printf("acknowledged: %llu\n", static_cast<unsigned long long>(acknowledged));

    EngineProcess engine(argc, argv, page_fd, page, AtTheEnd::kShutDown);
    engine.wait_for(kRebuilt);
    const std::uint64_t recovered = auditor.audit(dir);
    std::printf("recovered: %llu\n", static_cast<unsigned long long>(recovered));
    const std::uint64_t lost = recovered < acknowledged ? acknowledged - recovered : 0;
    std::printf("lost: %llu\n", static_cast<unsigned long long>(lost));
    if (lost > 0) fail("acknowledged requests are lost");
    // The append that was running when the engine was killed may be in the log, but nothing after
    // it.
    if (recovered > acknowledged + 1) fail("the log holds requests that were never submitted");
    if (page.rebuilt_id != recovered)
        fail("the restarted engine and this process read different logs");
    require_identical_books("the engine's", page.rebuilt_digest, auditor.digest());
    std::printf("book after replay: identical\n");
    compare_standby(standby_book, recovered, auditor.digest());
    compare_recoveries(dir, auditor.digest());
    print_measurements(page, tick_rate.ns_per_tick());

    engine.proceed();
    const int status = engine.reap();
    if (status != 0 || page.stage.load() != kFinished)
        fail("the restarted engine did not finish, wait status " + std::to_string(status));
    const std::uint64_t in_the_end = auditor.audit(dir);
    if (in_the_end != page.acknowledged.load() || in_the_end != options.flow.requests)
        fail("after a clean shutdown the log ends at " + std::to_string(in_the_end) + ", not at " +
             std::to_string(options.flow.requests));
    require_identical_books("the engine's", page.final_digest, auditor.digest());
    std::printf("after going on and a clean shutdown: %llu requests, book identical\n",
                static_cast<unsigned long long>(in_the_end));
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const Options options = parse(argc, argv);
        if (options.page_fd >= 0)
            run_engine(options.wal_dir(), options.flow, options.rate, options.end,
                       map_page(options.page_fd));
        else
            run_demo(argc, argv, options);
        return 0;
    } catch (const UsageError& wrong) {
        std::fprintf(stderr, "demo: %s\n%s%s", wrong.what(), kUsage, FlowOptions::kUsage);
        return 2;
    } catch (const std::exception& error) {
        std::fflush(stdout);
        std::fprintf(stderr, "demo: FAILED: %s\n", error.what());
        return 1;
    }
}
