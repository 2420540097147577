// Definitions in an executable go before those of the C library, which offers its own under these other names.
#include "ProcessGuard.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

static __thread long live, peak, item = -1;

void pando_guard_begin(void) { live = peak = 0; }
long pando_guard_peak(void) { return peak; }
void pando_guard_item(long number) { item = number; }

static void say(int number) {
    char text[80];
    int count = snprintf(text, sizeof text, "mutant %ld: ended by signal %d\n", item, number);
    if (write(2, text, (size_t)count) < 0) _exit(4);
    // The first handler is gone: the same again ends the process.
}

void pando_guard_signals(void) {
    const int signals[] = {SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
    struct sigaction action = {.sa_handler = say, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
}

void pando_guard_limit(unsigned long bytes) {
    struct rlimit limit = {bytes, bytes};
    setrlimit(RLIMIT_DATA, &limit);
}

static void *took(void *memory, size_t size) {
    // What was refused counts as asked for: it was wanted all the same.
    if (live + (long)size > peak) peak = live + (long)size;
    if (memory) live += (long)malloc_usable_size(memory);
    return memory;
}

static void gave(void *memory) {
    if (memory) live -= (long)malloc_usable_size(memory);
}

void *malloc(size_t size) { return took(__libc_malloc(size), size); }
void *calloc(size_t n, size_t size) { return took(__libc_calloc(n, size), n * size); }
void *memalign(size_t alignment, size_t size) { return took(__libc_memalign(alignment, size), size); }
void *aligned_alloc(size_t alignment, size_t size) { return took(__libc_memalign(alignment, size), size); }
int posix_memalign(void **out, size_t alignment, size_t size) {
    *out = took(__libc_memalign(alignment, size), size);
    return *out ? 0 : ENOMEM;
}
void *realloc(void *old, size_t size) {
    gave(old);
    return took(__libc_realloc(old, size), size);
}
void free(void *memory) {
    gave(memory);
    __libc_free(memory);
}
