/* flashstrike_wal_read.h against the library, on logs that are damaged in hundreds of ways: the
 * same events, the same verdict, the same place.
 *
 * Usage: test_c_read_damaged [TRIALS]; FLASHSTRIKE_TEST_SEED=n tries that seed only. */

#define _GNU_SOURCE

#include "made_files.h"

#include <sys/wait.h>
#include <unistd.h>

/* ---- a directory in memory ------------------------------------------------------------------- */

typedef struct file {
    char name[40];
    bytes now;
    bool is_changed, is_gone;
} file;

typedef struct pool {
    file files[MOST_SEGMENTS + 8];
    size_t count;
} pool;

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
    uint64_t z = random_state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (z ^ (z >> 31)) % bound;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((const char *)a, (const char *)b);
}

static void load_pool(pool *pool, const char *dir)
{
    DIR *listing = opendir(dir);
    CHECK(listing);
    memset(pool, 0, sizeof *pool);
    for (struct dirent *entry; (entry = readdir(listing));) {
        uint64_t number;
        const int kind = fs_wal_read_name(entry->d_name, &number);
        if (kind == FS_WAL_READ_NAME_OTHER &&
            strcmp(entry->d_name, FS_WAL_READ_META_NAME) != 0 &&
            strcmp(entry->d_name, FS_WAL_READ_IDENTITY_NAME) != 0)
            continue;
        file *file = &pool->files[pool->count++];
        snprintf(file->name, sizeof file->name, "%.39s", entry->d_name);
        file->now = read_bytes(dir, file->name);
    }
    closedir(listing);
    qsort(pool->files, pool->count, sizeof pool->files[0], by_name); /* seeds decide everything */
}

static void write_pool(pool *pool, const char *dir)
{
    char path[512];
    for (size_t i = 0; i < pool->count; i++) {
        file *file = &pool->files[i];
        if (!file->is_changed)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, file->name);
        if (file->is_gone)
            remove(path);
        else
            write_bytes(dir, file->name, file->now);
    }
}

static bytes copy_of(bytes of)
{
    bytes copy = {malloc(of.size + 1), of.size};
    CHECK(copy.at);
    memcpy(copy.at, of.at, of.size);
    return copy;
}

static void put(pool *pool, const char *name, bytes content)
{
    size_t i = 0;
    while (i < pool->count && strcmp(pool->files[i].name, name) != 0)
        i++;
    file *file = &pool->files[i];
    if (i == pool->count) {
        CHECK(pool->count++ < MOST_SEGMENTS + 8);
        memset(file, 0, sizeof *file);
        snprintf(file->name, sizeof file->name, "%s", name);
    }
    free(file->now.at);
    file->now = content;
    file->is_changed = true;
    file->is_gone = false;
}

/* Some file of these kinds (a bit for each), or NULL. */
static file *some(pool *pool, unsigned kinds)
{
    size_t found = 0, chosen;
    for (int pass = 0; pass < 2; pass++) {
        chosen = pass ? random_below(found) : 0;
        for (size_t i = 0; i < pool->count; i++) {
            uint64_t number;
            file *file = &pool->files[i];
            const unsigned kind = 1u << fs_wal_read_name(file->name, &number);
            if (!(kind & kinds) || file->is_gone)
                continue;
            if (pass && chosen-- == 0) {
                file->is_changed = true;
                return file;
            }
            found += !pass;
        }
        if (found == 0)
            return NULL;
    }
    return NULL;
}

#define HOT (1u << FS_WAL_READ_NAME_HOT)
#define COLD (1u << FS_WAL_READ_NAME_COLD)
#define RECORD (1u << FS_WAL_READ_NAME_OTHER)

/* ---- damage ---------------------------------------------------------------------------------- */

static void flip(bytes of, size_t begin, size_t length)
{
    if (begin < of.size)
        of.at[begin + random_below(length < of.size - begin ? length : of.size - begin)] ^=
            (unsigned char)(1u << random_below(8));
}

static void flip_anywhere(pool *pool)
{
    file *file = some(pool, HOT | COLD | RECORD);
    flip(file->now, 0, file->now.size);
}

static void flip_in_header(pool *pool)
{
    file *file = some(pool, HOT | COLD | RECORD);
    flip(file->now, 0, 64);
}

static void flip_in_record(pool *pool)
{
    file *file = some(pool, RECORD);
    flip(file->now, 0, file->now.size);
}

static void flip_in_block_header(pool *pool)
{
    file *file = some(pool, HOT);
    flip(file->now, fs_wal_read_block_offset((uint32_t)random_below(16)), 64);
}

static void cut(pool *pool)
{
    file *file = some(pool, HOT | COLD | RECORD);
    if (file->now.size > 0)
        file->now.size -= random_below(2) ? random_below(file->now.size) + 1
                                          : random_below(40) % file->now.size + 1;
}

static void cut_to_whole_blocks(pool *pool)
{
    file *file = some(pool, HOT);
    file->now.size = (size_t)fs_wal_read_block_offset((uint32_t)random_below(17));
}

static void lengthen(pool *pool)
{
    file *file = some(pool, HOT | COLD | RECORD);
    static const uint32_t begins[] = {0, 0x184D2204, 0x184C2102, 0x184D2A53, 0x12345678};
    bytes longer = {calloc(1, file->now.size + 40), file->now.size + 1 + random_below(40)};
    CHECK(longer.at);
    memcpy(longer.at, file->now.at, file->now.size);
    memcpy(longer.at + file->now.size, &begins[random_below(5)], 4);
    free(file->now.at);
    file->now = longer;
}

static void zero_from(bytes of, size_t begin)
{
    const size_t most = of.size - begin;
    memset(of.at + begin, 0, 1 + random_below(most < 40000 ? most : 40000));
}

static void zero_some(pool *pool)
{
    file *file = some(pool, HOT | COLD);
    if (file->now.size > 0)
        zero_from(file->now, random_below(file->now.size));
}

static void lose_a_file(pool *pool)
{
    file *file = some(pool, HOT | COLD | RECORD);
    file->is_gone = true;
}

static void misname(pool *pool)
{
    const file *from = some(pool, HOT), *to = some(pool, HOT);
    put(pool, to->name, copy_of(from->now));
}

/* Overwrites a field of a header, with a value near the one that is there or with any. */
static void change_field(unsigned char *header, size_t at, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, header + at, size);
    value = random_below(3) ? value + random_below(5) - 2 : random_below(UINT64_MAX);
    if (random_below(6) == 0)
        value = 0;
    memcpy(header + at, &value, size);
}

static void change_segment_header(unsigned char *segment)
{
    static const unsigned char fields[][2] = {{0, 2},  {2, 1},  {3, 1},  {4, 4},  {8, 4},
                                              {12, 4}, {16, 8}, {24, 8}, {40, 8}, {56, 8}};
    const unsigned char *field = fields[random_below(10)];
    change_field(segment, field[0], field[1]);
    seal_segment_header(segment);
}

static void change_block_header(unsigned char *block)
{
    static const unsigned char fields[][2] = {{0, 8},  {8, 8},  {16, 8}, {24, 8},
                                              {40, 4}, {44, 2}, {46, 2}, {48, 8}};
    const unsigned char *field = fields[random_below(8)];
    change_field(block, field[0], field[1]);
    seal_block_header(block);
}

/* What no checksum shows, but the one of the chain or of the segment. */
static void change_events(unsigned char *block)
{
    fs_wal_block_header header;
    if (!fs_wal_read_block_header(block, FS_WAL_BLOCK_SIZE, &header))
        return;
    unsigned char *event = block + 64 + random_below(header.event_count) * 64;
    change_field(event, random_below(2) ? 0 : 8 + random_below(48), 8);
    const uint64_t sum =
        fs_wal_read_xxh64(block + 64, header.event_count * (size_t)64, header.block_checksum);
    if (random_below(4)) {
        const uint64_t block_sum =
            fs_wal_read_xxh64(block + 64, header.event_count * (size_t)64, 0);
        memcpy(block + 16, &block_sum, 8);
    }
    if (random_below(4) == 0)
        memcpy(block + 24, &sum, 8);
    seal_block_header(block);
}

static uint32_t some_block(bytes segment)
{
    return (uint32_t)random_below(fs_wal_read_blocks_of(segment.size));
}

static uint16_t some_count(void) { return (uint16_t)(1 + random_below(256)); }

static void change_sealed(bytes segment)
{
    const uint32_t block = some_block(segment), other = some_block(segment);
    switch (random_below(5)) {
    case 0: change_segment_header(segment.at); break;
    case 1: change_block_header(block_at(segment, block)); break;
    case 2: change_events(block_at(segment, block)); break;
    case 3: /* a block in another one's place, with a header for that place */
        memcpy(block_at(segment, block), block_at(segment, other), FS_WAL_BLOCK_SIZE);
        memcpy(block_at(segment, block) + 40, &block, sizeof block);
        seal_block_header(block_at(segment, block));
        break;
    case 4: memcpy(block_at(segment, block), block_at(segment, other), FS_WAL_BLOCK_SIZE); break;
    }
}

static void change_hot(pool *pool)
{
    file *file = some(pool, HOT);
    if (file->now.size >= fs_wal_read_block_offset(1))
        change_sealed(file->now);
}

static bytes some_content(pool *pool, file **of)
{
    *of = some(pool, COLD);
    fs_wal_read_frame frame;
    bytes content = {NULL, 0};
    if (!*of)
        return content;
    const bytes packed = (*of)->now;
    content.at = malloc(fs_wal_read_unpacked_size(packed.at, packed.size) + 1);
    CHECK(content.at);
    const fs_wal_status unpacked =
        fs_wal_read_unpack(packed.at, packed.size, LZ4_FUNCTION, content.at,
                           fs_wal_read_unpacked_size(packed.at, packed.size), &frame);
    CHECK(unpacked == FS_WAL_OK || unpacked == FS_WAL_ERR_CORRUPT);
    content.size = (size_t)frame.size;
    return content;
}

/* Another content, in a frame that is right. */
static void change_cold(pool *pool)
{
    file *file;
    bytes content = some_content(pool, &file);
    if (content.at && content.size >= fs_wal_read_block_offset(1)) {
        if (random_below(6))
            change_sealed(content);
        else
            content.size = random_below(content.size);
        put(pool, file->name, frame_of(content, usual_framing));
    }
    free(content.at);
}

/* Another frame of the same content, and then perhaps damaged, also in what its checksums cover. */
static void change_frame(pool *pool)
{
    file *file;
    bytes content = some_content(pool, &file);
    if (content.at && content.size > 0) {
        framing how = {(unsigned char)(0x40 | (random_below(16) << 2)),
                       (unsigned char)(4 + random_below(4))};
        put(pool, file->name, frame_of(content, how));
        bytes frame = file->now;
        const size_t header = how.flags & 0x08 ? 15 : 7;
        switch (random_below(7)) {
        case 0: flip(frame, header, 4); break;
        case 1: flip(frame, frame.size - 8, 4); break;
        case 4: flip(frame, frame.size - 4, 4); break;
        case 2: flip(frame, header + 4, frame.size); break;
        case 3:
            flip(frame, 4, header - 5);
            frame.at[header - 1] =
                (unsigned char)(fs_wal_read_xxh32(frame.at + 4, header - 5) >> 8);
            break;
        default: break;
        }
    }
    free(content.at);
}

/* Opens a closed segment again, as if the header had not been written, and says of some of its
 * events that they were durable. */
static void reopen(pool *pool)
{
    file *file = some(pool, HOT);
    if (file->now.size < fs_wal_read_block_offset(16))
        return;
    fs_wal_segment_header header;
    fs_wal_meta_state meta = {0, 0, 0};
    memcpy(&header, file->now.at, sizeof header);
    memset(file->now.at + 8, 0, 24);
    memset(file->now.at + 40, 0, 8);
    memset(file->now.at + 56, 0, 8);
    seal_segment_header(file->now.at);
    const uint64_t span = header.last_event_id - header.first_event_id + 3;
    meta.last_event_id = header.first_event_id - 1 + random_below(span ? span : 1);
    bytes record = {malloc(24), 24};
    CHECK(record.at);
    memcpy(record.at, &meta, 16);
    const uint64_t sum = fs_wal_read_xxh64(&meta, 16, 0);
    memcpy(record.at + 16, &sum, 8);
    put(pool, FS_WAL_READ_META_NAME, record);
    for (uint64_t more = random_below(3); more > 0; more--) {
        const uint64_t of_d = (meta.last_event_id - header.first_event_id) / 256;
        unsigned char *block = block_at(
            file->now, of_d < 16 && random_below(2) ? (uint32_t)of_d : some_block(file->now));
        switch (random_below(6)) {
        case 0: memset(block, 0, 64); break;
        case 1: flip(file->now, (size_t)(block - file->now.at) + 64, 16384); break;
        case 2: change_block_header(block); break;
        case 3: change_events(block); break;
        case 4: seal_block(block, some_block(file->now), some_count(), 0, 0); break;
        case 5: memset(block + 64 + random_below(200) * 64, 0, 64); break;
        }
    }
    if (random_below(2)) /* and nothing behind it */
        for (size_t i = 0; i < pool->count; i++)
            if (strcmp(pool->files[i].name, file->name) > 0 &&
                strncmp(pool->files[i].name, "FS.", 3) == 0)
                pool->files[i].is_changed = pool->files[i].is_gone = true;
}

/* As the C++ recorder leaves a segment that it has opened again: the header counts what was there
 * when it was closed first. */
static void reopen_by_cpp(pool *pool)
{
    file *file = some(pool, HOT);
    fs_wal_segment_header header;
    fs_wal_block_header sealed;
    if (!fs_wal_read_segment_header(file->now.at, file->now.size, &header) ||
        header.block_count < 2 || file->now.size < fs_wal_read_block_offset(16))
        return;
    const uint32_t kept = 1 + (uint32_t)random_below(header.block_count - 1);
    const uint32_t more = (uint32_t)random_below(256);
    memcpy(&sealed, block_at(file->now, kept - 1), sizeof sealed);
    header.event_count = kept * 256 + more;
    header.block_count = kept + (more > 0);
    header.last_event_id =
        more ? fs_wal_read_id_(block_at(file->now, kept) + 64, more - 1) : sealed.last_event_id;
    header.last_chained_checksum =
        more ? fs_wal_read_xxh64(block_at(file->now, kept) + 64, more * (size_t)64,
                                 sealed.chained_checksum)
             : sealed.chained_checksum;
    memcpy(file->now.at, &header, sizeof header);
    seal_segment_header(file->now.at);
    const bool has_identity = random_below(4) == 0;
    for (size_t i = 0; i < pool->count && !has_identity; i++)
        if (strcmp(pool->files[i].name, FS_WAL_READ_IDENTITY_NAME) == 0)
            pool->files[i].is_changed = pool->files[i].is_gone = true;
    if (random_below(2)) {
        const uint64_t id = 1 + random_below(9000);
        bytes meta = {calloc(1, 16), 16};
        CHECK(meta.at);
        memcpy(meta.at + 8, &id, 8);
        put(pool, FS_WAL_READ_META_NAME, meta);
    }
}

/* A cold segment beside a hot one that is the same, older, newer, another, or damaged. */
static void add_twin(pool *pool)
{
    file *file;
    char name[40];
    bytes content = some_content(pool, &file);
    if (!content.at || content.size < fs_wal_read_block_offset(1)) {
        free(content.at);
        return;
    }
    snprintf(name, sizeof name, "%.*s", (int)strlen(file->name) - 4, file->name);
    bytes hot = {calloc(1, (size_t)fs_wal_read_block_offset(16)),
                 (size_t)fs_wal_read_block_offset(16)};
    CHECK(hot.at);
    memcpy(hot.at, content.at, content.size < hot.size ? content.size : hot.size);
    free(content.at);
    switch (random_below(6)) {
    case 0: break;
    case 1: change_sealed(hot); break;
    case 2: memset(hot.at, 0, 64); break;
    case 3: zero_from(hot, (size_t)fs_wal_read_block_offset(some_block(hot))); break;
    case 4: change_segment_header(hot.at); break;
    case 5: hot.size = random_below(hot.size); break;
    }
    put(pool, name, hot);
}

static const struct {
    const char *name;
    void (*apply)(pool *pool);
} damages[] = {
    {"flip_anywhere", flip_anywhere},
    {"flip_in_header", flip_in_header},
    {"flip_in_record", flip_in_record},
    {"flip_in_block_header", flip_in_block_header},
    {"cut", cut},
    {"cut_to_whole_blocks", cut_to_whole_blocks},
    {"lengthen", lengthen},
    {"zero_some", zero_some},
    {"lose_a_file", lose_a_file},
    {"misname", misname},
    {"change_hot", change_hot},
    {"change_hot", change_hot},
    {"change_cold", change_cold},
    {"change_cold", change_cold},
    {"change_frame", change_frame},
    {"change_frame", change_frame},
    {"reopen", reopen},
    {"reopen", reopen},
    {"reopen", reopen},
    {"reopen_by_cpp", reopen_by_cpp},
    {"add_twin", add_twin},
};
#define DAMAGES (sizeof damages / sizeof damages[0])

/* ---- trials ---------------------------------------------------------------------------------- */

/* Events that compress, as an engine's do. */
static void append_some(fs_wal *wal, uint64_t from, uint64_t to)
{
    for (uint64_t id = from; id <= to; id++) {
        fs_request_event event;
        memset(&event, 0, sizeof event);
        event.event_id = id;
        event.timestamp = id * 1000;
        event.price = 10000 + (int64_t)(id * 7919 % 101);
        event.quantity = (int64_t)(id % 10) * 100;
        event.order_id = (uint32_t)(id / 3);
        event.type = id % 5 == 0;
        CHECK_OK(fs_wal_append(wal, &event));
    }
}

/* A log of four cold segments and three hot ones, the last not full. */
static void record_closed(const char *dir)
{
    fs_wal_config config = small_segments();
    fs_wal *wal;
    config.max_segments = 3;
    config.max_compressed_segments = FS_WAL_KEEP_ALL;
    CHECK_OK(fs_wal_open(dir, &config, &wal));
    append_some(wal, 1, 6 * EVENTS_PER_SMALL_SEGMENT + 1111);
    CHECK_OK(fs_wal_shutdown(wal));
}

/* A log whose process was killed, as another machine would see it: a copy of its directory. */
static void record_killed(const char *dir)
{
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        fs_wal_config config = small_segments();
        fs_wal *wal;
        config.flags = FS_WAL_FLAG_NO_COMPRESSION;
        CHECK_OK(fs_wal_open("killed", &config, &wal));
        append_some(wal, 1, 2 * EVENTS_PER_SMALL_SEGMENT + 777);
        CHECK_OK(fs_wal_sync(wal));
        append_some(wal, 2 * EVENTS_PER_SMALL_SEGMENT + 778, 2 * EVENTS_PER_SMALL_SEGMENT + 2000);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    char command[600];
    snprintf(command, sizeof command, "cp -r killed %s", dir);
    CHECK(system(command) == 0);
    fs_wal *wal; /* removes the active directory that the killed process left in memory */
    CHECK_OK(fs_wal_open("killed", NULL, &wal));
    CHECK_OK(fs_wal_shutdown(wal));
}

static void restore(const char *dir, const pool *pristine, const pool *damaged)
{
    char path[512];
    for (size_t i = 0; i < damaged->count; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, damaged->files[i].name);
        if (i >= pristine->count)
            remove(path);
        else if (damaged->files[i].is_changed)
            write_bytes(dir, pristine->files[i].name, pristine->files[i].now);
    }
}

/* Damages a log in one or two ways. Returns what the readers came to. */
static fs_wal_status try_seed(uint64_t seed, const char *const *dirs, const pool *pristine)
{
    static pool damaged;
    char applied[80] = "";
    random_state = seed;
    const size_t which = random_below(2);
    damaged = pristine[which];
    for (size_t i = 0; i < damaged.count; i++)
        damaged.files[i].now = copy_of(damaged.files[i].now);
    for (uint64_t more = 1 + (random_below(4) == 0); more > 0; more--) {
        const size_t damage = random_below(DAMAGES);
        const bool can = some(&damaged, HOT) && some(&damaged, RECORD);
        if (can)
            damages[damage].apply(&damaged);
        snprintf(applied + strlen(applied), sizeof applied - strlen(applied), " %s",
                 damages[damage].name);
    }
    write_pool(&damaged, dirs[which]);
    bool same;
    const outcome found = read_both(dirs[which], &same);
    if (!same) {
        fprintf(stderr, "seed %" PRIu64 ", %s:%s\n", seed, dirs[which], applied);
        exit(1);
    }
    restore(dirs[which], &pristine[which], &damaged);
    for (size_t i = 0; i < damaged.count; i++)
        free(damaged.files[i].now.at);
    return found.status;
}

int main(int argc, char **argv)
{
    static const char *const dirs[] = {"closed", "copied"};
    static pool pristine[2];
    const char *one = getenv("FLASHSTRIKE_TEST_SEED");
    const uint64_t trials = argc > 1 ? strtoull(argv[1], NULL, 10) : 600;
    record_closed("closed");
    record_killed("copied");
    for (size_t i = 0; i < 2; i++) {
        bool same;
        load_pool(&pristine[i], dirs[i]);
        const outcome found = read_both(dirs[i], &same);
        CHECK(same && found.status == FS_WAL_END && found.events > 2 * EVENTS_PER_SMALL_SEGMENT);
    }
    if (one) {
        try_seed(strtoull(one, NULL, 10), dirs, pristine);
        return 0;
    }
    uint64_t corrupt = 0;
    for (uint64_t seed = 1; seed <= trials; seed++)
        corrupt += try_seed(seed, dirs, pristine) == FS_WAL_ERR_CORRUPT;
    printf("%" PRIu64 " trials, %" PRIu64 " logs refused\n", trials, corrupt);
    /* Damage that nothing shows would prove nothing, nor would damage that is always met. */
    CHECK(trials < 100 || (corrupt > trials / 3 && corrupt < trials));
    return 0;
}
