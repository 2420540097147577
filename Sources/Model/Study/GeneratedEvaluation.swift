import Convert
import Evaluation
import Foundation
import Loader
import Shards
import Support
import Torch

/// Generated jets against real ones: as they are, and as the tokenizer gives them back, which is all that a model can learn.
public struct GeneratedEvaluation {
    /// The name of the reference that went through the tokenizer.
    public static let reconstructedName = "reconstructed"

    /// Against the reference as the tokenizer sees it; the reconstructed one is among the others.
    public let raw: DatasetComparison
    /// Against the reconstructed reference.
    public let reconstructed: DatasetComparison

    /// Compares.
    /// - Parameters:
    ///   - generated: Datasets of generated jets.
    ///   - scratch: The directory of the dataset of reconstructed jets, which is made there.
    /// - Throws: What reading, decoding and comparing throw.
    public init(
        generated: [JetChoice], reference: JetChoice, limit: Int?, tokenizer: Tokenizer, features: FeatureConfiguration,
        scratch: String, observables: [Observable], groups: ObservableGroups, options: Comparison.Options,
        isInterrupted: @escaping @Sendable () -> Bool = { false }
    ) throws {
        var writer = try JetDatasetWriter(output: scratch, tokenizer: tokenizer, features: features)
        writer.isInterrupted = isInterrupted
        if (try? Dataset.readCatalogue(scratch)) == nil {
            _ = try writer.reconstruct(reference.sample(limit: limit), by: tokenizer, features: features)
        }
        func jets(_ name: String, _ sample: JetSample, _ view: JetSample.View) throws -> ComparedJets {
            var sample = sample
            (sample.view, sample.keepsConstituents, sample.threads) = (view, true, options.threads)
            sample.options.minimumConstituents = 3
            sample.isInterrupted = isInterrupted
            return try ComparedJets(name, sample, groups: groups)
        }
        let seen = try jets(reference.name, reference.sample(limit: limit), .tokenizer(features))
        let back = try jets(Self.reconstructedName, JetSample(scratch), .stored)
        let made = try generated.map { try jets($0.name, $0.sample(limit: limit), .stored) }
        raw = try DatasetComparison(reference: seen, others: made + [back], observables: observables, options: options)
        reconstructed = try DatasetComparison(reference: back, others: made, observables: observables, options: options)
    }

    /// Draws both comparisons and gathers them in one page.
    /// - Returns: The path of the page.
    @discardableResult
    public func write(title: String, into directory: String, provenance: [(String, String)]) throws -> String {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let sections =
            try raw.sections("Against jets as the tokenizer sees them", into: directory, prefix: "raw-")
            + reconstructed.sections(
                "Against jets that went through the tokenizer", into: directory, prefix: "reconstructed-")
        let path = directory + "/report.html"
        try Report(
            title, sections: sections,
            provenance: raw.all.map { ("\($0.name), fingerprint", $0.fingerprint) } + provenance
        ).write(to: path)
        return path
    }
}

extension JetDatasetWriter {
    /// Encodes and decodes jets of a dataset; jet i is the i-th that the sample takes.
    /// - Throws: As `write`.
    public func reconstruct(
        _ sample: JetSample, by tokenizer: Tokenizer, features: FeatureConfiguration
    ) throws -> Report {
        var contents = LoaderContents(features: features)
        contents.isJagged = true
        contents.labelColumn = sample.labelColumn
        var options = LoaderOptions.inOrder(batch: batch, threads: 1)
        (options.split, options.limit, options.limitSeed) = (sample.split, sample.limit, sample.limitSeed)
        let loader = try Loader(dataset: sample.dataset, contents: contents, options: options)
        let width = features.features.count
        var codes: [[Int64]] = []
        let batches = try loader.batches()
        while let batch = try batches.next() {
            if isInterrupted() { throw ConvertError.interruption(output) }
            let lengths = zip(batch.featureOffsets, batch.featureOffsets.dropFirst()).map { Int($1 - $0) }
            let jagged = Jagged(lengths: lengths.filter { $0 > 0 })
            var found: [Int64] = []
            if jagged.rows > 0 {
                let x = try Tensor.copy(UnsafeRawBufferPointer(batch.features), [jagged.rows, width], .float32)
                found = try tokenizer.codes(of: x, jagged).integers()
            }
            var first = 0
            for (jet, length) in lengths.enumerated() {
                defer { first += length }
                if let wanted = sample.labels, !wanted.contains(batch.labels[jet]) { continue }
                codes.append(Array(found[first..<first + length]))
            }
        }
        let catalogue = try Dataset.readCatalogue(sample.dataset)
        return try write(
            jets: codes.count, command: "reconstruct", provenance: ["jets": "\(codes.count)"],
            inputs: [InputEntry(dataset: sample.dataset, catalogue)], slots: features.padLength
        ) { Array(codes[$0]) }
    }
}
