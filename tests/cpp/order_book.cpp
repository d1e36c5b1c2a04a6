// The order book of the examples: priority, partial fills, and what each request does to an order's
// place in the queue.

#include "order_flow.hpp"

#include <initializer_list>
#include <stdexcept>
#include <vector>

#include "../support/check.h"

namespace {

fs_request_event limit(Side side, std::uint32_t id, std::int64_t price, std::int64_t quantity) {
    return make_request(kNew, kLimit, side, id, price, quantity, 0);
}
fs_request_event market(Side side, std::uint32_t id, std::int64_t quantity) {
    return make_request(kNew, kMarket, side, id, 0, quantity, 0);
}
fs_request_event modify_price(std::uint32_t id, std::int64_t price) {
    return make_request(kModifyPrice, kLimit, kBid, id, price, 0, 0);
}
fs_request_event modify_quantity(std::uint32_t id, std::int64_t quantity) {
    return make_request(kModifyQuantity, kLimit, kBid, id, 0, quantity, 0);
}
fs_request_event cancel(std::uint32_t id) {
    return make_request(kCancel, kLimit, kBid, id, 0, 0, 0);
}

bool rests(const OrderBook& book, std::uint32_t id) { return book.quantity_of(id) > 0; }

void best_price_then_first_come() {
    OrderBook book;
    CHECK(book.apply(limit(kAsk, 1, 102, 10)));
    CHECK(book.apply(limit(kAsk, 2, 101, 10)));
    CHECK(book.apply(limit(kAsk, 3, 101, 10)));
    CHECK(book.best_ask() == 101 && book.best_bid() == 0);
    CHECK(book.apply(market(kBid, 4, 10)));
    CHECK(!rests(book, 2) && rests(book, 3) && rests(book, 1));
    CHECK(book.apply(limit(kBid, 5, 101, 15)));  // takes 10 at 101, rests with 5
    CHECK(book.trades() == 2);
    CHECK(!rests(book, 3) && rests(book, 1) && book.quantity_of(5) == 5);
    CHECK(book.best_bid() == 101 && book.best_ask() == 102);
}

void a_market_order_never_rests() {
    OrderBook book;
    CHECK(book.apply(limit(kBid, 1, 100, 5)));
    CHECK(book.apply(market(kAsk, 2, 50)));
    CHECK(book.trades() == 1 && book.orders() == 0 && book.levels() == 0);
    CHECK(book.apply(market(kAsk, 3, 50)));
    CHECK(book.trades() == 1 && book.orders() == 0);
}

void less_quantity_keeps_the_place_more_loses_it() {
    OrderBook book;
    CHECK(book.apply(limit(kBid, 1, 100, 10)));
    CHECK(book.apply(limit(kBid, 2, 100, 10)));
    CHECK(book.apply(modify_quantity(1, 4)));
    CHECK(book.apply(market(kAsk, 3, 4)));
    CHECK(!rests(book, 1) && rests(book, 2));

    CHECK(book.apply(limit(kBid, 4, 100, 10)));
    CHECK(book.apply(modify_quantity(2, 11)));
    CHECK(book.apply(market(kAsk, 5, 10)));
    CHECK(!rests(book, 4) && rests(book, 2));
}

void a_new_price_queues_last_and_may_trade() {
    OrderBook book;
    CHECK(book.apply(limit(kBid, 1, 100, 10)));
    CHECK(book.apply(limit(kBid, 2, 100, 10)));
    CHECK(book.apply(modify_price(1, 100)));
    CHECK(book.apply(market(kAsk, 3, 10)));
    CHECK(rests(book, 1) && !rests(book, 2));

    CHECK(book.apply(limit(kAsk, 4, 105, 10)));
    CHECK(book.apply(modify_price(1, 105)));
    CHECK(book.trades() == 2 && book.orders() == 0 && book.levels() == 0);
}

void refuses_what_makes_no_sense() {
    OrderBook book;
    CHECK(book.apply(limit(kBid, 1, 100, 10)));
    const fs_request_event wrong[] = {
        limit(kBid, 1, 100, 10),
        limit(kBid, 2, 100, 0),
        limit(kBid, 2, 100, -1),
        limit(kBid, 2, 0, 10),
        market(kBid, 1, 10),
        market(kBid, 2, 0),
        modify_price(2, 100),
        modify_price(1, 0),
        modify_quantity(2, 10),
        modify_quantity(1, 0),
        cancel(2),
        make_request(static_cast<RequestType>(4), kLimit, kBid, 2, 100, 10, 0),
        make_request(kNew, static_cast<OrderType>(2), kBid, 2, 100, 10, 0),
        make_request(kNew, kLimit, static_cast<Side>(2), 2, 100, 10, 0)};
    std::uint64_t rejected = 0;
    for (const fs_request_event& request : wrong) {
        CHECK(!book.apply(request));
        CHECK(book.rejected() == ++rejected);
        CHECK(book.orders() == 1 && book.levels() == 1 && book.trades() == 0);
    }
    CHECK(book.apply(cancel(1)));
    CHECK(book.orders() == 0 && book.levels() == 0);
}

void the_digest_covers_everything() {
    const auto digest = [](std::initializer_list<fs_request_event> requests) {
        OrderBook book;
        for (const fs_request_event& request : requests) book.apply(request);
        return book.digest();
    };
    const auto first = limit(kBid, 1, 100, 10), second = limit(kBid, 2, 100, 10);
    const std::uint64_t both = digest({first, second});
    CHECK(both == digest({first, second}));
    CHECK(both != digest({second, first}));                   // queue order
    CHECK(both != digest({first, limit(kBid, 2, 100, 11)}));  // quantity
    CHECK(both != digest({first, limit(kBid, 2, 99, 10)}));   // price
    CHECK(both != digest({first, limit(kAsk, 2, 101, 10)}));  // side
    CHECK(both != digest({first}));                           // a missing order
    CHECK(digest({first, modify_quantity(1, 5), cancel(1)}) !=
          digest({first, cancel(1)}));  // a request that left no trace
    CHECK(digest({first, second, market(kAsk, 3, 10), limit(kBid, 4, 100, 10)}) !=
          digest({second, limit(kBid, 4, 100, 10)}));  // same book, different trades
}

void a_restored_book_goes_on_as_the_original() {
    OrderBook book;
    GeneratedFlow flow(7);
    for (int i = 0; i < 20'000; ++i) book.apply(flow.next());
    OrderBook restored;
    restored.restore(book.state());
    CHECK(restored.digest() == book.digest() && restored.orders() == book.orders());
    for (int i = 0; i < 20'000; ++i) {
        const fs_request_event request = flow.next();
        CHECK(restored.apply(request) == book.apply(request));
    }
    CHECK(restored.digest() == book.digest());

    std::vector<std::uint64_t> torn = book.state();
    torn.pop_back();
    bool refused = false;
    try {
        OrderBook().restore(torn);
    } catch (const std::runtime_error&) {
        refused = true;
    }
    CHECK(refused);
}

}  // namespace

int main() {
    best_price_then_first_come();
    a_market_order_never_rests();
    less_quantity_keeps_the_place_more_loses_it();
    a_new_price_queues_last_and_may_trade();
    refuses_what_makes_no_sense();
    the_digest_covers_everything();
    a_restored_book_goes_on_as_the_original();
    return 0;
}
