/* A program of the matrix that loads the library, in C99 and in C++11: it records an event. */

#include <flashstrike_wal_loader.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    char error[FS_WAL_LOADER_ERROR_SIZE];
    fs_wal_api api;
    fs_wal *wal;
    fs_wal_meta_state last;
    fs_request_event event;
    if (argc != 3)
        return 2;
    if (fs_wal_load(&api, argv[2], error, sizeof error) != FS_WAL_OK) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    memset(&event, 0, sizeof event);
    event.event_id = 1;
    if (api.open(argv[1], NULL, &wal) != FS_WAL_OK || api.append(wal, &event) != FS_WAL_OK ||
        api.meta(wal, &last) != FS_WAL_OK || api.shutdown(wal) != FS_WAL_OK) {
        fprintf(stderr, "%s\n", api.last_error());
        return 1;
    }
    printf("flashstrike_wal %s: %u\n", api.version(), (unsigned)last.last_event_id);
    return 0;
}
