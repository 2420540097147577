import Support

/// Numbers of one observable, sorted once: what every metric starts from.
///
/// Entries are finite. What is not (a ratio of subjettinesses without a denominator, say) is left out *and counted* by
/// the caller, for which `finite(_:)` is there: a metric that silently loses entries compares something else than it
/// says.
public struct Sample: Sendable {
    /// The entries in ascending order.
    public let values: [Double]
    /// The weight of each entry, in the order of `values`; nil: all weigh the same.
    public let weights: [Double]?
    /// How many entries have each value, where all of them are whole numbers of a small range.
    let integers: IntegerCounts?

    /// Sorts the entries.
    /// - Parameters:
    ///   - values: Finite numbers in any order, at least one.
    ///   - weights: As many numbers, not negative, finite, with a positive sum; nil: all weigh the same.
    ///   - threads: Threads that sort; the result does not depend on them.
    /// - Throws: `EvaluationError` with code `sample` (no entries; NaN or infinite ones, with their number) or
    ///   `weights`.
    public init(_ values: [Double], weights: [Double]? = nil, threads: Int = Machine.usableCores) throws {
        guard !values.isEmpty else {
            throw EvaluationError(
                .sample, message: "a sample without entries",
                advice: "a metric needs at least one entry on either side")
        }
        let look = Look(values)
        guard look.isFinite else {
            let nan = values.count { $0.isNaN }, infinite = values.count { $0.isInfinite }
            throw EvaluationError(
                .sample, message: "\(nan) of \(values.count) entries are NaN and \(infinite) infinite",
                advice: "leave them out with Sample.finite, and report how many there were")
        }
        if let weights { try Self.check(weights, count: values.count) }
        if weights == nil, let counts = IntegerCounts(values, look) {
            integers = counts
            self.values = counts.values
            self.weights = nil
        } else {
            integers = nil
            (self.values, self.weights) = try RadixSort.sorted(values, with: weights, threads: threads)
        }
    }

    /// Sorts float32 entries; they become float64 first, so that ties stay ties.
    public init(float32 values: [Float], weights: [Double]? = nil, threads: Int = Machine.usableCores) throws {
        try self.init(values.map(Double.init), weights: weights, threads: threads)
    }

    /// Entries that are sorted already.
    init(sorted values: [Double]) {
        self.values = values
        weights = nil
        integers = IntegerCounts(values, Look(values))
    }

    /// How many entries there are.
    public var count: Int { values.count }
    /// The least entry.
    public var least: Double { values.first ?? .nan }
    /// The greatest entry.
    public var greatest: Double { values.last ?? .nan }
    /// The entries without their weights.
    public var unweighted: Sample { weights == nil ? self : Sample(sorted: values) }

    /// The finite entries, in their order, and how many were not finite.
    public static func finite(_ values: [Double]) -> (values: [Double], dropped: Int) {
        let kept = values.filter(\.isFinite)
        return (kept, values.count - kept.count)
    }

    /// The quantile by linear interpolation between entries, bit for bit NumPy's default: at place (n-1)·q.
    /// - Parameter share: q, in 0...1.
    public func quantile(_ share: Double) -> Double { Self.quantile(share, of: values) }

    /// The quantile of numbers in ascending order; NaN of none.
    static func quantile(_ share: Double, of sorted: [Double]) -> Double {
        guard let last = sorted.last else { return .nan }
        let place = Double(sorted.count - 1) * min(max(share, 0), 1), below = place.rounded(.down)
        guard let index = Int(exactly: below), index < sorted.count - 1 else { return last }
        let low = sorted[index], high = sorted[index + 1], rest = place - below
        // NumPy goes from the nearer end, so that both ends are hit exactly.
        return rest < 0.5 ? low + (high - low) * rest : high - (high - low) * (1 - rest)
    }

    /// How many entries lie below a value.
    func countBelow(_ value: Double) -> Int { values.partition { $0 < value } }
    /// How many entries lie at or below a value.
    func countUpTo(_ value: Double) -> Int { values.partition { $0 <= value } }

    private static func check(_ weights: [Double], count: Int) throws {
        func fail(_ message: String) -> EvaluationError {
            EvaluationError(.weights, message: message, advice: "weights are finite, not negative, one an entry")
        }
        guard weights.count == count else { throw fail("\(weights.count) weights for \(count) entries") }
        if let bad = weights.firstIndex(where: { !($0 >= 0 && $0.isFinite) }) {
            throw fail("weight \(bad) is \(weights[bad])")
        }
        let sum = weights.reduce(0, +)
        guard sum > 0, sum.isFinite else { throw fail("the weights sum to \(sum)") }
    }

    /// What one look over the entries tells.
    struct Look {
        var isFinite = true
        var isWhole = true
        var least = Double.infinity
        var greatest = -Double.infinity

        init(_ values: [Double]) {
            var notFinite = 0, broken = 0
            // Adding it leaves no place for a fraction; rounding by a function of the C library takes ten times as
            // long.
            let round = 0x1.8p52
            for value in values {
                // x - x is 0 for finite numbers only.
                notFinite |= value - value == 0 ? 0 : 1
                broken |= (value + round) - round == value ? 0 : 1
                least = min(least, value)
                greatest = max(greatest, value)
            }
            isFinite = notFinite == 0
            isWhole = broken == 0
        }
    }
}

/// How many entries of a sample have each whole number of a range.
struct IntegerCounts: Sendable {
    /// The number that `counts` begins with.
    let least: Int
    /// Entries of each number.
    let counts: [Int]

    /// Counts the entries, if that is worth it: all whole, of a range that is small beside their number.
    init?(_ values: [Double], _ look: Sample.Look) {
        let widest = min(1 << 16, 4 * values.count)
        guard look.isWhole, look.greatest - look.least < Double(widest), abs(look.least) < 1e15 else { return nil }
        least = Int(look.least)
        var counts = Array(repeating: 0, count: Int(look.greatest - look.least) + 1)
        for value in values { counts[Int(value) - least] += 1 }
        self.counts = counts
    }

    /// Counts of another sample of the same range.
    init(least: Int, counts: [Int]) {
        self.least = least
        self.counts = counts
    }

    /// The entries in ascending order.
    var values: [Double] {
        var all: [Double] = []
        all.reserveCapacity(counts.reduce(0, +))
        for (offset, count) in counts.enumerated() where count > 0 {
            all.append(contentsOf: repeatElement(Double(least + offset), count: count))
        }
        return all
    }
}

extension [Double] {
    /// The number of leading entries that fulfil a condition, which none after them does.
    func partition(_ condition: (Double) -> Bool) -> Int {
        var low = 0, high = count
        while low < high {
            let middle = low + (high - low) / 2
            if condition(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
