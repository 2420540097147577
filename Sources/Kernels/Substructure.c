// Clustering and substructure of jets, for every instruction set that is worth it; one is picked at run time.
#include "Kernels.h"
#include "Reproducible.h"

#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

#define LANES 8
#define LANEWISE _Pragma("clang loop vectorize_width(8) interleave_count(1)")
#define PI 0x1.921fb54442d18p+1
#define MOST_AXES 8
#define FAR 1e100                              // rapidity of nothing: farther than any radius, and its square is finite

typedef double numbers __attribute__((ext_vector_type(LANES)));
typedef int64_t places __attribute__((ext_vector_type(LANES)));
typedef _Bool flags __attribute__((ext_vector_type(LANES)));

typedef double some_numbers __attribute__((ext_vector_type(LANES), aligned(8), may_alias));
typedef int64_t some_places __attribute__((ext_vector_type(LANES), aligned(8), may_alias));

// Macros: how vectors are passed to functions depends on the instruction set.
#define NUMBERS(x) (*(some_numbers *)(x))
#define PLACES(x) (*(some_places *)(x))
#define FIRST_PLACES ((places){0, 1, 2, 3, 4, 5, 6, 7})
#define TURNED(v, ...) __builtin_shufflevector(v, v, __VA_ARGS__)

/// Squares of the distances of eight objects to a point.
#define SQUARE(ys, phis, from_y, from_phi) ({ \
    numbers dy_ = (ys) - (from_y), dphi_ = __builtin_elementwise_abs((phis) - (from_phi)), turned_ = 2 * PI - dphi_; \
    dphi_ = dphi_ < turned_ ? dphi_ : turned_; \
    dy_ * dy_ + dphi_ * dphi_; })

/// A bit for each lane that a comparison is true for.
#define BITS(comparison) ({ \
    flags flags_ = __builtin_convertvector((comparison), flags); \
    uint8_t bits_; \
    memcpy(&bits_, &flags_, 1); \
    bits_; })

/// The smallest number, and its place: of equal ones that of the first lane.
#define SMALLEST(value, place, at) ({ \
    numbers all_ = (value), other_ = TURNED(all_, 4, 5, 6, 7, 0, 1, 2, 3); \
    all_ = other_ < all_ ? other_ : all_; \
    other_ = TURNED(all_, 2, 3, 0, 1, 6, 7, 4, 5); \
    all_ = other_ < all_ ? other_ : all_; \
    other_ = TURNED(all_, 1, 0, 3, 2, 5, 4, 7, 6); \
    all_ = other_ < all_ ? other_ : all_; \
    int64_t places_[LANES]; \
    memcpy(places_, &(place), sizeof places_); \
    *(at) = places_[__builtin_ctz(BITS((value) == all_) | 1 << LANES) % LANES]; \
    all_[0]; })

/// The sum of the lanes, in one order.
#define TOTAL(v) ({ \
    numbers half_ = (v) + TURNED(v, 4, 5, 6, 7, 0, 1, 2, 3), quarter_ = half_ + TURNED(half_, 2, 3, 0, 1, 6, 7, 4, 5); \
    quarter_[0] + quarter_[1]; })

/// The smaller of w and the weight of a neighbour, if there is one: without a branch, as nobody can foresee which it is.
static inline double least_weight(double w, const double *weights, int64_t neighbour) {
    uint64_t nobody = (uint64_t)(neighbour >> 63);
    double other = as_double((as_bits64(weights[neighbour & (int64_t)~nobody]) & ~nobody) | (0x7ff0000000000000u & nobody));
    return other < w ? other : w;
}

/// What is being clustered: object `node[i]` in slot i. Slots behind the last one are far away and never the smallest.
typedef struct {
    double *y, *phi, *weight, *distance, *key;
    int64_t *neighbour, *node, *stale;
    double radius2;
    size_t count;
} active;

size_t pando_cluster_scratch(size_t n) { return 8 * (pando_padded(n) + LANES); }

#define BODY "SubstructureBody.inc"
#include "Dispatch.inc"

void pando_cluster_prepare(size_t n, const pando_cluster_objects *objects) { PICK(prepare, n, objects); }
size_t pando_cluster(size_t n, enum pando_cluster_algorithm algorithm, enum pando_cluster_scheme scheme, double radius,
                     const pando_cluster_objects *objects, double *scratch) {
    return PICK(cluster, n, algorithm, scheme, radius, objects, scratch);
}
void pando_massless(size_t n, const double *pt, const double *eta, const double *phi, double *px, double *py, double *pz,
                    double *energy) {
    PICK(massless, n, pt, eta, phi, px, py, pz, energy);
}
double pando_distance_sum(size_t n, const double *pt, const double *y, const double *phi, size_t count, const double *axes,
                          int squared) {
    return PICK(distance_sum, n, pt, y, phi, count, axes, squared);
}
void pando_move_axes(size_t n, const double *pt, const double *y, const double *phi, size_t count, double *axes, size_t rounds) {
    PICK(move_axes, n, pt, y, phi, count, axes, rounds);
}
void pando_correlators(size_t n, const double *pt, const double *y, const double *phi, double *matrix, double *sums) {
    PICK(correlators, n, pt, y, phi, matrix, sums);
}
