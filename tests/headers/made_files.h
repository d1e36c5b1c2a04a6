/* Segment files as bytes: sealed anew after a change, and put into LZ4 frames. So a test can make
 * damage that checksums alone do not show. */

#ifndef MADE_FILES_H
#define MADE_FILES_H

#include "both_readers.h"

static inline unsigned char *block_at(bytes segment, uint32_t block)
{
    CHECK(fs_wal_read_block_offset(block + 1) <= segment.size);
    return segment.at + fs_wal_read_block_offset(block);
}

static inline void seal_segment_header(unsigned char *segment)
{
    const uint64_t sum = fs_wal_read_xxh64(segment + 56, 8, fs_wal_read_xxh64(segment, 48, 0));
    memcpy(segment + 48, &sum, sizeof sum);
}

static inline void seal_block_header(unsigned char *block)
{
    const uint64_t sum = fs_wal_read_xxh64(block + 40, 24, fs_wal_read_xxh64(block, 32, 0));
    memcpy(block + 32, &sum, sizeof sum);
}

/* Seals the first `count` events of a block behind one with this chained checksum. */
static inline void seal_block(unsigned char *block, uint32_t index, uint16_t count,
                              uint64_t chained, uint64_t durable_id)
{
    fs_wal_block_header header;
    const unsigned char *events = block + FS_WAL_BLOCK_HEADER_SIZE;
    memset(&header, 0, sizeof header);
    header.first_event_id = fs_wal_read_id_(events, 0);
    header.last_event_id = fs_wal_read_id_(events, count - 1u);
    header.block_checksum = fs_wal_read_xxh64(events, count * sizeof(fs_request_event), 0);
    header.chained_checksum =
        fs_wal_read_xxh64(events, count * sizeof(fs_request_event), chained);
    header.block_index = index;
    header.event_count = count;
    header.durable_event_id = durable_id;
    memcpy(block, &header, sizeof header);
    seal_block_header(block);
}

static inline void put32(bytes *to, uint32_t word)
{
    memcpy(to->at + to->size, &word, sizeof word);
    to->size += sizeof word;
}

/* How a frame is made: flags as in its header, and bytes of content in a block. */
typedef struct framing {
    unsigned char flags;
    unsigned char limit_id;
} framing;

/* The frames of the library. */
static const framing usual_framing = {0x7C, 5};

#ifdef WITH_LZ4
/* A frame that lz4 makes. */
static inline bytes frame_of(bytes content, framing how)
{
    LZ4F_preferences_t wanted;
    memset(&wanted, 0, sizeof wanted);
    wanted.frameInfo.blockSizeID = (LZ4F_blockSizeID_t)how.limit_id;
    wanted.frameInfo.blockMode = how.flags & 0x20 ? LZ4F_blockIndependent : LZ4F_blockLinked;
    wanted.frameInfo.blockChecksumFlag =
        how.flags & 0x10 ? LZ4F_blockChecksumEnabled : LZ4F_noBlockChecksum;
    wanted.frameInfo.contentSize = how.flags & 0x08 ? content.size : 0;
    wanted.frameInfo.contentChecksumFlag =
        how.flags & 0x04 ? LZ4F_contentChecksumEnabled : LZ4F_noContentChecksum;
    const size_t room = LZ4F_compressFrameBound(content.size, &wanted);
    bytes frame = {(unsigned char *)malloc(room), 0};
    CHECK(frame.at);
    frame.size = LZ4F_compressFrame(frame.at, room, content.at, content.size, &wanted);
    CHECK(!LZ4F_isError(frame.size));
    return frame;
}
#else
/* A frame of stored blocks. */
static inline bytes frame_of(bytes content, framing how)
{
    const size_t limit = (size_t)1 << (8 + 2 * how.limit_id);
    bytes frame = {NULL, 0};
    frame.at = (unsigned char *)malloc(content.size + 72 + content.size / limit * 8);
    CHECK(frame.at);
    put32(&frame, UINT32_C(0x184D2204));
    frame.at[frame.size++] = how.flags;
    frame.at[frame.size++] = (unsigned char)(how.limit_id << 4);
    if (how.flags & 0x08) {
        const uint64_t size = content.size;
        memcpy(frame.at + frame.size, &size, sizeof size);
        frame.size += sizeof size;
    }
    frame.at[frame.size] =
        (unsigned char)(fs_wal_read_xxh32(frame.at + 4, frame.size - 4) >> 8);
    frame.size++;
    for (size_t done = 0; done < content.size;) {
        const size_t left = content.size - done, size = left < limit ? left : limit;
        put32(&frame, (uint32_t)size | UINT32_C(0x80000000));
        memcpy(frame.at + frame.size, content.at + done, size);
        frame.size += size;
        if (how.flags & 0x10)
            put32(&frame, fs_wal_read_xxh32(content.at + done, size));
        done += size;
    }
    put32(&frame, 0);
    if (how.flags & 0x04)
        put32(&frame, fs_wal_read_xxh32(content.at, content.size));
    return frame;
}
#endif

/* The content of a cold file that is right. */
static inline bytes content_of(bytes frame)
{
    fs_wal_read_frame found;
    const size_t room = fs_wal_read_unpacked_size(frame.at, frame.size);
    bytes content = {(unsigned char *)malloc(room), 0};
    CHECK(content.at);
    CHECK(fs_wal_read_unpack(frame.at, frame.size, LZ4_FUNCTION, content.at, room, &found) ==
          FS_WAL_OK);
    content.size = (size_t)found.size;
    return content;
}

#endif
