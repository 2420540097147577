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

#define NAME(f) f##_base
#include "SoftmaxBody.inc"
#undef NAME

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2"))), apply_to = function)
#define NAME(f) f##_avx2
#include "SoftmaxBody.inc"
#undef NAME
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,bmi,bmi2"), min_vector_width(512))), apply_to = function)
#define NAME(f) f##_avx512
#include "SoftmaxBody.inc"
#undef NAME
#pragma clang attribute pop

static int level(void) { return __builtin_cpu_supports("fma") ? pando_instruction_level() : 0; }
#define PICK(f, ...) (level() == 2 ? f##_avx512(__VA_ARGS__) : level() == 1 ? f##_avx2(__VA_ARGS__) : f##_base(__VA_ARGS__))
#else
#define PICK(f, ...) f##_base(__VA_ARGS__)
#endif

double pando_softmax_gradient(const void *logits, int half, const float *bias, size_t n, size_t target, float weight, float *scratch,
                              void *gradient) {
    return PICK(softmax, logits, half, bias, n, target, weight, scratch, gradient);
}

void pando_add_columns(const void *rows, int half, size_t count, size_t stride, size_t first, size_t end, float *sums) {
    PICK(add_columns, rows, half, count, stride, first, end, sums);
}
