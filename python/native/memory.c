#define _GNU_SOURCE
#include "support.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

struct fsp_memory {
    atomic_size_t owners;
    void *address;
    size_t size;
    /* Bytes of address space, of which the rest is not used: it grows into them. */
    size_t mapped;
};

/* From here on huge pages: a day of events is then not a million page faults. */
#define HUGE_PAGES_FROM ((size_t)4 << 20)

/* Memory that grows takes so much address space at once, and no memory for it. To be moved costs
   it its huge pages. */
#define ROOM ((size_t)16 << 30)

static size_t whole_pages(size_t size)
{
    return size <= 4096 ? 4096 : (size + 4095) & ~(size_t)4095;
}

static void ask_for_huge_pages(const fsp_memory *memory)
{
    if (memory->size >= HUGE_PAGES_FROM)
        (void)madvise(memory->address, memory->size, MADV_HUGEPAGE);
}

fsp_memory *fsp_memory_new(size_t size)
{
    fsp_memory *memory = malloc(sizeof *memory);
    if (memory == NULL)
        return NULL;
    memory->size = memory->mapped = whole_pages(size);
    memory->address = mmap(NULL, memory->size, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory->address == MAP_FAILED) {
        free(memory);
        return NULL;
    }
    atomic_init(&memory->owners, 1);
    ask_for_huge_pages(memory);
    return memory;
}

int fsp_memory_resize(fsp_memory *memory, size_t size)
{
    size = whole_pages(size);
    if (size < memory->size || size > memory->mapped) {
        size_t mapped = size > memory->size && size < ROOM ? ROOM : size;
        void *address = mremap(memory->address, memory->mapped, mapped, MREMAP_MAYMOVE);
        if (address == MAP_FAILED && mapped != size) {
            mapped = size; /* the process may not have that much address space */
            address = mremap(memory->address, memory->mapped, mapped, MREMAP_MAYMOVE);
        }
        if (address == MAP_FAILED)
            return -1;
        memory->address = address;
        memory->mapped = mapped;
    }
    memory->size = size;
    ask_for_huge_pages(memory);
    return 0;
}

void *fsp_memory_address(const fsp_memory *memory)
{
    return memory->address;
}

void fsp_memory_retain(fsp_memory *memory)
{
    atomic_fetch_add_explicit(&memory->owners, 1, memory_order_relaxed);
}

void fsp_memory_release(fsp_memory *memory)
{
    if (atomic_fetch_sub_explicit(&memory->owners, 1, memory_order_acq_rel) == 1) {
        munmap(memory->address, memory->mapped);
        free(memory);
    }
}
