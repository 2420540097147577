import Evaluation
import Foundation
import Loader
import Shards
import Support

/// What a study found: each run against the reference of its class, and how that depends on the size of the training.
public struct StudyCollection: Encodable {
    /// A point: a strategy at a size, over all seeds.
    public struct Point: Encodable {
        public var size: Int
        /// The mean of the metric over the seeds.
        public var value: Double
        /// The uncertainty of that mean: what samples leave open (bootstrap) and what seeds do, in quadrature.
        public var error: Double
        /// The uncertainty of one run by its samples, in the mean.
        public var samplingError: Double
        /// The standard deviation over seeds; nil for one.
        public var seedSpread: Double?
        /// The metric of each seed.
        public var seeds: [Double]
        /// Steps of the optimizer that the chosen states of the seeds had taken.
        public var steps: [Int]
    }

    /// A metric of a strategy against the size.
    public struct Curve: Encodable {
        public var kind: String
        public var strategy: String
        public var observable: String
        public var metric: Metric
        public var points: [Point]
        /// The power law of the sizes that are not saturated; nil where there are too few.
        public var law: PowerLaw?
        /// The metric between halves of the reference.
        public var floor: Double
    }

    /// Metrics that are shown.
    public static let metrics = [Metric.kl, .wasserstein]

    /// All curves.
    public let curves: [Curve]
    /// Runs that have not ended.
    public let missing: [String]
    /// What runs took and gave, by their paths.
    public let results: [String: Study.Result]
    /// What jets are generated, by run, and the reference of each class.
    let tables: [String: ObservableTable]
    let references: [String: ObservableTable]
    let background: ObservableTable?
    let study: Study
    /// The comparisons, by class and observable.
    public let comparisons: [String: [Comparison]]
    let fingerprints: [(String, String)]

    private enum CodingKeys: String, CodingKey { case curves, missing, results, comparisons }

    /// Computes observables and metrics of all runs that have ended.
    /// - Throws: `ModelError` with code `input` if none has.
    public init(_ study: Study, options: Comparison.Options = .init(), threads: Int = Machine.usableCores) throws {
        self.study = study
        let configuration = study.configuration
        let observables = configuration.observables.compactMap(Observable.named)
        let groups = ObservableGroups(needing: observables)
        func observe(_ dataset: String, split: String?, limit: Int?, _ view: JetSample.View) throws -> ObservableTable {
            study.progress("observables of \(dataset)")
            var sample = JetSample(dataset)
            (sample.split, sample.limit, sample.view, sample.threads) = (split, limit, view, threads)
            sample.options.minimumConstituents = 3
            return try sample.observables(groups)
        }
        // As tokenizers see jets, so that what they cannot give back is not held against models; those of a study see the same.
        let features = try Checkpoint(path: study.tokenizer(configuration.strategies[0].tokenizer)).description.features
        let view = JetSample.View.tokenizer(features ?? .released)
        var references: [String: ObservableTable] = [:], tables: [String: ObservableTable] = [:]
        var results: [String: Study.Result] = [:], lost: [String] = []
        var fingerprints: [(String, String)] = []
        for kind in configuration.classes {
            references[kind.name] = try observe(kind.dataset, split: configuration.reference, limit: nil, view)
            fingerprints.append((kind.name, try Dataset.readCatalogue(kind.dataset).fingerprint.hex))
        }
        for run in study.runs {
            guard let result = study.result(of: run) else {
                lost.append(run.path)
                continue
            }
            results[run.path] = result
            tables[run.path] = try observe(study.generated(by: run), split: nil, limit: nil, .stored)
        }
        guard !results.isEmpty else {
            throw ModelError(
                .input, file: study.directory, message: "no run has ended",
                advice: "do them with 'omnijet scaling --run I/N'")
        }
        background = try configuration.background.map {
            try observe($0.dataset, split: nil, limit: 50_000, view)
        }
        var comparisons: [String: [Comparison]] = [:], curves: [Curve] = []
        for kind in configuration.classes {
            let ended = study.runs.filter { $0.kind == kind && results[$0.path] != nil }
            for observable in observables where !ended.isEmpty {
                let truth = NamedEntries(kind.name, references[kind.name]?[observable.name]?.values ?? [])
                let comparison = try Comparison(
                    Quantity(observable), reference: truth,
                    others: ended.map { NamedEntries($0.path, tables[$0.path]?[observable.name]?.values ?? []) },
                    options: options)
                comparisons[kind.name, default: []].append(comparison)
                for metric in Self.metrics {
                    curves += Self.curves(of: metric, comparison, ended, results)
                }
            }
        }
        (self.curves, self.comparisons, missing, self.results) = (curves, comparisons, lost, results)
        (self.tables, self.references, self.fingerprints) = (tables, references, fingerprints)
    }

    private static func curves(
        of metric: Metric, _ comparison: Comparison, _ runs: [Study.Run], _ results: [String: Study.Result]
    ) -> [Curve] {
        let floor = comparison.reference[metric]?.value ?? .nan
        let rows = Dictionary(comparison.others.map { ($0.name, $0) }) { first, _ in first }
        var strategies: [String] = []
        for run in runs where !strategies.contains(run.strategy.name) { strategies.append(run.strategy.name) }
        return strategies.map { strategy in
            let own = runs.filter { $0.strategy.name == strategy }
            let points = Set(own.map(\.size)).sorted().map { size -> Point in
                let some = own.filter { $0.size == size }
                let found = some.compactMap { rows[$0.path]?[metric] }, values = found.map(\.value)
                let count = Double(values.count), mean = values.reduce(0, +) / count
                let sampling = found.reduce(0) { $0 + $1.error } / count
                let spread =
                    values.count > 1
                    ? (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)).squareRoot() : nil
                let error = ((sampling * sampling + (spread ?? 0) * (spread ?? 0)) / count).squareRoot()
                return Point(
                    size: size, value: mean, error: error, samplingError: sampling, seedSpread: spread, seeds: values,
                    steps: some.compactMap { results[$0.path]?.bestStep })
            }
            let finite = points.filter(\.value.isFinite)
            let law = try? PowerLaw(
                fitting: finite.map {
                    ScalingPoint(size: Double($0.size), value: $0.value, error: $0.error.isFinite ? $0.error : nil)
                }, weighting: .equal, floor: floor)
            return Curve(
                kind: runs[0].kind.name, strategy: strategy, observable: comparison.quantity.name, metric: metric,
                points: points, law: law, floor: floor)
        }
    }
}
