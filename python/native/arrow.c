#include "support.h"

#include <stdlib.h>
#include <string.h>

/* These three structs are the Arrow C data and stream interfaces, word for word:
   https://arrow.apache.org/docs/format/CDataInterface.html */

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};

static void release_schema(struct ArrowSchema *schema)
{
    for (int64_t i = 0; i < schema->n_children; i++) {
        struct ArrowSchema *child = schema->children[i];
        /* A consumer that has moved a child out has set its release to NULL. */
        if (child != NULL && child->release != NULL)
            child->release(child);
        free(child);
    }
    free(schema->children);
    free((char *)schema->format);
    free((char *)schema->name);
    schema->release = NULL;
}

static void release_array(struct ArrowArray *array)
{
    for (int64_t i = 0; i < array->n_children; i++) {
        struct ArrowArray *child = array->children[i];
        if (child != NULL && child->release != NULL)
            child->release(child);
        free(child);
    }
    free(array->children);
    free(array->buffers);
    if (array->private_data != NULL)
        fsp_memory_release(array->private_data);
    array->release = NULL;
}

/* 0, or -1 without memory; then nothing is left of it. */
static int fill_schema(struct ArrowSchema *schema, const char *name, const char *format,
                       const fsp_arrow_column *columns, size_t column_count)
{
    memset(schema, 0, sizeof *schema);
    schema->release = release_schema;
    schema->format = strdup(format);
    schema->name = strdup(name);
    int failed = schema->format == NULL || schema->name == NULL;
    if (!failed && column_count != 0) {
        schema->children = calloc(column_count, sizeof *schema->children);
        failed = schema->children == NULL;
        schema->n_children = failed ? 0 : (int64_t)column_count;
    }
    for (size_t i = 0; !failed && i < column_count; i++) {
        schema->children[i] = calloc(1, sizeof **schema->children);
        failed = schema->children[i] == NULL ||
                 fill_schema(schema->children[i], columns[i].name, columns[i].format, NULL, 0);
    }
    if (failed)
        release_schema(schema);
    return failed ? -1 : 0;
}

static int fill_array(struct ArrowArray *array, int64_t length, fsp_memory *memory,
                      const fsp_arrow_column *columns, size_t column_count)
{
    memset(array, 0, sizeof *array);
    array->release = release_array;
    array->length = length;
    /* The first buffer says which values are null: none is. A struct has only that one. */
    array->n_buffers = memory == NULL ? 1 : 2;
    array->buffers = calloc(2, sizeof *array->buffers);
    int failed = array->buffers == NULL;
    if (!failed && memory != NULL) {
        fsp_memory_retain(memory);
        array->private_data = memory;
        array->buffers[1] = fsp_memory_address(memory);
    }
    if (!failed && column_count != 0) {
        array->children = calloc(column_count, sizeof *array->children);
        failed = array->children == NULL;
        array->n_children = failed ? 0 : (int64_t)column_count;
    }
    for (size_t i = 0; !failed && i < column_count; i++) {
        array->children[i] = calloc(1, sizeof **array->children);
        failed = array->children[i] == NULL ||
                 fill_array(array->children[i], length, columns[i].memory, NULL, 0);
    }
    if (failed)
        release_array(array);
    return failed ? -1 : 0;
}

void *fsp_arrow_schema(const fsp_arrow_column *columns, size_t column_count)
{
    struct ArrowSchema *schema = malloc(sizeof *schema);
    if (schema != NULL && fill_schema(schema, "", "+s", columns, column_count) != 0) {
        free(schema);
        schema = NULL;
    }
    return schema;
}

void *fsp_arrow_array(const fsp_arrow_column *columns, size_t column_count, int64_t length)
{
    struct ArrowArray *array = malloc(sizeof *array);
    if (array != NULL && fill_array(array, length, NULL, columns, column_count) != 0) {
        free(array);
        array = NULL;
    }
    return array;
}

/* What a stream still has to give. */
struct stream {
    size_t column_count;
    int64_t length;
    int given;
    fsp_arrow_column columns[];
};

static int stream_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    const struct stream *from = stream->private_data;
    return fill_schema(out, "", "+s", from->columns, from->column_count) == 0 ? 0 : 12;
}

static int stream_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct stream *from = stream->private_data;
    if (from->given) {
        memset(out, 0, sizeof *out);
        return 0;
    }
    if (fill_array(out, from->length, NULL, from->columns, from->column_count) != 0)
        return 12; /* ENOMEM */
    from->given = 1;
    return 0;
}

static const char *stream_last_error(struct ArrowArrayStream *stream)
{
    (void)stream;
    return "there is no memory";
}

static void release_stream(struct ArrowArrayStream *stream)
{
    struct stream *from = stream->private_data;
    for (size_t i = 0; i < from->column_count; i++) {
        fsp_memory_release(from->columns[i].memory);
        free((char *)from->columns[i].name);
        free((char *)from->columns[i].format);
    }
    free(from);
    stream->release = NULL;
}

void *fsp_arrow_stream(const fsp_arrow_column *columns, size_t column_count, int64_t length)
{
    struct ArrowArrayStream *stream = calloc(1, sizeof *stream);
    struct stream *from = calloc(1, sizeof *from + column_count * sizeof *columns);
    if (stream == NULL || from == NULL) {
        free(stream);
        free(from);
        return NULL;
    }
    *stream = (struct ArrowArrayStream){stream_schema, stream_next, stream_last_error,
                                        release_stream, from};
    from->length = length;
    for (size_t i = 0; i < column_count; i++) {
        char *name = strdup(columns[i].name), *format = strdup(columns[i].format);
        fsp_memory_retain(columns[i].memory);
        from->columns[i] = (fsp_arrow_column){name, format, columns[i].memory};
        from->column_count = i + 1;
        if (name == NULL || format == NULL) {
            release_stream(stream);
            free(stream);
            return NULL;
        }
    }
    return stream;
}

static void *(*capsule_pointer)(void *capsule, const char *name);

void fsp_arrow_use(void *(*get_pointer)(void *capsule, const char *name))
{
    capsule_pointer = get_pointer;
}

#define CAPSULE_GONE(function, type, name)                       \
    void function(void *capsule)                                 \
    {                                                            \
        type *content = capsule_pointer(capsule, name);          \
        if (content != NULL && content->release != NULL)         \
            content->release(content);                           \
        free(content);                                           \
    }

CAPSULE_GONE(fsp_arrow_schema_capsule_gone, struct ArrowSchema, "arrow_schema")
CAPSULE_GONE(fsp_arrow_array_capsule_gone, struct ArrowArray, "arrow_array")
CAPSULE_GONE(fsp_arrow_stream_capsule_gone, struct ArrowArrayStream, "arrow_array_stream")
