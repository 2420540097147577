#ifndef PANDO_MOMENTUM_KERNELS_H
#define PANDO_MOMENTUM_KERNELS_H
#include <stddef.h>
#include <stdint.h>

/// px, py, pz, E of candidates from pt, eta, phi and mass, in double with the C library's functions and rounded to float32, as
/// ROOT's PtEtaPhiMVector has them: phi outside (-pi, pi] is brought back first; a negative mass counts as a negative square and
/// is limited to -p.
void pando_momenta(size_t count, const float *pt, const float *eta, const float *phi, const float *mass, float *px, float *py,
                   float *pz, float *energy);

/// The order of the constituents of a jet: falling sqrt(px*px + py*py), each step rounded to float32; of equal ones the later
/// comes first, NaN before all. `keys` has room for `count` numbers, `order` gets their places.
void pando_order(size_t count, const float *px, const float *py, uint64_t *keys, uint32_t *order);

#endif
