/// A value in a slot of a FlatBuffers table.
indirect enum FlatValue {
    case int8(Int8)
    case uint8(UInt8)
    case bool(Bool)
    case int16(Int16)
    case int32(Int32)
    case int64(Int64)
    case string(String)
    case table([FlatValue?])
    case tables([[FlatValue?]])
    /// A vector of structs whose members are at most 8 bytes wide, as they lie in memory.
    case structs(bytes: [UInt8], count: Int)

    /// Bytes in the table itself; also the alignment. What is not a number is an offset of 32 bits.
    fileprivate var inlineSize: Int {
        switch self {
        case .int8, .uint8, .bool: 1
        case .int16: 2
        case .int64: 8
        case .int32, .string, .table, .tables, .structs: 4
        }
    }
}

/// Writes FlatBuffers from front to back: a table, then what it points to, depth first.
///
/// The usual builders write from back to front to save patching; here one order of bytes for one value is what counts.
/// Format: https://flatbuffers.dev/internals. Slots that hold a default value are written all the same, so that the size
/// depends on shapes only, never on numbers.
struct FlatBufferBuilder {
    private var bytes: [UInt8] = [0, 0, 0, 0]

    /// The bytes of a buffer whose root is a table with these slots. Their place must be a multiple of 8.
    static func root(_ slots: [FlatValue?]) -> [UInt8] {
        var builder = FlatBufferBuilder()
        let position = builder.append(table: slots)
        builder.patch(at: 0, target: position)
        return builder.bytes
    }

    private mutating func append(table slots: [FlatValue?]) -> Int {
        // The vtable lies right before its table, which starts at a multiple of 8.
        let vtableSize = 4 + 2 * slots.count
        pad(before: vtableSize, to: 8)
        let vtable = bytes.count
        var tableSize = 4
        let offsets = slots.map { slot -> Int in
            guard let size = slot?.inlineSize else { return 0 }
            let offset = (tableSize + size - 1) & ~(size - 1)
            tableSize = offset + size
            return offset
        }
        append(UInt16(vtableSize))
        append(UInt16(tableSize))
        for offset in offsets { append(UInt16(offset)) }
        let table = bytes.count
        append(Int32(table - vtable))
        bytes.append(contentsOf: repeatElement(0, count: tableSize - 4))
        for (offset, slot) in zip(offsets, slots) {
            guard let slot else { continue }
            let place = table + offset
            switch slot {
            case .int8(let value): store(value, at: place)
            case .uint8(let value): store(value, at: place)
            case .bool(let value): store(UInt8(value ? 1 : 0), at: place)
            case .int16(let value): store(value, at: place)
            case .int32(let value): store(value, at: place)
            case .int64(let value): store(value, at: place)
            case .string(let text): patch(at: place, target: append(string: text))
            case .table(let slots): patch(at: place, target: append(table: slots))
            case .tables(let tables): patch(at: place, target: append(tables: tables))
            case .structs(let content, let count): patch(at: place, target: append(structs: content, count: count))
            }
        }
        return table
    }

    private mutating func append(string: String) -> Int {
        pad(before: 0, to: 4)
        let position = bytes.count
        append(UInt32(string.utf8.count))
        bytes.append(contentsOf: string.utf8)
        bytes.append(0)
        return position
    }

    private mutating func append(tables: [[FlatValue?]]) -> Int {
        pad(before: 0, to: 4)
        let position = bytes.count
        append(UInt32(tables.count))
        bytes.append(contentsOf: repeatElement(0, count: 4 * tables.count))
        for (index, table) in tables.enumerated() {
            patch(at: position + 4 + 4 * index, target: append(table: table))
        }
        return position
    }

    private mutating func append(structs content: [UInt8], count: Int) -> Int {
        pad(before: 4, to: 8)
        let position = bytes.count
        append(UInt32(count))
        bytes.append(contentsOf: content)
        return position
    }

    private mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func store(_ value: some FixedWidthInteger, at place: Int) {
        bytes.store(value, at: place)
    }

    private mutating func patch(at place: Int, target: Int) {
        bytes.store(UInt32(target - place), at: place)
    }

    /// Adds zeros until what comes `distance` bytes later is aligned.
    private mutating func pad(before distance: Int, to alignment: Int) {
        while (bytes.count + distance) % alignment != 0 { bytes.append(0) }
    }
}

extension [UInt8] {
    /// Writes a number, least byte first, over the bytes at `place`.
    mutating func store<Number: FixedWidthInteger>(_ value: Number, at place: Int) {
        withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, toByteOffset: place, as: Number.self) }
    }

    /// Appends a number, least byte first.
    mutating func append(littleEndian value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}
