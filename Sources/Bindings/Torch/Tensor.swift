import CTorch

/// Types of elements.
public enum DType: Int32, Sendable {
    case uint8 = 0, int8 = 1, int16 = 2, int32 = 3, int64 = 4, float16 = 5, float32 = 6, float64 = 7, bool = 11
    case bfloat16 = 15

    /// Bytes of an element.
    public var width: Int {
        switch self {
        case .uint8, .int8, .bool: 1
        case .int16, .float16, .bfloat16: 2
        case .int32, .float32: 4
        case .int64, .float64: 8
        }
    }
}

/// One reference to a tensor of libtorch.
///
/// Not Sendable: operations in place and those beside them cannot be told apart. A plain `let` lives to the end of its scope; chains of
/// operations free what they do not need as they go.
public final class Tensor {
    let handle: ct_tensor

    init(owning handle: ct_tensor) { self.handle = handle }

    deinit { ct_free(handle) }

    /// Elements along each axis.
    public var shape: [Int] {
        let rank = Int(ct_rank(handle))
        return withUnsafeTemporaryAllocation(of: Int64.self, capacity: max(rank, 1)) { dims in
            ct_shape(handle, dims.baseAddress)
            return (0..<rank).map { Int(dims[$0]) }
        }
    }

    /// Elements along an axis; negative ones count from the last. 0 if there is no such axis.
    public func size(_ axis: Int) -> Int {
        let shape = shape, place = axis < 0 ? shape.count + axis : axis
        return shape.indices.contains(place) ? shape[place] : 0
    }

    /// Elements in all.
    public var count: Int { shape.reduce(1, *) }

    /// Their type; nil for those that have no name here, such as complex numbers.
    public var type: DType? { DType(rawValue: Int32(ct_dtype(handle))) }
}

@inline(never)
private func failure(_ operation: String, _ inputs: [Tensor]) -> TorchError {
    // The message is this thread's, and nothing was awaited since the call.
    TorchError(operation: operation, shapes: inputs.map(\.shape), message: String(cString: ct_error()))
}

@inline(__always)
func made(
    _ operation: StaticString, _ inputs: @autoclosure () -> [Tensor] = [],
    _ body: (UnsafeMutablePointer<ct_tensor?>) -> Int32
) throws(TorchError) -> Tensor {
    var out: ct_tensor?
    guard body(&out) == 0, let out else { throw failure(operation.description, inputs()) }
    return Tensor(owning: out)
}

@inline(__always)
func done(_ operation: StaticString, _ inputs: @autoclosure () -> [Tensor] = [], _ status: Int32) throws(TorchError) {
    guard status == 0 else { throw failure(operation.description, inputs()) }
}

func withNumbers<Result>(_ numbers: [Int], _ body: (UnsafePointer<Int64>?, Int) -> Result) -> Result {
    withUnsafeTemporaryAllocation(of: Int64.self, capacity: max(numbers.count, 1)) { memory in
        for (index, number) in numbers.enumerated() { memory[index] = Int64(number) }
        return body(UnsafePointer(memory.baseAddress), numbers.count)
    }
}

// MARK: making

extension Tensor {
    /// All elements the same.
    public static func full(
        _ shape: [Int], _ value: Double, _ type: DType = .float32, on device: Device = .cpu
    ) throws(TorchError) -> Tensor {
        try made("full") { out in withNumbers(shape) { ct_full($0, $1, type.rawValue, value, device.code, out) } }
    }

    /// All elements 0.
    public static func zeros(
        _ shape: [Int], _ type: DType = .float32, on device: Device = .cpu
    ) throws(TorchError) -> Tensor {
        try full(shape, 0, type, on: device)
    }

    // Random numbers are the CPU's, so that a seed gives the same ones for every device.

    /// float32 between two numbers, by the generator of libtorch.
    public static func uniform(_ shape: [Int], _ range: ClosedRange<Double>) throws(TorchError) -> Tensor {
        try made("uniform") { out in
            withNumbers(shape) { ct_uniform($0, $1, range.lowerBound, range.upperBound, out) }
        }
    }

    /// Normal float32, by the generator of libtorch.
    public static func normal(_ shape: [Int], mean: Double = 0, deviation: Double = 1) throws(TorchError) -> Tensor {
        try made("normal") { out in withNumbers(shape) { ct_normal($0, $1, mean, deviation, out) } }
    }

    /// The numbers 0..<count in random order, int64.
    public static func permutation(_ count: Int) throws(TorchError) -> Tensor {
        try made("randperm") { ct_permutation(Int64(count), $0) }
    }

    /// A copy of elements. One on a GPU is not waited for: `bytes` are free when this returns all the same.
    /// - Throws: If there are not as many as the shape says.
    public static func copy(
        _ bytes: UnsafeRawBufferPointer, _ shape: [Int], _ type: DType, on device: Device = .cpu
    ) throws(TorchError) -> Tensor {
        guard shape.reduce(1, *) * type.width == bytes.count else {
            throw TorchError(operation: "copy", shapes: [shape], message: "\(bytes.count) bytes do not fill it")
        }
        return try made("copy") { out in
            withNumbers(shape) { ct_copy(bytes.baseAddress, $0, $1, type.rawValue, device.code, out) }
        }
    }

    /// float32 from numbers.
    public static func of(
        _ values: [Float], _ shape: [Int]? = nil, on device: Device = .cpu
    ) throws(TorchError) -> Tensor {
        try of(values, shape, .float32, device)
    }

    /// int64 from numbers.
    public static func of(
        _ values: [Int64], _ shape: [Int]? = nil, on device: Device = .cpu
    ) throws(TorchError) -> Tensor {
        try of(values, shape, .int64, device)
    }

    private static func of<Value: BitwiseCopyable>(
        _ values: [Value], _ shape: [Int]?, _ type: DType, _ device: Device
    ) throws(TorchError) -> Tensor {
        var result: Result<Tensor, TorchError>?
        values.withUnsafeBytes { bytes in
            do throws(TorchError) {
                result = .success(try copy(bytes, shape ?? [values.count], type, on: device))
            } catch { result = .failure(error) }
        }
        guard let result else { throw TorchError(operation: "copy", message: "no result") }
        return try result.get()
    }
}

// MARK: looking

extension Tensor {
    // What follows waits for a GPU.

    /// The only element.
    public func item() throws(TorchError) -> Double {
        var value = 0.0
        try done("item", [self], ct_item(handle, &value))
        return value
    }

    /// The elements in row-major order, as float32.
    public func floats() throws(TorchError) -> [Float] { try elements(.float32, Float.self) }

    /// The elements in row-major order, as int64.
    public func integers() throws(TorchError) -> [Int64] { try elements(.int64, Int64.self) }

    /// The elements in row-major order, as float64.
    public func doubles() throws(TorchError) -> [Double] { try elements(.float64, Double.self) }

    private func elements<Value: BitwiseCopyable>(_ type: DType, _: Value.Type) throws(TorchError) -> [Value] {
        let source = try (self.type == type ? self : to(type)).detached().to(.cpu).contiguous()
        var data: UnsafeMutableRawPointer?, bytes = 0
        try done("data", [source], ct_data(source.handle, &data, &bytes))
        return withExtendedLifetime(source) {
            guard let data, bytes > 0 else { return [] }
            return Array(
                UnsafeBufferPointer(start: data.assumingMemoryBound(to: Value.self), count: bytes / type.width))
        }
    }

    /// The memory of a contiguous tensor of the CPU, which dies with it.
    public func withBytes<Result>(_ body: (UnsafeMutableRawBufferPointer) throws -> Result) throws -> Result {
        var data: UnsafeMutableRawPointer?, bytes = 0
        try done("data", [self], ct_data(handle, &data, &bytes))
        return try withExtendedLifetime(self) { try body(UnsafeMutableRawBufferPointer(start: data, count: bytes)) }
    }
}
