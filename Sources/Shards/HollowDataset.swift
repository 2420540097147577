import ArrowIPC
import Glibc
import Support

/// A dataset most of whose record batches are holes in sparse files: for trying how plans, searches and merges go at a size that
/// nobody has at hand.
///
/// Catalogue, index, heads and footers are made by the code that makes those of conversions. Each record batch has the size, the
/// rows and the number of parts of a real one, and only every n-th its bytes: the others have digests that no bytes have. So a
/// reader can open the dataset and look at some record batches; `verify` finds that the others are not there.
package struct HollowDataset {
    /// Real datasets of the same columns and encoding, which have record batches of all lengths that are asked for.
    package var seeds: [Dataset]
    /// Record batches of which one has its bytes: the first of each that many, counted over all parts of a dataset.
    package var stride: Int
    private let known: [Int: [(seed: Int, batch: Int)]]

    /// - Throws: `DatasetError` with code `usage` for no seeds, `inconsistent` if these differ in their columns.
    package init(seeds: [Dataset], stride: Int) throws {
        guard let first = seeds.first else {
            throw DatasetError(.usage, file: "", message: "no dataset to take record batches from")
        }
        for other in seeds
        where other.catalogue.columns.map({ [$0.name, $0.type] })
            != first.catalogue.columns.map({ [$0.name, $0.type] })
            || other.catalogue.encoding != first.catalogue.encoding
        {
            throw DatasetError(
                .inconsistent, file: other.directory, message: "has other columns than \(first.directory)")
        }
        self.seeds = seeds
        self.stride = max(1, stride)
        var known: [Int: [(seed: Int, batch: Int)]] = [:]
        for (number, seed) in seeds.enumerated() {
            for batch in 0..<seed.batchCount {
                known[seed.record(ofBatch: batch).rows, default: []].append((number, batch))
            }
        }
        self.known = known
    }

    /// Writes a dataset.
    /// - Parameters:
    ///   - directory: A directory that does not exist.
    ///   - shards: For each shard the jets of its record batches.
    ///   - first: The number of the first record batch among those of all parts: decides which ones have bytes, and all digests.
    ///   - inputs: What the provenance says of the inputs.
    ///   - options: Options of the provenance beside those of the seed, such as `task`.
    /// - Throws: `DatasetError` with code `usage` if no seed has a record batch of some length, what reading the seeds and writing throw.
    package func write(
        to directory: String, shards: [[Int]], first: Int, inputs: [InputEntry], options: [String: String]
    ) throws -> Catalogue {
        let seed = seeds[0].catalogue
        try Directory.make(directory)
        for part in ["shards", "parity"] { try Directory.make("\(directory)/\(part)") }
        var records: [ShardRecord] = [], number = first
        for (index, batches) in shards.enumerated() {
            records.append(try shard(index, batches, first: number, in: directory))
            number += batches.count
        }
        var own = seed.provenance
        own.inputs = inputs
        own.options["limit"] = nil
        own.options.merge(options) { $1 }
        let rows = records.reduce(0) { $0 + $1.entry.rows }
        return try CatalogueFiles.write(
            closing: .init(
                writer: seed.writer, encoding: seed.encoding, keys: seed.keys, splits: seed.splits, provenance: own,
                cutFlow: [
                    CutFlowEntry(name: "jets in the inputs", passed: inputs.reduce(0) { $0 + $1.rows }),
                    CutFlowEntry(name: CutFlowEntry.taken, passed: rows),
                ], missing: [], features: seed.features),
            columns: try columns(), records: records, directory: directory, makesCopies: true)
    }

    /// The columns as a writer describes them.
    private func columns() throws -> [ColumnDescription] {
        try zip(seeds[0].schema.fields, seeds[0].catalogue.columns).map { field, entry in
            guard field.name == entry.name else {
                throw DatasetError(
                    .inconsistent, file: seeds[0].directory, place: "column \(entry.name)",
                    message: "is not in the shards")
            }
            return ColumnDescription(
                name: entry.name, type: field.type, role: entry.role, unit: entry.unit, scale: entry.scale,
                description: entry.description, codec: entry.codec, source: entry.source)
        }
    }

    private func shard(_ index: Int, _ batches: [Int], first: Int, in directory: String) throws -> ShardRecord {
        let schema = seeds[0].schema, catalogue = seeds[0].catalogue
        let name = String(String(100_000 + index).dropFirst())
        let file = try SparseFile(path: "\(directory)/shards/\(name).arrow")
        let head = ArrowFileLayout.head(schema)
        try file.write(head, at: 0)
        var records: [BatchRecord] = [], end = head.count
        for (place, rows) in batches.enumerated() {
            let number = first + place
            guard let candidates = known[rows] else {
                throw DatasetError(
                    .usage, file: directory, message: "no seed has a record batch of \(rows) jets",
                    advice: "they have \(known.keys.sorted())")
            }
            let (seed, batch) = candidates[number % candidates.count]
            var record = seeds[seed].record(ofBatch: batch)
            if number % stride == 0 {
                let input = try seeds[seed].openShard(seeds[seed].shardNumber(ofBatch: batch))
                try file.write(try input.read(at: record.offset, count: record.bytes), at: end)
            } else {
                record = Self.hollow(record, number: number)
            }
            record.offset = end
            end += record.bytes
            records.append(record)
        }
        let tail = try ShardWriter.tail(schema: schema, batches: records)
        try file.write(tail, at: end)
        try file.close()
        let rows = batches.reduce(0, +), bytes = end + tail.count
        func share(_ number: Int) -> Int { Int(Double(number) * Double(rows) / Double(max(1, catalogue.rows))) }
        // Of each block a digest, of each 32 blocks one of parity.
        let parity = FileEntry(
            file: "parity/\(name).par", bytes: 40 + (bytes / Parity.blockSize + 1) * (8 + Parity.blockSize / 32),
            digest: Self.digest(first, 1))
        let sparse = try SparseFile(path: "\(directory)/\(parity.file)")
        try sparse.write([0], at: parity.bytes - 1)
        try sparse.close()
        return ShardRecord(
            entry: ShardEntry(
                file: "shards/\(name).arrow", bytes: bytes, digest: Self.digest(first, 0), rows: rows,
                batches: batches.count, sourceOffset: 0, head: .init(bytes: head.count, digest: Digest(of: head)),
                tail: .init(bytes: tail.count, digest: Digest(of: tail))),
            batches: records, parity: parity,
            statistics: catalogue.columns.map { column in
                var found = column.statistics ?? ColumnStatistics()
                found.count = share(found.count)
                found.notFinite = share(found.notFinite)
                found.sum *= Double(rows) / Double(max(1, catalogue.rows))
                return found
            },
            columnBytes: catalogue.columns.map { share($0.bytes) }, gaps: [],
            exceptions: catalogue.encoding.constituentFields.map { share(catalogue.exceptions[$0.name] ?? 0) },
            fullJets: share(catalogue.fullJets), emptyJets: 0)
    }

    /// The record of a batch without bytes: numbers that differ from batch to batch as those of real ones do, so that the index does
    /// not compress better than theirs.
    private static func hollow(_ seed: BatchRecord, number: Int) -> BatchRecord {
        var record = seed
        record.digest = digest(number, 2)
        record.content = digest(number, 3)
        record.parts = seed.parts.indices.map { digest(number, 4 + UInt64($0)) }
        record.keys = seed.keys.enumerated().map { index, range in
            let shift = digest(number, 1000 + UInt64(index)).value
            switch range {
            case .integer(let low, let high): return .integer(low, high &+ Int64(shift % 1000))
            case .number(let low, let high): return .number(low, high + Double(shift % 1000))
            }
        }
        return record
    }

    private static func digest(_ number: Int, _ purpose: UInt64) -> Digest {
        withUnsafeBytes(of: (UInt64(number).littleEndian, purpose.littleEndian)) { Digest(of: $0) }
    }
}

/// A file that is written here and there; what lies between takes no room on the disk.
private final class SparseFile {
    private let path: String
    private var descriptor: Int32

    init(path: String) throws(SystemError) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw SystemError(file: path, operation: "create") }
    }

    deinit {
        if descriptor >= 0 { Glibc.close(descriptor) }
    }

    func write(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset + done))
            }
            if count < 0, errno != EINTR { throw SystemError(file: path, operation: "write") }
            done += max(0, count)
        }
    }

    func close() throws(SystemError) {
        let result = Glibc.close(descriptor)
        descriptor = -1
        guard result == 0 else { throw SystemError(file: path, operation: "close") }
    }
}
