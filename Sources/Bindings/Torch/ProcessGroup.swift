import CTorch

/// Processes that compute together: c10d's process groups.
///
/// All of them start the same things in the same order. Nothing is to be read from a tensor before its work is done.
public final class ProcessGroup {
    /// What carries the data.
    public enum Backend: String, Sendable {
        /// Over TCP, for tensors of the CPU.
        case gloo
        /// Between GPUs.
        case nccl
    }

    /// Something that was started.
    public final class Work {
        private let handle: ct_work
        /// What it works on stays as long as it.
        private let tensor: Tensor

        init(_ handle: ct_work, _ tensor: Tensor) {
            self.handle = handle
            self.tensor = tensor
        }

        deinit { ct_work_free(handle) }

        /// Whether it is done.
        /// - Throws: `TorchError` if it has failed: another process is gone.
        public func isDone() throws(TorchError) -> Bool {
            var isDone: Int32 = 0
            try done("collective", [tensor], ct_work_done(handle, &isDone))
            return isDone != 0
        }
    }

    let handle: ct_group

    /// Whether this build can make groups of GPUs.
    public static var hasNCCL: Bool { ct_has_nccl() != 0 }

    /// Joins a group; returns when all `size` processes have.
    /// - Parameters:
    ///   - address: Of this machine's interface, for Gloo; the variable `GLOO_SOCKET_IFNAME` names another one.
    ///   - timeout: Seconds after which anything that is not done has failed.
    ///   - joining: Seconds that others may need to say where they are; nil: `timeout`.
    public init(
        _ backend: Backend, _ store: KeyValueStore, address: String, rank: Int, size: Int, timeout: Double,
        joining: Double? = nil
    ) throws(TorchError) {
        var out: ct_group?
        try done(
            "ProcessGroup", [],
            ct_group_open(
                store.handle, backend.rawValue, address, Int32(clamping: rank), Int32(clamping: size), timeout,
                joining ?? timeout, &out))
        guard let out else { throw TorchError(operation: "ProcessGroup", message: "no group") }
        handle = out
    }

    deinit { ct_group_close(handle) }

    /// Adds up a tensor over all processes, in place.
    public func startSum(_ tensor: Tensor) throws(TorchError) -> Work {
        var out: ct_work?
        try done("allreduce", [tensor], ct_group_sum(handle, tensor.handle, &out))
        guard let out else { throw TorchError(operation: "allreduce", message: "no work") }
        return Work(out, tensor)
    }

    /// Makes a tensor that of process `root`, in place.
    public func startBroadcast(_ tensor: Tensor, from root: Int = 0) throws(TorchError) -> Work {
        var out: ct_work?
        try done("broadcast", [tensor], ct_group_broadcast(handle, tensor.handle, Int32(clamping: root), &out))
        guard let out else { throw TorchError(operation: "broadcast", message: "no work") }
        return Work(out, tensor)
    }
}

/// The sums of a model's gradients over a group, in buckets that go out while the backward pass runs on. Over Gloo gradients of a GPU go through the
/// memory of the CPU.
public final class GradientBuckets {
    private let handle: ct_buckets
    private let group: ProcessGroup

    /// Buckets for the gradients of parameters, in the order in which their layers follow each other.
    /// - Parameters:
    ///   - bytes: Of a bucket, about.
    ///   - overlaps: Whether buckets go out as soon as their gradients are whole, or all behind the backward pass.
    public init(
        _ parameters: [Tensor], group: ProcessGroup, bytes: Int = 4 << 20, overlaps: Bool = true
    ) throws(TorchError) {
        var out: ct_buckets?
        let handles = parameters.map { Optional($0.handle) }
        try withExtendedLifetime(parameters) { () throws(TorchError) in
            try done(
                "GradientBuckets", [],
                ct_buckets_open(group.handle, handles, handles.count, bytes, overlaps ? 1 : 0, &out))
        }
        guard let out else { throw TorchError(operation: "GradientBuckets", message: "no buckets") }
        handle = out
        self.group = group
    }

    deinit { ct_buckets_close(handle) }

    /// The next backward pass is the last one of the step: gradients that are whole go out.
    public func arm() throws(TorchError) { try done("arm", [], ct_buckets_arm(handle)) }

    /// Sends the rest: gradients that the backward pass did not touch.
    public func flush() throws(TorchError) { try done("flush", [], ct_buckets_flush(handle)) }

    /// Whether all sums are there.
    /// - Throws: `TorchError` if one has failed: another process is gone.
    public func isDone() throws(TorchError) -> Bool {
        var isDone: Int32 = 0
        try done("allreduce of gradients", [], ct_buckets_done(handle, &isDone))
        return isDone != 0
    }

    /// Makes the sums the gradients. A parameter that has none in any process has none.
    public func apply() throws(TorchError) { try done("apply", [], ct_buckets_apply(handle)) }
}
