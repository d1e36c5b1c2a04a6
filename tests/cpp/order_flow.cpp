// The sources of the examples' requests: the generator gives the same requests for the same seed,
// and LOBSTER messages become the requests they stand for. Malformed lines are reported by number.

#include "flow_options.hpp"

#include "../support/check.h"

#include <cstring>
#include <sstream>
#include <string>
#include <utility>

namespace {

bool same(const fs_request_event& a, const fs_request_event& b) {
    return std::memcmp(&a, &b, sizeof a) == 0;
}

void the_generator_repeats_itself() {
    GeneratedFlow one(7), two(7), skipped(7), other(8);
    skipped.skip(5'000);
    bool differs = false;
    std::uint64_t of_type[4] = {}, market = 0;
    OrderBook book;
    for (std::uint64_t i = 1; i <= 100'000; ++i) {
        const fs_request_event request = one.next();
        CHECK(request.event_id == i);
        CHECK(same(request, two.next()));
        if (i > 5'000) CHECK(same(request, skipped.next()));
        differs |= !same(request, other.next());
        ++of_type[request.type];
        market += request.order_type == kMarket;
        book.apply(request);
    }
    CHECK(differs);
    // Realistic flow: every kind of request, many trades, few rejections.
    for (const std::uint64_t count : of_type) CHECK(count > 1'000);
    CHECK(market > 1'000 && book.trades() > 1'000 && book.orders() > 1'000);
    CHECK(book.rejected() < 100'000 / 5);
}

std::string write_file(const std::string& text) {
    std::ofstream("orders.csv") << text;
    return "orders.csv";
}

LobsterFlow flow_of(const std::string& text) {
    std::ostringstream report;
    LobsterFlow flow(lobster::load(write_file(text), BadLines::kRefuse, report));
    CHECK(report.str().empty());
    return flow;
}

void expect(OrderFlow& flow, RequestType type, OrderType order_type, Side side,
            std::uint32_t order_id, std::int64_t price, std::int64_t quantity,
            std::uint64_t timestamp) {
    fs_request_event wanted =
        make_request(type, order_type, side, order_id, price, quantity, timestamp);
    const fs_request_event found = flow.next();
    wanted.event_id = found.event_id;
    if (!same(found, wanted))
        std::fprintf(stderr, "request %llu is type %u order %u quantity %lld at %llu\n",
                     static_cast<unsigned long long>(found.event_id), found.type, found.order_id,
                     static_cast<long long>(found.quantity),
                     static_cast<unsigned long long>(found.timestamp));
    CHECK(same(found, wanted));
}

void messages_become_requests() {
    LobsterFlow flow = flow_of(
        "10.5,1,700,100,5000,1\n"
        "11.000000001,1,800,50,5100,-1\r\n"
        "12,2,700,30,5000,1\n"  // 70 left
        "13,4,700,20,5000,1\n"  // 50 left; someone sold
        "14,5,0,10,5050,1\n"    // hidden execution: no request
        "15,7,0,0,-1,-1\n"      // halt: no request
        "16,3,999,10,5000,1\n"  // an order from before the file: no request
        "17,2,700,50,5000,1\n"  // all of the rest: a cancel
        "18,1,900,5,4900,1\n");
    constexpr std::uint64_t s = 1'000'000'000, day = 86'400 * s;
    expect(flow, kNew, kLimit, kBid, 1, 5000, 100, 10 * s + s / 2);
    expect(flow, kNew, kLimit, kAsk, 2, 5100, 50, 11 * s + 1);
    expect(flow, kModifyQuantity, kLimit, kBid, 1, 5000, 70, 12 * s);
    expect(flow, kNew, kMarket, kAsk, 3, 0, 20, 13 * s);
    expect(flow, kCancel, kLimit, kBid, 1, 5000, 0, 17 * s);
    expect(flow, kNew, kLimit, kBid, 4, 4900, 5, 18 * s);
    // At the close, resting orders are cancelled in the order of their arrival.
    expect(flow, kCancel, kLimit, kAsk, 2, 5100, 50, 18 * s);
    expect(flow, kCancel, kLimit, kBid, 4, 4900, 5, 18 * s);
    // The next day, with new order ids.
    expect(flow, kNew, kLimit, kBid, 5, 5000, 100, day + 10 * s + s / 2);
    CHECK(flow.next().order_id == 6);
    CHECK(flow.next().event_id == 11);
}

void an_execution_of_all_that_is_left_ends_the_order() {
    LobsterFlow flow = flow_of("1,1,700,100,5000,1\n2,4,700,100,5000,1\n3,3,700,100,5000,1\n");
    expect(flow, kNew, kLimit, kBid, 1, 5000, 100, 1'000'000'000);
    expect(flow, kNew, kMarket, kAsk, 2, 0, 100, 2'000'000'000);
    CHECK(flow.next().order_id == 3);  // the last line deletes an unknown order
}

void times_are_read_both_ways() {
    CHECK(lobster::parse_time("34200.123456789") == 34'200'123'456'789u);
    CHECK(lobster::parse_time("34200") == 34'200'000'000'000u);
    CHECK(lobster::parse_time("1970-01-01 00:00:01.5") == 1'500'000'000u);
    CHECK(lobster::parse_time("2012-06-21 09:30:00.000000001") == 1'340'271'000'000'000'001u);
    CHECK(lobster::parse_time("2000-03-01 00:00:00") == 951'868'800'000'000'000u);
    CHECK(lobster::parse_time("2024-02-29 23:59:59") == 1'709'251'199'000'000'000u);
}

void malformed_lines_are_found_by_number() {
    const char* const malformed[] = {"",
                                     "1,1,700,100,5000",
                                     "1,1,700,100,5000,1,x",
                                     "x,1,700,100,5000,1",
                                     "1.,1,700,100,5000,1",
                                     "-1,1,700,100,5000,1",
                                     "2012-13-21 09:30:00,1,700,100,5000,1",
                                     "1,0,700,100,5000,1",
                                     "1,8,700,100,5000,1",
                                     "1,1,0,100,5000,1",
                                     "1,1,700,0,5000,1",
                                     "1,1,700,100,0,1",
                                     "1,1,700,100,5000,0",
                                     "1,1,700,1e2,5000,1",
                                     "1,1,99999999999999999999,100,5000,1",
                                     "Time,Type,OrderID,Size,Price,Direction"};
    for (const char* line : malformed) {
        const std::string path =
            write_file("1,1,600,100,5000,1\n" + std::string(line) + "\n3,1,800,100,5000,1\n");
        std::ostringstream report;
        CHECK(lobster::load(path, BadLines::kSkip, report).size() == 2);
        CHECK(report.str().rfind("orders.csv:2: ", 0) == 0);
        CHECK(report.str().find(": line skipped\n") ==
              report.str().size() - std::strlen(": line skipped\n"));

        std::string refused;
        try {
            lobster::load(path, BadLines::kRefuse, report);
        } catch (const std::runtime_error& error) {
            refused = error.what();
        }
        CHECK(refused.rfind("orders.csv:2: ", 0) == 0);
    }
}

/// What load reports of a file, and how many messages it finds.
std::pair<std::string, std::size_t> report_of(const std::string& text) {
    std::ostringstream report;
    const std::size_t found = lobster::load(write_file(text), BadLines::kSkip, report).size();
    return {report.str(), found};
}

const std::string kGood = "1,1,600,100,5000,1";

void f27_a_byte_order_mark_and_line_ends_cost_no_order() {
    const auto nothing = [](const std::string& text, std::size_t orders) {
        const auto [report, found] = report_of(text);
        CHECK(report.empty() && found == orders);
    };
    nothing("\xef\xbb\xbf" + kGood + "\n" + kGood + "\n", 2);
    nothing("\xef\xbb\xbf" + kGood + "\r\n" + kGood + "\r\n", 2);
    nothing(kGood + "\n" + kGood, 2);
    nothing("", 0);
    // A mark anywhere else is no number.
    CHECK(report_of(kGood + "\n\xef\xbb\xbf" + kGood + "\n").second == 1);
}

void f27_reports_are_short_however_bad_the_file() {
    const auto [long_field, one] = report_of(kGood + "\n1,1,600," + std::string(5'000'000, 'x') +
                                             ",5000,1\n");
    CHECK(one == 1 && long_field.size() < 200);
    CHECK(long_field.find("(5000000 bytes)") != std::string::npos);
    const std::string zeros = "1,1,600,1" + std::string(2, '\0') + "\x1b[31m,5000,1\n";
    const auto [control, none] = report_of(zeros);
    CHECK(none == 0 && control.find("'1???[31m'") != std::string::npos);

    std::string many = kGood + "\n";
    for (int i = 0; i < 300'000; ++i) many += "bad\n";
    const auto [capped, good] = report_of(many);
    CHECK(good == 1 && capped.size() < 2'000);
    CHECK(capped.find("orders.csv:21: ") != std::string::npos);
    CHECK(capped.find("orders.csv:22: ") == std::string::npos);
    CHECK(capped.find("300000 lines skipped, of which the first 20 are shown\n") !=
          std::string::npos);
}

void f27_a_directory_is_not_an_empty_file() {
    std::ostringstream report;
    std::string refused;
    try {
        lobster::load("/", BadLines::kSkip, report);
    } catch (const std::runtime_error& error) {
        refused = error.what();
    }
    CHECK(refused == "/: cannot be read" || refused == "/: cannot be opened");
}

void a_file_without_orders_is_refused() {
    bool refused = false;
    try {
        flow_of("1,3,700,100,5000,1\n");
    } catch (const std::runtime_error&) {
        refused = true;
    }
    CHECK(refused);
}

}  // namespace

int main() {
    the_generator_repeats_itself();
    messages_become_requests();
    an_execution_of_all_that_is_left_ends_the_order();
    times_are_read_both_ways();
    malformed_lines_are_found_by_number();
    f27_a_byte_order_mark_and_line_ends_cost_no_order();
    f27_reports_are_short_however_bad_the_file();
    f27_a_directory_is_not_an_empty_file();
    a_file_without_orders_is_refused();
    return 0;
}
