// Inner loops of reading padded rows: where a row ends, and how chunks become packed columns.
// Plain C with 16-byte vectors: baseline x86-64 and AArch64 both have them. Little-endian only.
#include "HDF5Kernels.h"
#include <string.h>

typedef uint32_t v4 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t v2 __attribute__((vector_size(16), aligned(1), may_alias));

static inline uint64_t load64(const uint8_t *p) {
    uint64_t w;
    memcpy(&w, p, 8);
    return w;
}

static inline int zero64(const uint8_t *p) {
    v2 w = (*(const v2 *)p | *(const v2 *)(p + 16)) | (*(const v2 *)(p + 32) | *(const v2 *)(p + 48));
    return (w[0] | w[1]) == 0;
}

int pando_hdf5_is_zero(const void *bytes, size_t count) {
    const uint8_t *p = bytes, *end = p + count;
    while (end - p >= 64) {
        if (!zero64(p)) return 0;
        p += 64;
    }
    while (p < end)
        if (*p++) return 0;
    return 1;
}

/// The same without branches, for 16 <= n <= 32: rows of tall chunks, whose ends are hard to guess.
static inline size_t used_bytes_short(const uint8_t *row, size_t n) {
    const size_t third = n >= 24 ? n - 24 : 0;
    const uint64_t d = load64(row), c = load64(row + third), b = load64(row + n - 16), a = load64(row + n - 8);
    // Of all words that are not zero, the one with the highest place counts; w | 1 only keeps clz defined.
    size_t used = d ? 8 - ((size_t)__builtin_clzll(d | 1) >> 3) : 0;
    used = c ? third + 8 - ((size_t)__builtin_clzll(c | 1) >> 3) : used;
    used = b ? n - 8 - ((size_t)__builtin_clzll(b | 1) >> 3) : used;
    return a ? n - ((size_t)__builtin_clzll(a | 1) >> 3) : used;
}

/// One more than the index of the last non-zero byte.
static inline size_t used_bytes(const uint8_t *row, size_t n) {
    if (n >= 16 && n <= 32) return used_bytes_short(row, n);
    size_t i = n;
    while (i >= 32) {
        v2 w = *(const v2 *)(row + i - 32) | *(const v2 *)(row + i - 16);
        if (w[0] | w[1]) break;
        i -= 32;
    }
    while (i >= 8) {
        uint64_t w = load64(row + i - 8);
        if (w) return i - ((size_t)__builtin_clzll(w) >> 3);
        i -= 8;
    }
    if (n >= 8) {
        // Bytes from i on are zero, so the last non-zero byte of the first eight lies below i.
        uint64_t w = load64(row);
        return w ? 8 - ((size_t)__builtin_clzll(w) >> 3) : 0;
    }
    while (i > 0 && row[i - 1] == 0) i--;
    return i;
}

size_t pando_hdf5_extents(const void *chunk, size_t rows, size_t row_bytes, size_t slots, size_t slot_bytes,
                          size_t valid_bytes, uint16_t *extents) {
    const uint8_t *base = chunk, *end = base + rows * row_bytes;
    const size_t scan = slots * slot_bytes;
    // A division by multiplication: exact while index * slot_bytes < 2^32, which holds for rows below 64 KiB.
    const uint64_t inverse = scan < 65536 ? ((uint64_t)1 << 32) / slot_bytes + 1 : 0;
    size_t total = 0, r = 0;
    while (r < rows) {
        const uint8_t *row = base + r * row_bytes;
        size_t used = used_bytes(row, scan);
        if (used == 0) {
            extents[r++] = 0;
            // Zero rows come in runs in the slots that few rows reach: jump over them.
            const uint8_t *from = base + r * row_bytes, *p = from;
            while (end - p >= 64 && zero64(p)) p += 64;
            if ((size_t)(p - from) >= row_bytes) {
                size_t skip = (size_t)(p - from) / row_bytes;
                memset(extents + r, 0, skip * sizeof *extents);
                r += skip;
            }
            continue;
        }
        size_t extent = (inverse ? (size_t)((used - 1) * inverse >> 32) : (used - 1) / slot_bytes) + 1;
        if (valid_bytes != slot_bytes) {
            // The chunk has columns beyond the dataset's: whatever is in them does not count.
            while (extent > 0 && pando_hdf5_is_zero(row + (extent - 1) * slot_bytes, valid_bytes)) extent--;
        }
        extents[r++] = (uint16_t)extent;
        total += extent;
    }
    return total;
}

uint32_t pando_hdf5_raise_counts(uint32_t *counts, const uint16_t *extents, size_t rows, uint32_t first) {
    uint32_t raised = 0;
    for (size_t i = 0; i < rows; i++) {
        uint32_t n = extents[i] ? first + extents[i] : 0;
        raised |= n > counts[i];
        counts[i] = n > counts[i] ? n : counts[i];
    }
    return raised;
}

/// Copies in blocks of 16 bytes, two at least: short copies are many, and a branch on their length is often guessed
/// wrongly. May write up to 32 bytes too many.
static inline void copy_blocks(uint8_t *out, const uint8_t *from, size_t bytes) {
    v2 a = *(const v2 *)from, b = *(const v2 *)(from + 16);
    *(v2 *)out = a;
    *(v2 *)(out + 16) = b;
    for (size_t i = 32; i < bytes; i += 16) *(v2 *)(out + i) = *(const v2 *)(from + i);
}

static void split2(const uint8_t *chunk, size_t rows, size_t row_bytes, const uint16_t *extents, uint8_t *out,
                   size_t stride) {
    uint8_t *x = out, *y = out + stride;
    for (size_t r = 0; r < rows; r++, chunk += row_bytes) {
        const uint8_t *p = chunk;
        const size_t bytes = 4u * extents[r];
        for (size_t i = 0; i < bytes; i += 16, p += 32) {
            v4 a = *(const v4 *)p, b = *(const v4 *)(p + 16);
            *(v4 *)(x + i) = __builtin_shufflevector(a, b, 0, 2, 4, 6);
            *(v4 *)(y + i) = __builtin_shufflevector(a, b, 1, 3, 5, 7);
        }
        x += bytes;
        y += bytes;
    }
}

static void split3(const uint8_t *chunk, size_t rows, size_t row_bytes, const uint16_t *extents, uint8_t *out,
                   size_t stride) {
    uint8_t *x = out, *y = out + stride, *z = out + 2 * stride;
    for (size_t r = 0; r < rows; r++, chunk += row_bytes) {
        const uint8_t *p = chunk;
        const size_t bytes = 4u * extents[r];
        for (size_t i = 0; i < bytes; i += 16, p += 48) {
            v4 a = *(const v4 *)p, b = *(const v4 *)(p + 16), c = *(const v4 *)(p + 32);
            v4 s = __builtin_shufflevector(a, b, 0, 3, 6, 6);
            v4 t = __builtin_shufflevector(a, b, 1, 4, 7, 7);
            v4 u = __builtin_shufflevector(a, b, 2, 5, 5, 5);
            *(v4 *)(x + i) = __builtin_shufflevector(s, c, 0, 1, 2, 5);
            *(v4 *)(y + i) = __builtin_shufflevector(t, c, 0, 1, 2, 6);
            *(v4 *)(z + i) = __builtin_shufflevector(u, c, 0, 1, 4, 7);
        }
        x += bytes;
        y += bytes;
        z += bytes;
    }
}

#define SPLIT(type)                                                                                                    \
    for (size_t r = 0; r < rows; r++, from += row_bytes) {                                                             \
        const size_t n = extents[r];                                                                                   \
        for (size_t j = 0; j < columns; j++) {                                                                         \
            type *to = (type *)(void *)(base + j * column_stride) + done;                                              \
            const type *p = (const type *)(const void *)from + j;                                                      \
            for (size_t i = 0; i < n; i++) to[i] = p[i * chunk_columns];                                               \
        }                                                                                                              \
        done += n;                                                                                                     \
    }

void pando_hdf5_split(const void *chunk, size_t rows, size_t row_bytes, size_t chunk_columns, size_t columns,
                      size_t item, const uint16_t *extents, void *out, size_t column_stride) {
    const uint8_t *from = chunk;
    uint8_t *base = out;
    size_t done = 0;
    if (chunk_columns == 1) {
        for (size_t r = 0; r < rows; r++, from += row_bytes) {
            const size_t bytes = item * extents[r];
            copy_blocks(base, from, bytes);
            base += bytes;
        }
    } else if (item == 4 && chunk_columns == 2 && columns == 2) {
        split2(from, rows, row_bytes, extents, base, column_stride);
    } else if (item == 4 && chunk_columns == 3 && columns == 3) {
        split3(from, rows, row_bytes, extents, base, column_stride);
    } else if (item == 1) {
        SPLIT(uint8_t)
    } else if (item == 2) {
        SPLIT(uint16_t)
    } else if (item == 4) {
        SPLIT(uint32_t)
    } else {
        SPLIT(uint64_t)
    }
}

void *pando_hdf5_gather(void *out, const uint32_t *counts, size_t rows, size_t slots, size_t item,
                        const uint8_t **cursors, const uint16_t *const *extents) {
    uint8_t *to = out;
    for (size_t r = 0; r < rows; r++) {
        size_t left = counts[r];
        for (size_t b = 0; left > 0; b++) {
            const size_t want = left < slots ? left : slots, have = extents[b][r];
            copy_blocks(to, cursors[b], have * item);
            cursors[b] += have * item;
            if (have < want) memset(to + have * item, 0, (want - have) * item);
            to += want * item;
            left -= want;
        }
    }
    return to;
}

#define SPREAD(type)                                                                                                   \
    for (size_t r = 0; r < rows; r++, row += row_bytes) {                                                              \
        const size_t n = counts[r];                                                                                    \
        for (size_t i = 0; i < n; i++) memcpy(row + i * slot_bytes, from + i * sizeof(type), sizeof(type));            \
        from += n * sizeof(type);                                                                                      \
    }

const void *pando_hdf5_spread(void *out, size_t row_bytes, size_t slot_bytes, const uint32_t *counts, size_t rows,
                              size_t item, const void *column) {
    uint8_t *row = out;
    const uint8_t *from = column;
    if (item == 1) {
        SPREAD(uint8_t)
    } else if (item == 2) {
        SPREAD(uint16_t)
    } else if (item == 4) {
        SPREAD(uint32_t)
    } else {
        SPREAD(uint64_t)
    }
    return from;
}

#define PICK(type)                                                                                                     \
    for (size_t i = 0; i < count; i++) memcpy(to + i * sizeof(type), from + i * stride, sizeof(type));

void pando_hdf5_pick(void *out, const void *source, size_t count, size_t stride, size_t item) {
    uint8_t *to = out;
    const uint8_t *from = source;
    if (stride == item) {
        memcpy(out, source, count * item);
    } else if (item == 1) {
        PICK(uint8_t)
    } else if (item == 2) {
        PICK(uint16_t)
    } else if (item == 4) {
        PICK(uint32_t)
    } else {
        PICK(uint64_t)
    }
}
