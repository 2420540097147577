import Support

/// The buffers of one column to be written. The caller owns the memory and keeps it during the call.
public enum ColumnData {
    /// Values of a fixed-width type, little-endian; for bools one bit a row, the least bit of the first byte first.
    case values(UnsafeRawBufferPointer)
    /// Texts: `rows + 1` offsets (int32, the first is 0) and the bytes they lead to.
    case utf8(offsets: UnsafeRawBufferPointer, bytes: UnsafeRawBufferPointer)
    /// Lists: `rows + 1` offsets (int32, the first is 0) and the values of all lists.
    case list(offsets: UnsafeRawBufferPointer, values: UnsafeRawBufferPointer)
}

/// A record batch as it lies in a file.
public struct EncodedRecordBatch: Sendable {
    /// The encapsulated message: marker, length, metadata and body, each padded with zeros to a multiple of 64.
    public let bytes: [UInt8]
    /// Bytes before the body.
    public let metadataLength: Int
    /// Bytes of the body.
    public let bodyLength: Int
    /// The number of rows.
    public let rows: Int
    /// Bytes of each column's own buffers in the body, without padding.
    public let storedBytes: [Int]
    /// Bytes of the offsets that several columns share, without padding; they are in none of `storedBytes`.
    public let sharedOffsetBytes: Int
    /// The parts of `bytes`, which cover all of it, as `MessageParts` finds them.
    public let parts: [Range<Int>]

    /// The entry of the footer for this batch at a place in a file.
    public func block(at offset: Int) -> ArrowBlock {
        ArrowBlock(
            offset: Int64(offset), metadataLength: Int32(metadataLength), bodyLength: Int64(bodyLength))
    }
}

/// Makes record batches from columns in memory.
///
/// One per thread: it holds a compression context that is reused from batch to batch. Equal input gives equal bytes (with
/// one version of the codec's library).
public final class RecordBatchEncoder {
    private let schema: ArrowSchema
    private let sharesOffsets: Bool
    private let compression: BodyCompression
    private let compressor: BodyCompressor

    /// An encoder of batches with this schema.
    ///
    /// With `sharesOffsets`, list columns that are given the same memory as offsets name one buffer of the body.
    /// - Throws: `unsupported` if a column's type is not written, `invalid` if the codec has no such level.
    public init(
        schema: ArrowSchema, compression: BodyCompression, sharesOffsets: Bool = true
    ) throws(ArrowError) {
        if let field = schema.firstUnwritable {
            throw ArrowError(
                .unsupported, place: "column \(field.name)", message: "the type \(field.type) is not written")
        }
        self.schema = schema
        self.compression = compression
        self.sharesOffsets = sharesOffsets
        compressor = try BodyCompressor(compression)
    }

    /// Encodes one batch.
    /// - Throws: `invalid` if buffers do not fit the rows or each other.
    public func encode(
        rows: Int, columns: [ColumnData], customMetadata: [KeyValue] = []
    ) throws(ArrowError) -> EncodedRecordBatch {
        var plan = try BatchPlan(schema: schema, rows: rows, columns: columns, sharesOffsets: sharesOffsets)
        // The size of the metadata depends on shapes only, so that the body can be compressed into its final place
        // before the lengths of its buffers are known.
        let metadataLength = message(plan, bodyLength: 0, customMetadata).count
        var capacity = metadataLength
        for source in plan.sources { capacity += ArrowFormat.padded(compressor.bound(source.count)) }

        var failure: ArrowError?
        let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { target, count in
            do throws(ArrowError) {
                var end = metadataLength
                for index in plan.sources.indices {
                    let room = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(target)[end...])
                    let stored = try compressor.store(plan.sources[index], as: plan.types[index], to: room)
                    plan.ranges[index] = (offset: end - metadataLength, length: stored)
                    let padded = ArrowFormat.padded(stored)
                    UnsafeMutableRawBufferPointer(rebasing: room[stored..<padded]).initializeMemory(
                        as: UInt8.self, repeating: 0)
                    end += padded
                }
                let message = message(plan, bodyLength: end - metadataLength, customMetadata)
                message.withUnsafeBytes { UnsafeMutableRawBufferPointer(target).copyMemory(from: $0) }
                count = end
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return EncodedRecordBatch(
            bytes: bytes, metadataLength: metadataLength, bodyLength: bytes.count - metadataLength, rows: rows,
            storedBytes: plan.storedBytes, sharedOffsetBytes: plan.sharedOffsetBytes,
            parts: plan.parts(metadataLength: metadataLength, end: bytes.count))
    }

    /// The message before the body, padded so that the body starts at a multiple of 64.
    private func message(_ plan: BatchPlan, bodyLength: Int, _ customMetadata: [KeyValue]) -> [UInt8] {
        var compressed: FlatValue?
        if let codec = compression.codec {
            compressed = .table([.int8(codec), .int8(ArrowFormat.Codec.methodBuffer)])
        }
        return ArrowFileLayout.encapsulate(
            header: ArrowFormat.Header.recordBatch,
            slots: [
                .int64(Int64(plan.rows)), .structs(bytes: plan.nodeBytes, count: plan.nodeLengths.count),
                .structs(bytes: plan.bufferBytes, count: plan.buffers.count), compressed,
            ],
            bodyLength: bodyLength, metadata: customMetadata, before: 0)
    }
}

/// Which buffers a batch has, which of them are one, and where they went.
private struct BatchPlan {
    let rows: Int
    /// Lengths of columns and of lists' children, in the format's order.
    var nodeLengths: [Int] = []
    /// What the body holds, each once.
    var sources: [UnsafeRawBufferPointer] = []
    /// The type of each source's values; nil of offsets and texts.
    var types: [ArrowType?] = []
    /// Where each source lies in the body, once it is there.
    var ranges: [(offset: Int, length: Int)] = []
    /// For each buffer of the metadata the source it names; nil for the absent validity.
    var buffers: [Int?] = []

    private var columnSources: [[Int]] = []
    private var listOffsets: [OffsetsKey: (source: Int, last: Int)] = [:]
    private var users: [Int: Int] = [:]

    private struct OffsetsKey: Hashable {
        let base: UnsafeRawPointer?
        let count: Int
    }

    init(schema: ArrowSchema, rows: Int, columns: [ColumnData], sharesOffsets: Bool) throws(ArrowError) {
        self.rows = rows
        guard rows >= 0, columns.count == schema.fields.count else {
            throw ArrowError(
                .invalid, message: "\(rows) rows of \(columns.count) columns for \(schema.fields.count) fields")
        }
        for (field, column) in zip(schema.fields, columns) {
            try add(column, of: field, sharesOffsets: sharesOffsets)
        }
        ranges = Array(repeating: (0, 0), count: sources.count)
    }

    private mutating func add(_ column: ColumnData, of field: ArrowField, sharesOffsets: Bool) throws(ArrowError) {
        let address = Address(place: "column \(field.name)")
        nodeLengths.append(rows)
        buffers.append(nil)
        switch (field.type, column) {
        case (.utf8, .utf8(let offsets, let bytes)):
            let last = try Self.check(offsets, rows: rows, address)
            try Self.check(bytes, holds: last, address)
            columnSources.append([append(offsets), append(bytes)])
        case (.list(let element), .list(let offsets, let values)):
            let key = OffsetsKey(base: offsets.baseAddress, count: offsets.count)
            let known = listOffsets[key]
            let last = if let known { known.last } else { try Self.check(offsets, rows: rows, address) }
            try Self.check(values, holds: element.byteCount(of: last), address)
            let source: Int
            if sharesOffsets, let known {
                source = known.source
                buffers.append(source)
            } else {
                source = append(offsets)
                listOffsets[key] = (source, last)
            }
            users[source, default: 0] += 1
            nodeLengths.append(last)
            buffers.append(nil)
            columnSources.append([source, append(values, element)])
        case (let type, .values(let values)) where type.isPrimitive:
            try Self.check(values, holds: type.byteCount(of: rows), address)
            columnSources.append([append(values, type)])
        default:
            throw address.error(.invalid, "the buffers are not those of the type \(field.type)")
        }
    }

    private mutating func append(_ source: UnsafeRawBufferPointer, _ type: ArrowType? = nil) -> Int {
        sources.append(source)
        types.append(type)
        buffers.append(sources.count - 1)
        return sources.count - 1
    }

    private static func check(
        _ buffer: UnsafeRawBufferPointer, holds count: Int?, _ address: Address
    ) throws(ArrowError) {
        guard buffer.count == count else {
            throw address.error(
                .invalid, "\(buffer.count) bytes of values, expected \(count.map(String.init) ?? "fewer")")
        }
    }

    /// Checks offsets that are to be written and returns the last one.
    private static func check(
        _ offsets: UnsafeRawBufferPointer, rows: Int, _ address: Address
    ) throws(ArrowError) -> Int {
        guard offsets.count % 4 == 0, offsets.count / 4 == rows + 1 else {
            throw address.error(.invalid, "\(offsets.count) bytes of offsets for \(rows) rows")
        }
        guard CheckedOffsets.firstFault(offsets) == nil, offsets.loadUnaligned(as: Int32.self) == 0 else {
            throw address.error(.invalid, "the offsets do not rise from 0")
        }
        return Int(offsets.loadUnaligned(fromByteOffset: 4 * rows, as: Int32.self))
    }

    /// The bytes of the `FieldNode` structs: length and number of missing values.
    var nodeBytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16 * nodeLengths.count)
        for length in nodeLengths {
            bytes.append(littleEndian: Int64(length))
            bytes.append(littleEndian: Int64(0))
        }
        return bytes
    }

    /// The bytes of the `Buffer` structs: offset and length. An absent buffer lies where the next one starts.
    var bufferBytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16 * buffers.count)
        var end = 0
        for buffer in buffers {
            let range = buffer.map { ranges[$0] } ?? (offset: end, length: 0)
            bytes.append(littleEndian: Int64(range.offset))
            bytes.append(littleEndian: Int64(range.length))
            end = max(end, range.offset + ArrowFormat.padded(range.length))
        }
        return bytes
    }

    private func isShared(_ source: Int) -> Bool { users[source, default: 0] > 1 }

    /// The metadata, then a part for each source that has bytes: they lie side by side from the start of the body.
    func parts(metadataLength: Int, end: Int) -> [Range<Int>] {
        let starts = [0] + ranges.filter { $0.length > 0 }.map { metadataLength + $0.offset } + [end]
        return zip(starts, starts.dropFirst()).map { $0..<$1 }
    }

    var storedBytes: [Int] {
        columnSources.map { $0.reduce(0) { $0 + (isShared($1) ? 0 : ranges[$1].length) } }
    }

    var sharedOffsetBytes: Int {
        sources.indices.reduce(0) { $0 + (isShared($1) ? ranges[$1].length : 0) }
    }
}
