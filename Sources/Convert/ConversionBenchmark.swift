import Foundation
import Glibc
import Shards
import Support

/// Measures a conversion against what it cannot do without: decompressing the chunks or baskets of the inputs and compressing
/// the buffers of the shards. All three are run in turn, several times, so that a busy machine hits them alike.
public struct ConversionBenchmark: Sendable {
    /// The inputs.
    public var inputs: [String]
    /// What they hold.
    public var schema: SourceSchema
    /// How they are converted.
    public var options: ConversionOptions
    /// A directory in which datasets are made and removed again.
    public var directory: String
    /// Measured rounds, after one that warms the page cache.
    public var repetitions = 3
    /// Whether the work should stop.
    public var isInterrupted: @Sendable () -> Bool = { false }

    /// A benchmark with three rounds.
    public init(inputs: [String], schema: SourceSchema, options: ConversionOptions, directory: String) {
        self.inputs = inputs
        self.schema = schema
        self.options = options
        self.directory = directory
    }

    /// A middle and how far it was from it.
    public struct Spread: Codable, Sendable {
        /// Half of the measurements are below.
        public var median: Double
        /// The smallest.
        public var minimum: Double
        /// The largest.
        public var maximum: Double

        init(_ values: [Double]) {
            let sorted = values.sorted()
            let middle = sorted.count / 2
            median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
            minimum = sorted[0]
            maximum = sorted[sorted.count - 1]
        }
    }

    /// Seconds of threads, by the wall and by the processor.
    public struct Seconds: Codable, Sendable {
        /// Seconds that passed, summed over the threads.
        public var wall: Spread
        /// Seconds of a processor, summed over the threads.
        public var cpu: Spread

        init(_ times: [StageTimes.Time]) {
            wall = Spread(times.map(\.wall))
            cpu = Spread(times.map(\.cpu))
        }
    }

    /// What was measured.
    public struct Report: Codable, Sendable {
        /// Jets.
        public var jets: Int
        /// Constituents of all jets.
        public var constituents: Int
        /// Bytes of the inputs.
        public var inputBytes: Int
        /// Bytes of all files of the dataset.
        public var bytes: Int
        /// Bytes of the dataset over those of the inputs.
        public var sizeRatio: Double
        /// Threads.
        public var threads: Int
        /// Measured rounds.
        public var repetitions: Int
        /// Bytes of chunks or baskets as stored and decompressed.
        public var chunkBytes: [Int]
        /// Bytes of buffers as they are and compressed.
        public var bufferBytes: [Int]
        /// Reading and decompressing every chunk, or every basket that is needed.
        public var inflate: Seconds
        /// Compressing every buffer.
        public var compress: Seconds
        /// The whole conversion: seconds from beginning to end, and of the processor.
        public var whole: Seconds
        /// The stages of the conversion.
        public var stages: [String: Seconds]
        /// The conversion over both bare costs together, round by round; by the wall, each thread-second counts.
        public var ratio: Seconds
        /// Jets a second.
        public var jetsPerSecond: Spread
        /// The most memory the process has had, in bytes.
        public var peakBytes: Int
    }

    private struct Round {
        var inflate: StageTimes.Time
        var compress: StageTimes.Time
        var whole: StageTimes.Time
        var stages: StageTimes
    }

    /// Runs all rounds.
    public func run() throws -> Report {
        guard repetitions > 0 else { throw ConvertError(.usage, file: directory, message: "no rounds to measure") }
        guard case .zstd = options.compression else {
            throw ConvertError(.usage, file: directory, message: "only conversions to Zstandard are measured")
        }
        let kept = "\(directory)/kept.pando"
        defer { try? FileManager.default.removeItem(atPath: kept) }
        let catalogue = try convert(to: kept).catalogue
        let peak = Self.peakBytes
        let bare = try BareCost(
            inputs: inputs, schema: schema, options: options, dataset: Dataset(directory: kept))
        var rounds: [Round] = []
        var inflated = BareCost.Pass(), compressed = BareCost.Pass()
        for _ in 0..<repetitions {
            if isInterrupted() { throw Converter.interruption(directory) }
            inflated = try bare.inflate(threads: options.threads)
            compressed = try bare.compress(threads: options.threads)
            let output = "\(directory)/round.pando"
            let whole = try convert(to: output)
            try FileManager.default.removeItem(atPath: output)
            rounds.append(
                Round(inflate: inflated.time, compress: compressed.time, whole: whole.time, stages: whole.stages))
        }
        let inputBytes = catalogue.provenance.inputs.reduce(0) { $0 + $1.bytes }
        let bytes = try Self.bytes(of: kept)
        return Report(
            jets: catalogue.rows, constituents: catalogue.constituents, inputBytes: inputBytes, bytes: bytes,
            sizeRatio: Double(bytes) / Double(max(1, inputBytes)), threads: options.threads, repetitions: repetitions,
            chunkBytes: [inflated.bytesIn, inflated.bytesOut], bufferBytes: [compressed.bytesIn, compressed.bytesOut],
            inflate: Seconds(rounds.map(\.inflate)), compress: Seconds(rounds.map(\.compress)),
            whole: Seconds(rounds.map(\.whole)),
            stages: Dictionary(
                uniqueKeysWithValues: Stage.allCases.map { stage in
                    (stage.rawValue, Seconds(rounds.map { $0.stages[stage] }))
                }),
            ratio: Seconds(rounds.map(ratio)),
            jetsPerSecond: Spread(rounds.map { Double(catalogue.rows) / $0.whole.wall }), peakBytes: peak)
    }

    private func ratio(_ round: Round) -> StageTimes.Time {
        var ratio = StageTimes.Time()
        ratio.wall = round.whole.wall * Double(options.threads) / (round.inflate.wall + round.compress.wall)
        ratio.cpu = round.whole.cpu / (round.inflate.cpu + round.compress.cpu)
        return ratio
    }

    private func convert(to output: String) throws -> (
        catalogue: Catalogue, time: StageTimes.Time, stages: StageTimes
    ) {
        let stages = Monitor(StageTimes())
        var converter = Converter(inputs: inputs, output: output, schema: schema, options: options)
        converter.isInterrupted = isInterrupted
        converter.measured = { times in stages.update { $0 = times } }
        let start = StageTimes.Time.ofProcess
        let catalogue = try converter.run()
        return (catalogue, StageTimes.Time.ofProcess.since(start), stages.read { $0 })
    }

    private static func bytes(of directory: String) throws -> Int {
        try FileManager.default.subpathsOfDirectory(atPath: directory).reduce(0) { sum, name in
            let path = "\(directory)/\(name)"
            return Directory.isDirectory(path) ? sum : sum + (try InputFile(path: path).size)
        }
    }

    private static var peakBytes: Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss * 1024
    }
}
