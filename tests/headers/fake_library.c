/* Stands in for a library that fs_wal_load must refuse. VERSION: what it says it is; without it, it
 * is another library. */

#ifdef VERSION
const char *fs_wal_version(void);
const char *fs_wal_version(void) { return VERSION; }
#endif

int other_function(void);
int other_function(void) { return 7; }
