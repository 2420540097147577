import ArgumentParser
import Foundation
import Loader
import Shards
import Support
import Terminal

/// `pando bench loader`.
struct BenchLoaderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "loader",
        abstract: "Measure how fast a dataset is loaded.",
        discussion: """
            EXAMPLE
              pando bench loader aoj.pando --features pt,eta_rel,phi_rel --step-time 500 --scaling
              pando bench loader aoj.pando --shuffle-report --key run
            """)

    @Argument(help: "The directory of the dataset.")
    var dataset: String
    @Option(help: "Columns of the batches, separated by commas; default: all.")
    var columns: String?
    @Option(help: "Features of constituents, separated by commas: pt,eta_rel,phi_rel; or 'released'; or a JSON file.")
    var features: String?
    @Option(help: "Constituents a jet that features are padded or cut to.")
    var pad = 128
    @Option(help: "A column of constituents with tokens, for pairs of input and target.")
    var tokens: String?
    @Option(help: "Codes that the tokens are of.")
    var codebook = 8192
    @Option(help: "Jets a global batch.")
    var batchSize = 256
    @Option(help: "Record batches that a stream shuffles together; default: as many as a good shuffle needs.")
    var window: Int?
    @Option(help: "Take jets of this split only.")
    var split: String?
    @Option(help: "Threads; default: the cores that this process may use.")
    var threads: Int?
    @Flag(help: "Measure with one thread, two, and so on.")
    var scaling = false
    @Option(help: "Microseconds that a step of the training takes.")
    var stepTime = 0.0
    @Option(help: "Epochs to load.")
    var epochs = 1
    @Flag(help: "Do not shuffle.")
    var noShuffle = false
    @Flag(help: "Shuffle all rows at once, in place of rows in windows.")
    var exact = false
    @Flag(help: "Report how well batches are shuffled, in place of how fast they come.")
    var shuffleReport = false
    @Option(
        help:
            "What the shuffle report tells jets apart by: a column with one value a jet, or source, their input file; default: source, run and labels."
    )
    var key: [String] = []
    @Flag(help: "Do not check the digests of record batches.")
    var noDigests = false
    @Flag(help: "Print the result as JSON.")
    var json = false

    func validate() throws {
        guard (0...1e7).contains(stepTime) else { throw ValidationError("--step-time is 0 to 10000000 microseconds") }
        guard (1...1000).contains(epochs) else { throw ValidationError("--epochs is 1 to 1000") }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is 1 to 1024") }
    }

    private func featureConfiguration() throws -> FeatureConfiguration? {
        guard let features else { return nil }
        if features == "released" { return .released }
        if features.hasSuffix(".json") {
            let text = try InputFile(path: features).readAll(limit: 1 << 20)
            return try FeatureConfiguration(json: String(decoding: text, as: UTF8.self))
        }
        let names = features.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        return try FeatureConfiguration(names.map { Feature($0) }, padLength: pad)
    }

    func run() throws {
        var options = LoaderOptions()
        options.batchSize = batchSize
        options.window = window
        options.split = split
        options.shuffle = !noShuffle
        options.checksDigests = !noDigests
        options.threads = threads ?? Machine.usableCores
        options.exact = exact
        if shuffleReport {
            return try reportShuffle(options)
        }
        let names = columns?.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        var benchmark = LoaderBenchmark()
        benchmark.contents = LoaderContents(columns: names, features: try featureConfiguration())
        benchmark.contents.tokenColumn = tokens
        if tokens != nil { benchmark.contents.tokens = try TokenPairs(codebookSize: codebook, length: pad) }
        benchmark.options = options
        benchmark.epochs = epochs
        benchmark.stepTime = stepTime * 1e-6
        var reports: [LoaderBenchmark.Report] = []
        for threads in scaling ? Array(1...options.threads) : [options.threads] {
            benchmark.options.threads = threads
            reports.append(try benchmark.run(dataset: dataset))
            if !json { print(text(reports)) }
        }
        guard json else { return }
        print(scaling ? try CanonicalJSON.text(reports) : try reports.first.map { try CanonicalJSON.text($0) } ?? "")
    }

    private func reportShuffle(_ options: LoaderOptions) throws {
        let keys = key.isEmpty ? try ShuffleReport.usualKeys(of: dataset) : key
        var reports: [ShuffleReport] = []
        for key in keys {
            let report = try ShuffleReport.measure(
                dataset: dataset, options: options, key: key, epochs: max(2, epochs))
            if !json { print(report.text) }
            reports.append(report)
        }
        if json { print(try CanonicalJSON.text(reports)) }
    }

    /// The last report, beside the first one.
    private func text(_ reports: [LoaderBenchmark.Report]) -> String {
        guard let first = reports.first, let report = reports.last else { return "" }
        let threads = "\(report.threads) thread\(report.threads == 1 ? "" : "s")"
        var lines = [
            "\(dataset): \(Format.count(report.jets)) jets in \(Format.count(report.batches)) batches, "
                + "\(Format.duration(report.seconds)), \(Format.count(Int(report.jetsPerSecond))) jets/s on \(threads)"
        ]
        if report.threads > first.threads {
            lines[0] += String(format: ", %.2f times those on one", report.jetsPerSecond / first.jetsPerSecond)
        }
        if report.jetsPerSecondOfEpochs.count > 1 {
            let rates = report.jetsPerSecondOfEpochs.map { Format.count(Int($0)) }
            lines.append("  by epoch: \(rates.joined(separator: ", ")) jets/s")
        }
        lines.append(
            "  first batch after \(Format.duration(report.secondsToFirstBatch)); the loop waited "
                + "\(Format.duration(report.stalled)) for batches; with a batch at hand it takes "
                + "\(Format.duration(report.headspace)): the loader's share is "
                + String(format: "%.0f%%", 100 * report.loaderShare))
        lines.append(
            "  \(Format.count(report.recordBatches)) record batches, \(Format.bytes(report.storedBytes)) read, "
                + "\(Format.bytes(report.decodedBytes)) decompressed, "
                + "\(Format.bytes(Int(report.decodedBytesPerSecond)))/s")
        lines.append(
            "  memory: \(Format.bytes(report.anonymousMemory)) of its own, \(Format.bytes(report.fileMemory)) of files, "
                + "\(Format.bytes(report.peakMemory)) at most; bound \(Format.bytes(report.memoryBound))")
        return lines.joined(separator: "\n")
    }
}
