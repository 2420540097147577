import ArrowIPC
import Foundation
import Support

/// What a dataset is, at a glance: from the catalogue, the index and a few record batches.
///
/// Its JSON keys are the names of the properties; keys without a value are left out.
public struct DatasetSummary: Encodable, Sendable {
    /// Bytes on disk by what they are for.
    public struct Bytes: Encodable, Sendable {
        /// Everything below.
        public var all: Int
        /// All shards.
        public var shards: Int
        /// `dataset.json` and `index.arrow`.
        public var indexAndCatalogue: Int
        /// What `repair` uses.
        public var parity: Int
        /// `all` for each jet.
        public var perJet: Double?
        /// `all` for each constituent.
        public var perConstituent: Double?
        /// Bytes of the inputs; of inputs of which only some rows were taken, their share.
        public var inputs: Int
        /// `all` as a share of `inputs`.
        public var ratio: Double?
    }

    /// A column of the shards.
    public struct Column: Encodable, Sendable {
        public var name: String
        /// The Arrow type.
        public var type: String
        public var role: ColumnRole
        public var unit: String
        /// Stored numbers times this are in `unit`, as are all numbers here.
        public var factor: Double
        public var codec: String
        public var source: String?
        public var description: String
        /// Stored bytes, without an offsets buffer that several columns share.
        public var bytes: Int
        /// Bytes for each jet, or for each constituent if it describes these.
        public var bytesEach: Double?
        /// Part of the shards' bytes.
        public var share: Double?
        /// Values, those that are not finite, range and mean over the whole dataset.
        public var count: Int?
        public var notFinite: Int?
        public var minimum: Double?
        public var maximum: Double?
        public var mean: Double?
        /// From a sample.
        public var histogram: Histogram?
    }

    /// What the histograms are made from.
    public struct Sample: Encodable, Sendable {
        /// Jets that were looked at.
        public var rows: Int
        /// Record batches that were opened.
        public var batches: Int
    }

    /// Values of a field that narrowing does not give back and that are kept beside it.
    public struct Exceptions: Encodable, Sendable {
        public var field: String
        public var count: Int
        /// Part of all constituents.
        public var share: Double?
    }

    /// One split.
    public struct Split: Encodable, Sendable {
        public var name: String
        public var rows: Int
        /// Part of all jets.
        public var share: Double?
    }

    /// An input without what `export` needs.
    public struct Input: Encodable, Sendable {
        public var name: String
        public var bytes: Int
        public var headTailDigest: Digest
        public var rows: Int
        public var firstRow: Int
        public var rowsTaken: Int
    }

    /// Always `dataset`.
    public let kind = "dataset"
    /// The directory as the user named it.
    public var path: String
    /// Its last part.
    public var name: String
    public var rows: Int
    public var constituents: Int
    /// Constituents a jet.
    public var meanConstituents: Double?
    public var batches: Int
    public var bytes: Bytes
    public var columns: [Column]
    public var sample: Sample?
    public var exceptions: [Exceptions]
    public var splits: [Split]
    /// The columns that decide the split.
    public var splitColumns: [String]
    /// Whether their hash does, or the number that they hold.
    public var splitRule: Splits.Rule
    /// The name of the source schema.
    public var schema: String?
    public var command: String
    public var options: [String: String]
    /// Versions of program and libraries that wrote it.
    public var writer: [String: String]
    public var inputs: [Input]
    /// The name of the selection that chose events and jets; nil where all rows were taken.
    public var selection: String?
    public var cutFlow: [CutFlowEntry]
    /// Generated events and their weights, of simulation.
    public var generator: GeneratorSums?
    /// What should be known of the inputs: columns and triggers that they do not have.
    public var remarks: [String]
    /// Jets that have as many constituents as the source has room for.
    public var fullJets: Int
    /// Jets without constituents; 0 too where they were not counted.
    public var emptyJets: Int
    public var missing: [Gap]
    public var shards: [ShardEntry]
    /// Columns whose ranges are in the index.
    public var keys: [String]
    public var encoding: JetEncoding
    public var formatVersion: Int
    public var features: [String]
    public var fingerprint: Digest
    /// What was found wrong while looking; `verify` looks at everything.
    public var problems: [String]

    /// Looks at the dataset in `directory`.
    /// - Parameter names: Columns to look at; nil for all.
    /// - Throws: `DatasetError` if there is no dataset, its catalogue is damaged, or a column is not there.
    public init(directory: String, columns names: [String]? = nil) throws {
        let catalogue = try Dataset.readCatalogue(directory)
        for name in names ?? [] where !catalogue.columns.contains(where: { $0.name == name }) {
            throw DatasetError(
                .usage, file: directory, place: "column \(name)", message: "is not there",
                advice: "it has \(catalogue.columns.map(\.name).joined(separator: ", "))")
        }
        path = directory
        name = URL(fileURLWithPath: directory).lastPathComponent
        rows = catalogue.rows
        constituents = catalogue.constituents
        meanConstituents = Self.quotient(catalogue.constituents, catalogue.rows)
        batches = catalogue.shards.reduce(0) { $0 &+ $1.batches }
        bytes = Self.bytes(catalogue, directory)
        problems = Self.missingFiles(catalogue, directory)

        let wanted = catalogue.columns.filter { names?.contains($0.name) ?? true }
        var sampled: ColumnSample?
        do {
            let dataset = try Dataset(directory: directory, catalogue: catalogue)
            let reader = dataset.makeReader()
            sampled = ColumnSample(
                of: Set(wanted.map(\.name)), batchCount: dataset.batchCount, read: { try reader.read($0) })
            problems += sampled?.problems ?? []
        } catch {
            problems.append("\(error)")
        }
        sample = sampled.map { Sample(rows: $0.rows, batches: $0.batchCount) }
        columns = wanted.map { Self.column($0, catalogue, sampled) }

        exceptions = catalogue.encoding.constituentFields.compactMap { field in
            catalogue.exceptions[field.name].map {
                Exceptions(field: field.name, count: $0, share: Self.quotient($0, catalogue.constituents))
            }
        }
        splits = (catalogue.splits?.parts ?? []).map {
            Split(name: $0.name, rows: $0.rows, share: Self.quotient($0.rows, catalogue.rows))
        }
        splitColumns = catalogue.splits?.columns ?? []
        splitRule = catalogue.splits?.rule ?? .hash
        schema = catalogue.provenance.schema["name"]?.string
        command = catalogue.provenance.command
        options = catalogue.provenance.options
        writer = catalogue.writer
        inputs = catalogue.provenance.inputs.map {
            Input(
                name: $0.name, bytes: $0.bytes, headTailDigest: $0.headTailDigest, rows: $0.rows, firstRow: $0.firstRow,
                rowsTaken: $0.rowsTaken)
        }
        selection = catalogue.provenance.selection?["selection"]?["name"]?.string
        cutFlow = catalogue.cutFlow
        generator = catalogue.generator
        remarks = catalogue.remarks ?? []
        fullJets = catalogue.fullJets
        emptyJets = catalogue.emptyJets ?? 0
        missing = catalogue.missing
        shards = catalogue.shards
        keys = catalogue.keys
        encoding = catalogue.encoding
        formatVersion = catalogue.formatVersion
        features = catalogue.features
        fingerprint = catalogue.fingerprint
    }

    private static func quotient(_ part: Int, _ whole: Int) -> Double? {
        whole > 0 ? Double(part) / Double(whole) : nil
    }

    private static func size(_ path: String) -> Int { (try? InputFile(path: path).size) ?? 0 }

    private static func bytes(_ catalogue: Catalogue, _ directory: String) -> Bytes {
        let small = size("\(directory)/\(Catalogue.fileName)") + catalogue.index.bytes
        let parity =
            catalogue.parity.reduce(0) { $0 &+ $1.bytes } &+ size("\(directory)/\(CatalogueFiles.catalogueCopy)")
        let all = catalogue.bytes + small &+ parity
        let inputs = catalogue.provenance.inputs.reduce(0.0) { sum, input in
            sum + Double(input.bytes) * (quotient(input.rowsTaken, input.rows) ?? 1)
        }
        return Bytes(
            all: all, shards: catalogue.bytes, indexAndCatalogue: small, parity: parity,
            perJet: quotient(all, catalogue.rows), perConstituent: quotient(all, catalogue.constituents),
            inputs: Int(exactly: inputs.rounded()) ?? 0, ratio: inputs > 0 ? Double(all) / inputs : nil)
    }

    /// Shards that are not there or have another size: found without reading them.
    private static func missingFiles(_ catalogue: Catalogue, _ directory: String) -> [String] {
        catalogue.shards.compactMap { shard in
            do {
                let input = try InputFile(path: "\(directory)/\(shard.file)")
                return input.size == shard.bytes
                    ? nil : "\(input.path): \(input.size) bytes, expected \(shard.bytes)"
            } catch {
                return "\(error)"
            }
        }
    }

    private static func column(_ entry: ColumnEntry, _ catalogue: Catalogue, _ sample: ColumnSample?) -> Column {
        let factor = entry.factor
        // Counts of a catalogue that was not made by us may be anything.
        let found = entry.statistics.flatMap { $0.count >= 0 && $0.notFinite >= 0 ? $0 : nil }
        let range = [found?.minimum, found?.maximum].compactMap { $0.map { $0 * factor } }.sorted()
        return Column(
            name: entry.name, type: entry.type, role: entry.role, unit: entry.unit, factor: factor, codec: entry.codec,
            source: entry.source, description: entry.description, bytes: entry.bytes,
            bytesEach: quotient(entry.bytes, entry.role == .constituent ? catalogue.constituents : catalogue.rows),
            share: quotient(entry.bytes, catalogue.bytes), count: found?.count, notFinite: found?.notFinite,
            minimum: range.first, maximum: range.last, mean: found?.mean.map { $0 * factor },
            histogram: sample?.histogram(entry.name, scale: factor))
    }
}
