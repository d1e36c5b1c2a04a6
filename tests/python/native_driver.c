/* Drives the C part of the Python package without Python, for the sanitizers. */

#include "support.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The beginnings of Arrow's structs, as far as a consumer needs them here. */
struct schema { const char *text[3]; int64_t flags, n_children; struct schema **children;
                void *dictionary; void (*release)(struct schema *); void *data; };
struct array { int64_t length, null_count, offset, n_buffers, n_children; const void **buffers;
               struct array **children; void *dictionary; void (*release)(struct array *);
               void *data; };
struct stream { int (*get_schema)(struct stream *, struct schema *);
                int (*get_next)(struct stream *, struct array *);
                const char *(*get_last_error)(struct stream *);
                void (*release)(struct stream *); void *data; };

static void *same(void *capsule, const char *name)
{
    (void)name;
    return capsule;
}

static void check_arrow(void)
{
    fsp_memory *prices = fsp_memory_new(8), *rest = fsp_memory_new(1);
    assert(fsp_memory_resize(prices, (size_t)8 << 20) == 0);
    assert(fsp_memory_resize(prices, 80) == 0);
    memset(fsp_memory_address(prices), 7, 80);
    fsp_arrow_column columns[2] = {{"price", "l", prices}, {"side", "C", rest}};
    fsp_arrow_use(same);
    struct schema *schema = fsp_arrow_schema(columns, 2);
    struct array *array = fsp_arrow_array(columns, 2, 10);
    struct array *unused = fsp_arrow_array(columns, 2, 10);
    struct stream *stream = fsp_arrow_stream(columns, 2, 10);
    struct stream *left = fsp_arrow_stream(columns, 2, 1);
    /* Python lets go of its memory first; then a consumer moves a child out, and uses it last. */
    fsp_memory_release(prices);
    fsp_memory_release(rest);
    assert(strcmp(schema->children[1]->text[1], "side") == 0);
    struct array child = *array->children[0];
    array->children[0]->release = NULL;
    struct array moved = *array;
    array->release = NULL;
    fsp_arrow_array_capsule_gone(array);
    moved.release(&moved);
    fsp_arrow_array_capsule_gone(unused);
    fsp_arrow_schema_capsule_gone(schema);
    fsp_arrow_stream_capsule_gone(left);
    struct schema got_schema;
    struct array got, end;
    assert(stream->get_schema(stream, &got_schema) == 0 && got_schema.n_children == 2);
    assert(stream->get_next(stream, &got) == 0 && got.length == 10);
    assert(stream->get_next(stream, &end) == 0 && end.release == NULL);
    assert(stream->get_last_error(stream) != NULL);
    struct stream taken = *stream;
    stream->release = NULL;
    fsp_arrow_stream_capsule_gone(stream);
    taken.release(&taken);
    got_schema.release(&got_schema);
    got.release(&got);
    assert(((const char *)child.buffers[1])[79] == 7);
    child.release(&child);
}

/* Grown in steps and cut, it keeps what is in it. */
static void check_memory(void)
{
    fsp_memory *memory = fsp_memory_new(100);
    for (size_t size = 4096; size <= (size_t)64 << 20; size *= 2) {
        assert(fsp_memory_resize(memory, size) == 0);
        unsigned char *bytes = fsp_memory_address(memory);
        bytes[size - 1] = bytes[size / 2] = (unsigned char)(size >> 12) | 1;
        assert(size == 4096 || bytes[size / 2 - 1] == ((unsigned char)(size >> 13) | 1));
    }
    assert(fsp_memory_resize(memory, (size_t)1 << 62) == -1);
    assert(fsp_memory_resize(memory, 4096) == 0);
    assert(((unsigned char *)fsp_memory_address(memory))[4095] == 1);
    fsp_memory_retain(memory);
    fsp_memory_release(memory);
    fsp_memory_release(memory);
}

/* Batches of 5, 256 and 3 events, then the end. */
static unsigned char all[264][64];
static int asked;

static int32_t next_batch(void *reader, const void **events, size_t *count)
{
    static const size_t counts[] = {5, 256, 3}, begins[] = {0, 5, 261};
    assert(reader == &asked);
    if (asked == 3)
        return 15;
    *events = all[begins[asked]];
    *count = counts[asked++];
    return 0;
}

static void check_batches(void)
{
    for (size_t i = 0; i < sizeof all; i++)
        ((unsigned char *)all)[i] = (unsigned char)(i * 31 >> 3);
    for (size_t capacity = 1; capacity <= 270; capacity += 7) {
        fsp_source source = {next_batch, &asked, NULL, 0}, again = source;
        unsigned char *events = malloc((264 + capacity) * 64), *ids = malloc(264 * 8);
        unsigned char *bytes = malloc(264 * 21);
        fsp_column columns[2] = {{0, 8, ids}, {43, 21, bytes}};
        size_t filled, at = 0;
        int32_t status = 0;
        for (asked = 0; status == 0; at += filled)
            status = fsp_fill(&source, events + at * 64, capacity, &filled);
        assert(status == 15 && at == 264 && memcmp(events, all, sizeof all) == 0);
        for (at = 0, asked = 0, status = 0; status == 0; at += filled)
            status = fsp_fill_columns(&again, columns, 2, at, capacity, &filled);
        assert(status == 15 && at == 264);
        for (size_t i = 0; i < 264; i++)
            assert(memcmp(ids + i * 8, all[i], 8) == 0 &&
                   memcmp(bytes + i * 21, all[i] + 43, 21) == 0);
        memset(ids, 0, 264 * 8);
        fsp_split(all, 264, columns, 1);
        assert(memcmp(ids + 263 * 8, all[263], 8) == 0);
        free(events);
        free(ids);
        free(bytes);
    }
}

static void *put_lines(void *lines)
{
    for (int i = 0; i < 6000; i++)
        fsp_log_lines_put(lines, 1 + i % 3, "a line of the log");
    return NULL;
}

static void *take_lines(void *lines)
{
    size_t *taken = calloc(1, sizeof *taken);
    while (fsp_log_lines_wait(lines)) {
        char *line = fsp_log_lines_take(lines);
        if (line == NULL)
            continue;
        size_t lost = 0;
        if (sscanf(line, "2dir: %zu messages are lost", &lost) != 1)
            lost = 1;
        *taken += lost;
        fsp_free(line);
    }
    fsp_log_lines_release(lines);
    return taken;
}

static void check_log_lines(void)
{
    fsp_log_lines *lines = fsp_log_lines_new("dir");
    pthread_t putters[3], taker;
    void *taken;
    for (int i = 0; i < 3; i++)
        pthread_create(&putters[i], NULL, put_lines, lines);
    pthread_create(&taker, NULL, take_lines, lines);
    for (int i = 0; i < 3; i++)
        pthread_join(putters[i], NULL);
    fsp_log_lines_close(lines);
    pthread_join(taker, &taken);
    assert(*(size_t *)taken == 18000);
    free(taken);
    put_lines(lines); /* nobody takes these: freed with the lines */
    fsp_log_lines_release(lines);
}

int main(void)
{
    check_arrow();
    check_memory();
    check_batches();
    check_log_lines();
    return 0;
}
