// The command line options that the matching engine and the demo share, and the flow they select.

#ifndef FLOW_OPTIONS_HPP
#define FLOW_OPTIONS_HPP

#include "lobster_flow.hpp"
#include "order_flow.hpp"

#include <cstdint>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>

struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline std::uint64_t parse_count(const std::string& name, const std::string& text) {
    if (text.empty() || text.size() > 18 ||
        text.find_first_not_of("0123456789") != std::string::npos)
        throw UsageError("--" + name + " wants a number, not '" + text + "'");
    return std::stoull(text);
}

struct FlowOptions {
    static constexpr const char* kUsage =
        "  --orders=FILE           LOBSTER message file, repeated as often as needed; without it,\n"
        "                          generated flow\n"
        "  --bad-lines=skip|refuse skip and report malformed lines (default), or refuse the file\n"
        "  --seed=N                of the generated flow (default: 1)\n"
        "  --requests=N            how many, in all (default: 2000000)\n";

    std::string orders;
    BadLines bad_lines = BadLines::kSkip;
    std::uint64_t seed = 1;
    std::uint64_t requests = 2'000'000;

    /// Returns false if the option is not one of these.
    bool take(const std::string& name, const std::string& value) {
        if (name == "orders")
            orders = value;
        else if (name == "bad-lines" && value == "skip")
            bad_lines = BadLines::kSkip;
        else if (name == "bad-lines" && value == "refuse")
            bad_lines = BadLines::kRefuse;
        else if (name == "seed")
            seed = parse_count(name, value);
        else if (name == "requests")
            requests = parse_count(name, value);
        else
            return false;
        return true;
    }

    /// Makes the flow from its beginning. Reports malformed lines to `report`.
    std::unique_ptr<OrderFlow> make_flow(std::ostream& report) const {
        if (orders.empty()) return std::make_unique<GeneratedFlow>(seed);
        return std::make_unique<LobsterFlow>(lobster::load(orders, bad_lines, report));
    }
};

/// Calls take(name, value) for every --name=value. If take returns false, that is a usage error.
template <typename Take>
void parse_options(int argc, char** argv, int first, Take take) {
    for (int i = first; i < argc; ++i) {
        const std::string_view argument = argv[i];
        const std::size_t equals = argument.find('=');
        if (argument.substr(0, 2) != "--" || equals == std::string_view::npos ||
            !take(std::string(argument.substr(2, equals - 2)),
                  std::string(argument.substr(equals + 1))))
            throw UsageError("'" + std::string(argument) + "' is not an option");
    }
}

#endif  // FLOW_OPTIONS_HPP
