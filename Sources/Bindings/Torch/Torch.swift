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

    /// Products in bfloat16, if asked for: forward pass and loss; `backward` belongs outside.
    public static func autocast<Result, Failure: Error>(
        _ isOn: Bool = true, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        guard isOn else { return try body() }
        let old = ct_autocast_bf16(1)
        defer { _ = ct_autocast_bf16(old) }
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

    /// A step of AdamW on this parameter with its moments, in place; nothing without a gradient.
    public func adamWStep(
        _ m: Tensor, _ v: Tensor, rate: Double, betas: (Double, Double), eps: Double, decay: Double, step: Int
    ) throws(TorchError) {
        try done(
            "adamw", [self, m, v], ct_adamw(handle, m.handle, v.handle, rate, betas.0, betas.1, eps, decay, Int64(step))
        )
    }

    /// A step of Ranger on this parameter with its moments and slow weights, in place; nothing without a gradient.
    public func rangerStep(
        _ m: Tensor, _ v: Tensor, _ slow: Tensor, rate: Double, betas: (Double, Double), eps: Double, decay: Double,
        isDecoupled: Bool, alpha: Double, lookahead: Int, centralise: Int, step: Int
    ) throws(TorchError) {
        let options = ct_ranger_options(
            rate: rate, beta1: betas.0, beta2: betas.1, eps: eps, decay: decay, alpha: alpha,
            lookahead: Int64(max(1, lookahead)),
            step: Int64(step), centralise: Int32(centralise), decoupled: isDecoupled ? 1 : 0)
        try done("ranger", [self, m, v], ct_ranger(handle, m.handle, v.handle, slow.handle, options))
    }
}
