// Rows of many record batches to one batch, and the order in which they come.
#include "Kernels.h"

#include <string.h>

int64_t pando_gather_offsets(size_t n, const pando_stored_row *rows, int exceptions, int32_t *offsets) {
    int64_t total = 0;
    offsets[0] = 0;
    for (size_t i = 0; i < n; i++) {
        if (i + 8 < n) {
            const pando_stored *later = rows[i + 8].from;
            __builtin_prefetch((exceptions ? later->exception_offsets : later->offsets) + rows[i + 8].row);
        }
        const int32_t *from = (exceptions ? rows[i].from->exception_offsets : rows[i].from->offsets) + rows[i].row;
        total += (int64_t)from[1] - from[0];
        if (total > INT32_MAX) return -1;
        offsets[i + 1] = (int32_t)total;
    }
    return total;
}

/// memcpy for some 50 to 200 bytes: whole blocks, the last of which may overlap the one before.
static inline void copy(uint8_t *restrict out, const uint8_t *restrict in, size_t bytes) {
    if (bytes < 32) {
        // Two copies of a fixed length that may overlap; a call for a few bytes would cost more.
        if (bytes >= 16) { memcpy(out, in, 16); memcpy(out + bytes - 16, in + bytes - 16, 16); }
        else if (bytes >= 8) { memcpy(out, in, 8); memcpy(out + bytes - 8, in + bytes - 8, 8); }
        else if (bytes >= 4) { memcpy(out, in, 4); memcpy(out + bytes - 4, in + bytes - 4, 4); }
        else for (size_t i = 0; i < bytes; i++) out[i] = in[i];
        return;
    }
    size_t i = 0;
#pragma clang loop vectorize(disable) unroll(disable)
    for (; i + 32 <= bytes; i += 32) memcpy(out + i, in + i, 32);
    if (i < bytes) memcpy(out + bytes - 32, in + bytes - 32, 32);
}

void pando_gather(size_t n, const pando_stored_row *rows, size_t columns, const uint8_t *kinds, const uint8_t *widths,
                  const int32_t *offsets, const int32_t *exception_offsets, uint8_t *const *out) {
    // Row by row, as the rows lie all over the memory: their lines are asked for some rows ahead.
    enum { AHEAD = 4 };
    for (size_t i = 0; i < n; i++) {
        if (i + 2 * AHEAD < n) {
            const pando_stored *from = rows[i + 2 * AHEAD].from;
            __builtin_prefetch(from->offsets + rows[i + 2 * AHEAD].row);
            if (from->exception_offsets) __builtin_prefetch(from->exception_offsets + rows[i + 2 * AHEAD].row);
        }
        if (i + AHEAD < n) {
            const pando_stored *from = rows[i + AHEAD].from;
            int64_t row = rows[i + AHEAD].row;
            size_t start = (size_t)from->offsets[row], count = (size_t)from->offsets[row + 1] - start;
            for (size_t c = 0; c < columns; c++) {
                if (kinds[c] == PANDO_COLUMN_JET) __builtin_prefetch(from->columns[c] + (size_t)row * widths[c]);
                if (kinds[c] != PANDO_COLUMN_CONSTITUENT || !from->columns[c]) continue;
                const uint8_t *line = from->columns[c] + start * widths[c];
                for (size_t b = 0; b < count * widths[c]; b += 64) __builtin_prefetch(line + b);
            }
        }
        const pando_stored *from = rows[i].from;
        int64_t row = rows[i].row;
        for (size_t c = 0; c < columns; c++) {
            size_t width = widths[c];
            if (kinds[c] == PANDO_COLUMN_JET) {
                const uint8_t *value = from->columns[c] + (size_t)row * width;
                if (width == 4) memcpy(out[c] + i * 4, value, 4);
                else if (width == 8) memcpy(out[c] + i * 8, value, 8);
                else memcpy(out[c] + i * width, value, width);
                continue;
            }
            int exception = kinds[c] == PANDO_COLUMN_EXCEPTION;
            const int32_t *ends = exception ? exception_offsets : offsets;
            size_t start = (size_t)(exception ? from->exception_offsets : from->offsets)[row];
            size_t bytes = (size_t)(ends[i + 1] - ends[i]) * width;
            if (from->columns[c]) copy(out[c] + (size_t)ends[i] * width, from->columns[c] + start * width, bytes);
            else memset(out[c] + (size_t)ends[i] * width, 0, bytes);
        }
    }
}

static inline uint64_t next(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/// A number below `bound`, each with the same probability (Lemire 2019).
static inline uint64_t below(uint64_t *state, uint64_t bound) {
    if (bound <= 1) return 0;
    __uint128_t product = (__uint128_t)next(state) * bound;
    if ((uint64_t)product < bound) {
        uint64_t threshold = (0 - bound) % bound;
        while ((uint64_t)product < threshold) product = (__uint128_t)next(state) * bound;
    }
    return (uint64_t)(product >> 64);
}

void pando_window_order(size_t segments, const uint32_t *counts, uint64_t state, uint64_t *keys, uint64_t *scratch) {
    size_t total = 0;
    for (size_t s = 0; s < segments; s++) {
        uint64_t *segment = keys + total;
        uint32_t n = counts[s];
        for (uint32_t i = 0; i < n; i++) segment[i] = i;
        for (uint32_t i = n; i-- > 1;) {
            uint64_t j = below(&state, (uint64_t)i + 1), row = segment[i];
            segment[i] = segment[j];
            segment[j] = row;
        }
        for (uint32_t i = 0; i < n; i++) {
            uint64_t key = ((uint64_t)i << 32 | next(&state) >> 32) / n;
            segment[i] = key << 32 | (total + segment[i]);
        }
        total += n;
    }
    // By all 64 bits, from the lowest byte on; bytes that all keys share need no pass.
    uint64_t *from = keys, *to = scratch;
    for (int shift = 0; shift < 64; shift += 8) {
        size_t places[256] = {0}, sum = 0;
        for (size_t i = 0; i < total; i++) places[from[i] >> shift & 255]++;
        int isShared = 0;
        for (int b = 0; b < 256; b++) {
            size_t n = places[b];
            isShared |= n == total;
            places[b] = sum;
            sum += n;
        }
        if (isShared) continue;
        for (size_t i = 0; i < total; i++) to[places[from[i] >> shift & 255]++] = from[i];
        uint64_t *other = from;
        from = to;
        to = other;
    }
    if (from != keys) memcpy(keys, from, total * sizeof *keys);
}
