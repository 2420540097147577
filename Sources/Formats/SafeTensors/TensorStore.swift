import Support

/// A file of named tensors, whatever its format.
public protocol TensorStore: Sendable {
    /// The path.
    var path: String { get }
    /// The tensors' names, in the order of the file.
    var names: [String] { get }
    /// Type and shape of a tensor.
    func entry(_ name: String) throws(SafeTensorsError) -> TensorEntry
    /// A tensor's elements, one after the other with the last index running fastest, which may be used until `body` returns.
    func withBytes<Value>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Value) throws -> Value
}

extension TensorStore {
    /// A tensor's elements as `Float`.
    /// - Throws: `SafeTensorsError` with code `conversion` at a number that `Float` does not have, as most of `f64`.
    public func floats(_ name: String) throws(SafeTensorsError) -> [Float] {
        try convert(name) { conversion throws(SafeTensorsError) in try conversion.floatingPoint() }
    }

    /// A tensor's elements as `Double`.
    /// - Throws: `SafeTensorsError` with code `conversion` at a number that `Double` does not have, as most of `i64` beyond 2^53.
    public func doubles(_ name: String) throws(SafeTensorsError) -> [Double] {
        try convert(name) { conversion throws(SafeTensorsError) in try conversion.floatingPoint() }
    }

    /// A tensor's elements as `Int64`.
    /// - Throws: `SafeTensorsError` with code `conversion` at a number that is not whole or too large.
    public func int64s(_ name: String) throws(SafeTensorsError) -> [Int64] {
        try convert(name) { conversion throws(SafeTensorsError) in try conversion.integers() }
    }

    /// A tensor's elements as `UInt8`.
    /// - Throws: `SafeTensorsError` with code `conversion` at a number that is not whole, negative or beyond 255.
    public func uint8s(_ name: String) throws(SafeTensorsError) -> [UInt8] {
        try convert(name) { conversion throws(SafeTensorsError) in try conversion.integers() }
    }

    /// A tensor's bytes as they are.
    public func bytes(_ name: String) throws(SafeTensorsError) -> [UInt8] {
        try convert(name) { conversion throws(SafeTensorsError) in Array(conversion.bytes) }
    }

    private func convert<Value>(
        _ name: String, _ body: (TensorConversion) throws(SafeTensorsError) -> Value
    ) throws(SafeTensorsError) -> Value {
        let entry = try entry(name)
        do {
            return try withBytes(of: name) { bytes in
                try body(TensorConversion(bytes: bytes, type: entry.type, count: entry.count))
            }
        } catch { throw placed(error, "tensor \(name)", file: path) }
    }
}

/// An error with its address, if it has none yet.
func placed(_ error: any Error, _ place: String, file: String) -> SafeTensorsError {
    // Others can come from a store of somebody else's alone.
    guard let error = error as? SafeTensorsError else {
        return SafeTensorsError(.usage, file: file, place: place, message: "\(error)")
    }
    return error.file.isEmpty ? error.inside(place, file: file) : error
}
