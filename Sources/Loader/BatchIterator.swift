/// The batches of an epoch, one after the other. Not Sendable: the training loop owns it.
public final class BatchIterator {
    private let running: RunningQueue
    /// Where the loop is: after the batches that it was given.
    public private(set) var state: LoaderState

    /// What was done since it began.
    public var counters: LoaderCounters { running.queue.counters }

    init(running: RunningQueue, state: LoaderState) {
        self.running = running
        self.state = state
    }

    /// The next batch of this rank; nil at the end of the epoch.
    /// - Throws: What stopped a thread, in the place of its batch, with shard and record batch.
    public func next() throws -> Batch? {
        guard let batch = try running.queue.take(state.step) else { return nil }
        state.step += 1
        return batch
    }
}
