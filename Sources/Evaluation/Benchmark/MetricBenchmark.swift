import Glibc
import Support

/// Measures metrics of two samples, from entries in memory in no order to the number.
public struct MetricBenchmark: Sendable {
    /// A file of the generated sample: float64, little-endian, one entry after the other.
    public var generated: String
    /// A file of the reference.
    public var reference: String
    /// Measured rounds, after one that warms up.
    public var repetitions = 3
    /// Threads.
    public var threads = Machine.usableCores
    /// Replicas of the bootstrap; less than two: it is not measured.
    public var replicas = 200
    /// Whether the work should stop.
    public var isInterrupted: @Sendable () -> Bool = { false }

    /// A benchmark of three rounds.
    public init(generated: String, reference: String) {
        self.generated = generated
        self.reference = reference
    }

    /// Seconds that passed, and of the processor.
    public struct Seconds: Codable, Sendable {
        /// Seconds that passed.
        public var wall: Double
        /// Seconds of all threads.
        public var cpu: Double
    }

    /// What was measured once, in seconds.
    public struct Round: Codable, Sendable {
        /// Sorting both samples.
        public var sort: Seconds
        /// Merging them for W1, when they are sorted.
        public var merge: Seconds
        /// Sorting and W1: what SciPy's `wasserstein_distance` does.
        public var wasserstein: Seconds
        /// Bins of the reference, shares and KL, when they are sorted.
        public var kl: Seconds
        /// Sorting and KL: what a histogram of entries in no order is measured beside.
        public var sortedKL: Seconds
        /// Replicas of W1 and KS together.
        public var bootstrapDistances: Seconds?
        /// Replicas of KL.
        public var bootstrapKL: Seconds?
    }

    /// What was measured.
    public struct Report: Codable, Sendable {
        /// Entries of the generated sample and of the reference.
        public var entries: [Int]
        /// Threads.
        public var threads: Int
        /// Replicas of the bootstrap.
        public var replicas: Int
        /// The numbers, to compare.
        public var values: [String: Double]
        /// The uncertainties, if they were measured.
        public var errors: [String: Double]
        /// The measurements.
        public var rounds: [Round]
    }

    /// Runs all rounds.
    /// - Throws: `EvaluationError`, `SystemError` for a file that cannot be read.
    public func run() throws -> Report {
        guard repetitions > 0, threads > 0 else {
            throw EvaluationError(.options, message: "\(repetitions) rounds on \(threads) threads")
        }
        let entries = (try Self.entries(of: generated), try Self.entries(of: reference))
        var report = Report(
            entries: [entries.0.count, entries.1.count], threads: threads, replicas: max(0, replicas), values: [:],
            errors: [:], rounds: [])
        for number in 0...repetitions {
            if isInterrupted() { throw EvaluationError(.options, message: "stopped") }
            let round = try round(entries, into: &report)
            if number > 0 { report.rounds.append(round) }
        }
        return report
    }

    private func round(_ entries: ([Double], [Double]), into report: inout Report) throws -> Round {
        let begin = Clock()
        let generated = try Sample(entries.0, threads: threads), reference = try Sample(entries.1, threads: threads)
        let sort = begin.seconds, merging = Clock()
        report.values[Metric.wasserstein.rawValue] = try Distance.wasserstein(generated, reference, threads: threads)
        let merge = merging.seconds, binning = Clock()
        let bins = try ProbabilityBins(reference: reference)
        let kl = try Divergence.kl(generated, reference: reference, bins: bins)
        report.values[Metric.kl.rawValue] = kl
        let binned = binning.seconds
        var round = Round(
            sort: sort, merge: merge, wasserstein: sort + merge, kl: binned, sortedKL: sort + binned)
        guard replicas >= 2 else { return round }
        let bootstrap = Bootstrap(replicas: replicas, threads: threads), drawing = Clock()
        let pairs = try bootstrap.distances(generated, reference: reference)
        round.bootstrapDistances = drawing.seconds
        let drawingBins = Clock()
        let divergences = try bootstrap.divergences(
            .kl, generated, reference: reference, bins: bins, released: 50)
        round.bootstrapKL = drawingBins.seconds
        report.errors = [
            Metric.wasserstein.rawValue: MetricValue(0, replicas: pairs.map(\.wasserstein)).error,
            Metric.kl.rawValue: MetricValue(0, replicas: divergences).error,
        ]
        return round
    }

    private static func entries(of path: String) throws -> [Double] {
        let file = try InputFile(path: path)
        guard file.size % 8 == 0 else {
            throw EvaluationError(
                .sample, file: path, message: "\(file.size) bytes are no whole number of float64 entries")
        }
        let count = file.size / 8
        return try [Double](unsafeUninitializedCapacity: count) { buffer, filled in
            try file.read(at: 0, into: UnsafeMutableRawBufferPointer(buffer))
            filled = count
        }
    }

    private struct Clock {
        private let start = (Self.now(CLOCK_MONOTONIC), Self.now(CLOCK_PROCESS_CPUTIME_ID))

        var seconds: Seconds {
            Seconds(
                wall: Self.now(CLOCK_MONOTONIC) - start.0, cpu: Self.now(CLOCK_PROCESS_CPUTIME_ID) - start.1)
        }

        private static func now(_ clock: clockid_t) -> Double {
            var time = timespec()
            clock_gettime(clock, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
        }
    }
}

extension MetricBenchmark.Seconds {
    fileprivate static func + (one: Self, other: Self) -> Self {
        Self(wall: one.wall + other.wall, cpu: one.cpu + other.cpu)
    }
}
