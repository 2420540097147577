// Pairs of input and target for next-token training, from the codes of constituents.
#include "Kernels.h"

#include <string.h>

/// Writes m + 1 numbers: start and shifted codes, shifted codes and stop, each cut to `room`. Returns whether a code is
/// outside 0 ..< codes.
#define PAIR(TOKEN, OUT) \
    static inline int pair_##TOKEN##_##OUT(const TOKEN *tokens, size_t n, uint32_t codes, size_t room, OUT *input, \
                                           OUT *target) { \
        /* Most jets are shorter than the room; one that is not has its last code as a target only, and no stop. */ \
        size_t m = n < room ? n : room; \
        uint32_t outside = 0; \
        input[0] = 0; \
        for (size_t i = 0; i + 1 < m; i++) { \
            uint32_t code = (uint32_t)(int32_t)tokens[i]; \
            outside |= code >= codes; \
            target[i] = input[i + 1] = (OUT)(code + 1); \
        } \
        if (m) { \
            uint32_t code = (uint32_t)(int32_t)tokens[m - 1]; \
            outside |= code >= codes; \
            target[m - 1] = (OUT)(code + 1); \
            if (m < room) { \
                input[m] = (OUT)(code + 1); \
                target[m] = (OUT)codes + 1; \
            } \
        } \
        for (size_t i = m; i < n; i++) outside |= (uint32_t)(int32_t)tokens[i] >= codes; \
        return outside != 0; \
    } \
    static size_t pairs_##TOKEN##_##OUT(const pando_token_batch *b) { \
        const TOKEN *tokens = b->tokens; \
        OUT *input = b->input, *target = b->target; \
        size_t row = b->row, length = b->length; \
        for (size_t j = 0; j < b->jets; j++) { \
            size_t n = (size_t)b->offsets[j + 1] - (size_t)b->offsets[j], m = n ? n + 1 : 0; \
            const TOKEN *of = tokens + b->offsets[j]; \
            if (m > length) m = length; \
            size_t at = b->ends ? row : (b->slots ? (size_t)b->slots[j] : j) * length; \
            if (n && pair_##TOKEN##_##OUT(of, n, (uint32_t)b->codes, length, input + at, target + at)) { \
                size_t i = 0; \
                while ((uint32_t)(int32_t)of[i] < (uint32_t)b->codes) i++; \
                *b->outside = (size_t)b->offsets[j] + i; \
                return j; \
            } \
            if (b->ends) { \
                row += m; \
                b->ends[j] = (int32_t)row; \
            } else { \
                memset(input + at + m, 0, (length - m) * sizeof(OUT)); \
                memset(target + at + m, 0, (length - m) * sizeof(OUT)); \
                memset(b->mask + at, 1, m); \
                memset(b->mask + at + m, 0, length - m); \
            } \
        } \
        return b->jets; \
    }
PAIR(int16_t, int32_t)
PAIR(uint16_t, int32_t)
PAIR(int32_t, int32_t)
PAIR(int16_t, int64_t)
PAIR(uint16_t, int64_t)
PAIR(int32_t, int64_t)

size_t pando_token_pairs(const pando_token_batch *b) {
    switch (b->type) {
    case PANDO_TOKEN_INT16: return b->wide ? pairs_int16_t_int64_t(b) : pairs_int16_t_int32_t(b);
    case PANDO_TOKEN_UINT16: return b->wide ? pairs_uint16_t_int64_t(b) : pairs_uint16_t_int32_t(b);
    default: return b->wide ? pairs_int32_t_int64_t(b) : pairs_int32_t_int32_t(b);
    }
}
