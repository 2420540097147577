// The cross entropy of a row of logits and its gradient in one go. Fused multiply-adds are welcome here: a model's last bits are the machine's anyway.
#include "SoftmaxKernels.h"
#include "Kernels.h"
#include "Reproducible.h"

#include <math.h>

#pragma clang fp contract(fast)

enum { LANES = 32 };
#define ROUND_TO_INTEGER 12582912.0f  // 1.5 * 2^23

/// To bfloat16, the nearest, ties to even; NaN stays NaN.
static inline uint16_t brain(float x) {
    const uint32_t bits = as_bits(x);
    return (uint16_t)(x != x ? 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#if defined(__x86_64__)
static int level(void) { return __builtin_cpu_supports("fma") ? pando_instruction_level() : 0; }
#endif

#define BODY "SoftmaxBody.inc"
#define MORE_INSTRUCTIONS ",fma"
#define LEVEL level()
#include "Dispatch.inc"

double pando_softmax_gradient(const void *logits, int half, const float *bias, size_t n, size_t target, float weight, float *scratch,
                              void *gradient) {
    return PICK(softmax, logits, half, bias, n, target, weight, scratch, gradient);
}

void pando_add_columns(const void *rows, int half, size_t count, size_t stride, size_t first, size_t end, float *sums) {
    PICK(add_columns, rows, half, count, stride, first, end, sums);
}
