/* A program of the matrix that has nothing but the headers, in C99 and in C++11: it counts the
 * events of a hot segment, the first of its log. */

#include <flashstrike_wal_read.h>

#include <stdio.h>
#include <stdlib.h>

/* The contents of a file, aligned as malloc does. */
static void *contents(const char *name, size_t *size)
{
    FILE *file = fopen(name, "rb");
    long length = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    void *bytes = length >= 0 ? malloc((size_t)length + 1) : NULL;
    *size = (size_t)length;
    if (bytes) {
        rewind(file);
        if (fread(bytes, 1, *size, file) != *size)
            exit(1);
    }
    if (file)
        fclose(file);
    return bytes;
}

int main(int argc, char **argv)
{
    fs_wal_read_segment segment;
    const fs_request_event *events;
    fs_wal_status status;
    size_t size, count, all = 0;
    void *bytes = argc == 2 ? contents(argv[1], &size) : NULL;
    if (!bytes)
        return 2;
    status = fs_wal_read_hot(&segment, bytes, size, 0, 0, 0);
    while (status == FS_WAL_OK) {
        status = fs_wal_read_events(&segment, &events, &count);
        if (status == FS_WAL_OK)
            all += count;
    }
    if (status != FS_WAL_END) {
        fprintf(stderr, "%s\n", segment.damage.what);
        return 1;
    }
    free(bytes);
    printf("flashstrike_wal %d.%d.%d: %u\n", FS_WAL_VERSION_MAJOR, FS_WAL_VERSION_MINOR,
           FS_WAL_VERSION_PATCH, (unsigned)all);
    return 0;
}
