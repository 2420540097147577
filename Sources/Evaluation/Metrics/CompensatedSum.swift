/// A sum with what rounding took from it (Neumaier 1974; the error term by Knuth's two-sum, so that nothing is
/// compared).
///
/// Ten million terms keep a relative error of some 1e-16, where a plain sum may lose 1e-10.
struct CompensatedSum: Sendable {
    private var high = 0.0
    private var low = 0.0

    @inline(__always)
    mutating func add(_ term: Double) {
        let sum = high + term, rounded = sum - high
        low += (high - (sum - rounded)) + (term - rounded)
        high = sum
    }

    mutating func add(_ other: CompensatedSum) {
        add(other.high)
        add(other.low)
    }

    @inline(__always)
    var value: Double { high + low }
}
