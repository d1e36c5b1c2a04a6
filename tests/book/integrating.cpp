// The pieces of docs/integrating.md, put together: an engine that is pinned, recovers from a
// snapshot, records, answers when requests are durable, and is started a second time.

#include <flashstrike_wal.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>

#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace wal = flashstrike::wal;
using namespace std::chrono_literals;

namespace {

void expect(bool condition, const char* what) {
    if (condition) return;
    std::fprintf(stderr, "integrating: not so: %s\n", what);
    std::exit(1);
}

/// What the engine knows.
struct State {
    std::int64_t quantity = 0;
    std::uint64_t requests = 0;
};

struct Engine {
    State state;
    void act_on(const fs_request_event& request) {
        state.quantity += request.quantity;
        ++state.requests;
    }
    void refuse(const fs_request_event&, const char*) { ++refused; }
    int refused = 0;
};

// ANCHOR: pin
/// Binds this thread to one processor. Call it before the log is opened: its threads stay away.
bool pin_to(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    return pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0;
}
// ANCHOR_END: pin

// ANCHOR: options
wal::Config options(const std::string& active_dir) {
    wal::Config config;
    config.max_compressed_segments = FS_WAL_KEEP_ALL;  // delete nothing: the default does
    config.prepared_segments = 8;                      // outlasts a disk that stalls for longer
    config.active_dir = active_dir.c_str();            // memory that outlives the process
    config.max_held_bytes = std::uint64_t{50} << 30;   // a dead consumer does not fill the disk
    return config;
}

void tell(std::int32_t level, const char* message) {
    const char* name = level == FS_WAL_LOG_ERROR ? "error" : level == FS_WAL_LOG_WARN ? "warning"
                                                                                      : "info";
    std::fprintf(stderr, "%s: %s\n", name, message);
}
// ANCHOR_END: options

// ANCHOR: restore
/// Restores the newest good snapshot. Returns the event it was taken after; 0 = there is none.
std::uint64_t restore(const std::string& dir, State& state) {
    try {
        wal::SnapshotReader snapshot(dir);
        if (!snapshot.warning().empty()) tell(FS_WAL_LOG_WARN, snapshot.warning().c_str());
        if (snapshot.read(&state, sizeof state) != sizeof state)
            throw std::runtime_error("the snapshot is of another version of this engine");
        return snapshot.info().event_id;
    } catch (const wal::Error& error) {
        if (error.status() != FS_WAL_ERR_NOT_FOUND) throw;
        return 0;
    }
}

/// The state after the last event of the log: a snapshot, and what followed it.
void recover(const std::string& dir, Engine& engine) {
    const std::uint64_t restored = restore(dir, engine.state);
    wal::Reader reader(dir);
    reader.seek(restored + 1);
    for (const wal::Events& events : reader.batches())
        for (const fs_request_event& event : events) engine.act_on(event);
}
// ANCHOR_END: restore

// ANCHOR: append
/// Records a request, and acts on it if it is recorded. False: the engine must stop.
bool take(wal::Log& log, Engine& engine, const fs_request_event& request) {
    switch (log.try_append(request)) {
        case FS_WAL_OK:
            engine.act_on(request);
            return true;
        case FS_WAL_ERR_NO_SPACE:       // disk or memory is full: goes away by itself
        case FS_WAL_ERR_WOULD_BLOCK:    // the disk is behind (only with FAIL_FAST)
            engine.refuse(request, "try again");
            return true;
        case FS_WAL_ERR_OUT_OF_ORDER:   // not above the last id: an error of the sequencer
            engine.refuse(request, "id");
            return true;
        default:                        // POISONED: the log has failed for good
            std::fprintf(stderr, "%s\n", fs_wal_last_error());
            return false;
    }
}
// ANCHOR_END: append

// ANCHOR: payload
/// What an engine records of an order: 56 bytes.
struct Order {
    std::uint64_t client_order_id;
    std::int64_t price;
    std::uint32_t quantity;
    char symbol[8];
    std::uint8_t flags[28];
};

void append_order(wal::Log& log, std::uint64_t id, const char* symbol) {
    Order& order = log.claim().as<Order>();  // in the log itself; holds what was there before
    order = Order{};
    std::strncpy(order.symbol, symbol, sizeof order.symbol - 1);
    log.commit(id);  // makes it exist
}

/// The same as a whole event.
struct OrderEvent {
    std::uint64_t event_id;
    Order order;
};
static_assert(wal::is_event_v<OrderEvent>);

void count_orders(wal::Log& log, wal::Reader& reader, std::uint64_t id, std::uint64_t& shares) {
    log.append(OrderEvent{id, {7, 10'050, 100, "FS", {}}});
    for (const wal::Events& events : reader.batches())
        for (const OrderEvent& event : events.as<OrderEvent>()) shares += event.order.quantity;
}
// ANCHOR_END: payload

// ANCHOR: acknowledge
/// An event loop's part: answers clients up to the durable id, whenever that has moved.
class Answers {
public:
    Answers(wal::Log& log, int epoll) : log_(log), moved_(log.durable_fd()) {
        epoll_event interest{};
        interest.events = EPOLLIN;
        interest.data.fd = moved_.get();
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, moved_.get(), &interest) != 0)
            throw std::runtime_error("epoll_ctl");
        answered_ = log.durable().last_event_id;  // after the descriptor was made
    }

    /// Called when the descriptor is readable.
    void on_moved() {
        moved_.take();  // first take, then look
        const std::uint64_t durable = log_.durable().last_event_id;
        if (durable == answered_)  // nothing is new, or the log has failed: then this throws
            static_cast<void>(log_.wait_durable(answered_ + 1, 0ns));
        answered_ = durable;  // here every client with an id up to it gets its answer
    }

    std::uint64_t answered() const { return answered_; }

private:
    wal::Log& log_;
    wal::DurableFd moved_;
    std::uint64_t answered_ = 0;
};
// ANCHOR_END: acknowledge

// ANCHOR: snapshot
/// Stores the state after `event_id`. On any thread, or in another process, that has that state.
void take_snapshot(const std::string& dir, std::uint64_t event_id, const State& state) {
    wal::SnapshotWriter snapshot(dir, event_id);
    snapshot.write(&state, sizeof state);
    while (!snapshot.commit())  // false: the event is not durable yet
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
}
// ANCHOR_END: snapshot

void first_run(const std::string& dir, const std::string& memory) {
    // ANCHOR: start
    Engine engine;
    pin_to(sched_getcpu());
    wal::Log log(dir, options(memory), tell);
    const fs_wal_recovery_report_t report = log.recovery_report();
    std::printf("%s; memory locked: %s\n", report.decision, report.memory_locked ? "yes" : "no");
    recover(dir, engine);
    std::uint64_t id = log.meta().last_event_id;
    // ANCHOR_END: start
    expect(id == 0 && engine.state.requests == 0, "a new log");

    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    Answers answers(log, epoll);
    for (int i = 0; i < 5'000; ++i) {
        fs_request_event request{};
        request.event_id = ++id;
        request.quantity = 10;
        expect(take(log, engine, request), "appended");
    }
    while (answers.answered() < id) {
        epoll_event ready{};
        if (epoll_wait(epoll, &ready, 1, -1) == 1) answers.on_moved();
    }
    close(epoll);
    take_snapshot(dir, id, engine.state);

    // ANCHOR: hold
    wal::Hold hold(dir, "archive", id + 1);  // from here on nothing is deleted,
    // ... also when this process ends; what the archive has stored may go:
    hold.move(id + 1);
    // ANCHOR_END: hold

    append_order(log, ++id, "FS");
    engine.act_on(fs_request_event{});
    fs_request_event again{};
    again.event_id = id;
    expect(take(log, engine, again) && engine.refused == 1, "an id that was there is refused");
    log.shutdown();

    wal::Log orders(dir + "-orders");
    wal::Reader reader(dir + "-orders");
    std::uint64_t shares = 0;
    count_orders(orders, reader, 1, shares);
    expect(shares == 100, "an event of the engine's own type");
}

void second_run(const std::string& dir, const std::string& memory) {
    Engine engine;
    wal::Log log(dir, options(memory), tell);
    recover(dir, engine);
    expect(engine.state.requests == 5'001, "the snapshot, and one request behind it");

    // ANCHOR: books
    // One log for each book: each has ids of its own, and a writer of its own.
    wal::Log equities(dir + "-equities"), futures(dir + "-futures");
    // ANCHOR_END: books
    fs_request_event request{};
    request.event_id = 1;
    equities.append(request);
    futures.append(request);

    // ANCHOR: metrics
    const std::string scrape = wal::metrics_prometheus({&equities, &futures});
    // ANCHOR_END: metrics
    expect(scrape.find("fs_wal_appended_event_id") != std::string::npos, "metrics");

    // ANCHOR: verify
    equities.shutdown();
    const fs_wal_verify_report_t found = wal::verify(dir + "-equities");
    if (found.damage_count > 0) std::fprintf(stderr, "%s\n", fs_wal_last_error());
    // ANCHOR_END: verify
    expect(found.damage_count == 0 && found.events == 1, "verified");
    wal::Hold::remove(dir, "archive");
}

}  // namespace

int main() {
    try {
        char memory[] = "/dev/shm/integrating-XXXXXX";
        if (!mkdtemp(memory)) return 1;
        first_run("wal", memory);
        second_run("wal", memory);
        expect(rmdir(memory) == 0, "a shutdown leaves nothing in memory");
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "integrating: %s\n", error.what());
        return 1;
    }
}
