/// @file flashstrike_wal.hpp
/// C++17 over flashstrike_wal.h: owners that close what they opened, and errors as exceptions.
///
/// The wrapper is header-only and thin: every call is one call of the C library. Learn the library
/// from flashstrike_wal.h: it says what each call does, which threads may make it, and which
/// status it returns. A call that fails throws flashstrike::wal::Error. Calls of the hot path also
/// exist as try_*: they return the status, throw nothing, and cost no more than the C call. In a
/// program without exceptions (-fno-exceptions) a call that fails prints what it would throw, and
/// ends the process; the try_* calls and those of C do not.
///
///     using namespace flashstrike::wal;
///     Log log("/var/lib/engine/wal");                   // lock, recover
///     Reader reader("/var/lib/engine/wal");
///     fs_request_event event;
///     while (reader.next(event)) apply(event);          // rebuild the books
///     while (next_request(event)) {                     // sets event_id: ids rise
///         log.append(event);
///         apply(event);
///     }
///     log.shutdown();                                   // returns: all of it is durable
///
/// Contents, in the order of flashstrike_wal.h: errors (Error, BatchError, check); opening
/// (Config, LogFunction); appending (Claim); the log (Log: opening, appending, durability,
/// retention, metrics; DurableFd: durability in an event loop); reading (Events, Reader);
/// snapshots and holds (SnapshotWriter, SnapshotReader, Hold); verifying (verify); metrics
/// (metrics_of, metrics_prometheus).

#ifndef FLASHSTRIKE_WAL_HPP
#define FLASHSTRIKE_WAL_HPP

#include "flashstrike_wal.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
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

/// Throws Error unless `status` is FS_WAL_OK. `call` is the name of the C function that returned
/// it; as with failure, on the thread that made the call, right after it.
inline void check(fs_wal_status status, const char* call) {
    if (status != FS_WAL_OK) raise(failure(status, call));
}

// --- opening -------------------------------------------------------------------------------------

/// A fs_wal_config with every field at its default. Set the fields that you want otherwise.
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
    /// Bytes at data(): 56.
    static constexpr std::size_t size() noexcept { return sizeof(fs_request_event) - offset; }

    /// All 56 bytes, for an engine with an event layout of its own.
    unsigned char* data() const noexcept {
        return reinterpret_cast<unsigned char*>(slot_) + offset;
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
    fs_request_event* slot_;
};

// --- the log -------------------------------------------------------------------------------------

// --- durability in an event loop -----------------------------------------------------------------

/// A descriptor for epoll or io_uring, from Log::durable_fd: readable each time the durable
/// watermark has moved, and when the log fails or is shut down. The destructor closes it, before
/// the log is shut down or after.
class DurableFd {
public:
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
    int fd_;
};

/// A log open for writing. It can be moved but not copied, and its destructor shuts the log down.
/// append, append_batch, claim and commit, and their try_ forms, are for one thread, the writer;
/// all other calls may come from any thread. A log that was moved from or shut down owns nothing:
/// calls on it fail with FS_WAL_ERR_INVALID_ARGUMENT, and shutdown does nothing.
class Log {
public:
    /// As a timeout: without limit.
    static constexpr std::uint64_t forever = std::numeric_limits<std::uint64_t>::max();

    // Opening and shutting down.

    /// Opens the log in `dir` with all defaults: locks it and recovers what an earlier process
    /// left.
    explicit Log(const std::string& dir) : Log(dir, nullptr) {}
    /// Opens the log in `dir` with these options.
    Log(const std::string& dir, const fs_wal_config& config) : Log(dir, &config) {}
    /// Opens the log in `dir` with these options and a log function, which is kept until the log
    /// is closed. `config.log` and `config.log_user` are not used.
    Log(const std::string& dir, fs_wal_config config, LogFunction function)
        : wal_(nullptr, Shutdown{std::make_unique<LogFunction>(std::move(function))}) {
        config.log = [](void* user, std::int32_t level, const char* message) noexcept {
            (*static_cast<LogFunction*>(user))(level, message);
        };
        config.log_user = wal_.get_deleter().function.get();
        open(dir, &config);
    }

    /// What opening found and did.
    fs_wal_recovery_report_t recovery_report() const {
        fs_wal_recovery_report_t report{};
        report.struct_size = sizeof report;
        check(fs_wal_recovery_report(wal_.get(), &report), "fs_wal_recovery_report");
        return report;
    }

    /// Makes everything durable and closes the log. When it returns, all of it is on stable
    /// storage. The destructor does the same but cannot say that it failed, so an engine that
    /// stops on purpose calls this.
    /// When the log is refused (`FS_WAL_ERR_INVALID_ARGUMENT`: with `checks`, the writer is in a
    /// call), it stays open and is still this object's.
    void shutdown() {
        const fs_wal_status status = fs_wal_shutdown(wal_.get());
        if (status != FS_WAL_ERR_INVALID_ARGUMENT)
            static_cast<void>(wal_.release());
        check(status, "fs_wal_shutdown");
    }

    /// The C handle, for calls that this class does not wrap. It stays owned by this object.
    fs_wal* handle() const noexcept { return wal_.get(); }

    // Appending.

    /// Appends one event, and returns the status instead of throwing.
    fs_wal_status try_append(const fs_request_event& event) noexcept {
        return fs_wal_append(wal_.get(), &event);
    }
    /// Appends one event.
    void append(const fs_request_event& event) { check(try_append(event), "fs_wal_append"); }

    /// Appends `count` events, and returns the status instead of throwing. Sets `appended`, also
    /// on failure, to how many were appended: the first ones of `events`.
    fs_wal_status try_append_batch(const fs_request_event* events, std::size_t count,
                                   std::size_t& appended) noexcept {
        return fs_wal_append_batch(wal_.get(), events, count, &appended);
    }
    /// Appends `count` events. A BatchError says how many went in before the one that failed.
    void append_batch(const fs_request_event* events, std::size_t count) {
        std::size_t appended = 0;
        const fs_wal_status status = try_append_batch(events, count, appended);
        if (status == FS_WAL_OK) return;
        raise(BatchError(failure(status, "fs_wal_append_batch"), appended));
    }

    /// Claims the next event's place, to be filled without a copy. Then call commit.
    Claim claim() {
        fs_request_event* slot = nullptr;
        check(fs_wal_claim(wal_.get(), &slot), "fs_wal_claim");
        return Claim(slot);
    }
    /// Makes the claimed event exist under this id, and returns the status instead of throwing.
    fs_wal_status try_commit(std::uint64_t event_id) noexcept {
        return fs_wal_commit(wal_.get(), event_id);
    }
    /// Makes the claimed event exist under this id.
    void commit(std::uint64_t event_id) { check(try_commit(event_id), "fs_wal_commit"); }

    // Durability.

    /// The last event appended.
    fs_wal_meta_state meta() const {
        fs_wal_meta_state state;
        check(fs_wal_meta(wal_.get(), &state), "fs_wal_meta");
        return state;
    }
    /// The durable watermark: the last event on stable storage.
    fs_wal_meta_state durable() const {
        fs_wal_meta_state state;
        check(fs_wal_durable(wal_.get(), &state), "fs_wal_durable");
        return state;
    }
    /// Makes everything appended before this call durable, and returns when it is.
    void sync() { check(fs_wal_sync(wal_.get()), "fs_wal_sync"); }

    /// Waits until `event_id` is durable. False when `timeout_ns` nanoseconds passed first.
    bool wait_durable(std::uint64_t event_id, std::uint64_t timeout_ns = forever) {
        const fs_wal_status status = fs_wal_wait_durable(wal_.get(), event_id, timeout_ns);
        if (status == FS_WAL_ERR_TIMEOUT) return false;
        check(status, "fs_wal_wait_durable");
        return true;
    }

    /// A descriptor that tells an event loop when the watermark has moved. Each has its own.
    DurableFd durable_fd() {
        int fd = -1;
        check(fs_wal_durable_fd(wal_.get(), &fd), "fs_wal_durable_fd");
        return DurableFd(fd);
    }

    // Retention.

    /// Moves the retention floor: once this has returned, nothing at or above `event_id` is
    /// deleted; 0 = no floor.
    void set_retention_floor(std::uint64_t event_id) {
        check(fs_wal_set_retention_floor(wal_.get(), event_id), "fs_wal_set_retention_floor");
    }

    // Metrics.

    /// The counters of the log now.
    fs_wal_metrics_t metrics() const {
        fs_wal_metrics_t metrics{};
        metrics.struct_size = sizeof metrics;
        check(fs_wal_metrics(wal_.get(), &metrics), "fs_wal_metrics");
        return metrics;
    }

private:
    Log(const std::string& dir, const fs_wal_config* config) { open(dir, config); }

    void open(const std::string& dir, const fs_wal_config* config) {
        fs_wal* wal = nullptr;
        check(fs_wal_open(dir.c_str(), config, &wal), "fs_wal_open");
        wal_.reset(wal);
    }

    struct Shutdown {
        void operator()(fs_wal* wal) const noexcept { fs_wal_shutdown(wal); }
        // Kept here, it outlives the log that calls it, wherever the Log is moved.
        std::unique_ptr<LogFunction> function;
    };
    std::unique_ptr<fs_wal, Shutdown> wal_;
};

// --- reading -------------------------------------------------------------------------------------

/// Events in the reader's memory, to be walked with a range-for. Valid until the reader's next
/// call. In C++20 they are a std::span as well.
class Events {
public:
    /// `count` events, the first of them at `first`.
    Events(const fs_request_event* first, std::size_t count) noexcept
        : first_(first), count_(count) {}

    /// The first event.
    const fs_request_event* begin() const noexcept { return first_; }
    /// One past the last event.
    const fs_request_event* end() const noexcept { return first_ + count_; }
    /// How many events.
    std::size_t size() const noexcept { return count_; }
    /// Whether there are none: the reader is at the end of the log.
    bool empty() const noexcept { return count_ == 0; }
    /// The first event.
    const fs_request_event* data() const noexcept { return first_; }
#if defined(__cpp_lib_span)
    /// The same events.
    operator std::span<const fs_request_event>() const noexcept { return {first_, count_}; }
#endif

private:
    const fs_request_event* first_;
    std::size_t count_;
};

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
        explicit Iterator(Reader* reader) noexcept : reader_(reader), batch_(nullptr, 0) {}
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
    /// Opens the log in `dir` at its oldest event. `flags` are FS_WAL_READER_ flags, or-ed; with
    /// FS_WAL_READER_SALVAGE the calls below throw once for each damage, and go on behind it when
    /// called again. With FS_WAL_READER_FOLLOW the reader does not end.
    explicit Reader(const std::string& dir, std::uint32_t flags = 0)
        : Reader(dir, with_flags(flags)) {}

    /// The same with all options. `config.struct_size` need not be set.
    Reader(const std::string& dir, fs_wal_reader_config config) {
        fs_wal_reader* reader = nullptr;
        config.struct_size = sizeof config;
        check(fs_wal_reader_open(dir.c_str(), &config, &reader), "fs_wal_reader_open");
        reader_.reset(reader);
    }

    /// Copies the next event to `event`. False at the end of the log; or, when it follows, when
    /// there is none yet.
    bool next(fs_request_event& event) {
        const fs_wal_status status = fs_wal_reader_next(reader_.get(), &event);
        if (status == FS_WAL_END || status == FS_WAL_ERR_WOULD_BLOCK) return false;
        check(status, "fs_wal_reader_next");
        return true;
    }

    /// Some of the next events, without copying them; empty at the end of the log, or when there
    /// are none yet.
    Events next_batch() {
        const fs_request_event* events = nullptr;
        std::size_t count = 0;
        const fs_wal_status status = fs_wal_reader_next_batch(reader_.get(), &events, &count);
        if (status == FS_WAL_END || status == FS_WAL_ERR_WOULD_BLOCK) return Events(nullptr, 0);
        check(status, "fs_wal_reader_next_batch");
        return Events(events, count);
    }

    /// Moves to the first event whose id is `event_id` or higher, forwards or back.
    void seek(std::uint64_t event_id) {
        check(fs_wal_reader_seek(reader_.get(), event_id), "fs_wal_reader_seek");
    }

    /// Following: waits until there is an event to give, at most `timeout_ns` nanoseconds; false if
    /// there is none by then.
    bool wait(std::uint64_t timeout_ns = UINT64_MAX) {
        const fs_wal_status status = fs_wal_reader_wait(reader_.get(), timeout_ns);
        if (status == FS_WAL_ERR_TIMEOUT) return false;
        check(status, "fs_wal_reader_wait");
        return true;
    }

    /// Moves to the first event whose timestamp is `timestamp_ns` or higher, if timestamps rise.
    void seek_time(std::uint64_t timestamp_ns) {
        check(fs_wal_reader_seek_time(reader_.get(), timestamp_ns), "fs_wal_reader_seek_time");
    }

    /// What is left of the log, batch by batch: `for (const Events& events : reader.batches())`.
    Batches batches() noexcept { return Batches(this); }

    /// What the reader has done so far.
    fs_wal_reader_metrics_t metrics() {
        fs_wal_reader_metrics_t metrics{};
        metrics.struct_size = sizeof metrics;
        check(fs_wal_reader_metrics(reader_.get(), &metrics), "fs_wal_reader_metrics");
        return metrics;
    }

private:
    static fs_wal_reader_config with_flags(std::uint32_t flags) noexcept {
        fs_wal_reader_config config{};
        config.flags = flags;
        return config;
    }

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
    /// Begins the snapshot of the state after `event_id`, for the log in `dir`.
    SnapshotWriter(const std::string& dir, std::uint64_t event_id) {
        fs_wal_snapshot* snapshot = nullptr;
        check(fs_wal_snapshot_create(dir.c_str(), event_id, &snapshot), "fs_wal_snapshot_create");
        snapshot_.reset(snapshot);
    }

    /// Adds `n` bytes to the state.
    void write(const void* bytes, std::size_t n) {
        check(fs_wal_snapshot_write(snapshot_.get(), bytes, n), "fs_wal_snapshot_write");
    }

    /// Gives the snapshot its name, durably. False while its event is not known to be durable: call
    /// it again. After true, or an exception, the snapshot is freed, and this object owns nothing.
    bool commit() {
        const fs_wal_status status = fs_wal_snapshot_commit(snapshot_.get());
        if (status == FS_WAL_ERR_WOULD_BLOCK) return false;
        if (status != FS_WAL_ERR_CLOSED && status != FS_WAL_ERR_INVALID_ARGUMENT)
            static_cast<void>(snapshot_.release());
        check(status, "fs_wal_snapshot_commit");
        return true;
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
    /// Opens the newest good snapshot of the log in `dir` at or below `at_most`; 0 = the newest.
    /// Throws Error with FS_WAL_ERR_NOT_FOUND when there is none.
    explicit SnapshotReader(const std::string& dir, std::uint64_t at_most = 0) {
        fs_wal_snapshot* snapshot = nullptr;
        info_.struct_size = sizeof info_;
        check(fs_wal_snapshot_open(dir.c_str(), at_most, &info_, &snapshot),
              "fs_wal_snapshot_open");
        snapshot_.reset(snapshot);
        if (info_.passed_over > 0) warning_ = fs_wal_last_error();
    }

    /// Of which event it is, when it was begun, its size, and how many were passed over.
    const fs_wal_snapshot_info& info() const noexcept { return info_; }
    /// What is wrong with the newest snapshot that was passed over; empty = none was.
    const std::string& warning() const noexcept { return warning_; }

    /// Reads the next bytes into `buf`, up to `n`. Returns how many; 0 = all is read.
    std::size_t read(void* buf, std::size_t n) {
        std::size_t got = 0;
        const fs_wal_status status = fs_wal_snapshot_read(snapshot_.get(), buf, n, &got);
        if (status == FS_WAL_END) return 0;
        check(status, "fs_wal_snapshot_read");
        return got;
    }

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
    /// Opens the hold `name` of the log in `dir` where it stands; a new one at `event_id`, or with
    /// 0 at the oldest event there is.
    Hold(const std::string& dir, const std::string& name, std::uint64_t event_id = 0) {
        fs_wal_hold* hold = nullptr;
        check(fs_wal_hold_open(dir.c_str(), name.c_str(), event_id, &hold), "fs_wal_hold_open");
        hold_.reset(hold);
    }

    /// Lets everything below `event_id` go.
    void move(std::uint64_t event_id) {
        check(fs_wal_hold_move(hold_.get(), event_id), "fs_wal_hold_move");
    }

    /// Where it stands.
    std::uint64_t event_id() const {
        std::uint64_t event_id = 0;
        check(fs_wal_hold_get(hold_.get(), &event_id), "fs_wal_hold_get");
        return event_id;
    }

    /// Removes the hold `name`, which nobody may have open.
    static void remove(const std::string& dir, const std::string& name) {
        check(fs_wal_hold_remove(dir.c_str(), name.c_str()), "fs_wal_hold_remove");
    }

private:
    struct Close {
        void operator()(fs_wal_hold* hold) const noexcept { fs_wal_hold_close(hold); }
    };
    std::unique_ptr<fs_wal_hold, Close> hold_;
};

// --- verifying -----------------------------------------------------------------------------------

/// Checks every byte of the log in `dir` and changes nothing. Damage is a result, not an
/// exception: `damage_count` says how much there is. Throws when the log cannot be checked at all.
inline fs_wal_verify_report_t verify(const std::string& dir) {
    fs_wal_verify_report_t report{};
    report.struct_size = sizeof report;
    const fs_wal_status status = fs_wal_verify(dir.c_str(), &report);
    if (report.damage_count == 0) check(status, "fs_wal_verify");
    return report;
}

// --- metrics -------------------------------------------------------------------------------------

/// The counters of the log in `dir`, which any process may have open. Throws FS_WAL_ERR_NOT_FOUND
/// when it is closed.
inline fs_wal_metrics_t metrics_of(const std::string& dir) {
    fs_wal_metrics_t metrics{};
    metrics.struct_size = sizeof metrics;
    check(fs_wal_metrics_of(dir.c_str(), &metrics), "fs_wal_metrics_of");
    return metrics;
}

/// The counters of some open logs in the Prometheus text format, each with its directory as the
/// label `log`: all logs of a program in one text, as a scrape wants it.
inline std::string metrics_prometheus(std::initializer_list<const Log*> logs) {
    std::vector<const fs_wal*> handles;
    for (const Log* log : logs) handles.push_back(log->handle());
    std::string text;
    std::size_t needed = 0;
    // The numbers grow between two calls, so a size that was asked for may be too small by then.
    for (std::size_t capacity = 16384;; capacity = needed + 1024) {
        text.resize(capacity);
        const fs_wal_status status =
            fs_wal_metrics_prometheus_of_all(handles.data(), handles.size(), text.data(),
                                             text.size(), &needed);
        if (status == FS_WAL_OK && needed <= text.size()) break;
        if (needed <= text.size()) check(status, "fs_wal_metrics_prometheus_of_all");
    }
    text.resize(std::char_traits<char>::length(text.c_str()));
    return text;
}

/// The same of one log.
inline std::string metrics_prometheus(const Log& log) { return metrics_prometheus({&log}); }

}  // namespace flashstrike::wal

#endif  // FLASHSTRIKE_WAL_HPP
