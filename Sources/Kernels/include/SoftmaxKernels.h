// Loss of a large vocabulary, row by row while it lies in the cache.
#ifndef PANDO_SOFTMAX_KERNELS_H
#define PANDO_SOFTMAX_KERNELS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// weight * -log softmax(logits + bias)[target] of n logits: float32, or bfloat16 if `half`. Its gradient by the logits, of the same type, goes to
/// `gradient`, which may be the logits, or NULL. `scratch` has room for n numbers; `target` is below n. A logit that is NaN or +infinite makes the loss NaN.
double pando_softmax_gradient(const void *logits, int half, const float *bias, size_t n, size_t target, float weight, float *scratch,
                              void *gradient);

/// Adds the columns first ..< end of some rows, `stride` numbers apart, to `sums`.
void pando_add_columns(const void *rows, int half, size_t count, size_t stride, size_t first, size_t end, float *sums);

#ifdef __cplusplus
}
#endif
#endif
