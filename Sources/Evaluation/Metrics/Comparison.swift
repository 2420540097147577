import Foundation
import Support

/// What is compared: an observable's name, sign, unit and kind.
public struct Quantity: Codable, Sendable, Equatable {
    /// Its name in tables and files, such as `jet_pt`.
    public var name: String
    /// Its sign on axes, in gnuplot's markup, such as `{/:Italic p}_T`; the name if there is none.
    public var symbol: String
    /// Its unit, such as `GeV`; empty if it has none.
    public var unit: String
    /// Whether it counts something.
    public var isInteger: Bool

    /// A quantity.
    public init(_ name: String, symbol: String? = nil, unit: String = "", isInteger: Bool = false) {
        self.name = name
        self.symbol = symbol ?? FigureText(name).markup
        self.unit = unit
        self.isInteger = isInteger
    }
}

/// Entries of one observable under a name.
public struct NamedEntries: Sendable {
    /// The dataset or the model.
    public var name: String
    /// The observable of each jet; entries that are not finite are left out and counted.
    public var values: [Double]

    /// Entries with a name.
    public init(_ name: String, _ values: [Double]) {
        self.name = name
        self.values = values
    }
}

/// How far samples of one observable are from a reference.
public struct Comparison: Codable, Sendable {
    /// What to measure, and how.
    public struct Options: Sendable {
        /// The metrics, in the order of the tables.
        public var metrics = Metric.allCases
        /// B, bins of `kl` and `js` at most.
        public var bins = 50
        /// Edges of `klReleased`.
        public var releasedEdges = 50
        /// How uncertainties are drawn; its label gets the names of observable and sample. Nil: no uncertainties.
        public var bootstrap: Bootstrap? = Bootstrap()
        /// How often the reference is parted in halves for the floor; 0: no floor.
        public var floorSplits = 20
        /// Threads; nothing depends on how many.
        public var threads = Machine.usableCores

        /// The usual choice: all metrics, 50 bins, 200 replicas.
        public init() {}
    }

    /// One sample beside the reference.
    public struct Row: Codable, Sendable {
        /// Its name.
        public var name: String
        /// Finite entries.
        public var count: Int
        /// Entries that were not finite, and left out.
        public var dropped: Int
        /// Mean of the entries.
        public var mean: Double
        /// By the metrics' names: `kl`, `w1`, ...
        public var metrics: [String: MetricValue]

        /// A row from its parts.
        public init(name: String, count: Int, dropped: Int, mean: Double, metrics: [String: MetricValue]) {
            (self.name, self.count, self.dropped, self.mean, self.metrics) = (name, count, dropped, mean, metrics)
        }

        /// A metric of it.
        public subscript(_ metric: Metric) -> MetricValue? { metrics[metric.rawValue] }
    }

    /// The observable.
    public var quantity: Quantity
    /// The reference: how many entries it has. Its metrics are the floor: those between disjoint halves of it.
    public var reference: Row
    /// The others, in their order.
    public var others: [Row]

    /// Measures samples of an observable against a reference.
    /// - Throws: `EvaluationError` with code `sample` if one of them has no finite entry, `options` if the options make
    ///   no sense.
    public init(
        _ quantity: Quantity, reference: NamedEntries, others: [NamedEntries], options: Options = Options()
    ) throws {
        self.quantity = quantity
        let (truth, dropped) = try Self.sample(reference, quantity, options)
        let bins = try ProbabilityBins(reference: truth, count: options.bins, isInteger: quantity.isInteger)
        self.reference = Row(
            name: reference.name, count: truth.count, dropped: dropped, mean: truth.mean,
            metrics: try Self.floor(truth, bins: bins, quantity, options))
        self.others = try others.map { entries in
            let (sample, dropped) = try Self.sample(entries, quantity, options)
            return Row(
                name: entries.name, count: sample.count, dropped: dropped, mean: sample.mean,
                metrics: try Self.metrics(
                    sample, truth, bins, options, label: "\(quantity.name)\n\(entries.name)"))
        }
    }

    private static func sample(
        _ entries: NamedEntries, _ quantity: Quantity, _ options: Options
    ) throws -> (Sample, Int) {
        let (finite, dropped) = Sample.finite(entries.values)
        do {
            return (try Sample(finite, threads: options.threads), dropped)
        } catch var error as EvaluationError {
            error.place = "\(quantity.name) of \(entries.name)"
            if dropped > 0 { error.message += ", as none of \(dropped) is finite" }
            throw error
        }
    }

    private static func metrics(
        _ sample: Sample, _ truth: Sample, _ bins: ProbabilityBins, _ options: Options, label: String
    ) throws -> [String: MetricValue] {
        var bootstrap = options.bootstrap
        bootstrap?.label += "\n" + label
        let isDistance = { (metric: Metric) in metric == .wasserstein || metric == .kolmogorovSmirnov }
        let needsDistances = options.metrics.contains(where: isDistance)
        let pair = try needsDistances ? Distance.both(sample, truth, threads: options.threads) : nil
        let pairs = try needsDistances ? bootstrap?.distances(sample, reference: truth) : nil
        var found: [String: MetricValue] = [:]
        for metric in options.metrics {
            let value: Double, replicas: [Double]?
            switch metric {
            case .wasserstein:
                (value, replicas) = (pair?.wasserstein ?? .nan, pairs?.map(\.wasserstein))
            case .kolmogorovSmirnov:
                (value, replicas) = (pair?.kolmogorovSmirnov ?? .nan, pairs?.map(\.kolmogorovSmirnov))
            case .kl, .klReleased, .jensenShannon:
                value = try divergence(metric, sample, truth, bins, options)
                replicas = try bootstrap?.divergences(
                    metric, sample, reference: truth, bins: bins, released: options.releasedEdges)
            }
            found[metric.rawValue] = replicas.map { MetricValue(value, replicas: $0) } ?? MetricValue(value)
        }
        return found
    }

    private static func divergence(
        _ metric: Metric, _ sample: Sample, _ truth: Sample, _ bins: ProbabilityBins, _ options: Options
    ) throws -> Double {
        switch metric {
        case .klReleased: try Divergence.released(sample, reference: truth, edges: options.releasedEdges)
        case .jensenShannon: try Divergence.jensenShannon(sample, reference: truth, bins: bins)
        default: try Divergence.kl(sample, reference: truth, bins: bins)
        }
    }

    /// Metrics between disjoint halves of the reference, over several ways to part it: what a perfect model of half the
    /// reference's size would get.
    private static func floor(
        _ truth: Sample, bins: ProbabilityBins, _ quantity: Quantity, _ options: Options
    ) throws -> [String: MetricValue] {
        guard options.floorSplits > 0, truth.count >= 2 else { return [:] }
        var plain = options
        plain.bootstrap = nil
        var found: [String: [Double]] = [:]
        for split in 0..<options.floorSplits {
            let halves = truth.halves(seed: options.bootstrap?.seed ?? 0, label: quantity.name, split: split)
            for (name, value) in try metrics(halves.0, halves.1, bins, plain, label: "") {
                found[name, default: []].append(value.value)
            }
        }
        return found.mapValues { values in
            MetricValue(Sample.quantile(0.5, of: values.sorted()), replicas: values)
        }
    }
}

extension Sample {
    /// The mean; with weights, if there are any.
    public var mean: Double {
        var sum = CompensatedSum(), total = CompensatedSum()
        for (index, value) in values.enumerated() {
            let weight = weights?[index] ?? 1
            sum.add(value * weight)
            total.add(weight)
        }
        return sum.value / total.value
    }

    /// Two disjoint halves of the entries, drawn at random without replacement; the second has the odd one.
    ///
    /// Selection sampling along the sorted entries (Knuth, algorithm S), so that nothing is sorted again. Weights are
    /// left out.
    public func halves(seed: UInt64 = 0, label: String = "", split: Int = 0) -> (Sample, Sample) {
        var random = ReplicaRandom(seed: seed, purpose: "halves\n" + label, replica: split)
        var first: [Double] = [], second: [Double] = []
        first.reserveCapacity(count / 2)
        second.reserveCapacity(count - count / 2)
        for (index, value) in values.enumerated() {
            // The chance that this one is among those that are still needed.
            if random.uniform() * Double(count - index) < Double(count / 2 - first.count) {
                first.append(value)
            } else {
                second.append(value)
            }
        }
        return (Sample(sorted: first), Sample(sorted: second))
    }
}
