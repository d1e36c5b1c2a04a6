// The part of the demo that is killed: an engine process, which writes what it has done into memory
// that it shares with its parent.

#ifndef DEMO_ENGINE_HPP
#define DEMO_ENGINE_HPP

#include "flow_options.hpp"
#include "matching_engine.hpp"
#include "timing.hpp"

#include <atomic>
#include <cstdint>
#include <ctime>
#include <sstream>
#include <string>
#include <vector>

/// What the engine does when it has taken all requests.
enum class AtTheEnd { kShutDown, kWait };

enum Stage : std::uint32_t { kStarting, kRebuilt, kFinished };

/// Shared by parent and engine. It stays valid when the engine is killed.
struct SharedPage {
    std::atomic<std::uint64_t> acknowledged;  // the last event id whose append returned OK
    std::atomic<std::uint32_t> stage;
    std::atomic<bool> proceed;  // set by the parent: the rebuilt engine may take requests
    std::uint64_t rebuilt_id;   // this and the next are valid from kRebuilt on
    std::uint64_t rebuilt_digest;
    std::uint64_t final_digest;  // valid from kFinished on
    Histogram append_ticks;
    Histogram behind_events;  // events appended and not yet durable
    Histogram behind_ticks;   // age of the oldest event that is not yet durable
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "a lock would die with its holder");

inline void sleep_ns(long ns) {
    const timespec pause{0, ns};
    nanosleep(&pause, nullptr);
}

/// Samples how far the durable watermark lags behind the appends.
class WatermarkSampler {
public:
    void appended(std::uint64_t event_id, std::uint64_t now) {
        if (event_id % kEvery == 0) appended_at_[event_id / kEvery % kRemembered] = now;
    }

    void sample(const MatchingEngine& engine, std::uint64_t now, SharedPage& page) {
        const std::uint64_t durable = engine.log().durable().last_event_id;
        const std::uint64_t last = engine.last_event_id();
        // Only every kEvery-th event is remembered, so the age may be that of an event up to kEvery
        // events later.
        const std::uint64_t oldest = (durable / kEvery + 1) * kEvery;
        page.behind_events.record(last - durable);
        page.behind_ticks.record(oldest <= last ? now - appended_at_[oldest / kEvery % kRemembered]
                                                : 0);
    }

private:
    static constexpr std::uint64_t kEvery = 16;
    // Covers a million events. The watermark never lags that far, because the active segments hold
    // fewer.
    static constexpr std::uint64_t kRemembered = 1 << 16;
    std::vector<std::uint64_t> appended_at_ = std::vector<std::uint64_t>(kRemembered);
};

/// Small segments, so that a short run has many rotations, and compression from the ninth segment
/// on. The prepared segments last while the disk is slow for a third of a second.
inline fs_wal_config demo_config() {
    flashstrike::wal::Config config;
    config.num_blocks = 64;
    config.max_segments = 8;
    config.prepared_segments = 24;
    config.max_compressed_segments = FS_WAL_KEEP_ALL;
    return config;
}

/// Rebuilds the book, waits until the parent lets it proceed, then takes the rest of the requests
/// at `rate` a second (0: as fast as possible).
inline void run_engine(const std::string& dir, const FlowOptions& options, std::uint64_t rate,
                       AtTheEnd end, SharedPage& page) {
    const TickRate tick_rate;
    std::ostringstream ignored;  // the parent reports malformed lines
    const auto flow = options.make_flow(ignored);
    MatchingEngine engine(dir, demo_config());
    flow->skip(engine.last_event_id());
    page.rebuilt_id = engine.last_event_id();
    page.rebuilt_digest = engine.book().digest();
    page.stage.store(kRebuilt);
    while (!page.proceed.load()) sleep_ns(1'000'000);

    const double ticks_between =
        rate ? 1e9 / static_cast<double>(rate) / tick_rate.ns_per_tick() : 0;
    const auto start = static_cast<double>(ticks());
    const std::uint64_t first_id = engine.last_event_id();
    WatermarkSampler watermark;
    while (engine.last_event_id() < options.requests) {
        const fs_request_event request = flow->next();
        const double due = start + ticks_between * static_cast<double>(request.event_id - first_id);
        while (static_cast<double>(ticks()) < due) {
        }

        const std::uint64_t before = ticks();
        engine.record(request);
        const std::uint64_t after = ticks();
        page.acknowledged.store(request.event_id, std::memory_order_release);

        page.append_ticks.record(after - before);
        watermark.appended(request.event_id, after);
        if (request.event_id % 64 == 0) watermark.sample(engine, after, page);
        engine.act_on(request);
    }
    while (end == AtTheEnd::kWait) sleep_ns(1'000'000);  // until killed
    engine.shutdown();
    page.final_digest = engine.book().digest();
    page.stage.store(kFinished);
}

#endif  // DEMO_ENGINE_HPP
