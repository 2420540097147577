import Evaluation
import Foundation
import TestSupport
import Testing

/// Random samples of many kinds.
struct Drawn {
    var random: Seeded

    init(_ seed: UInt64) { random = Seeded(seed) }

    mutating func gauss() -> Double {
        (-2 * log(Double.random(in: 0x1p-60..<1, using: &random))).squareRoot()
            * cos(2 * .pi * Double.random(in: 0..<1, using: &random))
    }

    mutating func normal(_ count: Int, mean: Double = 0, width: Double = 1) -> [Double] {
        (0..<count).map { _ in mean + width * gauss() }
    }

    /// Numbers with ties, signs, zeros of both signs, and six decades.
    mutating func mixed(_ count: Int) -> [Double] {
        (0..<count).map { _ in
            switch Int.random(in: 0..<5, using: &random) {
            case 0: Double(Int.random(in: -3...3, using: &random))
            case 1: Bool.random(using: &random) ? -0.0 : 0.0
            case 2: exp(7 * gauss())
            case 3: -exp(7 * gauss())
            default: (10 * gauss()).rounded() / 10
            }
        }
    }
}

@Suite("What must hold of metrics")
struct MetricPropertyTests {
    @Test(
        "numbers of any size, sign and kind are sorted, on any number of threads", arguments: [1, 2, 5, 3000, 400_000])
    func sorting(count: Int) throws {
        var drawn = Drawn(UInt64(count))
        let float = (0..<count).map { _ in Double(Float(drawn.gauss())) }
        for values in [drawn.mixed(count), drawn.normal(count), float, Array(repeating: 1.5, count: count)] {
            let expected = values.sorted()
            for threads in [1, 2, 3] {
                // Not in the expectation, which would look for the differences of long arrays.
                let isSorted = try Sample(values, threads: threads).values == expected
                #expect(isSorted, "\(threads) threads")
            }
        }
    }

    @Test("weights stay with their entries", arguments: [3, 5000, 300_000])
    func weights(count: Int) throws {
        var drawn = Drawn(7)
        let values = drawn.mixed(count), weights = values.map { abs($0) + 1 }
        for threads in [1, 2] {
            let sample = try Sample(values, weights: weights, threads: threads)
            let isSorted = sample.values == values.sorted()
            #expect(isSorted)
            #expect(zip(sample.values, sample.weights ?? []).allSatisfy { abs($0) + 1 == $1 })
        }
    }

    @Test("a sample moved by c has a W1 of c, samples that are stretched and exchanged as they must")
    func moving() throws {
        var drawn = Drawn(1)
        for count in [1, 2, 17, 1000] {
            let values = drawn.normal(count), others = drawn.normal(count + 3)
            let sample = try Sample(values), other = try Sample(others)
            for shift in [-3.5, 0, 1e-3, 1e4] {
                let moved = try Sample(values.map { $0 + shift })
                #expect(agree(try Distance.wasserstein(moved, sample), abs(shift), absolute: 1e-12 * (1 + abs(shift))))
            }
            let there = try Distance.wasserstein(sample, other), back = try Distance.wasserstein(other, sample)
            #expect(agree(there, back, relative: 1e-14) && there > 0)
            let stretched = try Distance.wasserstein(
                Sample(values.map { -4 * $0 }), Sample(others.map { -4 * $0 }))
            #expect(agree(stretched, 4 * there, relative: 1e-14))
            #expect(try Distance.kolmogorovSmirnov(sample, other) == Distance.kolmogorovSmirnov(other, sample))
            #expect(try Distance.wasserstein(sample, sample) == 0 && Distance.kolmogorovSmirnov(sample, sample) == 0)
        }
    }

    @Test("W1 does not depend on the threads, and large samples equal the mean distance of sorted entries")
    func threads() throws {
        var drawn = Drawn(2)
        let first = drawn.normal(1_500_000), second = drawn.normal(1_500_000, mean: 0.01, width: 1.1)
        let a = try Sample(first), b = try Sample(second)
        let expected = zip(first.sorted(), second.sorted()).reduce(0) { $0 + abs($1.0 - $1.1) } / 1_500_000
        let found = try [1, 2, 3].map { try Distance.wasserstein(a, b, threads: $0) }
        #expect(Set(found).count == 1 && agree(found[0], expected, relative: 1e-11))
        let plain = try Distance.kolmogorovSmirnov(a, b, threads: 1)
        #expect(try Distance.kolmogorovSmirnov(a, b, threads: 2) == plain)
    }

    @Test("whole numbers give the same by counts as by sorting, over gaps too")
    func counts() throws {
        var drawn = Drawn(3)
        for (low, high) in [(0, 5), (-20, 20), (100, 130), (1000, 1001)] {
            let first = (0..<500).map { _ in Double(Int.random(in: low...high, using: &drawn.random)) }
            let second = (0..<300).map { _ in Double(Int.random(in: 0...30, using: &drawn.random)) }
            // Half of a half is no whole number, so that these are sorted; powers of two round nothing.
            let counted = try (Sample(first), Sample(second))
            let sorted = try (Sample(first.map { $0 / 4096 + 0x1p-20 }), Sample(second.map { $0 / 4096 + 0x1p-20 }))
            #expect(
                agree(
                    try Distance.wasserstein(counted.0, counted.1) / 4096,
                    try Distance.wasserstein(sorted.0, sorted.1), relative: 1e-14))
            #expect(
                try Distance.kolmogorovSmirnov(counted.0, counted.1)
                    == Distance.kolmogorovSmirnov(sorted.0, sorted.1))
        }
    }

    @Test("equal weights of any size change nothing, and an entry of weight 2 is two entries")
    func weighing() throws {
        var drawn = Drawn(4)
        let first = drawn.mixed(40), second = drawn.mixed(60)
        let plain = try Distance.wasserstein(Sample(first), Sample(second))
        let equal = try Distance.wasserstein(
            Sample(first, weights: Array(repeating: 0.3, count: 40)), Sample(second))
        #expect(agree(equal, plain, relative: 1e-13))
        let twice = try Distance.wasserstein(
            Sample(first, weights: Array(repeating: 1, count: 39) + [2]), Sample(second))
        #expect(agree(twice, try Distance.wasserstein(Sample(first + [first[39]]), Sample(second)), relative: 1e-13))
    }

    @Test("divergences are not negative, 0 for equal samples, finite, and JS is below ln 2")
    func divergences() throws {
        var drawn = Drawn(5)
        for round in 0..<200 {
            let isInteger = round % 3 == 0, sizes = (1 + round * 7 % 400, 1 + round * 13 % 300)
            func values(_ count: Int, _ mean: Double) -> [Double] {
                let values = drawn.normal(count, mean: mean, width: 3)
                return isInteger ? values.map { $0.rounded() } : values
            }
            let generated = try Sample(values(sizes.0, Double(round % 5))), reference = try Sample(values(sizes.1, 0))
            let bins = try ProbabilityBins(reference: reference, count: 1 + round % 60, isInteger: isInteger)
            #expect(bins.counts(reference).allSatisfy { $0 > 0 } && bins.counts(generated).reduce(0, +) == sizes.0)
            let kl = try Divergence.kl(generated, reference: reference, bins: bins)
            let js = try Divergence.jensenShannon(generated, reference: reference, bins: bins)
            #expect(kl >= 0 && kl <= log(Double(sizes.1)) + 1e-12)
            #expect(js >= 0 && js <= log(2) + 1e-15)
            #expect(try Divergence.kl(reference, reference: reference, bins: bins) == 0)
        }
    }

    @Test("between samples of one distribution KL is about (bins - 1)/2·(1/n + 1/m)")
    func bias() throws {
        var drawn = Drawn(6), sum = 0.0
        for _ in 0..<40 {
            let reference = try Sample(drawn.normal(20_000)), generated = try Sample(drawn.normal(10_000))
            let bins = try ProbabilityBins(reference: reference)
            sum += try Divergence.kl(generated, reference: reference, bins: bins) / 40
        }
        #expect(agree(sum, 49.0 / 2 * (1.0 / 20_000 + 1.0 / 10_000), relative: 0.1))
    }

    @Test("halves are disjoint, together the sample, and not the same each time")
    func halves() throws {
        var drawn = Drawn(8)
        let sample = try Sample(drawn.normal(1001))
        let (first, second) = sample.halves(split: 0)
        #expect(first.count == 500 && second.count == 501)
        let isWhole = (first.values + second.values).sorted() == sample.values
        #expect(isWhole)
        #expect(sample.halves(split: 1).0.values != first.values && sample.halves(split: 0).0.values == first.values)
    }
}

@Suite("What metrics refuse")
struct MetricErrorTests {
    private func failure(_ body: () throws -> Void) -> EvaluationError? {
        do { try body() } catch { return error as? EvaluationError }
        return nil
    }

    @Test("samples without entries, and entries that are no finite numbers, with their number")
    func samples() throws {
        #expect(failure { _ = try Sample([Double]()) }?.code == .sample)
        let bad = failure { _ = try Sample([1, .nan, .infinity, 2, .nan, -.infinity]) }
        #expect(bad?.code == .sample)
        #expect(bad?.description.contains("2 of 6 entries are NaN and 2 infinite") == true)
        let (kept, dropped) = Sample.finite([1, .nan, .infinity, 2])
        #expect(kept == [1, 2] && dropped == 2)
    }

    @Test(
        "weights of another number, negative, not finite, or without a sum",
        arguments: [[1.0], [1, -1], [1, .nan], [.infinity, 1], [0, 0]])
    func weights(_ weights: [Double]) {
        #expect(failure { _ = try Sample([1, 2], weights: weights) }?.code == .weights)
    }

    @Test("weights where they are not defined, and bins that make no sense")
    func options() throws {
        let plain = try Sample([1, 2, 3]), weighted = try Sample([1, 2, 3], weights: [1, 2, 3])
        let bins = try ProbabilityBins(reference: plain)
        #expect(failure { _ = try ProbabilityBins(reference: weighted) }?.code == .weights)
        #expect(failure { _ = try Divergence.kl(weighted, reference: plain, bins: bins) }?.code == .weights)
        #expect(failure { _ = try Divergence.jensenShannon(plain, reference: weighted, bins: bins) }?.code == .weights)
        #expect(failure { _ = try Divergence.released(weighted, reference: plain) }?.code == .weights)
        #expect(failure { _ = try Distance.kolmogorovSmirnov(weighted, plain) }?.code == .weights)
        #expect(failure { _ = try ProbabilityBins(reference: plain, count: 0) }?.code == .options)
        #expect(failure { _ = try Divergence.released(plain, reference: plain, edges: 1) }?.code == .options)
    }

    @Test("points to which no power law can be fitted")
    func points() {
        func fit(_ points: [(Double, Double, Double?)], _ weighting: PowerLaw.Weighting = .equal) -> EvaluationFailure?
        {
            failure {
                _ = try PowerLaw(
                    fitting: points.map { ScalingPoint(size: $0.0, value: $0.1, error: $0.2) }, weighting: weighting)
            }?.code
        }
        #expect(fit([(1, 1, nil), (2, 1, nil)]) == .fit)
        #expect(fit([(1, 1, nil), (2, 0, nil), (3, 1, nil)]) == .fit)
        #expect(fit([(1, 1, nil), (2, .infinity, nil), (3, 1, nil)]) == .fit)
        #expect(fit([(1, 1, nil), (-2, 1, nil), (3, 1, nil)]) == .fit)
        #expect(fit([(1, 1, nil), (2, 1, nil), (2, 1, nil)]) == .fit)
        #expect(fit([(1, 1, 0.1), (2, 1, 0), (3, 1, 0.1)], .errors) == .fit)
        #expect(fit([(1, 1, 0.1), (2, 1, nil), (3, 1, 0.1)], .errors) == .fit)
        #expect(fit([(1, 1, 0.1), (2, 1, 0.1), (3, 1, 0.1)], .errors) == nil)
    }
}
