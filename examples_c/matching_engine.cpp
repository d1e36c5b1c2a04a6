// A matching engine on a write-ahead log. It rebuilds its book from the newest snapshot and what
// follows in the log, then takes requests until the log holds --requests of them. Now and then a
// forked child takes a snapshot. Kill it at any moment and start it again with the same options: it
// continues where the log ends, and ends with the same book.

#include "matching_engine.hpp"

#include "flow_options.hpp"
#include "print_book.hpp"

#include <cstdio>
#include <exception>
#include <iostream>

namespace {

struct Options {
    std::string dir;
    std::uint64_t snapshot_every = 1'000'000;
    Snapshots snapshots = Snapshots::kUse;
    FlowOptions flow;
};

constexpr const char* kUsage =
    "usage: matching_engine --dir=DIRECTORY [options]\n"
    "  --snapshot-every=N      take a snapshot after so many requests; 0: none (default: 1000000)\n"
    "  --snapshots=use|ignore  rebuild the book from the newest one (default), or from the log\n";

Options parse(int argc, char** argv) {
    Options options;
    parse_options(argc, argv, 1, [&](const std::string& name, const std::string& value) {
        if (name == "dir")
            options.dir = value;
        else if (name == "snapshot-every")
            options.snapshot_every = parse_count(name, value);
        else if (name == "snapshots" && (value == "use" || value == "ignore"))
            options.snapshots = value == "use" ? Snapshots::kUse : Snapshots::kIgnore;
        else
            return options.flow.take(name, value);
        return true;
    });
    if (options.dir.empty()) throw UsageError("--dir is missing");
    return options;
}

void run(const Options& options) {
    const auto flow = options.flow.make_flow(std::cerr);
    MatchingEngine engine(options.dir, flashstrike::wal::Config(), options.snapshots);
    const std::uint64_t snapshot_id = engine.rebuilt().snapshot_id;
    std::printf("snapshot: after %llu requests, %llu replayed\n",
                static_cast<unsigned long long>(snapshot_id),
                static_cast<unsigned long long>(engine.last_event_id() - snapshot_id));
    print_book("rebuilt", engine.last_event_id(), engine.book());

    flow->skip(engine.last_event_id());
    while (engine.last_event_id() < options.flow.requests) {
        engine.submit(flow->next());
        if (options.snapshot_every > 0 && engine.last_event_id() % options.snapshot_every == 0)
            engine.begin_snapshot();
    }
    print_book("now", engine.last_event_id(), engine.book());
    engine.shutdown();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        run(parse(argc, argv));
        return 0;
    } catch (const UsageError& wrong) {
        std::fprintf(stderr, "matching_engine: %s\n%s%s", wrong.what(), kUsage,
                     FlowOptions::kUsage);
        return 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "matching_engine: %s\n", error.what());
        return 1;
    }
}
