/* All calls on a thread with as little stack as the header asks for: 32 KiB, and 8 for what the C
 * library and this program take of it. One that needs more ends the process. */

#include "../support/check.h"

#include <pthread.h>

enum { STACK = 40 * 1024 };

static void *live(void *unused)
{
    (void)unused;
    const fs_wal_config config = small_segments();
    const uint64_t last = 3 * EVENTS_PER_SMALL_SEGMENT + 10;
    fs_wal *wal;
    CHECK_OK(fs_wal_open("log", &config, &wal));
    for (uint64_t id = 1; id <= last; id++) {
        const fs_request_event event = make_event(id);
        CHECK_OK(fs_wal_append(wal, &event));
    }
    CHECK_OK(fs_wal_sync(wal));
    CHECK_OK(fs_wal_shutdown(wal));

    fs_wal_reader *reader;
    fs_request_event event;
    uint64_t events = 0;
    CHECK_OK(fs_wal_reader_open("log", NULL, &reader));
    CHECK_OK(fs_wal_reader_seek(reader, 1));
    while (fs_wal_reader_next(reader, &event) == FS_WAL_OK)
        events++;
    fs_wal_reader_close(reader);
    CHECK(events == last);
    fs_wal_verify_report_t report = {.struct_size = sizeof report};
    CHECK_OK(fs_wal_verify("log", &report));
    return NULL;
}

int main(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, STACK) == 0);
    CHECK(pthread_create(&thread, &attributes, live, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(pthread_attr_destroy(&attributes) == 0);
    return 0;
}
