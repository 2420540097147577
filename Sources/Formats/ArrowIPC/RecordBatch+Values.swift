import Support

/// A Swift type that columns can be read as.
public protocol ArrowValue: BitwiseCopyable, Sendable {
    /// Whether a column of this type holds such values, bit for bit.
    static func represents(_ type: ArrowType) -> Bool
}

extension Int8: ArrowValue {
    public static func represents(_ type: ArrowType) -> Bool { type == .int8 }
}
extension Int16: ArrowValue {
    public static func represents(_ type: ArrowType) -> Bool { type == .int16 }
}
extension Int32: ArrowValue {
    public static func represents(_ type: ArrowType) -> Bool { type == .int32 }
}
extension Int64: ArrowValue {
    public static func represents(_ type: ArrowType) -> Bool { type == .int64 }
}
extension UInt8: ArrowValue {
    public static func represents(_ type: ArrowType) -> Bool { type == .uint8 }
}
extension UInt16: ArrowValue {
    /// Half-precision numbers are read as their bits.
    public static func represents(_ type: ArrowType) -> Bool { type == .uint16 || type == .float16 }
}
extension UInt32: ArrowValue {
    public static func represents(_ type: ArrowType) -> Bool { type == .uint32 }
}
extension UInt64: ArrowValue {
    public static func represents(_ type: ArrowType) -> Bool { type == .uint64 }
}
extension Float: ArrowValue {
    public static func represents(_ type: ArrowType) -> Bool { type == .float32 }
}
extension Double: ArrowValue {
    public static func represents(_ type: ArrowType) -> Bool { type == .float64 }
}

/// Whole columns as Swift arrays, for tools and tests. Loops over many batches decode into their own memory instead.
///
/// All of these throw what `column` and `decode` throw, `invalid` if the column has another type, and `unsupported` if a
/// buffer has more than 1 GiB. Where a value is missing, arrays hold whatever the file has there; `validity` tells.
extension RecordBatch {
    /// The most bytes of a buffer that become an array here.
    ///
    /// A few megabytes of well-formed frames can hold terabytes of zeros. Who expects so much decodes into memory of
    /// their own.
    private static var arrayLimit: Int { 1 << 30 }

    /// The values of a fixed-width column, or those of all lists of a list column one after the other.
    public func values<Value: ArrowValue>(
        ofColumn index: Int, as type: Value.Type, using decoder: BodyDecoder
    ) throws(ArrowError) -> [Value] {
        let column = try column(index)
        guard type.represents(column.elementType) else {
            throw address(ofColumn: index).error(.invalid, "a column of \(column.type) cannot be read as \(type)")
        }
        return try array(of: column.values, count: column.elementCount, using: decoder)
    }

    /// The values of a column of bools, or those of all lists of a list column one after the other.
    public func bools(ofColumn index: Int, using decoder: BodyDecoder) throws(ArrowError) -> [Bool] {
        let column = try column(index)
        guard column.elementType == .bool else {
            throw address(ofColumn: index).error(.invalid, "a column of \(column.type) cannot be read as bools")
        }
        return try bits(column.values, count: column.elementCount, using: decoder)
    }

    /// The checked offsets of a column of lists or texts: one more than there are rows. The first need not be 0.
    public func offsets(ofColumn index: Int, using decoder: BodyDecoder) throws(ArrowError) -> [Int32] {
        let column = try column(index)
        // So many offsets are stored, unless there are no rows.
        let count = column.offsets == nil ? 1 : column.length + 1
        guard count <= Self.arrayLimit / MemoryLayout<Int32>.stride else {
            throw address(ofColumn: index).error(
                .unsupported, "\(count) offsets are too many for one array",
                advice: "decode the buffer into memory of your own")
        }
        var failure: ArrowError?
        let offsets = [Int32](unsafeUninitializedCapacity: count) { target, written in
            do throws(ArrowError) {
                try decodeOffsets(
                    of: column, into: UnsafeMutableBufferPointer(rebasing: target[..<count]), using: decoder)
                written = count
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return offsets
    }

    /// The texts of a column of texts; an empty one where the value is missing.
    ///
    /// - Throws: also `damaged` if a text is not UTF-8.
    public func strings(ofColumn index: Int, using decoder: BodyDecoder) throws(ArrowError) -> [String] {
        let column = try column(index)
        guard column.type == .utf8 else {
            throw address(ofColumn: index).error(.invalid, "a column of \(column.type) cannot be read as texts")
        }
        let offsets = try offsets(ofColumn: index, using: decoder)
        let bytes: [UInt8] = try array(of: column.values, count: column.values.byteCount, using: decoder)
        let validity = try validity(ofColumn: index, using: decoder)
        var strings: [String] = []
        strings.reserveCapacity(column.length)
        for row in 0..<column.length {
            guard validity?[row] ?? true else {
                strings.append("")
                continue
            }
            let range = Int(offsets[row])..<Int(offsets[row + 1])
            guard let text = String(validating: bytes[range], as: UTF8.self) else {
                throw address(ofColumn: index).error(.damaged, "the text of row \(row) is not UTF-8")
            }
            strings.append(text)
        }
        return strings
    }

    /// Which rows of a column have a value; nil if all have.
    public func validity(ofColumn index: Int, using decoder: BodyDecoder) throws(ArrowError) -> [Bool]? {
        let column = try column(index)
        guard let validity = column.validity else { return nil }
        return try bits(validity, count: column.length, using: decoder)
    }

    /// Which places in the lists of a column have a value; nil if all have.
    public func childValidity(ofColumn index: Int, using decoder: BodyDecoder) throws(ArrowError) -> [Bool]? {
        let column = try column(index)
        guard let validity = column.childValidity else { return nil }
        return try bits(validity, count: column.childLength ?? 0, using: decoder)
    }

    /// The first `count` elements of a buffer, which has been found to hold them.
    private func array<Element: BitwiseCopyable>(
        of buffer: BodyBuffer, count: Int, using decoder: BodyDecoder
    ) throws(ArrowError) -> [Element] {
        guard count <= Self.arrayLimit / MemoryLayout<Element>.stride else {
            throw address(ofColumn: buffer.column).error(
                .unsupported, "\(count) values are too many for one array",
                advice: "decode the buffer into memory of your own")
        }
        var failure: ArrowError?
        let array = [Element](unsafeUninitializedCapacity: count) { target, written in
            do throws(ArrowError) {
                let exact = UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: target[..<count]))
                try decodePrefix(of: buffer, into: exact, using: decoder)
                written = count
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return array
    }

    private func bits(_ buffer: BodyBuffer, count: Int, using decoder: BodyDecoder) throws(ArrowError) -> [Bool] {
        let needed = ArrowType.bool.byteCount(of: count) ?? 0
        let bytes: [UInt8] = try array(of: buffer, count: needed, using: decoder)
        return (0..<count).map { bytes[$0 / 8] >> UInt8($0 % 8) & 1 == 1 }
    }
}

extension ColumnView {
    /// The type of the values that lie side by side.
    fileprivate var elementType: ArrowType {
        if case .list(let element) = type { element } else { type }
    }

    fileprivate var elementCount: Int { childLength ?? length }
}
