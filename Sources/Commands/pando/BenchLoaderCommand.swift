import ArgumentParser
import Foundation
import Loader
import Shards
import Support

/// `pando bench loader`.
struct BenchLoaderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "loader",
        abstract: "Measure how fast a dataset is loaded when nothing is done with the batches.",
        discussion: """
            EXAMPLE
              pando bench loader aoj.pando --columns px,py,pz,E --threads 1
            """)

    @Argument(help: "The directory of the dataset.")
    var dataset: String
    @Option(help: "Columns of the batches, separated by commas; default: all.")
    var columns: String?
    @Option(help: "Features of constituents, separated by commas: pt,eta_rel,phi_rel; or 'released'; or a JSON file.")
    var features: String?
    @Option(help: "Constituents a jet that features are padded or cut to.")
    var pad = 128
    @Option(help: "Jets a global batch.")
    var batchSize = 256
    @Option(help: "Record batches that a stream shuffles together; default: as many as a good shuffle needs.")
    var window: Int?
    @Option(help: "Take jets of this split only.")
    var split: String?
    @Option(help: "Threads; default: the cores that this process may use.")
    var threads: Int?
    @Option(help: "Epochs to load.")
    var epochs = 1
    @Flag(help: "Do not shuffle.")
    var noShuffle = false
    @Flag(help: "Do not check the digests of record batches.")
    var noDigests = false
    @Flag(help: "Print the result as JSON.")
    var json = false

    func validate() throws {
        guard (1...1000).contains(epochs) else { throw ValidationError("--epochs is 1 to 1000") }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is 1 to 1024") }
    }

    private struct Outcome: Encodable {
        var jets = 0
        var constituents = 0
        var batches = 0
        var seconds = 0.0
        var secondsToFirstBatch = 0.0
        var jetsPerSecond = 0.0
        var recordBatches = 0
        var storedBytes = 0
        var peakMemory = 0
        var threads: Int
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
        let names = columns?.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        let contents = LoaderContents(columns: names, features: try featureConfiguration())
        let started = Date()
        let loader = try Loader(dataset: dataset, contents: contents, options: options)
        var outcome = Outcome(threads: options.threads)
        for epoch in 0..<epochs {
            let batches = try loader.batches(epoch: epoch)
            while let batch = try batches.next() {
                if outcome.batches == 0 { outcome.secondsToFirstBatch = Date().timeIntervalSince(started) }
                outcome.batches += 1
                outcome.jets += batch.rows
                outcome.constituents += batch.constituents
            }
            outcome.recordBatches += batches.counters.recordBatches
            outcome.storedBytes += batches.counters.storedBytes
        }
        outcome.seconds = Date().timeIntervalSince(started)
        outcome.jetsPerSecond = Double(outcome.jets) / max(outcome.seconds, 1e-9)
        outcome.peakMemory = Machine.peakMemory
        if json {
            print(try CanonicalJSON.text(outcome))
            return
        }
        print(
            """
            \(dataset): \(Format.count(outcome.jets)) jets in \(Format.count(outcome.batches)) batches, \(Format.duration(outcome.seconds)), \
            \(Format.count(Int(outcome.jetsPerSecond))) jets/s on \(outcome.threads) thread\(outcome.threads == 1 ? "" : "s")
              first batch after \(Format.duration(outcome.secondsToFirstBatch)); \(Format.count(outcome.recordBatches)) record batches, \
            \(Format.bytes(outcome.storedBytes)) read; peak memory \(Format.bytes(outcome.peakMemory))
            """)
    }
}
