import ArrowIPC
import Foundation
import Glibc
import Support

/// Writes a dataset's directory: claim, ledger, shards, and `dataset.json` last.
///
/// Batches come in order, from one thread at a time. Killed at any moment and begun again with the same work, it goes on
/// behind the last finished shard and ends with the same bytes.
///
/// Not Sendable: its owner hands it from thread to thread under a lock.
public final class DatasetWriter {
    /// What decides the bytes of a dataset.
    public struct Configuration: Sendable {
        /// The columns in their order.
        public var columns: [ColumnDescription]
        /// The Arrow schema's metadata.
        public var metadata: [KeyValue]
        /// A shard is closed when it has reached so many bytes.
        public var shardBytes: Int
        /// Whether parity is written.
        public var makesParity: Bool
        /// Identifies inputs, options and versions on one line: what may be continued.
        public var work: String
        /// Says what differs, given the text of the work that was begun before.
        public var explain: @Sendable (String) -> String

        /// A configuration from its parts.
        public init(
            columns: [ColumnDescription], metadata: [KeyValue], shardBytes: Int, makesParity: Bool, work: String,
            explain: @escaping @Sendable (String) -> String
        ) {
            self.columns = columns
            self.metadata = metadata
            self.shardBytes = shardBytes
            self.makesParity = makesParity
            self.work = work
            self.explain = explain
        }

        /// The schema of the shards.
        public var schema: ArrowSchema { ArrowSchema(fields: columns.map(\.field), metadata: metadata) }
    }

    /// The dataset's directory.
    public let directory: String
    /// How many record batches finished shards already hold: where to go on.
    public let batchesDone: Int
    /// Rows of these.
    public let rowsDone: Int
    private let configuration: Configuration
    private let claim: Claim
    private let ledger: Ledger
    private var records: [ShardRecord]
    private var shard: ShardWriter?
    /// How many shards have been begun, with those of an earlier run.
    private var begun: Int
    /// Finished before an earlier one.
    private var early: [Int: ShardRecord] = [:]

    /// Claims `directory`, removes what a killed run left half-written, and finds out where to go on.
    /// - Parameter claim: The claim on the directory, if it was made before (`DatasetWriter.claim`); the writer releases it.
    /// - Throws: `DatasetError` with code `occupied` if the directory holds a dataset, files of somebody else, other
    ///   unfinished work, or is being written by another process; `SystemError` if it cannot be written.
    public init(directory: String, configuration: Configuration, claim: Claim? = nil) throws {
        self.directory = directory
        self.configuration = configuration
        self.claim = try claim ?? Self.claim(directory)
        do {
            for part in ["shards", "ledger"] + (configuration.makesParity ? ["parity"] : []) {
                try Directory.make("\(directory)/\(part)")
            }
            ledger = try Ledger(
                directory: directory, work: configuration.work, explain: configuration.explain,
                isPresent: { Self.isPresent($0, in: directory) })
            records = ledger.records
            begun = records.count
            batchesDone = records.reduce(0) { $0 + $1.entry.batches }
            rowsDone = records.reduce(0) { $0 + $1.entry.rows }
            try Self.removeLeftOvers(in: directory, keeping: records)
        } catch {
            self.claim.release()
            throw error
        }
    }

    /// Claims a directory for a dataset, and makes it if there is none: before the work that leads to a writer, which may take
    /// long.
    /// - Parameters:
    ///   - takeOver: Ignore another process's claim.
    ///   - task: Which task of a conversion is to be done, `3/8`.
    ///   - watch: How long to watch a claim of another host before it is taken over; nil: leave it alone.
    /// - Throws: What `init` throws, for what can be known before the work is.
    public static func claim(
        _ directory: String, takeOver: Bool = false, task: String? = nil, watch: ClaimWatch? = nil
    ) throws -> Claim {
        try checkUse(of: directory)
        try Directory.make(directory)
        let claim = try Claim(directory: directory, force: takeOver, task: task, watch: watch)
        do {
            // Looked at again under the claim: another converter may have finished meanwhile.
            try checkUse(of: directory)
        } catch {
            claim.release()
            throw error
        }
        return claim
    }

    private static func checkUse(of directory: String) throws {
        if Directory.exists("\(directory)/\(Catalogue.fileName)") {
            throw DatasetError(
                .occupied, file: directory, message: "already holds a dataset",
                advice: "choose another name, or remove it first")
        }
        guard Directory.exists(directory) else { return }
        guard let names = try Directory.names(in: directory) else {
            throw DatasetError(
                .occupied, file: directory, message: "is a file, not a directory", advice: "choose another name")
        }
        let ours: Set = ["shards", "ledger", "parity", Claim.fileName, "index.arrow"]
        let others = names.filter { !ours.contains($0) && !$0.hasSuffix(OutputFile.temporarySuffix) }
        if let other = others.first {
            throw DatasetError(
                .occupied, file: directory, message: "is not empty: it holds '\(other)'",
                advice: "choose another name for the dataset")
        }
    }

    /// Whether a shard and its parity are there with their sizes.
    private static func isPresent(_ record: ShardRecord, in directory: String) -> Bool {
        let files = [(record.entry.file, record.entry.bytes)] + (record.parity.map { [($0.file, $0.bytes)] } ?? [])
        return files.allSatisfy { file, bytes in (try? InputFile(path: "\(directory)/\(file)").size) == bytes }
    }

    private static func removeLeftOvers(in directory: String, keeping records: [ShardRecord]) throws {
        let kept = Set(records.flatMap { [$0.entry.file, $0.parity?.file ?? ""] })
        for part in ["shards", "parity"] {
            for name in try Directory.names(in: "\(directory)/\(part)") ?? [] where !kept.contains("\(part)/\(name)") {
                unlink("\(directory)/\(part)/\(name)")
            }
        }
    }

    /// Appends the next record batch.
    /// - Returns: The shard, if it is full now; it is to be finished, which takes a while, and then handed to `add`.
    public func append(_ batch: FinishedBatch, clock: StageClock) throws -> FullShard? {
        clock.enter(.write)
        let current = try shard ?? begin()
        shard = current
        try current.append(batch)
        return current.bytes >= configuration.shardBytes ? takeShard() : nil
    }

    private func begin() throws -> ShardWriter {
        begun += 1
        return try ShardWriter(
            directory: directory, number: begun - 1, schema: configuration.schema,
            makesParity: configuration.makesParity)
    }

    private func takeShard() -> FullShard? {
        defer { shard = nil }
        return shard.map { FullShard(number: begun - 1, writer: $0) }
    }

    /// Takes in a finished shard; the ledger tells of shards in their order.
    public func add(_ shard: FullShard, clock: StageClock) throws {
        clock.enter(.flush)
        early[shard.number] = shard.record
        try claim.check()
        while let record = early.removeValue(forKey: records.count) {
            try ledger.append(record)
            records.append(record)
        }
    }

    /// What the catalogue needs that only the converter knows.
    public struct Closing: Sendable {
        /// Program and libraries.
        public var writer: [String: String]
        /// How jets are stored.
        public var encoding: JetEncoding
        /// Names of the key columns whose ranges the batches carry.
        public var keys: [String]
        /// The split rule; rows are filled in here.
        public var splits: Splits?
        /// Where the jets came from.
        public var provenance: Provenance
        /// Cuts.
        public var cutFlow: [CutFlowEntry]
        /// Inputs that could not be read at all.
        public var missing: [Gap]
        /// Features of the format in use.
        public var features: [String]
        /// Sums of generator weights, of simulation.
        public var generator: GeneratorSums?
        /// What should be known of the inputs.
        public var remarks: [String]

        /// A closing from its parts.
        public init(
            writer: [String: String], encoding: JetEncoding, keys: [String], splits: Splits?, provenance: Provenance,
            cutFlow: [CutFlowEntry], missing: [Gap], features: [String], generator: GeneratorSums? = nil,
            remarks: [String] = []
        ) {
            self.generator = generator
            self.remarks = remarks
            self.writer = writer
            self.encoding = encoding
            self.keys = keys
            self.splits = splits
            self.provenance = provenance
            self.cutFlow = cutFlow
            self.missing = missing
            self.features = features
        }
    }

    /// Closes the last shard, writes index and catalogue, and gives the directory up.
    public func finish(_ closing: Closing, clock: StageClock) throws -> Catalogue {
        // A dataset without rows still has a shard, so that a reader finds the schema.
        if shard == nil, records.isEmpty { shard = try begin() }
        if let last = takeShard() {
            try last.finish(clock)
            try add(last, clock: clock)
        }
        clock.enter(.write)
        try claim.check()
        let catalogue = try CatalogueFiles.write(
            closing: closing, columns: configuration.columns, records: records, directory: directory,
            makesCopies: configuration.makesParity)
        try Self.removeLedger(in: directory)
        claim.release()
        return catalogue
    }

    private static func removeLedger(in directory: String) throws {
        unlink("\(directory)/ledger/shards.jsonl")
        rmdir("\(directory)/ledger")
        try Directory.flush(directory)
    }

    /// Removes what a run that was killed behind its last step, the catalogue, left in a finished dataset.
    public static func tidy(_ directory: String) throws {
        let leftOvers = ["ledger", Claim.fileName]
        guard Directory.exists("\(directory)/\(Catalogue.fileName)"),
            leftOvers.contains(where: { Directory.exists("\(directory)/\($0)") })
        else { return }
        let claim = try Claim(directory: directory)
        defer { claim.release() }
        try removeLedger(in: directory)
    }

    /// Gives the directory up; finished shards stay for the next run.
    /// - Parameter removesEmpty: Removes the directory if it has none, so that it does not stand in the way of other work.
    public func abandon(removesEmpty: Bool = false) {
        shard = nil
        if removesEmpty, records.isEmpty {
            try? Self.removeLedger(in: directory)
            for part in ["shards", "parity"] { rmdir("\(directory)/\(part)") }
        }
        claim.release()
        // Fails, as it should, if there is anything in it.
        if removesEmpty { rmdir(directory) }
    }
}
