/* F37: opening a directory hangs, as on a dead mount. Other logs of the process open, append, go on
 * to new segments, sync, are read and shut down, and the process forks: nothing waits for it. */

#define _GNU_SOURCE

#include "../support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77
#define EVENTS (20 * EVENTS_PER_SMALL_SEGMENT)

#define LONGEST 60 /* seconds */

static int device;
static atomic_int *hanging; /* shared with the server */

static void answer(uint64_t unique, int error, void *data, size_t size)
{
    struct fuse_out_header header = {(uint32_t)(sizeof header + size), error, unique};
    const struct iovec parts[2] = {{&header, sizeof header}, {data, size}};
    CHECK(writev(device, parts, size ? 2 : 1) > 0);
}

/* A filesystem that has nothing but its root, which is never opened: who tries waits, and cannot
 * even be killed, until the server ends. So that is a process of its own, which does not outlive
 * the test. */
static void serve(void)
{
    static char request[1024 * 1024];
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    alarm(LONGEST);
    while (read(device, request, sizeof request) > 0) {
        const struct fuse_in_header *header = (const void *)request;
        if (header->opcode == FUSE_INIT) {
            struct fuse_init_out out = {.major = 7, .minor = 31, .max_write = 4096};
            answer(header->unique, 0, &out, sizeof out);
        } else if (header->opcode == FUSE_GETATTR) {
            struct fuse_attr_out out = {.attr_valid = 3600};
            out.attr.ino = 1, out.attr.mode = S_IFDIR | 0755, out.attr.nlink = 2;
            answer(header->unique, 0, &out, sizeof out);
        } else if (header->opcode == FUSE_OPENDIR) {
            atomic_fetch_add(hanging, 1);
        } else if (header->opcode != FUSE_FORGET && header->opcode != FUSE_INTERRUPT) {
            answer(header->unique, -ENOSYS, NULL, 0);
        }
    }
}

static void *open_for_writing(void *unused)
{
    fs_wal *wal;
    CHECK_STATUS(fs_wal_open("hung", NULL, &wal), FS_WAL_ERR_IO);
    return unused;
}

static void *open_for_reading(void *unused)
{
    fs_wal_reader *reader;
    CHECK_STATUS(fs_wal_reader_open("hung", NULL, &reader), FS_WAL_ERR_IO);
    return unused;
}

static void fork_a_child(fs_wal *wal)
{
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        const fs_request_event event = make_event(UINT64_MAX - 1);
        _exit(fs_wal_append(wal, &event) == FS_WAL_ERR_CLOSED ? 0 : 1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void live(void)
{
    fs_wal_config config = small_segments();
    config.max_segments = 2;
    fs_wal *wal;
    fs_wal_reader *reader;
    fs_request_event read;
    CHECK_OK(fs_wal_open("log", &config, &wal));
    for (uint64_t id = 1; id <= EVENTS; id++) {
        const fs_request_event event = make_event(id);
        CHECK_OK(fs_wal_append(wal, &event));
        if (id % EVENTS_PER_SMALL_SEGMENT == 0)
            fork_a_child(wal);
    }
    CHECK_OK(fs_wal_sync(wal));
    CHECK_OK(fs_wal_reader_open("log", NULL, &reader));
    CHECK_OK(fs_wal_reader_seek(reader, EVENTS));
    CHECK_OK(fs_wal_reader_next(reader, &read));
    CHECK(read.event_id == EVENTS);
    fs_wal_reader_close(reader);
    CHECK_OK(fs_wal_shutdown(wal));
    CHECK_OK(fs_wal_open("log", &config, &wal)); /* its lock is free */
    CHECK_OK(fs_wal_shutdown(wal));
}

static int mount_it(void)
{
    char options[128];
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (device < 0 || unshare(CLONE_NEWNS) != 0)
        return 0;
    CHECK(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mkdir("hung", 0755) == 0);
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
    return mount("test", "hung", "fuse", MS_NOSUID | MS_NODEV, options) == 0;
}

int main(void)
{
    if (!mount_it()) {
        printf("skipped: a FUSE filesystem cannot be mounted here\n");
        return SKIPPED;
    }
    const int access = PROT_READ | PROT_WRITE, kind = MAP_SHARED | MAP_ANONYMOUS;
    hanging = mmap(NULL, sizeof *hanging, access, kind, -1, 0);
    CHECK(hanging != MAP_FAILED);
    const pid_t server = fork();
    CHECK(server >= 0);
    if (server == 0) {
        serve();
        _exit(0);
    }
    close(device); /* the server's is the last one */
    alarm(LONGEST);
    pthread_t writer, reader;
    CHECK(pthread_create(&writer, NULL, open_for_writing, NULL) == 0);
    CHECK(pthread_create(&reader, NULL, open_for_reading, NULL) == 0);
    while (atomic_load(hanging) < 2)
        usleep(1000);
    live();
    CHECK(kill(server, SIGKILL) == 0 && waitpid(server, NULL, 0) == server);
    /* Whoever waits gets an error. */
    CHECK(pthread_join(writer, NULL) == 0 && pthread_join(reader, NULL) == 0);
    return 0;
}
