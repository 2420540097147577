/// The batches of an epoch, one after the other. Not Sendable: the training loop owns it.
public final class BatchIterator {
    private let running: RunningQueue
    /// Where the loop is: after the batches that it was given.
    public private(set) var state: LoaderState
    private let stride: Int

    /// What was done since it began.
    public var counters: LoaderCounters { running.queue.counters }

    init(running: RunningQueue, state: LoaderState, stride: Int = 1) {
        self.running = running
        self.state = state
        self.stride = stride
    }

    /// The next batch of this rank; nil at the end of the epoch.
    /// - Throws: What stopped a thread, in the place of its batch, with shard and record batch.
    public func next() throws -> Batch? {
        guard case .batch(let batch) = try running.queue.take(state.step) else { return nil }
        state.step += stride
        return batch
    }

    /// The next batch of this rank, if it comes within some seconds: for loops that look at something else now and then.
    /// - Throws: As `next()`.
    public func next(within seconds: Double) throws -> BatchArrival {
        let arrival = try running.queue.take(state.step, seconds: seconds)
        if case .batch = arrival { state.step += stride }
        return arrival
    }
}

/// What a loop gets that does not wait for ever.
public enum BatchArrival: Sendable {
    /// The next batch.
    case batch(Batch)
    /// The epoch has ended.
    case end
    /// No batch is ready yet; ask again.
    case notYet
}
