// The filters of HDF5's pipeline that are not deflate.
#include "HDF5Kernels.h"
#include <string.h>

void pando_hdf5_unshuffle(void *out, const void *source, size_t count, size_t item) {
    uint8_t *to = out;
    const uint8_t *from = source;
    const size_t n = item > 1 ? count / item : 0;
    if (item == 4) {
        const uint8_t *a = from, *b = a + n, *c = b + n, *d = c + n;
        for (size_t i = 0; i < n; i++) {
            uint32_t w = (uint32_t)a[i] | (uint32_t)b[i] << 8 | (uint32_t)c[i] << 16 | (uint32_t)d[i] << 24;
            memcpy(to + 4 * i, &w, 4);
        }
    } else {
        for (size_t k = 0; k < item && n > 0; k++)
            for (size_t i = 0; i < n; i++) to[i * item + k] = from[k * n + i];
    }
    memcpy(to + n * item, from + n * item, count - n * item);
}

uint32_t pando_hdf5_fletcher32(const void *bytes, size_t count) {
    // As H5_checksum_fletcher32: big-endian 16-bit words; 360 words cannot overflow the sums.
    const uint8_t *p = bytes;
    size_t words = count / 2;
    uint32_t sum1 = 0, sum2 = 0;
    while (words) {
        size_t block = words > 360 ? 360 : words;
        words -= block;
        do {
            sum1 += (uint32_t)p[0] << 8 | p[1];
            p += 2;
            sum2 += sum1;
        } while (--block);
        sum1 = (sum1 & 0xffff) + (sum1 >> 16);
        sum2 = (sum2 & 0xffff) + (sum2 >> 16);
    }
    if (count % 2) {
        sum1 += (uint32_t)*p << 8;
        sum2 += sum1;
        sum1 = (sum1 & 0xffff) + (sum1 >> 16);
        sum2 = (sum2 & 0xffff) + (sum2 >> 16);
    }
    sum1 = (sum1 & 0xffff) + (sum1 >> 16);
    sum2 = (sum2 & 0xffff) + (sum2 >> 16);
    return sum2 << 16 | sum1;
}

int pando_hdf5_lzf(const void *stream, size_t stream_count, void *out, size_t count) {
    const uint8_t *in = stream, *in_end = in + stream_count;
    uint8_t *start = out, *to = start, *end = start + count;
    while (in < in_end) {
        size_t control = *in++;
        if (control < 32) {
            // A run of control + 1 literal bytes.
            size_t n = control + 1;
            if ((size_t)(in_end - in) < n || (size_t)(end - to) < n) return 0;
            memcpy(to, in, n);
            in += n;
            to += n;
            continue;
        }
        // A copy: three bits of length (seven means that a byte more follows), thirteen of distance.
        size_t n = control >> 5;
        if (n == 7) {
            if (in == in_end) return 0;
            n += *in++;
        }
        n += 2;
        if (in == in_end) return 0;
        size_t distance = ((control & 31) << 8 | *in++) + 1;
        if ((size_t)(to - start) < distance || (size_t)(end - to) < n) return 0;
        // Copies may overlap their own output.
        for (const uint8_t *from = to - distance; n > 0; n--) *to++ = *from++;
    }
    return to == end;
}
