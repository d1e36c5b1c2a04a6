// Timing of single calls: a clock that costs a few nanoseconds, and a histogram that can be in
// shared memory, so that it outlives the process that measures.

#ifndef TIMING_HPP
#define TIMING_HPP

#include <cstdint>
#include <cstring>
#include <ctime>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

inline std::uint64_t clock_ns() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
           static_cast<std::uint64_t>(now.tv_nsec);
}

/// A counter of constant rate. It is read after all earlier instructions have executed.
inline std::uint64_t ticks() {
#if defined(__x86_64__)
    unsigned processor;
    return __rdtscp(&processor);
#else
    return clock_ns();
#endif
}

/// Measures the rate of ticks() over the time since this object was made.
class TickRate {
public:
    double ns_per_tick() const {
        const std::uint64_t passed = ticks() - start_ticks_;
        return passed ? static_cast<double>(clock_ns() - start_ns_) / static_cast<double>(passed)
                      : 1.0;
    }

private:
    std::uint64_t start_ns_ = clock_ns();
    std::uint64_t start_ticks_ = ticks();
};

/// Counts values in buckets no wider than 1/64 of the value, like an HDR histogram. It contains no
/// pointers, and memory of all zeros is an empty histogram. Only one thread may write.
class Histogram {
public:
    void record(std::uint64_t value) {
        ++buckets_[bucket_of(value)];
        ++count_;
        if (value > max_) max_ = value;
    }

    /// The lowest value that at least `fraction` of all values do not exceed, rounded up to the
    /// top of its bucket. 0 if the histogram is empty.
    std::uint64_t at(double fraction) const {
        const auto wanted = static_cast<std::uint64_t>(fraction * static_cast<double>(count_));
        std::uint64_t seen = 0;
        for (unsigned bucket = 0; bucket < kBuckets; ++bucket) {
            seen += buckets_[bucket];
            if (seen > wanted || (seen == count_ && seen > 0))
                return top_of(bucket) < max_ ? top_of(bucket) : max_;
        }
        return max_;
    }

    std::uint64_t max() const { return max_; }
    std::uint64_t count() const { return count_; }

private:
    static constexpr unsigned kSubBits = 6;
    static constexpr unsigned kSub = 1u << kSubBits;
    static constexpr unsigned kBuckets = (64 - kSubBits + 1) * kSub;

    /// Each value below 64 has a bucket. Above, there are 64 buckets from one power of two to the
    /// next.
    static unsigned bucket_of(std::uint64_t value) {
        if (value < kSub) return static_cast<unsigned>(value);
        const unsigned shift = 63u - static_cast<unsigned>(__builtin_clzll(value)) - kSubBits;
        return (shift + 1) * kSub + static_cast<unsigned>((value >> shift) - kSub);
    }
    static std::uint64_t top_of(unsigned bucket) {
        if (bucket < kSub) return bucket;
        const unsigned shift = bucket / kSub - 1;
        return ((static_cast<std::uint64_t>(bucket % kSub + kSub) + 1) << shift) - 1;
    }

    std::uint64_t buckets_[kBuckets];
    std::uint64_t count_;
    std::uint64_t max_;
};

#endif  // TIMING_HPP
