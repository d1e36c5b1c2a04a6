// One line about a book: equal lines are equal books.

#ifndef PRINT_BOOK_HPP
#define PRINT_BOOK_HPP

#include "order_book.hpp"

#include <cstdint>
#include <cstdio>

inline void print_book(const char* when, std::uint64_t last_event_id, const OrderBook& book) {
    std::printf(
        "%s: %llu requests, %llu trades, %llu rejected, %zu orders at %zu prices, best bid %lld, "
        "best ask %lld, digest %016llx\n",
        when, static_cast<unsigned long long>(last_event_id),
        static_cast<unsigned long long>(book.trades()),
        static_cast<unsigned long long>(book.rejected()), book.orders(), book.levels(),
        static_cast<long long>(book.best_bid()), static_cast<long long>(book.best_ask()),
        static_cast<unsigned long long>(book.digest()));
    std::fflush(stdout);
}

#endif  // PRINT_BOOK_HPP
