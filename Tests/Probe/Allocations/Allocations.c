// Definitions in an executable go before those of the C library, which offers its own under these other names.
#include "Allocations.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static long allocations, last;

static void count(size_t size) {
    __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&last, (long)size, __ATOMIC_RELAXED);
}

long pando_allocations(void) { return __atomic_load_n(&allocations, __ATOMIC_RELAXED); }
long pando_last_allocation(void) { return __atomic_load_n(&last, __ATOMIC_RELAXED); }

int pando_fork(void) { return fork(); }

void *malloc(size_t size) { count(size); return __libc_malloc(size); }
void *calloc(size_t n, size_t size) { count(n * size); return __libc_calloc(n, size); }
void *realloc(void *old, size_t size) { count(size); return __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) { count(size); return __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { count(size); return __libc_memalign(alignment, size); }
int posix_memalign(void **out, size_t alignment, size_t size) {
    count(size);
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}
