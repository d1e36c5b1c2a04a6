// C++17 over flashstrike_wal.h: owners that close what they opened, and errors as exceptions.
//
// Header-only, and thin on purpose: every call is one call of the C library, whose header says what each does,
// which threads may call it and which codes it returns. A call that fails throws flashstrike::wal::Error. Calls
// of the hot path also exist as try_*: they return the status, throw nothing and cost nothing over the C call.

#ifndef FLASHSTRIKE_WAL_HPP
#define FLASHSTRIKE_WAL_HPP

#include "flashstrike_wal.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace flashstrike::wal {

/// A failed call: the status, and in what() the library's own words for it (which file, which field, which id).
class Error : public std::runtime_error {
public:
    Error(fs_wal_status status, const std::string& message) : std::runtime_error(message), status_(status) {}

    fs_wal_status status() const noexcept { return status_; }

private:
    fs_wal_status status_;
};

/// Throws unless `status` is FS_WAL_OK. Call it on the thread that failed, at once: the words are per thread.
inline void check(fs_wal_status status, const char* call) {
    if (status == FS_WAL_OK) return;
    std::string message = std::string(call) + ": " + fs_wal_status_string(status);
    // These are normal flow: the library formats no words for them, so those it has are about something else.
    const bool has_words =
        status != FS_WAL_ERR_WOULD_BLOCK && status != FS_WAL_ERR_TIMEOUT && status != FS_WAL_END;
    if (has_words) message += std::string(": ") + fs_wal_last_error();
    throw Error(status, message);
}

/// fs_wal_config with every field at its default.
struct Config : fs_wal_config {
    Config() noexcept : fs_wal_config() { fs_wal_config_init(this, sizeof(fs_wal_config)); }
};

/// Is told what happens to a log: FS_WAL_LOG_ERROR, _WARN or _INFO, and a line. fs_wal_config.log says when, on which
/// threads, and what must not be done in it. One that throws ends the process.
using LogFunction = std::function<void(std::int32_t level, const char* message)>;

/// The place of the next event in the log, without the id: bytes 8 to 63, to be filled before Log::commit.
/// They hold whatever was there before, so fill all that a reader will look at. Valid until the next call on the
/// log. The id is left out because writing it is what makes the event exist: that is commit's work.
class Claim {
public:
    static constexpr std::size_t size() noexcept { return sizeof(fs_request_event) - offset; }

    /// All 56 bytes, for an engine with a payload of its own.
    unsigned char* data() const noexcept { return reinterpret_cast<unsigned char*>(slot_) + offset; }

    std::uint64_t& timestamp() const noexcept { return slot_->timestamp; }
    std::int64_t& price() const noexcept { return slot_->price; }
    std::int64_t& quantity() const noexcept { return slot_->quantity; }
    std::uint32_t& user_id() const noexcept { return slot_->user_id; }
    std::uint32_t& order_id() const noexcept { return slot_->order_id; }
    std::uint8_t& type() const noexcept { return slot_->type; }
    std::uint8_t& order_type() const noexcept { return slot_->order_type; }
    std::uint8_t& side() const noexcept { return slot_->side; }
    auto& reserved() const noexcept { return slot_->reserved; }

private:
    friend class Log;
    static constexpr std::size_t offset = offsetof(fs_request_event, timestamp);
    static_assert(offset == sizeof(std::uint64_t), "the id is the first eight bytes");

    explicit Claim(fs_request_event* slot) noexcept : slot_(slot) {}
    fs_request_event* slot_;
};

/// A log open for writing. append, claim and commit belong to one thread; the rest may be called from any.
class Log {
public:
    static constexpr std::uint64_t forever = std::numeric_limits<std::uint64_t>::max();

    /// Locks `dir`, recovers what an earlier process left there, and is ready to append.
    explicit Log(const std::string& dir) : Log(dir, nullptr) {}
    Log(const std::string& dir, const fs_wal_config& config) : Log(dir, &config) {}
    /// The same, with a log function, which is kept until the log is closed; `config.log` is not used.
    Log(const std::string& dir, fs_wal_config config, LogFunction function)
        : wal_(nullptr, Shutdown{std::make_unique<LogFunction>(std::move(function))}) {
        config.log = [](void* user, std::int32_t level, const char* message) noexcept {
            (*static_cast<LogFunction*>(user))(level, message);
        };
        config.log_user = wal_.get_deleter().function.get();
        open(dir, &config);
    }

    fs_wal_status try_append(const fs_request_event& event) noexcept { return fs_wal_append(wal_.get(), &event); }
    void append(const fs_request_event& event) { check(try_append(event), "fs_wal_append"); }

    /// `appended` says how many went in, on an error too: a prefix of `events`.
    fs_wal_status try_append_batch(const fs_request_event* events, std::size_t count,
                                   std::size_t& appended) noexcept {
        return fs_wal_append_batch(wal_.get(), events, count, &appended);
    }
    void append_batch(const fs_request_event* events, std::size_t count) {
        std::size_t appended = 0;
        check(try_append_batch(events, count, appended), "fs_wal_append_batch");
    }

    Claim claim() {
        fs_request_event* slot = nullptr;
        check(fs_wal_claim(wal_.get(), &slot), "fs_wal_claim");
        return Claim(slot);
    }
    fs_wal_status try_commit(std::uint64_t event_id) noexcept { return fs_wal_commit(wal_.get(), event_id); }
    void commit(std::uint64_t event_id) { check(try_commit(event_id), "fs_wal_commit"); }

    /// The last event appended.
    fs_wal_meta_state meta() const {
        fs_wal_meta_state state;
        check(fs_wal_meta(wal_.get(), &state), "fs_wal_meta");
        return state;
    }
    /// The last event on stable storage.
    fs_wal_meta_state durable() const {
        fs_wal_meta_state state;
        check(fs_wal_durable(wal_.get(), &state), "fs_wal_durable");
        return state;
    }
    void sync() { check(fs_wal_sync(wal_.get()), "fs_wal_sync"); }

    /// False when `timeout_ns` passed first.
    bool wait_durable(std::uint64_t event_id, std::uint64_t timeout_ns = forever) {
        const fs_wal_status status = fs_wal_wait_durable(wal_.get(), event_id, timeout_ns);
        if (status == FS_WAL_ERR_TIMEOUT) return false;
        check(status, "fs_wal_wait_durable");
        return true;
    }

    /// Once this has returned, nothing at or above `event_id` is deleted; 0 = no floor.
    void set_retention_floor(std::uint64_t event_id) {
        check(fs_wal_set_retention_floor(wal_.get(), event_id), "fs_wal_set_retention_floor");
    }

    fs_wal_recovery_report_t recovery_report() const {
        fs_wal_recovery_report_t report{};
        report.struct_size = sizeof report;
        check(fs_wal_recovery_report(wal_.get(), &report), "fs_wal_recovery_report");
        return report;
    }
    fs_wal_metrics_t metrics() const {
        fs_wal_metrics_t metrics{};
        metrics.struct_size = sizeof metrics;
        check(fs_wal_metrics(wal_.get(), &metrics), "fs_wal_metrics");
        return metrics;
    }

    /// Seals and syncs everything and closes the log. Returning means that all of it is safe. The destructor does
    /// the same but has no way to say that it failed, so an engine that stops on purpose calls this.
    void shutdown() { check(fs_wal_shutdown(wal_.release()), "fs_wal_shutdown"); }

    /// For calls of the C library this class does not wrap. Stays owned by this object.
    fs_wal* handle() const noexcept { return wal_.get(); }

private:
    Log(const std::string& dir, const fs_wal_config* config) { open(dir, config); }

    void open(const std::string& dir, const fs_wal_config* config) {
        fs_wal* wal = nullptr;
        check(fs_wal_open(dir.c_str(), config, &wal), "fs_wal_open");
        wal_.reset(wal);
    }

    struct Shutdown {
        void operator()(fs_wal* wal) const noexcept { fs_wal_shutdown(wal); }
        std::unique_ptr<LogFunction> function;  // here, it outlives the log that calls it, whatever is moved where
    };
    std::unique_ptr<fs_wal, Shutdown> wal_;
};

/// Events as the library holds them, valid until the reader's next call.
class Events {
public:
    Events(const fs_request_event* first, std::size_t count) noexcept : first_(first), count_(count) {}

    const fs_request_event* begin() const noexcept { return first_; }
    const fs_request_event* end() const noexcept { return first_ + count_; }
    std::size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }

private:
    const fs_request_event* first_;
    std::size_t count_;
};

/// Replays a log in order, every block verified. One thread a reader. With FS_WAL_READER_SALVAGE in `flags` it
/// throws once for every damage, and goes on behind it when called again.
class Reader {
public:
    explicit Reader(const std::string& dir, std::uint32_t flags = 0) {
        fs_wal_reader* reader = nullptr;
        const fs_wal_reader_config config{sizeof config, flags};
        check(fs_wal_reader_open(dir.c_str(), &config, &reader), "fs_wal_reader_open");
        reader_.reset(reader);
    }

    /// False at the end of the log.
    bool next(fs_request_event& event) {
        const fs_wal_status status = fs_wal_reader_next(reader_.get(), &event);
        if (status == FS_WAL_END) return false;
        check(status, "fs_wal_reader_next");
        return true;
    }

    /// Some of the next events, without copying them; empty at the end of the log.
    Events next_batch() {
        const fs_request_event* events = nullptr;
        std::size_t count = 0;
        const fs_wal_status status = fs_wal_reader_next_batch(reader_.get(), &events, &count);
        if (status == FS_WAL_END) return Events(nullptr, 0);
        check(status, "fs_wal_reader_next_batch");
        return Events(events, count);
    }

    /// Goes on at the first event whose id is at least `event_id`.
    void seek(std::uint64_t event_id) { check(fs_wal_reader_seek(reader_.get(), event_id), "fs_wal_reader_seek"); }

private:
    struct Close {
        void operator()(fs_wal_reader* reader) const noexcept { fs_wal_reader_close(reader); }
    };
    std::unique_ptr<fs_wal_reader, Close> reader_;
};

/// Checks every byte of the log in `dir` and changes nothing. Damage is not an exception but what one asks for:
/// `damage_count` says how much there is. Throws when there is nothing to be checked.
inline fs_wal_verify_report_t verify(const std::string& dir) {
    fs_wal_verify_report_t report{};
    report.struct_size = sizeof report;
    const fs_wal_status status = fs_wal_verify(dir.c_str(), &report);
    if (report.damage_count == 0) check(status, "fs_wal_verify");
    return report;
}

/// The log's metrics in the Prometheus text format.
inline std::string metrics_prometheus(const Log& log) {
    std::string text;
    std::size_t needed = 0;
    // Values grow digits between the two calls, so the size asked for may be short by the time it is used.
    for (std::size_t capacity = 16384;; capacity = needed + 1024) {
        text.resize(capacity);
        const fs_wal_status status =
            fs_wal_metrics_prometheus(log.handle(), text.data(), text.size(), &needed);
        if (status == FS_WAL_OK && needed <= text.size()) break;
        if (needed <= text.size()) check(status, "fs_wal_metrics_prometheus");
    }
    text.resize(std::char_traits<char>::length(text.c_str()));
    return text;
}

}  // namespace flashstrike::wal

#endif  // FLASHSTRIKE_WAL_HPP
