import Foundation
import Glibc
import Loader
import Support
import Torch

/// The processes that train one model together, seen from one of them; a single process is a world of one.
///
/// Not Sendable: one thread trains. Every process does the same things with it in the same order.
public final class World {
    /// How processes meet and watch each other.
    public struct Options: Sendable {
        /// Where rank 0 listens.
        public var master: Master
        /// Seconds that processes wait for each other at the beginning.
        public var joining = 300.0
        /// Seconds without a sign of life after which a process counts as dead.
        public var silence = 30.0
        /// Seconds that a process may keep the others waiting, such as rank 0 by writing a checkpoint. Then its training counts as hanging.
        public var longest = 600.0
        /// Whether gradients go out while the backward pass runs on.
        public var overlaps = true
        /// Bytes of gradients that go out together.
        public var bucket = 4 << 20
        /// Is told what should be known while a process waits.
        public var remark: @Sendable (String) -> Void = { _ in }
        /// What to do when another process is lost, and the thread that trains is blocked where it cannot hear of it.
        public var abandon: @Sendable (String) -> Void = { _ in }

        /// The defaults.
        public init(master: Master) { self.master = master }
    }

    /// Which process this is.
    public let rank: Rank
    private let options: Options?
    private let store: KeyValueStore?
    /// For what is in the memory of the CPU.
    private let group: ProcessGroup?
    private let vigil: Vigil?
    private var buckets: GradientBuckets?
    private var isArmed = false
    private var isSent = false
    /// Seconds that were spent waiting for others, and those of them that were spent on gradients.
    public private(set) var waited = 0.0
    public private(set) var waitedForGradients = 0.0

    /// A process alone.
    public static var single: World { World() }

    private init() {
        (rank, options, store, group, vigil) = (.single, nil, nil, nil, nil)
    }

    /// Meets the other processes of a training.
    /// - Parameters:
    ///   - device: Where the model will be: all must have one of the same kind. It is asked for here, so that a process that cannot have it
    ///     tells the others why.
    ///   - configuration: What is to be trained: all must have the same. It is made here for the same reason.
    /// - Throws: `ModelError` with code `ranks` in every process, if they do not fit together; what `device` and `configuration` throw.
    public init(
        _ rank: Rank, _ options: Options, device: () throws -> Device = { .cpu },
        configuration: () throws -> TrainingConfiguration
    ) throws {
        self.rank = rank
        self.options = options
        let meeting = Rendezvous(rank: rank, options: options)
        var card = RankCard(rank, common: [:]), own: (any Error)?
        do { card.common = try RankCard.common(of: configuration(), options, on: device()) } catch {
            own = error
            card.fault = "\(error)"
        }
        let store = try meeting.store()
        card.master = try? KeyValueStore.way(to: options.master.host, port: options.master.port).theirs
        let cards: [RankCard]
        do { cards = try meeting.meet(store, card) } catch { throw own ?? error }
        self.store = store
        let vigil = try Vigil(
            master: options.master, rank: rank.rank, names: cards.map(\.name), limit: options.silence,
            longest: options.longest,
            abandon: options.abandon)
        self.vigil = vigil
        do {
            group = try ProcessGroup(
                .gloo, store, address: meeting.address(cards), rank: rank.rank, size: rank.size,
                timeout: Self.timeout(options), joining: options.joining)
        } catch {
            let text = (error as? TorchError)?.message ?? "\(error)"
            // Who is gone is not in what the sockets say.
            let cause = error is TorchError ? vigil.cause() : nil
            let failure = ModelError(.ranks, message: cause ?? "\(card.name) cannot reach the others: \(text)")
            vigil.tell("\(failure)")
            throw failure
        }
    }

    /// Seconds after which sums fail by themselves: by then it is known which process keeps them waiting.
    private static func timeout(_ options: Options) -> Double { options.longest + 2 * options.silence }

    /// How many processes there are.
    public var size: Int { rank.size }
    /// Whether this one writes checkpoints, metrics and progress.
    public var isFirst: Bool { rank.rank == 0 }

    // MARK: waiting

    /// Waits until something is done that all processes have a part in.
    private func wait(_ isDone: () throws(TorchError) -> Bool) throws {
        let clock = ContinuousClock(), begin = clock.now
        defer { waited += (clock.now - begin) / .seconds(1) }
        vigil?.begin()
        var pause: UInt32 = 0
        do {
            while try !isDone() {
                if let fault = vigil?.fault { throw ModelError(.ranks, message: fault) }
                // On the way of small messages, a sleep is long; on that of large ones, a processor is of use to others.
                if pause < 20 { sched_yield() } else { usleep(min(500, pause)) }
                pause += 1
            }
        } catch let error as TorchError {
            // Who is gone is not in what the sockets say.
            let cause =
                vigil?.cause()
                ?? "the processes cannot do together what they must, though none is known to be gone: \(error.message)"
            throw ModelError(.ranks, message: cause)
        }
    }

    /// Adds up a tensor of the CPU over all processes, in place.
    func sum(_ tensor: Tensor) throws {
        guard let group else { return }
        let work = try group.startSum(tensor)
        try wait { () throws(TorchError) in try work.isDone() }
    }

    /// The sums of numbers over all processes.
    func sum(_ numbers: [Double]) throws -> [Double] {
        guard group != nil else { return numbers }
        let tensor = try numbers.withUnsafeBytes { try Tensor.copy($0, [numbers.count], .float64) }
        try sum(tensor)
        return try tensor.doubles()
    }

    /// The rows of all processes, one process behind the other; they have one width.
    func gathered(_ rows: Tensor) throws -> Tensor {
        guard group != nil else { return rows }
        var counts = [Double](repeating: 0, count: size)
        counts[rank.rank] = Double(rows.size(0))
        let all = try sum(counts).map { Int($0) }, total = all.reduce(0, +)
        let shape = [total] + rows.shape.dropFirst()
        // Zeros of the others change nothing.
        let together = try Tensor.zeros(shape, rows.type ?? .float32), device = rows.device
        if rows.size(0) > 0 {
            try together.narrow(0, all[..<rank.rank].reduce(0, +), rows.size(0)).assign(rows)
        }
        try sum(together)
        return try together.to(device)
    }

    /// Makes a tensor that of rank 0, in place.
    func broadcast(_ tensor: Tensor) throws {
        guard let group else { return }
        let here = try tensor.to(.cpu), work = try group.startBroadcast(here)
        try wait { () throws(TorchError) in try work.isDone() }
        if tensor.device.isGPU { try Torch.withoutGradients { try tensor.assign(here) } }
    }

    /// The text of rank 0.
    func broadcast(_ text: String) throws -> String {
        guard group != nil else { return text }
        let length = try sum([isFirst ? Double(text.utf8.count) : 0])[0]
        var bytes = isFirst ? Array(text.utf8) : Array(repeating: 0, count: Int(length))
        guard !bytes.isEmpty else { return "" }
        let tensor = try bytes.withUnsafeBytes { try Tensor.copy($0, [bytes.count], .uint8) }
        try broadcast(tensor)
        bytes = try tensor.withBytes { Array($0) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Waits until all processes are here.
    func meet() throws { _ = try sum([0]) }

    /// Finds out whether all processes have the same weights, to the last bit.
    /// - Throws: `ModelError` with code `ranks` that names those that have not.
    func checkEqual(_ parameters: Parameters) throws {
        guard size > 1 else { return }
        let own = Int64(bitPattern: try parameters.digest().value), all = try gathered(Tensor.of([own])).integers()
        let others = all.indices.filter { all[$0] != all[0] }
        guard others.isEmpty else {
            throw ModelError(
                .ranks,
                message:
                    "the weights of rank \(others.map(String.init).joined(separator: ", ")) are not those of rank 0",
                advice: "go on from the last checkpoint; is the memory of a machine damaged?")
        }
    }

    // MARK: gradients

    /// Whether the gradients of a device are summed between GPUs.
    static func sumsBetweenGPUs(_ device: Device) -> Bool { device.isGPU && ProcessGroup.hasNCCL }

    /// Takes the parameters whose gradients are to be summed: between GPUs over NCCL where this build has it.
    func watch(_ parameters: Parameters) throws {
        guard var group, let options, let store else { return }
        if Self.sumsBetweenGPUs(parameters.device) {
            group = try ProcessGroup(
                .nccl, store, address: "", rank: rank.rank, size: rank.size, timeout: Self.timeout(options))
        }
        buckets = try GradientBuckets(
            parameters.trainable.map(\.tensor), group: group, bytes: options.bucket, overlaps: options.overlaps)
    }

    /// The next backward pass is the last one of this step: gradients that are whole go out while it runs on.
    func beginLastPass() throws {
        try buckets?.arm()
        isArmed = true
    }

    /// Sends what is left of the gradients behind the last pass, and does not wait for the sums.
    ///
    /// Whatever else all processes do together before `sumGradients` stands behind this: a process that goes through a pass has sent gradients
    /// in it, one whose part of the batch is empty has not, and both must begin the same things in the same order.
    func sendGradients() throws {
        guard let buckets, !isSent else { return }
        // A process whose part of the batch is empty has gone through no pass.
        if !isArmed { try buckets.arm() }
        isArmed = false
        try buckets.flush()
        isSent = true
    }

    /// Makes the gradients of all processes the sums over all of them.
    func sumGradients() throws {
        guard let buckets else { return }
        try sendGradients()
        isSent = false
        let before = waited
        try wait { () throws(TorchError) in try buckets.isDone() }
        waitedForGradients += waited - before
        try buckets.apply()
    }

    // MARK: the end

    /// Tells the others that this process cannot go on.
    public func fail(_ error: any Error) {
        vigil?.tell("rank \(rank.rank): \(error)")
    }

    /// Leaves when all do.
    public func close() throws {
        guard let vigil else { return }
        try meet()
        buckets = nil
        vigil.end()
        // The store goes with rank 0, so that it goes last.
        guard let store, let options else { return }
        _ = try? store.add("left", 1)
        let clock = ContinuousClock(), end = clock.now + .seconds(options.silence)
        while isFirst, clock.now < end, (try? store.add("left", 0)).map({ $0 < size }) ?? false { usleep(5000) }
    }
}
