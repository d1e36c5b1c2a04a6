/* What another process sees in wal_control while the writer stands anywhere: a program that only
 * includes the header single-steps the appending thread of a log (ptrace), through thousands of
 * appends and a rotation, and after every instruction reads the triple, with one load of 16 bytes
 * and with loads of 8. A writer that stores the two words one after the other must be caught. */

#define _GNU_SOURCE

#include "../support/check.h"

#include <emmintrin.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK ((uint64_t)FS_WAL_EVENTS_PER_BLOCK)
#define SEGMENT EVENTS_PER_SMALL_SEGMENT
#define FIRST_STEPPED (SEGMENT - 1000)
#define LAST_STEPPED (SEGMENT + 1500)

struct pair {
    uint64_t id, position;
};

static struct pair read_at_once(const volatile fs_wal_control_triple *triple)
{
    struct pair pair;
    const __m128i both = _mm_load_si128((const __m128i *)(uintptr_t)triple);
    _mm_storeu_si128((__m128i *)&pair, both);
    return pair;
}

/* The rule of the header. On this processor loads are not reordered; the compiler keeps the order
 * of accesses to what is volatile. */
static struct pair read_by_words(const volatile fs_wal_control_triple *triple)
{
    struct pair pair;
    do {
        pair.id = triple->event_id;
        pair.position = triple->position;
    } while (triple->event_id != pair.id);
    return pair;
}

/* The ids are 1, 2, 3 and so on, so the id alone says where the event is. */
static uint64_t position_of(uint64_t id)
{
    if (id == 0)
        return 0;
    const uint64_t in_segment = (id - 1) % SEGMENT;
    const uint64_t offset = 64 + in_segment / BLOCK * 16448 + 64 + (in_segment % BLOCK + 1) * 64;
    return (id - 1) / SEGMENT << 32 | offset;
}

static int is_whole(const struct pair *pair)
{
    return pair->position == position_of(pair->id);
}

static const volatile fs_wal_control *map_control(void)
{
    char line[512], path[600] = "";
    FILE *identity = fopen("log/wal_identity", "r");
    CHECK(identity);
    while (fgets(line, sizeof line, identity))
        if (strncmp(line, "active_path=", 12) == 0)
            snprintf(path, sizeof path, "%.*s/wal_control", (int)strcspn(line + 12, "\n"),
                     line + 12);
    fclose(identity);
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0);
    const volatile fs_wal_control *control =
        mmap(NULL, sizeof *control, PROT_READ, MAP_SHARED, file, 0);
    CHECK(control != MAP_FAILED && close(file) == 0);
    CHECK(control->identity.magic == FS_WAL_CONTROL_MAGIC);
    CHECK(control->identity.layout_version == FS_WAL_CONTROL_VERSION);
    return control;
}

static void write_log(void)
{
    fs_wal *wal;
    const fs_wal_config config = small_segments();
    CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
    CHECK_OK(fs_wal_open("log", &config, &wal));
    fs_request_event event = make_event(1);
    for (uint64_t id = 1; id <= LAST_STEPPED; id++) {
        event.event_id = id;
        if (id == FIRST_STEPPED) {
            CHECK_OK(fs_wal_sync(wal)); /* segments are prepared meanwhile */
            raise(SIGSTOP);
        }
        CHECK_OK(fs_wal_append(wal, &event));
    }
    raise(SIGSTOP);
    CHECK_OK(fs_wal_shutdown(wal));
    _exit(0);
}

/* The mistake: two stores, the id first. */
static void write_wrongly(volatile fs_wal_control_triple *triple)
{
    CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
    raise(SIGSTOP);
    for (uint64_t id = 1; id <= 100; id++) {
        triple->event_id = id;
        triple->position = position_of(id);
    }
    raise(SIGSTOP);
    _exit(0);
}

static void go_to_stop(pid_t writer)
{
    int status;
    CHECK(waitpid(writer, &status, 0) == writer);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
}

/* Steps the writer to its next SIGSTOP, and looks after each instruction. Returns how often a pair
 * was torn. */
static uint64_t step(pid_t writer, const volatile fs_wal_control_triple *triple, uint64_t *last)
{
    uint64_t torn = 0, steps = 0;
    for (int status;; steps++) {
        CHECK(ptrace(PTRACE_SINGLESTEP, writer, 0, 0) == 0);
        CHECK(waitpid(writer, &status, 0) == writer && WIFSTOPPED(status));
        if (WSTOPSIG(status) == SIGSTOP)
            break;
        CHECK(WSTOPSIG(status) == SIGTRAP);
        const struct pair once = read_at_once(triple), words = read_by_words(triple);
        CHECK(once.id == words.id && once.id >= *last && once.id <= *last + 1);
        *last = once.id;
        torn += (uint64_t)(!is_whole(&once) + !is_whole(&words));
    }
    CHECK(steps > 500);
    return torn;
}

static void end(pid_t writer)
{
    int status;
    CHECK(ptrace(PTRACE_CONT, writer, 0, 0) == 0);
    CHECK(waitpid(writer, &status, 0) == writer && status == 0);
}

static void the_writer_is_never_seen_torn(void)
{
    const pid_t writer = fork();
    CHECK(writer >= 0);
    if (writer == 0)
        write_log();
    go_to_stop(writer);
    const volatile fs_wal_control *control = map_control();
    CHECK(control->identity.pid == (uint64_t)writer);
    CHECK(control->state.state == FS_WAL_STATE_OPEN);
    CHECK(control->durable.event_id == FIRST_STEPPED - 1);
    uint64_t last = FIRST_STEPPED - 1;
    CHECK(step(writer, &control->appended, &last) == 0);
    CHECK(last == LAST_STEPPED);
    const struct pair durable = read_by_words(&control->durable);
    CHECK(is_whole(&durable) && durable.id <= last);
    end(writer);
    CHECK(control->state.state == FS_WAL_STATE_CLOSED);
    CHECK(control->durable.event_id == LAST_STEPPED);
}

static void a_mistake_is_seen(void)
{
    volatile fs_wal_control *control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE,
                                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(control != MAP_FAILED);
    const pid_t writer = fork();
    CHECK(writer >= 0);
    if (writer == 0)
        write_wrongly(&control->appended);
    go_to_stop(writer);
    uint64_t last = 0;
    CHECK(step(writer, &control->appended, &last) > 0);
    end(writer);
}

int main(void)
{
    the_writer_is_never_seen_torn();
    a_mistake_is_seen();
    return 0;
}
