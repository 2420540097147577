import ArrowIPC
import Foundation
import Support

/// Writes one shard: record batches one after the other, then footer and parity; it appears when it is whole.
///
/// Not Sendable: one thread at a time.
final class ShardWriter {
    /// Key of the footer's metadata that repeats what the index says of the shard.
    static let metadataKey = "pando.batches"

    private let directory: String
    private let name: String
    private let schema: ArrowSchema
    private let makesParity: Bool
    private let file: OutputFile
    private let headBytes: Int
    private let headDigest: Digest
    private var record: ShardRecord
    private var blocks: [ArrowBlock] = []

    /// Bytes written so far.
    var bytes: Int { file.count }

    /// Begins shard `number`.
    init(directory: String, number: Int, schema: ArrowSchema, makesParity: Bool) throws {
        self.directory = directory
        self.schema = schema
        self.makesParity = makesParity
        let digits = String(number)
        name = String(repeating: "0", count: max(0, 5 - digits.count)) + digits
        file = try OutputFile(path: "\(directory)/shards/\(name).arrow")
        let head = ArrowFileLayout.head(schema)
        try file.write(head)
        headBytes = head.count
        headDigest = Digest(of: head)
        let empty = ShardEntry.Section(bytes: 0, digest: Digest(value: 0))
        record = ShardRecord(
            entry: ShardEntry(
                file: "shards/\(name).arrow", bytes: 0, digest: Digest(value: 0), rows: 0, batches: 0, sourceOffset: 0,
                head: empty, tail: empty),
            batches: [], parity: nil, statistics: schema.fields.map { _ in ColumnStatistics() },
            columnBytes: schema.fields.map { _ in 0 }, gaps: [], exceptions: [], fullJets: 0, emptyJets: 0)
    }

    /// Appends a record batch.
    func append(_ batch: FinishedBatch) throws {
        let message = batch.message
        let offset = file.count
        try file.write(message.bytes)
        blocks.append(
            ArrowBlock(
                offset: Int64(offset), metadataLength: Int32(message.metadataLength),
                bodyLength: Int64(message.bodyLength)))
        record.batches.append(
            BatchRecord(
                offset: offset, metadataBytes: message.metadataLength, bodyBytes: message.bodyLength,
                rows: message.rows, constituents: batch.constituents, digest: batch.digest, content: batch.content,
                keys: batch.keys, splits: batch.splitRows, parts: batch.parts))
        record.entry.rows += message.rows
        record.entry.batches += 1
        record.gaps += batch.gaps
        record.fullJets += batch.fullJets
        record.emptyJets = record.emptyJets.map { $0 + batch.emptyJets }
        add(batch.exceptions, to: &record.exceptions)
        add(message.storedBytes, to: &record.columnBytes)
        for (column, found) in batch.statistics.enumerated() where column < record.statistics.count {
            record.statistics[column].merge(found)
        }
    }

    private func add(_ numbers: [Int], to sums: inout [Int]) {
        if sums.isEmpty { sums = numbers.map { _ in 0 } }
        for (index, number) in numbers.enumerated() where index < sums.count { sums[index] += number }
    }

    /// Writes the footer, reads the file back, checks it, makes its parity and publishes both.
    func finish(_ clock: StageClock) throws -> ShardRecord {
        clock.enter(.write)
        let tail = try Self.tail(schema: schema, batches: record.batches)
        let tailStart = file.count
        try file.write(tail)
        clock.enter(.readBack)
        try readBack(tailStart: tailStart, tail: tail)
        clock.enter(.flush)
        try file.publish()
        return record
    }

    /// The bytes behind the last record batch: they follow from the schema and the index, so either mends the other.
    static func tail(schema: ArrowSchema, batches: [BatchRecord]) throws -> [UInt8] {
        let blocks = batches.map {
            ArrowBlock(
                offset: Int64($0.offset), metadataLength: Int32($0.metadataBytes), bodyLength: Int64($0.bodyBytes))
        }
        let metadata = [KeyValue(key: metadataKey, value: try CanonicalJSON.text(batches.map(\.inFooter)))]
        return ArrowFileLayout.tail(schema: schema, blocks: blocks, metadata: metadata)
    }

    /// One pass over what was written: the file's digest and its parity; a message that is not as it was made is an error
    /// here, before anything is published.
    private func readBack(tailStart: Int, tail: [UInt8]) throws {
        var digest = StreamingDigest()
        var check = BatchCheck(batches: record.batches)
        let parity = try Parity.make(
            fileSize: file.count, read: { try file.read(at: $0, into: $1) },
            visit: { piece in
                digest.update(piece)
                check.look(at: piece)
            })
        if let number = check.firstFault {
            throw DatasetError(
                .damaged, file: file.path, place: "record batch \(number)",
                message: "what was read back is not what was written", advice: "check the disk and the memory")
        }
        record.entry.bytes = file.count
        record.entry.digest = digest.digest
        record.entry.head = .init(bytes: headBytes, digest: headDigest)
        record.entry.tail = .init(bytes: file.count - tailStart, digest: Digest(of: tail))
        guard makesParity else { return }
        let bytes = parity.fileBytes
        let path = "parity/\(name).par"
        try OutputFile.write(bytes, to: "\(directory)/\(path)")
        record.parity = FileEntry(file: path, bytes: bytes.count, digest: Digest(of: bytes))
    }
}

/// Compares record batches with their digests while the file's bytes pass by in order.
private struct BatchCheck: ~Copyable {
    private let batches: [BatchRecord]
    private var position = 0
    private var current = 0
    private var digest = StreamingDigest()
    private var fault: Int?

    init(batches: [BatchRecord]) {
        self.batches = batches
    }

    /// The first batch whose bytes were not those that were written, or that has not passed by in full.
    var firstFault: Int? { fault ?? (current < batches.count ? current : nil) }

    /// Looks at the next bytes of the file.
    mutating func look(at piece: UnsafeRawBufferPointer) {
        let end = position + piece.count
        while current < batches.count, batches[current].offset < end {
            let batch = batches[current], last = batch.offset + batch.bytes
            let part = (batch.offset..<last).clamped(to: position..<end)
            digest.update(
                UnsafeRawBufferPointer(rebasing: piece[part.lowerBound - position..<part.upperBound - position]))
            guard last <= end else { break }
            if digest.digest != batch.digest { fault = fault ?? current }
            digest = StreamingDigest()
            current += 1
        }
        position = end
    }
}
