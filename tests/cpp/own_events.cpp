// The wrapper with an engine's own event type, spans where there are some, and std::chrono.

#include <flashstrike_wal.hpp>

#include "../support/check.h"

#include <array>
#include <chrono>
#include <cstring>
#include <vector>

using namespace flashstrike::wal;
using namespace std::chrono_literals;

namespace {

/// What an engine records of an order, and that with its id.
struct Order {
    std::uint64_t client_order_id;
    std::int64_t price;
    char symbol[8];
    std::uint8_t flags[32];
};
struct OrderEvent {
    std::uint64_t event_id;
    Order order;
};
struct alignas(64) CacheLine : OrderEvent {};

struct Short {
    std::uint64_t event_id;
};
struct Unaligned {
    unsigned char bytes[64];
};
struct Copied : OrderEvent {
    Copied& operator=(const Copied&) { return *this; }
};
struct Virtual {
    std::uint64_t event_id;
    virtual void act();
    std::uint64_t words[6];
};

static_assert(is_event_v<OrderEvent> && is_event_v<CacheLine> && is_event_v<fs_request_event>);
static_assert(!is_event_v<Short> && !is_event_v<Unaligned>);
static_assert(!is_event_v<Copied> && sizeof(Copied) == 64);
static_assert(!is_event_v<Virtual> && sizeof(Virtual) == 64);

static_assert(to_ns(5ms) == 5'000'000 && to_ns(0ns) == 0 && to_ns(-1s) == 0);
static_assert(to_ns(forever) == UINT64_MAX && to_ns(forever - 1ns) == INT64_MAX - 1);
static_assert(to_ns(to_time(1'700'000'000'000'000'001)) == 1'700'000'000'000'000'001);

OrderEvent order(std::uint64_t id) { return {id, {id * 3, 10'000 + int(id), "FLASH", {}}}; }

bool is_order(const OrderEvent& event, std::uint64_t id) {
    const OrderEvent wanted = order(id);
    return std::memcmp(&event, &wanted, sizeof wanted) == 0;
}

void go_in_and_come_out() {
    Log log("own", small_segments());
    log.append(order(1));
    CHECK(log.try_append(order(2)) == FS_WAL_OK);
    CHECK(log.try_append(order(2)) == FS_WAL_ERR_OUT_OF_ORDER);
    CacheLine aligned{order(3)};
    log.append(aligned);

    const std::vector<OrderEvent> vector = {order(4), order(5)};
    log.append_batch(vector);
    const OrderEvent array[] = {order(6), order(7)};
    log.append_batch(array);
    const std::array<OrderEvent, 2> backwards = {order(8), order(1)};
    std::size_t appended = 9;
    CHECK(log.try_append_batch(backwards, appended) == FS_WAL_ERR_OUT_OF_ORDER && appended == 1);
    log.append_batch(std::vector<OrderEvent>());

    Claim place = log.claim();
    place.as<Order>() = order(9).order;
    log.commit(9);
    CHECK(log.try_claim(place) == FS_WAL_OK);
    std::memcpy(&place.as<Order>(), &vector[0].order, Claim::size());
    CHECK(log.try_commit(4) == FS_WAL_ERR_OUT_OF_ORDER);
    log.sync();

    Reader reader("own");
    OrderEvent event;
    CHECK(reader.next(event) && is_order(event, 1));
    CHECK(reader.try_next(aligned) == FS_WAL_OK && is_order(aligned, 2));
    std::uint64_t expected = 3;
    for (const Events& events : reader.batches())
        for (const OrderEvent& own : events.as<OrderEvent>()) CHECK(is_order(own, expected++));
    CHECK(expected == 10 && reader.try_next(event) == FS_WAL_END);
    Events none;
    CHECK(reader.try_next_batch(none) == FS_WAL_END && none.empty());
}

void times_are_those_of_chrono() {
    fs_wal_config config = small_segments();
    config.sync_mode = FS_WAL_SYNC_INTERVAL;
    config.sync_interval_ns = to_ns(1h);
    Log log("timed", config);
    const auto start = std::chrono::system_clock::now();
    for (std::uint64_t id = 1; id <= 10; ++id) {
        fs_request_event event{};
        event.event_id = id;
        event.timestamp = to_ns(start + id * 1ms);
        log.append(event);
    }
    CHECK(!log.wait_durable(11, 1ms) && !log.wait_durable(11, -1s));
    CHECK(log.try_wait_durable(11, 0ns) == FS_WAL_ERR_TIMEOUT);
    CHECK(log.wait_durable(10, 1h) && log.wait_durable(10, forever));

    Reader reader("timed", FS_WAL_READER_FOLLOW);
    fs_request_event event;
    reader.seek_time(start + 7ms);
    CHECK(reader.wait() && reader.next(event) && event.event_id == 7);
    reader.seek(11);
    CHECK(!reader.wait(1ms) && reader.try_wait(0ns) == FS_WAL_ERR_TIMEOUT);

    SnapshotWriter writer("timed", 10);
    while (!writer.commit()) {}
    const auto created = to_time(SnapshotReader("timed").info().created_ns);
    CHECK(created >= start && created <= std::chrono::system_clock::now());
}

#if defined(__cpp_lib_span)
void spans_go_in_and_come_out() {
    Log log("spans", small_segments());
    std::array<OrderEvent, 4> orders = {order(1), order(2), order(3), order(4)};
    log.append_batch(std::span<OrderEvent>(orders).first(3));
    const std::span<std::byte, 56> bytes = log.claim().bytes();
    std::memcpy(bytes.data(), &orders[3].order, bytes.size());
    log.commit(4);
    log.sync();

    Reader reader("spans");
    const Events events = reader.next_batch();
    const std::span<const OrderEvent> own = events.as<OrderEvent>();
    CHECK(own.size() == 4 && own.data() == static_cast<const void*>(events.data()));
    for (std::uint64_t id = 1; id <= 4; ++id) CHECK(is_order(own[id - 1], id));

    SnapshotWriter writer("spans", 4);
    writer.write(std::as_bytes(std::span(orders)));
    CHECK(writer.try_write(std::as_bytes(std::span(orders).first(1))) == FS_WAL_OK);
    while (!writer.commit()) {}
    SnapshotReader snapshot("spans");
    std::array<OrderEvent, 6> state;
    const auto room = std::as_writable_bytes(std::span(state));
    CHECK(snapshot.read(room.first(100)).size() == 100);
    CHECK(snapshot.read(room.subspan(100)).size() == 5 * sizeof(OrderEvent) - 100);
    CHECK(snapshot.read(room).empty() && is_order(state[3], 4) && is_order(state[4], 1));
}
#endif

}  // namespace

int main() {
    go_in_and_come_out();
    times_are_those_of_chrono();
#if defined(__cpp_lib_span)
    spans_go_in_and_come_out();
#endif
    return 0;
}
