import Convert
import Foundation
import Loader
import Shards
import Support
import Torch

/// Makes a dataset of tokens out of a dataset of jets: row i is the same jet, with its columns of one value a jet (so events, labels and
/// splits too) and in place of its constituents their codes, in the column `code`.
public struct TokenDatasetWriter {
    /// The dataset of jets.
    public let dataset: String
    /// The directory of the new dataset.
    public let output: String
    /// How it is stored; its splits are those of the jets.
    public var options = ConversionOptions()
    /// Jets that are coded at once.
    public var batch = 256
    /// Is told jets done and jets of all.
    public var progress: (Int, Int) -> Void = { _, _ in }
    /// Whether the work should stop.
    public var isInterrupted: () -> Bool = { false }
    private let tokenizer: Tokenizer
    private let features: FeatureConfiguration

    /// A writer of the codes that a tokenizer gives constituents.
    /// - Parameter features: What the tokenizer was trained on.
    public init(dataset: String, output: String, tokenizer: Tokenizer, features: FeatureConfiguration) {
        self.dataset = dataset
        self.output = output
        self.tokenizer = tokenizer
        self.features = features
    }

    /// What was written.
    public struct Report: Sendable {
        /// The catalogue of the dataset.
        public var catalogue: Catalogue
        /// Jets without codes: they have no constituents, or all failed a cut. They are in the dataset.
        public var emptyJets: Int
        /// Constituents of the source that have no code: cut, or beyond the length of the features.
        public var lostConstituents: Int
    }

    /// Codes all jets. Stopped or killed, the same call goes on behind the last finished shard.
    /// - Throws: `ModelError` with code `configuration` if the features are not the tokenizer's, `input` if one is not finite;
    ///   `ConvertError` with code `interrupted`; what reading and writing throw.
    public func run() throws -> Report {
        guard features.features.count == tokenizer.configuration.inputs else {
            throw ModelError(
                .configuration, place: "features",
                message: "are \(features.features.count), but the tokenizer takes \(tokenizer.configuration.inputs)")
        }
        let catalogue = try Dataset.readCatalogue(dataset), codes = tokenizer.configuration.codes
        let isNarrow = codes <= Int(UInt16.max) + 1
        let schema = try SourceSchema(
            name: "tokens", description: "codes of the constituents of jets", jetsOf: catalogue,
            constituents: .init(
                path: "tokens", type: isNarrow ? .uint16 : .int32, role: .constituent,
                columns: [.init(name: TokenRows.column, description: "code of the constituent, of \(codes)")]),
            file: dataset)
        let loader = try loader(catalogue, schema)
        let builder = try DatasetBuilder(
            directory: output, schema: schema, options: options, command: "tokenize",
            provenanceOptions: try provenance(catalogue), inputs: [InputEntry(dataset: dataset, catalogue)],
            splits: catalogue.splits, slots: features.padLength)
        do {
            let (empty, rows) = try code(loader, schema, into: builder)
            if empty > 0 {
                builder.remarks = [
                    "\(empty) jets have no codes: none of their constituents passes the cuts of the features"
                ]
            }
            return Report(
                catalogue: try builder.finish(), emptyJets: empty, lostConstituents: catalogue.constituents - rows)
        } catch {
            builder.abandon()
            throw error
        }
    }

    private func provenance(_ catalogue: Catalogue) throws -> [String: String] {
        [
            TokenOrigin.option: try tokenizer.fingerprint().hex,
            TokenOrigin.codesOption: "\(tokenizer.configuration.codes)",
            "features": try CanonicalJSON.text(features),
        ]
    }

    /// What gives the jets; nil if there are none.
    private func loader(_ catalogue: Catalogue, _ schema: SourceSchema) throws -> Loader? {
        guard catalogue.rows > 0 else { return nil }
        var contents = LoaderContents(columns: schema.fields.dropFirst().map(\.name), features: features)
        contents.isJagged = true
        return try Loader(
            dataset: dataset, contents: contents, options: .inOrder(batch: batch, threads: options.threads))
    }

    private func code(
        _ loader: Loader?, _ schema: SourceSchema, into builder: DatasetBuilder
    ) throws -> (empty: Int, codes: Int) {
        guard let loader else { return (0, 0) }
        let batches = try loader.batches(), names = schema.fields.dropFirst().map(\.name)
        let columns = JetColumns(fields: schema.fields)
        var done = 0, empty = 0, rows = 0
        while let batch = try batches.next() {
            if isInterrupted() { throw ConvertError.interruption(output) }
            let lengths = zip(batch.featureOffsets, batch.featureOffsets.dropFirst()).map { Int($1 - $0) }
            empty += lengths.count { $0 == 0 }
            rows += lengths.reduce(0, +)
            done += batch.rows
            if done <= builder.rowsDone {
                try builder.skip(batch.rows)
            } else {
                try fill(columns, batch, lengths, names, firstJet: done - batch.rows)
                try builder.append(columns)
            }
            progress(done, loader.jetCount)
        }
        return (empty, rows)
    }

    private func fill(
        _ columns: JetColumns, _ batch: Batch, _ lengths: [Int], _ names: [String], firstJet: Int
    ) throws {
        // Jets without constituents have no rows, so those of the others lie together.
        let jagged = Jagged(lengths: lengths.filter { $0 > 0 }), values = batch.features
        if let place = values.firstIndex(where: { !$0.isFinite }) {
            let row = place / features.features.count
            let jet = batch.featureOffsets.firstIndex { Int($0) > row }.map { $0 - 1 + firstJet } ?? firstJet
            throw ModelError(
                .input, file: dataset, place: "jet \(jet)",
                message: "its feature \(features.features[place % features.features.count].name) is \(values[place])",
                advice: "train the tokenizer with a cut (larger_than, smaller_than) that leaves such constituents out")
        }
        columns.resize(rows: batch.rows, constituents: jagged.rows)
        columns.offsets.base.copyMemory(
            from: UnsafeRawBufferPointer(batch.featureOffsets).baseAddress ?? UnsafeRawPointer(columns.offsets.base),
            byteCount: (batch.rows + 1) * 4)
        if jagged.rows > 0 {
            let x = try Tensor.copy(UnsafeRawBufferPointer(values), [jagged.rows, features.features.count], .float32)
            let codes = try tokenizer.codes(of: x, jagged).integers()
            let target = columns.fields[0].base
            if columns.elementType(of: 0) == .uint16 {
                let out = target.assumingMemoryBound(to: UInt16.self)
                for (place, code) in codes.enumerated() { out[place] = UInt16(clamping: code) }
            } else {
                let out = target.assumingMemoryBound(to: Int32.self)
                for (place, code) in codes.enumerated() { out[place] = Int32(clamping: code) }
            }
        }
        for (index, name) in names.enumerated() {
            guard let bytes = batch.bytes(of: name), bytes.count == columns.byteCount(of: index + 1) else {
                throw ModelError(.input, file: dataset, place: "column \(name)", message: "was not read whole")
            }
            if let source = bytes.baseAddress {
                columns.fields[index + 1].base.copyMemory(from: source, byteCount: bytes.count)
            }
        }
    }
}

extension Batch {
    /// The codes of each jet.
    func codes(file: String) throws -> [[Int64]] {
        guard let bytes = bytes(of: TokenRows.column), let type = elementType(of: TokenRows.column),
            [.uint16, .int32].contains(type)
        else {
            throw ModelError(
                .input, file: file, place: "column \(TokenRows.column)", message: "is not there as codes",
                advice: "make a dataset of tokens with 'omnijet tokenize'")
        }
        return zip(offsets, offsets.dropFirst()).map { first, end in
            (Int(first)..<Int(end)).map { place in
                type == .uint16
                    ? Int64(bytes.load(fromByteOffset: 2 * place, as: UInt16.self))
                    : Int64(bytes.load(fromByteOffset: 4 * place, as: Int32.self))
            }
        }
    }
}

extension LoaderOptions {
    /// All jets in the order of the dataset, none left out.
    static func inOrder(batch: Int, threads: Int) -> LoaderOptions {
        var options = LoaderOptions()
        options.batchSize = batch
        options.shuffle = false
        options.dropLast = false
        // One stream, or a batch would be a part of each.
        options.streams = 1
        options.window = 1
        options.threads = max(1, threads)
        return options
    }
}

extension InputEntry {
    /// A dataset as what others were made of: the bytes of its shards, and its fingerprint.
    init(dataset: String, _ catalogue: Catalogue) {
        self.init(
            name: dataset, bytes: catalogue.bytes, headTailDigest: catalogue.fingerprint, rows: catalogue.rows,
            layout: nil)
    }
}

extension ConvertError {
    static func interruption(_ output: String) -> ConvertError {
        ConvertError(.interrupted, file: output, message: "stopped", advice: "run the same command again to go on")
    }
}
