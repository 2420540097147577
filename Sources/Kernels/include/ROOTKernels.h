#ifndef PANDO_ROOT_KERNELS_H
#define PANDO_ROOT_KERNELS_H
#include <stddef.h>
#include <stdint.h>

/// Bytes that may be read behind the sources and written behind the destinations of the functions below: they copy in
/// whole blocks.
enum { PANDO_ROOT_SLACK = 64 };

/// Copies `count` big-endian numbers of `width` bytes (1, 2, 4 or 8) into the machine's order.
void pando_root_swap(void *out, const void *from, size_t count, size_t width);

/// Where the entries of a basket begin, from big-endian numbers that count from `header` bytes before; only the bits of `mask`
/// count. `starts` gets `entries + 1` numbers. Returns whether they rise from 0 to at most `bytes`.
int pando_root_starts(const void *stored, size_t entries, int32_t header, int32_t mask, int32_t bytes, int32_t *starts);

/// The same from sizes, of which the first is a zero.
int pando_root_starts_of_sizes(const void *stored, size_t entries, int32_t bytes, int32_t *starts);

/// Compares where entries begin with the items before them: whether starts[i] == (items[i] - items[0]) * width for all
/// `entries + 1` numbers. Returns the first that differs, or `entries + 1`.
size_t pando_root_check_starts(const int32_t *starts, const int64_t *items, size_t entries, int64_t width);

/// Sums counts of 4 bytes in the machine's order: offsets[0] is set, offsets[i + 1] = offsets[i] + counts[i]. Returns whether
/// none is negative (of signed counts).
int pando_root_sum_counts(const int32_t *counts, size_t entries, int is_signed, int64_t *offsets);

/// Copies the items of vectors: entry i lies at starts[i] ..< starts[i + 1] of `data` and has ten bytes of header, which are
/// held against its length. offsets[0] is set; offsets[i + 1] becomes the items up to and with entry i. `out` has room for
/// all of `data`. Returns how many entries were sound.
size_t pando_root_vectors(const void *data, const int32_t *starts, size_t entries, size_t width, int64_t *offsets,
                          void *out);

#endif
