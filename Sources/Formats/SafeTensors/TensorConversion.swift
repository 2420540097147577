import Support

/// The elements of a tensor in another type, if each of them has an exact counterpart there.
struct TensorConversion {
    /// The elements as they are stored, aligned or not.
    let bytes: UnsafeRawBufferPointer
    let type: TensorType
    let count: Int

    func floatingPoint<Target: BinaryFloatingPoint & TensorElement>() throws(SafeTensorsError) -> [Target] {
        switch type {
        case Target.tensorType: try copy()
        case .f64: try map { (value: Double) in Self.narrowed(value) }
        case .f32: try map { (value: Float) in Target(value) }
        case .f16: try map { (bits: UInt16) in Target(Self.half(bits)) }
        case .bf16: try map { (bits: UInt16) in Target(Float(bitPattern: UInt32(bits) << 16)) }
        case .i64: try map { (value: Int64) in Target(exactly: value) }
        case .i32: try map { (value: Int32) in Target(exactly: value) }
        case .i16: try map { (value: Int16) in Target(exactly: value) }
        case .i8: try map { (value: Int8) in Target(exactly: value) }
        case .u8: try map { (value: UInt8) in Target(exactly: value) }
        case .bool: try map { (value: UInt8) in value == 0 ? 0 : 1 }
        }
    }

    func integers<Target: FixedWidthInteger & TensorElement>() throws(SafeTensorsError) -> [Target] {
        switch type {
        case Target.tensorType: try copy()
        case .f64: try map { (value: Double) in Target(exactly: value) }
        case .f32: try map { (value: Float) in Target(exactly: value) }
        case .f16: try map { (bits: UInt16) in Target(exactly: Self.half(bits)) }
        case .bf16: try map { (bits: UInt16) in Target(exactly: Float(bitPattern: UInt32(bits) << 16)) }
        case .i64: try map { (value: Int64) in Target(exactly: value) }
        case .i32: try map { (value: Int32) in Target(exactly: value) }
        case .i16: try map { (value: Int16) in Target(exactly: value) }
        case .i8: try map { (value: Int8) in Target(exactly: value) }
        case .u8: try map { (value: UInt8) in Target(exactly: value) }
        case .bool: try map { (value: UInt8) in value == 0 ? 0 : 1 }
        }
    }

    /// The number that half a word of IEEE 754 stands for, all of which `Float` has.
    static func half(_ bits: UInt16) -> Float {
        let sign = UInt32(bits & 0x8000) << 16, exponent = UInt32(bits >> 10) & 0x1f, fraction = UInt32(bits & 0x3ff)
        switch exponent {
        case 0:
            // Subnormal: a multiple of 2^-24.
            let magnitude = Float(fraction) * 0x1p-24
            return Float(bitPattern: sign | magnitude.bitPattern)
        case 31: return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13)
        default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
        }
    }

    /// nil if the number changes; NaN stays one.
    private static func narrowed<Target: BinaryFloatingPoint>(_ value: Double) -> Target? {
        let narrow = Target(value)
        return Double(narrow) == value || value.isNaN ? narrow : nil
    }

    private func copy<Target: TensorElement>() throws(SafeTensorsError) -> [Target] {
        try checkLength()
        return [Target](unsafeUninitializedCapacity: count) { buffer, initialized in
            UnsafeMutableRawBufferPointer(buffer).copyMemory(from: bytes)
            initialized = count
        }
    }

    @inline(__always)
    private func map<Source: BitwiseCopyable, Target>(
        _ convert: (Source) -> Target?
    ) throws(SafeTensorsError) -> [Target] {
        try checkLength()
        var failure: Int?
        let converted = [Target](unsafeUninitializedCapacity: count) { buffer, initialized in
            for position in 0..<count {
                let source = bytes.loadUnaligned(
                    fromByteOffset: position * MemoryLayout<Source>.size, as: Source.self)
                guard let value = convert(source) else {
                    failure = position
                    break
                }
                buffer.initializeElement(at: position, to: value)
                initialized = position + 1
            }
        }
        if let failure {
            throw SafeTensorsError(
                .conversion, place: "element \(failure)",
                message: "\(described(failure)) of \(type.rawValue) has no exact counterpart in \(Target.self)",
                advice: "ask for the type that the file has, and round where that is meant")
        }
        return converted
    }

    /// An element in words.
    private func described(_ position: Int) -> String {
        func value<Source: BitwiseCopyable>(_ type: Source.Type) -> Source {
            bytes.loadUnaligned(fromByteOffset: position * MemoryLayout<Source>.size, as: type)
        }
        return switch type {
        case .f64: "\(value(Double.self))"
        case .f32: "\(value(Float.self))"
        case .f16: "\(Self.half(value(UInt16.self)))"
        case .bf16: "\(Float(bitPattern: UInt32(value(UInt16.self)) << 16))"
        case .i64: "\(value(Int64.self))"
        case .i32: "\(value(Int32.self))"
        case .i16: "\(value(Int16.self))"
        case .i8: "\(value(Int8.self))"
        case .u8, .bool: "\(value(UInt8.self))"
        }
    }

    /// The bytes come from a store that keeps to its own entries; nothing is read past them if it does not.
    private func checkLength() throws(SafeTensorsError) {
        guard bytes.count == count * type.size else {
            throw SafeTensorsError(.usage, message: "\(bytes.count) bytes for \(count) elements of \(type.rawValue)")
        }
    }
}
