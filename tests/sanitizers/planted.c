/* Faults for the sanitizers to find: planted FAULT. One that ends with 0 has found nothing. */

#include "../support/check.h"

#include <pthread.h>

static int shared;

static void *count(void *unused)
{
    (void)unused;
    for (int i = 0; i < 1000; i++)
        shared++;
    return NULL;
}

static void race(void)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, count, NULL) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/* One event less than the library is told: the library reads past the end. */
static void short_batch(void)
{
    const fs_wal_config config = small_segments();
    fs_wal *wal;
    CHECK_OK(fs_wal_open("short", &config, &wal));
    fs_request_event *events = malloc(3 * sizeof *events);
    CHECK(events != NULL);
    for (uint64_t id = 1; id <= 3; id++)
        events[id - 1] = make_event(id);
    const fs_wal_status status = fs_wal_append_batch(wal, events, 4, NULL);
    (void)status;
    free(events);
    CHECK_OK(fs_wal_shutdown(wal));
}

static void overflow(void)
{
    unsigned char *bytes = malloc(sizeof(fs_request_event));
    CHECK(bytes != NULL);
    const fs_request_event event = make_event(1);
    memcpy(bytes, &event, sizeof event);
    volatile size_t beyond = sizeof event;
    bytes[beyond] = 1;
    free(bytes);
}

static void leak(void)
{
    char *volatile lost = malloc(1000);
    CHECK(lost != NULL);
    lost = NULL;
}

/* A reader that is never closed: the library's memory. */
static void lost_reader(void)
{
    const fs_wal_config config = small_segments();
    fs_wal *wal;
    fs_wal_reader *reader;
    CHECK_OK(fs_wal_open("lost", &config, &wal));
    CHECK_OK(fs_wal_shutdown(wal));
    CHECK_OK(fs_wal_reader_open("lost", NULL, &reader));
    reader = NULL;
    (void)reader;
}

static void undefined(void)
{
    volatile int large = 0x7fffffff;
    large = large + 1;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*cause)(void);
    } faults[] = {
        {"race", race},
        {"overflow", overflow},
        {"short_batch", short_batch},
        {"leak", leak},
        {"lost_reader", lost_reader},
        {"undefined", undefined},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (argc == 2 && strcmp(argv[1], faults[i].name) == 0) {
            faults[i].cause();
            return 0;
        }
    }
    fprintf(stderr, "usage: planted FAULT\n");
    return 64;
}
