import ArrowIPC
import Foundation
import Support

/// Writes `index.arrow`, `dataset.json` and their copies: how converting and merging end.
enum CatalogueFiles {
    /// The name of the index.
    static let indexName = "index.arrow"
    /// Where the copies are that mend the two files.
    static let indexCopy = "parity/index.arrow"
    static let catalogueCopy = "parity/dataset.json"

    static func write(
        closing: DatasetWriter.Closing, columns: [ColumnDescription], records: [ShardRecord], directory: String,
        makesCopies: Bool
    ) throws -> Catalogue {
        let batches = records.map(\.batches)
        let index = try BatchIndex(keys: closing.keys, splits: closing.splits?.parts.map(\.name) ?? [], shards: batches)
            .fileBytes()
        let statistics = columns.indices.map { column in
            records.reduce(into: ColumnStatistics()) { sum, record in
                if column < record.statistics.count { sum.merge(record.statistics[column]) }
            }
        }
        let names = closing.encoding.constituentFields.map(\.name)
        var splits = closing.splits
        for part in splits?.parts.indices ?? 0..<0 {
            splits?.parts[part].rows = batches.joined().reduce(0) {
                $0 + ($1.splits.indices.contains(part) ? $1.splits[part] : 0)
            }
        }
        var parity = records.compactMap(\.parity)
        if makesCopies { parity.append(FileEntry(file: indexCopy, bytes: index.count, digest: Digest(of: index))) }
        let catalogue = Catalogue(
            features: closing.features, writer: closing.writer,
            rows: records.reduce(0) { $0 + $1.entry.rows },
            constituents: batches.joined().reduce(0) { $0 + $1.constituents },
            bytes: records.reduce(0) { $0 + $1.entry.bytes },
            columns: zip(columns.indices, columns).map { index, column in
                column.entry(
                    bytes: records.reduce(0) {
                        $0 + ($1.columnBytes.indices.contains(index) ? $1.columnBytes[index] : 0)
                    },
                    statistics: statistics[index])
            },
            encoding: closing.encoding, keys: closing.keys, shards: records.map(\.entry),
            index: FileEntry(file: indexName, bytes: index.count, digest: Digest(of: index)), parity: parity,
            splits: splits, provenance: closing.provenance, cutFlow: closing.cutFlow,
            missing: closing.missing + records.flatMap(\.gaps), generator: closing.generator,
            remarks: closing.remarks.isEmpty ? nil : closing.remarks, fullJets: records.reduce(0) { $0 + $1.fullJets },
            emptyJets: records.reduce(Optional(0)) { sum, record in
                sum.flatMap { sum in record.emptyJets.map { sum + $0 } }
            },
            exceptions: Dictionary(
                uniqueKeysWithValues: names.enumerated().map { index, name in
                    (
                        name,
                        records.reduce(0) { $0 + ($1.exceptions.indices.contains(index) ? $1.exceptions[index] : 0) }
                    )
                }),
            fingerprint: fingerprint(of: batches))
        try publish(catalogue, index: index, directory: directory, makesCopies: makesCopies)
        return catalogue
    }

    /// XXH3-64 over the content digests of all record batches in order.
    static func fingerprint(of shards: [[BatchRecord]]) -> Digest {
        var digest = StreamingDigest()
        for batch in shards.joined() {
            withUnsafeBytes(of: batch.content.value.littleEndian) { digest.update($0) }
        }
        return digest.digest
    }

    /// Index first, copies next, the catalogue last: a reader sees a whole dataset or none.
    static func publish(_ catalogue: Catalogue, index: [UInt8], directory: String, makesCopies: Bool) throws {
        let bytes = try catalogue.fileBytes()
        try OutputFile.write(index, to: "\(directory)/\(indexName)")
        if makesCopies {
            try Directory.make("\(directory)/parity")
            try OutputFile.write(index, to: "\(directory)/\(indexCopy)")
            try OutputFile.write(bytes, to: "\(directory)/\(catalogueCopy)")
        }
        try OutputFile.write(bytes, to: "\(directory)/\(Catalogue.fileName)")
    }
}
