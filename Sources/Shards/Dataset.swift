import ArrowIPC
import Foundation
import Support

/// A dataset opened for reading, from any number of threads.
///
/// Opening reads `dataset.json` and `index.arrow` and checks both; shards are opened when a batch of theirs is read, and
/// every batch's digest is checked before it is handed out.
public final class Dataset: Sendable {
    /// The dataset's directory.
    public let directory: String
    /// What the dataset says of itself.
    public let catalogue: Catalogue
    /// Where the record batches are.
    public let index: BatchIndex
    /// The number of the first row of each record batch, and the number of all rows.
    public let firstRows: [Int]
    /// The columns as all shards store them.
    public let schema: ArrowSchema
    private let places: [(shard: Int, batch: Int)]
    private let openShards = OpenShards()

    /// Opens the dataset in `directory`.
    /// - Throws: `DatasetError`: `notADataset` if there is none or its conversion has not finished, `damaged` if catalogue
    ///   or index are not as written; `SystemError`, `ArrowError`.
    public convenience init(directory: String) throws {
        try self.init(directory: directory, catalogue: Self.readCatalogue(directory))
    }

    /// Opens a dataset whose catalogue was read before.
    init(directory: String, catalogue: Catalogue) throws {
        self.directory = directory
        self.catalogue = catalogue
        index = try Self.readIndex(directory, catalogue)
        var places: [(Int, Int)] = []
        var firstRows = [0]
        for (shard, batches) in index.shards.enumerated() {
            for (number, batch) in batches.enumerated() {
                places.append((shard, number))
                firstRows.append((firstRows.last ?? 0) + batch.rows)
            }
        }
        self.places = places
        self.firstRows = firstRows
        schema = try Self.readSchema(directory, catalogue)
    }

    /// The schema of all shards, from the first footer that is as it was written.
    private static func readSchema(_ directory: String, _ catalogue: Catalogue) throws -> ArrowSchema {
        var failure: (any Error)?
        for shard in catalogue.shards {
            let path = "\(directory)/\(shard.file)"
            do {
                let file = try InputFile(path: path)
                let digest = Digest(of: try file.read(at: file.size - shard.tail.bytes, count: shard.tail.bytes))
                guard file.size == shard.bytes, digest == shard.tail.digest else {
                    throw DatasetError(
                        .damaged, file: path, place: "footer",
                        message: "digest \(digest), expected \(shard.tail.digest)",
                        advice: "run 'pando repair \(directory)'")
                }
                return try ArrowFile(path: path).schema
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return ArrowSchema(fields: [])
    }

    /// The catalogue of the dataset in a directory, without its index or shards.
    /// - Throws: `DatasetError` if there is no dataset, or its catalogue is damaged.
    public static func readCatalogue(_ directory: String) throws -> Catalogue {
        let path = "\(directory)/\(Catalogue.fileName)"
        guard Directory.exists(path) else {
            guard Directory.isDirectory(directory) else {
                throw DatasetError(
                    .notADataset, file: directory,
                    message: Directory.exists(directory) ? "is a file, not a dataset" : "no such dataset")
            }
            let unfinished = Directory.exists("\(directory)/ledger")
            throw DatasetError(
                .notADataset, file: directory,
                message: unfinished
                    ? "its conversion has not finished" : "is a directory without \(Catalogue.fileName)",
                advice: unfinished ? "run the same 'pando convert' again to finish it" : nil)
        }
        return try Catalogue(fileBytes: InputFile(path: path).readAll(limit: 1 << 28), path: path)
    }

    static func readIndex(_ directory: String, _ catalogue: Catalogue) throws -> BatchIndex {
        let path = "\(directory)/\(catalogue.index.file)"
        let bytes = try InputFile(path: path).readAll()
        try check(bytes, catalogue.index, path)
        let index = try BatchIndex(fileBytes: bytes, path: path, shardCount: catalogue.shards.count)
        for (shard, batches) in zip(catalogue.shards, index.shards)
        where batches.count != shard.batches || batches.reduce(0, { $0 + $1.rows }) != shard.rows {
            throw DatasetError(
                .inconsistent, file: path, place: shard.file, message: "its rows do not fit the catalogue's",
                advice: "run 'pando repair' on the dataset")
        }
        return index
    }

    static func check(_ bytes: [UInt8], _ entry: FileEntry, _ path: String) throws {
        let digest = Digest(of: bytes)
        guard bytes.count == entry.bytes, digest == entry.digest else {
            throw DatasetError(
                .damaged, file: path,
                message: "\(bytes.count) bytes with digest \(digest), expected \(entry.bytes) with \(entry.digest)",
                advice: "run 'pando repair' on the dataset")
        }
    }

    /// How many record batches there are.
    public var batchCount: Int { places.count }

    /// What the index says of a record batch.
    public func record(ofBatch batch: Int) -> BatchRecord {
        index.shards[places[batch].shard][places[batch].batch]
    }

    /// The shard that a record batch is in.
    public func shard(ofBatch batch: Int) -> ShardEntry { catalogue.shards[places[batch].shard] }

    /// The number of the shard that a record batch is in.
    public func shardNumber(ofBatch batch: Int) -> Int { places[batch].shard }

    /// A shard, opened or still open; its size must be the catalogue's.
    func openShard(_ number: Int) throws -> InputFile {
        try openShards.file(number) { try openAnew(number) }
    }

    private func openAnew(_ number: Int) throws -> InputFile {
        let shard = catalogue.shards[number], path = "\(directory)/\(shard.file)"
        let input = try InputFile(path: path)
        guard input.size == shard.bytes else {
            throw DatasetError(
                .damaged, file: path, message: "\(input.size) bytes, expected \(shard.bytes)",
                advice: "run 'pando repair \(directory)'")
        }
        return input
    }

    /// Where a record batch is, in words for errors: `record batch 7`.
    public func place(ofBatch batch: Int) -> String { "record batch \(places[batch].batch)" }

    /// Reads record batches one after another; one worker owns it.
    /// - Parameter checksDigests: Whether each batch's digest is checked before it is handed out.
    public func makeReader(checksDigests: Bool = true) -> BatchReader {
        BatchReader(dataset: self, schema: schema, checksDigests: checksDigests)
    }
}

/// Reads record batches of a dataset into its own memory, checking their digests.
///
/// Not Sendable: one worker owns it.
public final class BatchReader {
    private let dataset: Dataset
    private let schema: ArrowSchema
    private let memory = AlignedBuffer()
    private var open: (file: String, input: InputFile)?

    private let checksDigests: Bool

    fileprivate init(dataset: Dataset, schema: ArrowSchema, checksDigests: Bool) {
        self.checksDigests = checksDigests
        self.dataset = dataset
        self.schema = schema
    }

    /// Reads a record batch. It lies in the reader's memory and is valid until the next one is read.
    /// - Throws: `DatasetError` with code `damaged` if its bytes are not those that were written; `SystemError`,
    ///   `ArrowError`.
    public func read(_ number: Int) throws -> RecordBatch {
        let record = dataset.record(ofBatch: number), shard = dataset.shard(ofBatch: number)
        let path = "\(dataset.directory)/\(shard.file)"
        let input = try file(path, dataset.shardNumber(ofBatch: number))
        guard record.offset + record.bytes <= input.size else {
            throw DatasetError(
                .damaged, file: path, place: dataset.place(ofBatch: number),
                message: "lies at bytes \(record.offset)..<\(record.offset + record.bytes) of a file of \(input.size)",
                advice: "run 'pando repair \(dataset.directory)'")
        }
        memory.reserve(record.bytes)
        try input.read(at: record.offset, into: UnsafeMutableRawBufferPointer(start: memory.base, count: record.bytes))
        if checksDigests { try checkDigest(number, record, path) }
        let batch = try RecordBatch(
            message: memory.bytes(record.bytes), schema: schema, file: path, place: dataset.place(ofBatch: number))
        guard batch.rowCount == record.rows else {
            throw DatasetError(
                .inconsistent, file: path, place: dataset.place(ofBatch: number),
                message: "\(batch.rowCount) rows, expected \(record.rows)")
        }
        return batch
    }

    private func checkDigest(_ number: Int, _ record: BatchRecord, _ path: String) throws {
        let digest = Digest(of: memory.bytes(record.bytes))
        guard digest == record.digest else {
            throw DatasetError(
                .damaged, file: path, place: dataset.place(ofBatch: number),
                message: "digest \(digest), expected \(record.digest)",
                advice: "run 'pando repair \(dataset.directory)'")
        }
    }

    private func file(_ path: String, _ shard: Int) throws -> InputFile {
        if let open, open.file == path { return open.input }
        let input = try dataset.openShard(shard)
        open = (path, input)
        return input
    }
}
