// Four-momenta of candidates with the C library's functions, and their order. Not vectorised: the bits must be the library's.
#define _GNU_SOURCE
#include "MomentumKernels.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// No multiplication and addition in one rounding.
#pragma STDC FP_CONTRACT OFF

void pando_momenta(size_t count, const float *pt, const float *eta, const float *phi, const float *mass, float *px, float *py,
                   float *pz, float *energy) {
    for (size_t i = 0; i < count; i++) {
        const double t = pt[i], h = eta[i];
        double f = phi[i], m = mass[i];
        if (f <= -M_PI || f > M_PI) f = f - floor(f / (2 * M_PI) + 0.5) * 2 * M_PI;
        double p, z;
        if (t > 0) {
            p = t * cosh(h);
            z = t * sinh(h);
        } else {
            // What pseudorapidity means along the beam.
            const double limit = 22756.0;
            z = h == 0 ? 0.0 : h > 0 ? h - limit : h + limit;
            p = fabs(h) - limit;
            if (!(p > 0)) p = 0;
        }
        const double pp = p * p;
        double e;
        if (m >= 0) {
            e = pp + m * m;
        } else {
            if (pp - m * m < 0) m = -p;
            e = pp - m * m;
        }
        double s, c;
        sincos(f, &s, &c);
        px[i] = (float)(t * c);
        py[i] = (float)(t * s);
        pz[i] = (float)z;
        energy[i] = (float)sqrt(e > 0 ? e : e == e ? 0 : e);
    }
}

static int falling(const void *a, const void *b) {
    uint64_t x, y;
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    return x < y ? 1 : x > y ? -1 : 0;
}

void pando_order(size_t count, const float *px, const float *py, uint64_t *keys, uint32_t *order) {
    for (size_t i = 0; i < count; i++) {
        const float xx = px[i] * px[i], yy = py[i] * py[i], sum = xx + yy, pt = sqrtf(sum);
        uint32_t bits;
        memcpy(&bits, &pt, 4);
        // pt is not negative: its bits rise with it.
        keys[i] = (uint64_t)(pt != pt ? 0xffffffffu : bits) << 32 | (uint32_t)i;
    }
    if (count <= 256) {
        // Nearly sorted as they come: prongs by falling pt.
        for (size_t i = 1; i < count; i++) {
            const uint64_t key = keys[i];
            size_t k = i;
            for (; k > 0 && keys[k - 1] < key; k--) keys[k] = keys[k - 1];
            keys[k] = key;
        }
    } else {
        qsort(keys, count, sizeof(uint64_t), falling);
    }
    for (size_t i = 0; i < count; i++) order[i] = (uint32_t)keys[i];
}
