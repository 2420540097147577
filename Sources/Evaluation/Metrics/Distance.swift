import Support

/// How far apart the distribution functions of two samples are.
public enum Distance {
    /// The first Wasserstein distance, ∫|F - G|: how far entries must be moved on average, in units of the observable.
    ///
    /// Exact for the empirical distribution functions, as SciPy's `wasserstein_distance`; sums are compensated. Weights
    /// count, normalised by their sum. Whole numbers of a small range go by counts. Symmetric; 0 for equal samples; c
    /// for a sample moved by c.
    /// - Parameter threads: Threads for samples without weights; the result does not depend on them.
    public static func wasserstein(
        _ first: Sample, _ second: Sample, threads: Int = Machine.usableCores
    ) throws -> Double {
        if first.weights != nil || second.weights != nil { return weighted(first, second) }
        return try both(first, second, threads: threads).wasserstein
    }

    /// The statistic of the two-sample test of Kolmogorov and Smirnov: the greatest |F - G|, in 0...1.
    /// - Throws: `EvaluationError` with code `weights` if a sample has weights.
    public static func kolmogorovSmirnov(
        _ first: Sample, _ second: Sample, threads: Int = Machine.usableCores
    ) throws -> Double {
        try first.refuseWeights("the statistic of Kolmogorov and Smirnov")
        try second.refuseWeights("the statistic of Kolmogorov and Smirnov")
        return try both(first, second, threads: threads).kolmogorovSmirnov
    }

    /// Both distances from one walk over both samples.
    static func both(_ first: Sample, _ second: Sample, threads: Int) throws -> Pair {
        let (product, overflow) = first.count.multipliedReportingOverflow(by: second.count)
        // Differences of distribution functions are whole multiples of 1/(n·m): nothing is rounded before the sum.
        // Samples for which that is too large a number do not fit into memory.
        guard !overflow else {
            throw EvaluationError(
                .sample, message: "samples of \(first.count) and \(second.count) entries are too large together")
        }
        var found: Pair
        if let a = first.integers, let b = second.integers {
            found = counted(a, first.count, b, second.count)
        } else {
            found = try merged(first.values, second.values, threads: threads)
        }
        found.wasserstein /= Double(product)
        found.kolmogorovSmirnov /= Double(product)
        return found
    }

    /// Two distances between the same samples.
    struct Pair: Sendable {
        var wasserstein: Double
        var kolmogorovSmirnov: Double
    }

    // MARK: Whole numbers

    /// Both distances times n·m, from how many entries have each number.
    static func counted(_ a: IntegerCounts, _ n: Int, _ b: IntegerCounts, _ m: Int) -> Pair {
        var sum = CompensatedSum(), greatest = 0, difference = 0
        // Where the ranges do not meet, the difference stays as it is over the gap.
        let steps = Set([a.least, a.least + a.counts.count, b.least, b.least + b.counts.count]).sorted()
        for (from, to) in zip(steps, steps.dropFirst()) {
            let inA = from >= a.least && from < a.least + a.counts.count
            let inB = from >= b.least && from < b.least + b.counts.count
            guard inA || inB else {
                sum.add(Double(abs(difference)) * Double(to - from))
                continue
            }
            for number in from..<to {
                if inA { difference += a.counts[number - a.least] * m }
                if inB { difference -= b.counts[number - b.least] * n }
                sum.add(Double(abs(difference)))
                greatest = max(greatest, abs(difference))
            }
        }
        return Pair(wasserstein: sum.value, kolmogorovSmirnov: Double(greatest))
    }

    // MARK: Merging

    /// Stretches of the merged order; their number, and so the order of sums, does not depend on threads.
    private static let stretch = 1 << 19

    /// Both distances times n·m.
    private static func merged(_ a: [Double], _ b: [Double], threads: Int) throws -> Pair {
        let all = a.count + b.count, stretches = (all + stretch - 1) / stretch
        guard stretches > 1 else {
            let part = walk(a, b, from: 0, to: all)
            return Pair(wasserstein: part.sum.value, kolmogorovSmirnov: Double(part.greatest))
        }
        let parts = Monitor([Int: Part]())
        try WorkerThreads.forEach(stretches, threads: threads) { number in
            let part = walk(a, b, from: number * stretch, to: min(all, (number + 1) * stretch))
            parts.update { $0[number] = part }
        }
        var sum = CompensatedSum(), greatest = 0
        for (_, part) in parts.update({ $0 }).sorted(by: { $0.key < $1.key }) {
            sum.add(part.sum)
            greatest = max(greatest, part.greatest)
        }
        return Pair(wasserstein: sum.value, kolmogorovSmirnov: Double(greatest))
    }

    private struct Part: Sendable {
        var sum = CompensatedSum()
        var greatest = 0
    }

    /// Walks over a stretch of the merged order, in which entries of `a` come before equal ones of `b`.
    private static func walk(_ a: [Double], _ b: [Double], from: Int, to: Int) -> Part {
        var part = Part()
        let start = MergePlace(from, a, b), end = MergePlace(to, a, b)
        var i = start.inFirst, j = start.inSecond
        let n = a.count, m = b.count
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                guard i < n || j < m else { return }
                var difference = i * m - j * n
                var last = max(i > 0 ? a[i - 1] : -.infinity, j > 0 ? b[j - 1] : -.infinity)
                if from == 0 { last = min(i < n ? a[i] : .infinity, j < m ? b[j] : .infinity) }
                @inline(__always)
                func pass(to value: Double) {
                    let height = abs(difference), gap = value - last
                    part.sum.add(Double(height) * gap)
                    // Among equal entries the difference is not that of the distribution functions.
                    part.greatest = max(part.greatest, gap > 0 ? height : 0)
                    last = value
                }
                // Without branches on the data, as no machine can foresee whose entry is next.
                while i < end.inFirst, j < end.inSecond {
                    let x = a[i], y = b[j], isFirst = x <= y
                    pass(to: isFirst ? x : y)
                    difference += isFirst ? m : -n
                    i += isFirst ? 1 : 0
                    j += isFirst ? 0 : 1
                }
                while i < end.inFirst {
                    pass(to: a[i])
                    difference += m
                    i += 1
                }
                while j < end.inSecond {
                    pass(to: b[j])
                    difference -= n
                    j += 1
                }
            }
        }
        return part
    }

    // MARK: Weights

    /// ∫|F - G| with weights.
    static func weighted(_ first: Sample, _ second: Sample) -> Double {
        weighted(
            first.values, first.weights ?? Array(repeating: 1, count: first.count), second.values,
            second.weights ?? Array(repeating: 1, count: second.count))
    }

    /// The same of sorted entries with a weight each.
    static func weighted(_ a: [Double], _ wa: [Double], _ b: [Double], _ wb: [Double]) -> Double {
        func total(_ weights: [Double]) -> Double {
            var sum = CompensatedSum()
            for weight in weights { sum.add(weight) }
            return sum.value
        }
        let totals = (total(wa), total(wb))
        var i = 0, j = 0, sum = CompensatedSum(), f = CompensatedSum(), g = CompensatedSum()
        var last = min(a.first ?? .infinity, b.first ?? .infinity)
        while i < a.count || j < b.count {
            let isFirst = j == b.count || (i < a.count && a[i] <= b[j])
            let value = isFirst ? a[i] : b[j]
            if value > last {
                sum.add(abs(f.value / totals.0 - g.value / totals.1) * (value - last))
                last = value
            }
            if isFirst {
                f.add(wa[i])
                i += 1
            } else {
                g.add(wb[j])
                j += 1
            }
        }
        return sum.value
    }
}

/// A place in the merged order of two sorted samples: how many entries of each come before it.
struct MergePlace {
    let inFirst: Int
    let inSecond: Int

    /// The place behind so many entries, where entries of `a` come before equal ones of `b`.
    init(_ place: Int, _ a: [Double], _ b: [Double]) {
        var low = max(0, place - b.count), high = min(place, a.count)
        while low < high {
            let middle = low + (high - low) / 2
            // Is entry `middle` of `a` among the first `place`? Then at most place - 1 - middle of `b` are before it.
            if a[middle] <= b[place - 1 - middle] { low = middle + 1 } else { high = middle }
        }
        inFirst = low
        inSecond = place - low
    }
}
