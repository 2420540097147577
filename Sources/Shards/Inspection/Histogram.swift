import Foundation

/// How often values lie in each of a few bins of equal width.
public struct Histogram: Codable, Sendable, Equatable {
    /// The lower edge of the first bin.
    public var low: Double
    /// The upper edge of the last bin.
    public var high: Double
    /// Whether bins have equal width in the logarithm.
    public var isLogarithmic: Bool
    /// Values in each bin; the outermost ones also hold what lies beyond them.
    public var counts: [Int]

    // Enough to place the edges: half a percent of them is still 20.
    private static let quantileSample = 4096
    // Less than two decades are well seen in equal widths.
    private static let decades = 100.0

    /// A histogram of finite values over the range that holds 99% of them.
    ///
    /// A few whole numbers get a bin each; skewed positive values over two decades or more get logarithmic bins.
    public init(_ values: [Double], bins: Int = 12) {
        let step = max(1, values.count / Self.quantileSample)
        let sorted = stride(from: 0, to: values.count, by: step).map { values[$0] }.sorted()
        guard let least = values.min(), let most = values.max(), least < most, most - least < .infinity else {
            self.init(low: values.first ?? 0, high: values.first ?? 0, isLogarithmic: false, counts: [values.count])
            return
        }
        if most - least < Double(bins), values.allSatisfy({ $0 == $0.rounded() }) {
            self.init(low: least - 0.5, high: most + 0.5, isLogarithmic: false, counts: [])
            fill(values, bins: Int(most - least) + 1)
            return
        }
        var low = sorted[sorted.count / 200], high = sorted[sorted.count - 1 - sorted.count / 200]
        if low == high { (low, high) = (least, most) }
        // Half of the values in the first tenth of the range: equal widths would show little of them.
        let isSkewed = sorted[sorted.count / 2] - low < (high - low) / 10
        self.init(
            low: low, high: high, isLogarithmic: isSkewed && low > 0 && high / low >= Self.decades, counts: [])
        fill(values, bins: bins)
    }

    private init(low: Double, high: Double, isLogarithmic: Bool, counts: [Int]) {
        self.low = low
        self.high = high
        self.isLogarithmic = isLogarithmic
        self.counts = counts
    }

    private mutating func fill(_ values: [Double], bins: Int) {
        counts = [Int](repeating: 0, count: bins)
        let (start, end) = isLogarithmic ? (log(low), log(high)) : (low, high)
        let perUnit = Double(bins) / (end - start)
        for value in values {
            let place = isLogarithmic ? (value > 0 ? log(value) : start) : value
            let bin = min(Double(bins - 1), max(0, (place - start) * perUnit))
            counts[bin.isNaN ? 0 : Int(bin)] += 1
        }
    }
}
