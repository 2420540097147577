#include <xxhash.h>

// With these, which pick the best instructions that the machine has, the library is two to four times as fast. Builds of it without
// them exist: then the address is null.
__attribute__((weak)) XXH64_hash_t XXH3_64bits_dispatch(const void *input, size_t length);
__attribute__((weak)) XXH_errorcode XXH3_64bits_update_dispatch(XXH3_state_t *state, const void *input, size_t length);

static inline XXH64_hash_t pando_xxh3(const void *input, size_t length) {
    return XXH3_64bits_dispatch ? XXH3_64bits_dispatch(input, length) : XXH3_64bits(input, length);
}

static inline XXH_errorcode pando_xxh3_update(XXH3_state_t *state, const void *input, size_t length) {
    return XXH3_64bits_update_dispatch ? XXH3_64bits_update_dispatch(state, input, length)
                                       : XXH3_64bits_update(state, input, length);
}
