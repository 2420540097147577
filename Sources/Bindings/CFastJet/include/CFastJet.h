// C face of FastJet. No C++ type and no exception crosses this line: functions that may fail return 0, or non-zero and leave a message in
// cfj_error() of the same thread.
#ifndef CFASTJET_H
#define CFASTJET_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

// The numbers of fastjet::JetAlgorithm and fastjet::RecombinationScheme.
enum cfj_algorithm { CFJ_KT = 0, CFJ_CAMBRIDGE = 1, CFJ_ANTI_KT = 2 };
enum cfj_scheme { CFJ_E = 0, CFJ_WTA_PT = 7 };

const char *cfj_error(void);    // of this thread; valid until its next failing call
const char *cfj_version(void);

// To be called once, before other threads use anything: no banner on standard output, no messages of errors, statics made.
void cfj_start(void);

// Clusters `jets` sets of constituents, each until all are merged with the beam. Set j has the constituents offsets[j] ..< offsets[j + 1]
// of px, py, pz, energy.
//
// For step s of set j, with k = offsets[j] + s: parents[2k], parents[2k + 1] are the objects that it took: constituents 0 ..< n, and n + s
// what step s made; -1 is the beam. objects[6k ...] are px, py, pz, energy, rapidity and azimuth (0 to 2 pi) of what it made; 0 after a
// merger with the beam.
int cfj_cluster(size_t jets, const int64_t *offsets, const double *px, const double *py, const double *pz, const double *energy,
                enum cfj_algorithm algorithm, enum cfj_scheme scheme, double radius, int32_t *parents, double *objects);

#ifdef __cplusplus
}
#endif
#endif
