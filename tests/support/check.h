/* Checks for the C and C++ tests: the first that fails prints what it saw and ends the test. */

#ifndef CHECK_H
#define CHECK_H

#include <flashstrike_wal.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                          \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition);         \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

/* Compares a call's status; on a difference prints the library's last error. */
#define CHECK_STATUS(call, wanted)                                                                \
    do {                                                                                          \
        const fs_wal_status seen_ = (call), wanted_ = (wanted);                                   \
        if (seen_ != wanted_) {                                                                   \
            fprintf(stderr, "%s:%d: %s gave %s, not %s; last error: %s\n", __FILE__, __LINE__,    \
                    #call, fs_wal_status_string(seen_), fs_wal_status_string(wanted_),            \
                    fs_wal_last_error());                                                         \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

#define CHECK_OK(call) CHECK_STATUS(call, FS_WAL_OK)

/* The text of the last error must contain `name`. */
#define CHECK_ERROR_NAMES(name)                                                                   \
    do {                                                                                          \
        if (!strstr(fs_wal_last_error(), (name))) {                                               \
            fprintf(stderr, "%s:%d: last error does not name %s: %s\n", __FILE__, __LINE__,       \
                    (name), fs_wal_last_error());                                                 \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

/* An event in which every byte depends on its id. */
static inline fs_request_event make_event(uint64_t event_id)
{
    fs_request_event event;
    unsigned char *bytes = (unsigned char *)&event;
    uint64_t state = event_id;
    for (size_t i = 0; i < sizeof event; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bytes[i] = (unsigned char)(state >> 56);
    }
    event.event_id = event_id;
    return event;
}

static inline void append_events(fs_wal *wal, uint64_t from, uint64_t to)
{
    for (uint64_t id = from; id <= to; id++) {
        const fs_request_event event = make_event(id);
        CHECK_OK(fs_wal_append(wal, &event));
    }
}

static inline int is_made_event(const fs_request_event *event)
{
    const fs_request_event wanted = make_event(event->event_id);
    return memcmp(event, &wanted, sizeof wanted) == 0;
}

/* Small segments: 16 blocks of 256, so 4096 events fill one. */
static inline fs_wal_config small_segments(void)
{
    fs_wal_config config;
    fs_wal_config_init(&config, sizeof config);
    config.num_blocks = FS_WAL_MIN_BLOCKS;
    return config;
}

#define EVENTS_PER_SMALL_SEGMENT ((uint64_t)FS_WAL_MIN_BLOCKS * FS_WAL_EVENTS_PER_BLOCK)

#endif
