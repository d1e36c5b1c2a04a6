#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A log function that is slower than the log loses lines, and says how many, rather than delay the
   log or fill the memory. */
#define MOST_LINES 4096

struct line {
    struct line *next;
    char text[];
};

struct fsp_log_lines {
    atomic_int owners;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct line *first;
    struct line **last;
    size_t count;
    size_t lost;
    int closed;
    char *directory;
};

fsp_log_lines *fsp_log_lines_new(const char *directory)
{
    fsp_log_lines *lines = calloc(1, sizeof *lines);
    if (lines == NULL)
        return NULL;
    lines->directory = strdup(directory);
    if (lines->directory == NULL) {
        free(lines);
        return NULL;
    }
    atomic_init(&lines->owners, 2);
    pthread_mutex_init(&lines->mutex, NULL);
    pthread_cond_init(&lines->changed, NULL);
    lines->last = &lines->first;
    return lines;
}

static struct line *new_line(int32_t level, const char *text, size_t length)
{
    struct line *line = malloc(sizeof *line + length + 2);
    if (line != NULL) {
        line->next = NULL;
        line->text[0] = (char)('0' + level);
        memcpy(line->text + 1, text, length);
        line->text[length + 1] = 0;
    }
    return line;
}

static void append(fsp_log_lines *lines, struct line *line)
{
    *lines->last = line;
    lines->last = &line->next;
    lines->count++;
}

/* Where lines are missing, a line says how many: level 2, a warning. */
static void append_what_is_lost(fsp_log_lines *lines)
{
    char text[512];
    int length = snprintf(text, sizeof text,
                          "%.400s: %zu messages are lost: the log function is too slow",
                          lines->directory, lines->lost);
    struct line *line = new_line(2, text, (size_t)length);
    if (line != NULL) {
        append(lines, line);
        lines->lost = 0;
    }
}

void fsp_log_lines_put(void *user, int32_t level, const char *message)
{
    fsp_log_lines *lines = user;
    struct line *line = new_line(level, message, strlen(message));
    pthread_mutex_lock(&lines->mutex);
    if (lines->lost != 0 && lines->count < MOST_LINES)
        append_what_is_lost(lines);
    if (line != NULL && lines->lost == 0 && lines->count < MOST_LINES) {
        append(lines, line);
        line = NULL;
    } else {
        lines->lost++;
    }
    pthread_cond_signal(&lines->changed);
    pthread_mutex_unlock(&lines->mutex);
    free(line);
}

static char *first_line(fsp_log_lines *lines)
{
    if (lines->first == NULL && lines->lost != 0)
        append_what_is_lost(lines);
    struct line *line = lines->first;
    if (line == NULL)
        return NULL;
    lines->first = line->next;
    if (lines->first == NULL)
        lines->last = &lines->first;
    lines->count--;
    return memmove(line, line->text, strlen(line->text) + 1);
}

int fsp_log_lines_wait(fsp_log_lines *lines)
{
    pthread_mutex_lock(&lines->mutex);
    while (lines->first == NULL && lines->lost == 0 && !lines->closed)
        pthread_cond_wait(&lines->changed, &lines->mutex);
    int there_is = lines->first != NULL || lines->lost != 0;
    pthread_mutex_unlock(&lines->mutex);
    return there_is;
}

char *fsp_log_lines_take(fsp_log_lines *lines)
{
    pthread_mutex_lock(&lines->mutex);
    char *text = first_line(lines);
    pthread_mutex_unlock(&lines->mutex);
    return text;
}

void fsp_log_lines_close(fsp_log_lines *lines)
{
    pthread_mutex_lock(&lines->mutex);
    lines->closed = 1;
    pthread_cond_broadcast(&lines->changed);
    pthread_mutex_unlock(&lines->mutex);
}

void fsp_log_lines_release(fsp_log_lines *lines)
{
    if (atomic_fetch_sub(&lines->owners, 1) != 1)
        return;
    for (char *text = first_line(lines); text != NULL; text = first_line(lines))
        free(text);
    pthread_cond_destroy(&lines->changed);
    pthread_mutex_destroy(&lines->mutex);
    free(lines->directory);
    free(lines);
}

void fsp_free(void *memory)
{
    free(memory);
}
