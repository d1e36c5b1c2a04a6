// Sources of requests. A source makes the same requests in the same order each time. So two
// processes with the same source agree on request number N without any communication.

#ifndef ORDER_FLOW_HPP
#define ORDER_FLOW_HPP

#include "order_book.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

class OrderFlow {
public:
    virtual ~OrderFlow() = default;

    /// The next request, with event ids 1, 2, 3, ...
    fs_request_event next() {
        fs_request_event request = make();
        request.event_id = ++made_;
        return request;
    }
    void skip(std::uint64_t count) {
        while (count-- > 0) next();
    }

protected:
    virtual fs_request_event make() = 0;

private:
    std::uint64_t made_ = 0;
};

inline fs_request_event make_request(RequestType type, OrderType order_type, Side side,
                                     std::uint32_t order_id, std::int64_t price,
                                     std::int64_t quantity, std::uint64_t timestamp) {
    fs_request_event request{};
    request.timestamp = timestamp;
    request.price = price;
    request.quantity = quantity;
    request.user_id = order_id % 997 + 1;
    request.order_id = order_id;
    request.type = type;
    request.order_type = order_type;
    request.side = side;
    return request;
}

/// Flow like that of an exchange: most orders are placed near the touch and most are cancelled
/// again; a few cross the spread. The generator does not see the book. So, like real participants,
/// it sometimes asks to change an order that has already traded, and the book rejects that.
class GeneratedFlow : public OrderFlow {
public:
    explicit GeneratedFlow(std::uint64_t seed) : state_(seed) {}

private:
    struct Placed {
        std::uint32_t order_id;
        Side side;
        std::int64_t price;
        std::int64_t quantity;
    };
    static constexpr std::int64_t kTick = 100;  // a cent; prices are in 1/10000 of a dollar
    static constexpr std::size_t kUsualOrders = 20'000;

    fs_request_event make() override {
        timestamp_ += 200 + below(1'600);
        if (below(2'048) == 0)
            middle_ = std::max(middle_ + (below(2) ? kTick : -kTick), 1'000 * kTick);
        // Adds fewer orders if there are many, so that the book keeps its size.
        const std::uint64_t adding = placed_.size() < kUsualOrders ? 50 : 38;
        const std::uint64_t what = below(100);
        if (placed_.empty() || what < adding) return what < 3 ? market() : limit();
        if (what < adding + 12) return modify_price();
        if (what < adding + 20) return modify_quantity();
        return cancel();
    }

    fs_request_event market() {
        return make_request(kNew, kMarket, side(), ++last_order_id_, 0, lots(), timestamp_);
    }

    fs_request_event limit() {
        const Side on = side();
        placed_.push_back({++last_order_id_, on, near_the_touch(on), lots()});
        return request(kNew, placed_.back());
    }

    fs_request_event modify_price() {
        Placed& order = placed_[below(placed_.size())];
        order.price = near_the_touch(order.side);
        return request(kModifyPrice, order);
    }

    fs_request_event modify_quantity() {
        Placed& order = placed_[below(placed_.size())];
        order.quantity = lots();
        return request(kModifyQuantity, order);
    }

    fs_request_event cancel() {
        Placed& chosen = placed_[below(placed_.size())];
        const Placed order = chosen;
        chosen = placed_.back();
        placed_.pop_back();
        return request(kCancel, order);
    }

    fs_request_event request(RequestType type, const Placed& order) {
        return make_request(type, kLimit, order.side, order.order_id, order.price, order.quantity,
                            timestamp_);
    }

    /// Usually within a few ticks of the middle price, sometimes far from it, sometimes across it.
    std::int64_t near_the_touch(Side on) {
        std::int64_t ticks = static_cast<std::int64_t>(below(12)) + (below(4) == 0 ? below(60) : 0);
        if (below(40) == 0) ticks = -static_cast<std::int64_t>(below(4));
        return on == kBid ? middle_ - (1 + ticks) * kTick : middle_ + (1 + ticks) * kTick;
    }

    Side side() { return below(2) ? kAsk : kBid; }
    std::int64_t lots() { return static_cast<std::int64_t>(100 * (1 + below(10))); }

    /// A random number below the limit, by splitmix64: the same on every machine.
    std::uint64_t below(std::uint64_t limit) {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return (z ^ (z >> 31)) % limit;
    }

    std::uint64_t state_;
    std::uint64_t timestamp_ = 1'700'000'000'000'000'000;
    std::int64_t middle_ = 5'776'500;
    std::uint32_t last_order_id_ = 0;
    std::vector<Placed> placed_;
};

#endif  // ORDER_FLOW_HPP
