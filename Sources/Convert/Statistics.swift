import ArrowIPC
import Kernels
import Shards
import Support

/// Smallest, largest and mean of a column's values.
enum Statistics {
    /// Statistics of values of a type.
    /// - Parameter scratch: Memory for widening float16.
    static func of(_ type: ArrowType, _ bytes: UnsafeRawBufferPointer, scratch: AlignedBuffer? = nil)
        -> ColumnStatistics
    {
        switch type {
        case .float32: floats(bytes.bindMemory(to: Float.self))
        case .float16: halves(bytes, scratch ?? AlignedBuffer())
        case .float64: doubles(bytes.bindMemory(to: Double.self))
        case .int8: codes(bytes.bindMemory(to: Int8.self))
        case .int16: integers(bytes.bindMemory(to: Int16.self))
        case .int32: integers(bytes.bindMemory(to: Int32.self))
        case .int64: integers(bytes.bindMemory(to: Int64.self))
        case .uint8: integers(bytes.bindMemory(to: UInt8.self))
        case .uint16: integers(bytes.bindMemory(to: UInt16.self))
        case .uint32: integers(bytes.bindMemory(to: UInt32.self))
        case .uint64: integers(bytes.bindMemory(to: UInt64.self))
        default: ColumnStatistics()
        }
    }

    private static func floats(_ values: UnsafeBufferPointer<Float>) -> ColumnStatistics {
        var low: Float = 0, high: Float = 0, sum = 0.0, notFinite = 0
        pando_statistics(values.count, values.baseAddress, &low, &high, &sum, &notFinite)
        var found = ColumnStatistics()
        found.count = values.count
        found.notFinite = notFinite
        found.sum = sum
        if notFinite < values.count {
            found.minimum = Double(low)
            found.maximum = Double(high)
        }
        return found
    }

    private static func halves(_ bytes: UnsafeRawBufferPointer, _ scratch: AlignedBuffer) -> ColumnStatistics {
        let values = bytes.bindMemory(to: UInt16.self)
        scratch.reserve(values.count * 4)
        let floats = scratch.elements(Float.self, count: values.count)
        pando_widen_half(values.count, values.baseAddress, floats.baseAddress)
        return self.floats(UnsafeBufferPointer(floats))
    }

    private static func codes(_ values: UnsafeBufferPointer<Int8>) -> ColumnStatistics {
        var found = ColumnStatistics()
        found.count = values.count
        guard !values.isEmpty else { return found }
        var low: Int8 = 0, high: Int8 = 0, sum: Int64 = 0
        pando_statistics_int8(values.count, values.baseAddress, &low, &high, &sum)
        found.minimum = Double(low)
        found.maximum = Double(high)
        found.sum = Double(sum)
        return found
    }

    private static func doubles(_ values: UnsafeBufferPointer<Double>) -> ColumnStatistics {
        var found = ColumnStatistics()
        found.count = values.count
        for value in values {
            guard value.isFinite else {
                found.notFinite += 1
                continue
            }
            found.sum += value
            found.minimum = min(found.minimum ?? value, value)
            found.maximum = max(found.maximum ?? value, value)
        }
        return found
    }

    private static func integers<T: FixedWidthInteger>(_ values: UnsafeBufferPointer<T>) -> ColumnStatistics {
        var found = ColumnStatistics()
        found.count = values.count
        guard var low = values.first else { return found }
        var high = low
        // Partial sums of 4,096 values fit in 64 bits for types up to 32 bits; wider ones are summed in double.
        if T.bitWidth <= 32 {
            var sum: Int64 = 0
            for value in values {
                low = Swift.min(low, value)
                high = Swift.max(high, value)
                sum &+= Int64(truncatingIfNeeded: value)
            }
            found.sum = Double(sum)
        } else {
            for value in values {
                low = Swift.min(low, value)
                high = Swift.max(high, value)
                found.sum += Double(value)
            }
        }
        found.minimum = Double(low)
        found.maximum = Double(high)
        return found
    }
}

/// Ranges of key columns, exact for integers.
enum KeyRanges {
    /// The smallest and largest value of a column.
    static func range(of type: ElementType, _ bytes: UnsafeRawBufferPointer) -> KeyRange {
        switch type {
        case .float32, .float64:
            let found = Statistics.of(type.arrow, bytes)
            return .number(found.minimum ?? .nan, found.maximum ?? .nan)
        default:
            let values = integers(type, bytes)
            return .integer(values.min() ?? 0, values.max() ?? 0)
        }
    }

    /// The values as 64-bit integers; floating point as its bits, uint64 beyond 2^63 as the same bits.
    static func integers(_ type: ElementType, _ bytes: UnsafeRawBufferPointer) -> [Int64] {
        func all<T: FixedWidthInteger>(_ type: T.Type) -> [Int64] {
            bytes.bindMemory(to: type).map { Int64(truncatingIfNeeded: $0) }
        }
        return switch type {
        case .int8: all(Int8.self)
        case .int16: all(Int16.self)
        case .int32: all(Int32.self)
        case .int64: all(Int64.self)
        case .uint8: all(UInt8.self)
        case .uint16: all(UInt16.self)
        case .uint32, .float32: all(UInt32.self)
        case .uint64, .float64: all(UInt64.self)
        }
    }
}
