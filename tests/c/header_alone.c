/* The header compiles with no other include. Built as C99 and as C11. */

#include <flashstrike_wal.h>

int main(void)
{
    return sizeof(fs_wal_config) == 0;
}
