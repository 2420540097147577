/// A number that says how far a generated sample is from its reference.
public enum Metric: String, CaseIterable, Codable, Sendable {
    /// KL(generated‖reference) in 50 bins of equal probability: `Divergence.kl`.
    case kl
    /// What the released evaluation prints as KL: `Divergence.released`.
    case klReleased = "kl_released"
    /// Jensen and Shannon's divergence in the bins of `kl`: `Divergence.jensenShannon`.
    case jensenShannon = "js"
    /// The statistic of Kolmogorov and Smirnov: `Distance.kolmogorovSmirnov`.
    case kolmogorovSmirnov = "ks"
    /// The first Wasserstein distance, in units of the observable: `Distance.wasserstein`.
    case wasserstein = "w1"

    /// Its short name in tables.
    public var label: String {
        switch self {
        case .kl: "KL"
        case .klReleased: "KL (released)"
        case .jensenShannon: "JS"
        case .kolmogorovSmirnov: "KS"
        case .wasserstein: "W1"
        }
    }

    /// Whether it has the unit of the observable; the others have none.
    public var hasUnit: Bool { self == .wasserstein }
}

/// A metric with its sampling uncertainty.
public struct MetricValue: Codable, Sendable, Equatable {
    /// The number for the samples as they are.
    public var value: Double
    /// Half the distance of the two percentiles: the number's uncertainty. NaN without replicas.
    public var error: Double
    /// The 16th percentile of the replicas. They lie too high on average by about as much as `value` does, so that this
    /// is no end of an interval around `value`.
    public var percentile16: Double
    /// The 84th percentile of the replicas.
    public var percentile84: Double
    /// How many replicas were no finite number: bins that lost all of a small reference make a divergence infinite.
    public var notFinite: Int

    /// A number without an uncertainty.
    public init(_ value: Double) {
        self.value = value
        (error, percentile16, percentile84, notFinite) = (.nan, .nan, .nan, 0)
    }

    /// A number and the replicas that tell its uncertainty.
    public init(_ value: Double, replicas: [Double]) {
        self.value = value
        notFinite = replicas.count { !$0.isFinite }
        // NaN counts as infinite: what is not known is not small.
        let sorted = replicas.map { $0.isNaN ? .infinity : $0 }.sorted()
        percentile16 = Self.percentile(0.16, sorted)
        percentile84 = Self.percentile(0.84, sorted)
        error = percentile84.isInfinite ? .infinity : (percentile84 - percentile16) / 2
    }

    /// Between a finite and an infinite replica there is nothing to interpolate.
    private static func percentile(_ share: Double, _ sorted: [Double]) -> Double {
        let found = Sample.quantile(share, of: sorted)
        return found.isNaN && !sorted.isEmpty ? .infinity : found
    }

    private enum CodingKeys: String, CodingKey {
        case value, error, percentile16, percentile84
        case notFinite = "not_finite_replicas"
    }

    /// JSON has no NaN and no infinity: both become texts.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        for (key, number) in [
            (CodingKeys.value, value), (.error, error), (.percentile16, percentile16), (.percentile84, percentile84),
        ] {
            if number.isFinite {
                try container.encode(number, forKey: key)
            } else {
                try container.encode(number.isNaN ? "nan" : number > 0 ? "inf" : "-inf", forKey: key)
            }
        }
        try container.encode(notFinite, forKey: .notFinite)
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func number(_ key: CodingKeys) throws -> Double {
            if let number = try? container.decode(Double.self, forKey: key) { return number }
            let text = try container.decode(String.self, forKey: key)
            guard let number = ["nan": Double.nan, "inf": .infinity, "-inf": -.infinity][text] else {
                throw DecodingError.dataCorruptedError(
                    forKey: key, in: container, debugDescription: "'\(text)' is no number")
            }
            return number
        }
        (value, error) = (try number(.value), try number(.error))
        (percentile16, percentile84) = (try number(.percentile16), try number(.percentile84))
        notFinite = try container.decode(Int.self, forKey: .notFinite)
    }
}
