#include "support.h"

#include <string.h>

#define EVENT_SIZE 64
#define FIXED_WIDTH(width)                                                  \
    for (size_t i = 0; i < count; i++)                                      \
        memcpy(values + i * (width), from + i * EVENT_SIZE, (width))

/* One loop a column, over events that are in the processor's cache: the compiler makes a single
   load and store of each copy, because it knows the width. */
static void split_column(const unsigned char *from, size_t count, size_t width,
                         unsigned char *values)
{
    switch (width) {
    case 8: FIXED_WIDTH(8); break;
    case 4: FIXED_WIDTH(4); break;
    case 1: FIXED_WIDTH(1); break;
    default: FIXED_WIDTH(width);
    }
}

static void split(const unsigned char *events, size_t count, const fsp_column *columns,
                  size_t column_count, size_t at)
{
    for (size_t i = 0; i < column_count; i++)
        split_column(events + columns[i].offset, count, columns[i].width,
                     columns[i].values + at * columns[i].width);
}

void fsp_split(const void *events, size_t count, const fsp_column *columns, size_t column_count)
{
    const unsigned char *from = events;
    const size_t block = 256;
    for (size_t at = 0; at < count; at += block)
        split(from + at * EVENT_SIZE, count - at < block ? count - at : block, columns,
              column_count, at);
}

/* Up to `wanted` events that are to be copied now; with 0 of them, why there is none. */
static int32_t take(fsp_source *source, size_t wanted, const unsigned char **events,
                    size_t *count)
{
    *count = 0;
    if (source->left == 0) {
        const void *batch = NULL;
        int32_t status = source->next_batch(source->reader, &batch, &source->left);
        if (status != 0) {
            source->left = 0;
            return status;
        }
        source->rest = batch;
    }
    *count = source->left < wanted ? source->left : wanted;
    *events = source->rest;
    source->rest += *count * EVENT_SIZE;
    source->left -= *count;
    return 0;
}

int32_t fsp_fill(fsp_source *source, void *events, size_t capacity, size_t *filled)
{
    const unsigned char *from;
    size_t count;
    int32_t status = 0;
    for (*filled = 0; status == 0 && *filled < capacity; *filled += count) {
        status = take(source, capacity - *filled, &from, &count);
        if (count != 0)
            memcpy((unsigned char *)events + *filled * EVENT_SIZE, from, count * EVENT_SIZE);
    }
    return status;
}

int32_t fsp_fill_columns(fsp_source *source, const fsp_column *columns, size_t column_count,
                         size_t at, size_t capacity, size_t *filled)
{
    const unsigned char *from;
    size_t count;
    int32_t status = 0;
    for (*filled = 0; status == 0 && *filled < capacity; *filled += count) {
        status = take(source, capacity - *filled, &from, &count);
        if (count != 0)
            split(from, count, columns, column_count, at + *filled);
    }
    return status;
}
