import ArrowIPC
import Support
import Testing

/// Random numbers that depend on the seed alone (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// A column as bytes that can be compared with what any reader gives.
struct SampleColumn: Equatable {
    var field: ArrowField
    /// Little-endian values; for bools one byte a value.
    var values: [UInt8]
    /// Offsets of lists and texts.
    var offsets: [Int32]?
    /// A number shared by columns that are given the same offsets.
    var offsetsGroup = 0
}

/// A table of every type that we write.
struct SampleTable {
    var rows: Int
    var schema: ArrowSchema
    var columns: [SampleColumn]

    static let primitives: [ArrowType] = [
        .bool, .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64, .float16, .float32, .float64,
    ]

    init(rows: Int, seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        self.rows = rows
        columns = []
        for type in Self.primitives {
            let field = ArrowField(name: "\(type)", type: type, metadata: [KeyValue(key: "unit", value: "GeV/c²")])
            columns.append(SampleColumn(field: field, values: Self.values(type, rows, &random)))
        }
        let words = ["", "jet", "η", "Pando", "🌳🌳", "a longer text that does not repeat"]
        var offsets: [Int32] = [0]
        var text: [UInt8] = []
        for _ in 0..<rows {
            text += Array(words[Int.random(in: 0..<words.count, using: &random)].utf8)
            offsets.append(Int32(text.count))
        }
        columns.append(SampleColumn(field: ArrowField(name: "text", type: .utf8), values: text, offsets: offsets))
        for group in 1...2 {
            var offsets: [Int32] = [0]
            for _ in 0..<rows { offsets.append((offsets.last ?? 0) + Int32.random(in: 0...9, using: &random)) }
            for type in Self.primitives {
                let field = ArrowField(name: "list\(group)<\(type)>", type: .list(type))
                let values = Self.values(type, Int(offsets.last ?? 0), &random)
                columns.append(SampleColumn(field: field, values: values, offsets: offsets, offsetsGroup: group))
            }
        }
        schema = ArrowSchema(
            fields: columns.map(\.field),
            metadata: [KeyValue(key: "pando", value: "{\"version\": 1}"), KeyValue(key: "empty", value: "")])
    }

    private static func values(_ type: ArrowType, _ count: Int, _ random: inout SeededGenerator) -> [UInt8] {
        if type == .bool { return (0..<count).map { _ in UInt8.random(in: 0...1, using: &random) } }
        var bytes = (0..<count * (type.byteWidth ?? 0)).map { _ in UInt8.random(in: 0...255, using: &random) }
        // Not-a-number bits would not survive a detour through other readers' conversions.
        let width = type.byteWidth ?? 1
        if [.float16, .float32, .float64].contains(type) {
            for index in 0..<count { bytes[index * width + width - 1] &= 0x3f }
        }
        return bytes
    }

    func encode(
        _ compression: BodyCompression, sharesOffsets: Bool = true, metadata: [KeyValue] = []
    ) throws -> EncodedRecordBatch {
        let encoder = try RecordBatchEncoder(schema: schema, compression: compression, sharesOffsets: sharesOffsets)
        return try encode(with: encoder, metadata: metadata)
    }

    func encode(with encoder: RecordBatchEncoder, metadata: [KeyValue] = []) throws -> EncodedRecordBatch {
        // The encoder takes memory of the caller: copies that live until it returns.
        var memory: [UnsafeMutableRawBufferPointer] = []
        defer { for buffer in memory { buffer.deallocate() } }
        func copy(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 64)
            buffer.copyBytes(from: bytes)
            memory.append(buffer)
            return UnsafeRawBufferPointer(buffer)
        }
        var shared: [Int: UnsafeRawBufferPointer] = [:]
        let data = columns.map { column -> ColumnData in
            let isBool = column.field.type == .bool || column.field.type == .list(.bool)
            let values = copy(isBool ? Self.packed(column.values) : column.values)
            guard let offsets = column.offsets else { return .values(values) }
            let offsetBytes = shared[column.offsetsGroup] ?? copy(offsets.withUnsafeBytes { Array($0) })
            shared[column.offsetsGroup] = offsetBytes
            return column.field.type == .utf8
                ? .utf8(offsets: offsetBytes, bytes: values) : .list(offsets: offsetBytes, values: values)
        }
        return try encoder.encode(rows: rows, columns: data, customMetadata: metadata)
    }

    static func packed(_ bools: [UInt8]) -> [UInt8] {
        var bits = [UInt8](repeating: 0, count: (bools.count + 7) / 8)
        for (index, value) in bools.enumerated() { bits[index / 8] |= value << UInt8(index % 8) }
        return bits
    }
}

/// What our reader finds in a column of a batch, in the form of `SampleColumn`.
func readColumn(_ batch: RecordBatch, _ index: Int, using decoder: BodyDecoder) throws(ArrowError) -> SampleColumn {
    let field = batch.schema.fields[index]
    var column = SampleColumn(field: field, values: [])
    let element = if case .list(let element) = field.type { element } else { field.type }
    switch element {
    case .bool: column.values = try batch.bools(ofColumn: index, using: decoder).map { $0 ? 1 : 0 }
    case .int8: column.values = bytes(try batch.values(ofColumn: index, as: Int8.self, using: decoder))
    case .int16: column.values = bytes(try batch.values(ofColumn: index, as: Int16.self, using: decoder))
    case .int32: column.values = bytes(try batch.values(ofColumn: index, as: Int32.self, using: decoder))
    case .int64: column.values = bytes(try batch.values(ofColumn: index, as: Int64.self, using: decoder))
    case .uint8: column.values = bytes(try batch.values(ofColumn: index, as: UInt8.self, using: decoder))
    case .uint16, .float16: column.values = bytes(try batch.values(ofColumn: index, as: UInt16.self, using: decoder))
    case .uint32: column.values = bytes(try batch.values(ofColumn: index, as: UInt32.self, using: decoder))
    case .uint64: column.values = bytes(try batch.values(ofColumn: index, as: UInt64.self, using: decoder))
    case .float32: column.values = bytes(try batch.values(ofColumn: index, as: Float.self, using: decoder))
    case .float64: column.values = bytes(try batch.values(ofColumn: index, as: Double.self, using: decoder))
    case .utf8: column.values = Array(try batch.strings(ofColumn: index, using: decoder).joined().utf8)
    case .list, .unsupported: _ = try batch.column(index)
    }
    switch field.type {
    case .list, .utf8: column.offsets = try batch.offsets(ofColumn: index, using: decoder)
    default: break
    }
    return column
}

private func bytes<Value>(_ values: [Value]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }

func littleEndian<Number: FixedWidthInteger>(_ type: Number.Type, _ bytes: [UInt8], at offset: Int) -> Number {
    bytes.withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Number.self)) }
}
