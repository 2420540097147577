// The few inner loops that want SIMD. Each runs in a baseline build everywhere and picks wider instructions at run time;
// the results are the same bits on all of them (see LatticeBody.inc for the rules).
#ifndef PANDO_KERNELS_H
#define PANDO_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "FeatureKernels.h"
#include "ForwardKernels.h"
#include "GatherKernels.h"
#include "HDF5Kernels.h"
#include "MomentumKernels.h"
#include "ROOTKernels.h"
#include "SoftmaxKernels.h"
#include "SubstructureKernels.h"

/// Masses by absolute PDG code, in GeV; other codes have mass 0.
typedef struct {
    int32_t count;
    int32_t code[8];
    double mass[8];
} pando_masses;

/// Lattice columns of constituents. Units: eta in steps of 6/32767, phi in steps of 3.2/32767 rad, pt as float16 bits (GeV).
typedef struct {
    const uint16_t *pt;
    const int16_t *deta, *dphi;
    const int8_t *fix_eta, *fix_phi, *energy_ulp;
    const int16_t *pdg;
} pando_lattice;

/// The same columns, to be written.
typedef struct {
    uint16_t *pt;
    int16_t *deta, *dphi;
    int8_t *fix_eta, *fix_phi, *energy_ulp;
} pando_lattice_out;

/// The widest instructions to use: 0 baseline, 1 AVX2, 2 AVX-512 (the default). For tests that compare them.
void pando_limit_instructions(int level);
/// The instructions in use: what the machine has, within that limit.
int pando_instruction_level(void);

/// sin and cos of |x| <= 1000, the reproducible ones (fixed operations, nothing fused).
void pando_sincos(size_t n, const double *x, double *sine, double *cosine);
/// sinh and cosh of |x| <= 20, the reproducible ones.
void pando_sinhcosh(size_t n, const double *x, double *sinh, double *cosh);

/// Lattice indices of jet axes; an axis that is not finite or out of range counts as 0.
void pando_axis_index(size_t jets, const float *eta, const float *phi, int32_t *eta_index, int32_t *phi_index);
/// Repeats a value of each jet for each of its constituents. `offsets` has jets + 1 entries.
void pando_repeat(size_t jets, const int32_t *offsets, const int32_t *value, int32_t *out);

/// Encodes four-momenta (GeV) on the lattice, decodes them again and compares all bits.
/// `mismatch[i]` gets the bits `field_bits[0..3]` or-ed in where px, py, pz, E of constituent i do not come back.
/// `field_bits[3]` = 0: E is not encoded.
void pando_encode_momenta(size_t n, const float *px, const float *py, const float *pz, const float *energy,
                          const int16_t *pdg, const int32_t *eta_index, const int32_t *phi_index,
                          const pando_masses *masses, const pando_lattice_out *out, const uint32_t *field_bits,
                          uint32_t *mismatch);
/// eta and phi (rad) as CMS stored them.
void pando_decode_angles(size_t n, const pando_lattice *in, const int32_t *eta_index, const int32_t *phi_index,
                         float *eta, float *phi);
/// px, py, pz, E (GeV) from the lattice columns, before exceptions.
void pando_decode_momenta(size_t n, const pando_lattice *in, const int32_t *eta_index, const int32_t *phi_index,
                          const pando_masses *masses, float *px, float *py, float *pz, float *energy);

/// float32 to float16 bits, to nearest even; `mismatch[i]` gets `bit` or-ed in where widening does not give the same bits.
void pando_narrow_half(size_t n, const float *in, uint16_t *out, uint32_t *mismatch, uint32_t bit);
void pando_narrow_int16(size_t n, const float *in, int16_t *out, uint32_t *mismatch, uint32_t bit);
void pando_narrow_int8(size_t n, const float *in, int8_t *out, uint32_t *mismatch, uint32_t bit);
void pando_widen_half(size_t n, const uint16_t *in, float *out);
void pando_widen_int16(size_t n, const int16_t *in, float *out);
void pando_widen_int8(size_t n, const int8_t *in, float *out);

/// How many entries are not 0.
size_t pando_count_mismatches(size_t n, const uint32_t *mismatch);
/// Sums of px, py, pz, E in double for each jet, constituent by constituent in stored order; `sums` has 4 numbers a jet.
void pando_sum_momenta(size_t jets, const int32_t *offsets, const float *px, const float *py, const float *pz,
                       const float *energy, double *sums);
/// Minimum, maximum and sum of at least one value.
void pando_statistics_int8(size_t n, const int8_t *in, int8_t *minimum, int8_t *maximum, int64_t *sum);
/// Minimum, maximum and sum of the finite values, and how many are not finite.
void pando_statistics(size_t n, const float *in, float *minimum, float *maximum, double *sum, size_t *not_finite);
/// destination ^= source.
void pando_xor(size_t n, uint8_t *destination, const uint8_t *source);

#endif
