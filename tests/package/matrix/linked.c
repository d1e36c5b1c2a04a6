/* A program of the matrix that links the library, in C99 and in C++11: it records an event and
 * reads it back. */

#include <flashstrike_wal.h>

#include <stdio.h>
#include <string.h>

static int failed(const char *call)
{
    fprintf(stderr, "%s: %s\n", call, fs_wal_last_error());
    return 1;
}

int main(int argc, char **argv)
{
    fs_wal *wal;
    fs_wal_reader *reader;
    fs_wal_meta_state last;
    fs_request_event event;
    fs_wal_status status;
    unsigned events = 0;
    if (argc != 2)
        return 2;
    if (fs_wal_open(argv[1], NULL, &wal) != FS_WAL_OK)
        return failed("open");
    if (fs_wal_meta(wal, &last) != FS_WAL_OK)
        return failed("meta");
    memset(&event, 0, sizeof event);
    event.event_id = last.last_event_id + 1;
    if (fs_wal_append(wal, &event) != FS_WAL_OK)
        return failed("append");
    if (fs_wal_shutdown(wal) != FS_WAL_OK)
        return failed("shutdown");
    if (fs_wal_reader_open(argv[1], NULL, &reader) != FS_WAL_OK)
        return failed("reader_open");
    while ((status = fs_wal_reader_next(reader, &event)) == FS_WAL_OK)
        events++;
    if (status != FS_WAL_END)
        return failed("reader_next");
    fs_wal_reader_close(reader);
    printf("flashstrike_wal %s: %u\n", fs_wal_version(), events);
    return 0;
}
