// Features of constituents, for every instruction set that is worth it; one is picked at run time.
#include "Kernels.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

#define BLOCK 256
#define LANES 8
#define SOME 32                                // jets whose axes are computed at a time
#define WIDTH 16                               // features that are finished before they are written
#define LANEWISE _Pragma("clang loop vectorize_width(8) interleave_count(1)")
#define PI 0x1.921fb54442d18p+1
#define ROUNDER 6755399441055744.0             // 1.5 * 2^52: adding it rounds to an integer, ties to even

/// What is repeated for each constituent of a jet.
enum { REPEAT_ETA, REPEAT_PHI, REPEAT_PT, REPEAT_ENERGY, REPEATS };

/// A stretch of the constituents of a batch, and its columns. All of it stays in the first-level cache.
typedef struct {
    const pando_feature_batch *batch;
    /// Constituents o ..< o + b of the batch, which begin at `at` in the columns of the caller; n is b rounded up.
    size_t o, b, n, at;
    /// The jet that the block begins in, how many of its constituents are written, and the next row of a jagged batch.
    size_t jet, kept, row;
    /// Which columns exist, as bits.
    uint32_t have, repeats;
    /// Raw columns by `pando_feature_source`.
    double column[PANDO_FEATURE_FIELD][BLOCK];
    double repeated[REPEATS][BLOCK + LANES], scratch[BLOCK];
    /// 1 for each constituent that survives the cuts.
    uint64_t keep[BLOCK];
    /// Finished features, some at a time.
    float y[WIDTH][BLOCK + LANES], copy[BLOCK];
} block;

typedef float eight __attribute__((ext_vector_type(LANES)));

#define EIGHT_ONES 1, 1, 1, 1, 1, 1, 1, 1
static const uint8_t ones_and_zeros[128] = {EIGHT_ONES, EIGHT_ONES, EIGHT_ONES, EIGHT_ONES,
                                            EIGHT_ONES, EIGHT_ONES, EIGHT_ONES, EIGHT_ONES};

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

#define BODY "FeatureBatch.inc"
#include "Dispatch.inc"

void pando_log(size_t n, const double *x, double *out) { PICK(log, n, x, out); }
void pando_pseudorapidity(size_t n, const double *pz, const double *pt, double *out) {
    PICK(pseudorapidity, n, pz, pt, out);
}
void pando_azimuth(size_t n, const double *py, const double *px, double *out) { PICK(azimuth, n, py, px, out); }

void pando_finish_feature(const pando_feature *feature, const double *edges, size_t n, double *x, float *y) {
    PICK(finish_values, feature, edges, n, x, x, y);
}

/// Sums of px, py, pz, E in double, in stored order, each times the weight of its constituent if there are weights.
static void sum(const pando_feature_input *in, const float *weight, size_t start, size_t n, double *sums) {
    double x = 0, y = 0, z = 0, e = 0;
    int angles = !(in->px && in->py && in->pz && in->energy);
    for (size_t i = start; i < start + n; i++) {
        // A factor of 1 changes no bit.
        double w = weight ? (double)weight[i] : 1.0;
        if (angles) {
            double pt = in->pt[i], eta = in->eta[i], phi = in->phi[i];
            x += w * (pt * cos(phi));
            y += w * (pt * sin(phi));
            z += w * (pt * sinh(eta));
            e += w * (in->energy ? (double)in->energy[i]
                                 : momentum(PANDO_FEATURE_ENERGY, pt, eta, in->mass ? (double)in->mass[i] : 0.0));
        } else {
            x += w * (double)in->px[i];
            y += w * (double)in->py[i];
            z += w * (double)in->pz[i];
            e += w * (double)in->energy[i];
        }
    }
    sums[0] = x;
    sums[1] = y;
    sums[2] = z;
    sums[3] = e;
}

void pando_axes_of_sums(size_t jets, const double *sums, pando_jet_axis *axes) {
    double y[SOME], x[SOME], z[SOME], pt[SOME], eta[SOME], phi[SOME];
    for (size_t from = 0; from < jets; from += SOME) {
        size_t n = jets - from < SOME ? jets - from : SOME;
        for (size_t k = 0; k < n; k++) {
            x[k] = sums[4 * (from + k)];
            y[k] = sums[4 * (from + k) + 1];
            z[k] = sums[4 * (from + k) + 2];
            // As for constituents, so that the only constituent of a jet lies exactly on the axis. Sums of float32 do
            // not overflow.
            pt[k] = sqrt(x[k] * x[k] + y[k] * y[k]);
        }
        pando_pseudorapidity(n, z, pt, eta);
        pando_azimuth(n, y, x, phi);
        for (size_t k = 0; k < n; k++)
            axes[from + k] = (pando_jet_axis){pt[k], eta[k], phi[k], sums[4 * (from + k) + 3]};
    }
}

void pando_weighted_axis_of(const pando_feature_input *in, const float *weight, size_t start, size_t n,
                            pando_jet_axis *axis) {
    double sums[4];
    sum(in, weight, start, n, sums);
    pando_axes_of_sums(1, sums, axis);
}
void pando_jet_axis_of(const pando_feature_input *in, size_t start, size_t n, pando_jet_axis *axis) {
    pando_weighted_axis_of(in, NULL, start, n, axis);
}

static int needs_axes(const pando_feature *features, size_t count) {
    for (size_t f = 0; f < count; f++)
        if (features[f].source >= PANDO_FEATURE_PTREL && features[f].source <= PANDO_FEATURE_DELTAR) return 1;
    return 0;
}

size_t pando_features_batch(const pando_feature *features, size_t count, const double *edges,
                            const pando_feature_input *in, const pando_feature_batch *batch) {
    if (batch->axes || !needs_axes(features, count)) return PICK(features_batch, features, count, edges, in, batch);
    // Some jets at a time, so that their axes need no memory of their own.
    pando_jet_axis axes[SOME];
    double sums[4 * SOME];
    pando_feature_batch part = *batch;
    part.axes = axes;
    for (size_t from = 0; from < batch->jets; from += SOME) {
        size_t n = batch->jets - from < SOME ? batch->jets - from : SOME;
        part.jets = n;
        part.offsets = batch->offsets + from;
        if (batch->ends) part.ends = batch->ends + from;
        else if (batch->slots) part.slots = batch->slots + from;
        else {
            part.values = batch->values + from * batch->length * count;
            part.mask = batch->mask ? batch->mask + from * batch->length : NULL;
        }
        if (batch->jet_pt) {
            for (size_t k = 0; k < n; k++)
                axes[k] = (pando_jet_axis){(double)batch->jet_pt[from + k], (double)batch->jet_eta[from + k],
                                           (double)batch->jet_phi[from + k], (double)NAN};
        } else {
            for (size_t k = 0; k < n; k++)
                sum(in, batch->weight, batch->start + (size_t)part.offsets[k],
                    (size_t)part.offsets[k + 1] - (size_t)part.offsets[k], sums + 4 * k);
            pando_axes_of_sums(n, sums, axes);
        }
        part.row = PICK(features_batch, features, count, edges, in, &part);
    }
    return part.row;
}
