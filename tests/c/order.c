/* G10: an id that does not rise is refused and nothing is written. A batch stops at the first event
 * that fails; a claim is committed once. */

#include "../support/check.h"

static uint64_t last_id(const fs_wal *wal)
{
    fs_wal_meta_state state;
    CHECK_OK(fs_wal_meta(wal, &state));
    return state.last_event_id;
}

static void append(fs_wal *wal, uint64_t event_id)
{
    const fs_request_event event = make_event(event_id);
    CHECK_OK(fs_wal_append(wal, &event));
}

static void refuses_ids_that_do_not_rise(fs_wal *wal)
{
    const uint64_t before = last_id(wal);
    const uint64_t wrong[] = {0, 1, before - 1, before, UINT64_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const fs_request_event event = make_event(wrong[i]);
        CHECK_STATUS(fs_wal_append(wal, &event), FS_WAL_ERR_OUT_OF_ORDER);
        CHECK(last_id(wal) == before);
    }
    append(wal, before + 1000); /* a gap is allowed */
    CHECK(last_id(wal) == before + 1000);
}

static void batch_appends_a_prefix(fs_wal *wal)
{
    const uint64_t base = last_id(wal);
    fs_request_event events[5];
    for (uint64_t i = 0; i < 5; i++)
        events[i] = make_event(base + 1 + i);
    events[3] = make_event(base + 1);

    size_t appended = 99;
    CHECK_STATUS(fs_wal_append_batch(wal, events, 5, &appended), FS_WAL_ERR_OUT_OF_ORDER);
    CHECK(appended == 3);
    CHECK(last_id(wal) == base + 3);

    appended = 99;
    CHECK_OK(fs_wal_append_batch(wal, events, 0, &appended));
    CHECK(appended == 0);
    events[4] = make_event(base + 5);
    CHECK_OK(fs_wal_append_batch(wal, &events[4], 1, &appended));
    CHECK(appended == 1);
}

static void claim_is_committed_once(fs_wal *wal)
{
    const uint64_t base = last_id(wal);
    CHECK_STATUS(fs_wal_commit(wal, base + 1), FS_WAL_ERR_INVALID_ARGUMENT);

    fs_request_event *slot;
    const fs_request_event event = make_event(base + 1);
    CHECK_OK(fs_wal_claim(wal, &slot));
    memcpy((char *)slot + 8, (const char *)&event + 8, sizeof event - 8);
    CHECK(last_id(wal) == base);
    CHECK_OK(fs_wal_commit(wal, base + 1));
    CHECK(last_id(wal) == base + 1);
    CHECK_STATUS(fs_wal_commit(wal, base + 2), FS_WAL_ERR_INVALID_ARGUMENT);

    CHECK_OK(fs_wal_claim(wal, &slot));
    append(wal, base + 2); /* abandons the claim */
    CHECK_STATUS(fs_wal_commit(wal, base + 3), FS_WAL_ERR_INVALID_ARGUMENT);

    CHECK_OK(fs_wal_claim(wal, &slot));
    CHECK_STATUS(fs_wal_commit(wal, base + 2), FS_WAL_ERR_OUT_OF_ORDER);
    CHECK_STATUS(fs_wal_commit(wal, 0), FS_WAL_ERR_OUT_OF_ORDER);
    CHECK(last_id(wal) == base + 2);

    CHECK_OK(fs_wal_claim(wal, &slot));
    memset((char *)slot + 8, 0xee, 56); /* never committed: must leave no trace */
}

/* The log holds exactly the appended events, each once. */
static void check_replay(uint64_t events, uint64_t last)
{
    fs_wal_reader *reader;
    fs_request_event event;
    uint64_t count = 0, previous = 0;
    fs_wal_status status;
    CHECK_OK(fs_wal_reader_open("log", NULL, &reader));
    while ((status = fs_wal_reader_next(reader, &event)) == FS_WAL_OK) {
        CHECK(event.event_id > previous);
        CHECK(is_made_event(&event));
        previous = event.event_id;
        count++;
    }
    CHECK_STATUS(status, FS_WAL_END);
    CHECK(count == events);
    CHECK(previous == last);
    fs_wal_reader_close(reader);
}

int main(void)
{
    const fs_wal_config config = small_segments();
    fs_wal *wal;
    CHECK_OK(fs_wal_open("log", &config, &wal));
    CHECK(last_id(wal) == 0);
    append(wal, 7);
    append(wal, 8);
    refuses_ids_that_do_not_rise(wal); /* 1 event */
    batch_appends_a_prefix(wal);       /* 4 */
    claim_is_committed_once(wal);      /* 2 */
    const uint64_t last = last_id(wal);
    CHECK_OK(fs_wal_shutdown(wal));
    check_replay(9, last);

    /* After reopening, ids must still rise above the last one in the log. */
    CHECK_OK(fs_wal_open("log", &config, &wal));
    CHECK(last_id(wal) == last);
    const fs_request_event old = make_event(last);
    CHECK_STATUS(fs_wal_append(wal, &old), FS_WAL_ERR_OUT_OF_ORDER);
    append(wal, last + 1);
    CHECK_OK(fs_wal_shutdown(wal));
    check_replay(10, last + 1);
    return 0;
}
