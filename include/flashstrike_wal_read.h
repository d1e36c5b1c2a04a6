/**
 * @file flashstrike_wal_read.h
 * Reads the files of a log without the library: nothing to link, nothing to run.
 *
 * For programs that get at a log's files and not at the library: on another machine, in another
 * build, in a sandbox that maps files. C99, C++11 and later; any little-endian processor. It takes
 * layouts and constants from flashstrike_wal.h and calls none of its functions, so the two headers
 * are all there is to copy. flashstrike_wal_read.hpp has the same for C++17.
 *
 * It is as strict as the library's reader: it gives out the same events in the same order, ends
 * where that ends, and refuses what that refuses, at the same place. It works on bytes that the
 * program has read or mapped, allocates nothing and keeps nothing but pointers to them. It is for
 * files at rest: whoever reads a log while it is written uses fs_wal_reader_open, which sees events
 * in memory and waits for files that the writer moves.
 *
 *     fs_wal_read_segment segment;
 *     const fs_request_event *events;
 *     size_t count;
 *     fs_wal_status status = fs_wal_read_hot(&segment, bytes, size, index, 0, 0);
 *     while (status == FS_WAL_OK &&
 *            (status = fs_wal_read_events(&segment, &events, &count)) == FS_WAL_OK)
 *         apply(events, count);
 *     if (status != FS_WAL_END)
 *         fprintf(stderr, "offset %" PRIu64 ": %s\n", segment.damage.offset, segment.damage.what);
 *
 * CONTENTS
 *
 *   1. Checksums            fs_wal_read_xxh64, fs_wal_read_xxh32
 *   2. File names           fs_wal_read_name
 *   3. Small files          fs_wal_read_meta, fs_wal_read_identity
 *   4. Headers              fs_wal_read_segment_header, fs_wal_read_block_header
 *   5. Cold segments        fs_wal_read_unpack
 *   6. One segment          fs_wal_read_hot, _cold, _active, fs_wal_read_events, fs_wal_read_next
 *   7. A whole log          fs_wal_read_log: all segments in order, up to where the log ends
 *
 * STATUSES are those of flashstrike_wal.h: FS_WAL_OK, FS_WAL_END (nothing more, and no failure),
 * FS_WAL_ERR_CORRUPT (with a fs_wal_read_damage), FS_WAL_ERR_INVALID_ARGUMENT (NULL, or bytes that
 * are not aligned to 8) and FS_WAL_ERR_NO_SPACE (the buffer for a cold segment is too small).
 *
 * THREADS: every function works on its arguments alone.
 *
 * Names that end in an underscore are not for programs.
 */

#ifndef FLASHSTRIKE_WAL_READ_H
#define FLASHSTRIKE_WAL_READ_H

#include "flashstrike_wal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the files are little-endian, and this header does not swap bytes"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/// Highest event id; 0 and 2^64-1 are not ids.
#define FS_WAL_READ_MAX_EVENT_ID (UINT64_MAX - 1)

/// The most that a segment holds.
#define FS_WAL_READ_MAX_SEGMENT_SIZE                                                              \
    (FS_WAL_SEGMENT_HEADER_SIZE + (uint64_t)FS_WAL_MAX_BLOCKS * FS_WAL_BLOCK_SIZE)

/// What is wrong, and where.
typedef struct fs_wal_read_damage {
    /// One of `FS_WAL_DAMAGE_`.
    uint32_t kind;
    /// 1 when `segment_index` is known, else 0.
    uint32_t has_segment_index;
    /// Index of the segment concerned.
    uint32_t segment_index;
    /// 1 when `offset` is known, else 0.
    uint32_t has_offset;
    /// Byte offset of the block, header or event concerned in the segment. In a cold segment it
    /// counts decompressed bytes.
    uint64_t offset;
    /// First event id that cannot be trusted, 0 = none.
    uint64_t first_event_id;
    /// Last event id that cannot be trusted; 0 with a `first_event_id` = not known.
    uint64_t last_event_id;
    /// In words. Static.
    const char *what;
} fs_wal_read_damage;

/**
 * @defgroup wal_read_checksums 1. Checksums
 * @{
 */

static inline uint64_t fs_wal_read_load64_(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint32_t fs_wal_read_load32_(const unsigned char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

#define FS_WAL_READ_P1_ UINT64_C(0x9E3779B185EBCA87)
#define FS_WAL_READ_P2_ UINT64_C(0xC2B2AE3D27D4EB4F)
#define FS_WAL_READ_P3_ UINT64_C(0x165667B19E3779F9)
#define FS_WAL_READ_P4_ UINT64_C(0x85EBCA77C2B2AE63)
#define FS_WAL_READ_P5_ UINT64_C(0x27D4EB2F165667C5)

static inline uint64_t fs_wal_read_rotate64_(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline uint64_t fs_wal_read_round64_(uint64_t lane, uint64_t word)
{
    return fs_wal_read_rotate64_(lane + word * FS_WAL_READ_P2_, 31) * FS_WAL_READ_P1_;
}

static inline uint64_t fs_wal_read_merge64_(uint64_t hash, uint64_t lane)
{
    return (hash ^ fs_wal_read_round64_(0, lane)) * FS_WAL_READ_P1_ + FS_WAL_READ_P4_;
}

/// `XXH64(bytes, seed)`.
static inline uint64_t fs_wal_read_xxh64(const void *bytes, size_t size, uint64_t seed)
{
    const unsigned char *at = (const unsigned char *)bytes;
    size_t left = size;
    uint64_t hash = seed + FS_WAL_READ_P5_;
    if (left >= 32) {
        uint64_t a = seed + FS_WAL_READ_P1_ + FS_WAL_READ_P2_, b = seed + FS_WAL_READ_P2_;
        uint64_t c = seed, d = seed - FS_WAL_READ_P1_;
        for (; left >= 32; at += 32, left -= 32) {
            a = fs_wal_read_round64_(a, fs_wal_read_load64_(at));
            b = fs_wal_read_round64_(b, fs_wal_read_load64_(at + 8));
            c = fs_wal_read_round64_(c, fs_wal_read_load64_(at + 16));
            d = fs_wal_read_round64_(d, fs_wal_read_load64_(at + 24));
        }
        hash = fs_wal_read_rotate64_(a, 1) + fs_wal_read_rotate64_(b, 7) +
               fs_wal_read_rotate64_(c, 12) + fs_wal_read_rotate64_(d, 18);
        hash = fs_wal_read_merge64_(fs_wal_read_merge64_(hash, a), b);
        hash = fs_wal_read_merge64_(fs_wal_read_merge64_(hash, c), d);
    }
    hash += size;
    for (; left >= 8; at += 8, left -= 8) {
        hash ^= fs_wal_read_round64_(0, fs_wal_read_load64_(at));
        hash = fs_wal_read_rotate64_(hash, 27) * FS_WAL_READ_P1_ + FS_WAL_READ_P4_;
    }
    if (left >= 4) {
        hash ^= fs_wal_read_load32_(at) * FS_WAL_READ_P1_;
        hash = fs_wal_read_rotate64_(hash, 23) * FS_WAL_READ_P2_ + FS_WAL_READ_P3_;
        at += 4;
        left -= 4;
    }
    for (; left > 0; at++, left--)
        hash = fs_wal_read_rotate64_(hash ^ *at * FS_WAL_READ_P5_, 11) * FS_WAL_READ_P1_;
    hash = (hash ^ (hash >> 33)) * FS_WAL_READ_P2_;
    hash = (hash ^ (hash >> 29)) * FS_WAL_READ_P3_;
    return hash ^ (hash >> 32);
}

#define FS_WAL_READ_Q1_ UINT32_C(0x9E3779B1)
#define FS_WAL_READ_Q2_ UINT32_C(0x85EBCA77)
#define FS_WAL_READ_Q3_ UINT32_C(0xC2B2AE3D)
#define FS_WAL_READ_Q4_ UINT32_C(0x27D4EB2F)
#define FS_WAL_READ_Q5_ UINT32_C(0x165667B1)

static inline uint32_t fs_wal_read_rotate32_(uint32_t x, int bits)
{
    return (x << bits) | (x >> (32 - bits));
}

static inline uint32_t fs_wal_read_round32_(uint32_t lane, uint32_t word)
{
    return fs_wal_read_rotate32_(lane + word * FS_WAL_READ_Q2_, 13) * FS_WAL_READ_Q1_;
}

/// `XXH32(bytes, 0)`, which LZ4 frames use.
static inline uint32_t fs_wal_read_xxh32(const void *bytes, size_t size)
{
    const unsigned char *at = (const unsigned char *)bytes;
    size_t left = size;
    uint32_t hash = FS_WAL_READ_Q5_;
    if (left >= 16) {
        uint32_t a = FS_WAL_READ_Q1_ + FS_WAL_READ_Q2_, b = FS_WAL_READ_Q2_;
        uint32_t c = 0, d = 0 - FS_WAL_READ_Q1_;
        for (; left >= 16; at += 16, left -= 16) {
            a = fs_wal_read_round32_(a, fs_wal_read_load32_(at));
            b = fs_wal_read_round32_(b, fs_wal_read_load32_(at + 4));
            c = fs_wal_read_round32_(c, fs_wal_read_load32_(at + 8));
            d = fs_wal_read_round32_(d, fs_wal_read_load32_(at + 12));
        }
        hash = fs_wal_read_rotate32_(a, 1) + fs_wal_read_rotate32_(b, 7) +
               fs_wal_read_rotate32_(c, 12) + fs_wal_read_rotate32_(d, 18);
    }
    hash += (uint32_t)size;
    for (; left >= 4; at += 4, left -= 4) {
        hash += fs_wal_read_load32_(at) * FS_WAL_READ_Q3_;
        hash = fs_wal_read_rotate32_(hash, 17) * FS_WAL_READ_Q4_;
    }
    for (; left > 0; at++, left--) {
        hash += *at * FS_WAL_READ_Q5_;
        hash = fs_wal_read_rotate32_(hash, 11) * FS_WAL_READ_Q1_;
    }
    hash = (hash ^ (hash >> 15)) * FS_WAL_READ_Q2_;
    hash = (hash ^ (hash >> 13)) * FS_WAL_READ_Q3_;
    return hash ^ (hash >> 16);
}

/** @} */

/**
 * @defgroup wal_read_names 2. File names
 * @{
 */

/// Name of the file that `fs_wal_read_meta` decodes.
#define FS_WAL_READ_META_NAME "wal_meta.dat"

/// Name of the file that `fs_wal_read_identity` decodes.
#define FS_WAL_READ_IDENTITY_NAME "wal_identity"

/// None of the names below: another file of the log, or a foreign one.
#define FS_WAL_READ_NAME_OTHER 0

/// A hot segment, `FS.00000007.wal`; the number is its index.
#define FS_WAL_READ_NAME_HOT 1

/// A cold segment, `FS.00000007.wal.lz4`; the number is its index.
#define FS_WAL_READ_NAME_COLD 2

/// A snapshot, `SNAP.00000000000000181200.fss`; the number is its event id.
#define FS_WAL_READ_NAME_SNAPSHOT 3

/// A snapshot that is being written, the same with `.tmp`; the number is its event id.
#define FS_WAL_READ_NAME_BEGUN_SNAPSHOT 4

/// Another file that is being written, or was when a process died.
#define FS_WAL_READ_NAME_TEMPORARY 5

/// A decimal number of nothing but `count` digits, up to `highest`.
static inline bool fs_wal_read_digits_(const char *text, size_t count, uint64_t highest,
                                       uint64_t *number)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        const uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (highest - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return count > 0;
}

static inline bool fs_wal_read_ends_(const char *text, size_t length, const char *suffix)
{
    const size_t count = strlen(suffix);
    return length >= count && memcmp(text + length - count, suffix, count) == 0;
}

static inline bool fs_wal_read_is_(const char *text, size_t length, const char *name)
{
    return length == strlen(name) && memcmp(text, name, length) == 0;
}

static inline bool fs_wal_read_is_snapshot_(const char *name, size_t length, uint64_t *id)
{
    return length == 29 && memcmp(name, "SNAP.", 5) == 0 && memcmp(name + 25, ".fss", 4) == 0 &&
           fs_wal_read_digits_(name + 5, 20, UINT64_MAX, id);
}

/// What the name of a file (without its directory) stands for: one of `FS_WAL_READ_NAME_`. Each
/// has one spelling: of a segment's index 8 digits, more only when it needs more. `*number` is
/// written where there is one.
static inline int fs_wal_read_name(const char *name, uint64_t *number)
{
    size_t length = strlen(name);
    int kind = FS_WAL_READ_NAME_HOT;
    if (fs_wal_read_ends_(name, length, ".tmp")) {
        length -= 4;
        if (fs_wal_read_is_snapshot_(name, length, number))
            return FS_WAL_READ_NAME_BEGUN_SNAPSHOT;
        const bool ours = (length >= 3 && memcmp(name, "FS.", 3) == 0) ||
                          fs_wal_read_is_(name, length, FS_WAL_READ_META_NAME) ||
                          fs_wal_read_is_(name, length, FS_WAL_READ_IDENTITY_NAME) ||
                          fs_wal_read_is_(name, length, "wal_history");
        return ours ? FS_WAL_READ_NAME_TEMPORARY : FS_WAL_READ_NAME_OTHER;
    }
    if (fs_wal_read_is_snapshot_(name, length, number))
        return FS_WAL_READ_NAME_SNAPSHOT;
    if (fs_wal_read_ends_(name, length, ".wal.lz4")) {
        kind = FS_WAL_READ_NAME_COLD;
        length -= 4;
    }
    if (length < 15 || memcmp(name, "FS.", 3) != 0 || !fs_wal_read_ends_(name, length, ".wal") ||
        (length > 15 && name[3] == '0') ||
        !fs_wal_read_digits_(name + 3, length - 7, UINT32_MAX, number))
        return FS_WAL_READ_NAME_OTHER;
    return kind;
}

/** @} */

/**
 * @defgroup wal_read_records 3. Small files
 * @{
 */

/// Decodes `wal_meta.dat`. False when its size or checksum is not right: it then counts as
/// missing, unless the C++ recorder wrote it.
static inline bool fs_wal_read_meta(const void *bytes, size_t size, fs_wal_meta_state *out)
{
    const unsigned char *at = (const unsigned char *)bytes;
    if (size != 24 || fs_wal_read_load64_(at + 16) != fs_wal_read_xxh64(at, 16, 0))
        return false;
    memcpy(out, at, 16);
    return true;
}

/// Decodes the C++ recorder's `wal_meta.dat`, which has no checksum. It counts only in a directory
/// without `wal_identity`. False when it says nothing.
static inline bool fs_wal_read_meta_of_cpp(const void *bytes, size_t size, fs_wal_meta_state *out)
{
    const unsigned char *at = (const unsigned char *)bytes;
    if (size != 16)
        return false;
    const uint64_t id = fs_wal_read_load64_(at + 8);
    if (id == 0 || id > FS_WAL_READ_MAX_EVENT_ID)
        return false;
    out->last_offset = fs_wal_read_load32_(at);
    out->last_segment_index = fs_wal_read_load32_(at + 4);
    out->last_event_id = id;
    return true;
}

/// Part of a text: not NUL-terminated.
typedef struct fs_wal_read_text {
    /// NULL = there is none.
    const char *begin;
    /// In bytes.
    size_t length;
} fs_wal_read_text;

/// How many ancestors and cuts are given.
#define FS_WAL_READ_KEPT 16

/// What `wal_identity` says; docs/format.md has what its lines mean. Texts lie in the bytes that it
/// was decoded from.
typedef struct fs_wal_read_identity_t {
    /// `id`: its first 16 hexadecimal digits.
    uint64_t id_high;
    /// The other 16.
    uint64_t id_low;
    /// `wal_dev`.
    uint64_t wal_dev;
    /// `wal_ino`.
    uint64_t wal_ino;
    /// `generation`.
    uint64_t generation;
    /// `boot_id`.
    fs_wal_read_text boot_id;
    /// `active_path`.
    fs_wal_read_text active_path;
    /// `wal_path`.
    fs_wal_read_text wal_path;
    /// 1 after a shutdown that made everything durable: all of the log is in its directory. If it
    /// is 0 the newest events may be in `active_path` only.
    uint32_t clean;
    /// How many `ancestors` there are.
    uint32_t ancestor_count;
    /// How many `cuts` there are.
    uint32_t cut_count;
    /// Newest first. Those of records that do not say it were copied in generation 2^64-1.
    struct {
        uint64_t id_high, id_low, copied_in;
    } ancestors[FS_WAL_READ_KEPT];
    /// Newest last.
    struct {
        uint64_t generation, last_event_id;
    } cuts[FS_WAL_READ_KEPT];
} fs_wal_read_identity_t;

static inline bool fs_wal_read_is_utf8_(const unsigned char *at, size_t size)
{
    const unsigned char *end = at + size;
    while (at < end) {
        const unsigned first = *at;
        size_t more = 0;
        unsigned low = 0x80, high = 0xBF;
        if (first >= 0xC2 && first <= 0xDF) {
            more = 1;
        } else if (first >= 0xE0 && first <= 0xEF) {
            more = 2;
            low = first == 0xE0 ? 0xA0 : low;
            high = first == 0xED ? 0x9F : high;
        } else if (first >= 0xF0 && first <= 0xF4) {
            more = 3;
            low = first == 0xF0 ? 0x90 : low;
            high = first == 0xF4 ? 0x8F : high;
        } else if (first >= 0x80) {
            return false;
        }
        if ((size_t)(end - at) <= more)
            return false;
        for (at++; more > 0; more--, at++, low = 0x80, high = 0xBF)
            if (*at < low || *at > high)
                return false;
    }
    return true;
}

/// The value of the first line `key=value`; `begin` is NULL when there is none.
static inline fs_wal_read_text fs_wal_read_line_(const char *text, size_t size, const char *key)
{
    fs_wal_read_text value = {NULL, 0};
    const size_t length = strlen(key);
    while (size > 0) {
        const char *newline = (const char *)memchr(text, '\n', size);
        const size_t line = newline ? (size_t)(newline - text) : size;
        if (line > length && memcmp(text, key, length) == 0 && text[length] == '=') {
            value.begin = text + length + 1;
            value.length = line - length - 1;
            if (value.length > 0 && value.begin[value.length - 1] == '\r')
                value.length--;
            return value;
        }
        text += newline ? line + 1 : line;
        size -= newline ? line + 1 : line;
    }
    return value;
}

static inline bool fs_wal_read_number_(fs_wal_read_text text, uint64_t *number)
{
    const size_t sign = text.length > 0 && text.begin[0] == '+';
    return text.begin &&
           fs_wal_read_digits_(text.begin + sign, text.length - sign, UINT64_MAX, number);
}

static inline bool fs_wal_read_hex128_(fs_wal_read_text text, uint64_t *high, uint64_t *low)
{
    size_t at = text.length > 0 && text.begin[0] == '+';
    if (!text.begin || at == text.length)
        return false;
    for (*high = *low = 0; at < text.length; at++) {
        const char c = text.begin[at];
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
            digit = ((unsigned)c | 0x20u) - 'a' + 10;
        else
            return false;
        if (*high >> 60)
            return false;
        *high = *high << 4 | *low >> 60;
        *low = *low << 4 | digit;
    }
    return true;
}

/// Takes the first of what a line lists, with commas between. False when nothing is left.
static inline bool fs_wal_read_item_(fs_wal_read_text *list, fs_wal_read_text *item)
{
    if (!list->begin)
        return false;
    const char *comma =
        list->length ? (const char *)memchr(list->begin, ',', list->length) : NULL;
    *item = *list;
    if (comma) {
        item->length = (size_t)(comma - list->begin);
        list->length -= item->length + 1;
        list->begin = comma + 1;
    } else {
        list->begin = NULL;
    }
    return true;
}

static inline bool fs_wal_read_ancestors_(const char *text, size_t size,
                                          fs_wal_read_identity_t *out)
{
    fs_wal_read_text ids = fs_wal_read_line_(text, size, "ancestors"), id;
    fs_wal_read_text copies = fs_wal_read_line_(text, size, "copied_in"), copied;
    const bool has_copies = copies.begin != NULL;
    while (fs_wal_read_item_(&ids, &id)) {
        uint64_t high, low, generation = UINT64_MAX;
        if (!fs_wal_read_hex128_(id, &high, &low))
            return false;
        if (has_copies && (!fs_wal_read_item_(&copies, &copied) ||
                           !fs_wal_read_number_(copied, &generation)))
            return false;
        if (out->ancestor_count < FS_WAL_READ_KEPT) {
            out->ancestors[out->ancestor_count].id_high = high;
            out->ancestors[out->ancestor_count].id_low = low;
            out->ancestors[out->ancestor_count++].copied_in = generation;
        }
    }
    return copies.begin == NULL;
}

static inline bool fs_wal_read_cuts_(fs_wal_read_text cuts, fs_wal_read_identity_t *out)
{
    fs_wal_read_text cut;
    while (fs_wal_read_item_(&cuts, &cut)) {
        const char *colon = cut.length ? (const char *)memchr(cut.begin, ':', cut.length) : NULL;
        if (!colon)
            return false;
        const size_t before = (size_t)(colon - cut.begin);
        const fs_wal_read_text generation = {cut.begin, before};
        const fs_wal_read_text last = {colon + 1, cut.length - before - 1};
        if (out->cut_count == FS_WAL_READ_KEPT)
            memmove(out->cuts, out->cuts + 1, --out->cut_count * sizeof out->cuts[0]);
        if (!fs_wal_read_number_(generation, &out->cuts[out->cut_count].generation) ||
            !fs_wal_read_number_(last, &out->cuts[out->cut_count].last_event_id))
            return false;
        out->cut_count++;
    }
    return true;
}

/// Whether a text ends in a line `xxh64=` with the checksum of what is before it. `*body`: how
/// much that is.
static inline bool fs_wal_read_is_sealed_(const char *text, size_t size, size_t *body)
{
    static const char digits[] = "0123456789abcdef";
    const size_t last_line = 6 + 16 + 1;
    if (size <= last_line || text[size - 1] != '\n' || text[size - last_line - 1] != '\n')
        return false;
    *body = size - last_line;
    const uint64_t checksum = fs_wal_read_xxh64(text, *body, 0);
    if (memcmp(text + *body, "xxh64=", 6) != 0)
        return false;
    for (unsigned i = 0; i < 16; i++)
        if (text[*body + 6 + i] != digits[checksum >> (60 - 4 * i) & 15])
            return false;
    return true;
}

/// Decodes `wal_identity`. False when anything about it is not right: who the log is, and whether
/// it was shut down, is then not known.
static inline bool fs_wal_read_identity(const void *bytes, size_t size,
                                        fs_wal_read_identity_t *out)
{
    const char *text = (const char *)bytes;
    size_t body;
    memset(out, 0, sizeof *out);
    if (!fs_wal_read_is_utf8_((const unsigned char *)bytes, size) ||
        !fs_wal_read_is_sealed_(text, size, &body))
        return false;
    const fs_wal_read_text clean = fs_wal_read_line_(text, body, "clean");
    out->clean = clean.begin && clean.length == 1 && clean.begin[0] == '1';
    out->boot_id = fs_wal_read_line_(text, body, "boot_id");
    out->active_path = fs_wal_read_line_(text, body, "active_path");
    out->wal_path = fs_wal_read_line_(text, body, "wal_path");
    return clean.begin && out->boot_id.begin && out->active_path.begin &&
           fs_wal_read_hex128_(fs_wal_read_line_(text, body, "id"), &out->id_high, &out->id_low) &&
           fs_wal_read_number_(fs_wal_read_line_(text, body, "wal_dev"), &out->wal_dev) &&
           fs_wal_read_number_(fs_wal_read_line_(text, body, "wal_ino"), &out->wal_ino) &&
           fs_wal_read_number_(fs_wal_read_line_(text, body, "generation"), &out->generation) &&
           fs_wal_read_ancestors_(text, body, out) &&
           fs_wal_read_cuts_(fs_wal_read_line_(text, body, "cuts"), out);
}

/** @} */

/**
 * @defgroup wal_read_headers 4. Headers
 * @{
 */

/// Decodes the header that a segment begins with. False when magic, version, size or checksum are
/// not right.
static inline bool fs_wal_read_segment_header(const void *bytes, size_t size,
                                              fs_wal_segment_header *out)
{
    const unsigned char *at = (const unsigned char *)bytes;
    if (size < FS_WAL_SEGMENT_HEADER_SIZE)
        return false;
    memcpy(out, at, sizeof *out);
    return out->magic == FS_WAL_SEGMENT_MAGIC && out->version == FS_WAL_FORMAT_VERSION &&
           out->header_size == FS_WAL_SEGMENT_HEADER_SIZE &&
           out->header_checksum ==
               fs_wal_read_xxh64(at + 56, 8, fs_wal_read_xxh64(at, 48, 0));
}

/// Whether the counts and ids of a closed segment's header fit together.
static inline bool fs_wal_read_is_consistent(const fs_wal_segment_header *header)
{
    const uint64_t first = header->first_event_id, last = header->last_event_id;
    const bool ids_fit = header->event_count == 0
                             ? first == 0 && last == 0
                             : 0 < first && first <= last && last <= FS_WAL_READ_MAX_EVENT_ID;
    const uint32_t blocks = header->event_count / FS_WAL_EVENTS_PER_BLOCK +
                            (header->event_count % FS_WAL_EVENTS_PER_BLOCK != 0);
    return ids_fit && header->block_count == blocks && blocks <= FS_WAL_MAX_BLOCKS;
}

/// Decodes the header that a block begins with. False when its checksum or its event count is not
/// right.
static inline bool fs_wal_read_block_header(const void *bytes, size_t size,
                                            fs_wal_block_header *out)
{
    const unsigned char *at = (const unsigned char *)bytes;
    if (size < FS_WAL_BLOCK_HEADER_SIZE)
        return false;
    memcpy(out, at, sizeof *out);
    return out->header_checksum ==
               fs_wal_read_xxh64(at + 40, 24, fs_wal_read_xxh64(at, 32, 0)) &&
           out->event_count >= 1 && out->event_count <= FS_WAL_EVENTS_PER_BLOCK;
}

/// Where a block begins in its segment.
static inline uint64_t fs_wal_read_block_offset(uint32_t block)
{
    return FS_WAL_SEGMENT_HEADER_SIZE + (uint64_t)block * FS_WAL_BLOCK_SIZE;
}

/// Where the `n`th event of a segment is, counted from 0.
static inline uint64_t fs_wal_read_event_offset(uint64_t n)
{
    return fs_wal_read_block_offset((uint32_t)(n / FS_WAL_EVENTS_PER_BLOCK)) +
           FS_WAL_BLOCK_HEADER_SIZE +
           n % FS_WAL_EVENTS_PER_BLOCK * sizeof(fs_request_event);
}

/// How many whole blocks a file of `size` bytes has room for.
static inline uint32_t fs_wal_read_blocks_of(size_t size)
{
    if (size < FS_WAL_SEGMENT_HEADER_SIZE)
        return 0;
    const size_t blocks = (size - FS_WAL_SEGMENT_HEADER_SIZE) / FS_WAL_BLOCK_SIZE;
    return blocks < FS_WAL_MAX_BLOCKS ? (uint32_t)blocks : FS_WAL_MAX_BLOCKS;
}

/// The highest event id that a hot segment's blocks say was durable, 0 = nothing known. The highest
/// of `wal_meta.dat` and of all hot segments is the `durable_id` of `fs_wal_read_hot`.
static inline uint64_t fs_wal_read_durable_id(const void *bytes, size_t size)
{
    const unsigned char *segment = (const unsigned char *)bytes;
    const uint32_t blocks = fs_wal_read_blocks_of(size);
    uint64_t highest = 0;
    fs_wal_block_header header;
    for (uint32_t block = 0; block < blocks; block++)
        if (fs_wal_read_block_header(segment + fs_wal_read_block_offset(block), sizeof header,
                                     &header) &&
            header.durable_event_id > highest)
            highest = header.durable_event_id;
    return highest;
}

/** @} */

/**
 * @defgroup wal_read_frames 5. Cold segments
 *
 * A cold segment is a hot one in an LZ4 frame. This header reads the frame, checks its checksums
 * and decompresses it. A program that has lz4 may pass its function, which is faster. It gets only
 * blocks that a checksum has proved right, as in the library's frames all are: lz4 takes some
 * damaged blocks for good ones.
 *
 *     size_t room = fs_wal_read_unpacked_size(bytes, size);
 *     void *content = malloc(room);
 *     fs_wal_read_frame frame;
 *     fs_wal_read_unpack(bytes, size, NULL, content, room, &frame);
 *     fs_wal_read_cold(&segment, content, &frame, index, 0);
 * @{
 */

/// `LZ4_decompress_safe_usingDict` of lz4.h.
typedef int (*fs_wal_read_lz4)(const char *source, char *target, int source_size, int target_room,
                               const char *dictionary, int dictionary_size);

/// What a frame was found to be.
typedef struct fs_wal_read_frame {
    /// Bytes of content that are right, as far as the frame knows.
    uint64_t size;
    /// What is wrong behind them, in words; NULL = nothing.
    const char *fault;
    /// Where in the file.
    uint64_t fault_offset;
    /// Bytes that follow the frame. They harm nothing in it.
    uint64_t trailing;
    /// What those begin with, if that is another frame: it is not read, and if the segment is not
    /// whole without it, this is why.
    const char *follows;
} fs_wal_read_frame;

typedef struct fs_wal_read_frame_header_ {
    bool independent, block_checksums, content_checksum, has_size;
    uint64_t content_size;
    uint64_t block_limit;
    size_t size;
} fs_wal_read_frame_header_;

static inline bool fs_wal_read_frame_header_of_(const unsigned char *bytes, size_t size,
                                                fs_wal_read_frame_header_ *out)
{
    if (size < 7 || fs_wal_read_load32_(bytes) != UINT32_C(0x184D2204))
        return false;
    const unsigned flags = bytes[4], limits = bytes[5], limit = limits >> 4;
    if ((flags & 0xC3) != 0x40 || (limits & 0x0F) != 0 || limit < 4 || limit > 7)
        return false;
    out->independent = (flags & 0x20) != 0;
    out->block_checksums = (flags & 0x10) != 0;
    out->has_size = (flags & 0x08) != 0;
    out->content_checksum = (flags & 0x04) != 0;
    out->block_limit = UINT64_C(1) << (8 + 2 * limit);
    out->size = out->has_size ? 15 : 7;
    if (size < out->size)
        return false;
    out->content_size = out->has_size ? fs_wal_read_load64_(bytes + 6) : 0;
    const uint32_t checksum = fs_wal_read_xxh32(bytes + 4, out->size - 5);
    return bytes[out->size - 1] == (checksum >> 8 & 0xFF);
}

/// The kind of frame that begins here: 1 ordinary, 2 legacy, 3 skippable; 0 = none.
static inline int fs_wal_read_frame_kind_(const unsigned char *bytes, uint64_t size)
{
    const uint32_t magic = size < 4 ? 0 : fs_wal_read_load32_(bytes);
    if (magic == UINT32_C(0x184D2204))
        return 1;
    if (magic == UINT32_C(0x184C2102))
        return 2;
    return (magic & ~UINT32_C(0xF)) == UINT32_C(0x184D2A50) ? 3 : 0;
}

/// Bytes that the content of a frame takes at most: what `fs_wal_read_unpack` needs room for. Not
/// more than the file can hold, whatever its header says.
static inline size_t fs_wal_read_unpacked_size(const void *bytes, size_t size)
{
    const unsigned char *frame = (const unsigned char *)bytes;
    fs_wal_read_frame_header_ header;
    uint64_t content = 0;
    if (!fs_wal_read_frame_header_of_(frame, size, &header))
        return 0;
    for (size_t at = header.size; size - at >= 4 && content <= FS_WAL_READ_MAX_SEGMENT_SIZE;) {
        const uint32_t word = fs_wal_read_load32_(frame + at), length = word & 0x7FFFFFFF;
        const size_t whole = (size_t)length + (header.block_checksums ? 8 : 4);
        if (length == 0 || length > header.block_limit || whole > size - at)
            break;
        content += word >> 31 && !header.block_checksums ? length : header.block_limit;
        at += whole;
    }
    const bool is_limited = header.block_checksums && header.has_size;
    return (size_t)(is_limited && header.content_size < content ? header.content_size : content);
}

static inline fs_wal_status fs_wal_read_fault_(fs_wal_read_frame *out, size_t at, const char *what)
{
    out->fault = what;
    out->fault_offset = at;
    return FS_WAL_ERR_CORRUPT;
}

/// At the end mark of a frame.
static inline fs_wal_status fs_wal_read_end_frame_(const fs_wal_read_frame_header_ *header,
                                                   const unsigned char *frame, size_t size,
                                                   size_t at, const unsigned char *content,
                                                   fs_wal_read_frame *out)
{
    static const char *const followers[] = {
        NULL, "it goes on in another LZ4 frame, and only the first frame is read",
        "it goes on in a legacy LZ4 frame (lz4 -l), and only the first frame is read",
        "it goes on in a skippable LZ4 frame, and only the first frame is read"};
    const size_t end = at + (header->content_checksum ? 8 : 4);
    if (end <= size) {
        out->trailing = size - end;
        out->follows = followers[fs_wal_read_frame_kind_(frame + end, out->trailing)];
    }
    if (header->content_checksum && end > size)
        return fs_wal_read_fault_(out, at, "the frame is cut short");
    if (header->content_checksum &&
        fs_wal_read_load32_(frame + at + 4) != fs_wal_read_xxh32(content, (size_t)out->size))
        return fs_wal_read_fault_(out, at, "the frame's content checksum does not match");
    if (header->has_size && header->content_size != out->size)
        return fs_wal_read_fault_(out, 0, "the frame's content size is not that of its content");
    return FS_WAL_OK;
}

/// Adds the bytes of a length that did not fit into its four bits. False at the end of the block.
static inline bool fs_wal_read_lz4_length_(const unsigned char **at, const unsigned char *end,
                                           size_t *length)
{
    unsigned char more = 255;
    if (*length < 15)
        return true;
    while (more == 255) {
        if (*at == end)
            return false;
        more = *(*at)++;
        *length += more;
    }
    return true;
}

/// Decompresses one LZ4 block to `to`, which has `most` bytes of room and `history` bytes of
/// content before it. Returns its length, or -1 when it is no such block.
static inline int64_t fs_wal_read_lz4_block_(const unsigned char *block, size_t size,
                                             unsigned char *to, size_t most, size_t history)
{
    const unsigned char *at = block, *end = block + size;
    size_t done = 0;
    while (at < end) {
        size_t literals = *at >> 4, match = *at & 15u;
        at++;
        if (!fs_wal_read_lz4_length_(&at, end, &literals) || literals > (size_t)(end - at) ||
            literals > most - done)
            return -1;
        if (literals > 0)
            memcpy(to + done, at, literals);
        at += literals;
        done += literals;
        if (at == end)
            return (int64_t)done;
        if (end - at < 2)
            return -1;
        const size_t distance = (size_t)at[0] | (size_t)at[1] << 8;
        at += 2;
        if (!fs_wal_read_lz4_length_(&at, end, &match) || distance == 0 ||
            distance > done + history || match + 4 > most - done)
            return -1;
        unsigned char *target = to + done;
        done += match + 4;
        if (distance >= match + 4) {
            memcpy(target, target - distance, match + 4);
        } else { /* what is copied repeats what it has just copied */
            for (unsigned char *stop = to + done; target < stop; target++)
                *target = target[-(ptrdiff_t)distance];
        }
    }
    return -1;
}

/// Decompresses one block to the end of the content. Returns its length, or -1 when it is none.
static inline int64_t fs_wal_read_decode_(const fs_wal_read_frame_header_ *header, bool raw,
                                          const unsigned char *block, uint32_t length,
                                          fs_wal_read_lz4 lz4, unsigned char *content,
                                          uint64_t before, size_t room)
{
    const uint64_t left = room - before;
    const uint64_t most = left < header->block_limit ? left : header->block_limit;
    if (raw) {
        if (length > most)
            return -1;
        memcpy(content + before, block, length);
        return length;
    }
    if (!lz4 || !header->block_checksums || !header->independent) {
        const uint64_t history = header->independent ? 0 : before < 65536 ? before : 65536;
        return fs_wal_read_lz4_block_(block, length, content + before, (size_t)most,
                                      (size_t)history);
    }
    const int decoded =
        lz4((const char *)block, (char *)content + before, (int)length, (int)most, NULL, 0);
    return decoded < 0 ? -1 : decoded;
}

static inline fs_wal_status fs_wal_read_unpack_(const unsigned char *frame, size_t size,
                                                fs_wal_read_lz4 lz4, unsigned char *content,
                                                size_t room, uint64_t wanted,
                                                fs_wal_read_frame *out)
{
    fs_wal_read_frame_header_ header;
    memset(out, 0, sizeof *out);
    if (!fs_wal_read_frame_header_of_(frame, size, &header)) {
        static const char *const kinds[] = {
            "the frame's header is not valid", "the frame's header is not valid",
            "it begins with a legacy LZ4 frame (lz4 -l), which is not read",
            "it begins with a skippable LZ4 frame, which is not read"};
        return fs_wal_read_fault_(out, 0, kinds[fs_wal_read_frame_kind_(frame, size)]);
    }
    const bool sums = header.block_checksums;
    for (size_t at = header.size; out->size < wanted;) {
        if (out->size > FS_WAL_READ_MAX_SEGMENT_SIZE)
            return fs_wal_read_fault_(out, at, "the frame holds more than a segment");
        if (size - at < 4)
            return fs_wal_read_fault_(out, at, "the frame is cut short");
        const uint32_t word = fs_wal_read_load32_(frame + at), length = word & 0x7FFFFFFF;
        const bool is_all = !header.has_size || header.content_size == out->size;
        const bool is_end = size - at == (header.content_checksum ? 8u : 4u);
        if (word == 0 && (!sums || is_all || is_end))
            return fs_wal_read_end_frame_(&header, frame, size, at, content, out);
        const size_t whole = (size_t)length + (sums ? 8 : 4);
        if (length == 0 || length > header.block_limit || whole > size - at)
            return fs_wal_read_fault_(out, at, "a block of the frame has no right length");
        const unsigned char *block = frame + at + 4;
        if (sums && fs_wal_read_xxh32(block, length) != fs_wal_read_load32_(block + length))
            return fs_wal_read_fault_(out, at,
                                      "the checksum of the frame's block does not match");
        /* With checksums and a size, all blocks but the last are full. */
        const uint64_t left = header.content_size > out->size ? header.content_size - out->size : 0;
        const int64_t expected =
            !sums || !header.has_size ? -1
                                      : (int64_t)(left < header.block_limit ? left
                                                                            : header.block_limit);
        const bool raw = word >> 31 != 0;
        int64_t decoded = -1;
        for (int other = 0; other < (sums ? 2 : 1); other++) {
            decoded = fs_wal_read_decode_(&header, raw != (other == 1), block, length, lz4, content,
                                          out->size, room);
            if (decoded >= 0 && (expected < 0 || decoded == expected)) {
                if (other)
                    return fs_wal_read_fault_(out, at, "the frame's block is marked wrongly");
                break;
            }
            decoded = -1;
        }
        if (decoded < 0)
            return fs_wal_read_fault_(out, at, "a block of the frame cannot be decoded");
        out->size += (uint64_t)decoded;
        at += whole;
    }
    return FS_WAL_OK;
}

/// Decompresses a cold segment's file into `content`, which has `room` for
/// `fs_wal_read_unpacked_size` bytes and is aligned to 8. `lz4` may be NULL. A damaged frame is an
/// error, and `out` says where; what is before may still be read with `fs_wal_read_cold`, which
/// gives out events up to there. Returns `FS_WAL_OK`, `FS_WAL_ERR_CORRUPT`,
/// `FS_WAL_ERR_NO_SPACE` or `FS_WAL_ERR_INVALID_ARGUMENT`.
static inline fs_wal_status fs_wal_read_unpack(const void *bytes, size_t size, fs_wal_read_lz4 lz4,
                                               void *content, size_t room, fs_wal_read_frame *out)
{
    if (!bytes || !out || (!content && room > 0))
        return FS_WAL_ERR_INVALID_ARGUMENT;
    memset(out, 0, sizeof *out);
    if (room < fs_wal_read_unpacked_size(bytes, size))
        return FS_WAL_ERR_NO_SPACE;
    return fs_wal_read_unpack_((const unsigned char *)bytes, size, lz4, (unsigned char *)content,
                               room, UINT64_MAX, out);
}

/** @} */

/**
 * @defgroup wal_read_segments 6. One segment
 *
 * Events are given out block by block, each after it was checked against its header and the chain
 * of checksums.
 * @{
 */

/// A walk through one segment. The fields named here may be read.
typedef struct fs_wal_read_segment {
    /// What is wrong, after `FS_WAL_ERR_CORRUPT`.
    fs_wal_read_damage damage;
    /// Of a closed segment.
    fs_wal_segment_header header;
    /// It is closed: its header counts the events. Else they were found by the rules for open ones.
    bool is_closed;
    /// After `FS_WAL_END`: the log ends in this segment. Else it goes on in the next one.
    bool ends_log;
    /// It is closed, hot and not full: a log that was shut down goes on in it.
    bool has_room;
    /// Events given out so far.
    uint64_t event_count;
    /// The last of them, or the `after` that the walk began with.
    uint64_t last_event_id;

    const unsigned char *bytes_;
    uint64_t size_;
    const char *fault_;
    uint64_t fault_at_;
    uint64_t durable_id_;
    uint64_t chained_;
    uint32_t block_, block_limit_;
    bool in_memory_, is_exact_;
    fs_wal_status status_;
    const fs_request_event *left_;
    size_t left_count_;
} fs_wal_read_segment;

/// Ends the walk with damage. Ids that do not name events are left out.
static inline fs_wal_status fs_wal_read_fail_(fs_wal_read_segment *walk, uint32_t kind,
                                              uint64_t offset, uint64_t first, uint64_t last,
                                              const char *what)
{
    const bool names_events = first != 0 && (last == 0 || first <= last);
    walk->damage.kind = kind;
    walk->damage.offset = offset;
    walk->damage.has_offset = 1;
    walk->damage.first_event_id = names_events ? first : 0;
    walk->damage.last_event_id = names_events ? last : 0;
    walk->damage.what = what;
    return walk->status_ = FS_WAL_ERR_CORRUPT;
}

static inline fs_wal_status fs_wal_read_begin_(fs_wal_read_segment *walk, const void *bytes,
                                               uint64_t size, uint32_t index, uint64_t after)
{
    if (!walk)
        return FS_WAL_ERR_INVALID_ARGUMENT;
    memset(walk, 0, sizeof *walk);
    walk->damage.has_segment_index = 1;
    walk->damage.segment_index = index;
    walk->last_event_id = after;
    walk->bytes_ = (const unsigned char *)bytes;
    walk->size_ = size;
    if ((!bytes && size > 0) || (uintptr_t)bytes % 8 != 0)
        return walk->status_ = FS_WAL_ERR_INVALID_ARGUMENT;
    return FS_WAL_OK;
}

/// The id in the first slot, 0 = none.
static inline uint64_t fs_wal_read_first_slot_(const void *bytes, uint64_t size)
{
    const uint64_t at = FS_WAL_SEGMENT_HEADER_SIZE + FS_WAL_BLOCK_HEADER_SIZE;
    return size < at + 8 ? 0 : fs_wal_read_load64_((const unsigned char *)bytes + at);
}

static inline fs_wal_status fs_wal_read_misnamed_(fs_wal_read_segment *walk,
                                                  const fs_wal_segment_header *header)
{
    return fs_wal_read_fail_(walk, FS_WAL_DAMAGE_MISNAMED, 0, header->first_event_id,
                             header->last_event_id, "the header is another segment's");
}

static inline fs_wal_status fs_wal_read_begin_closed_(fs_wal_read_segment *walk, uint64_t slot)
{
    const fs_wal_segment_header *header = &walk->header;
    const uint64_t first = header->first_event_id;
    const char *what = NULL;
    walk->is_closed = true;
    walk->block_limit_ = header->block_count;
    if (!fs_wal_read_is_consistent(header))
        what = "the header's counts and event ids do not fit together";
    else if (header->event_count == 0 && slot != 0)
        what = "the header counts no events, though there are some";
    else if (first != 0 && first <= walk->last_event_id)
        what = "event ids do not rise from the segment before";
    if (!what)
        return FS_WAL_OK;
    return fs_wal_read_fail_(walk, FS_WAL_DAMAGE_SEGMENT_HEADER, 0, first, header->last_event_id,
                             what);
}

static inline fs_wal_status fs_wal_read_begin_open_(fs_wal_read_segment *walk, uint64_t durable_id)
{
    walk->is_closed = false;
    walk->durable_id_ = durable_id;
    walk->block_limit_ = fs_wal_read_blocks_of((size_t)walk->size_);
    walk->is_exact_ = walk->block_limit_ > 0 &&
                      fs_wal_read_block_offset(walk->block_limit_) == walk->size_;
    return FS_WAL_OK;
}

/// Begins to read a hot segment. The bytes are all of the file `FS.<index>.wal`, aligned to 8.
/// `after` is the last event before it, 0 = none or not known. `durable_id` matters if it is open:
/// the highest event id that is known to be durable, by `wal_meta.dat` and by
/// `fs_wal_read_durable_id` of this and later hot segments. Returns `FS_WAL_OK`,
/// `FS_WAL_ERR_CORRUPT` or `FS_WAL_ERR_INVALID_ARGUMENT`.
static inline fs_wal_status fs_wal_read_hot(fs_wal_read_segment *walk, const void *bytes,
                                            size_t size, uint32_t index, uint64_t after,
                                            uint64_t durable_id)
{
    const fs_wal_status begun = fs_wal_read_begin_(walk, bytes, size, index, after);
    if (begun != FS_WAL_OK)
        return begun;
    const bool is_valid = fs_wal_read_segment_header(bytes, size, &walk->header);
    if (is_valid && walk->header.segment_index != index)
        return fs_wal_read_misnamed_(walk, &walk->header);
    if (!is_valid || walk->header.closed_ts_ns == 0)
        return fs_wal_read_begin_open_(walk, durable_id);
    const uint64_t capacity = (uint64_t)fs_wal_read_blocks_of(size) * FS_WAL_EVENTS_PER_BLOCK;
    walk->has_room = walk->header.event_count < capacity;
    return fs_wal_read_begin_closed_(walk, fs_wal_read_first_slot_(bytes, size));
}

/// Begins to read a cold segment, of which `fs_wal_read_unpack` gave the `content` and `frame`.
/// `after` is the last event before it, 0 = none or not known. Returns `FS_WAL_OK`,
/// `FS_WAL_ERR_CORRUPT` or `FS_WAL_ERR_INVALID_ARGUMENT`.
static inline fs_wal_status fs_wal_read_cold(fs_wal_read_segment *walk, const void *content,
                                             const fs_wal_read_frame *frame, uint32_t index,
                                             uint64_t after)
{
    const fs_wal_status begun =
        fs_wal_read_begin_(walk, content, frame ? frame->size : 0, index, after);
    if (begun != FS_WAL_OK || !frame)
        return FS_WAL_ERR_INVALID_ARGUMENT;
    walk->fault_ = frame->fault ? frame->fault : frame->follows;
    walk->fault_at_ = frame->size;
    if (walk->fault_ && walk->size_ < FS_WAL_SEGMENT_HEADER_SIZE)
        return fs_wal_read_fail_(walk, FS_WAL_DAMAGE_FRAME, walk->size_, 0, 0, walk->fault_);
    const bool is_valid =
        fs_wal_read_segment_header(content, (size_t)walk->size_, &walk->header);
    if (is_valid && walk->header.segment_index != index)
        return fs_wal_read_misnamed_(walk, &walk->header);
    if (!is_valid || walk->header.closed_ts_ns == 0)
        return fs_wal_read_fail_(walk, FS_WAL_DAMAGE_SEGMENT_HEADER, 0, 0, 0,
                                 "the header is not that of a closed segment");
    if (!frame->fault) /* What follows the frame harms only a segment that is not whole. */
        walk->fault_ = walk->size_ < fs_wal_read_block_offset(walk->header.block_count)
                           ? frame->follows
                           : NULL;
    return fs_wal_read_begin_closed_(walk, 0);
}

/// Begins to read an active segment: the file in the active directory of a log whose process has
/// died, in the same boot. `after` is the last event before it. Returns `FS_WAL_OK`,
/// `FS_WAL_ERR_CORRUPT` (it is not that segment's file) or `FS_WAL_ERR_INVALID_ARGUMENT`.
static inline fs_wal_status fs_wal_read_active(fs_wal_read_segment *walk, const void *bytes,
                                               size_t size, uint32_t index, uint64_t after)
{
    const fs_wal_status begun = fs_wal_read_begin_(walk, bytes, size, index, after);
    if (begun != FS_WAL_OK)
        return begun;
    walk->in_memory_ = true;
    if (!fs_wal_read_segment_header(bytes, size, &walk->header))
        return fs_wal_read_fail_(walk, FS_WAL_DAMAGE_SEGMENT_HEADER, 0, 0, 0,
                                 "the header is not valid");
    if (walk->header.segment_index != index)
        return fs_wal_read_misnamed_(walk, &walk->header);
    return fs_wal_read_begin_open_(walk, 0);
}

static inline const unsigned char *fs_wal_read_events_of_(const fs_wal_read_segment *walk)
{
    return walk->bytes_ + fs_wal_read_block_offset(walk->block_) + FS_WAL_BLOCK_HEADER_SIZE;
}

static inline uint64_t fs_wal_read_id_(const unsigned char *events, uint32_t slot)
{
    return fs_wal_read_load64_(events + (size_t)slot * sizeof(fs_request_event));
}

/// Whether the ids rise, from the header's first to its last, and are valid ids.
static inline bool fs_wal_read_rises_(const unsigned char *events,
                                      const fs_wal_block_header *header)
{
    uint64_t last = fs_wal_read_id_(events, 0);
    if (last != header->first_event_id)
        return false;
    for (uint32_t slot = 1; slot < header->event_count; slot++) {
        const uint64_t id = fs_wal_read_id_(events, slot);
        if (id <= last)
            return false;
        last = id;
    }
    return last == header->last_event_id && last <= FS_WAL_READ_MAX_EVENT_ID;
}

/// What is wrong with a block's header, by the header of its closed segment; NULL = nothing.
static inline const char *fs_wal_read_mismatch_(const fs_wal_read_segment *walk,
                                                const fs_wal_block_header *header)
{
    const bool is_last = walk->block_ + 1 == walk->header.block_count;
    const uint32_t left = walk->header.event_count - walk->block_ * FS_WAL_EVENTS_PER_BLOCK;
    if (header->event_count != (left < FS_WAL_EVENTS_PER_BLOCK ? left : FS_WAL_EVENTS_PER_BLOCK))
        return "the block header is another block's";
    if (header->first_event_id <= walk->last_event_id ||
        header->first_event_id > header->last_event_id ||
        (walk->block_ == 0 && header->first_event_id != walk->header.first_event_id) ||
        (is_last && header->last_event_id != walk->header.last_event_id))
        return "the block header's event ids do not follow";
    if (is_last && header->chained_checksum != walk->header.last_chained_checksum)
        return "the chained checksum is not the one the segment header ends with";
    return NULL;
}

/// The next block of a closed segment. `*count` is how many events it has.
static inline fs_wal_status fs_wal_read_sealed_(fs_wal_read_segment *walk, uint32_t *count)
{
    const uint64_t offset = fs_wal_read_block_offset(walk->block_);
    const uint64_t from = walk->last_event_id + 1, to = walk->header.last_event_id;
    if (walk->fault_ && walk->fault_at_ < offset + FS_WAL_BLOCK_SIZE)
        return fs_wal_read_fail_(walk, FS_WAL_DAMAGE_FRAME, offset, from, to, walk->fault_);
    const uint64_t there = offset < walk->size_ ? walk->size_ - offset : 0;
    if (there < FS_WAL_BLOCK_HEADER_SIZE)
        return fs_wal_read_fail_(walk, FS_WAL_DAMAGE_TRUNCATED, offset, from, to,
                                 "the file ends before the events it counts");
    fs_wal_block_header header;
    if (!fs_wal_read_block_header(walk->bytes_ + offset, FS_WAL_BLOCK_HEADER_SIZE, &header))
        return fs_wal_read_fail_(walk, FS_WAL_DAMAGE_BLOCK_HEADER, offset, from, to,
                                 "the block header is not valid");
    const uint64_t first = header.first_event_id, last = header.last_event_id;
    const char *mismatch = header.block_index != walk->block_
                               ? "the block header is another block's"
                               : fs_wal_read_mismatch_(walk, &header);
    if (mismatch)
        return fs_wal_read_fail_(walk, FS_WAL_DAMAGE_BLOCK_HEADER, offset, first, last, mismatch);
    const size_t size = header.event_count * sizeof(fs_request_event);
    if (there < FS_WAL_BLOCK_HEADER_SIZE + size)
        return fs_wal_read_fail_(walk, FS_WAL_DAMAGE_TRUNCATED, offset, first, last,
                                 "the file ends in this block");
    const unsigned char *events = fs_wal_read_events_of_(walk);
    if (fs_wal_read_xxh64(events, size, 0) != header.block_checksum)
        return fs_wal_read_fail_(walk, FS_WAL_DAMAGE_BLOCK, offset, first, last,
                                 "the block checksum does not match");
    if (!fs_wal_read_rises_(events, &header))
        return fs_wal_read_fail_(walk, FS_WAL_DAMAGE_ORDER, offset, first, last,
                                 "event ids do not rise");
    if (fs_wal_read_xxh64(events, size, walk->chained_) != header.chained_checksum)
        return fs_wal_read_fail_(walk, FS_WAL_DAMAGE_CHAIN, offset, first, last,
                                 "the chained checksum does not match");
    walk->chained_ = header.chained_checksum;
    walk->last_event_id = last;
    *count = header.event_count;
    return FS_WAL_OK;
}

/// How many events of a block in an open segment its header proves. A header that is missing, or
/// left from the file's former use, proves nothing. One that contradicts its block ends the log;
/// if its events were durable, that is damage.
static inline fs_wal_status fs_wal_read_proven_(fs_wal_read_segment *walk, uint32_t *proven,
                                                bool *ends)
{
    const uint64_t offset = fs_wal_read_block_offset(walk->block_);
    const unsigned char *events = fs_wal_read_events_of_(walk);
    fs_wal_block_header header;
    *proven = 0;
    if (walk->in_memory_ ||
        !fs_wal_read_block_header(walk->bytes_ + offset, FS_WAL_BLOCK_HEADER_SIZE, &header) ||
        header.first_event_id <= walk->last_event_id)
        return FS_WAL_OK;
    const uint64_t first = header.first_event_id, last = header.last_event_id;
    const size_t size = header.event_count * sizeof(fs_request_event);
    const bool covers = fs_wal_read_xxh64(events, size, 0) == header.block_checksum;
    if (header.block_index == walk->block_ && first == fs_wal_read_id_(events, 0) &&
        last == fs_wal_read_id_(events, header.event_count - 1u) && covers &&
        fs_wal_read_xxh64(events, size, walk->chained_) == header.chained_checksum) {
        *proven = header.event_count;
        return FS_WAL_OK;
    }
    if (header.block_index != walk->block_ || covers || last <= walk->durable_id_) {
        *ends = true;
        if (first <= walk->durable_id_)
            return fs_wal_read_fail_(walk, FS_WAL_DAMAGE_BLOCK, offset, first, last,
                                     "the block checksum does not match");
    }
    return FS_WAL_OK;
}

/// The next block of an open segment. `*count` is how many of its events belong to the log.
static inline fs_wal_status fs_wal_read_open_(fs_wal_read_segment *walk, uint32_t *count)
{
    const unsigned char *events = fs_wal_read_events_of_(walk);
    uint32_t proven = 0;
    bool ends = false;
    if (fs_wal_read_proven_(walk, &proven, &ends) != FS_WAL_OK)
        return walk->status_;
    for (*count = 0; !ends && *count < FS_WAL_EVENTS_PER_BLOCK;) {
        const uint64_t id = fs_wal_read_id_(events, *count);
        const bool known = walk->in_memory_ || id <= walk->durable_id_ || *count < proven;
        if (id <= walk->last_event_id || id > FS_WAL_READ_MAX_EVENT_ID || !known) {
            ends = true;
        } else {
            walk->last_event_id = id;
            ++*count;
        }
    }
    if (ends)
        walk->block_limit_ = walk->block_ + 1;
    else if (!walk->in_memory_)
        walk->chained_ = fs_wal_read_xxh64(
            events, FS_WAL_EVENTS_PER_BLOCK * sizeof(fs_request_event), walk->chained_);
    return FS_WAL_OK;
}

/// Behind the last block.
static inline fs_wal_status fs_wal_read_finish_(fs_wal_read_segment *walk)
{
    if (walk->is_closed) {
        if (walk->fault_)
            return fs_wal_read_fail_(walk, FS_WAL_DAMAGE_FRAME,
                                     fs_wal_read_block_offset(walk->block_), 0, 0, walk->fault_);
        return walk->status_ = FS_WAL_END;
    }
    const uint64_t capacity = (uint64_t)walk->block_limit_ * FS_WAL_EVENTS_PER_BLOCK;
    walk->ends_log =
        walk->event_count != capacity || (!walk->is_exact_ && !walk->in_memory_);
    if (walk->ends_log && walk->last_event_id < walk->durable_id_)
        return fs_wal_read_fail_(walk, FS_WAL_DAMAGE_DURABLE_LOST,
                                 fs_wal_read_event_offset(walk->event_count),
                                 walk->last_event_id + 1, walk->durable_id_,
                                 "events that were durable are gone");
    return walk->status_ = FS_WAL_END;
}

/// The next events, at least one: those of a block, where they lie in the bytes that the walk began
/// with. None, where there is nothing to give. Returns `FS_WAL_OK`; `FS_WAL_END` behind the last
/// one, see `ends_log`; or `FS_WAL_ERR_CORRUPT`, see `damage`, and from then on again.
static inline fs_wal_status fs_wal_read_events(fs_wal_read_segment *walk,
                                               const fs_request_event **events, size_t *count)
{
    *events = NULL;
    *count = 0;
    if (walk->left_count_ > 0) {
        *events = walk->left_;
        *count = walk->left_count_;
        walk->left_count_ = 0;
        return FS_WAL_OK;
    }
    while (walk->status_ == FS_WAL_OK) {
        if (walk->block_ == walk->block_limit_)
            return fs_wal_read_finish_(walk);
        uint32_t given = 0;
        if ((walk->is_closed ? fs_wal_read_sealed_(walk, &given)
                             : fs_wal_read_open_(walk, &given)) != FS_WAL_OK)
            break;
        const void *at = fs_wal_read_events_of_(walk);
        walk->block_++;
        walk->event_count += given;
        if (given > 0) {
            *events = (const fs_request_event *)at;
            *count = given;
            return FS_WAL_OK;
        }
    }
    return walk->status_;
}

/// The next event, copied. Returns what `fs_wal_read_events` does.
static inline fs_wal_status fs_wal_read_next(fs_wal_read_segment *walk, fs_request_event *out)
{
    const fs_request_event *events;
    size_t count;
    const fs_wal_status status = fs_wal_read_events(walk, &events, &count);
    if (status == FS_WAL_OK) {
        *out = events[0];
        walk->left_ = events + 1;
        walk->left_count_ = count - 1;
    }
    return status;
}

/** @} */

/**
 * @defgroup wal_read_log 7. A whole log
 *
 * All segments of a directory in order, by the same rules as the library's reader. The program maps
 * or reads the files and lists them; cold ones are decompressed one at a time.
 *
 *     fs_wal_read_log log;
 *     memset(&log, 0, sizeof log);
 *     log.segments = segments;             // rising indexes, see fs_wal_read_name
 *     log.segment_count = count;
 *     log.durable_id = meta.last_event_id; // see fs_wal_read_meta
 *     log.room = malloc(log.room_size = largest_unpacked_size);
 *     while ((status = fs_wal_read_log_events(&log, &events, &count)) == FS_WAL_OK)
 *         apply(events, count);
 *
 * The newest events of a log that was not shut down may be in its active directory only (see
 * `fs_wal_read_identity_t.clean`). They are not read here: fs_wal_reader_open does, or the next
 * fs_wal_open.
 * @{
 */

/// The files of one segment. After a crash there may be both.
typedef struct fs_wal_read_files {
    /// Its number in the names.
    uint32_t index;
    /// Whether there is a hot file.
    bool has_hot;
    /// Whether there is a cold file.
    bool has_cold;
    /// All bytes of the hot file, aligned to 8, as mapped or allocated memory is.
    const void *hot;
    /// How many.
    size_t hot_size;
    /// All bytes of the cold file.
    const void *cold;
    /// How many.
    size_t cold_size;
} fs_wal_read_files;

/// A walk through a log. Set the first fields and the rest to 0; all are read-only after the first
/// call.
typedef struct fs_wal_read_log {
    /// The segments that there are, by rising index.
    const fs_wal_read_files *segments;
    /// How many.
    size_t segment_count;
    /// `last_event_id` in `wal_meta.dat`, 0 if that is missing or not valid.
    uint64_t durable_id;
    /// The directory has no `wal_identity`: the C++ recorder may have written it.
    bool has_no_identity;
    /// `LZ4_decompress_safe_usingDict`, to be faster with cold segments; or NULL.
    fs_wal_read_lz4 lz4;
    /// Room for the content of any of the cold segments, aligned to 8.
    void *room;
    /// How many bytes it has.
    size_t room_size;

    /// What is wrong, after `FS_WAL_ERR_CORRUPT`.
    fs_wal_read_damage damage;
    /// The last event given out.
    uint64_t last_event_id;

    fs_wal_read_segment segment_;
    size_t at_;
    uint32_t index_;
    uint64_t floor_;
    bool begun_, is_in_segment_, is_cold_;
    fs_wal_status status_;
} fs_wal_read_log;

/// Begins to read the cold file of a segment; `wanted`: how much of it must be decompressed.
static inline fs_wal_status fs_wal_read_enter_cold_(fs_wal_read_log *log,
                                                    const fs_wal_read_files *files, uint64_t after,
                                                    uint64_t wanted, fs_wal_read_segment *walk)
{
    const unsigned char *bytes = (const unsigned char *)files->cold;
    fs_wal_read_frame frame;
    fs_wal_read_unpack_(bytes, files->cold_size, log->lz4, (unsigned char *)log->room,
                        log->room_size, wanted, &frame);
    return fs_wal_read_cold(walk, log->room, &frame, files->index, after);
}

/// The header of a cold file, if it and the frame around it are right.
static inline bool fs_wal_read_cold_header_(fs_wal_read_log *log, const fs_wal_read_files *files,
                                            fs_wal_segment_header *out)
{
    fs_wal_read_frame frame;
    fs_wal_read_unpack_((const unsigned char *)files->cold, files->cold_size, log->lz4,
                        (unsigned char *)log->room, log->room_size, FS_WAL_SEGMENT_HEADER_SIZE,
                        &frame);
    return !(frame.fault && frame.size < FS_WAL_SEGMENT_HEADER_SIZE) &&
           fs_wal_read_segment_header(log->room, (size_t)frame.size, out);
}

/// Whether a slot of a hot file has an id above `event_id`.
static inline bool fs_wal_read_has_above_(const fs_wal_read_files *files, uint64_t event_id)
{
    const uint32_t blocks = fs_wal_read_blocks_of(files->hot_size);
    for (uint64_t n = 0; n < (uint64_t)blocks * FS_WAL_EVENTS_PER_BLOCK; n++) {
        const uint64_t id = fs_wal_read_load64_((const unsigned char *)files->hot +
                                                fs_wal_read_event_offset(n));
        if (id > event_id && id <= FS_WAL_READ_MAX_EVENT_ID)
            return true;
    }
    return false;
}

/// Whether a block of a hot file is sealed over other events than these. A torn one says nothing.
static inline bool fs_wal_read_contradicts_(const fs_wal_read_files *files, uint32_t block,
                                            const fs_request_event *events, size_t count)
{
    fs_wal_block_header header;
    const unsigned char *at =
        (const unsigned char *)files->hot + fs_wal_read_block_offset(block);
    if (block >= fs_wal_read_blocks_of(files->hot_size) ||
        !fs_wal_read_block_header(at, FS_WAL_BLOCK_SIZE, &header) || header.block_index != block)
        return false;
    const size_t size = header.event_count * sizeof(fs_request_event);
    at += FS_WAL_BLOCK_HEADER_SIZE;
    return fs_wal_read_xxh64(at, size, 0) == header.block_checksum &&
           (header.event_count > count || memcmp(at, events, size) != 0);
}

/// Of a segment with both files: whether the cold one counts. It does if it is whole and the hot
/// one has no event that it lacks, or is another segment's; or if the hot one has no event at all.
static inline bool fs_wal_read_cold_counts_(fs_wal_read_log *log, const fs_wal_read_files *files)
{
    fs_wal_segment_header hot, cold;
    if (!files->has_cold || !files->has_hot)
        return files->has_cold;
    const bool is_valid = fs_wal_read_segment_header(files->hot, files->hot_size, &hot);
    const bool is_own = is_valid && hot.segment_index == files->index;
    /* While a segment is being frozen both headers say the same: the hot file is enough. */
    if (is_own && hot.closed_ts_ns != 0 &&
        fs_wal_read_blocks_of(files->hot_size) >= hot.block_count &&
        (!fs_wal_read_cold_header_(log, files, &cold) || memcmp(&hot, &cold, sizeof hot) == 0))
        return false;
    fs_wal_read_segment walk;
    const fs_request_event *events;
    size_t count;
    bool hot_has_more = false;
    fs_wal_status status = fs_wal_read_enter_cold_(log, files, 0, UINT64_MAX, &walk);
    while (status == FS_WAL_OK &&
           (status = fs_wal_read_events(&walk, &events, &count)) == FS_WAL_OK)
        hot_has_more |= fs_wal_read_contradicts_(files, walk.block_ - 1, events, count);
    if (status != FS_WAL_END)
        return !fs_wal_read_has_above_(files, 0);
    hot_has_more |= fs_wal_read_has_above_(files, walk.last_event_id);
    return !hot_has_more || (is_valid && !is_own);
}

/// The place in `segments` of the first index that is not below this one.
static inline size_t fs_wal_read_find_(const fs_wal_read_log *log, uint64_t index)
{
    size_t low = 0, high = log->segment_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (log->segments[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/// Whether the segment behind this one is there and closed.
static inline bool fs_wal_read_next_is_closed_(fs_wal_read_log *log, size_t at)
{
    const fs_wal_read_files *next = &log->segments[at + 1];
    fs_wal_segment_header header;
    if (at + 1 >= log->segment_count || next->index != log->segments[at].index + 1)
        return false;
    if (next->has_hot && fs_wal_read_segment_header(next->hot, next->hot_size, &header) &&
        header.closed_ts_ns != 0)
        return true;
    return fs_wal_read_cold_counts_(log, next);
}

/// Whether the C++ recorder has gone on in a segment behind what its closed header counts: it
/// leaves the header as it is until it closes the segment again. The header was true once, so the
/// counted events end with its last id and chained checksum, and a sealed block continues the
/// chain.
static inline bool fs_wal_read_is_reopened_(const fs_wal_read_files *files,
                                            const fs_wal_segment_header *header)
{
    const uint32_t capacity = fs_wal_read_blocks_of(files->hot_size) * FS_WAL_EVENTS_PER_BLOCK;
    if (header->event_count >= capacity || header->event_count == 0 ||
        !fs_wal_read_is_consistent(header))
        return false;
    uint32_t block = header->block_count - 1;
    const size_t counted = header->event_count - block * FS_WAL_EVENTS_PER_BLOCK;
    const unsigned char *at =
        (const unsigned char *)files->hot + fs_wal_read_block_offset(block);
    fs_wal_block_header sealed;
    uint64_t chained = 0;
    if (block > 0) {
        if (!fs_wal_read_block_header(at - FS_WAL_BLOCK_SIZE, FS_WAL_BLOCK_SIZE, &sealed))
            return false;
        chained = sealed.chained_checksum;
    }
    const unsigned char *events = at + FS_WAL_BLOCK_HEADER_SIZE;
    const size_t size = sizeof(fs_request_event);
    if (fs_wal_read_id_(events, (uint32_t)counted - 1) != header->last_event_id ||
        fs_wal_read_xxh64(events, counted * size, chained) != header->last_chained_checksum)
        return false;
    /* The block that has grown since, or, behind a full one, the next. */
    if (counted == FS_WAL_EVENTS_PER_BLOCK) {
        block++;
        at += FS_WAL_BLOCK_SIZE;
        chained = header->last_chained_checksum;
    }
    return fs_wal_read_block_header(at, FS_WAL_BLOCK_SIZE, &sealed) &&
           sealed.block_index == block && sealed.last_event_id > header->last_event_id &&
           fs_wal_read_xxh64(at + FS_WAL_BLOCK_HEADER_SIZE, sealed.event_count * size, chained) ==
               sealed.chained_checksum;
}

/// Begins to read the segment at this place, behind the event `after`.
static inline fs_wal_status fs_wal_read_enter_(fs_wal_read_log *log, size_t place, uint64_t after,
                                               uint64_t wanted, fs_wal_read_segment *walk)
{
    const fs_wal_read_files *files = &log->segments[place];
    if (fs_wal_read_cold_counts_(log, files))
        return fs_wal_read_enter_cold_(log, files, after, wanted, walk);
    fs_wal_status status =
        fs_wal_read_hot(walk, files->hot, files->hot_size, files->index, after, 0);
    const bool was_closed = walk->is_closed;
    if (status == FS_WAL_ERR_INVALID_ARGUMENT || walk->damage.kind == FS_WAL_DAMAGE_MISNAMED)
        return status;
    if (was_closed && !(log->has_no_identity && fs_wal_read_is_reopened_(files, &walk->header)))
        return status;
    if (fs_wal_read_next_is_closed_(log, place)) {
        if (was_closed)
            return status;
        return fs_wal_read_fail_(
            walk, FS_WAL_DAMAGE_SEGMENT_HEADER, 0, 0, 0,
            "the header is not that of a closed segment, though the next one is closed");
    }
    uint64_t durable_id = log->durable_id;
    for (size_t later = place; later < log->segment_count; later++) {
        const fs_wal_read_files *hot = &log->segments[later];
        const uint64_t stamp =
            hot->has_hot ? fs_wal_read_durable_id(hot->hot, hot->hot_size) : 0;
        durable_id = stamp > durable_id ? stamp : durable_id;
    }
    fs_wal_read_begin_(walk, files->hot, files->hot_size, files->index, after);
    return fs_wal_read_begin_open_(walk, durable_id);
}

/// Whether a segment of this index or a later one holds events: `FS_WAL_OK`, `FS_WAL_END`, or what
/// is wrong with one.
static inline fs_wal_status fs_wal_read_has_events_(fs_wal_read_log *log, uint64_t index)
{
    for (size_t place = fs_wal_read_find_(log, index); place < log->segment_count; place++) {
        fs_wal_read_segment later;
        const fs_wal_status status =
            fs_wal_read_enter_(log, place, 0, FS_WAL_SEGMENT_HEADER_SIZE, &later);
        if (status != FS_WAL_OK) {
            log->damage = later.damage;
            return status;
        }
        const uint64_t first = later.is_closed
                                   ? later.header.first_event_id
                                   : fs_wal_read_first_slot_(later.bytes_, later.size_);
        if (first != 0)
            return FS_WAL_OK;
    }
    return FS_WAL_END;
}

static inline fs_wal_status fs_wal_read_log_fail_(fs_wal_read_log *log, uint32_t kind,
                                                  uint64_t first, uint64_t last, const char *what)
{
    memset(&log->damage, 0, sizeof log->damage);
    log->damage.kind = kind;
    log->damage.has_segment_index = log->begun_;
    log->damage.segment_index = log->index_;
    log->damage.first_event_id = first;
    log->damage.last_event_id = last;
    log->damage.what = what;
    return FS_WAL_ERR_CORRUPT;
}

/// Where the log seems to end: unless a later segment begins among the events of this one, or more
/// is known to be durable.
static inline fs_wal_status fs_wal_read_stop_(fs_wal_read_log *log)
{
    const uint64_t end = log->last_event_id;
    const uint64_t durable_id = log->durable_id < FS_WAL_READ_MAX_EVENT_ID
                                    ? log->durable_id
                                    : FS_WAL_READ_MAX_EVENT_ID;
    if (durable_id > end)
        return fs_wal_read_log_fail_(log, FS_WAL_DAMAGE_DURABLE_LOST, end + 1, durable_id,
                                     "events that were durable are gone");
    if (!log->is_in_segment_ || log->segment_.is_closed)
        return FS_WAL_END;
    for (size_t place = log->at_ + 1; place < log->segment_count; place++) {
        const fs_wal_read_files *later = &log->segments[place];
        fs_wal_segment_header header;
        if (!later->has_hot ||
            !fs_wal_read_segment_header(later->hot, later->hot_size, &header) ||
            header.segment_index != later->index)
            continue;
        const uint64_t first = fs_wal_read_first_slot_(later->hot, later->hot_size);
        if (first > log->floor_ && first <= end) {
            fs_wal_read_log_fail_(log, FS_WAL_DAMAGE_BLOCK, first, end, 
                                  "begins among the events of an earlier segment");
            log->damage.segment_index = later->index;
            log->damage.has_offset = 1;
            log->damage.offset = fs_wal_read_event_offset(0);
            return FS_WAL_ERR_CORRUPT;
        }
    }
    return FS_WAL_END;
}

/// Whether the log was set up as it must be.
static inline fs_wal_status fs_wal_read_check_(const fs_wal_read_log *log)
{
    const uintptr_t room = (uintptr_t)log->room;
    if (room % 8 != 0 || (!log->room && log->room_size > 0) ||
        (!log->segments && log->segment_count > 0))
        return FS_WAL_ERR_INVALID_ARGUMENT;
    for (size_t place = 0; place < log->segment_count; place++) {
        const fs_wal_read_files *files = &log->segments[place];
        const bool follows = place == 0 || files[-1].index < files->index;
        if (!follows || (!files->has_hot && !files->has_cold) ||
            (files->has_hot && !files->hot && files->hot_size > 0) ||
            (files->has_hot && (uintptr_t)files->hot % 8 != 0) ||
            (files->has_cold && !files->cold && files->cold_size > 0))
            return FS_WAL_ERR_INVALID_ARGUMENT;
        if (files->has_cold &&
            log->room_size < fs_wal_read_unpacked_size(files->cold, files->cold_size))
            return FS_WAL_ERR_NO_SPACE;
    }
    return FS_WAL_OK;
}

/// Goes on in the next segment.
static inline fs_wal_status fs_wal_read_cross_(fs_wal_read_log *log)
{
    const size_t place = log->begun_ ? fs_wal_read_find_(log, log->index_) : 0;
    if (place == log->segment_count)
        return fs_wal_read_stop_(log);
    if (log->begun_ && log->segments[place].index != log->index_) {
        const fs_wal_status later = fs_wal_read_has_events_(log, log->index_);
        if (later == FS_WAL_END)
            return fs_wal_read_stop_(log);
        if (later != FS_WAL_OK)
            return later;
        return fs_wal_read_log_fail_(log, FS_WAL_DAMAGE_MISSING_SEGMENT, 0, 0,
                                     "missing, though a later segment is there");
    }
    log->at_ = place;
    log->index_ = log->segments[place].index;
    log->begun_ = log->is_in_segment_ = true;
    log->floor_ = log->last_event_id;
    const fs_wal_status status =
        fs_wal_read_enter_(log, place, log->floor_, UINT64_MAX, &log->segment_);
    log->damage = log->segment_.damage;
    return status;
}

/// Behind the last event of a segment.
static inline fs_wal_status fs_wal_read_leave_(fs_wal_read_log *log)
{
    if (log->segment_.ends_log || log->index_ == UINT32_MAX)
        return fs_wal_read_stop_(log);
    if (log->segment_.has_room) {
        /* A log that was shut down goes on in it: what is behind counts only if it holds events. */
        const fs_wal_status later = fs_wal_read_has_events_(log, (uint64_t)log->index_ + 1);
        if (later != FS_WAL_OK)
            return later == FS_WAL_END ? fs_wal_read_stop_(log) : later;
    }
    log->is_in_segment_ = false;
    log->index_++;
    return FS_WAL_OK;
}

/// The next events of the log, at least one: those of a block. They are valid until the next call.
/// Returns `FS_WAL_OK`; `FS_WAL_END` where the log ends; `FS_WAL_ERR_CORRUPT`, see `damage`, where
/// the library's reader stops; `FS_WAL_ERR_NO_SPACE` when `room` is too small for a cold segment;
/// `FS_WAL_ERR_INVALID_ARGUMENT` when the log was not set up as it must be. From then on the same
/// again.
static inline fs_wal_status fs_wal_read_log_events(fs_wal_read_log *log,
                                                   const fs_request_event **events, size_t *count)
{
    *events = NULL;
    *count = 0;
    if (!log->begun_ && log->status_ == FS_WAL_OK)
        log->status_ = fs_wal_read_check_(log);
    while (log->status_ == FS_WAL_OK) {
        if (!log->is_in_segment_) {
            log->status_ = fs_wal_read_cross_(log);
            continue;
        }
        const fs_wal_status status = fs_wal_read_events(&log->segment_, events, count);
        if (status == FS_WAL_OK) {
            log->last_event_id = log->segment_.last_event_id;
            return FS_WAL_OK;
        }
        log->damage = log->segment_.damage;
        log->status_ = status == FS_WAL_END ? fs_wal_read_leave_(log) : status;
    }
    return log->status_;
}

/** @} */

#ifdef __cplusplus
}
#endif

#endif
