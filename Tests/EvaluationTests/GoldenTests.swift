import Evaluation
import Testing

@Suite(
    "Metrics against numbers of SciPy and of the original code",
    .enabled(if: MetricGolden.isThere, MetricGolden.comment))
struct GoldenTests {
    @Test("W1 agrees to 1e-12, with and without weights, on one thread and on three")
    func wasserstein() throws {
        let golden = try MetricGolden()
        var weighted = 0
        for name in golden.names {
            let pair = try golden.pair(name)
            weighted += pair.generated.weights == nil && pair.reference.weights == nil ? 0 : 1
            for threads in [1, 3] {
                let found = try Distance.wasserstein(pair.generated, pair.reference, threads: threads)
                let plain = try Distance.wasserstein(
                    pair.generated.unweighted, pair.reference.unweighted, threads: threads)
                #expect(agree(found, try golden.number(name, "w1"), relative: 1e-12), "\(name): \(found)")
                #expect(agree(plain, try golden.number(name, "w1_unweighted"), relative: 1e-12), "\(name): \(plain)")
            }
        }
        #expect(golden.names.count == 13 && weighted == 3)
    }

    @Test("the statistic of Kolmogorov and Smirnov agrees to 1e-12")
    func kolmogorovSmirnov() throws {
        let golden = try MetricGolden()
        for name in golden.names {
            let pair = try golden.pair(name)
            let found = try Distance.kolmogorovSmirnov(pair.generated.unweighted, pair.reference.unweighted)
            #expect(agree(found, try golden.number(name, "ks"), absolute: 1e-12), "\(name): \(found)")
        }
    }

    @Test("edges, shares, KL both ways and JS agree, with 20 and 50 bins, for whole numbers too", arguments: [20, 50])
    func divergences(bins count: Int) throws {
        let golden = try MetricGolden()
        var infinite = 0
        for name in golden.names {
            let (generated, reference) = { ($0.generated.unweighted, $0.reference.unweighted) }(try golden.pair(name))
            let isInteger = golden.isInteger(name)
            let bins = try ProbabilityBins(reference: reference, count: count, isInteger: isInteger)
            let edges = try golden.arrays.doubles("\(name)_edges_\(count)")
            try #require(bins.edges.count == edges.count, "\(name)")
            for (found, edge) in zip(bins.edges, edges) {
                #expect(agree(found, edge, relative: isInteger ? 0 : 1e-12), "\(name): \(found), not \(edge)")
            }
            #expect(Double(bins.count) == (try golden.number(name, "nbins_\(count)")), "\(name)")
            for (sample, key) in [(generated, "p"), (reference, "q")] {
                let shares = bins.counts(sample).map { Double($0) / Double(sample.count) }
                let expected = try golden.arrays.doubles("\(name)_\(key)_\(count)")
                #expect(zip(shares, expected).allSatisfy { agree($0, $1, absolute: 1e-12) }, "\(name), \(key)")
            }
            for (key, found) in [
                ("kl_open", try Divergence.kl(generated, reference: reference, bins: bins)),
                ("kl_open_rev", try Divergence.kl(reference, reference: generated, bins: bins)),
                ("js_open", try Divergence.jensenShannon(generated, reference: reference, bins: bins)),
            ] {
                let expected = try golden.number(name, "\(key)_\(count)")
                infinite += expected.isInfinite ? 1 : 0
                #expect(agree(found, expected, absolute: 1e-12), "\(name), \(key): \(found), not \(expected)")
            }
        }
        #expect(infinite >= 2, "there are disjoint samples among them")
    }

    @Test("the released code's KL agrees, and is NaN where that was NaN", arguments: [30, 50])
    func released(edges: Int) throws {
        let golden = try MetricGolden()
        var without = 0
        for name in golden.names {
            let pair = try golden.pair(name)
            let found = try Divergence.released(
                pair.generated.unweighted, reference: pair.reference.unweighted, edges: edges)
            let expected = try golden.number(name, "kl_released_\(edges)")
            without += expected.isNaN ? 1 : 0
            #expect(agree(found, expected, absolute: 1e-12), "\(name): \(found), not \(expected)")
        }
        #expect(without >= 3 && without < golden.names.count)
    }

    @Test("the power law leaves out the saturated tail and agrees to 1e-12")
    func powerLaw() throws {
        let golden = try MetricGolden()
        let sizes = try golden.numbers("power_law", "N"), values = try golden.numbers("power_law", "value")
        let points = zip(sizes, values).map { ScalingPoint(size: $0, value: $1) }
        let law = try PowerLaw(fitting: points)
        #expect(Double(law.used) == (try golden.number("power_law", "fit_points")))
        #expect(law.saturated == 2 && law.sizes == 100...100_000)
        for (key, found) in [
            ("gamma", law.exponent), ("log_A", law.logAmplitude), ("A", law.amplitude),
            ("gamma_err", law.exponentError), ("log_A_err", law.logAmplitudeError),
        ] {
            #expect(agree(found, try golden.number("power_law", key), absolute: 1e-12), "\(key): \(found)")
        }
    }
}
