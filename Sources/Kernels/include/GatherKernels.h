// Rows of many record batches to one batch, and the order in which they come.
#ifndef PANDO_GATHER_KERNELS_H
#define PANDO_GATHER_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/// Stored columns of a record batch in memory; a column that is all zeros may be NULL. Offsets have rows + 1 entries and rise from 0; those of exceptions may be
/// NULL where no column has them.
typedef struct {
    const int32_t *offsets, *exception_offsets;
    const uint8_t *const *columns;
    /// The number of its first row in the dataset.
    int64_t first_row;
} pando_stored;

/// One row of a record batch.
typedef struct {
    const pando_stored *from;
    int64_t row;
} pando_stored_row;

/// Which offsets a column has.
enum pando_column_kind { PANDO_COLUMN_JET, PANDO_COLUMN_CONSTITUENT, PANDO_COLUMN_EXCEPTION };

/// Offsets of rows one after the other, n + 1 numbers from 0 on; returns the last one, or -1 if it does not fit int32.
int64_t pando_gather_offsets(size_t n, const pando_stored_row *rows, int exceptions, int32_t *offsets);

/// Copies rows together: column c has elements of widths[c] bytes and goes to out[c].
void pando_gather(size_t n, const pando_stored_row *rows, size_t columns, const uint8_t *kinds, const uint8_t *widths,
                  const int32_t *offsets, const int32_t *exception_offsets, uint8_t *const *out);

/// The order of the rows of a window, as `ShufflePlan.order(of:)` says: each segment's rows in a random order, the j-th of n
/// with a random key in j/n ..< (j+1)/n, all sorted by key. `state` is the state of a SplitMix64 generator. `keys` and
/// `scratch` have room for the sum of `counts`; the order, counted over the segments, is left in the low half of `keys`.
void pando_window_order(size_t segments, const uint32_t *counts, uint64_t state, uint64_t *keys, uint64_t *scratch);

#endif
