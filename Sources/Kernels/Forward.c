// Momenta as residuals and folded flags, for every instruction set that is worth it; one is picked at run time.
#include "Kernels.h"
#include "Reproducible.h"

#pragma STDC FP_CONTRACT OFF

#define BLOCK 256
#define PI 0x1.921fb54442d18p+1

#define BODY "ForwardBody.inc"
#include "Dispatch.inc"

void pando_forward_pt(size_t n, const float *px, const float *py, float *pt) { PICK(forward_pt, n, px, py, pt); }
void pando_forward_encode(size_t n, const float *px, const float *py, const float *pz, const pando_forward *in,
                          int8_t *const *ulp, const uint32_t *field_bits, uint32_t *mismatch) {
    PICK(forward_encode, n, px, py, pz, in, ulp, field_bits, mismatch);
}
void pando_forward_transverse(size_t n, const pando_forward *in, const int8_t *px_ulp, const int8_t *py_ulp, float *px,
                              float *py) {
    PICK(forward_transverse, n, in, px_ulp, py_ulp, px, py);
}
void pando_forward_longitudinal(size_t n, const pando_forward *in, const int8_t *pz_ulp, float *pz) {
    PICK(forward_longitudinal, n, in, pz_ulp, pz);
}
void pando_forward_angles(size_t n, const pando_forward *in, float *eta, float *phi) {
    PICK(forward_angles, n, in->deta, in->dphi, in->jet_eta, in->jet_phi, eta, phi);
}
void pando_forward_encode_energy(size_t n, const float *px, const float *py, const float *pz, const float *energy,
                                 const int8_t *pid, const pando_pid_masses *masses, int8_t *ulp, uint32_t bit,
                                 uint32_t *mismatch) {
    PICK(forward_encode_energy, n, px, py, pz, energy, pid, masses, ulp, bit, mismatch);
}
void pando_forward_energy(size_t n, const float *px, const float *py, const float *pz, const int8_t *pid,
                          const pando_pid_masses *masses, const int8_t *ulp, float *energy) {
    PICK(forward_energy, n, px, py, pz, pid, masses, ulp, energy);
}
void pando_fold_flags(size_t n, const int32_t *const *flags, int8_t *pid, const uint32_t *field_bits,
                      uint32_t *mismatch) {
    PICK(fold_flags, n, flags, pid, field_bits, mismatch);
}
void pando_unfold_flag(size_t n, const int8_t *pid, int32_t code, int32_t *flag) {
    PICK(unfold_flag, n, pid, code, flag);
}
