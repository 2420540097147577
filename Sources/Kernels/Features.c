// Features of constituents, for every instruction set that is worth it; one is picked at run time.
#include "Kernels.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

#define BLOCK 256
#define LANES 8
#define LANEWISE _Pragma("clang loop vectorize_width(8) interleave_count(1)")
#define PI 0x1.921fb54442d18p+1
#define ROUNDER 6755399441055744.0             // 1.5 * 2^52: adding it rounds to an integer, ties to even

/// Raw columns of one block, by `pando_feature_source`.
typedef struct {
    double column[PANDO_FEATURE_FIELD][BLOCK];
} columns;

static inline uint64_t as_bits64(double x) { uint64_t b; __builtin_memcpy(&b, &x, 8); return b; }
static inline double as_double(uint64_t b) { double x; __builtin_memcpy(&x, &b, 8); return x; }

/// A component of the four-momentum from pt, the angle that it needs (phi or eta), and the mass.
static double momentum(int32_t source, double pt, double angle, double mass) {
    switch (source) {
    case PANDO_FEATURE_PX: return pt * cos(angle);
    case PANDO_FEATURE_PY: return pt * sin(angle);
    case PANDO_FEATURE_PZ: return pt * sinh(angle);
    default: { double p = pt * cosh(angle); return sqrt(p * p + mass * mass); }
    }
}

/// Replaces each value by the centre of its bin; the last edge belongs to the last bin, and a NaN stays one.
static void bin(size_t n, const double *x, const double *edges, size_t count, double *out) {
    for (size_t i = 0; i < n; i++) {
        double v = x[i];
        size_t low = 0, high = count - 1;      // edges[low] <= v < edges[high], after clipping
        while (high - low > 1) {
            size_t middle = (low + high) / 2;
            if (v >= edges[middle]) low = middle; else high = middle;
        }
        out[i] = v != v ? v : (edges[low] + edges[low + 1]) / 2;
    }
}

#define NAME(f) f##_base
#include "FeatureBody.inc"
#undef NAME

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2"))), apply_to = function)
#define NAME(f) f##_avx2
#include "FeatureBody.inc"
#undef NAME
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,bmi,bmi2"), min_vector_width(512))), apply_to = function)
#define NAME(f) f##_avx512
#include "FeatureBody.inc"
#undef NAME
#pragma clang attribute pop
#define PICK(f, ...) (pando_instruction_level() == 2 ? f##_avx512(__VA_ARGS__) : \
                      pando_instruction_level() == 1 ? f##_avx2(__VA_ARGS__) : f##_base(__VA_ARGS__))
#else
#define PICK(f, ...) f##_base(__VA_ARGS__)
#endif

void pando_log(size_t n, const double *x, double *out) { PICK(log, n, x, out); }
void pando_pseudorapidity(size_t n, const double *pz, const double *pt, double *out) {
    PICK(pseudorapidity, n, pz, pt, out);
}
void pando_azimuth(size_t n, const double *py, const double *px, double *out) { PICK(azimuth, n, py, px, out); }

size_t pando_features(const pando_feature *features, size_t count, const double *edges, const pando_feature_input *in,
                      size_t start, size_t n, const pando_jet_axis *axis, size_t limit, float *values) {
    return PICK(features, features, count, edges, in, start, n, axis, limit, values);
}

void pando_jet_axis_of(const pando_feature_input *in, size_t start, size_t n, pando_jet_axis *axis) {
    double x = 0, y = 0, z = 0, e = 0;
    int angles = !(in->px && in->py && in->pz && in->energy);
    for (size_t i = start; i < start + n; i++) {
        if (angles) {
            double pt = in->pt[i], eta = in->eta[i], phi = in->phi[i];
            x += pt * cos(phi);
            y += pt * sin(phi);
            z += pt * sinh(eta);
            e += in->energy ? (double)in->energy[i]
                            : momentum(PANDO_FEATURE_ENERGY, pt, eta, in->mass ? (double)in->mass[i] : 0.0);
        } else {
            x += (double)in->px[i];
            y += (double)in->py[i];
            z += (double)in->pz[i];
            e += (double)in->energy[i];
        }
    }
    // As for constituents, so that the only constituent of a jet lies exactly on the axis. Sums of float32 do not overflow.
    axis->pt = sqrt(x * x + y * y);
    pando_pseudorapidity(1, &z, &axis->pt, &axis->eta);
    pando_azimuth(1, &y, &x, &axis->phi);
    axis->energy = e;
}
