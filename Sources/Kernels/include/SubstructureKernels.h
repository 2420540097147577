#ifndef PANDO_SUBSTRUCTURE_KERNELS_H
#define PANDO_SUBSTRUCTURE_KERNELS_H
#include <stddef.h>
#include <stdint.h>

// Clustering and substructure of single jets, in double. Pseudorapidity, rapidity and azimuth as FastJet has them (arXiv:1111.6097);
// momenta in GeV. The results are the same bits on every machine, and no input, NaN included, leads out of the memory.

/// Distances d_ij = min(w_i, w_j) dR_ij^2 / R^2 and d_iB = w_i.
enum pando_cluster_algorithm { PANDO_CLUSTER_KT = 0, PANDO_CLUSTER_CAMBRIDGE = 1, PANDO_CLUSTER_ANTI_KT = 2 };
/// How two objects become one: their sum; or the harder one's direction and mass with the sum of both pt.
enum pando_cluster_scheme { PANDO_CLUSTER_E = 0, PANDO_CLUSTER_WTA_PT = 1 };

/// Numbers for which SIMD may read behind the last one.
static inline size_t pando_padded(size_t n) { return (n + 7) & ~(size_t)7; }

/// What is known of the objects of a clustering: constituents 0 ..< n, then the object that step s made at n + s (not defined where the
/// step was a merger with the beam).
typedef struct {
    /// Room for 2n numbers each. Of the E-scheme.
    double *px, *py, *pz, *energy;
    /// Rapidity; azimuth in [-pi, pi]; transverse momentum, and its square.
    double *y, *phi, *pt, *pt2;
    /// Mass, negative for a negative square. Of the WTA scheme.
    double *mass;
    /// Room for 2n numbers: the objects that step s took, 2s and 2s + 1; -1 is the beam.
    int32_t *parents;
} pando_cluster_objects;

/// Fills y, phi, pt, pt2 and mass of n constituents from px, py, pz, energy.
void pando_cluster_prepare(size_t n, const pando_cluster_objects *objects);

/// Doubles of scratch memory that clustering n constituents needs; it must begin at a multiple of 64 bytes.
size_t pando_cluster_scratch(size_t n);

/// Clusters n prepared constituents until all are merged with the beam: n steps, by nearest neighbours in O(n^2).
/// Returns how many mergers with the beam came before the last step.
size_t pando_cluster(size_t n, enum pando_cluster_algorithm algorithm, enum pando_cluster_scheme scheme, double radius,
                     const pando_cluster_objects *objects, double *scratch);

/// px, py, pz and energy of massless particles from pt, pseudorapidity and azimuth.
void pando_massless(size_t n, const double *pt, const double *eta, const double *phi, double *px, double *py, double *pz,
                    double *energy);

/// Sum of pt_i min_k dR(i, axis k)^2 (squared: 1), or of pt_i min_k dR(i, axis k) (squared: 0). `pt`, `y`, `phi` have room for the
/// padded number of constituents, and the pt behind the last one are 0; `axes` are y and phi of at most 8 axes.
double pando_distance_sum(size_t n, const double *pt, const double *y, const double *phi, size_t count, const double *axes,
                          int squared);

/// Moves axes to where the sum above (not squared) is smaller, one pass of fjcontrib's minimisation for beta = 1: at most `rounds`
/// times to the mean of their constituents with weights pt / sqrt(1e-8 + dR^2), until they move by at most 1e-4 on average. The caller
/// says so much of memory as above.
void pando_move_axes(size_t n, const double *pt, const double *y, const double *phi, size_t count, double *axes, size_t rounds);

/// e1 = sum of pt, e2 = sum over pairs of pt_i pt_j dR_ij, e3 = sum over triples of pt_i pt_j pt_k dR_ij dR_ik dR_jk
/// (beta = 1, arXiv:1305.0007). Memory as above; `matrix` has room for twice the square of the padded number.
void pando_correlators(size_t n, const double *pt, const double *y, const double *phi, double *matrix, double *sums);

#endif
