import ArrowIPC
import Shards
import Support

/// Reads record batches into memory. Not Sendable: one thread owns it.
final class StoredReader {
    private let part: DatasetPart
    private let reader: ColumnReader
    /// Shards whose record batches may be used where they lie: all, until one could not.
    private var mayMap: [Bool]
    /// What was read so far.
    private(set) var counts = Counts()

    /// Record batches, their bytes in the shards, and the bytes of their columns.
    struct Counts {
        var batches = 0
        var bytes = 0
        var decoded = 0
    }

    init(part: DatasetPart, checksDigests: Bool) throws {
        self.part = part
        mayMap = part.dataset.catalogue.shards.map { _ in true }
        reader = try ColumnReader(
            dataset: part.dataset, columns: part.selection.stored.columns.map(\.number), checksDigests: checksDigests,
            maps: part.maps)
    }

    /// Says that a record batch will be needed soon.
    func advise(_ batch: Int) {
        // Mapped pages are asked for when they are checked.
        if !mayMap[part.dataset.shardNumber(ofBatch: batch)] { reader.advise(batch) }
    }

    /// Gets a record batch out of the part's store, reading it if it is not there.
    /// - Throws: `DatasetError`, `ArrowError` or `SystemError` that names shard and record batch.
    func pin(_ batch: Int) throws -> LoadedBatch {
        try part.store.pin(batch) { try load(batch, into: $0) }
    }

    private func load(_ batch: Int, into loaded: LoadedBatch) throws {
        let dataset = part.dataset
        let before = reader.bytesRead
        let shard = dataset.shardNumber(ofBatch: batch)
        if let old = loaded.mapped {
            loaded.stored.unmap()
            loaded.mapped = nil
            if part.releasesPages { reader.release(old) }
        }
        if mayMap[shard] { mayMap[shard] = try loaded.stored.map(batch, with: reader, file: part.name(ofBatch: batch)) }
        if mayMap[shard] {
            loaded.mapped = batch
        } else {
            try reader.read(batch)
            try loaded.stored.read(reader, file: part.name(ofBatch: batch))
            counts.decoded += loaded.stored.byteCount
            if part.releasesPages { reader.release(batch) }
        }
        counts.bytes += reader.bytesRead - before
        counts.batches += 1
        loaded.publish(firstRow: dataset.firstRows[batch])
        if let split = part.selection.split { loaded.keep(split.part, of: split.splits, columns: split.columns) }
        let isThere = part.subset.map { loaded.keep($0.chosen[batch]) } ?? true
        guard isThere, loaded.count >= part.rows[batch] else {
            throw DatasetError(
                .inconsistent, file: part.name(ofBatch: batch),
                message: "\(loaded.count) jets take part, which is fewer than the index says",
                advice: "run 'pando verify --lossless \(dataset.directory)'")
        }
    }
}
