// CMS lattice codec and narrowing, for every instruction set that is worth it; one is picked at run time.
#include "Kernels.h"
#include "Reproducible.h"

#pragma STDC FP_CONTRACT OFF

#define BLOCK 256
#define GRID_SHIFT 11                          // 23 - 12 explicit mantissa bits of eta and phi (NanoAOD)
#define GRID_MASK 0x7ffu
#define GRID_LIMIT 4094u                       // 2^12 - 2
#define ETA_STEP (6.0 / 32767.0)               // MiniAOD packing of eta
#define PHI_STEP (0x1.999999999999ap+1 / 32767.0)  // of phi: 3.2 / 32767 rad
#define PHI_MAX 32169                          // round(pi / PHI_STEP)
#define PHI_PERIOD 64339                       // 2 PHI_MAX + 1

static inline int32_t abs_int(int32_t x) { return x < 0 ? -x : x; }

#define BODY "LatticeBody.inc"
#include "Dispatch.inc"

void pando_sincos(size_t n, const double *x, double *sine, double *cosine) { PICK(sincos, n, x, sine, cosine); }
void pando_sinhcosh(size_t n, const double *x, double *sinh, double *cosh) { PICK(sinhcosh, n, x, sinh, cosh); }

void pando_encode_momenta(size_t n, const float *px, const float *py, const float *pz, const float *energy,
                          const int16_t *pdg, const int32_t *eta_index, const int32_t *phi_index,
                          const pando_masses *masses, const pando_lattice_out *out, const uint32_t *field_bits,
                          uint32_t *mismatch) {
    PICK(encode_momenta, n, px, py, pz, energy, pdg, eta_index, phi_index, masses, out, field_bits, mismatch);
}
void pando_decode_angles(size_t n, const pando_lattice *in, const int32_t *eta_index, const int32_t *phi_index,
                         float *eta, float *phi) {
    PICK(decode_angles, n, in, eta_index, phi_index, eta, phi);
}
void pando_decode_momenta(size_t n, const pando_lattice *in, const int32_t *eta_index, const int32_t *phi_index,
                          const pando_masses *masses, float *px, float *py, float *pz, float *energy) {
    PICK(decode_momenta, n, in, eta_index, phi_index, masses, px, py, pz, energy);
}
void pando_narrow_half(size_t n, const float *in, uint16_t *out, uint32_t *mismatch, uint32_t bit) {
    PICK(narrow_half, n, in, out, mismatch, bit);
}
void pando_narrow_int16(size_t n, const float *in, int16_t *out, uint32_t *mismatch, uint32_t bit) {
    PICK(narrow_int16, n, in, out, mismatch, bit);
}
void pando_narrow_int8(size_t n, const float *in, int8_t *out, uint32_t *mismatch, uint32_t bit) {
    PICK(narrow_int8, n, in, out, mismatch, bit);
}
void pando_widen_half(size_t n, const uint16_t *in, float *out) { PICK(widen_half, n, in, out); }
void pando_statistics_int8(size_t n, const int8_t *in, int8_t *minimum, int8_t *maximum, int64_t *sum) {
    PICK(statistics_int8, n, in, minimum, maximum, sum);
}
void pando_statistics(size_t n, const float *in, float *minimum, float *maximum, double *sum, size_t *not_finite) {
    PICK(statistics, n, in, minimum, maximum, sum, not_finite);
}

// Plain loops that SSE2 already serves well.

void pando_axis_index(size_t jets, const float *eta, const float *phi, int32_t *eta_index, int32_t *phi_index) {
    for (size_t i = 0; i < jets; i++) {
        double e = eta[i], p = phi[i];
        e = e <= 6.0 && e >= -6.0 ? e : 0.0;  // also false for NaN
        p = p <= 3.1416015625 && p >= -3.1416015625 ? p : 0.0;
        eta_index[i] = (int32_t)((e / ETA_STEP + ROUNDER) - ROUNDER);
        phi_index[i] = (int32_t)((p / PHI_STEP + ROUNDER) - ROUNDER);
    }
}

void pando_repeat(size_t jets, const int32_t *offsets, const int32_t *value, int32_t *out) {
    // Whole blocks, which the next jet overwrites where they reach too far: no rest to be stored one by one.
    enum { WIDE = 16 };
    int32_t total = jets ? offsets[jets] : 0;
    for (size_t j = 0; j < jets; j++) {
        int32_t i = offsets[j], end = offsets[j + 1];
        for (; i < end && i + WIDE <= total; i += WIDE)
            for (int k = 0; k < WIDE; k++) out[i + k] = value[j];
        for (; i < end; i++) out[i] = value[j];
    }
}

void pando_widen_int16(size_t n, const int16_t *in, float *out) {
    for (size_t i = 0; i < n; i++) out[i] = (float)in[i];
}

void pando_widen_int8(size_t n, const int8_t *in, float *out) {
    for (size_t i = 0; i < n; i++) out[i] = (float)in[i];
}

size_t pando_count_mismatches(size_t n, const uint32_t *mismatch) {
    size_t found = 0;
    for (size_t i = 0; i < n; i++) found += mismatch[i] != 0;
    return found;
}

void pando_sum_momenta(size_t jets, const int32_t *offsets, const float *px, const float *py, const float *pz,
                       const float *energy, double *sums) {
    for (size_t j = 0; j < jets; j++) {
        double x = 0, y = 0, z = 0, e = 0;
        for (int32_t i = offsets[j]; i < offsets[j + 1]; i++) {
            x += (double)px[i];
            y += (double)py[i];
            z += (double)pz[i];
            e += (double)energy[i];
        }
        sums[4 * j] = x;
        sums[4 * j + 1] = y;
        sums[4 * j + 2] = z;
        sums[4 * j + 3] = e;
    }
}

void pando_xor(size_t n, uint8_t *destination, const uint8_t *source) {
    for (size_t i = 0; i < n; i++) destination[i] ^= source[i];
}
