// A limit order book with price-time priority. It depends on nothing but its requests: the same
// requests in the same order make the same book. So an engine can rebuild its book by replay.
//
// The requests:
//   new, limit       trades with the other side while prices cross; the rest waits in the book
//   new, market      trades until filled or the other side is empty; the rest is dropped
//   modify price     takes the order out and enters it again at the new price: it may trade, and
//                    goes to the end of the queue
//   modify quantity  sets what is left of the order: with less it keeps its place in the queue,
//                    with more it goes to the end
//   cancel           takes the order out
// Invalid requests (an unknown or a used order id, a quantity below 1) are counted as rejected, and
// change nothing else.

#ifndef ORDER_BOOK_HPP
#define ORDER_BOOK_HPP

#include <flashstrike_wal.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <stdexcept>
#include <unordered_map>
#include <vector>

enum RequestType : std::uint8_t { kNew = 0, kModifyPrice = 1, kModifyQuantity = 2, kCancel = 3 };
enum OrderType : std::uint8_t { kLimit = 0, kMarket = 1 };
enum Side : std::uint8_t { kBid = 0, kAsk = 1 };

/// A digest of 64-bit words in order, mixed as in splitmix64.
class Digest {
public:
    void add(std::uint64_t word) {
        std::uint64_t z = (value_ ^ word) + 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        value_ = z ^ (z >> 31);
    }
    std::uint64_t value() const { return value_; }

    Digest() = default;
    /// Goes on where another digest was.
    explicit Digest(std::uint64_t value) : value_(value) {}

private:
    std::uint64_t value_ = 0;
};

class OrderBook {
public:
    OrderBook() = default;
    // The index of a copy would point into the queues of the original.
    OrderBook(const OrderBook&) = delete;
    OrderBook& operator=(const OrderBook&) = delete;

    /// Returns false if the request was rejected.
    bool apply(const fs_request_event& request) {
        ++requests_;
        const bool accepted = dispatch(request);
        if (!accepted) ++rejected_;
        return accepted;
    }

    /// A digest of every order on both sides, in the order of prices and queues, and of all trades.
    /// The number of requests is in it because one that is left out need not leave a trace: a
    /// change of an order that is cancelled later.
    std::uint64_t digest() const {
        Digest digest;
        digest.add(trade_history_.value());
        digest.add(trades_);
        digest.add(requests_);
        digest.add(rejected_);
        add_side(digest, bids_);
        add_side(digest, asks_);
        return digest.value();
    }

    /// All that the book is, for a snapshot: what has been counted so far, then the orders of both
    /// sides, in the order of prices and queues.
    std::vector<std::uint64_t> state() const {
        std::vector<std::uint64_t> words{trade_history_.value(), requests_, trades_, rejected_};
        words.reserve(words.size() + kWordsAnOrder * orders());
        save_side(words, bids_);
        save_side(words, asks_);
        return words;
    }

    /// Makes an empty book the one that state() was taken of.
    void restore(const std::vector<std::uint64_t>& words) {
        if (words.size() < 4 || (words.size() - 4) % kWordsAnOrder != 0)
            throw std::runtime_error("this is no state of an order book");
        trade_history_ = Digest(words[0]);
        requests_ = words[1];
        trades_ = words[2];
        rejected_ = words[3];
        for (std::size_t i = 4; i < words.size(); i += kWordsAnOrder)
            put_last({static_cast<std::uint32_t>(words[i]),
                      static_cast<std::uint32_t>(words[i + 1]),
                      static_cast<std::uint8_t>(words[i + 2]),
                      static_cast<std::int64_t>(words[i + 3]),
                      static_cast<std::int64_t>(words[i + 4])});
    }

    /// What is left of an order; 0 if it is not in the book.
    std::int64_t quantity_of(std::uint32_t order_id) const {
        const auto found = by_id_.find(order_id);
        return found == by_id_.end() ? 0 : found->second->quantity;
    }
    std::size_t orders() const { return by_id_.size(); }
    std::size_t levels() const { return bids_.size() + asks_.size(); }
    std::uint64_t trades() const { return trades_; }
    std::uint64_t rejected() const { return rejected_; }
    /// 0 if the side is empty.
    std::int64_t best_bid() const { return bids_.empty() ? 0 : bids_.begin()->first; }
    std::int64_t best_ask() const { return asks_.empty() ? 0 : asks_.begin()->first; }

private:
    struct Order {
        std::uint32_t order_id;
        std::uint32_t user_id;
        std::uint8_t side;
        std::int64_t price;
        std::int64_t quantity;
    };
    using Queue = std::list<Order>;  // first come, first served
    using Bids = std::map<std::int64_t, Queue, std::greater<std::int64_t>>;
    using Asks = std::map<std::int64_t, Queue>;

    bool dispatch(const fs_request_event& request) {
        switch (request.type) {
            case kNew: return add(request);
            case kModifyPrice: return modify_price(request.order_id, request.price);
            case kModifyQuantity: return modify_quantity(request.order_id, request.quantity);
            case kCancel: return cancel(request.order_id);
            default: return false;
        }
    }

    bool add(const fs_request_event& request) {
        if (request.quantity < 1 || request.side > kAsk || by_id_.count(request.order_id))
            return false;
        Order order{request.order_id, request.user_id, request.side, request.price,
                    request.quantity};
        if (request.order_type == kMarket) {
            match(order, [](std::int64_t) { return true; });
            return true;
        }
        if (request.order_type != kLimit || request.price < 1) return false;
        enter(order);
        return true;
    }

    bool modify_price(std::uint32_t order_id, std::int64_t price) {
        const auto found = by_id_.find(order_id);
        if (found == by_id_.end() || price < 1) return false;
        Order order = *found->second;
        remove(found);
        order.price = price;
        enter(order);
        return true;
    }

    bool modify_quantity(std::uint32_t order_id, std::int64_t quantity) {
        const auto found = by_id_.find(order_id);
        if (found == by_id_.end() || quantity < 1) return false;
        const auto order = found->second;
        if (quantity > order->quantity) {
            Queue& queue = queue_of(*order);
            queue.splice(queue.end(), queue, order);
        }
        order->quantity = quantity;
        return true;
    }

    bool cancel(std::uint32_t order_id) {
        const auto found = by_id_.find(order_id);
        if (found == by_id_.end()) return false;
        remove(found);
        return true;
    }

    /// Trades while prices cross, then puts the rest into the queue.
    void enter(Order& order) {
        const std::int64_t limit = order.price;
        if (order.side == kBid)
            match(order, [limit](std::int64_t ask) { return ask <= limit; });
        else
            match(order, [limit](std::int64_t bid) { return bid >= limit; });
        if (order.quantity > 0) put_last(order);
    }

    void put_last(const Order& order) {
        Queue& queue = queue_of(order);
        by_id_[order.order_id] = queue.insert(queue.end(), order);
    }

    template <typename Crosses>
    void match(Order& taker, Crosses crosses) {
        if (taker.side == kBid)
            match_against(asks_, taker, crosses);
        else
            match_against(bids_, taker, crosses);
    }

    template <typename Levels, typename Crosses>
    void match_against(Levels& levels, Order& taker, Crosses crosses) {
        while (taker.quantity > 0 && !levels.empty() && crosses(levels.begin()->first)) {
            Queue& queue = levels.begin()->second;
            Order& maker = queue.front();
            const std::int64_t quantity = std::min(taker.quantity, maker.quantity);
            record_trade(maker, taker, quantity);
            taker.quantity -= quantity;
            maker.quantity -= quantity;
            if (maker.quantity > 0) return;
            by_id_.erase(maker.order_id);
            queue.pop_front();
            if (queue.empty()) levels.erase(levels.begin());
        }
    }

    void record_trade(const Order& maker, const Order& taker, std::int64_t quantity) {
        ++trades_;
        trade_history_.add(maker.order_id);
        trade_history_.add(taker.order_id);
        trade_history_.add(static_cast<std::uint64_t>(maker.price));
        trade_history_.add(static_cast<std::uint64_t>(quantity));
    }

    Queue& queue_of(const Order& order) {
        return order.side == kBid ? bids_[order.price] : asks_[order.price];
    }

    using ById = std::unordered_map<std::uint32_t, Queue::iterator>;

    void remove(ById::iterator found) {
        const Order order = *found->second;
        Queue& queue = queue_of(order);
        queue.erase(found->second);
        by_id_.erase(found);
        if (!queue.empty()) return;
        if (order.side == kBid)
            bids_.erase(order.price);
        else
            asks_.erase(order.price);
    }

    template <typename Levels>
    static void add_side(Digest& digest, const Levels& levels) {
        digest.add(levels.size());
        for (const auto& [price, queue] : levels) {
            digest.add(static_cast<std::uint64_t>(price));
            digest.add(queue.size());
            for (const Order& order : queue) {
                digest.add(order.order_id);
                digest.add(order.user_id);
                digest.add(static_cast<std::uint64_t>(order.quantity));
            }
        }
    }

    static constexpr std::size_t kWordsAnOrder = 5;

    template <typename Levels>
    static void save_side(std::vector<std::uint64_t>& words, const Levels& levels) {
        for (const auto& [price, queue] : levels)
            for (const Order& order : queue)
                words.insert(words.end(), {order.order_id, order.user_id, order.side,
                                           static_cast<std::uint64_t>(order.price),
                                           static_cast<std::uint64_t>(order.quantity)});
    }

    Bids bids_;
    Asks asks_;
    ById by_id_;
    Digest trade_history_;
    std::uint64_t requests_ = 0;
    std::uint64_t trades_ = 0;
    std::uint64_t rejected_ = 0;
};

#endif  // ORDER_BOOK_HPP
