#include "CFastJet.h"

#include <fastjet/ClusterSequence.hh>
#include <fastjet/Error.hh>

#include <exception>
#include <string>
#include <vector>

namespace {
thread_local std::string message;

int fail(const char *what) noexcept {
    try {
        message = what;
    } catch (...) {
        // No memory even for the message: the last one stays.
    }
    return 1;
}

// fastjet::Error is no std::exception.
template <class Body> int guard(Body &&body) noexcept {
    try {
        body();
        return 0;
    } catch (const fastjet::Error &error) {
        return fail(error.message().c_str());
    } catch (const std::exception &error) {
        return fail(error.what());
    } catch (...) {
        return fail("an unknown C++ exception");
    }
}

void cluster(size_t n, const double *px, const double *py, const double *pz, const double *energy,
             const fastjet::JetDefinition &definition, std::vector<fastjet::PseudoJet> &input, int32_t *parents, double *objects) {
    // Own objects for each call: they keep rapidity and azimuth once asked for, so threads must not share them.
    input.clear();
    for (size_t i = 0; i < n; i++) input.emplace_back(px[i], py[i], pz[i], energy[i]);
    const fastjet::ClusterSequence sequence(input, definition);
    const auto &history = sequence.history();
    const auto &jets = sequence.jets();
    for (size_t step = 0; step < n; step++) {
        const auto &element = history.at(n + step);
        double *object = objects + 6 * step;
        parents[2 * step] = element.parent1;
        parents[2 * step + 1] = element.parent2 >= 0 ? element.parent2 : -1;
        for (int k = 0; k < 6; k++) object[k] = 0;
        if (element.jetp_index < 0) continue;
        const auto &jet = jets.at(static_cast<size_t>(element.jetp_index));
        object[0] = jet.px();
        object[1] = jet.py();
        object[2] = jet.pz();
        object[3] = jet.E();
        object[4] = jet.rap();
        object[5] = jet.phi();
    }
}
}  // namespace

extern "C" {
const char *cfj_error(void) { return message.c_str(); }

const char *cfj_version(void) {
    static const std::string version = fastjet::fastjet_version_string();
    return version.c_str();
}

void cfj_start(void) {
    guard([] {
        fastjet::ClusterSequence::set_fastjet_banner_stream(nullptr);
        fastjet::Error::set_print_errors(false);
        // The first clustering makes what all others share; Debian's FastJet is built without guards for threads.
        const std::vector<fastjet::PseudoJet> input{{1, 0, 0, 1}, {0, 1, 0, 1}};
        const fastjet::ClusterSequence sequence(input, fastjet::JetDefinition(fastjet::kt_algorithm, 0.4));
        (void)cfj_version();
    });
}

int cfj_cluster(size_t jets, const int64_t *offsets, const double *px, const double *py, const double *pz, const double *energy,
                cfj_algorithm algorithm, cfj_scheme scheme, double radius, int32_t *parents, double *objects) {
    return guard([&] {
        const fastjet::JetDefinition definition(static_cast<fastjet::JetAlgorithm>(algorithm), radius,
                                                static_cast<fastjet::RecombinationScheme>(scheme));
        std::vector<fastjet::PseudoJet> input;
        for (size_t j = 0; j < jets; j++) {
            const int64_t at = offsets[j];
            cluster(static_cast<size_t>(offsets[j + 1] - at), px + at, py + at, pz + at, energy + at, definition, input,
                    parents + 2 * at, objects + 6 * at);
        }
    });
}
}
