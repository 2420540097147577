import Shards
import Support

/// A dataset that batches are drawn from: what is read of it, and which of its rows take part.
final class DatasetPart: Sendable {
    let dataset: Dataset
    let selection: ContentSelection
    let subset: Subset?
    /// Rows of each record batch that take part.
    let rows: [Int]
    let store: BatchStore
    /// Shards that are used where they lie.
    let maps: MappedShards
    /// Whether the page cache is told to drop what was read: for datasets that it could not keep for the next epoch anyway.
    let releasesPages: Bool
    /// The largest record batch.
    let largest: BatchSize
    /// More than nearly all batches have.
    let batch: BatchSize

    /// - Throws: `LoaderError` for names that are not there, a shard that is missing, and nothing to load.
    init(dataset: Dataset, contents: LoaderContents, options: LoaderOptions) throws {
        self.dataset = dataset
        let directory = dataset.directory
        selection = try ContentSelection(dataset: dataset, contents: contents, split: options.split)
        let part = options.split.flatMap { name in dataset.index.splits.firstIndex(of: name) }
        let taking = try (0..<dataset.batchCount).map { batch in
            let record = dataset.record(ofBatch: batch)
            guard options.split != nil else { return record.rows }
            guard let part, record.splits.indices.contains(part) else {
                throw LoaderError(
                    .options, file: directory, message: "its index does not know the split '\(options.split ?? "")'")
            }
            return record.splits[part]
        }
        subset = options.limit.map { Subset(rows: taking, limit: $0, seed: options.limitSeed) }
        rows = subset?.rows ?? taking
        for shard in dataset.catalogue.shards {
            let path = "\(directory)/\(shard.file)"
            guard Directory.fileSize(path) == shard.bytes else {
                throw LoaderError(
                    .data, file: path, message: "is missing or has another size than the \(shard.bytes) bytes recorded",
                    advice: "run 'pando repair \(directory)'")
            }
        }
        maps = MappedShards(dataset: dataset)
        let bytes = dataset.catalogue.shards.reduce(0) { $0 + $1.bytes }
        releasesPages = options.releasesPages ?? (bytes > Machine.memory / 2)
        let records = (0..<dataset.batchCount).map { dataset.record(ofBatch: $0) }
        largest = BatchSize(
            rows: records.map(\.rows).max() ?? 0, constituents: records.map(\.constituents).max() ?? 0)
        // The sum over a batch varies far less than single jets do.
        let rows = options.batchSize / options.worldSize
        let mean =
            Double(records.reduce(0) { $0 + $1.constituents }) / Double(max(1, records.reduce(0) { $0 + $1.rows }))
        batch = BatchSize(rows: rows, constituents: Int(1.5 * mean * Double(rows)) + 2048)
        store = BatchStore(
            batches: dataset.batchCount, capacity: options.storeCapacity(batches: dataset.batchCount), largest: largest,
            selection: selection.stored)
    }

    /// Jets that take part.
    var jetCount: Int { rows.reduce(0, +) }

    /// Shard and record batch, in words for errors.
    func name(ofBatch batch: Int) -> String {
        "\(dataset.directory)/\(dataset.shard(ofBatch: batch).file), \(dataset.place(ofBatch: batch))"
    }
}
