import Convert
import Foundation
import Loader
import Shards
import Support
import Torch

/// Makes datasets of jets out of codes: what a model generates, or what a tokenizer makes of the tokens of jets (schema `generated`).
///
/// Constituents are massless, about the axis eta = phi = 0, in the order of their codes; jets without codes stay. Jet i is the event i.
public struct JetDatasetWriter {
    /// The directory of the new dataset.
    public let output: String
    /// How it is stored.
    public var options = ConversionOptions()
    /// Jets that are decoded at once.
    public var batch = 256
    /// Is told jets done and jets of all.
    public var progress: (Int, Int) -> Void = { _, _ in }
    /// Whether the work should stop.
    public var isInterrupted: () -> Bool = { false }
    private let tokenizer: Tokenizer
    private let decoder: ConstituentDecoder

    /// A writer of jets that a tokenizer decodes.
    /// - Parameter features: What the tokenizer was trained on; pt, etarel and phirel must be among them, others are not used.
    /// - Throws: `ModelError` with code `configuration` if they are not, or are not as many as the tokenizer gives.
    public init(output: String, tokenizer: Tokenizer, features: FeatureConfiguration) throws {
        self.output = output
        self.tokenizer = tokenizer
        decoder = try ConstituentDecoder(tokenizer, features)
    }

    /// What was written.
    public struct Report: Sendable {
        /// The catalogue of the dataset.
        public var catalogue: Catalogue
        /// Jets without constituents. They are in the dataset.
        public var emptyJets: Int
    }

    /// Draws jets from a model.
    /// - Parameters:
    ///   - provenance: What else the catalogue should say of them, such as the file of the checkpoint.
    /// - Throws: `ModelError` with code `weights` if the model's vocabulary is not the tokenizer's; else as `write`.
    public func generate(
        jets: Int, from model: GenerativeModel, options drawing: GenerationOptions = .init(),
        provenance: [String: String] = [:]
    ) throws -> Report {
        let codes = tokenizer.configuration.codes
        guard model.configuration.vocabulary == codes + 2 else {
            throw ModelError(
                .weights,
                message:
                    "the model has \(model.configuration.vocabulary) tokens, but the tokenizer has \(codes) codes, which make "
                    + "\(codes + 2)",
                advice: "take the tokenizer that made the tokens that the model was trained on")
        }
        try drawing.check()
        var known = provenance.merging(["model": try model.fingerprint().hex, "seed": "\(drawing.seed)"]) { $1 }
        known["temperature"] = "\(drawing.temperature)"
        known["top-p"] = "\(drawing.topP)"
        known["top-k"] = drawing.topK.map { "\($0)" }
        // As export would name it.
        let input = InputEntry(
            name: "generated.h5", bytes: 0, headTailDigest: Digest(of: [UInt8]()), rows: jets, layout: nil)
        return try write(
            jets: jets, command: "generate", provenance: known, inputs: [input], slots: model.configuration.length
        ) { numbers in
            try model.generate(jets: numbers, options: drawing).tokens.map { $0.map { $0 - 1 } }
        }
    }

    /// Decodes the tokens of a dataset; row i is the same jet.
    /// - Throws: `ModelError` with code `input` if another tokenizer made them; else as `write`.
    public func reconstruct(tokens dataset: String, provenance: [String: String] = [:]) throws -> Report {
        let catalogue = try Dataset.readCatalogue(dataset), fingerprint = try tokenizer.fingerprint()
        guard let made = catalogue.provenance.options[TokenOrigin.option],
            catalogue.provenance.options[TokenOrigin.codesOption] != nil
        else {
            throw ModelError(
                .input, file: dataset, message: "holds no tokens",
                advice: "make a dataset of them with 'omnijet tokenize'")
        }
        guard made == fingerprint.hex else {
            throw ModelError(
                .input, file: dataset, message: "holds tokens of tokenizer \(made), this is \(fingerprint)",
                advice: "take the tokenizer that made them")
        }
        let batches =
            catalogue.rows == 0
            ? nil
            : try Loader(
                dataset: dataset, columns: [TokenRows.column], options: .inOrder(batch: batch, threads: options.threads)
            ).batches()
        var position = 0
        return try write(
            jets: catalogue.rows, command: "reconstruct", provenance: provenance,
            inputs: [InputEntry(dataset: dataset, catalogue)], slots: decoder.features.padLength
        ) { numbers in
            while let batch = try batches?.next() {
                position += batch.rows
                if position > numbers.lowerBound { return try batch.codes(file: dataset) }
            }
            return []
        }
    }

    /// Writes jets with the codes that `codes` gives for their numbers, which are asked for in order. Jets of shards that an earlier run has
    /// finished are not asked for.
    /// - Throws: `ModelError` with code `input` if a code is not in the codebook, or if a constituent is not finite; `ConvertError` with code
    ///   `interrupted`; what writing throws.
    func write(
        jets: Int, command: String, provenance: [String: String], inputs: [InputEntry], slots: Int,
        codes: (Range<Int>) throws -> [[Int64]]
    ) throws -> Report {
        let schema = try SourceSchema(named: "generated")
        let known = [
            TokenOrigin.option: try tokenizer.fingerprint().hex, "features": try CanonicalJSON.text(decoder.features),
        ]
        let builder = try DatasetBuilder(
            directory: output, schema: schema, options: options, command: command,
            provenanceOptions: provenance.merging(known) { $1 }, inputs: inputs, slots: slots)
        do {
            let columns = JetColumns(fields: schema.fields)
            var done = 0
            while done < jets {
                if isInterrupted() { throw ConvertError.interruption(output) }
                let numbers = done..<min(jets, done + max(1, batch))
                done = numbers.upperBound
                if done <= builder.rowsDone {
                    try builder.skip(numbers.count)
                } else {
                    let found = try codes(numbers)
                    guard found.count == numbers.count else {
                        throw ModelError(.input, message: "\(found.count) jets came in place of \(numbers.count)")
                    }
                    try decoder.decode(found, first: numbers.lowerBound, into: columns)
                    try builder.append(columns)
                }
                progress(done, jets)
            }
            return Report(catalogue: try builder.finish(), emptyJets: try emptyJets())
        } catch {
            builder.abandon()
            throw error
        }
    }

    /// Counts jets without constituents in what was written, by an earlier run too.
    private func emptyJets() throws -> Int {
        guard try Dataset.readCatalogue(output).rows > 0 else { return 0 }
        let batches = try Loader(
            dataset: output, columns: [StoredColumn.constituents], options: .inOrder(batch: 4096, threads: 1)
        ).batches()
        var empty = 0
        while let batch = try batches.next() {
            empty += batch.bytes(of: StoredColumn.constituents)?.bindMemory(to: UInt16.self).count { $0 == 0 } ?? 0
        }
        return empty
    }
}

extension GenerativeModel {
    /// Identifies its shape and weights.
    public func fingerprint() throws -> Digest {
        JetColumns.content([Digest(of: Array(try CanonicalJSON.text(configuration).utf8)), try parameters.digest()])
    }
}
