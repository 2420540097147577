import ArrowIPC
import Foundation
import Support

/// Damage that was found: which file, where, and which rows it touches.
public struct Damage: Codable, Sendable, Equatable {
    /// The file, relative to the dataset's directory.
    public var file: String
    /// Record batch, footer, head; empty for the file as a whole.
    public var place: String
    /// What was found and what was expected.
    public var message: String
    /// Rows of the dataset that are touched: the first, and how many.
    public var firstRow: Int?
    /// How many rows are touched.
    public var rows: Int?
}

/// What verifying found.
public struct VerificationReport: Codable, Sendable {
    /// Damage, by file and place.
    public var damage: [Damage] = []
    /// Files that were checked.
    public var files = 0
    /// Bytes that were checked.
    public var bytes = 0
    /// Record batches whose decoding was compared with the digests of the original columns.
    public var batchesDecoded = 0
    /// Columns in which decoding did not give back the original, with the number of batches.
    public var lossyColumns: [String: Int] = [:]

    /// Whether nothing is wrong.
    public var isSound: Bool { damage.isEmpty }
}

/// Checks every byte of a dataset against its digests and, if asked, that decoding gives back the original columns.
public struct DatasetVerifier: Sendable {
    /// The dataset's directory.
    public let directory: String
    /// Also decode all record batches and compare digests of the original columns.
    public var provesLosslessness = false
    /// How many threads work.
    public var threads = 1
    /// Is told the bytes checked so far and the bytes of all; false ends the work.
    public var progress: @Sendable (Int, Int) -> Bool = { _, _ in true }

    /// A verifier for a dataset.
    public init(directory: String) {
        self.directory = directory
    }

    /// Verifies.
    /// - Throws: `DatasetError` with code `notADataset` if there is no dataset, `interrupted` if `progress` ended the work; damage
    ///   is reported, not thrown.
    public func run() throws -> VerificationReport {
        var report = VerificationReport()
        let catalogue: Catalogue
        do {
            catalogue = try Dataset.readCatalogue(directory)
        } catch let error as DatasetError where error.code == .notADataset {
            throw error
        } catch {
            report.damage.append(Damage(file: Catalogue.fileName, place: "", message: text(error)))
            return report
        }
        report.files = 1
        checkSmallFiles(catalogue, &report)
        let index = try? Dataset.readIndex(directory, catalogue)
        try checkShards(catalogue, index, &report)
        if provesLosslessness, report.isSound { try checkDecoding(&report) }
        return report
    }

    private func tell(_ done: Int, _ total: Int) throws {
        guard progress(done, total) else {
            throw DatasetError(.interrupted, file: directory, message: "the check was stopped", advice: "run it again")
        }
    }

    private func text(_ error: any Error) -> String {
        guard let error = error as? any AddressedError else { return "\(error)" }
        return error.place.isEmpty ? error.message : "\(error.place): \(error.message)"
    }

    private func checkSmallFiles(_ catalogue: Catalogue, _ report: inout VerificationReport) {
        for entry in [catalogue.index] + catalogue.parity {
            report.files += 1
            report.bytes += entry.bytes
            do {
                let path = "\(directory)/\(entry.file)"
                try Dataset.check(InputFile(path: path).readAll(limit: max(1 << 30, entry.bytes)), entry, path)
            } catch {
                report.damage.append(Damage(file: entry.file, place: "", message: text(error)))
            }
        }
        guard !catalogue.parity.isEmpty else { return }
        report.files += 1
        do {
            let original = try InputFile(path: "\(directory)/\(Catalogue.fileName)").readAll()
            let copy = try InputFile(path: "\(directory)/\(CatalogueFiles.catalogueCopy)").readAll()
            report.bytes += original.count + copy.count
            if original != copy {
                report.damage.append(
                    Damage(file: CatalogueFiles.catalogueCopy, place: "", message: "differs from \(Catalogue.fileName)")
                )
            }
        } catch {
            report.damage.append(Damage(file: CatalogueFiles.catalogueCopy, place: "", message: text(error)))
        }
    }

    private func checkShards(_ catalogue: Catalogue, _ index: BatchIndex?, _ report: inout VerificationReport) throws {
        let firstRows = catalogue.shards.indices.map { shard in
            catalogue.shards[..<shard].reduce(0) { $0 + $1.rows }
        }
        let found = Monitor([Int: [Damage]]())
        let done = Monitor(0)
        let total = catalogue.bytes
        try WorkerThreads.forEach(catalogue.shards.count, threads: threads) { number in
            let entry = catalogue.shards[number]
            let damage = try check(
                entry, batches: index?.shards[number] ?? [], index: catalogue.index.file, firstRow: firstRows[number],
                progress: { bytes in
                    try tell(
                        done.update {
                            $0 += bytes; return $0
                        }, total)
                })
            found.update { $0[number] = damage }
        }
        report.files += catalogue.shards.count
        report.bytes += total
        report.damage += found.read { $0 }.sorted { $0.key < $1.key }.flatMap(\.value)
    }

    /// Checks the whole file's digest and the parts of its messages in one pass; only if the file's digest does not fit,
    /// looks for the place.
    private func check(
        _ entry: ShardEntry, batches: [BatchRecord], index: String, firstRow: Int,
        progress: @escaping (Int) throws -> Void
    ) throws -> [Damage] {
        do {
            let input = try InputFile(path: "\(directory)/\(entry.file)")
            guard input.size == entry.bytes else {
                return [
                    Damage(
                        file: entry.file, place: "", message: "\(input.size) bytes, expected \(entry.bytes)",
                        firstRow: firstRow, rows: entry.rows)
                ]
            }
            let buffer = AlignedBuffer(capacity: 1 << 20)
            var pass = ShardPass(input, buffer: buffer, progress: progress)
            try pass.run(batches: batches)
            let whole = pass.digest
            if whole == entry.digest {
                return pass.faults.map {
                    Damage(file: index, place: "record batch \($0.batch) of \(entry.file)", message: $0.message)
                }
            }
            let places = try locate(input, entry, batches, firstRow, buffer)
            return places.isEmpty
                ? [Damage(file: entry.file, place: "", message: "digest \(whole), expected \(entry.digest)")] : places
        } catch let error as DatasetError where error.code == .interrupted {
            throw error
        } catch {
            return [Damage(file: entry.file, place: "", message: text(error), firstRow: firstRow, rows: entry.rows)]
        }
    }

    private func locate(
        _ input: InputFile, _ entry: ShardEntry, _ batches: [BatchRecord], _ firstRow: Int, _ buffer: AlignedBuffer
    ) throws -> [Damage] {
        var damage: [Damage] = []
        func check(_ place: String, _ offset: Int, _ bytes: Int, _ expected: Digest, _ rows: (Int, Int)?) throws {
            guard offset >= 0, bytes >= 0, offset <= input.size, bytes <= input.size - offset else { return }
            buffer.reserve(bytes)
            try input.read(at: offset, into: UnsafeMutableRawBufferPointer(start: buffer.base, count: bytes))
            let digest = Digest(of: buffer.bytes(bytes))
            if digest != expected {
                damage.append(
                    Damage(
                        file: entry.file, place: place, message: "digest \(digest), expected \(expected)",
                        firstRow: rows?.0, rows: rows?.1))
            }
        }
        try check("head", 0, entry.head.bytes, entry.head.digest, nil)
        var row = firstRow
        for (number, batch) in batches.enumerated() {
            try check("record batch \(number)", batch.offset, batch.bytes, batch.digest, (row, batch.rows))
            row += batch.rows
        }
        try check("footer", input.size - entry.tail.bytes, entry.tail.bytes, entry.tail.digest, nil)
        return damage
    }

    private func checkDecoding(_ report: inout VerificationReport) throws {
        let dataset = try Dataset(directory: directory)
        let encoding = dataset.catalogue.encoding
        let names = ["count"] + encoding.fields.map(\.name)
        let found = Monitor([Int: (Damage, [String])]())
        let next = Monitor(0)
        let total = dataset.catalogue.bytes
        try WorkerThreads.run(threads) { _ in
            let reader = dataset.makeReader()
            let decoder = try JetDecoder(encoding: encoding, file: directory)
            let columns = JetColumns(fields: encoding.fields)
            while let batch = next.update({ $0 < dataset.batchCount ? ($0, $0 += 1).0 : nil }) {
                let record = dataset.record(ofBatch: batch), shard = dataset.shard(ofBatch: batch)
                let stored = try reader.read(batch)
                try decoder.decode(stored, into: columns, file: "\(directory)/\(shard.file)")
                let digests = columns.digests()
                if JetColumns.content(digests) != record.content {
                    let original = try OriginalDigests.read(stored, names: names)
                    let lossy = names.indices.filter { !original.indices.contains($0) || original[$0] != digests[$0] }
                    found.update {
                        $0[batch] = (
                            Damage(
                                file: shard.file, place: dataset.place(ofBatch: batch),
                                message:
                                    "decoding does not give back \(lossy.map { names[$0] }.joined(separator: ", "))",
                                firstRow: dataset.firstRows[batch], rows: record.rows), lossy.map { names[$0] }
                        )
                    }
                }
                try tell(total + record.offset, 2 * total)
            }
        }
        report.batchesDecoded = dataset.batchCount
        for (_, (damage, columns)) in found.read({ $0 }).sorted(by: { $0.key < $1.key }) {
            report.damage.append(damage)
            for column in columns { report.lossyColumns[column, default: 0] += 1 }
        }
    }
}

/// The digests of the original columns that each record batch carries in its metadata.
public enum OriginalDigests {
    /// The key in the batch's metadata.
    public static let key = "pando.xxh3"

    /// The metadata for a batch.
    public static func metadata(names: [String], digests: [Digest]) -> KeyValue {
        let pairs = zip(names, digests).map { "\"\($0)\":\"\($1)\"" }
        return KeyValue(key: key, value: "{\(pairs.joined(separator: ","))}")
    }

    /// Reads them in the order of `names`; those that are missing are left out.
    static func read(_ batch: RecordBatch, names: [String]) throws -> [Digest] {
        let text = batch.customMetadata.first { $0.key == key }?.value ?? "{}"
        let table = try JSONDecoder().decode([String: Digest].self, from: Data(text.utf8))
        return names.compactMap { table[$0] }
    }
}
