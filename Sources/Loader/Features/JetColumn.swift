/// A stored field of jets in memory, one number a jet. The caller keeps the memory alive and answers for its length.
public enum JetColumn {
    case float32(UnsafePointer<Float>)
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
}
