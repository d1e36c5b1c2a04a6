/* What other threads may call while one appends: meta and durable (never torn, never moving
 * backwards) and wait_durable. The last error belongs to each thread. */

#include "../support/check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define EVENTS (30 * EVENTS_PER_SMALL_SEGMENT)

static fs_wal *wal;
static atomic_bool finished;

static int is_consistent(const fs_wal_meta_state *state)
{
    if (state->last_event_id == 0)
        return state->last_segment_index == 0 && state->last_offset == 0;
    const uint64_t index = state->last_event_id - 1, in_segment = index % EVENTS_PER_SMALL_SEGMENT;
    return state->last_segment_index == index / EVENTS_PER_SMALL_SEGMENT &&
           state->last_offset ==
               FS_WAL_SEGMENT_HEADER_SIZE + FS_WAL_BLOCK_HEADER_SIZE +
                   in_segment / FS_WAL_EVENTS_PER_BLOCK * FS_WAL_BLOCK_SIZE +
                   (in_segment % FS_WAL_EVENTS_PER_BLOCK + 1) * sizeof(fs_request_event);
}

static void *watch(void *unused)
{
    (void)unused;
    fs_wal_meta_state last = {0, 0, 0}, durable_last = {0, 0, 0};
    while (!atomic_load(&finished)) {
        fs_wal_meta_state durable, meta;
        CHECK_OK(fs_wal_durable(wal, &durable));
        CHECK_OK(fs_wal_meta(wal, &meta));
        CHECK(is_consistent(&meta) && is_consistent(&durable));
        CHECK(meta.last_event_id >= last.last_event_id);
        CHECK(durable.last_event_id >= durable_last.last_event_id);
        CHECK(durable.last_event_id <= meta.last_event_id);
        last = meta;
        durable_last = durable;
    }
    return NULL;
}

static void *wait_for_the_end(void *unused)
{
    (void)unused;
    CHECK_OK(fs_wal_wait_durable(wal, EVENTS, UINT64_C(60000000000)));
    return NULL;
}

static void *has_no_error_of_its_own(void *unused)
{
    (void)unused;
    CHECK(!strstr(fs_wal_last_error(), "num_blocks"));
    return NULL;
}

static pthread_t start(void *(*body)(void *))
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
    return thread;
}

int main(void)
{
    fs_wal_config config = small_segments();
    config.num_blocks = 1;
    CHECK_STATUS(fs_wal_open("log", &config, &wal), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_ERROR_NAMES("num_blocks");
    CHECK(pthread_join(start(has_no_error_of_its_own), NULL) == 0);

    config = small_segments();
    CHECK_OK(fs_wal_open("log", &config, &wal));
    const pthread_t watcher = start(watch), waiter = start(wait_for_the_end);
    for (uint64_t id = 1; id <= EVENTS; id++) {
        const fs_request_event event = make_event(id);
        CHECK_OK(fs_wal_append(wal, &event));
    }
    CHECK(pthread_join(waiter, NULL) == 0);
    atomic_store(&finished, true);
    CHECK(pthread_join(watcher, NULL) == 0);
    CHECK_OK(fs_wal_shutdown(wal));
    return 0;
}
