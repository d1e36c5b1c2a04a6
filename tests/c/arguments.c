/* Bad input through the C ABI: every pointer, size and value is checked, the error names the bad
 * argument, and out-parameters keep their values. */

#include "../support/check.h"

#include <unistd.h>

static void null_pointers(fs_wal *wal, fs_wal_reader *reader)
{
    const fs_wal_status invalid = FS_WAL_ERR_INVALID_ARGUMENT;
    const fs_request_event event = make_event(1), *events;
    fs_request_event *slot, out;
    fs_wal_meta_state meta;
    fs_wal_recovery_report_t report = {.struct_size = sizeof report};
    fs_wal_metrics_t metrics = {.struct_size = sizeof metrics};
    fs_wal *opened;
    fs_wal_reader *opened_reader;
    size_t size;
    char text[16];

    CHECK_STATUS(fs_wal_open(NULL, NULL, &opened), invalid);
    CHECK_STATUS(fs_wal_open("other", NULL, NULL), invalid);
    CHECK_STATUS(fs_wal_append(NULL, &event), invalid);
    CHECK_STATUS(fs_wal_append(wal, NULL), invalid);
    CHECK_STATUS(fs_wal_append_batch(NULL, &event, 1, &size), invalid);
    CHECK_STATUS(fs_wal_append_batch(wal, NULL, 1, &size), invalid);
    CHECK_STATUS(fs_wal_claim(NULL, &slot), invalid);
    CHECK_STATUS(fs_wal_claim(wal, NULL), invalid);
    CHECK_STATUS(fs_wal_commit(NULL, 1), invalid);
    CHECK_STATUS(fs_wal_meta(NULL, &meta), invalid);
    CHECK_STATUS(fs_wal_meta(wal, NULL), invalid);
    CHECK_STATUS(fs_wal_durable(NULL, &meta), invalid);
    CHECK_STATUS(fs_wal_durable(wal, NULL), invalid);
    CHECK_STATUS(fs_wal_sync(NULL), invalid);
    CHECK_STATUS(fs_wal_wait_durable(NULL, 1, 0), invalid);
    CHECK_STATUS(fs_wal_recovery_report(NULL, &report), invalid);
    CHECK_STATUS(fs_wal_recovery_report(wal, NULL), invalid);
    CHECK_STATUS(fs_wal_metrics(NULL, &metrics), invalid);
    CHECK_STATUS(fs_wal_metrics(wal, NULL), invalid);
    CHECK_STATUS(fs_wal_durable_fd(wal, NULL), invalid);
    CHECK_STATUS(fs_wal_metrics_of(NULL, &metrics), invalid);
    CHECK_STATUS(fs_wal_metrics_prometheus(NULL, text, sizeof text, &size), invalid);
    const fs_wal *const open_and_null[] = {wal, NULL};
    CHECK_STATUS(fs_wal_metrics_prometheus_of_all(NULL, 1, text, sizeof text, &size), invalid);
    CHECK_STATUS(fs_wal_metrics_prometheus_of_all(open_and_null, 2, NULL, 0, &size), invalid);
    CHECK_OK(fs_wal_metrics_prometheus_of_all(open_and_null, 1, NULL, 0, &size));
    CHECK_OK(fs_wal_metrics_prometheus_of_all(NULL, 0, text, sizeof text, &size));
    CHECK(size == 1 && text[0] == 0);
    CHECK_STATUS(fs_wal_reader_open(NULL, NULL, &opened_reader), invalid);
    CHECK_STATUS(fs_wal_reader_open("log", NULL, NULL), invalid);
    CHECK_STATUS(fs_wal_reader_next(NULL, &out), invalid);
    CHECK_STATUS(fs_wal_reader_next(reader, NULL), invalid);
    CHECK_STATUS(fs_wal_reader_next_batch(NULL, &events, &size), invalid);
    CHECK_STATUS(fs_wal_reader_next_batch(reader, NULL, &size), invalid);
    CHECK_STATUS(fs_wal_reader_next_batch(reader, &events, NULL), invalid);
    CHECK_STATUS(fs_wal_reader_seek(NULL, 1), invalid);
    CHECK_STATUS(fs_wal_reader_wait(NULL, 0), invalid);
    CHECK_STATUS(fs_wal_last_error_detail(NULL), invalid);

    CHECK_OK(fs_wal_shutdown(NULL));
    fs_wal_reader_close(NULL);
    fs_wal_config_init(NULL, sizeof(fs_wal_config));
    CHECK(access("other", F_OK) != 0); /* a refused open creates no directory */
}

static void refused_config(const fs_wal_config *config, const char *field)
{
    fs_wal *const untouched = (fs_wal *)(void *)&untouched;
    fs_wal *wal = untouched;
    CHECK_STATUS(fs_wal_open("other", config, &wal), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_ERROR_NAMES(field);
    CHECK(wal == untouched);
}

static void configs_out_of_range(void)
{
    fs_wal_config config;
#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        config = small_segments();                                                                 \
        config.field = (value);                                                                    \
        refused_config(&config, #field);                                                           \
    } while (0)

    REFUSED(struct_size, 0);
    REFUSED(struct_size, 3);
    REFUSED(num_blocks, FS_WAL_MIN_BLOCKS - 1);
    REFUSED(num_blocks, FS_WAL_MAX_BLOCKS + 1);
    REFUSED(num_blocks, UINT32_MAX);
    REFUSED(max_segments, FS_WAL_KEEP_NONE);
    REFUSED(prepared_segments, UINT32_MAX);
    REFUSED(backpressure, FS_WAL_BACKPRESSURE_FAIL_FAST + 1);
    REFUSED(sync_mode, FS_WAL_SYNC_ROTATION + 1);
    REFUSED(flags, UINT32_C(1) << 31);
    REFUSED(worker_nice, 20);
    REFUSED(worker_nice, -21);
    REFUSED(reserved, 1);
#undef REFUSED
    CHECK(access("other", F_OK) != 0);
}

/* config_init writes no more than the given size, so a caller with an older struct is safe. */
static void config_init_respects_the_size(void)
{
    fs_wal_config config;
    memset(&config, 0xaa, sizeof config);
    fs_wal_config_init(&config, 24);
    CHECK(config.struct_size == 24);
    CHECK(((unsigned char *)&config)[24] == 0xaa);
}

static void reader_flags(void)
{
    fs_wal_reader *reader = NULL;
    const fs_wal_reader_config unknown = {.struct_size = sizeof unknown,
                                          .flags = UINT32_C(1) << 31},
                               wrong_size = {.struct_size = 3},
                               right = {.struct_size = sizeof right},
                               released = {.struct_size = 8},
                               reserved = {.struct_size = sizeof reserved, .reserved = 1};
    CHECK_STATUS(fs_wal_reader_open("log", &unknown, &reader), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_ERROR_NAMES("flags");
    CHECK_STATUS(fs_wal_reader_open("log", &wrong_size, &reader), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_ERROR_NAMES("struct_size");
    CHECK_STATUS(fs_wal_reader_open("log", &reserved, &reader), FS_WAL_ERR_INVALID_ARGUMENT);
    CHECK_ERROR_NAMES("reserved");
    CHECK_OK(fs_wal_reader_open("log", &right, &reader));
    fs_wal_reader_close(reader);
    CHECK_OK(fs_wal_reader_open("log", &released, &reader));
    fs_wal_reader_close(reader);
}

static void paths(void)
{
    fs_wal *wal = NULL;
    fs_wal_reader *reader = NULL;
    char long_path[8192];
    memset(long_path, 'x', sizeof long_path);
    long_path[sizeof long_path - 1] = 0;

    CHECK_STATUS(fs_wal_reader_open("absent", NULL, &reader), FS_WAL_ERR_NOT_FOUND);
    CHECK_ERROR_NAMES("absent");
    CHECK(access("absent", F_OK) != 0);
    CHECK(fs_wal_open("", NULL, &wal) != FS_WAL_OK);
    CHECK(fs_wal_open(long_path, NULL, &wal) != FS_WAL_OK);

    FILE *file = fopen("a_file", "w");
    CHECK(file && fclose(file) == 0);
    CHECK(fs_wal_open("a_file", NULL, &wal) != FS_WAL_OK);
    CHECK_ERROR_NAMES("a_file");
    CHECK(fs_wal_reader_open("a_file", NULL, &reader) != FS_WAL_OK);
    CHECK(wal == NULL && reader == NULL);

    /* A path need not be UTF-8. */
    const fs_wal_config config = small_segments();
    CHECK_OK(fs_wal_open("not-utf8-\xff\xfe", &config, &wal));
    CHECK_OK(fs_wal_shutdown(wal));
}

static void reports(fs_wal *wal)
{
    fs_wal_recovery_report_t report = {.struct_size = 3};
    CHECK_STATUS(fs_wal_recovery_report(wal, &report), FS_WAL_ERR_INVALID_ARGUMENT);
    report.struct_size = sizeof report;
    CHECK_OK(fs_wal_recovery_report(wal, &report));
    CHECK(report.struct_size == sizeof report);

    fs_wal_metrics_t metrics = {.struct_size = 3};
    CHECK_STATUS(fs_wal_metrics(wal, &metrics), FS_WAL_ERR_INVALID_ARGUMENT);
    metrics.struct_size = sizeof metrics;
    CHECK_OK(fs_wal_metrics(wal, &metrics));
    CHECK(metrics.struct_size == sizeof metrics);
}

static void errors_in_words_and_as_data(fs_wal *wal)
{
    const fs_request_event event = make_event(0);
    fs_wal_error_detail detail = {.struct_size = sizeof detail};
    CHECK_STATUS(fs_wal_append(wal, &event), FS_WAL_ERR_OUT_OF_ORDER);
    CHECK_OK(fs_wal_last_error_detail(&detail));
    CHECK(detail.status == FS_WAL_ERR_OUT_OF_ORDER);
    detail.struct_size = 3;
    CHECK_STATUS(fs_wal_last_error_detail(&detail), FS_WAL_ERR_INVALID_ARGUMENT);

    for (fs_wal_status a = FS_WAL_OK; a <= FS_WAL_ERR_CLOSED; a++)
        for (fs_wal_status b = FS_WAL_OK; b < a; b++)
            CHECK(strcmp(fs_wal_status_string(a), fs_wal_status_string(b)) != 0);
    CHECK(*fs_wal_status_string(-1) && *fs_wal_status_string(12345));
}

int main(void)
{
    const fs_wal_config config = small_segments();
    fs_wal *wal;
    fs_wal_reader *reader;
    CHECK_OK(fs_wal_open("log", &config, &wal));
    CHECK_OK(fs_wal_reader_open("log", NULL, &reader));
    null_pointers(wal, reader);
    configs_out_of_range();
    config_init_respects_the_size();
    reader_flags();
    paths();
    reports(wal);
    errors_in_words_and_as_data(wal);
    fs_wal_reader_close(reader);
    CHECK_OK(fs_wal_shutdown(wal));
    return 0;
}
