/* A test that closes the library's descriptors must not do so in the middle of its work. */

#ifndef AT_REST_H
#define AT_REST_H

#include "check.h"

#include <unistd.h>

/* Waits until every segment is prepared, what is durable has been noted in wal_meta.dat, and the
 * segments' files have been measured. Some event must be durable. */
static inline void wait_until_at_rest(fs_wal *wal)
{
    fs_wal_metrics_t metrics = {.struct_size = sizeof metrics};
    do {
        usleep(1000);
        CHECK_OK(fs_wal_metrics(wal, &metrics));
    } while (metrics.prepared_segments.fill < metrics.prepared_segments.capacity
             || metrics.meta_flush.count == 0 || metrics.hot_bytes == 0);
}

#endif
