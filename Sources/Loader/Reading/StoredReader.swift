import ArrowIPC
import Shards
import Support

/// Reads record batches into memory. Not Sendable: one thread owns it.
final class StoredReader {
    private let part: DatasetPart
    private let reader: BatchReader
    private let decoder = BodyDecoder()
    /// What was read so far.
    private(set) var counts = Counts()

    /// Record batches, their bytes in the shards, and the bytes of their columns.
    struct Counts {
        var batches = 0
        var bytes = 0
        var decoded = 0
    }

    init(part: DatasetPart, checksDigests: Bool) {
        self.part = part
        reader = part.dataset.makeReader(checksDigests: checksDigests)
    }

    /// Gets a record batch out of the part's store, reading it if it is not there.
    /// - Throws: `DatasetError`, `ArrowError` or `SystemError` that names shard and record batch.
    func pin(_ batch: Int) throws -> LoadedBatch {
        try part.store.pin(batch) { try load(batch, into: $0) }
    }

    private func load(_ batch: Int, into loaded: LoadedBatch) throws {
        let dataset = part.dataset, file = part.name(ofBatch: batch)
        try loaded.stored.read(reader.read(batch), using: decoder, file: file)
        counts.bytes += dataset.record(ofBatch: batch).bytes
        counts.batches += 1
        counts.decoded += loaded.stored.byteCount
        loaded.publish(firstRow: dataset.firstRows[batch])
        if let split = part.selection.split { loaded.keep(split.part, of: split.splits, columns: split.columns) }
        let isThere = part.subset.map { loaded.keep($0.chosen[batch]) } ?? true
        guard isThere, loaded.count >= part.rows[batch] else {
            throw DatasetError(
                .inconsistent, file: file,
                message: "\(loaded.count) jets take part, which is fewer than the index says",
                advice: "run 'pando verify --lossless \(dataset.directory)'")
        }
    }
}
