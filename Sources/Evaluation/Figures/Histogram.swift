import Foundation

/// Counts of a sample in bins, drawn as a density.
public struct Histogram: Sendable, Equatable {
    /// Edges of the bins, ascending; one more than there are bins.
    public let edges: [Double]
    /// Entries of each bin. A bin is closed on the left, the last one on both sides.
    public private(set) var counts: [Int]
    /// Entries below and above the bins that are in no bin; 0 if they are in the first and last one.
    public private(set) var outside = (below: 0, above: 0)
    /// Entries that were not finite.
    public private(set) var notFinite = 0

    /// Counts entries.
    /// - Parameter clipping: Whether entries outside count into the first and the last bin, as in the figures of
    ///   OmniJet-alpha.
    /// - Throws: `EvaluationError` with code `figure` if the edges do not ascend.
    public init(_ values: [Double], edges: [Double], clipping: Bool = false) throws {
        guard edges.count >= 2, zip(edges, edges.dropFirst()).allSatisfy({ $0 < $1 }), edges.allSatisfy(\.isFinite)
        else {
            throw EvaluationError(
                .figure, message: "\(edges.count) edges of a histogram do not ascend",
                advice: "give at least two, each greater than the one before")
        }
        self.edges = edges
        counts = Array(repeating: 0, count: edges.count - 1)
        let low = edges[0], high = edges[edges.count - 1]
        for value in values {
            guard value.isFinite else {
                notFinite += 1
                continue
            }
            guard clipping || (value >= low && value <= high) else {
                if value < low { outside.below += 1 } else { outside.above += 1 }
                continue
            }
            let bin = edges.partition { $0 <= value } - 1
            counts[min(max(bin, 0), counts.count - 1)] += 1
        }
    }

    public static func == (a: Histogram, b: Histogram) -> Bool {
        a.edges == b.edges && a.counts == b.counts && a.outside == b.outside && a.notFinite == b.notFinite
    }

    /// Edges of bins of equal width.
    public static func edges(_ range: ClosedRange<Double>, bins: Int) -> [Double] {
        let bins = max(1, bins), width = range.upperBound - range.lowerBound
        return (0...bins).map { $0 == bins ? range.upperBound : range.lowerBound + width * Double($0) / Double(bins) }
    }

    /// Edges of bins around whole numbers: k - 0.5.
    public static func integerEdges(_ range: ClosedRange<Int>) -> [Double] {
        (range.lowerBound...range.upperBound + 1).map { Double($0) - 0.5 }
    }

    /// All finite entries, those outside too.
    public var total: Int { counts.reduce(0, +) + outside.below + outside.above }

    /// Share of the entries over the width, with the error of √n: what is drawn.
    public var density: [(value: Double, error: Double)] {
        let total = Double(max(1, total))
        return counts.enumerated().map { bin, count in
            let scale = 1 / (total * (edges[bin + 1] - edges[bin]))
            return (Double(count) * scale, Double(count).squareRoot() * scale)
        }
    }

    /// Density over that of another histogram of the same bins, with the error of both; NaN where the other is empty.
    func ratio(to other: Histogram) -> [(value: Double, error: Double)] {
        zip(zip(counts, density), zip(other.counts, other.density)).map { own, their in
            guard their.0 > 0 else { return (.nan, .nan) }
            let ratio = own.1.value / their.1.value
            return (ratio, ratio * (1 / Double(max(1, own.0)) + 1 / Double(their.0)).squareRoot())
        }
    }
}

/// Counts in two dimensions.
public struct HeatMap: Sendable {
    /// Range of the horizontal axis.
    public let x: ClosedRange<Double>
    /// Range of the vertical axis.
    public let y: ClosedRange<Double>
    /// Bins of the horizontal axis and of the vertical one.
    public let bins: (x: Int, y: Int)
    /// Counts [y, x].
    public private(set) var counts: [Int]
    /// Pairs outside, and those that were not finite.
    public private(set) var outside = 0

    /// An empty map.
    /// - Throws: `EvaluationError` with code `figure` without bins, with more than a million, or for a range of no
    ///   width.
    public init(x: ClosedRange<Double>, y: ClosedRange<Double>, bins: (x: Int, y: Int)) throws {
        guard (1...4096).contains(bins.x), (1...4096).contains(bins.y), bins.x * bins.y <= 1_000_000,
            x.lowerBound < x.upperBound, y.lowerBound < y.upperBound
        else {
            throw EvaluationError(
                .figure, message: "\(bins.x) by \(bins.y) bins of \(x) and \(y)",
                advice: "give ranges of some width and at most a million bins")
        }
        (self.x, self.y, self.bins) = (x, y, bins)
        counts = Array(repeating: 0, count: bins.x * bins.y)
    }

    /// Adds pairs; the longer list's rest is left out.
    public mutating func add(_ first: [Double], _ second: [Double]) {
        for (a, b) in zip(first, second) {
            guard x.contains(a), y.contains(b) else {
                outside += 1
                continue
            }
            let column = Self.bin(a, x, bins.x), row = Self.bin(b, y, bins.y)
            counts[row * bins.x + column] += 1
        }
    }

    private static func bin(_ value: Double, _ range: ClosedRange<Double>, _ bins: Int) -> Int {
        let place = (value - range.lowerBound) / (range.upperBound - range.lowerBound) * Double(bins)
        return min(bins - 1, max(0, Int(place)))
    }
}
