/// @file flashstrike_wal.hpp
/// C++17 over flashstrike_wal.h: owners that close what they opened, and errors as exceptions or as
/// statuses, whichever you want.
///
/// The wrapper is header-only and thin: every call is one call of the C library, and compiles to
/// it. Learn the library from flashstrike_wal.h: it says what each call does, which threads may
/// make it, and which status it returns.
///
///     using namespace flashstrike::wal;
///     Log log("/var/lib/engine/wal");                   // lock, recover
///     Reader reader("/var/lib/engine/wal");
///     reader.seek(1);                                   // throws if any of it was deleted
///     fs_request_event event;
///     while (reader.next(event)) apply(event);          // rebuild the books
///     while (next_request(event)) {                     // sets event_id: ids rise
///         log.append(event);
///         apply(event);
///     }
///     log.shutdown();                                   // returns: all of it is durable
///
/// A call that fails throws flashstrike::wal::Error. Each also exists as try_*: that returns the
/// status of the C call and throws nothing; failure() makes an Error of the status where its words
/// are wanted. An object is opened without exceptions by its default constructor and try_open:
///
///     Log log;
///     if (const fs_wal_status status = log.try_open("/var/lib/engine/wal"); status != FS_WAL_OK)
///         give_up(failure(status, "open").what());
///
/// In a program without exceptions (-fno-exceptions) a call that would throw prints the error and
/// ends the process; the try_* calls do not.
///
/// An engine's own type of 64 bytes may stand wherever an event does: see is_event_v. Batches are
/// given as whatever std::data and std::size know (a vector, an array, a std::span); events that
/// are read, and bytes, come as a std::span where there is one (C++20). Times and timeouts are
/// std::chrono; to_ns converts them for the fields of C whose names end in _ns.
///
/// Contents, in the order of flashstrike_wal.h: errors (Error, BatchError, failure, check); times
/// (to_ns, to_time, forever); events (is_event_v, EventsOf, Events); opening (Config, LogFunction);
/// appending (Claim); durability in an event loop (DurableFd); the log (Log: opening, appending,
/// durability, retention, metrics); reading (Batches, Reader); snapshots and holds (SnapshotWriter,
/// SnapshotReader, Hold); verifying (verify); metrics (metrics_of, metrics_prometheus).

#ifndef FLASHSTRIKE_WAL_HPP
#define FLASHSTRIKE_WAL_HPP

#include "flashstrike_wal.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>
#if __cplusplus >= 202002L
#include <span>
#endif

#include <unistd.h>

/// The C++ wrapper of flashstrike_wal.h.
namespace flashstrike::wal {

// --- errors --------------------------------------------------------------------------------------

/// A failed call: its status, and in what() the call and the library's own words for the failure
/// (which file, which field, which id).
class Error : public std::runtime_error {
public:
    /// An error with this status and these words.
    Error(fs_wal_status status, const std::string& message, fs_wal_error_detail detail = {})
        : std::runtime_error(message), status_(status), detail_(detail) {}

    /// What the C call returned: FS_WAL_END or one of FS_WAL_ERR_, never FS_WAL_OK.
    fs_wal_status status() const noexcept { return status_; }

    /// The failure as data, such as the range of events that a salvaging reader has skipped. All 0
    /// in errors that are normal flow (WOULD_BLOCK, TIMEOUT, END).
    const fs_wal_error_detail& detail() const noexcept { return detail_; }

private:
    fs_wal_status status_;
    fs_wal_error_detail detail_;
};

/// The Error of Log::append_batch, and how far it got.
class BatchError : public Error {
public:
    /// `error`, after `appended` events.
    BatchError(const Error& error, std::size_t appended) : Error(error), appended_(appended) {}

    /// How many events were appended: the first ones of the batch.
    std::size_t appended() const noexcept { return appended_; }

private:
    std::size_t appended_;
};

/// Throws `error`; without exceptions prints it and ends the process.
template <typename E>
[[noreturn]] void raise(const E& error) {
#if defined(__cpp_exceptions)
    throw error;
#else
    std::fprintf(stderr, "%s\n", error.what());
    std::abort();
#endif
}

/// The failure of a call, with the library's words for it. Asked for on the thread that made the
/// call, right after it: the library keeps the words of the last failure of each thread.
inline Error failure(fs_wal_status status, const char* call) {
    std::string message = std::string(call) + ": " + fs_wal_status_string(status);
    // These are normal flow: the library has no words for them, and its last error is another one.
    const bool has_words = status != FS_WAL_ERR_WOULD_BLOCK && status != FS_WAL_ERR_TIMEOUT &&
                           status != FS_WAL_END;
    if (!has_words) return Error(status, message);
    fs_wal_error_detail detail{};
    detail.struct_size = sizeof detail;
    fs_wal_last_error_detail(&detail);
    return Error(status, message + ": " + fs_wal_last_error(), detail);
}

/// Throws failure(status, call). Out of line, so that a call that can fail costs a comparison.
[[noreturn, gnu::cold, gnu::noinline]] inline void fail(fs_wal_status status, const char* call) {
    raise(failure(status, call));
}

/// Throws Error unless `status` is FS_WAL_OK. `call` is the name of the C function that returned
/// it; as with failure, on the thread that made the call, right after it.
inline void check(fs_wal_status status, const char* call) {
    if (status != FS_WAL_OK) fail(status, call);
}

// --- times ---------------------------------------------------------------------------------------

/// As a timeout: without limit.
inline constexpr std::chrono::nanoseconds forever = std::chrono::nanoseconds::max();

/// A duration as C has it: in nanoseconds, 0 for what is negative, UINT64_MAX for `forever`.
constexpr std::uint64_t to_ns(std::chrono::nanoseconds duration) noexcept {
    if (duration == forever) return UINT64_MAX;
    return duration.count() < 0 ? 0 : static_cast<std::uint64_t>(duration.count());
}

/// A point in time as C has it: in nanoseconds since the epoch of its clock.
template <typename Clock, typename Duration>
constexpr std::uint64_t to_ns(std::chrono::time_point<Clock, Duration> time) noexcept {
    return to_ns(std::chrono::nanoseconds(time.time_since_epoch()));
}

/// A time of the library (fs_wal_snapshot_info.created_ns and others, since 1970) as a time_point.
constexpr std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds> to_time(
    std::uint64_t ns) noexcept {
    return std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>(
        std::chrono::nanoseconds(static_cast<std::int64_t>(ns)));
}

// --- events --------------------------------------------------------------------------------------

/// Whether an engine's own type can be an event of the log: it has 64 bytes, may be copied as
/// bytes, and is aligned as fs_request_event or more. Its first eight bytes are the event id.
template <typename Event>
inline constexpr bool is_event_v =
    sizeof(Event) == sizeof(fs_request_event) && alignof(Event) >= alignof(fs_request_event) &&
    std::is_trivially_copyable_v<Event> && std::is_standard_layout_v<Event>;

/// Fails to compile, and says why, unless is_event_v holds.
template <typename Event>
constexpr void require_event() noexcept {
    static_assert(sizeof(Event) == sizeof(fs_request_event), "an event has 64 bytes");
    static_assert(alignof(Event) >= alignof(fs_request_event),
                  "an event begins with its id, a std::uint64_t, and is aligned for it");
    static_assert(std::is_trivially_copyable_v<Event>, "an event is copied as bytes");
    static_assert(std::is_standard_layout_v<Event>, "an event has one layout everywhere");
}

/// Events of the engine's own type, as C takes them.
template <typename Event>
const fs_request_event* to_c(const Event* events) noexcept {
    require_event<Event>();
    return reinterpret_cast<const fs_request_event*>(events);
}

/// Events in the reader's memory, to be walked with a range-for. Valid until the reader's next
/// call. A contiguous range: in C++20 they convert to a std::span<const Event>.
template <typename Event>
class EventsOf {
public:
    /// None.
    EventsOf() noexcept = default;
    /// `count` events, the first of them at `first`.
    EventsOf(const Event* first, std::size_t count) noexcept : first_(first), count_(count) {}

    /// The first event.
    const Event* begin() const noexcept { return first_; }
    /// One past the last event.
    const Event* end() const noexcept { return first_ + count_; }
    /// How many events.
    std::size_t size() const noexcept { return count_; }
    /// Whether there are none: the reader is at the end of the log.
    bool empty() const noexcept { return count_ == 0; }
    /// The first event.
    const Event* data() const noexcept { return first_; }

    /// The same events as the engine's own type, without copying them.
    template <typename Own>
    EventsOf<Own> as() const noexcept {
        require_event<Own>();
        static_assert(alignof(Own) <= alignof(fs_request_event),
                      "events in the reader's memory are aligned to 8 bytes");
        return {reinterpret_cast<const Own*>(first_), count_};
    }

private:
    const Event* first_ = nullptr;
    std::size_t count_ = 0;
};

/// Events as flashstrike_wal.h has them.
using Events = EventsOf<fs_request_event>;

// --- opening -------------------------------------------------------------------------------------

/// A fs_wal_config with every field at its default. Set the fields that you want otherwise:
/// `config.sync_interval_ns = to_ns(5ms)`.
struct Config : fs_wal_config {
    /// All defaults.
    Config() noexcept : fs_wal_config() { fs_wal_config_init(this, sizeof(fs_wal_config)); }
};

/// Receives what happens to a log: `level` is FS_WAL_LOG_ERROR, FS_WAL_LOG_WARN or
/// FS_WAL_LOG_INFO, `message` one line, valid during the call. fs_wal_config.log says when it is
/// called, on which threads, and what it must not do. If it throws, the process ends.
using LogFunction = std::function<void(std::int32_t level, const char* message)>;

// --- appending -----------------------------------------------------------------------------------

/// The next event's place in the log, without the id: bytes 8 to 63, to be filled before
/// Log::commit. They hold whatever was there before, so fill all that a reader will look at. Valid
/// until the next append, append_batch, claim, commit or shutdown of the log. The id is left out
/// because writing it makes the event exist: that is commit's work.
class Claim {
public:
    /// No place yet: for Log::try_claim.
    Claim() noexcept = default;

    /// Bytes at data(): 56.
    static constexpr std::size_t size() noexcept { return sizeof(fs_request_event) - offset; }

    /// All 56 bytes, for an engine with an event layout of its own.
    unsigned char* data() const noexcept {
        return reinterpret_cast<unsigned char*>(slot_) + offset;
    }

#if defined(__cpp_lib_span)
    /// The same bytes.
    std::span<std::byte, 56> bytes() const noexcept {
        return std::as_writable_bytes(std::span<unsigned char, 56>(data(), size()));
    }
#endif

    /// The same bytes as the engine's own type: an event without its id.
    template <typename Payload>
    Payload& as() const noexcept {
        static_assert(sizeof(Payload) == sizeof(fs_request_event) - offset,
                      "an event has 56 bytes beside its id");
        static_assert(alignof(Payload) <= alignof(fs_request_event),
                      "places in the log are aligned to 8 bytes");
        static_assert(std::is_trivially_copyable_v<Payload> && std::is_standard_layout_v<Payload>,
                      "an event is copied as bytes, and has one layout everywhere");
        return *::new (static_cast<void*>(data())) Payload;
    }

    /// fs_request_event.timestamp, in the log.
    std::uint64_t& timestamp() const noexcept { return slot_->timestamp; }
    /// fs_request_event.price, in the log.
    std::int64_t& price() const noexcept { return slot_->price; }
    /// fs_request_event.quantity, in the log.
    std::int64_t& quantity() const noexcept { return slot_->quantity; }
    /// fs_request_event.user_id, in the log.
    std::uint32_t& user_id() const noexcept { return slot_->user_id; }
    /// fs_request_event.order_id, in the log.
    std::uint32_t& order_id() const noexcept { return slot_->order_id; }
    /// fs_request_event.type, in the log.
    std::uint8_t& type() const noexcept { return slot_->type; }
    /// fs_request_event.order_type, in the log.
    std::uint8_t& order_type() const noexcept { return slot_->order_type; }
    /// fs_request_event.side, in the log.
    std::uint8_t& side() const noexcept { return slot_->side; }
    /// fs_request_event.reserved, in the log.
    auto& reserved() const noexcept { return slot_->reserved; }

private:
    friend class Log;
    static constexpr std::size_t offset = offsetof(fs_request_event, timestamp);
    static_assert(offset == sizeof(std::uint64_t), "the id is the first eight bytes");

    explicit Claim(fs_request_event* slot) noexcept : slot_(slot) {}
    fs_request_event* slot_ = nullptr;
};

// --- durability in an event loop -----------------------------------------------------------------

/// A descriptor for epoll or io_uring, from Log::durable_fd: readable each time the durable
/// watermark has moved, and when the log fails or is shut down. The destructor closes it, before
/// the log is shut down or after.
class DurableFd {
public:
    /// None yet: for Log::try_durable_fd.
    DurableFd() noexcept = default;
    /// Takes a descriptor that fs_wal_durable_fd has given.
    explicit DurableFd(int fd) noexcept : fd_(fd) {}
    /// Takes over what `other` had.
    DurableFd(DurableFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    /// Takes over what `other` had, and leaves its own to `other`.
    DurableFd& operator=(DurableFd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~DurableFd() {
        if (fd_ >= 0) ::close(fd_);
    }

    /// The descriptor, to be waited for. It stays owned by this object.
    int get() const noexcept { return fd_; }

    /// Makes it unreadable until there is something new. Whether there was something.
    bool take() noexcept {
        std::uint64_t moves = 0;
        return ::read(fd_, &moves, sizeof moves) == sizeof moves;
    }

private:
    int fd_ = -1;
};

// --- the log -------------------------------------------------------------------------------------

/// A log open for writing. It can be moved but not copied, and its destructor shuts the log down.
/// append, append_batch, claim and commit, and their try_ forms, are for one thread, the writer;
/// all other calls may come from any thread. A log that was not opened, was moved from or was shut
/// down owns nothing: calls on it fail with FS_WAL_ERR_INVALID_ARGUMENT, and shutdown does nothing.
class Log {
public:
    // Opening and shutting down.

    /// Owns nothing: for try_open.
    Log() noexcept = default;
    /// Opens the log in `dir` with all defaults: locks it and recovers what an earlier process
    /// left.
    explicit Log(const std::string& dir) { check(try_open(dir), "fs_wal_open"); }
    /// Opens the log in `dir` with these options.
    Log(const std::string& dir, const fs_wal_config& config) {
        check(try_open(dir, config), "fs_wal_open");
    }
    /// Opens the log in `dir` with these options and a log function, which is kept until the log
    /// is closed. `config.log` and `config.log_user` are not used.
    Log(const std::string& dir, const fs_wal_config& config, LogFunction function) {
        check(try_open(dir, config, std::move(function)), "fs_wal_open");
    }

    /// As the constructor. If this object has another log open, that is shut down on success.
    [[nodiscard]] fs_wal_status try_open(const std::string& dir) { return open(dir, nullptr, {}); }
    /// As the constructor.
    [[nodiscard]] fs_wal_status try_open(const std::string& dir, const fs_wal_config& config) {
        return open(dir, &config, {});
    }
    /// As the constructor.
    [[nodiscard]] fs_wal_status try_open(const std::string& dir, fs_wal_config config,
                                         LogFunction function) {
        Shutdown shutdown{std::make_unique<LogFunction>(std::move(function))};
        config.log = [](void* user, std::int32_t level, const char* message) noexcept {
            (*static_cast<LogFunction*>(user))(level, message);
        };
        config.log_user = shutdown.function.get();
        return open(dir, &config, std::move(shutdown));
    }

    /// What opening found and did.
    fs_wal_recovery_report_t recovery_report() const {
        fs_wal_recovery_report_t report;
        check(try_recovery_report(report), "fs_wal_recovery_report");
        return report;
    }
    /// The same, to `report`.
    [[nodiscard]] fs_wal_status try_recovery_report(
        fs_wal_recovery_report_t& report) const noexcept {
        report = {};  // an older library leaves the fields that it does not know
        report.struct_size = sizeof report;
        return fs_wal_recovery_report(wal_.get(), &report);
    }

    /// Makes everything durable and closes the log. When it returns, all of it is on stable
    /// storage. The destructor does the same but cannot say that it failed, so an engine that
    /// stops on purpose calls this.
    /// When the log is refused (`FS_WAL_ERR_INVALID_ARGUMENT`: with `checks`, the writer is in a
    /// call), it stays open and is still this object's.
    void shutdown() { check(try_shutdown(), "fs_wal_shutdown"); }
    /// The same.
    [[nodiscard]] fs_wal_status try_shutdown() noexcept {
        const fs_wal_status status = fs_wal_shutdown(wal_.get());
        if (status != FS_WAL_ERR_INVALID_ARGUMENT)
            static_cast<void>(wal_.release());
        return status;
    }

    /// The C handle, for calls that this class does not wrap. It stays owned by this object.
    fs_wal* handle() const noexcept { return wal_.get(); }

    // Appending.

    /// Appends one event.
    template <typename Event = fs_request_event>
    void append(const Event& event) {
        check(try_append(event), "fs_wal_append");
    }
    /// The same.
    template <typename Event = fs_request_event>
    [[nodiscard]] fs_wal_status try_append(const Event& event) noexcept {
        return fs_wal_append(wal_.get(), to_c(&event));
    }

    /// Appends `count` events. A BatchError says how many went in before the one that failed.
    template <typename Event>
    void append_batch(const Event* events, std::size_t count) {
        std::size_t appended = 0;
        const fs_wal_status status = try_append_batch(events, count, appended);
        if (status != FS_WAL_OK) fail_batch(status, appended);
    }
    /// Appends the events of a vector, an array or a std::span.
    template <typename Batch>
    void append_batch(const Batch& events) {
        append_batch(std::data(events), std::size(events));
    }
    /// Appends `count` events. Sets `appended`, also on failure, to how many were appended: the
    /// first ones of `events`.
    template <typename Event>
    [[nodiscard]] fs_wal_status try_append_batch(const Event* events, std::size_t count,
                                                 std::size_t& appended) noexcept {
        return fs_wal_append_batch(wal_.get(), to_c(events), count, &appended);
    }
    /// The same with a vector, an array or a std::span.
    template <typename Batch>
    [[nodiscard]] fs_wal_status try_append_batch(const Batch& events,
                                                 std::size_t& appended) noexcept {
        return try_append_batch(std::data(events), std::size(events), appended);
    }

    /// Claims the next event's place, to be filled without a copy. Then call commit.
    [[nodiscard]] Claim claim() {
        fs_request_event* slot;
        check(fs_wal_claim(wal_.get(), &slot), "fs_wal_claim");
        return Claim(slot);
    }
    /// The same, to `place`.
    [[nodiscard]] fs_wal_status try_claim(Claim& place) noexcept {
        return fs_wal_claim(wal_.get(), &place.slot_);
    }
    /// Makes the claimed event exist under this id.
    void commit(std::uint64_t event_id) { check(try_commit(event_id), "fs_wal_commit"); }
    /// The same.
    [[nodiscard]] fs_wal_status try_commit(std::uint64_t event_id) noexcept {
        return fs_wal_commit(wal_.get(), event_id);
    }

    // Durability.

    /// The last event appended.
    fs_wal_meta_state meta() const {
        fs_wal_meta_state state;
        check(try_meta(state), "fs_wal_meta");
        return state;
    }
    /// The same, to `state`.
    [[nodiscard]] fs_wal_status try_meta(fs_wal_meta_state& state) const noexcept {
        return fs_wal_meta(wal_.get(), &state);
    }

    /// The durable watermark: the last event on stable storage.
    fs_wal_meta_state durable() const {
        fs_wal_meta_state state;
        check(try_durable(state), "fs_wal_durable");
        return state;
    }
    /// The same, to `state`.
    [[nodiscard]] fs_wal_status try_durable(fs_wal_meta_state& state) const noexcept {
        return fs_wal_durable(wal_.get(), &state);
    }

    /// Makes everything appended before this call durable, and returns when it is.
    void sync() { check(try_sync(), "fs_wal_sync"); }
    /// The same.
    [[nodiscard]] fs_wal_status try_sync() noexcept { return fs_wal_sync(wal_.get()); }

    /// Waits until `event_id` is durable.
    void wait_durable(std::uint64_t event_id) {
        check(try_wait_durable(event_id, forever), "fs_wal_wait_durable");
    }
    /// Waits until `event_id` is durable. False when `timeout` passed first.
    [[nodiscard]] bool wait_durable(std::uint64_t event_id, std::chrono::nanoseconds timeout) {
        const fs_wal_status status = try_wait_durable(event_id, timeout);
        if (status == FS_WAL_ERR_TIMEOUT) return false;
        check(status, "fs_wal_wait_durable");
        return true;
    }
    /// The same. FS_WAL_ERR_TIMEOUT when `timeout` passed first.
    [[nodiscard]] fs_wal_status try_wait_durable(std::uint64_t event_id,
                                                 std::chrono::nanoseconds timeout) noexcept {
        return fs_wal_wait_durable(wal_.get(), event_id, to_ns(timeout));
    }

    /// A descriptor that tells an event loop when the watermark has moved. Each has its own.
    [[nodiscard]] DurableFd durable_fd() {
        DurableFd moved;
        check(try_durable_fd(moved), "fs_wal_durable_fd");
        return moved;
    }
    /// The same, to `moved`.
    [[nodiscard]] fs_wal_status try_durable_fd(DurableFd& moved) noexcept {
        int fd = -1;
        const fs_wal_status status = fs_wal_durable_fd(wal_.get(), &fd);
        if (status == FS_WAL_OK) moved = DurableFd(fd);
        return status;
    }

    // Retention.

    /// Moves the retention floor: once this has returned, nothing at or above `event_id` is
    /// deleted; 0 = no floor.
    void set_retention_floor(std::uint64_t event_id) {
        check(try_set_retention_floor(event_id), "fs_wal_set_retention_floor");
    }
    /// The same.
    [[nodiscard]] fs_wal_status try_set_retention_floor(std::uint64_t event_id) noexcept {
        return fs_wal_set_retention_floor(wal_.get(), event_id);
    }

    // Metrics.

    /// The counters of the log now.
    fs_wal_metrics_t metrics() const {
        fs_wal_metrics_t metrics;
        check(try_metrics(metrics), "fs_wal_metrics");
        return metrics;
    }
    /// The same, to `metrics`.
    [[nodiscard]] fs_wal_status try_metrics(fs_wal_metrics_t& metrics) const noexcept {
        metrics = {};
        metrics.struct_size = sizeof metrics;
        return fs_wal_metrics(wal_.get(), &metrics);
    }

private:
    struct Shutdown {
        void operator()(fs_wal* wal) const noexcept { static_cast<void>(fs_wal_shutdown(wal)); }
        // Kept here, it outlives the log that calls it, wherever the Log is moved.
        std::unique_ptr<LogFunction> function;
    };

    fs_wal_status open(const std::string& dir, const fs_wal_config* config, Shutdown shutdown) {
        fs_wal* wal = nullptr;
        const fs_wal_status status = fs_wal_open(dir.c_str(), config, &wal);
        if (status == FS_WAL_OK) wal_ = std::unique_ptr<fs_wal, Shutdown>(wal, std::move(shutdown));
        return status;
    }

    [[noreturn, gnu::cold, gnu::noinline]] static void fail_batch(fs_wal_status status,
                                                                  std::size_t appended) {
        raise(BatchError(failure(status, "fs_wal_append_batch"), appended));
    }

    std::unique_ptr<fs_wal, Shutdown> wal_;
};

// --- reading -------------------------------------------------------------------------------------

class Reader;

/// What is left of a log in batches, to be walked with a range-for: each element is Events.
class Batches {
public:
    /// Where a walk is.
    class Iterator {
    public:
        /// The batch, valid until the next step.
        const Events& operator*() const noexcept { return batch_; }
        /// Reads the next batch. Throws as Reader::next_batch does.
        inline Iterator& operator++();
        /// Whether there is a batch: all ends are equal.
        bool operator!=(const Iterator&) const noexcept { return !batch_.empty(); }

    private:
        friend class Batches;
        explicit Iterator(Reader* reader) noexcept : reader_(reader) {}
        Reader* reader_;
        Events batch_;
    };

    /// Reads the first batch.
    Iterator begin() const { return ++Iterator(reader_); }
    /// The end of the log, as it is when it is reached.
    Iterator end() const noexcept { return Iterator(nullptr); }

private:
    friend class Reader;
    explicit Batches(Reader* reader) noexcept : reader_(reader) {}
    Reader* reader_;
};

/// Replays a log in order. One thread at a time. It can be moved but not copied, and its
/// destructor closes it. With a hold (fs_wal_reader_config.hold), a consumer that an exception ends
/// in the middle of a batch is given that batch again.
class Reader {
public:
    /// Owns nothing: for try_open.
    Reader() noexcept = default;
    /// Opens the log in `dir` at its oldest event. `flags` are FS_WAL_READER_ flags, or-ed; with
    /// FS_WAL_READER_SALVAGE the calls below throw once for each damage, and go on behind it when
    /// called again. With FS_WAL_READER_FOLLOW the reader does not end.
    explicit Reader(const std::string& dir, std::uint32_t flags = 0) {
        check(try_open(dir, flags), "fs_wal_reader_open");
    }
    /// The same with all options. `config.struct_size` need not be set.
    Reader(const std::string& dir, const fs_wal_reader_config& config) {
        check(try_open(dir, config), "fs_wal_reader_open");
    }
    /// As the constructor. What this object had open before is closed on success.
    [[nodiscard]] fs_wal_status try_open(const std::string& dir,
                                         std::uint32_t flags = 0) noexcept {
        fs_wal_reader_config config{};
        config.flags = flags;
        return try_open(dir, config);
    }
    /// As the constructor.
    [[nodiscard]] fs_wal_status try_open(const std::string& dir,
                                         fs_wal_reader_config config) noexcept {
        fs_wal_reader* reader = nullptr;
        config.struct_size = sizeof config;
        const fs_wal_status status = fs_wal_reader_open(dir.c_str(), &config, &reader);
        if (status == FS_WAL_OK) reader_.reset(reader);
        return status;
    }

    /// Copies the next event to `event`. False at the end of the log; or, when it follows, when
    /// there is none yet.
    template <typename Event>
    [[nodiscard]] bool next(Event& event) {
        const fs_wal_status status = try_next(event);
        if (status == FS_WAL_END || status == FS_WAL_ERR_WOULD_BLOCK) return false;
        check(status, "fs_wal_reader_next");
        return true;
    }
    /// The same. FS_WAL_END or FS_WAL_ERR_WOULD_BLOCK when there is none.
    template <typename Event>
    [[nodiscard]] fs_wal_status try_next(Event& event) noexcept {
        require_event<Event>();
        return fs_wal_reader_next(reader_.get(), reinterpret_cast<fs_request_event*>(&event));
    }

    /// Some of the next events, without copying them; empty at the end of the log, or when there
    /// are none yet.
    [[nodiscard]] Events next_batch() {
        Events events;
        const fs_wal_status status = try_next_batch(events);
        if (status != FS_WAL_END && status != FS_WAL_ERR_WOULD_BLOCK)
            check(status, "fs_wal_reader_next_batch");
        return events;
    }
    /// The same, to `events`. FS_WAL_END or FS_WAL_ERR_WOULD_BLOCK when there are none.
    [[nodiscard]] fs_wal_status try_next_batch(Events& events) noexcept {
        const fs_request_event* first = nullptr;
        std::size_t count = 0;
        const fs_wal_status status = fs_wal_reader_next_batch(reader_.get(), &first, &count);
        events = Events(first, count);
        return status;
    }

    /// What is left of the log, batch by batch: `for (const Events& events : reader.batches())`.
    Batches batches() noexcept { return Batches(this); }

    /// Moves to the first event whose id is `event_id` or higher, forwards or back.
    void seek(std::uint64_t event_id) { check(try_seek(event_id), "fs_wal_reader_seek"); }
    /// The same.
    [[nodiscard]] fs_wal_status try_seek(std::uint64_t event_id) noexcept {
        return fs_wal_reader_seek(reader_.get(), event_id);
    }

    /// Moves to the first event whose timestamp is `timestamp` or higher, if timestamps rise.
    void seek_time(std::uint64_t timestamp) {
        check(try_seek_time(timestamp), "fs_wal_reader_seek_time");
    }
    /// The same, in a log whose timestamps are nanoseconds of that clock.
    template <typename Clock, typename Duration>
    void seek_time(std::chrono::time_point<Clock, Duration> time) {
        seek_time(to_ns(time));
    }
    /// The same.
    [[nodiscard]] fs_wal_status try_seek_time(std::uint64_t timestamp) noexcept {
        return fs_wal_reader_seek_time(reader_.get(), timestamp);
    }

    /// Following: waits until there is an event to give, at most `timeout`; false if there is none
    /// by then.
    bool wait(std::chrono::nanoseconds timeout = forever) {
        const fs_wal_status status = try_wait(timeout);
        if (status == FS_WAL_ERR_TIMEOUT) return false;
        check(status, "fs_wal_reader_wait");
        return true;
    }
    /// The same. FS_WAL_ERR_TIMEOUT when `timeout` passed first.
    fs_wal_status try_wait(std::chrono::nanoseconds timeout = forever) noexcept {
        return fs_wal_reader_wait(reader_.get(), to_ns(timeout));
    }

    /// What the reader has done so far.
    fs_wal_reader_metrics_t metrics() {
        fs_wal_reader_metrics_t metrics;
        check(try_metrics(metrics), "fs_wal_reader_metrics");
        return metrics;
    }
    /// The same, to `metrics`.
    [[nodiscard]] fs_wal_status try_metrics(fs_wal_reader_metrics_t& metrics) noexcept {
        metrics = {};
        metrics.struct_size = sizeof metrics;
        return fs_wal_reader_metrics(reader_.get(), &metrics);
    }

private:
    struct Close {
        void operator()(fs_wal_reader* reader) const noexcept { fs_wal_reader_close(reader); }
    };
    std::unique_ptr<fs_wal_reader, Close> reader_;
};

inline Batches::Iterator& Batches::Iterator::operator++() {
    batch_ = reader_->next_batch();
    return *this;
}

// --- snapshots and holds -------------------------------------------------------------------------

/// A snapshot of the engine's state while it is written. One thread at a time. It can be moved but
/// not copied; unless it was committed, its destructor leaves nothing of it.
class SnapshotWriter {
public:
    /// Owns nothing: for try_create.
    SnapshotWriter() noexcept = default;
    /// Begins the snapshot of the state after `event_id`, for the log in `dir`.
    SnapshotWriter(const std::string& dir, std::uint64_t event_id) {
        check(try_create(dir, event_id), "fs_wal_snapshot_create");
    }
    /// As the constructor. What this object had not committed is dropped on success.
    [[nodiscard]] fs_wal_status try_create(const std::string& dir,
                                           std::uint64_t event_id) noexcept {
        fs_wal_snapshot* snapshot = nullptr;
        const fs_wal_status status = fs_wal_snapshot_create(dir.c_str(), event_id, &snapshot);
        if (status == FS_WAL_OK) snapshot_.reset(snapshot);
        return status;
    }

    /// Adds `n` bytes to the state.
    void write(const void* bytes, std::size_t n) {
        check(try_write(bytes, n), "fs_wal_snapshot_write");
    }
    /// The same.
    [[nodiscard]] fs_wal_status try_write(const void* bytes, std::size_t n) noexcept {
        return fs_wal_snapshot_write(snapshot_.get(), bytes, n);
    }
#if defined(__cpp_lib_span)
    /// Adds these bytes to the state.
    void write(std::span<const std::byte> bytes) { write(bytes.data(), bytes.size()); }
    /// The same.
    [[nodiscard]] fs_wal_status try_write(std::span<const std::byte> bytes) noexcept {
        return try_write(bytes.data(), bytes.size());
    }
#endif

    /// Gives the snapshot its name, durably. False while its event is not known to be durable: call
    /// it again. After true, or an exception, the snapshot is freed, and this object owns nothing.
    [[nodiscard]] bool commit() {
        const fs_wal_status status = try_commit();
        if (status == FS_WAL_ERR_WOULD_BLOCK) return false;
        check(status, "fs_wal_snapshot_commit");
        return true;
    }
    /// The same. FS_WAL_ERR_WOULD_BLOCK while its event is not known to be durable.
    [[nodiscard]] fs_wal_status try_commit() noexcept {
        const fs_wal_status status = fs_wal_snapshot_commit(snapshot_.get());
        const bool still_there = status == FS_WAL_ERR_WOULD_BLOCK || status == FS_WAL_ERR_CLOSED ||
                                 status == FS_WAL_ERR_INVALID_ARGUMENT;
        if (!still_there) static_cast<void>(snapshot_.release());
        return status;
    }

private:
    struct Close {
        void operator()(fs_wal_snapshot* snapshot) const noexcept {
            fs_wal_snapshot_close(snapshot);
        }
    };
    std::unique_ptr<fs_wal_snapshot, Close> snapshot_;
};

/// The newest good snapshot of a log, to restore the state from. One thread at a time. It can be
/// moved but not copied.
class SnapshotReader {
public:
    /// Owns nothing: for try_open.
    SnapshotReader() noexcept = default;
    /// Opens the newest good snapshot of the log in `dir` at or below `at_most`; 0 = the newest.
    /// Throws Error with FS_WAL_ERR_NOT_FOUND when there is none.
    explicit SnapshotReader(const std::string& dir, std::uint64_t at_most = 0) {
        check(try_open(dir, at_most), "fs_wal_snapshot_open");
    }
    /// As the constructor. What this object had open before is closed on success.
    [[nodiscard]] fs_wal_status try_open(const std::string& dir, std::uint64_t at_most = 0) {
        fs_wal_snapshot* snapshot = nullptr;
        fs_wal_snapshot_info info{};
        info.struct_size = sizeof info;
        const fs_wal_status status = fs_wal_snapshot_open(dir.c_str(), at_most, &info, &snapshot);
        if (status != FS_WAL_OK) return status;
        snapshot_.reset(snapshot);
        info_ = info;
        warning_ = info.passed_over > 0 ? fs_wal_last_error() : "";
        return status;
    }

    /// Of which event it is, when it was begun, its size, and how many were passed over.
    const fs_wal_snapshot_info& info() const noexcept { return info_; }
    /// What is wrong with the newest snapshot that was passed over; empty = none was.
    const std::string& warning() const noexcept { return warning_; }

    /// Reads the next bytes into `buf`, up to `n`. Returns how many; 0 = all is read.
    [[nodiscard]] std::size_t read(void* buf, std::size_t n) {
        std::size_t got = 0;
        const fs_wal_status status = try_read(buf, n, got);
        if (status != FS_WAL_END) check(status, "fs_wal_snapshot_read");
        return got;
    }
    /// The same, their number to `got`. FS_WAL_END when all is read.
    [[nodiscard]] fs_wal_status try_read(void* buf, std::size_t n, std::size_t& got) noexcept {
        return fs_wal_snapshot_read(snapshot_.get(), buf, n, &got);
    }
#if defined(__cpp_lib_span)
    /// Reads the next bytes into `buf`. Returns the part of it that has them; empty = all is read.
    [[nodiscard]] std::span<std::byte> read(std::span<std::byte> buf) {
        return buf.first(read(buf.data(), buf.size()));
    }
#endif

private:
    struct Close {
        void operator()(fs_wal_snapshot* snapshot) const noexcept {
            fs_wal_snapshot_close(snapshot);
        }
    };
    std::unique_ptr<fs_wal_snapshot, Close> snapshot_;
    fs_wal_snapshot_info info_{};
    std::string warning_;
};

/// A hold that this object has open: nothing at or above its event is deleted. The hold stays when
/// the object goes. One thread at a time. It can be moved but not copied.
class Hold {
public:
    /// Owns nothing: for try_open.
    Hold() noexcept = default;
    /// Opens the hold `name` of the log in `dir` where it stands; a new one at `event_id`, or with
    /// 0 at the oldest event there is.
    Hold(const std::string& dir, const std::string& name, std::uint64_t event_id = 0) {
        check(try_open(dir, name, event_id), "fs_wal_hold_open");
    }
    /// As the constructor. What this object had open before is closed on success.
    [[nodiscard]] fs_wal_status try_open(const std::string& dir, const std::string& name,
                                         std::uint64_t event_id = 0) noexcept {
        fs_wal_hold* hold = nullptr;
        const fs_wal_status status =
            fs_wal_hold_open(dir.c_str(), name.c_str(), event_id, &hold);
        if (status == FS_WAL_OK) hold_.reset(hold);
        return status;
    }

    /// Lets everything below `event_id` go.
    void move(std::uint64_t event_id) { check(try_move(event_id), "fs_wal_hold_move"); }
    /// The same.
    fs_wal_status try_move(std::uint64_t event_id) noexcept {
        return fs_wal_hold_move(hold_.get(), event_id);
    }

    /// Where it stands.
    std::uint64_t event_id() const {
        std::uint64_t event_id = 0;
        check(try_event_id(event_id), "fs_wal_hold_get");
        return event_id;
    }
    /// The same, to `event_id`.
    [[nodiscard]] fs_wal_status try_event_id(std::uint64_t& event_id) const noexcept {
        return fs_wal_hold_get(hold_.get(), &event_id);
    }

    /// Removes the hold `name`, which nobody may have open.
    static void remove(const std::string& dir, const std::string& name) {
        check(try_remove(dir, name), "fs_wal_hold_remove");
    }
    /// The same.
    static fs_wal_status try_remove(const std::string& dir, const std::string& name) noexcept {
        return fs_wal_hold_remove(dir.c_str(), name.c_str());
    }

private:
    struct Close {
        void operator()(fs_wal_hold* hold) const noexcept { fs_wal_hold_close(hold); }
    };
    std::unique_ptr<fs_wal_hold, Close> hold_;
};

// --- verifying -----------------------------------------------------------------------------------

/// As verify, to `report`. FS_WAL_ERR_CORRUPT, and a report that names them, if there are damages.
[[nodiscard]] inline fs_wal_status try_verify(const std::string& dir,
                                              fs_wal_verify_report_t& report) noexcept {
    report = {};
    report.struct_size = sizeof report;
    return fs_wal_verify(dir.c_str(), &report);
}

/// Checks every byte of the log in `dir` and changes nothing. Damage is a result, not an
/// exception: `damage_count` says how much there is. Throws when the log cannot be checked at all.
inline fs_wal_verify_report_t verify(const std::string& dir) {
    fs_wal_verify_report_t report;
    const fs_wal_status status = try_verify(dir, report);
    if (report.damage_count == 0) check(status, "fs_wal_verify");
    return report;
}

// --- metrics -------------------------------------------------------------------------------------

/// As metrics_of, to `metrics`.
[[nodiscard]] inline fs_wal_status try_metrics_of(const std::string& dir,
                                                  fs_wal_metrics_t& metrics) noexcept {
    metrics = {};
    metrics.struct_size = sizeof metrics;
    return fs_wal_metrics_of(dir.c_str(), &metrics);
}

/// The counters of the log in `dir`, which any process may have open. Throws FS_WAL_ERR_NOT_FOUND
/// when it is closed.
inline fs_wal_metrics_t metrics_of(const std::string& dir) {
    fs_wal_metrics_t metrics;
    check(try_metrics_of(dir, metrics), "fs_wal_metrics_of");
    return metrics;
}

/// As metrics_prometheus, to `text`, which is empty on failure.
[[nodiscard]] inline fs_wal_status try_metrics_prometheus(std::initializer_list<const Log*> logs,
                                                          std::string& text) {
    std::vector<const fs_wal*> handles;
    for (const Log* log : logs) handles.push_back(log->handle());
    std::size_t needed = 0;
    fs_wal_status status = FS_WAL_OK;
    // The numbers grow between two calls, so a size that was asked for may be too small by then.
    for (std::size_t capacity = 16384;; capacity = needed + 1024) {
        text.assign(capacity, '\0');
        status = fs_wal_metrics_prometheus_of_all(handles.data(), handles.size(), text.data(),
                                                  text.size(), &needed);
        if (needed <= text.size()) break;
    }
    text.resize(std::char_traits<char>::length(text.c_str()));
    return status;
}

/// The counters of some open logs in the Prometheus text format, each with its directory as the
/// label `log`: all logs of a program in one text, as a scrape wants it.
inline std::string metrics_prometheus(std::initializer_list<const Log*> logs) {
    std::string text;
    check(try_metrics_prometheus(logs, text), "fs_wal_metrics_prometheus_of_all");
    return text;
}

/// The same of one log.
inline std::string metrics_prometheus(const Log& log) { return metrics_prometheus({&log}); }

}  // namespace flashstrike::wal

#endif  // FLASHSTRIKE_WAL_HPP
