import Shards

/// A stored field in memory, one number a jet or a constituent. The caller keeps the memory alive and answers for its length.
public enum JetColumn {
    case float32(UnsafePointer<Float>)
    case float64(UnsafePointer<Double>)
    case int8(UnsafePointer<Int8>)
    case int16(UnsafePointer<Int16>)
    case int32(UnsafePointer<Int32>)
    case int64(UnsafePointer<Int64>)
    case uint8(UnsafePointer<UInt8>)
    case uint16(UnsafePointer<UInt16>)
    case uint32(UnsafePointer<UInt32>)
    case uint64(UnsafePointer<UInt64>)

    /// Numbers from row `first` on as doubles; integers beyond 2^53 are rounded.
    func copy(from first: Int, into values: UnsafeMutableBufferPointer<Double>) {
        func integers(_ column: UnsafePointer<some BinaryInteger>) {
            for i in values.indices { values[i] = Double(column[first + i]) }
        }
        switch self {
        case .float32(let column): for i in values.indices { values[i] = Double(column[first + i]) }
        case .float64(let column): for i in values.indices { values[i] = column[first + i] }
        case .int8(let column): integers(column)
        case .int16(let column): integers(column)
        case .int32(let column): integers(column)
        case .int64(let column): integers(column)
        case .uint8(let column): integers(column)
        case .uint16(let column): integers(column)
        case .uint32(let column): integers(column)
        case .uint64(let column): integers(column)
        }
    }

    /// The first numbers as float32, rounded to nearest.
    func copy(into values: UnsafeMutableBufferPointer<Float>) {
        func integers(_ column: UnsafePointer<some BinaryInteger>) {
            for i in values.indices { values[i] = Float(column[i]) }
        }
        switch self {
        case .float32(let column): for i in values.indices { values[i] = column[i] }
        case .float64(let column): for i in values.indices { values[i] = Float(column[i]) }
        case .int8(let column): integers(column)
        case .int16(let column): integers(column)
        case .int32(let column): integers(column)
        case .int64(let column): integers(column)
        case .uint8(let column): integers(column)
        case .uint16(let column): integers(column)
        case .uint32(let column): integers(column)
        case .uint64(let column): integers(column)
        }
    }

    /// The number of a row; nil if it is no whole number, or beyond those of 64 bits with sign.
    func integer(at row: Int) -> Int64? {
        switch self {
        case .float32(let column): Int64(exactly: column[row])
        case .float64(let column): Int64(exactly: column[row])
        case .int8(let column): Int64(column[row])
        case .int16(let column): Int64(column[row])
        case .int32(let column): Int64(column[row])
        case .int64(let column): column[row]
        case .uint8(let column): Int64(column[row])
        case .uint16(let column): Int64(column[row])
        case .uint32(let column): Int64(column[row])
        case .uint64(let column): Int64(exactly: column[row])
        }
    }

    /// Calls `body` with each row whose number is not zero; NaN is not.
    func forEachNonzero(in rows: Range<Int>, _ body: (Int) -> Void) {
        func run(_ column: UnsafePointer<some Numeric>) {
            for row in rows where column[row] != 0 { body(row) }
        }
        switch self {
        case .float32(let column): run(column)
        case .float64(let column): run(column)
        case .int8(let column): run(column)
        case .int16(let column): run(column)
        case .int32(let column): run(column)
        case .int64(let column): run(column)
        case .uint8(let column): run(column)
        case .uint16(let column): run(column)
        case .uint32(let column): run(column)
        case .uint64(let column): run(column)
        }
    }

    /// The numbers of a column in memory.
    init(_ base: UnsafeRawPointer, type: ElementType) {
        func pointer<Number>(_ type: Number.Type) -> UnsafePointer<Number> { base.assumingMemoryBound(to: type) }
        switch type {
        case .float32: self = .float32(pointer(Float.self))
        case .float64: self = .float64(pointer(Double.self))
        case .int8: self = .int8(pointer(Int8.self))
        case .int16: self = .int16(pointer(Int16.self))
        case .int32: self = .int32(pointer(Int32.self))
        case .int64: self = .int64(pointer(Int64.self))
        case .uint8: self = .uint8(pointer(UInt8.self))
        case .uint16: self = .uint16(pointer(UInt16.self))
        case .uint32: self = .uint32(pointer(UInt32.self))
        case .uint64: self = .uint64(pointer(UInt64.self))
        }
    }
}
