import CTorch

/// Where tensors are and operations on them run.
public enum Device: Sendable, Hashable, CustomStringConvertible {
    /// The processor and its memory.
    case cpu
    /// A GPU by its number.
    case cuda(Int)

    /// Reads `cpu`, `cuda` (which is `cuda:0`) or `cuda:N`; nil for anything else.
    public init?(_ text: String) {
        switch text {
        case "cpu": self = .cpu
        case "cuda": self = .cuda(0)
        default:
            guard text.hasPrefix("cuda:"), let number = UInt8(text.dropFirst(5)), number < 128 else { return nil }
            self = .cuda(Int(number))
        }
    }

    public var description: String {
        switch self {
        case .cpu: "cpu"
        case .cuda(let number): "cuda:\(number)"
        }
    }

    /// Whether it is a GPU.
    public var isGPU: Bool { self != .cpu }

    /// Finds out whether it can be used, and makes it the one that this thread works on.
    /// - Throws: `TorchError` that says which devices there are.
    public func check() throws(TorchError) { try done("device", [], ct_check_device(code)) }

    /// Waits until it has done all that it was given: operations on a GPU only begin when they are called.
    public func synchronize() throws(TorchError) { try done("synchronize", [], ct_synchronize(code)) }

    /// The most bytes that tensors took on a GPU at once; nil for the CPU, and for libraries that do not tell (before libtorch 2.9).
    public func peakMemory() throws(TorchError) -> Int? {
        var bytes: Int64 = -1
        try done("memory", [], ct_peak_memory(code, &bytes))
        return bytes < 0 ? nil : Int(bytes)
    }

    /// Its number in the C face.
    var code: Int32 {
        switch self {
        case .cpu: Int32(CT_CPU)
        case .cuda(let number): Int32(clamping: number)
        }
    }

    init(code: Int32) { self = code < 0 ? .cpu : .cuda(Int(code)) }
}

extension Tensor {
    /// Where it is.
    public var device: Device { Device(code: ct_device(handle)) }

    /// Itself, or a copy on another device. What goes to a GPU is not waited for.
    public func to(_ device: Device) throws(TorchError) -> Tensor {
        try made("to", [self]) { ct_to_device(handle, device.code, $0) }
    }
}

extension Torch {
    /// Lets tensors of the CPU go through the operations that are meant for GPUs, for tests on machines without one; of this thread.
    package static func withGPUOperations<Result>(_ body: () throws -> Result) rethrows -> Result {
        let old = ct_prefer_generic(1)
        defer { _ = ct_prefer_generic(old) }
        return try body()
    }

    /// Lets a device by its number in libtorch stand for GPUs, for tests on machines without one; of this thread.
    package static func withDeviceForGPUs<Result>(_ number: Int32, _ body: () throws -> Result) rethrows -> Result {
        let old = ct_take_for_gpus(number)
        defer { _ = ct_take_for_gpus(old) }
        return try body()
    }
}
