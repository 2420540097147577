// Big-endian numbers of ROOT files into the machine's order.
#include "Kernels.h"
#include <string.h>

#define BODY "ROOTBody.inc"
#include "Dispatch.inc"

void pando_root_swap(void *out, const void *from, size_t count, size_t width) {
    if (count) PICK(swap, out, from, count, width);
}

int pando_root_starts(const void *stored, size_t entries, int32_t header, int32_t mask, int32_t bytes, int32_t *starts) {
    return PICK(starts, stored, entries, header, mask, bytes, starts);
}

int pando_root_starts_of_sizes(const void *stored, size_t entries, int32_t bytes, int32_t *starts) {
    const uint8_t *from = stored;
    int64_t place = 0;
    for (size_t i = 0; i < entries; i++) {
        uint32_t x;
        memcpy(&x, from + 4 * i, 4);
        const int32_t size = (int32_t)__builtin_bswap32(x);
        if (size < 0 || (i == 0 && size)) return 0;
        place += size;
        if (place > bytes) return 0;
        starts[i] = (int32_t)place;
    }
    starts[entries] = bytes;
    return 1;
}

size_t pando_root_check_starts(const int32_t *starts, const int64_t *items, size_t entries, int64_t width) {
    return PICK(check_starts, starts, items, entries, width);
}

int pando_root_sum_counts(const int32_t *counts, size_t entries, int is_signed, int64_t *offsets) {
    int64_t sum = offsets[0];
    int32_t negative = 0;
    for (size_t i = 0; i < entries; i++) {
        negative |= counts[i];
        sum += is_signed ? (int64_t)counts[i] : (int64_t)(uint32_t)counts[i];
        offsets[i + 1] = sum;
    }
    return !is_signed || negative >= 0;
}

size_t pando_root_vectors(const void *data, const int32_t *starts, size_t entries, size_t width, int64_t *offsets,
                          void *out) {
    return PICK(vectors, data, starts, entries, width, offsets, out);
}
