/* flashstrike_wal_loader.h: the real library, none, another one, one that is too old, too new, or
 * lacks a function, and a file that is no library.
 * Usage: test_headers_loader LIBRARY FAKES-DIRECTORY; C and C++ */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <flashstrike_wal_loader.h>

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not that of support/check.h: this program links no library to ask for the last error. */
#define CHECK(condition)                                                                          \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "%s:%d: check failed: %s: %s\n", __FILE__, __LINE__, #condition,      \
                    error);                                                                       \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

static char error[FS_WAL_LOADER_ERROR_SIZE];

static int is_empty(const fs_wal_api *api)
{
    fs_wal_api none;
    memset(&none, 0, sizeof none);
    return memcmp(api, &none, sizeof none) == 0;
}

/* The library is refused with this status, and words that name it and say why. */
static void refused(const char *path, fs_wal_status status, const char *why)
{
    fs_wal_api api;
    memset(&api, 0xAA, sizeof api);
    CHECK(fs_wal_load(&api, path, error, sizeof error) == status);
    CHECK(strstr(error, path ? path : FS_WAL_LOADER_FILE) && strstr(error, why));
    CHECK(is_empty(&api));
    char small[16];
    memset(small, 'x', sizeof small);
    CHECK(fs_wal_load(&api, path, small, sizeof small) == status);
    CHECK(memchr(small, 0, sizeof small));
    CHECK(fs_wal_load(&api, path, NULL, 0) == status && is_empty(&api));
    fs_wal_unload(&api); /* harmless */
}

static void refused_fake(const char *fakes, const char *name, const char *why)
{
    char path[1000];
    snprintf(path, sizeof path, "%s/lib%s.so", fakes, name);
    refused(path, FS_WAL_ERR_UNSUPPORTED, why);
    CHECK(dlopen(path, RTLD_NOW | RTLD_NOLOAD) == NULL); /* nothing stays loaded */
}

/* Every member is the function of its name, and they work together. */
static void works(const char *path)
{
    fs_wal_api api;
    CHECK(fs_wal_load(&api, path, error, sizeof error) == FS_WAL_OK && error[0] == '\0');
    const size_t count = sizeof fs_wal_loader_table_ / sizeof fs_wal_loader_table_[0];
    CHECK(sizeof api == (count + 1) * sizeof(void *)); /* no member without an entry */
    for (size_t i = 0; i < count; i++) {
        void *found, *wanted = dlsym(api.handle, fs_wal_loader_table_[i].name);
        memcpy(&found, (const char *)&api + fs_wal_loader_table_[i].offset, sizeof found);
        CHECK(wanted && found == wanted);
    }
    CHECK(strcmp(api.status_string(FS_WAL_ERR_GAP), "FS_WAL_ERR_GAP") == 0);

    fs_wal *log;
    fs_wal_config config;
    fs_request_event event;
    api.config_init(&config, sizeof config);
    config.num_blocks = FS_WAL_MIN_BLOCKS;
    CHECK(api.open("/nowhere/log", &config, &log) == FS_WAL_ERR_NOT_FOUND);
    CHECK(strstr(api.last_error(), "/nowhere"));
    CHECK(api.open("log", &config, &log) == FS_WAL_OK);
    memset(&event, 0, sizeof event);
    fs_wal_meta_state last;
    CHECK(api.meta(log, &last) == FS_WAL_OK);
    event.event_id = last.last_event_id + 1;
    CHECK(api.append(log, &event) == FS_WAL_OK && api.sync(log) == FS_WAL_OK);
    CHECK(api.shutdown(log) == FS_WAL_OK);

    fs_wal_reader *reader;
    uint64_t events = 0;
    CHECK(api.reader_open("log", NULL, &reader) == FS_WAL_OK);
    while (api.reader_next(reader, &event) == FS_WAL_OK)
        events++;
    CHECK(events == last.last_event_id + 1);
    api.reader_close(reader);
    fs_wal_unload(&api);
    CHECK(is_empty(&api));
    /* Handlers that the library has set for fork are gone with it, or it has stayed for them. */
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(0);
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* By its name, which is the library's SONAME, the dynamic linker finds it. That reads
 * LD_LIBRARY_PATH when a program starts. */
static void works_by_name(char **argv)
{
    char command[3000];
    const int directory = (int)(strrchr(argv[1], '/') - argv[1]);
    snprintf(command, sizeof command, "LD_LIBRARY_PATH='%.*s' '%s' by-name", directory, argv[1],
             argv[0]);
    const int status = system(command);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "by-name") == 0) {
        works(NULL);
        works(FS_WAL_LOADER_FILE);
        return 0;
    }
    CHECK(argc == 3);
    refused(NULL, FS_WAL_ERR_NOT_FOUND, "cannot be loaded");
    refused("/nowhere/libflashstrike_wal.so", FS_WAL_ERR_NOT_FOUND, "No such file");
    FILE *text = fopen("text.so", "w");
    CHECK(text && fputs("this is no library, though it is long enough to be one: ", text) >= 0);
    CHECK(fclose(text) == 0);
    refused("./text.so", FS_WAL_ERR_NOT_FOUND, "file too short");
    refused_fake(argv[2], "fake_other", "is another library: it has no fs_wal_version");
    refused_fake(argv[2], "fake_old", "is version 0.0.9");
    refused_fake(argv[2], "fake_new", "is version 0.99.0");
    refused_fake(argv[2], "fake_major", "is version 7.1.0");
    refused_fake(argv[2], "fake_odd", "is version unknown");
    refused_fake(argv[2], "fake_partial", "has no fs_wal_status_string");
    works(argv[1]);
    works(argv[1]); /* again, after it was unloaded */
    works_by_name(argv);
    return 0;
}
