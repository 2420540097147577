#ifndef PANDO_HDF5_KERNELS_H
#define PANDO_HDF5_KERNELS_H
#include <stddef.h>
#include <stdint.h>

/// Bytes that may be read behind every source and written behind every destination of the functions below: they copy
/// in whole blocks.
enum { PANDO_HDF5_SLACK = 64 };

/// Whether all bytes are zero.
int pando_hdf5_is_zero(const void *bytes, size_t count);

/// For each row of a chunk: one more than the last of its first `slots` slots with any non-zero bit in the first
/// `valid_bytes` bytes of the slot. Rows are `row_bytes` apart, slots `slot_bytes`. Returns the sum.
size_t pando_hdf5_extents(const void *chunk, size_t rows, size_t row_bytes, size_t slots, size_t slot_bytes,
                          size_t valid_bytes, uint16_t *extents);

/// Raises counts[i] to first + extents[i] where extents[i] is not zero. Returns whether any was.
uint32_t pando_hdf5_raise_counts(uint32_t *counts, const uint16_t *extents, size_t rows, uint32_t first);

/// Splits the first extents[i] slots of each row into columns: column j, packed, goes to out + j * column_stride.
/// `item` is the size of one element in bytes: 1, 2, 4 or 8.
void pando_hdf5_split(const void *chunk, size_t rows, size_t row_bytes, size_t chunk_columns, size_t columns,
                      size_t item, const uint16_t *extents, void *out, size_t column_stride);

/// Packs one column: row i gets counts[i] elements; block b holds slots b * slots ..., of which the first
/// extents[b][i] are at cursors[b] (which moves on) and the others are zero. Returns the end of what was written.
void *pando_hdf5_gather(void *out, const uint32_t *counts, size_t rows, size_t slots, size_t item,
                        const uint8_t **cursors, const uint16_t *const *extents);

/// The reverse of packing: row i of a zeroed row-major block (row_bytes, slot_bytes apart) gets counts[i] elements of a
/// packed column. Returns the end of what was read.
const void *pando_hdf5_spread(void *out, size_t row_bytes, size_t slot_bytes, const uint32_t *counts, size_t rows,
                              size_t item, const void *column);

/// Copies every `stride`-th byte group of `item` bytes into a packed column.
void pando_hdf5_pick(void *out, const void *source, size_t count, size_t stride, size_t item);

/// Undoes HDF5's shuffle filter: byte planes back to elements of `item` bytes; a remainder stays as it is.
void pando_hdf5_unshuffle(void *out, const void *source, size_t count, size_t item);

/// HDF5's variant of the Fletcher-32 checksum.
uint32_t pando_hdf5_fletcher32(const void *bytes, size_t count);

/// Decompresses an LZF stream. Returns 0 unless the stream fills exactly `count` bytes.
int pando_hdf5_lzf(const void *stream, size_t stream_count, void *out, size_t count);
#endif
