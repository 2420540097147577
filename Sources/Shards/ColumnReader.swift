import ArrowIPC
import Support

/// Reads a few columns of record batches: of each message the metadata and the stored bytes of these columns, no others.
///
/// What is read is checked against the digests of its parts before it is used; where the index notes none, as in older
/// datasets, the whole message is read and checked. In steady state nothing takes memory of the heap.
///
/// Columns are addressed by *slot*, their position in `columns`. What a batch's columns hold is valid until the next one
/// is read or mapped. Not Sendable: one worker owns it. It has one file open, the last shard that it read.
public final class ColumnReader {
    /// The numbers of the columns in the dataset's schema, by slot.
    public let columns: [Int]
    /// Bytes read from files so far; bytes that were mapped do not count.
    public private(set) var bytesRead = 0
    /// Rows of the record batch that was read last.
    public private(set) var rowCount = 0

    let dataset: Dataset
    let locator: BufferLocator
    let maps: MappedShards?
    /// Whether the columns hold at least half of the dataset's bytes.
    private let wantsMost: Bool
    private let checksDigests: Bool
    private let metadata = AlignedBuffer()
    private let body = AlignedBuffer()
    private let decoder = BodyDecoder()
    private var plan = PartPlan()
    private var slots: [Slot] = []
    private var batch: Int?
    private var open: (shard: Int, input: InputFile)?

    /// A column of the batch at hand.
    struct Slot {
        var column: LocatedColumn
        var values: BodyBuffer
        var offsets: BodyBuffer?
        /// Where their stored bytes begin, counted from `base` of the memory that holds them.
        var valuesPlace = 0
        var offsetsPlace = 0
    }

    /// A reader of some columns.
    /// - Parameters:
    ///   - columns: Numbers in `dataset.schema`, of fixed-width types or lists of these; one may come twice.
    ///   - checksDigests: Whether digests are checked before bytes are used. All other checks are made anyway.
    ///   - maps: Where uncompressed shards are mapped, for `map`; shared by any number of readers.
    /// - Throws: `DatasetError` with code `usage` for a column that is not there or of another type.
    public init(dataset: Dataset, columns: [Int], checksDigests: Bool = true, maps: MappedShards? = nil) throws {
        for column in columns {
            guard dataset.schema.fields.indices.contains(column) else {
                throw DatasetError(
                    .usage, file: dataset.directory, place: "column \(column)",
                    message: "does not exist; there are \(dataset.schema.fields.count)")
            }
            switch dataset.schema.fields[column].type {
            case .utf8, .unsupported:
                throw DatasetError(
                    .usage, file: dataset.directory, place: "column \(dataset.schema.fields[column].name)",
                    message: "has type \(dataset.schema.fields[column].type), expected numbers or lists of numbers")
            default: break
            }
        }
        self.dataset = dataset
        self.columns = columns
        self.checksDigests = checksDigests
        self.maps = maps
        locator = try BufferLocator(schema: dataset.schema)
        slots.reserveCapacity(columns.count)
        let bytes = dataset.catalogue.columns.map(\.bytes)
        let wanted = Set(columns).reduce(0) { $0 + (bytes.indices.contains($1) ? bytes[$1] : 0) }
        wantsMost = 2 * wanted >= bytes.reduce(0, +)
    }

    /// Reads the columns of a record batch.
    /// - Throws: `DatasetError`: `damaged` if bytes are not those that were written, `inconsistent` if index and message
    ///   contradict each other, `usage` if there is no such batch; `ArrowError`, `SystemError`. All name shard, record
    ///   batch and, where it is one, the column.
    public func read(_ batch: Int) throws {
        self.batch = nil
        let record = try record(batch)
        let input = try input(ofShard: dataset.shardNumber(ofBatch: batch))
        try check(record, batch, fits: input.size)
        if record.parts.isEmpty {
            let message = try read(input, record.offset..<record.offset + record.bytes, into: body, at: 0, keeping: 0)
            try checkWhole(message, record, batch)
            try prepare(message, record, batch)
        } else {
            let bytes = try read(
                input, record.offset..<record.offset + record.metadataBytes, into: metadata, at: 0, keeping: 0)
            try checkMetadata(bytes, record, batch)
            try prepare(bytes, record, batch)
            body.reserve(plan.arrange())
            for run in plan.runs {
                let range = record.offset + run.bytes.lowerBound..<record.offset + run.bytes.upperBound
                _ = try read(input, range, into: body, at: run.place, keeping: run.place)
            }
            try checkParts(record, batch) { [body, plan] range in
                UnsafeRawBufferPointer(start: body.base + plan.place(ofByte: range.lowerBound), count: range.count)
            }
        }
        let isWhole = record.parts.isEmpty
        try open(batch, base: body.base) { [plan] byte in isWhole ? byte : plan.place(ofByte: byte) }
        self.batch = batch
    }

    /// Values in all lists of a column together; the number of rows if it is none.
    public func valueCount(_ slot: Int) throws -> Int {
        let column = try self.slot(slot).column
        return column.childLength ?? column.length
    }

    /// Values in all lists of a column together; nil if it is no list.
    public func childLength(_ slot: Int) throws -> Int? { try self.slot(slot).column.childLength }

    /// Bytes of a column's decoded values: the memory that `decodeValues` wants.
    public func valueBytes(_ slot: Int) throws -> Int { try self.slot(slot).column.values.neededCount }

    /// A column's values where they lie, if they are stored plainly; nil for a compressed frame.
    ///
    /// They begin at a multiple of 64 in files that were written by this library.
    public func storedValues(_ slot: Int) throws -> UnsafeRawBufferPointer? {
        let slot = try self.slot(slot)
        let stored = UnsafeRawBufferPointer(start: body.base + slot.valuesPlace, count: slot.values.storedRange.count)
        guard let bytes = locator.bytes(of: slot.values, stored: stored) else { return nil }
        return UnsafeRawBufferPointer(rebasing: bytes[..<slot.column.values.neededCount])
    }

    /// Decodes or copies a column's values, those of all lists one after the other.
    /// - Parameter target: Memory of `valueBytes` bytes.
    /// - Throws: `ArrowError` with code `codec` if the frame does not decompress to that, `invalid` for other memory.
    public func decodeValues(_ slot: Int, into target: UnsafeMutableRawBufferPointer) throws {
        let slot = try self.slot(slot)
        let stored = UnsafeRawBufferPointer(start: body.base + slot.valuesPlace, count: slot.values.storedRange.count)
        try placed { [locator, decoder] () throws(ArrowError) in
            guard target.count == slot.column.values.neededCount else {
                throw ArrowError(
                    .invalid, message: "\(target.count) bytes of memory, expected \(slot.column.values.neededCount)")
            }
            try locator.decode(slot.values, stored: stored, into: target, using: decoder)
        }
    }

    /// Decodes the offsets of a list column; they were found to rise from 0 to the number of values.
    /// - Parameter target: Memory for one number more than there are rows.
    /// - Throws: `ArrowError`: `damaged` if they fail that check, `codec` as `decodeValues`, `invalid` for other memory or
    ///   a column that is no list.
    public func decodeOffsets(_ slot: Int, into target: UnsafeMutableBufferPointer<Int32>) throws {
        let slot = try self.slot(slot)
        let count = slot.offsets?.storedRange.count ?? 0
        let stored = UnsafeRawBufferPointer(start: body.base + slot.offsetsPlace, count: count)
        try placed { [locator, decoder] () throws(ArrowError) in
            try locator.decodeOffsets(of: slot.column, slot.offsets, stored: stored, into: target, using: decoder)
        }
    }

    /// Finds the columns of an uncompressed record batch where they lie in a mapped shard, and checks them as `read` does;
    /// offsets too.
    ///
    /// Given the same `columns` again and again, it takes no memory of the heap; their former mapping is let go.
    /// - Returns: False if the batch cannot be used in place, and has to be read: it is compressed, the dataset lies on a
    ///   network file system, its buffers are not aligned, or the reader has no `maps`.
    /// - Throws: As `read`; `SystemError` if a page cannot be read.
    public func map(_ batch: Int, into columns: inout MappedColumns) throws -> Bool {
        self.batch = nil
        columns.clear()
        let record = try record(batch), shard = dataset.shardNumber(ofBatch: batch)
        guard let file = try maps?.map(shard) else { return false }
        try check(record, batch, fits: file.bytes.count)
        let message = UnsafeRawBufferPointer(rebasing: file.bytes[record.offset..<record.offset + record.bytes])
        guard let base = message.baseAddress else { return false }
        if record.parts.isEmpty {
            try file.populate(record.offset..<record.offset + record.bytes)
            try checkWhole(message, record, batch)
        } else {
            try file.populate(record.offset..<record.offset + record.metadataBytes)
            try checkMetadata(
                UnsafeRawBufferPointer(rebasing: message[..<record.metadataBytes]), record, batch)
        }
        try prepare(message, record, batch)
        // Nothing of a compressed body is looked at: the reader will.
        if slots.contains(where: \.column.isCompressed) { return false }
        if !record.parts.isEmpty {
            _ = plan.arrange()
            for run in plan.runs {
                try file.populate(record.offset + run.bytes.lowerBound..<record.offset + run.bytes.upperBound)
            }
            try checkParts(record, batch) { UnsafeRawBufferPointer(rebasing: message[$0]) }
        }
        try open(batch, base: base) { $0 }
        columns.begin(file, rows: rowCount)
        var checked: Range<Int>?
        for slot in slots {
            let values = UnsafeRawBufferPointer(
                rebasing: message[slot.values.storedRange].prefix(slot.column.values.neededCount))
            var offsets: UnsafeRawBufferPointer?
            if let buffer = slot.offsets, buffer.byteCount > 0 {
                let bytes = UnsafeRawBufferPointer(rebasing: message[buffer.storedRange].prefix(4 * (rowCount + 1)))
                // Columns that share their offsets follow each other.
                if checked != buffer.storedRange {
                    try placed(batch) { () throws(ArrowError) in try locator.checkOffsets(of: slot.column, bytes) }
                    checked = buffer.storedRange
                }
                offsets = bytes
            }
            guard columns.append(values, offsets: offsets, childLength: slot.column.childLength) else {
                columns.clear()
                return false
            }
        }
        return true
    }

    /// Whether two slots' lists have the same offsets in the file, so that decoding one's is enough.
    public func sharesOffsets(_ slot: Int, _ other: Int) throws -> Bool {
        let (first, second) = (try self.slot(slot).offsets, try self.slot(other).offsets)
        guard let first, let second else { return false }
        return first.storedRange == second.storedRange
    }

    private func slot(_ slot: Int) throws -> Slot {
        guard batch != nil, slots.indices.contains(slot) else {
            throw DatasetError(
                .usage, file: dataset.directory,
                message: batch == nil ? "no record batch was read" : "no slot \(slot) among \(slots.count)")
        }
        return slots[slot]
    }

    private func placed(_ body: () throws(ArrowError) -> Void) throws {
        guard let batch else { return }
        try placed(batch, body)
    }
}

// MARK: - The steps that reading and mapping share
extension ColumnReader {
    func record(_ batch: Int) throws -> BatchRecord {
        guard batch >= 0, batch < dataset.batchCount else {
            throw DatasetError(
                .usage, file: dataset.directory, message: "no record batch \(batch) among \(dataset.batchCount)")
        }
        return dataset.record(ofBatch: batch)
    }

    /// Checks that a message lies in a shard of `size` bytes.
    func check(_ record: BatchRecord, _ batch: Int, fits size: Int) throws {
        guard record.bytes <= size, record.offset <= size - record.bytes else {
            throw damage(
                batch, nil, "lies at bytes \(record.offset)..<\(record.offset + record.bytes) of a file of \(size)")
        }
    }

    /// Checks a whole message, where the index notes no parts.
    func checkWhole(_ message: UnsafeRawBufferPointer, _ record: BatchRecord, _ batch: Int) throws {
        guard checksDigests else { return }
        let digest = Digest(of: message)
        guard digest == record.digest else {
            throw damage(batch, nil, "digest \(digest), expected \(record.digest)")
        }
    }

    /// Checks the first part.
    func checkMetadata(_ bytes: UnsafeRawBufferPointer, _ record: BatchRecord, _ batch: Int) throws {
        guard checksDigests, let expected = record.parts.first else { return }
        let digest = Digest(of: bytes)
        guard digest == expected else {
            throw damage(batch, "metadata", "digest \(digest), expected \(expected)")
        }
    }

    /// Reads the metadata and finds the columns and the parts that are wanted.
    func prepare(_ message: UnsafeRawBufferPointer, _ record: BatchRecord, _ batch: Int) throws {
        slots.removeAll(keepingCapacity: true)
        let hasParts = !record.parts.isEmpty
        let header = try placed(batch) { [locator] () throws(ArrowError) in try locator.header(message) }
        guard header.metadataLength == record.metadataBytes, header.bodyLength == record.bodyBytes,
            header.rowCount == record.rows
        else {
            throw inconsistency(
                batch,
                "\(header.metadataLength) bytes of metadata, \(header.bodyLength) of body and \(header.rowCount) rows, "
                    + "expected \(record.metadataBytes), \(record.bodyBytes) and \(record.rows)")
        }
        rowCount = header.rowCount
        if hasParts {
            try placed(batch) { () throws(ArrowError) in try plan.begin(header) }
            guard plan.count == record.parts.count else {
                throw inconsistency(batch, "\(plan.count) parts, expected \(record.parts.count)")
            }
        }
        for slot in columns.indices {
            try placed(batch) { () throws(ArrowError) in
                let column = try locator.column(columns[slot], in: header)
                if hasParts {
                    try plan.want(column.values, slot: slot)
                    if let offsets = column.offsets { try plan.want(offsets, slot: slot) }
                }
                slots.append(Slot(column: column, values: .empty, offsets: nil))
            }
        }
    }

    /// Checks the parts that are wanted; `bytes` says where those of the message lie.
    func checkParts(
        _ record: BatchRecord, _ batch: Int, bytes: (Range<Int>) -> UnsafeRawBufferPointer
    ) throws {
        guard checksDigests else { return }
        for part in 1..<max(1, plan.count) {
            guard let slot = plan.slot(ofPart: part) else { continue }
            let digest = Digest(of: bytes(plan.bytes(ofPart: part)))
            guard digest == record.parts[part] else {
                let name = dataset.schema.fields[columns[slot]].name
                throw damage(
                    batch, "column \(name)",
                    "digest \(digest) of bytes \(plan.bytes(ofPart: part)) of the message, expected \(record.parts[part])"
                )
            }
        }
    }

    /// Looks at the stored bytes of all slots. `place` says how far from `base` a byte of the message lies.
    func open(_ batch: Int, base: UnsafeRawPointer, place: (Int) -> Int) throws {
        for index in slots.indices {
            try placed(batch) { () throws(ArrowError) in
                var slot = slots[index]
                func open(_ buffer: StoredBuffer, _ start: Int) throws(ArrowError) -> BodyBuffer {
                    try locator.open(
                        buffer, stored: UnsafeRawBufferPointer(start: base + start, count: buffer.range.count))
                }
                if !slot.column.values.range.isEmpty { slot.valuesPlace = place(slot.column.values.range.lowerBound) }
                slot.values = try open(slot.column.values, slot.valuesPlace)
                if let offsets = slot.column.offsets {
                    if !offsets.range.isEmpty { slot.offsetsPlace = place(offsets.range.lowerBound) }
                    slot.offsets = try open(offsets, slot.offsetsPlace)
                }
                slots[index] = slot
            }
        }
    }

    /// Gives errors of a message their file and record batch.
    func placed<Result>(_ batch: Int, _ body: () throws(ArrowError) -> Result) throws -> Result {
        do throws(ArrowError) {
            return try body()
        } catch {
            var error = error
            error.file = path(batch)
            let place = dataset.place(ofBatch: batch)
            error.place = error.place.isEmpty ? place : "\(place), \(error.place)"
            throw error
        }
    }

    private func path(_ batch: Int) -> String { "\(dataset.directory)/\(dataset.shard(ofBatch: batch).file)" }

    private func damage(_ batch: Int, _ place: String?, _ message: String) -> DatasetError {
        let whole = dataset.place(ofBatch: batch)
        return DatasetError(
            .damaged, file: path(batch), place: place.map { "\(whole), \($0)" } ?? whole, message: message,
            advice: "run 'pando repair \(dataset.directory)'")
    }

    private func inconsistency(_ batch: Int, _ message: String) -> DatasetError {
        DatasetError(
            .inconsistent, file: path(batch), place: dataset.place(ofBatch: batch), message: message,
            advice: "run 'pando verify \(dataset.directory)'")
    }
}

// MARK: - Files
extension ColumnReader {
    private func input(ofShard number: Int) throws -> InputFile {
        if let open, open.shard == number { return open.input }
        let input = try dataset.openShard(number)
        open = (number, input)
        return input
    }

    private func read(
        _ input: InputFile, _ range: Range<Int>, into memory: AlignedBuffer, at place: Int, keeping kept: Int
    ) throws -> UnsafeRawBufferPointer {
        memory.reserve(place + range.count, keeping: kept)
        try input.read(
            at: range.lowerBound, into: UnsafeMutableRawBufferPointer(start: memory.base + place, count: range.count))
        bytesRead += range.count
        return UnsafeRawBufferPointer(start: memory.base + place, count: range.count)
    }

    /// Says that a record batch will be read soon, so that the system can begin to: the whole message, or its metadata alone
    /// if the columns hold less than half of the dataset's bytes, the rest of which would only be in the way.
    public func advise(_ batch: Int) {
        guard let record = try? record(batch) else { return }
        let isWhole = record.parts.isEmpty || wantsMost
        advise(.willNeed, batch, record.offset, isWhole ? record.bytes : record.metadataBytes)
    }

    /// Says that a record batch will not be read again soon, so that the system can drop its bytes from the page cache.
    public func release(_ batch: Int) {
        guard let record = try? record(batch) else { return }
        // The system keeps pages that are mapped.
        maps?.release(dataset.shardNumber(ofBatch: batch), record.offset..<record.offset + record.bytes)
        advise(.dontNeed, batch, record.offset, record.bytes)
    }

    private func advise(_ advice: InputFile.Advice, _ batch: Int, _ offset: Int, _ count: Int) {
        // Advice must not close the shard that is being read.
        let shard = dataset.shardNumber(ofBatch: batch)
        let input = open.flatMap { $0.shard == shard ? $0.input : nil } ?? (try? dataset.openShard(shard))
        input?.advise(advice, at: offset, count: count)
    }
}
