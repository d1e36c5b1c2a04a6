// A matching engine on a write-ahead log. It rebuilds its book from the log, then takes requests
// until the log holds --requests of them. Kill it at any moment and start it again with the same
// options: it continues where the log ends, and ends with the same book.

#include "matching_engine.hpp"

#include "flow_options.hpp"

#include <cstdio>
#include <exception>
#include <iostream>

namespace {

struct Options {
    std::string dir;
    FlowOptions flow;
};

Options parse(int argc, char** argv) {
    Options options;
    parse_options(argc, argv, 1, [&](const std::string& name, const std::string& value) {
        if (name == "dir") {
            options.dir = value;
            return true;
        }
        return options.flow.take(name, value);
    });
    if (options.dir.empty()) throw UsageError("--dir is missing");
    return options;
}

void print(const char* when, const MatchingEngine& engine) {
    const OrderBook& book = engine.book();
    std::printf(
        "%s: %llu requests, %llu trades, %llu rejected, %zu orders at %zu prices, best bid %lld, "
        "best ask %lld, digest %016llx\n",
        when, static_cast<unsigned long long>(engine.last_event_id()),
        static_cast<unsigned long long>(book.trades()),
        static_cast<unsigned long long>(book.rejected()), book.orders(), book.levels(),
        static_cast<long long>(book.best_bid()), static_cast<long long>(book.best_ask()),
        static_cast<unsigned long long>(book.digest()));
    std::fflush(stdout);
}

void run(const Options& options) {
    const auto flow = options.flow.make_flow(std::cerr);
    MatchingEngine engine(options.dir, flashstrike::wal::Config());
    print("rebuilt", engine);

    flow->skip(engine.last_event_id());
    while (engine.last_event_id() < options.flow.requests) engine.submit(flow->next());
    print("now", engine);
    engine.shutdown();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        run(parse(argc, argv));
        return 0;
    } catch (const UsageError& wrong) {
        std::fprintf(stderr,
                     "matching_engine: %s\nusage: matching_engine --dir=DIRECTORY [options]\n%s",
                     wrong.what(), FlowOptions::kUsage);
        return 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "matching_engine: %s\n", error.what());
        return 1;
    }
}
