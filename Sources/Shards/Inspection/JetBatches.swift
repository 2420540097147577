import ArrowIPC
import Foundation

/// Record batches of jets, of a whole dataset or of one shard by itself.
struct JetBatches {
    /// The file or directory as the user named it.
    let path: String
    /// How jets are stored.
    let encoding: JetEncoding
    /// The number of the first row of each record batch, and the number of all rows.
    let firstRows: [Int]
    /// The dataset; nil for a shard by itself.
    let dataset: Dataset?
    private let read: (Int) throws -> RecordBatch

    /// The batches of a dataset. Their digests are checked.
    init(_ dataset: Dataset) {
        path = dataset.directory
        encoding = dataset.catalogue.encoding
        firstRows = dataset.firstRows
        self.dataset = dataset
        let reader = dataset.makeReader()
        read = { try reader.read($0) }
    }

    /// The batches of a shard; nil if the file has no (readable) encoding in its schema.
    init?(shard file: ArrowFile, path: String) throws {
        guard let encoding = JetEncoding(schema: file.schema) else { return nil }
        self.path = path
        self.encoding = encoding
        dataset = nil
        firstRows = try file.firstRows(path: path)
        read = { try file.recordBatch($0) }
    }

    /// How many record batches there are.
    var count: Int { firstRows.count - 1 }

    /// A record batch, all of whose columns have as many rows as it says. Valid until the next one is read.
    func batch(_ number: Int) throws -> RecordBatch {
        let batch = try read(number)
        for column in batch.schema.fields.indices { _ = try batch.column(column) }
        guard batch.rowCount == 0 || !batch.schema.fields.isEmpty else {
            throw DatasetError(
                .inconsistent, file: path, place: "record batch \(number)",
                message: "has \(batch.rowCount) rows but no columns")
        }
        return batch
    }

    /// The file that a record batch is in, and its number there.
    func place(ofBatch number: Int) -> (file: String, batch: Int) {
        guard let dataset else { return (path, number) }
        var first = 0
        for (shard, batches) in zip(dataset.catalogue.shards, dataset.index.shards) {
            if number < first + batches.count { return (shard.file, number - first) }
            first += batches.count
        }
        return (path, number)
    }
}

extension ArrowFile {
    /// The number of the first row of each record batch, and the number of all rows. Reads the batches' metadata.
    func firstRows(path: String) throws -> [Int] {
        var firstRows = [0]
        for number in blocks.indices {
            let batch = try recordBatch(number)
            let (next, overflow) = (firstRows.last ?? 0).addingReportingOverflow(batch.rowCount)
            guard !overflow else {
                throw ArrowError(
                    .damaged, file: path, place: "record batch \(number)", message: "claims \(batch.rowCount) rows")
            }
            firstRows.append(next)
        }
        return firstRows
    }
}

extension JetEncoding {
    /// The encoding that a shard's schema carries; nil if it has none that can be read.
    init?(schema: ArrowSchema) {
        guard let text = schema.metadata.first(where: { $0.key == "pando.encoding" })?.value,
            let encoding = try? JSONDecoder().decode(JetEncoding.self, from: Data(text.utf8))
        else { return nil }
        self = encoding
    }
}
