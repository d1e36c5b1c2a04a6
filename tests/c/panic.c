/* A defect in the library, planted from outside: a clock that fails makes it panic. The panic
 * ends as a status in the call that met it, and goes no further. Run against the shared library and
 * against the static one: both are made from an object in which the tables that catch a panic must
 * have survived. */

#define _GNU_SOURCE

#include "../support/check.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* How often the clock fails; -1 = always. */
static _Thread_local int fails;

/* The library's calls come here too. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (fails != 0) {
        fails -= fails > 0;
        return -1;
    }
    return (int)syscall(SYS_clock_gettime, clock, now);
}

static void meet_panic(const char *log, int failures)
{
    fs_wal *wal;
    CHECK_OK(fs_wal_open(log, NULL, &wal));
    const fs_request_event event = make_event(1);
    CHECK_OK(fs_wal_append(wal, &event));

    fails = failures;
    CHECK_STATUS(fs_wal_wait_durable(wal, 1, UINT64_C(1000000000)), FS_WAL_ERR_INTERNAL);
    fails = 0;
    CHECK_ERROR_NAMES("defect in the library");

    /* What it left half done is behind a latch. */
    const fs_request_event next = make_event(2);
    CHECK_STATUS(fs_wal_append(wal, &next), FS_WAL_ERR_POISONED);
    CHECK_STATUS(fs_wal_shutdown(wal), FS_WAL_ERR_POISONED);
}

int main(void)
{
    meet_panic("fails-once", 1);
    /* Then what closes the latch meets it, too. */
    meet_panic("fails-always", -1);
    return 0;
}
