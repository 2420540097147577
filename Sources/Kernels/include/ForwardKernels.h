// Momenta as residuals of pt, deta, dphi and the jet's axis (docs/format.md, section 10), and flags folded into one code.
// Any bits may come in: a prediction that is not finite counts as +0, an angle that is not finite or out of range as 0.
#ifndef PANDO_FORWARD_KERNELS_H
#define PANDO_FORWARD_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/// What momenta are predicted from: pt in GeV, deta, dphi (rad) and the axis of each constituent's jet, repeated.
typedef struct {
    const float *pt, *deta, *dphi, *jet_eta, *jet_phi;
} pando_forward;

enum { PANDO_FLAGS = 5 };

/// Masses by `pid` 0...5, in GeV; other codes have mass 0.
typedef struct {
    double mass[PANDO_FLAGS + 1];
} pando_pid_masses;

/// Makes pt of px and py (GeV): float32 of the square root in double; a NaN is the quiet one without payload.
void pando_forward_pt(size_t n, const float *px, const float *py, float *pt);
/// Residuals of px, py, pz to `ulp[0..2]`, in units of the last place. `mismatch[i]` gets the bits `field_bits[0..2]`
/// or-ed in where a component does not come back, or lies so far off that the angles would be wrong by more than 1e-6.
void pando_forward_encode(size_t n, const float *px, const float *py, const float *pz, const pando_forward *in,
                          int8_t *const *ulp, const uint32_t *field_bits, uint32_t *mismatch);
/// px and py before exceptions. No residuals (NULL): they count as 0. Either output may be NULL. jet_phi, dphi, pt are used.
void pando_forward_transverse(size_t n, const pando_forward *in, const int8_t *px_ulp, const int8_t *py_ulp, float *px,
                              float *py);
/// pz before exceptions. No residuals (NULL): they count as 0. jet_eta, deta, pt are used.
void pando_forward_longitudinal(size_t n, const pando_forward *in, const int8_t *pz_ulp, float *pz);
/// eta and phi in -pi ... pi of the stored angles; pt is not used.
void pando_forward_angles(size_t n, const pando_forward *in, float *eta, float *phi);

/// Residuals of the energy to the one of px, py, pz and the mass; `mismatch[i]` gets `bit` where it does not come back.
void pando_forward_encode_energy(size_t n, const float *px, const float *py, const float *pz, const float *energy,
                                 const int8_t *pid, const pando_pid_masses *masses, int8_t *ulp, uint32_t bit,
                                 uint32_t *mismatch);
/// The energy (GeV) of the exact px, py, pz, before exceptions.
void pando_forward_energy(size_t n, const float *px, const float *py, const float *pz, const int8_t *pid,
                          const pando_pid_masses *masses, const int8_t *ulp, float *energy);

/// Folds five flags into the number of the first that is 1, or 5. `mismatch[i]` gets `field_bits[f]` where flag f does not
/// come back.
void pando_fold_flags(size_t n, const int32_t *const *flags, int8_t *pid, const uint32_t *field_bits, uint32_t *mismatch);
/// 1 where `pid` is `code`, else 0.
void pando_unfold_flag(size_t n, const int8_t *pid, int32_t code, int32_t *flag);

#endif
