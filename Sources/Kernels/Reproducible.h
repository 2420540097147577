// What the reproducible functions (Reproducible.inc) need beside the instruction set: constants and bits of numbers.
#ifndef PANDO_REPRODUCIBLE_H
#define PANDO_REPRODUCIBLE_H

#include <stdint.h>

#define ROUNDER 6755399441055744.0             // 1.5 * 2^52: adding it rounds to an integer, ties to even

// 1/n! rounded once to double; n! is exact up to 18!.
#define F(n) F##n
#define F2 (1.0 / 2.0)
#define F3 (1.0 / 6.0)
#define F4 (1.0 / 24.0)
#define F5 (1.0 / 120.0)
#define F6 (1.0 / 720.0)
#define F7 (1.0 / 5040.0)
#define F8 (1.0 / 40320.0)
#define F9 (1.0 / 362880.0)
#define F10 (1.0 / 3628800.0)
#define F11 (1.0 / 39916800.0)
#define F12 (1.0 / 479001600.0)
#define F13 (1.0 / 6227020800.0)
#define F14 (1.0 / 87178291200.0)
#define F15 (1.0 / 1307674368000.0)
#define F16 (1.0 / 20922789888000.0)
#define F17 (1.0 / 355687428096000.0)

static inline uint32_t as_bits(float x) { uint32_t b; __builtin_memcpy(&b, &x, 4); return b; }
static inline float as_float(uint32_t b) { float x; __builtin_memcpy(&x, &b, 4); return x; }
static inline uint64_t as_bits64(double x) { uint64_t b; __builtin_memcpy(&b, &x, 8); return b; }
static inline double as_double(uint64_t b) { double x; __builtin_memcpy(&x, &b, 8); return x; }

#endif
