// Which instructions this machine has, and which of them may be used.
#include "Kernels.h"

static int instruction_limit = 2;

#if defined(__x86_64__)
int pando_instruction_level(void) {
    // Idempotent: a race writes the same value twice.
    static int known = -1;
    int found = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (found < 0) {
        __builtin_cpu_init();
        found = 0;
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi2")) found = 1;
        if (found && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) found = 2;
        __atomic_store_n(&known, found, __ATOMIC_RELAXED);
    }
    int asked = __atomic_load_n(&instruction_limit, __ATOMIC_RELAXED);
    return found < asked ? found : asked;
}
#else
int pando_instruction_level(void) { return 0; }
#endif

void pando_limit_instructions(int level) { __atomic_store_n(&instruction_limit, level, __ATOMIC_RELAXED); }
