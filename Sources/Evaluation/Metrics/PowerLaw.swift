import Foundation

/// A metric of models that were trained on so many jets.
public struct ScalingPoint: Codable, Sendable, Equatable {
    /// N: jets of the training.
    public var size: Double
    /// The metric.
    public var value: Double
    /// Its uncertainty (one standard deviation), if it is known.
    public var error: Double?

    /// A point.
    public init(size: Double, value: Double, error: Double? = nil) {
        self.size = size
        self.value = value
        self.error = error
    }
}

/// A power law A·N^(-γ), as the scaling study of AspenOpenJets fits to metrics against the number of training jets.
///
/// A straight line in (ln N, ln metric) by least squares, over the sizes at which the metric is not saturated. Errors
/// come from the scatter of the points about the line, with n - 2 degrees of freedom: for three points they tell
/// little.
public struct PowerLaw: Codable, Sendable, Equatable {
    /// What points weigh in the fit.
    public enum Weighting: String, Codable, Sendable {
        /// All the same.
        case equal
        /// 1/σ² of ln(metric), σ = error/value.
        case errors
    }

    /// A: the metric of one jet.
    public var amplitude: Double
    /// ln A.
    public var logAmplitude: Double
    /// The error of ln A.
    public var logAmplitudeError: Double
    /// γ.
    public var exponent: Double
    /// The error of γ.
    public var exponentError: Double
    /// The sizes that were used.
    public var sizes: ClosedRange<Double>
    /// How many points were used.
    public var used: Int
    /// How many of the largest sizes were left out as saturated.
    public var saturated: Int

    /// The metric at a size.
    public func value(at size: Double) -> Double { exp(logAmplitude - exponent * log(size)) }

    /// Fits a power law.
    ///
    /// The tail is saturated where the metric no longer falls: with drops s = ln(metric before / metric), the largest
    /// size goes while its drop is smaller than the drop's own uncertainty (if points have errors), or than 0.3 times
    /// the median of the earlier drops, and more than three sizes remain. A size at which the metric has come down to
    /// its floor goes too.
    /// - Parameters:
    ///   - points: At least three of different sizes, with positive metrics; in any order.
    ///   - floor: The metric between two halves of the reference, below which nothing can be told.
    ///   - leavingOutSaturated: Whether to look for a saturated tail at all.
    /// - Throws: `EvaluationError` with code `fit`.
    public init(
        fitting points: [ScalingPoint], weighting: Weighting = .equal, floor: Double? = nil,
        leavingOutSaturated: Bool = true
    ) throws {
        let all = points.sorted { $0.size < $1.size }
        try Self.check(all, weighting)
        var kept = all
        while leavingOutSaturated, kept.count > 3, Self.isSaturated(kept, floor: floor) { kept.removeLast() }
        let x = kept.map { log($0.size) }, y = kept.map { log($0.value) }
        let weights = kept.map { weighting == .equal ? 1 : pow($0.value / ($0.error ?? .nan), 2) }
        func mean(_ values: [Double]) -> Double {
            zip(weights, values).reduce(0) { $0 + $1.0 * $1.1 } / weights.reduce(0, +)
        }
        let middle = (x: mean(x), y: mean(y)), total = weights.reduce(0, +)
        let spread = zip(weights, x).reduce(0) { $0 + $1.0 * ($1.1 - middle.x) * ($1.1 - middle.x) }
        let slope =
            zip(weights, zip(x, y)).reduce(0) { $0 + $1.0 * ($1.1.0 - middle.x) * ($1.1.1 - middle.y) } / spread
        let residuals = zip(x, y).map { $1 - middle.y - slope * ($0 - middle.x) }
        let variance = zip(weights, residuals).reduce(0) { $0 + $1.0 * $1.1 * $1.1 } / Double(kept.count - 2)
        exponent = -slope
        logAmplitude = middle.y - slope * middle.x
        amplitude = exp(logAmplitude)
        exponentError = (variance / spread).squareRoot()
        logAmplitudeError = (variance * (1 / total + middle.x * middle.x / spread)).squareRoot()
        sizes = (kept.first?.size ?? 0)...(kept.last?.size ?? 0)
        used = kept.count
        saturated = all.count - kept.count
    }

    /// Whether the largest size tells nothing about a law.
    private static func isSaturated(_ points: [ScalingPoint], floor: Double?) -> Bool {
        guard let last = points.last, let before = points.dropLast().last else { return false }
        if let floor, last.value <= floor { return true }
        let drop = log(before.value / last.value)
        if let error = last.error, let other = before.error {
            return drop < hypot(error / last.value, other / before.value)
        }
        let drops = zip(points, points.dropFirst().dropLast()).map { log($0.value / $1.value) }
        return drop < 0.3 * Sample.quantile(0.5, of: drops.sorted())
    }

    private static func check(_ points: [ScalingPoint], _ weighting: Weighting) throws {
        func fail(_ message: String, _ advice: String) -> EvaluationError {
            EvaluationError(.fit, message: message, advice: advice)
        }
        guard points.count >= 3 else {
            throw fail("\(points.count) points", "a power law with an error needs at least three sizes")
        }
        for point in points {
            guard point.size > 0, point.size.isFinite, point.value > 0, point.value.isFinite else {
                throw fail(
                    "size \(point.size) with metric \(point.value)", "leave out what is not positive and finite")
            }
            guard weighting == .equal || point.error.map({ $0 > 0 && $0.isFinite }) ?? false else {
                throw fail(
                    "size \(point.size) has the error \(point.error.map { "\($0)" } ?? "nothing")",
                    "weights need a positive error at each point; fit with equal ones")
            }
        }
        if let pair = zip(points, points.dropFirst()).first(where: { $0.size == $1.size }) {
            throw fail("two points of size \(pair.0.size)", "give the mean of several runs")
        }
    }
}
