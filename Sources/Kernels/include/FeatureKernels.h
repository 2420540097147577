// Features of constituents: from stored columns to the numbers that a model sees.
#ifndef PANDO_FEATURE_KERNELS_H
#define PANDO_FEATURE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/// What a feature is made from. Angles in rad, momenta and energies in GeV.
enum pando_feature_source {
    PANDO_FEATURE_PT, PANDO_FEATURE_ETA, PANDO_FEATURE_PHI, PANDO_FEATURE_PTREL, PANDO_FEATURE_EREL,
    PANDO_FEATURE_ETAREL, PANDO_FEATURE_PHIREL, PANDO_FEATURE_DELTAR, PANDO_FEATURE_ENERGY,
    PANDO_FEATURE_PX, PANDO_FEATURE_PY, PANDO_FEATURE_PZ,
    /// A stored field as it is.
    PANDO_FEATURE_FIELD,
    /// 1 where the absolute value of a stored field (the PDG code) is one of two numbers, else 0.
    PANDO_FEATURE_IS_CODE,
    PANDO_FEATURE_SOURCES
};

/// Which of the optional operations a feature has.
enum pando_feature_operations {
    PANDO_FEATURE_LOG = 1, PANDO_FEATURE_LARGER = 2, PANDO_FEATURE_SMALLER = 4, PANDO_FEATURE_BINS = 8,
    PANDO_FEATURE_CLIP_MIN = 16, PANDO_FEATURE_CLIP_MAX = 32
};

/// One feature: y = (clip(bin(f(x))) - subtract) * multiply, and cuts on x.
typedef struct {
    int32_t source, operations;
    /// The number of the stored field.
    int32_t field;
    /// First edge in the table of edges, and how many edges.
    int32_t edge, edges;
    double code, other_code;
    double larger, smaller, clip_min, clip_max, subtract, multiply;
} pando_feature;

/// Columns of constituents. Either px, py, pz or pt, eta, phi; the latter win. Columns that no feature needs may be NULL.
typedef struct {
    const float *px, *py, *pz, *energy, *pt, *eta, *phi, *mass;
    const float *const *fields;
} pando_feature_input;

/// The axis of a jet, and the energy of its constituents.
typedef struct {
    double pt, eta, phi, energy;
} pando_jet_axis;

/// The axis from the sum in double of n constituents, from `start` on.
void pando_jet_axis_of(const pando_feature_input *in, size_t start, size_t n, pando_jet_axis *axis);

/// Computes `count` features of the n constituents of one jet, from `start` on; writes the first `limit` that survive all
/// cuts to values[0 ..< returned number][0 ..< count]. `edges` are the edges of all bins.
size_t pando_features(const pando_feature *features, size_t count, const double *edges, const pando_feature_input *in,
                      size_t start, size_t n, const pando_jet_axis *axis, size_t limit, float *values);

/// Natural logarithm, asinh(z / pt) with 0/0 = 0, and atan2(y, x): the ones that the features use.
void pando_log(size_t n, const double *x, double *out);
void pando_pseudorapidity(size_t n, const double *pz, const double *pt, double *out);
void pando_azimuth(size_t n, const double *py, const double *px, double *out);

#endif
