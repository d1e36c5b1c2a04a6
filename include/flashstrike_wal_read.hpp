/// @file flashstrike_wal_read.hpp
/// C++17 over flashstrike_wal_read.h: the events of a segment, or of a whole log, as ranges.
/// Nothing to link. It throws nothing (but std::bad_alloc in Log::add), so that it is the same with
/// -fno-exceptions: what is wrong is asked for after the range has ended.
///
///     using namespace flashstrike::wal;
///     files::Log log;
///     for (const MappedFile& file : map_all("/var/lib/engine/wal"))   // of the program
///         log.add(file.name(), file.data(), file.size());
///     for (const fs_request_event& event : log) apply(event);
///     if (!log.ok()) std::fprintf(stderr, "%s\n", log.damage().what);
///
/// Contents: Events (those of a block); Walk (what Segment and Log have in common); Segment (one
/// file); Log (a directory).

#ifndef FLASHSTRIKE_WAL_READ_HPP
#define FLASHSTRIKE_WAL_READ_HPP

#include "flashstrike_wal_read.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <new>
#include <vector>

/// Reads the files of a log without the library.
namespace flashstrike::wal::files {

/// Events that lie one behind the other, in the bytes they are read from.
class Events {
public:
    /// None.
    Events() noexcept = default;
    /// `size` events, the first of them at `data`.
    Events(const fs_request_event* data, std::size_t size) noexcept : data_(data), size_(size) {}

    /// The first event.
    const fs_request_event* data() const noexcept { return data_; }
    /// How many events.
    std::size_t size() const noexcept { return size_; }
    /// Whether there are none.
    bool empty() const noexcept { return size_ == 0; }
    /// The first event.
    const fs_request_event* begin() const noexcept { return data_; }
    /// One past the last event.
    const fs_request_event* end() const noexcept { return data_ + size_; }
    /// The event at `n`, counted from 0.
    const fs_request_event& operator[](std::size_t n) const noexcept { return data_[n]; }

private:
    const fs_request_event* data_ = nullptr;
    std::size_t size_ = 0;
};

/// The end of a range of events.
struct End {};

/// A walk through events. It is a range of them, to be gone through once; batches() is the same,
/// block by block. Source has `fs_wal_status step(const fs_request_event**, std::size_t*)`.
template <typename Source>
class Walk {
public:
    /// Goes through the events one by one.
    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = fs_request_event;
        using difference_type = std::ptrdiff_t;
        using pointer = const fs_request_event*;
        using reference = const fs_request_event&;

        explicit iterator(Walk* walk) noexcept : walk_(walk) { fill(); }
        reference operator*() const noexcept { return *at_; }
        pointer operator->() const noexcept { return at_; }
        iterator& operator++() noexcept {
            if (++at_ == end_) fill();
            return *this;
        }
        void operator++(int) noexcept { ++*this; }
        bool operator==(End) const noexcept { return at_ == end_; }
        bool operator!=(End) const noexcept { return at_ != end_; }

    private:
        void fill() noexcept {
            const Events events = walk_->next_batch();
            at_ = events.begin();
            end_ = events.end();
        }

        Walk* walk_;
        const fs_request_event* at_ = nullptr;
        const fs_request_event* end_ = nullptr;
    };

    /// The same, block by block.
    class Batches {
    public:
        /// Goes through the blocks.
        class iterator {
        public:
            using iterator_category = std::input_iterator_tag;
            using value_type = Events;
            using difference_type = std::ptrdiff_t;
            using pointer = const Events*;
            using reference = const Events&;

            explicit iterator(Walk* walk) noexcept : walk_(walk), batch_(walk->next_batch()) {}
            reference operator*() const noexcept { return batch_; }
            pointer operator->() const noexcept { return &batch_; }
            iterator& operator++() noexcept {
                batch_ = walk_->next_batch();
                return *this;
            }
            void operator++(int) noexcept { ++*this; }
            bool operator==(End) const noexcept { return batch_.empty(); }
            bool operator!=(End) const noexcept { return !batch_.empty(); }

        private:
            Walk* walk_;
            Events batch_;
        };

        /// The blocks that are left of a walk.
        explicit Batches(Walk* walk) noexcept : walk_(walk) {}
        /// Reads the first block.
        iterator begin() const noexcept { return iterator(walk_); }
        /// The end of the walk.
        End end() const noexcept { return {}; }

    private:
        Walk* walk_;
    };

    /// Reads the first events.
    iterator begin() noexcept { return iterator(this); }
    /// The end of the walk.
    End end() const noexcept { return {}; }
    /// The blocks that are left.
    Batches batches() noexcept { return Batches(this); }

    /// The next events; none at the end, see status(). Those of a Log are valid until the next
    /// call.
    Events next_batch() noexcept {
        const fs_request_event* events = nullptr;
        std::size_t count = 0;
        if (status_ == FS_WAL_OK) status_ = static_cast<Source*>(this)->step(&events, &count);
        return Events(events, count);
    }

    /// FS_WAL_OK while there may be more; then FS_WAL_END, or what is wrong.
    fs_wal_status status() const noexcept { return status_; }

    /// Nothing is wrong so far.
    bool ok() const noexcept { return status_ == FS_WAL_OK || status_ == FS_WAL_END; }

protected:
    Walk() noexcept = default;
    /// What beginning came to.
    void begun(fs_wal_status status) noexcept { status_ = status; }

private:
    fs_wal_status status_ = FS_WAL_OK;
};

/// A walk through one segment. The bytes must stay where they are meanwhile.
class Segment : public Walk<Segment> {
public:
    /// The same as fs_wal_read_hot.
    static Segment hot(const void* bytes, std::size_t size, std::uint32_t index,
                       std::uint64_t after = 0, std::uint64_t durable_id = 0) noexcept {
        Segment segment;
        segment.begun(fs_wal_read_hot(&segment.walk_, bytes, size, index, after, durable_id));
        return segment;
    }

    /// The same as fs_wal_read_cold.
    static Segment cold(const void* content, const fs_wal_read_frame& frame, std::uint32_t index,
                        std::uint64_t after = 0) noexcept {
        Segment segment;
        segment.begun(fs_wal_read_cold(&segment.walk_, content, &frame, index, after));
        return segment;
    }

    /// The same as fs_wal_read_active.
    static Segment active(const void* bytes, std::size_t size, std::uint32_t index,
                          std::uint64_t after = 0) noexcept {
        Segment segment;
        segment.begun(fs_wal_read_active(&segment.walk_, bytes, size, index, after));
        return segment;
    }

    /// What is wrong, when status() is FS_WAL_ERR_CORRUPT.
    const fs_wal_read_damage& damage() const noexcept { return walk_.damage; }

    /// The walk: its header, and where it ends.
    const fs_wal_read_segment& details() const noexcept { return walk_; }

private:
    friend class Walk<Segment>;
    fs_wal_status step(const fs_request_event** events, std::size_t* count) noexcept {
        return fs_wal_read_events(&walk_, events, count);
    }

    fs_wal_read_segment walk_{};
};

/// A walk through a whole log. Give it the files of the directory; the bytes must stay where they
/// are meanwhile, and those of hot segments must be aligned to 8. Cold segments are decompressed
/// one at a time into a buffer of its own.
class Log : public Walk<Log> {
public:
    /// `lz4`: LZ4_decompress_safe_usingDict, to be faster with cold segments.
    explicit Log(fs_wal_read_lz4 lz4 = nullptr) noexcept { log_.lz4 = lz4; }
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;

    /// Takes a file by its name, without its directory. All are to be taken before reading begins.
    /// False for files that are not read: those are left alone.
    bool add(const char* name, const void* bytes, std::size_t size) {
        std::uint64_t number = 0;
        const int kind = fs_wal_read_name(name, &number);
        if (kind == FS_WAL_READ_NAME_HOT || kind == FS_WAL_READ_NAME_COLD) {
            fs_wal_read_files& files = files_of(static_cast<std::uint32_t>(number));
            const bool is_hot = kind == FS_WAL_READ_NAME_HOT;
            (is_hot ? files.has_hot : files.has_cold) = true;
            (is_hot ? files.hot : files.cold) = bytes;
            (is_hot ? files.hot_size : files.cold_size) = size;
        } else if (is(name, FS_WAL_READ_META_NAME)) {
            meta_ = bytes;
            meta_size_ = size;
        } else if (is(name, FS_WAL_READ_IDENTITY_NAME)) {
            has_identity_ = true;
            identity_is_valid_ = fs_wal_read_identity(bytes, size, &identity_);
        } else {
            return false;
        }
        return true;
    }

    /// What `wal_identity` says; nullptr when there is none or it is not valid. When `clean` is 0
    /// the newest events may be in the active directory only.
    const fs_wal_read_identity_t* identity() const noexcept {
        return identity_is_valid_ ? &identity_ : nullptr;
    }

    /// What is wrong, when status() is FS_WAL_ERR_CORRUPT.
    const fs_wal_read_damage& damage() const noexcept { return log_.damage; }

    /// The last event given.
    std::uint64_t last_event_id() const noexcept { return log_.last_event_id; }

private:
    friend class Walk<Log>;

    static bool is(const char* name, const char* other) noexcept {
        return std::strcmp(name, other) == 0;
    }

    fs_wal_read_files& files_of(std::uint32_t index) {
        const auto is_below = [](const fs_wal_read_files& files, std::uint32_t other) {
            return files.index < other;
        };
        auto at = std::lower_bound(segments_.begin(), segments_.end(), index, is_below);
        if (at == segments_.end() || at->index != index) {
            fs_wal_read_files files{};
            files.index = index;
            at = segments_.insert(at, files);
        }
        return *at;
    }

    void prepare() noexcept {
        fs_wal_meta_state meta{};
        if (meta_ != nullptr &&
            (fs_wal_read_meta(meta_, meta_size_, &meta) ||
             (!has_identity_ && fs_wal_read_meta_of_cpp(meta_, meta_size_, &meta))))
            log_.durable_id = meta.last_event_id;
        log_.has_no_identity = !has_identity_;
        log_.segments = segments_.data();
        log_.segment_count = segments_.size();
        for (const fs_wal_read_files& files : segments_)
            if (files.has_cold)
                log_.room_size = std::max(
                    log_.room_size, fs_wal_read_unpacked_size(files.cold, files.cold_size));
        room_.reset(new (std::nothrow) std::uint64_t[log_.room_size / 8 + 1]);
        log_.room = room_.get();
    }

    fs_wal_status step(const fs_request_event** events, std::size_t* count) noexcept {
        if (!room_) prepare();
        if (!room_) return FS_WAL_ERR_NO_SPACE;
        return fs_wal_read_log_events(&log_, events, count);
    }

    fs_wal_read_log log_{};
    std::vector<fs_wal_read_files> segments_;
    std::unique_ptr<std::uint64_t[]> room_;
    const void* meta_ = nullptr;
    std::size_t meta_size_ = 0;
    fs_wal_read_identity_t identity_{};
    bool has_identity_ = false, identity_is_valid_ = false;
};

}  // namespace flashstrike::wal::files

#endif
