/* f13: fs_wal_meta, fs_wal_durable and fs_wal_metrics in a signal handler on the appending thread,
 * which they have interrupted at any instruction: each returns, with a triple of one moment. The
 * thread is single-stepped through its appends, across blocks and segments, so the handler runs
 * before every instruction of them. Then it appends in a storm of signals. Last, a thread of a
 * higher priority on the same processor calls them. While it runs, the appending thread stands
 * still, so a call that waited for that thread would never return. */

#define _GNU_SOURCE

#include "../support/check.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>

#define BLOCK ((uint64_t)FS_WAL_EVENTS_PER_BLOCK)
#define SEGMENT EVENTS_PER_SMALL_SEGMENT

static fs_wal *wal;
static volatile uint64_t steps;
static uint64_t appended, acknowledged, durable;

/* The ids are 1, 2, 3 and so on, so the id alone says where the event is. */
static void check_triple(const fs_wal_meta_state *state, uint64_t *last)
{
    if (state->last_event_id == 0)
        return;
    const uint64_t before = state->last_event_id - 1, in_segment = before % SEGMENT;
    CHECK(state->last_segment_index == before / SEGMENT);
    const uint64_t block_start = 64 + in_segment / BLOCK * 16448 + 64;
    CHECK(state->last_offset == block_start + (in_segment % BLOCK + 1) * 64);
    CHECK(state->last_event_id >= *last);
    *last = state->last_event_id;
}

static void on_step(int signal)
{
    (void)signal;
    fs_wal_meta_state state;
    CHECK(fs_wal_meta(wal, &state) == FS_WAL_OK);
    check_triple(&state, &appended);
    CHECK(appended == acknowledged || appended == acknowledged + 1);
    CHECK(fs_wal_durable(wal, &state) == FS_WAL_OK);
    check_triple(&state, &durable);
    if (steps++ % 4 == 0) {
        fs_wal_metrics_t metrics = {.struct_size = sizeof metrics};
        CHECK(fs_wal_metrics(wal, &metrics) == FS_WAL_OK);
        CHECK(metrics.appended_events == metrics.appended_event_id);
        CHECK(metrics.appended_event_id == appended);
    }
}

/* The trap flag makes the processor raise SIGTRAP after each instruction. The kernel clears it in
 * the handler. The red zone below the stack pointer belongs to the compiler. */
static void set_trap_flag(int on)
{
    if (on)
        __asm__ volatile("sub $128, %%rsp; pushfq; orq $0x100, (%%rsp); popfq; add $128, %%rsp"
                         ::: "memory", "cc");
    else
        __asm__ volatile("sub $128, %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; add $128, %%rsp"
                         ::: "memory", "cc");
}

static void append(uint64_t id, int in_place)
{
    fs_request_event event = make_event(id), *slot;
    if (in_place) {
        CHECK(fs_wal_claim(wal, &slot) == FS_WAL_OK);
        memcpy((char *)slot + 8, (char *)&event + 8, sizeof event - 8);
        CHECK(fs_wal_commit(wal, id) == FS_WAL_OK);
    } else {
        CHECK(fs_wal_append(wal, &event) == FS_WAL_OK);
    }
    acknowledged = id;
}

static volatile uint64_t storms;
static atomic_int stormy;

static void on_storm(int signal)
{
    on_step(signal);
    storms++;
}

static void *storm(void *thread)
{
    while (stormy)
        CHECK(pthread_kill(*(pthread_t *)thread, SIGUSR1) == 0);
    return NULL;
}

/* Signals from another thread, without pause: they come where they come. */
static void append_in_a_storm(uint64_t first, uint64_t count)
{
    pthread_t self = pthread_self(), other;
    struct sigaction action = {.sa_handler = on_storm, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    stormy = 1;
    CHECK(pthread_create(&other, NULL, storm, &self) == 0);
    for (uint64_t id = first; id < first + count || storms < 1000; id++)
        append(id, id % 3 == 0);
    stormy = 0;
    CHECK(pthread_join(other, NULL) == 0);
}

static volatile uint64_t preemptions;

static void *preempt(void *unused)
{
    const struct timespec pause = {.tv_nsec = 20000};
    while (stormy) {
        on_step(0);
        preemptions++;
        CHECK(nanosleep(&pause, NULL) == 0);
    }
    return unused;
}

static void append_below_a_higher_priority(uint64_t first, uint64_t count)
{
    /* SIGXCPU ends the test if that thread runs for so long without a sleep. */
    const struct rlimit longest = {.rlim_cur = 300000, .rlim_max = RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_RTTIME, &longest) == 0);
    pthread_t other;
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    CHECK(pthread_setaffinity_np(pthread_self(), sizeof here, &here) == 0);
    pthread_attr_t higher;
    CHECK(pthread_attr_init(&higher) == 0);
    CHECK(pthread_attr_setaffinity_np(&higher, sizeof here, &here) == 0);
    CHECK(pthread_attr_setinheritsched(&higher, PTHREAD_EXPLICIT_SCHED) == 0);
    CHECK(pthread_attr_setschedpolicy(&higher, SCHED_FIFO) == 0);
    CHECK(pthread_attr_setschedparam(&higher, &(struct sched_param){.sched_priority = 1}) == 0);
    stormy = 1;
    const int created = pthread_create(&other, &higher, preempt, NULL);
    CHECK(pthread_attr_destroy(&higher) == 0);
    if (created == EPERM) {
        stormy = 0;
        puts("without a thread of a higher priority: this user may not have one");
        return;
    }
    CHECK(created == 0);
    for (uint64_t id = first; id < first + count || preemptions < 5000; id++)
        append(id, id % 3 == 0);
    stormy = 0;
    CHECK(pthread_join(other, NULL) == 0);
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_step};
    CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
    fs_wal_config config = small_segments();
    config.prepared_segments = 8;
    config.max_compressed_segments = FS_WAL_KEEP_ALL; /* a storm may last for many segments */
    CHECK_OK(fs_wal_open("log", &config, &wal));
    for (uint64_t id = 1; id <= 3 * SEGMENT; id++) {
        /* The first events of all, and those around the borders of blocks and segments. */
        const uint64_t in_block = (id - 1) % BLOCK;
        const int early = in_block < 2 && id % SEGMENT < 4 * BLOCK;
        const int stepped = id <= 20 || early || in_block == 255;
        if (id % SEGMENT == SEGMENT - 10)
            CHECK(fs_wal_sync(wal) == FS_WAL_OK); /* segments are prepared meanwhile */
        if (stepped)
            set_trap_flag(1);
        append(id, id % 3 == 0);
        if (stepped)
            set_trap_flag(0);
    }
    CHECK(steps > 10000);
    append_in_a_storm(3 * SEGMENT + 1, 10 * SEGMENT);
    append_below_a_higher_priority(acknowledged + 1, 10 * SEGMENT);
    /* Calls that the handler had interrupted have changed nothing. */
    CHECK_OK(fs_wal_shutdown(wal));
    fs_wal_verify_report_t report = {.struct_size = sizeof report};
    CHECK_OK(fs_wal_verify("log", &report));
    CHECK(report.events == acknowledged && acknowledged >= 13 * SEGMENT);
    return 0;
}
