/* The struct layout in C; and header and library have the same version. */

#include "../support/check.h"
#include "../support/layout.h"

int main(void)
{
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", (int)FS_WAL_VERSION_MAJOR,
             (int)FS_WAL_VERSION_MINOR, (int)FS_WAL_VERSION_PATCH);
    CHECK(strcmp(fs_wal_version(), version) == 0);
    return 0;
}
