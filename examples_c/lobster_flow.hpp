// Makes requests from a LOBSTER message file (lobsterdata.com). Its lines are
//
//     time,type,order id,size,price * 10000,direction
//
// without a header row. The time is in seconds after midnight, or a date and a time of day, with
// up to nanoseconds. A LOBSTER file says what an exchange did. This code derives the requests that
// made the exchange do it:
//
//   1  new order              a new limit order
//   2  part of it cancelled   modify quantity, to the quantity that was left at the exchange
//   3  deleted                cancel
//   4  visible order executed a market order of that size from the other side
//   5, 6, 7                   hidden executions, crosses and halts: no request; left out
//
// Messages about orders from before the beginning of the file are left out too. At the end of the
// file the orders that still rest are cancelled, like day orders at the close. Then the file
// begins again, a day later and with new order ids, so the flow has no end.

#ifndef LOBSTER_FLOW_HPP
#define LOBSTER_FLOW_HPP

#include "order_flow.hpp"

#include <cctype>
#include <cstdlib>
#include <fstream>
#include <map>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

struct LobsterMessage {
    std::uint64_t time_ns;
    int type;
    std::int64_t order_id;
    std::int64_t size;
    std::int64_t price;
    int direction;
};

enum class BadLines { kSkip, kRefuse };

namespace lobster {

/// A field as it is printed: not all of it when it is long, and no control characters.
inline std::string quoted(const std::string& text) {
    constexpr std::size_t kShown = 40;
    std::string shown = text.substr(0, kShown);
    for (char& c : shown)
        if (std::iscntrl(static_cast<unsigned char>(c))) c = '?';
    if (text.size() <= kShown) return "'" + shown + "'";
    return "'" + shown + "...' (" + std::to_string(text.size()) + " bytes)";
}

[[noreturn]] inline void reject(const std::string& field, const std::string& text) {
    throw std::invalid_argument(field + " is " + quoted(text));
}

inline std::int64_t parse_integer(const std::string& field, const std::string& text) {
    std::size_t used = 0;
    try {
        const long long value = std::stoll(text, &used);
        if (used == text.size()) return value;
    } catch (const std::logic_error&) {
        // Not a number, or one of more than 64 bits.
    }
    reject(field, text);
}

/// "34200.123456789", or "2012-06-21 09:30:00.123456789", as nanoseconds.
inline std::uint64_t parse_time(const std::string& text) {
    constexpr std::uint64_t kSecond = 1'000'000'000;
    std::uint64_t seconds = 0;
    int used = 0, year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    const std::size_t dot = std::min(text.find('.'), text.size());
    const std::string whole = text.substr(0, dot);
    if (std::sscanf(whole.c_str(), "%4d-%2d-%2d %2d:%2d:%2d%n", &year, &month, &day, &hour, &minute,
                    &second, &used) == 6 &&
        used == static_cast<int>(whole.size()) && year >= 1970 && month >= 1 && month <= 12 &&
        day >= 1 && day <= 31 && hour < 24 && minute < 60 && second < 61) {
        // Days since 1970 in the Gregorian calendar. Years begin in March, so that leap days come
        // last.
        const int y = month > 2 ? year : year - 1;
        const int days = 365 * y + y / 4 - y / 100 + y / 400 +
                         (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 719'469;
        seconds = static_cast<std::uint64_t>(days) * 86'400 +
                  static_cast<std::uint64_t>(hour * 3'600 + minute * 60 + second);
    } else if (!whole.empty() && whole.size() <= 10 &&
               whole.find_first_not_of("0123456789") == std::string::npos) {
        seconds = std::stoull(whole);
    } else {
        reject("time", text);
    }
    std::string fraction = dot < text.size() ? text.substr(dot + 1) : "0";
    if (fraction.empty() || fraction.find_first_not_of("0123456789") != std::string::npos)
        reject("time", text);
    fraction.resize(9, '0');  // cuts off digits after the nanoseconds
    return seconds * kSecond + std::stoull(fraction);
}

/// Throws std::invalid_argument if the line is malformed.
inline LobsterMessage parse_line(std::string line) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    std::vector<std::string> fields(1);
    for (const char c : line) {
        if (c == ',')
            fields.emplace_back();
        else
            fields.back() += c;
    }
    if (fields.size() != 6)
        throw std::invalid_argument(std::to_string(fields.size()) + " fields instead of 6");

    LobsterMessage message{};
    message.time_ns = parse_time(fields[0]);
    message.type = static_cast<int>(parse_integer("type", fields[1]));
    message.order_id = parse_integer("order id", fields[2]);
    message.size = parse_integer("size", fields[3]);
    message.price = parse_integer("price", fields[4]);
    message.direction = static_cast<int>(parse_integer("direction", fields[5]));
    if (message.type < 1 || message.type > 7) reject("type", fields[1]);
    if (message.type >= 5) return message;  // their other fields mean something else
    if (message.order_id < 1) reject("order id", fields[2]);
    if (message.size < 1) reject("size", fields[3]);
    if (message.price < 1) reject("price", fields[4]);
    if (message.direction != 1 && message.direction != -1) reject("direction", fields[5]);
    return message;
}

/// A byte order mark, which some editors put at the beginning of a UTF-8 file.
inline void drop_byte_order_mark(std::string& line) {
    constexpr std::string_view kMark = "\xef\xbb\xbf";
    if (line.compare(0, kMark.size(), kMark) == 0) line.erase(0, kMark.size());
}

/// Reports the first malformed lines with their numbers, and then how many there are. Throws if the
/// file cannot be read, and at the first malformed line if bad_lines is kRefuse.
inline std::vector<LobsterMessage> load(const std::string& path, BadLines bad_lines,
                                        std::ostream& report) {
    constexpr std::uint64_t kReported = 20;
    std::ifstream file(path);
    if (!file) throw std::runtime_error(path + ": cannot be opened");
    std::vector<LobsterMessage> messages;
    std::string line;
    std::uint64_t malformed = 0;
    for (std::uint64_t number = 1; std::getline(file, line); ++number) {
        if (number == 1) drop_byte_order_mark(line);
        try {
            messages.push_back(parse_line(line));
        } catch (const std::invalid_argument& wrong) {
            const std::string where = path + ":" + std::to_string(number) + ": " + wrong.what();
            if (bad_lines == BadLines::kRefuse) throw std::runtime_error(where);
            if (++malformed <= kReported) report << where << ": line skipped\n";
        }
    }
    // Reading a directory ends like an empty file, but with `bad`.
    if (file.bad()) throw std::runtime_error(path + ": cannot be read");
    if (malformed > kReported)
        report << path << ": " << malformed << " lines skipped, of which the first " << kReported
               << " are shown\n";
    return messages;
}

}  // namespace lobster

class LobsterFlow : public OrderFlow {
public:
    explicit LobsterFlow(std::vector<LobsterMessage> messages) : messages_(std::move(messages)) {
        const auto is_new = [](const LobsterMessage& message) { return message.type == 1; };
        if (std::none_of(messages_.begin(), messages_.end(), is_new))
            throw std::runtime_error("no new order among the messages: nothing to replay");
    }

private:
    static constexpr std::uint64_t kDay = 86'400'000'000'000;

    struct Resting {
        std::int64_t lobster_id;
        Side side;
        std::int64_t price;
        std::int64_t
            quantity;  // that is left at the exchange; our book may have traded more or less
    };

    fs_request_event make() override {
        fs_request_event request{};
        while (position_ < messages_.size())
            if (translate(messages_[position_++], request)) return request;
        if (!resting_.empty()) return cancel(resting_.begin(), messages_.back().time_ns);
        position_ = 0;
        ++day_;
        return make();
    }

    /// Returns false if no request follows from the message.
    bool translate(const LobsterMessage& message, fs_request_event& request) {
        const Side side = message.direction == 1 ? kBid : kAsk;
        if (message.type == 1) {
            const std::uint32_t order_id = ++last_order_id_;
            ours_[message.order_id] = order_id;
            resting_[order_id] = {message.order_id, side, message.price, message.size};
            request = make_request(kNew, kLimit, side, order_id, message.price, message.size,
                                   at(message.time_ns));
            return true;
        }
        const auto known = message.type <= 4 ? ours_.find(message.order_id) : ours_.end();
        if (known == ours_.end()) return false;
        const auto order = resting_.find(known->second);
        if (message.type == 3) {
            request = cancel(order, message.time_ns);
            return true;
        }
        order->second.quantity -= message.size;
        const bool gone = order->second.quantity < 1;
        if (message.type == 4) {
            request = make_request(kNew, kMarket, side == kBid ? kAsk : kBid, ++last_order_id_, 0,
                                   message.size, at(message.time_ns));
            if (gone) forget(order);
        } else if (gone) {
            request = cancel(order, message.time_ns);
        } else {
            request =
                make_request(kModifyQuantity, kLimit, order->second.side, order->first,
                             order->second.price, order->second.quantity, at(message.time_ns));
        }
        return true;
    }

    using ById = std::map<std::uint32_t, Resting>;  // by our order ids, so in the order of arrival

    fs_request_event cancel(ById::iterator order, std::uint64_t time_ns) {
        const fs_request_event request =
            make_request(kCancel, kLimit, order->second.side, order->first, order->second.price,
                         order->second.quantity, at(time_ns));
        forget(order);
        return request;
    }

    void forget(ById::iterator order) {
        // If the file uses an id twice, the id may belong to a later order by now.
        const auto ours = ours_.find(order->second.lobster_id);
        if (ours != ours_.end() && ours->second == order->first) ours_.erase(ours);
        resting_.erase(order);
    }

    std::uint64_t at(std::uint64_t time_ns) const { return time_ns + day_ * kDay; }

    std::vector<LobsterMessage> messages_;
    std::size_t position_ = 0;
    std::uint64_t day_ = 0;
    std::uint32_t last_order_id_ = 0;
    std::unordered_map<std::int64_t, std::uint32_t> ours_;
    ById resting_;
};

#endif  // LOBSTER_FLOW_HPP
