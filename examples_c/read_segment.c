/* Reads and verifies hot segment files (FS.*.wal) with nothing but the structs of
 * flashstrike_wal.h. It links no library, and has its own XXH64. So it checks independently what
 * the library wrote.
 *
 *     read_segment [--events] [--after ID] FILE...
 *
 * Checks the segment header, and the header, the block checksum and the chained checksum of every
 * block. Event ids must rise from the first file to the last, so give the files of a log in order.
 * Without --events it prints a line per file. With --events it prints a line per event, of ten
 * fields separated by single spaces:
 *
 *     event_id timestamp price quantity user_id order_id type order_type side reserved
 *
 * Numbers are decimal; reserved is 42 hexadecimal digits, in the order of its bytes.
 *
 * In a segment that is still open, sealed blocks come first. The events after them are not sealed
 * yet: no checksum covers them, so only their rising ids show that they are valid. The first id
 * that does not rise ends the log, because a recycled file still contains older events. --after ID
 * gives the last id before the first file; instead you can pass the previous segment too.
 *
 * Decompress a cold segment first: lz4 -d FS.00000000.wal.lz4
 *
 * Exit status: 0 all verified, 1 damage (printed to standard error), 2 unreadable or misused. */

#include <flashstrike_wal.h>

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "segments are little-endian, and this program does not swap bytes"
#endif

/* ---- XXH64 ------------------------------------------------------------------------------------ */

static const uint64_t P1 = UINT64_C(0x9E3779B185EBCA87), P2 = UINT64_C(0xC2B2AE3D27D4EB4F),
                      P3 = UINT64_C(0x165667B19E3779F9), P4 = UINT64_C(0x85EBCA77C2B2AE63),
                      P5 = UINT64_C(0x27D4EB2F165667C5);

static uint64_t rotate(uint64_t x, int bits) { return (x << bits) | (x >> (64 - bits)); }

static uint64_t load64(const uint8_t *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static uint64_t mix(uint64_t lane, uint64_t word) { return rotate(lane + word * P2, 31) * P1; }

/* Whatever has a checksum in a segment is a multiple of eight bytes long, so the code for tails of
 * 4 and of 1 byte is not needed. */
static uint64_t xxh64(const void *data, size_t len, uint64_t seed)
{
    const uint8_t *p = data, *end = p + len;
    uint64_t hash;

    if (len >= 32) {
        uint64_t lane[4] = {seed + P1 + P2, seed + P2, seed, seed - P1};
        for (; end - p >= 32; p += 32)
            for (int i = 0; i < 4; i++)
                lane[i] = mix(lane[i], load64(p + 8 * i));
        hash = rotate(lane[0], 1) + rotate(lane[1], 7) + rotate(lane[2], 12) + rotate(lane[3], 18);
        for (int i = 0; i < 4; i++)
            hash = (hash ^ mix(0, lane[i])) * P1 + P4;
    } else {
        hash = seed + P5;
    }
    hash += len;
    for (; p < end; p += 8)
        hash = rotate(hash ^ mix(0, load64(p)), 27) * P1 + P4;
    hash = (hash ^ (hash >> 33)) * P2;
    hash = (hash ^ (hash >> 29)) * P3;
    return hash ^ (hash >> 32);
}

/* ---- one file --------------------------------------------------------------------------------- */

struct segment {
    const char *path;
    uint8_t *bytes;
    size_t size;
    fs_wal_segment_header header;
};

struct totals {
    uint32_t blocks;
    uint64_t sealed, unsealed; /* events */
    uint64_t first_id, last_id;
    uint64_t chained; /* checksum of the last sealed block */
};

static bool read_file(struct segment *s)
{
    FILE *file = fopen(s->path, "rb");
    if (!file)
        return false;
    size_t capacity = 1 << 20;
    s->bytes = malloc(capacity);
    s->size = 0;
    while (s->bytes) {
        s->size += fread(s->bytes + s->size, 1, capacity - s->size, file);
        if (s->size < capacity)
            break;
        uint8_t *larger = realloc(s->bytes, capacity *= 2);
        if (!larger)
            free(s->bytes);
        s->bytes = larger;
    }
    bool ok = s->bytes && !ferror(file);
    int error = errno;
    fclose(file);
    errno = error;
    return ok;
}

static size_t block_offset(uint32_t block)
{
    return FS_WAL_SEGMENT_HEADER_SIZE + (size_t)block * FS_WAL_BLOCK_SIZE;
}

static bool damaged(const struct segment *s, size_t offset, const char *what, uint64_t found,
                    uint64_t expected)
{
    fflush(stdout);
    fprintf(stderr, "%s: at offset %zu: %s is %" PRIu64 " (0x%" PRIx64 ")", s->path, offset, what,
            found, found);
    fprintf(stderr, ", expected %" PRIu64 " (0x%" PRIx64 ")\n", expected, expected);
    return false;
}

static bool check_segment_header(struct segment *s)
{
    if (s->size < FS_WAL_SEGMENT_HEADER_SIZE)
        return damaged(s, 0, "file size", s->size, FS_WAL_SEGMENT_HEADER_SIZE);
    if (memcmp(s->bytes, "\x04\x22\x4d\x18", 4) == 0) {
        fprintf(stderr, "%s: is compressed: lz4 -d it first\n", s->path);
        return false;
    }
    memcpy(&s->header, s->bytes, sizeof s->header);
    const fs_wal_segment_header *h = &s->header;

    uint64_t checksum = xxh64(s->bytes + 56, 8, xxh64(s->bytes, 48, 0));
    if (h->magic != FS_WAL_SEGMENT_MAGIC)
        return damaged(s, 0, "magic", h->magic, FS_WAL_SEGMENT_MAGIC);
    if (h->version != FS_WAL_FORMAT_VERSION)
        return damaged(s, 2, "version", h->version, FS_WAL_FORMAT_VERSION);
    if (h->header_size != FS_WAL_SEGMENT_HEADER_SIZE)
        return damaged(s, 3, "header size", h->header_size, FS_WAL_SEGMENT_HEADER_SIZE);
    if (h->header_checksum != checksum)
        return damaged(s, 48, "header checksum", h->header_checksum, checksum);

    /* If a file was renamed to another index, its events would come in the wrong place. */
    const char *slash = strrchr(s->path, '/'), *name = slash ? slash + 1 : s->path;
    uint32_t index;
    int length = 0;
    if (sscanf(name, "FS.%" SCNu32 ".wal%n", &index, &length) == 1 && length &&
        h->segment_index != index)
        return damaged(s, 4, "segment index", h->segment_index, index);
    return true;
}

static uint64_t header_checksum_of(const uint8_t *block)
{
    return xxh64(block + 40, 24, xxh64(block, 32, 0));
}

/* Checks the header of a sealed block, and the index, ids and both checksums in it against its
 * events. */
static bool check_block(const struct segment *s, uint32_t index, const struct totals *t)
{
    const size_t at = block_offset(index);
    const uint8_t *events = s->bytes + at + FS_WAL_BLOCK_HEADER_SIZE;
    fs_wal_block_header b;
    memcpy(&b, s->bytes + at, sizeof b);

    uint64_t checksum = header_checksum_of(s->bytes + at);
    if (b.header_checksum != checksum)
        return damaged(s, at + 32, "block header checksum", b.header_checksum, checksum);
    if (b.block_index != index)
        return damaged(s, at + 40, "block index", b.block_index, index);
    if (b.event_count == 0 || b.event_count > FS_WAL_EVENTS_PER_BLOCK)
        return damaged(s, at + 44, "block event count", b.event_count, FS_WAL_EVENTS_PER_BLOCK);

    const size_t length = (size_t)b.event_count * sizeof(fs_request_event);
    checksum = xxh64(events, length, 0);
    if (b.block_checksum != checksum)
        return damaged(s, at + 16, "block checksum", b.block_checksum, checksum);
    checksum = xxh64(events, length, t->chained);
    if (b.chained_checksum != checksum)
        return damaged(s, at + 24, "chained checksum", b.chained_checksum, checksum);

    uint64_t previous = t->last_id;
    for (uint32_t i = 0; i < b.event_count; i++) {
        uint64_t id = load64(events + i * sizeof(fs_request_event));
        if (id <= previous)
            return damaged(s, at + FS_WAL_BLOCK_HEADER_SIZE + i * sizeof(fs_request_event),
                           "event id (which must rise)", id, previous + 1);
        previous = id;
    }
    if (b.first_event_id != load64(events))
        return damaged(s, at, "first event id", b.first_event_id, load64(events));
    if (b.last_event_id != previous)
        return damaged(s, at + 8, "last event id", b.last_event_id, previous);
    return true;
}

/* Adds the events from..to of a block to the totals, and prints them if asked to. */
static void take(const struct segment *s, uint32_t block, uint32_t from, uint32_t to, bool print,
                 struct totals *t)
{
    for (uint32_t i = from; i < to; i++) {
        fs_request_event e;
        memcpy(&e, s->bytes + block_offset(block) + FS_WAL_BLOCK_HEADER_SIZE + i * sizeof e,
               sizeof e);
        if (!t->first_id)
            t->first_id = e.event_id;
        t->last_id = e.event_id;
        if (!print)
            continue;
        printf("%" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %" PRIu32 " %" PRIu32 " %u %u %u ",
               e.event_id, e.timestamp, e.price, e.quantity, e.user_id, e.order_id, e.type,
               e.order_type, e.side);
        for (size_t r = 0; r < sizeof e.reserved; r++)
            printf("%02x", e.reserved[r]);
        putchar('\n');
    }
}

static uint32_t take_sealed(const struct segment *s, uint32_t block, bool print, struct totals *t)
{
    fs_wal_block_header b;
    memcpy(&b, s->bytes + block_offset(block), sizeof b);
    take(s, block, 0, b.event_count, print, t);
    t->chained = b.chained_checksum;
    t->sealed += b.event_count;
    t->blocks++;
    return b.event_count;
}

static bool walk_closed(const struct segment *s, bool print, struct totals *t)
{
    const fs_wal_segment_header *h = &s->header;
    if (s->size < block_offset(h->block_count))
        return damaged(s, 0, "file size", s->size, block_offset(h->block_count));
    for (uint32_t block = 0; block < h->block_count; block++) {
        if (!check_block(s, block, t))
            return false;
        uint32_t count = take_sealed(s, block, print, t);
        if (block + 1 < h->block_count && count < FS_WAL_EVENTS_PER_BLOCK)
            return damaged(s, block_offset(block) + 44, "event count of an inner block", count,
                           FS_WAL_EVENTS_PER_BLOCK);
    }
    if (h->event_count != t->sealed)
        return damaged(s, 12, "segment event count", h->event_count, t->sealed);
    if (h->first_event_id != t->first_id)
        return damaged(s, 16, "segment first event id", h->first_event_id, t->first_id);
    if (t->sealed && h->last_event_id != t->last_id)
        return damaged(s, 24, "segment last event id", h->last_event_id, t->last_id);
    if (h->last_chained_checksum != t->chained)
        return damaged(s, 56, "segment chained checksum", h->last_chained_checksum, t->chained);
    return true;
}

/* Whether the block header is valid and was written for the events that are here. If not, that is
 * no damage in an open segment: the header is not written yet, or it is from before the file was
 * recycled. But a header that was written for these events must agree with them. */
static bool sealed_here(const struct segment *s, uint32_t block)
{
    const uint8_t *at = s->bytes + block_offset(block);
    fs_wal_block_header b;
    memcpy(&b, at, sizeof b);
    return b.header_checksum == header_checksum_of(at) && b.block_index == block &&
           b.event_count >= 1 && b.event_count <= FS_WAL_EVENTS_PER_BLOCK &&
           b.first_event_id == load64(at + FS_WAL_BLOCK_HEADER_SIZE);
}

static bool walk_open(const struct segment *s, bool print, struct totals *t)
{
    for (uint32_t block = 0; block_offset(block + 1) <= s->size; block++) {
        const uint8_t *events = s->bytes + block_offset(block) + FS_WAL_BLOCK_HEADER_SIZE;
        if (load64(events) <= t->last_id)
            return true;
        const uint64_t previous_chained = t->chained;
        uint32_t count = 0;
        if (sealed_here(s, block)) {
            if (!check_block(s, block, t))
                return false;
            count = take_sealed(s, block, print, t);
        }
        for (; count < FS_WAL_EVENTS_PER_BLOCK; count++) {
            if (load64(events + count * sizeof(fs_request_event)) <= t->last_id)
                return true;
            take(s, block, count, count + 1, print, t);
            t->unsealed++;
        }
        /* The chained checksum covers events only, so it continues even if a header was lost. */
        t->chained =
            xxh64(events, FS_WAL_EVENTS_PER_BLOCK * sizeof(fs_request_event), previous_chained);
    }
    return true;
}

/* Returns the exit status; `last_id` is the id before this file, then the last one in it. */
static int read_segment(const char *path, bool print, uint64_t *last_id)
{
    struct segment s = {.path = path};
    struct totals t = {.last_id = *last_id};
    if (!read_file(&s)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        free(s.bytes);
        return 2;
    }
    bool open = false, ok = check_segment_header(&s);
    if (ok) {
        open = s.header.closed_ts_ns == 0;
        ok = open ? walk_open(&s, print, &t) : walk_closed(&s, print, &t);
    }
    free(s.bytes);
    if (!ok)
        return 1;
    if (!print) {
        printf("%s: segment %" PRIu32 ", %s, %" PRIu32 " blocks, %" PRIu64 " events verified", path,
               s.header.segment_index, open ? "open" : "closed", t.blocks, t.sealed);
        if (t.unsealed)
            printf(", %" PRIu64 " not sealed yet", t.unsealed);
        if (t.first_id)
            printf(", ids %" PRIu64 " to %" PRIu64, t.first_id, t.last_id);
        putchar('\n');
    }
    *last_id = t.last_id;
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: read_segment [--events] [--after ID] FILE...\n");
    return 2;
}

int main(int argc, char **argv)
{
    bool print = false;
    uint64_t last_id = 0;
    int arg = 1;
    for (; arg < argc && strncmp(argv[arg], "--", 2) == 0; arg++) {
        char *end = "";
        if (strcmp(argv[arg], "--events") == 0)
            print = true;
        else if (strcmp(argv[arg], "--after") == 0 && arg + 1 < argc)
            last_id = strtoull(argv[++arg], &end, 10);
        else
            return usage();
        if (*end)
            return usage();
    }
    if (arg == argc)
        return usage();
    for (; arg < argc; arg++) {
        int status = read_segment(argv[arg], print, &last_id);
        if (status)
            return status;
    }
    return fflush(stdout) || ferror(stdout) ? 2 : 0;
}
