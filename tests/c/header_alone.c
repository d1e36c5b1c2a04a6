/* The header is the only include: it must bring all it needs. Built as C99 and as C11. */

#include <flashstrike_wal.h>

int main(void)
{
    return sizeof(fs_wal_config) == 0;
}
