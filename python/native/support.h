/*
 * What the Python package needs in C, because it may run when there is no interpreter (any more):
 * the function that the library's threads call with log messages, and the release functions of
 * Arrow data, together with the memory that they free. And loops over events that would be slow in
 * Python. Nothing here includes a Python header or calls into an interpreter, but for one function
 * pointer in arrow.c that only capsule destructors use.
 */

#ifndef FLASHSTRIKE_WAL_PYTHON_SUPPORT_H
#define FLASHSTRIKE_WAL_PYTHON_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#define FSP_EXPORT __attribute__((visibility("default")))

/* memory.c: memory that arrays and Arrow data share. The last of them frees it. */

typedef struct fsp_memory fsp_memory;

/* NULL when there is none. At least one page. */
FSP_EXPORT fsp_memory *fsp_memory_new(size_t size);

/* Grows or shrinks it without a copy; its address may change. Only while nobody else has it.
   Returns 0, or -1 when there is no more memory: then it stays as it is. */
FSP_EXPORT int fsp_memory_resize(fsp_memory *memory, size_t size);

FSP_EXPORT void *fsp_memory_address(const fsp_memory *memory);
FSP_EXPORT void fsp_memory_retain(fsp_memory *memory);
FSP_EXPORT void fsp_memory_release(fsp_memory *memory);

/* batches.c: events out of a reader. */

/* A field of an event, and where the column of its values begins. */
typedef struct fsp_column {
    size_t offset;
    size_t width;
    unsigned char *values;
} fsp_column;

typedef int32_t (*fsp_next_batch)(void *reader, const void **events, size_t *count);

/* A reader, and what is left of the last batch that it gave. */
typedef struct fsp_source {
    fsp_next_batch next_batch;
    void *reader;
    const unsigned char *rest;
    size_t left;
} fsp_source;

/* Copies up to `capacity` events to `events`, and sets `*filled` to how many. Returns the status
   of the library with which it stopped, 0 when there is no more room. */
FSP_EXPORT int32_t fsp_fill(fsp_source *source, void *events, size_t capacity, size_t *filled);

/* The same into columns, from place `at` on. */
FSP_EXPORT int32_t fsp_fill_columns(fsp_source *source, const fsp_column *columns,
                                    size_t column_count, size_t at, size_t capacity,
                                    size_t *filled);

/* The same out of an array. */
FSP_EXPORT void fsp_split(const void *events, size_t count, const fsp_column *columns,
                          size_t column_count);

/* log_lines.c: from the library's threads to Python. */

typedef struct fsp_log_lines fsp_log_lines;

/* NULL when there is no memory. Two owners: each of them calls fsp_log_lines_release once. */
FSP_EXPORT fsp_log_lines *fsp_log_lines_new(const char *directory);

/* The function for fs_wal_config.log, with the lines as `user`. */
FSP_EXPORT void fsp_log_lines_put(void *lines, int32_t level, const char *message);

/* Waits until there is a line: 1; or until there will be none any more, after
   fsp_log_lines_close: 0. */
FSP_EXPORT int fsp_log_lines_wait(fsp_log_lines *lines);

/* The oldest line: a digit, its level, and the text; the caller gives it to fsp_free. NULL when
   there is none. */
FSP_EXPORT char *fsp_log_lines_take(fsp_log_lines *lines);

/* Nothing is put in any more. */
FSP_EXPORT void fsp_log_lines_close(fsp_log_lines *lines);
FSP_EXPORT void fsp_log_lines_release(fsp_log_lines *lines);
FSP_EXPORT void fsp_free(void *memory);

/* arrow.c: the Arrow C data interface. */

typedef struct fsp_arrow_column {
    const char *name;
    const char *format;
    /* Begins with the values. */
    fsp_memory *memory;
} fsp_arrow_column;

/* Each makes a struct of Arrow that the caller owns, in memory of its own; NULL when there is no
   memory. The columns' memory is kept until the struct is released. */
FSP_EXPORT void *fsp_arrow_schema(const fsp_arrow_column *columns, size_t column_count);
FSP_EXPORT void *fsp_arrow_array(const fsp_arrow_column *columns, size_t column_count,
                                 int64_t length);
/* A stream of one array. */
FSP_EXPORT void *fsp_arrow_stream(const fsp_arrow_column *columns, size_t column_count,
                                  int64_t length);

/* Destructors for capsules around these structs: they release what no consumer has taken, and free
   the struct. `get_pointer` is PyCapsule_GetPointer. */
FSP_EXPORT void fsp_arrow_use(void *(*get_pointer)(void *capsule, const char *name));
FSP_EXPORT void fsp_arrow_schema_capsule_gone(void *capsule);
FSP_EXPORT void fsp_arrow_array_capsule_gone(void *capsule);
FSP_EXPORT void fsp_arrow_stream_capsule_gone(void *capsule);

#endif
