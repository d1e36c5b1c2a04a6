// The histogram of the examples: percentiles are exact to within one bucket over the whole range.

#include "timing.hpp"

#include "../support/check.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace {

void percentiles_are_within_a_bucket() {
    const auto histogram = std::make_unique<Histogram>();
    std::vector<std::uint64_t> values;
    std::uint64_t state = 1;
    for (int i = 0; i < 100'000; ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        values.push_back(state >> (20 + i % 40));  // many magnitudes
        histogram->record(values.back());
    }
    std::sort(values.begin(), values.end());
    for (const double fraction : {0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999}) {
        const std::uint64_t exact = values[static_cast<std::size_t>(fraction * 100'000)];
        const std::uint64_t found = histogram->at(fraction);
        CHECK(found >= exact && found - exact <= exact / 64 + 1);
    }
    CHECK(histogram->at(1.0) == values.back() && histogram->max() == values.back());
    CHECK(histogram->count() == 100'000);
}

void small_and_extreme_values_are_exact() {
    for (const std::uint64_t value :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{63}, std::uint64_t{64},
          std::uint64_t{127}, std::uint64_t{128}, ~std::uint64_t{0}}) {
        const auto histogram = std::make_unique<Histogram>();
        CHECK(histogram->at(0.5) == 0);
        histogram->record(value);
        CHECK(histogram->at(0.5) == value && histogram->max() == value);
    }
}

void ticks_have_a_rate() {
    const TickRate rate;
    // In this order, so that a pause in between makes the ticks more, and not fewer.
    const std::uint64_t start = ticks(), start_ns = clock_ns();
    while (clock_ns() - start_ns < 20'000'000) {
    }
    const double measured = static_cast<double>(ticks() - start) * rate.ns_per_tick();
    CHECK(measured > 19e6);
}

}  // namespace

int main() {
    percentiles_are_within_a_bucket();
    small_and_extreme_values_are_exact();
    ticks_have_a_rate();
    return 0;
}
