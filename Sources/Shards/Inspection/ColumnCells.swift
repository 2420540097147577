import ArrowIPC

/// A column of a record batch, decoded, to look at its values one by one.
public struct ColumnCells {
    private enum Elements {
        case integers([Int64])
        case unsigned([UInt64])
        case floats([Float])
        case doubles([Double])
        case bools([Bool])
        case texts([String])
    }

    private let elements: Elements
    /// Where the values of each row begin; nil for columns that are no lists.
    private let offsets: [Int32]?
    private let valid: [Bool]?
    private let childValid: [Bool]?

    /// Decodes a column.
    /// - Throws: `ArrowError` if the batch has no such column, it cannot be decoded, or its type is not read.
    public init(_ batch: RecordBatch, column: Int, using decoder: BodyDecoder) throws(ArrowError) {
        let view = try batch.column(column)
        var element = view.type
        if case .list(let inner) = view.type {
            element = inner
            offsets = try batch.offsets(ofColumn: column, using: decoder)
            childValid = try batch.childValidity(ofColumn: column, using: decoder)
        } else {
            offsets = nil
            childValid = nil
        }
        valid = try batch.validity(ofColumn: column, using: decoder)
        func integers<T: ArrowValue & FixedWidthInteger>(_ type: T.Type) throws(ArrowError) -> Elements {
            .integers(
                try batch.values(ofColumn: column, as: type, using: decoder).map { Int64(truncatingIfNeeded: $0) })
        }
        switch element {
        case .int8: elements = try integers(Int8.self)
        case .int16: elements = try integers(Int16.self)
        case .int32: elements = try integers(Int32.self)
        case .int64: elements = try integers(Int64.self)
        case .uint8: elements = try integers(UInt8.self)
        case .uint16: elements = try integers(UInt16.self)
        case .uint32: elements = try integers(UInt32.self)
        case .uint64: elements = .unsigned(try batch.values(ofColumn: column, as: UInt64.self, using: decoder))
        case .float16:
            let halves = try batch.values(ofColumn: column, as: UInt16.self, using: decoder)
            elements = .floats(halves.map { Float(Float16(bitPattern: $0)) })
        case .float32: elements = .floats(try batch.values(ofColumn: column, as: Float.self, using: decoder))
        case .float64: elements = .doubles(try batch.values(ofColumn: column, as: Double.self, using: decoder))
        case .bool: elements = .bools(try batch.bools(ofColumn: column, using: decoder))
        case .utf8: elements = .texts(try batch.strings(ofColumn: column, using: decoder))
        case .list, .unsupported: throw ArrowError(.unsupported, message: "the type \(view.type) is not read")
        }
    }

    /// The value of a row; null where it is missing.
    public func value(ofRow row: Int) -> JSONValue {
        if let valid, !valid[row] { return .null }
        guard let offsets else { return element(row) }
        return .array((Int(offsets[row])..<Int(offsets[row + 1])).map { childValid?[$0] ?? true ? element($0) : .null })
    }

    private func element(_ index: Int) -> JSONValue {
        switch elements {
        case .integers(let values): .integer(values[index])
        case .unsigned(let values): JSONValue(values[index])
        case .floats(let values): .number(Double(values[index]))
        case .doubles(let values): .number(values[index])
        case .bools(let values): .bool(values[index])
        case .texts(let values): .string(values[index])
        }
    }

    /// The finite numbers of some rows, lists one after the other; none for texts.
    public func numbers(ofRows rows: Range<Int>) -> [Double] {
        var range = rows
        if let offsets { range = Int(offsets[rows.lowerBound])..<Int(offsets[rows.upperBound]) }
        let flags = offsets == nil ? valid : childValid
        let all: [Double] =
            switch elements {
            case .integers(let values): values[range].map { Double($0) }
            case .unsigned(let values): values[range].map { Double($0) }
            case .floats(let values): values[range].map { Double($0) }
            case .doubles(let values): Array(values[range])
            case .bools(let values): values[range].map { $0 ? 1 : 0 }
            case .texts: []
            }
        guard let flags, !all.isEmpty else { return all.filter(\.isFinite) }
        return zip(all, flags[range]).filter { $0.1 && $0.0.isFinite }.map(\.0)
    }
}
