import CTorch

/// The library itself: version, threads, random numbers, modes.
public enum Torch {
    /// Its version.
    public static var version: String { String(cString: ct_version()) }
    /// Which libraries multiply, with which instructions of the processor.
    public static var kernels: String { String(cString: ct_kernels()) }
    /// GPUs that it can use.
    public static var cudaDevices: Int { Int(ct_cuda_devices()) }
    /// Threads of its loops.
    public static var threads: Int { Int(ct_threads()) }

    /// Sets the threads of its loops, and of OpenBLAS.
    public static func setThreads(_ count: Int) throws(TorchError) {
        try done("set_num_threads", [], ct_set_threads(Int32(clamping: count)))
    }

    /// Seeds all of its generators.
    public static func seed(_ seed: UInt64) throws(TorchError) { try done("manual_seed", [], ct_seed(seed)) }

    /// Lets large tensors take memory that was used before, in place of fresh pages from the system; call it once, before the first one.
    public static func keepFreedMemory() { ct_keep_freed_memory() }

    /// Without gradients. The mode is of the thread, so `body` is synchronous.
    public static func withoutGradients<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure)
        -> Result
    {
        let old = ct_grad_mode(0)
        defer { _ = ct_grad_mode(old) }
        return try body()
    }

    /// Products on a device in bfloat16, if asked for: forward pass and loss; `backward` belongs outside.
    public static func autocast<Result, Failure: Error>(
        _ isOn: Bool = true, on device: Device = .cpu, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        guard isOn else { return try body() }
        let old = ct_autocast_bf16(1, device.code)
        defer { _ = ct_autocast_bf16(old, device.code) }
        return try body()
    }
}

extension Tensor {
    /// Whether operations on it are recorded for gradients.
    public func setRequiresGradient(_ isOn: Bool = true) throws(TorchError) {
        try done("requires_grad_", [self], ct_requires_grad(handle, isOn ? 1 : 0))
    }

    /// Adds the gradients of this scalar to those of all that it was computed from.
    public func backward() throws(TorchError) { try done("backward", [self], ct_backward(handle)) }

    /// The gradient; nil if there is none.
    public func gradient() throws(TorchError) -> Tensor? {
        var out: ct_tensor?
        try done("grad", [self], ct_grad(handle, &out))
        return out.map(Tensor.init(owning:))
    }

    /// Forgets the gradient.
    public func clearGradient() throws(TorchError) { try done("grad", [self], ct_clear_grad(handle)) }

    /// The L2 norm of the gradients of all `parameters` together; where it is above `most`, they are scaled by most / (norm + 1e-6).
    public static func clipGradients(_ parameters: [Tensor], most: Double?) throws(TorchError) -> Double {
        var norm = 0.0
        let handles = parameters.map { Optional($0.handle) }
        try withExtendedLifetime(parameters) { () throws(TorchError) in
            try done("clip_grad_norm_", [], ct_clip_grad_norm(handles, handles.count, most ?? 0, &norm))
        }
        return norm
    }

    /// A step of AdamW on parameters that made as many steps, with their moments, in place; those without a gradient stay.
    public static func adamWStep(
        _ parameters: [Tensor], _ m: [Tensor], _ v: [Tensor], rate: Double, betas: (Double, Double), eps: Double,
        decay: Double, step: Int
    ) throws(TorchError) {
        let count = parameters.count
        guard m.count == count, v.count == count else {
            throw TorchError(operation: "adamw", message: "\(count) parameters, \(m.count) and \(v.count) moments")
        }
        try withHandles(parameters, m, v) { p, m, v throws(TorchError) in
            try done("adamw", [], ct_adamw(p, m, v, count, rate, betas.0, betas.1, eps, decay, Int64(step)))
        }
    }

    /// A step of Ranger on parameters that made as many steps, with their moments and slow weights, in place; those without a gradient stay.
    public static func rangerStep(
        _ parameters: [Tensor], _ m: [Tensor], _ v: [Tensor], _ slow: [Tensor], rate: Double, betas: (Double, Double),
        eps: Double, decay: Double, isDecoupled: Bool, alpha: Double, lookahead: Int, centralise: Int, step: Int
    ) throws(TorchError) {
        let count = parameters.count
        guard m.count == count, v.count == count, slow.count == count else {
            throw TorchError(
                operation: "ranger", message: "\(count) parameters, \(m.count), \(v.count), \(slow.count) states")
        }
        let options = ct_ranger_options(
            rate: rate, beta1: betas.0, beta2: betas.1, eps: eps, decay: decay, alpha: alpha,
            lookahead: Int64(max(1, lookahead)),
            step: Int64(step), centralise: Int32(centralise), decoupled: isDecoupled ? 1 : 0)
        let slowHandles = slow.map { Optional($0.handle) }
        try withExtendedLifetime(slow) { () throws(TorchError) in
            try withHandles(parameters, m, v) { p, m, v throws(TorchError) in
                try done("ranger", [], ct_ranger(p, m, v, slowHandles, count, options))
            }
        }
    }

    private static func withHandles(
        _ a: [Tensor], _ b: [Tensor], _ c: [Tensor],
        _ body: ([ct_tensor?], [ct_tensor?], [ct_tensor?]) throws(TorchError) -> Void
    ) throws(TorchError) {
        try withExtendedLifetime((a, b, c)) { () throws(TorchError) in
            try body(a.map(\.handle), b.map(\.handle), c.map(\.handle))
        }
    }
}
