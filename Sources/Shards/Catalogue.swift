import Foundation
import Support

/// `dataset.json`: what a dataset is, without opening a shard.
public struct Catalogue: Codable, Sendable {
    /// The newest format that this program reads and the one that it writes.
    public static let currentVersion = 1
    /// The name of the file.
    public static let fileName = "dataset.json"

    /// Always `pando`.
    public var format = "pando"
    /// Version of the format; a reader refuses a newer one.
    public var formatVersion = Catalogue.currentVersion
    /// Features that a reader must know to read the dataset rightly.
    public var features: [String]
    /// Program and libraries that wrote it; the same versions give the same bytes.
    public var writer: [String: String]
    /// Jets.
    public var rows: Int
    /// Constituents of all jets.
    public var constituents: Int
    /// Bytes of all shards.
    public var bytes: Int
    /// Columns of the shards in their order.
    public var columns: [ColumnEntry]
    /// How jets are stored.
    public var encoding: JetEncoding
    /// Columns whose range in each record batch is in the index.
    public var keys: [String]
    /// Shards in row order.
    public var shards: [ShardEntry]
    /// The file with one row a record batch.
    public var index: FileEntry
    /// Files that `repair` uses; absent with `--no-parity`.
    public var parity: [FileEntry]
    /// How jets are divided between training, validation and test.
    public var splits: Splits?
    /// Where the jets came from and how.
    public var provenance: Provenance
    /// Cuts in their order with what was left after each.
    public var cutFlow: [CutFlowEntry]
    /// What the inputs held and the dataset does not.
    public var missing: [Gap]
    /// Generated events and their weights, of simulation.
    public var generator: GeneratorSums?
    /// What should be known of the inputs: columns and triggers that they do not have.
    public var remarks: [String]?
    /// Jets that have as many constituents as the source has slots, and so may have been cut by its producer.
    public var fullJets: Int
    /// Jets without constituents, which no model can take; nil in datasets of programs that did not count them.
    public var emptyJets: Int?
    /// Exceptions by constituent field: values that narrowing does not give back and that are kept beside.
    public var exceptions: [String: Int]
    /// XXH3-64 over the content digests of all record batches: identifies the jets, whatever the compression.
    public var fingerprint: Digest
    /// XXH3-64 of this file with these 16 digits written as zeros.
    public var digest = Digest(value: 0)
}

/// A file of the dataset with what guards it.
public struct FileEntry: Codable, Sendable, Equatable {
    /// The path relative to the dataset's directory.
    public var file: String
    /// Its size.
    public var bytes: Int
    /// XXH3-64 of all its bytes (`xxhsum -H3` prints it).
    public var digest: Digest
}

/// One shard.
public struct ShardEntry: Codable, Sendable, Equatable {
    /// The path relative to the dataset's directory.
    public var file: String
    /// Its size.
    public var bytes: Int
    /// XXH3-64 of all its bytes.
    public var digest: Digest
    /// Jets in it.
    public var rows: Int
    /// Record batches in it.
    public var batches: Int
    /// Added to the shard's column `source` it gives the number of the input in `provenance`.
    public var sourceOffset: Int
    /// Bytes before the first record batch, and their digest.
    public var head: Section
    /// Bytes behind the last record batch (the footer), and their digest.
    public var tail: Section

    /// A stretch of a file under one digest.
    public struct Section: Codable, Sendable, Equatable {
        /// Its length.
        public var bytes: Int
        /// XXH3-64 of it.
        public var digest: Digest
    }
}

/// A column of the shards.
public struct ColumnEntry: Codable, Sendable {
    /// The name.
    public var name: String
    /// The Arrow type, for example `list<float16>`.
    public var type: String
    /// What it describes.
    public var role: ColumnRole
    /// The unit of the value times `scale`; `1` if it has none.
    public var unit: String
    /// Multiply the stored number with this to have it in `unit`; a decimal number or fraction, absent for 1.
    public var scale: String?
    /// What it means.
    public var description: String
    /// `exact`, `narrow`, `lattice`, `residual`, `exception` or `derived`.
    public var codec: String
    /// The dataset and column of the source, for example `PFCands[4]`.
    public var source: String?
    /// Bytes in the shards, without a shared offsets buffer.
    public var bytes: Int
    /// Numbers over all values as stored.
    public var statistics: ColumnStatistics?
}

/// Smallest, largest and mean value of a column.
public struct ColumnStatistics: Codable, Sendable, Equatable {
    /// How many values there are.
    public var count = 0
    /// The smallest finite one.
    public var minimum: Double?
    /// The largest finite one.
    public var maximum: Double?
    /// The sum of the finite ones.
    public var sum = 0.0
    /// How many are NaN or infinite.
    public var notFinite = 0

    /// Nothing seen yet.
    public init() {}

    /// The mean of the finite values.
    public var mean: Double? { count > notFinite ? sum / Double(count - notFinite) : nil }

    /// Takes in what was found in another part.
    public mutating func merge(_ other: ColumnStatistics) {
        count += other.count
        notFinite += other.notFinite
        sum += other.sum
        if let low = other.minimum { minimum = min(minimum ?? low, low) }
        if let high = other.maximum { maximum = max(maximum ?? high, high) }
    }
}

/// The rule that divides jets into splits: all jets of an event are in the same one.
public struct Splits: Codable, Sendable, Equatable {
    /// How the numbers of an event tell its part.
    public enum Rule: String, Codable, Sendable {
        /// By their hash.
        case hash
        /// The number is that of the part: the inputs were divided already.
        case value
    }

    /// The rule; absent for `hash`.
    public var rule: Rule?
    /// The columns whose little-endian 64-bit values are hashed one after the other with XXH3-64, or the one that holds the part.
    public var columns: [String]
    /// Names with the upper ends of their part of the hash's range 0..<1, in rising order.
    public var parts: [Part]

    /// One split.
    public struct Part: Codable, Sendable, Equatable {
        /// `train`, `val` or `test`.
        public var name: String
        /// Jets whose hash / 2^64 is below this, and not below that of the part before.
        public var below: Double
        /// How many jets it has.
        public var rows: Int

        /// A part from its parts.
        public init(name: String, below: Double, rows: Int) {
            self.name = name
            self.below = below
            self.rows = rows
        }
    }

    /// Splits that hash these columns.
    public init(columns: [String], parts: [Part], rule: Rule? = nil) {
        self.columns = columns
        self.parts = parts
        self.rule = rule
    }

    /// The number of the split for the numbers of an event.
    public func part(of event: [UInt64]) -> Int {
        event.withUnsafeBytes { part(ofEvent: $0) }
    }

    /// The number of the part for the bytes of an event's numbers one after the other.
    public func part(ofEvent bytes: UnsafeRawBufferPointer) -> Int {
        if rule == .value {
            let number = bytes.count >= 8 ? bytes.loadUnaligned(as: UInt64.self).littleEndian : 0
            return Int(min(number, UInt64(max(0, parts.count - 1))))
        }
        let hash = Digest(of: bytes).value
        // 53 bits suffice and make the fraction exact.
        let fraction = Double(hash >> 11) * 0x1p-53
        return parts.firstIndex { fraction < $0.below } ?? max(0, parts.count - 1)
    }
}

/// Where a dataset came from.
public struct Provenance: Codable, Sendable {
    /// What was done, for example `convert`.
    public var command: String
    /// The options that decide the result, as text.
    public var options: [String: String]
    /// The source schema in full.
    public var schema: JSONValue
    /// The inputs in the order of the column `source`.
    public var inputs: [InputEntry]
    /// How events and jets were chosen, in full; absent where all rows were taken.
    public var selection: JSONValue?

    /// A provenance from its parts.
    public init(
        command: String, options: [String: String], schema: JSONValue, inputs: [InputEntry], selection: JSONValue? = nil
    ) {
        self.command = command
        self.options = options
        self.schema = schema
        self.inputs = inputs
        self.selection = selection
    }
}

/// One input file.
public struct InputEntry: Codable, Sendable, Equatable {
    /// The file as the user named it.
    public var name: String
    /// Its size.
    public var bytes: Int
    /// XXH3-64 of its first and last 64 KiB.
    public var headTailDigest: Digest
    /// Rows in it.
    public var rows: Int
    /// The rows that were taken: from this one ...
    public var firstRow: Int
    /// ... this many.
    public var rowsTaken: Int
    /// What `export` needs to write the file again: datasets with shape, type, chunks and filters.
    public var layout: JSONValue?

    /// An entry for a whole file.
    public init(name: String, bytes: Int, headTailDigest: Digest, rows: Int, layout: JSONValue?) {
        self.name = name
        self.bytes = bytes
        self.headTailDigest = headTailDigest
        self.rows = rows
        firstRow = 0
        rowsTaken = rows
        self.layout = layout
    }
}

/// Generated events of simulation and their weights (the tree `Runs` of NanoAOD).
public struct GeneratorSums: Codable, Sendable, Equatable {
    /// Events that were generated.
    public var events: Int64
    /// The sum of their weights.
    public var sumOfWeights: Double
    /// The sum of the squares of these.
    public var sumOfSquaredWeights: Double
    /// The sum over the jets that were taken of the weights of their events.
    public var selectedSumOfWeights: Double
    /// The sum of the squares of these.
    public var selectedSumOfSquaredWeights: Double
    /// The particle that jets were matched with: `top`, `W`, `Z` or `H`; absent if they were not.
    public var match: String?

    /// Sums from their parts.
    public init(
        events: Int64 = 0, sumOfWeights: Double = 0, sumOfSquaredWeights: Double = 0, selectedSumOfWeights: Double = 0,
        selectedSumOfSquaredWeights: Double = 0, match: String? = nil
    ) {
        self.events = events
        self.sumOfWeights = sumOfWeights
        self.sumOfSquaredWeights = sumOfSquaredWeights
        self.selectedSumOfWeights = selectedSumOfWeights
        self.selectedSumOfSquaredWeights = selectedSumOfSquaredWeights
        self.match = match
    }

    /// Takes in those of another file.
    public mutating func add(_ other: GeneratorSums) {
        events &+= other.events
        sumOfWeights += other.sumOfWeights
        sumOfSquaredWeights += other.sumOfSquaredWeights
        selectedSumOfWeights += other.selectedSumOfWeights
        selectedSumOfSquaredWeights += other.selectedSumOfSquaredWeights
        match = match ?? other.match
    }
}

/// A cut and what was left after it.
public struct CutFlowEntry: Codable, Sendable, Equatable {
    /// The cut.
    public var name: String
    /// Events or jets that passed.
    public var passed: Int
    /// The name of the last entry: the jets of the dataset.
    public static let taken = "jets taken"

    /// An entry from its parts.
    public init(name: String, passed: Int) {
        self.name = name
        self.passed = passed
    }
}

/// Rows that are missing, and why.
public struct Gap: Codable, Sendable, Equatable {
    /// The input.
    public var input: String
    /// The first row that is missing; nil if the whole file is.
    public var firstRow: Int?
    /// How many rows are missing; nil if nobody knows.
    public var rows: Int?
    /// Why.
    public var reason: String

    /// A gap from its parts.
    public init(input: String, firstRow: Int?, rows: Int?, reason: String) {
        self.input = input
        self.firstRow = firstRow
        self.rows = rows
        self.reason = reason
    }
}
