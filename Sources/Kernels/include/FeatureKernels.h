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

/// The axis from the sum in double of n constituents, from `start` on, in stored order. px, py, pz, E where all are
/// given, else pt, eta, phi and E or mass.
void pando_jet_axis_of(const pando_feature_input *in, size_t start, size_t n, pando_jet_axis *axis);
/// The same of four-momenta times a weight for each constituent.
void pando_weighted_axis_of(const pando_feature_input *in, const float *weight, size_t start, size_t n,
                            pando_jet_axis *axis);
/// Axes from sums of px, py, pz, E, four numbers a jet.
void pando_axes_of_sums(size_t jets, const double *sums, pando_jet_axis *axes);

/// Jets whose constituents lie one after the other, and where their features go.
typedef struct {
    size_t jets;
    /// Jet j has the constituents start + offsets[j] ..< start + offsets[j + 1] of the columns; jets + 1 numbers, not
    /// negative, never less than the one before.
    size_t start;
    const int32_t *offsets;
    /// One for each jet. NULL: made from the stored jets (one number a jet, without energy), if they are not NULL, else
    /// from the constituents, times `weight` if that is not NULL.
    const pando_jet_axis *axes;
    const float *jet_pt, *jet_eta, *jet_phi, *weight;
    /// Of each jet, the first `length` constituents that survive all cuts are taken.
    size_t length;
    float *values;
    /// Padded, if `ends` is NULL: the features of jet j go to values[slots[j]][0 ..< length][0 ..< count], or values[j]
    /// without slots, with zeros in the rest; mask[slots[j]][0 ..< length], if not NULL, gets ones and zeros.
    const int32_t *slots;
    uint8_t *mask;
    /// Jagged: the features go to values[row ...][0 ..< count] without gaps; ends[j] gets the row after those of jet j.
    size_t row;
    int32_t *ends;
} pando_feature_batch;

/// Computes `count` features of all constituents of a batch. `edges` are the edges of all bins.
/// Returns the row after the last one of a jagged batch.
size_t pando_features_batch(const pando_feature *features, size_t count, const double *edges,
                            const pando_feature_input *in, const pando_feature_batch *batch);

/// Function, bins, clips, shift and factor of one feature on n numbers; x is changed.
void pando_finish_feature(const pando_feature *feature, const double *edges, size_t n, double *x, float *y);

/// Types of the codes of constituents.
enum pando_token_type { PANDO_TOKEN_INT16, PANDO_TOKEN_UINT16, PANDO_TOKEN_INT32 };

/// Codes of jets, and where input and target of next-token training go.
typedef struct {
    size_t jets;
    /// `pando_token_type`, and whether the output is int64 (else int32).
    int32_t type, wide;
    /// Jet j has the codes offsets[j] ..< offsets[j + 1]; each must be in 0 ..< codes.
    const void *tokens;
    const int32_t *offsets;
    int32_t codes;
    /// A jet of n > 0 codes has the input 0, code + 1 ... and the target code + 1 ..., codes + 1: n + 1 numbers, of which
    /// the first `length` are taken. A jet without codes has none.
    size_t length;
    void *input, *target;
    /// Padded and jagged as in `pando_feature_batch`.
    const int32_t *slots;
    uint8_t *mask;
    size_t row;
    int32_t *ends;
    /// Gets the index of the first code that is outside.
    size_t *outside;
} pando_token_batch;

/// Makes the pairs. Returns `jets`, or the number of the first jet with a code outside, where it stopped.
size_t pando_token_pairs(const pando_token_batch *batch);

/// Natural logarithm, asinh(z / pt) with 0/0 = 0, and atan2(y, x): the ones that the features use.
void pando_log(size_t n, const double *x, double *out);
void pando_pseudorapidity(size_t n, const double *pz, const double *pt, double *out);
void pando_azimuth(size_t n, const double *py, const double *px, double *out);

#endif
