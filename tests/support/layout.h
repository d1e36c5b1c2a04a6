/* The layout of the structs as docs/format.md and the ABI fix it, checked in C11 and C++17. */

#ifndef LAYOUT_H
#define LAYOUT_H

#include <flashstrike_wal.h>
#include <flashstrike_wal.h> /* including it twice must compile */

#include <assert.h>
#include <stddef.h>

#define AT(type, field, offset) static_assert(offsetof(type, field) == (offset), #type "." #field)
#define SIZE(type, size) static_assert(sizeof(type) == (size), #type)

SIZE(fs_request_event, 64);
AT(fs_request_event, event_id, 0);
AT(fs_request_event, timestamp, 8);
AT(fs_request_event, price, 16);
AT(fs_request_event, quantity, 24);
AT(fs_request_event, user_id, 32);
AT(fs_request_event, order_id, 36);
AT(fs_request_event, type, 40);
AT(fs_request_event, order_type, 41);
AT(fs_request_event, side, 42);
AT(fs_request_event, reserved, 43);

SIZE(fs_wal_meta_state, 16);
AT(fs_wal_meta_state, last_segment_index, 0);
AT(fs_wal_meta_state, last_offset, 4);
AT(fs_wal_meta_state, last_event_id, 8);

SIZE(fs_wal_segment_header, FS_WAL_SEGMENT_HEADER_SIZE);
AT(fs_wal_segment_header, magic, 0);
AT(fs_wal_segment_header, version, 2);
AT(fs_wal_segment_header, header_size, 3);
AT(fs_wal_segment_header, segment_index, 4);
AT(fs_wal_segment_header, block_count, 8);
AT(fs_wal_segment_header, event_count, 12);
AT(fs_wal_segment_header, first_event_id, 16);
AT(fs_wal_segment_header, last_event_id, 24);
AT(fs_wal_segment_header, created_ts_ns, 32);
AT(fs_wal_segment_header, closed_ts_ns, 40);
AT(fs_wal_segment_header, header_checksum, 48);
AT(fs_wal_segment_header, last_chained_checksum, 56);

SIZE(fs_wal_block_header, FS_WAL_BLOCK_HEADER_SIZE);
AT(fs_wal_block_header, first_event_id, 0);
AT(fs_wal_block_header, last_event_id, 8);
AT(fs_wal_block_header, block_checksum, 16);
AT(fs_wal_block_header, chained_checksum, 24);
AT(fs_wal_block_header, header_checksum, 32);
AT(fs_wal_block_header, block_index, 40);
AT(fs_wal_block_header, event_count, 44);
AT(fs_wal_block_header, durable_event_id, 48);

AT(fs_wal_config, struct_size, 0);
AT(fs_wal_config, num_blocks, 4);
AT(fs_wal_config, max_segments, 8);
AT(fs_wal_config, max_compressed_segments, 12);
AT(fs_wal_config, prepared_segments, 16);
AT(fs_wal_config, flags, 20);
AT(fs_wal_config, backpressure, 24);
AT(fs_wal_config, sync_mode, 28);
AT(fs_wal_config, sync_interval_ns, 32);
AT(fs_wal_config, retention_floor, 40);
AT(fs_wal_config, active_dir, 48);
AT(fs_wal_config, max_held_bytes, 96);
AT(fs_wal_config, max_snapshots, 104);
AT(fs_wal_snapshot_info, event_id, 8);
AT(fs_wal_snapshot_info, created_ns, 16);
AT(fs_wal_snapshot_info, size, 24);

SIZE(fs_wal_reader_config, 40);
AT(fs_wal_reader_config, struct_size, 0);
AT(fs_wal_reader_config, flags, 4);
AT(fs_wal_reader_config, threads, 8);
AT(fs_wal_reader_config, reserved, 12);
AT(fs_wal_reader_config, end_event_id, 16);
AT(fs_wal_reader_config, spin_ns, 24);
AT(fs_wal_reader_config, hold, 32);

SIZE(fs_wal_control, 4096);
SIZE(fs_wal_control_histograms, 6 * 320 * 8);
AT(fs_wal_control, identity, 0);
AT(fs_wal_control, limits, 128);
AT(fs_wal_control, state, 256);
AT(fs_wal_control, pulse, 384);
AT(fs_wal_control, appended, 512);
AT(fs_wal_control, durable, 640);
AT(fs_wal_control, writer, 768);
AT(fs_wal_control, persister, 896);
AT(fs_wal_control, preparer, 1024);
AT(fs_wal_control, maintainer, 1152);
AT(fs_wal_control, freezers, 1408);
AT(fs_wal_control, meta, 1536);
AT(fs_wal_control, integrity_failures, 1664);
AT(fs_wal_control, workers, 1792);
AT(fs_wal_control, identity.file_size, 12);
AT(fs_wal_control, identity.generation, 32);
AT(fs_wal_control, identity.pid, 40);
AT(fs_wal_control, limits.ring_capacity, 192);
AT(fs_wal_control, state.failed_errno, 272);
AT(fs_wal_control, appended.position, 520);
AT(fs_wal_control, durable.position, 648);
AT(fs_wal_control, writer.rotation, 784);
AT(fs_wal_control, persister.behind_since_ns, 960);
AT(fs_wal_control, maintainer.hot_segments, 1200);
AT(fs_wal_control, freezers.compression_failures, 1432);
static_assert(FS_WAL_CONTROL_VERSION == 1, "version of the control file");
static_assert(FS_WAL_STATE_OPEN == 1 && FS_WAL_STATE_FAILED == 2 && FS_WAL_STATE_CLOSED == 3,
              "states");

static_assert(FS_WAL_SEGMENT_MAGIC == 0x4653, "magic");
static_assert(FS_WAL_FORMAT_VERSION == 1, "format version");
static_assert(FS_WAL_EVENTS_PER_BLOCK == 256, "events per block");
static_assert(FS_WAL_BLOCK_SIZE == 64 + 256 * 64, "block size");
static_assert(FS_WAL_MIN_BLOCKS == 16 && FS_WAL_MAX_BLOCKS == 261120, "block limits");
static_assert(FS_WAL_OK == 0 && FS_WAL_ERR_INVALID_ARGUMENT == 1 && FS_WAL_ERR_NOT_FOUND == 2 &&
              FS_WAL_ERR_LOCKED == 3 && FS_WAL_ERR_PERMISSION == 4 && FS_WAL_ERR_NO_SPACE == 5 &&
              FS_WAL_ERR_IO == 6 && FS_WAL_ERR_CORRUPT == 7 && FS_WAL_ERR_OUT_OF_ORDER == 8 &&
              FS_WAL_ERR_WOULD_BLOCK == 9 && FS_WAL_ERR_TIMEOUT == 10 &&
              FS_WAL_ERR_POISONED == 11 && FS_WAL_ERR_GAP == 12 &&
              FS_WAL_ERR_UNSUPPORTED == 13 && FS_WAL_ERR_INTERNAL == 14 && FS_WAL_END == 15 &&
              FS_WAL_ERR_CLOSED == 16, "status values");
static_assert(FS_WAL_KEEP_ALL == UINT32_MAX && FS_WAL_KEEP_NONE == UINT32_MAX - 1,
              "retention values");
static_assert(FS_WAL_FLAG_ACCEPT_LOSS == 1 && FS_WAL_FLAG_ALLOW_ANY_FILESYSTEM == 2 &&
              FS_WAL_FLAG_NO_COMPRESSION == 4 && FS_WAL_FLAG_SPIN == 8, "flag values");
static_assert(FS_WAL_READER_FOLLOW == 1 && FS_WAL_READER_SALVAGE == 2 &&
              FS_WAL_READER_NO_VERIFY == 4 && FS_WAL_READER_DURABLE_ONLY == 8,
              "reader flag values");

#endif
