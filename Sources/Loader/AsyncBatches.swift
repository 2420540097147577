import Support

/// The batches of an epoch for `for try await`: a thin cover over the same threads.
public struct AsyncBatches: AsyncSequence, Sendable {
    public typealias Element = Batch

    private let make: @Sendable () throws -> BatchQueue
    private let first: Int

    init(first: Int, make: @escaping @Sendable () throws -> BatchQueue) {
        self.first = first
        self.make = make
    }

    /// Waits on a thread of its own, as Swift's cooperative threads must not be blocked.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private let make: @Sendable () throws -> BatchQueue
        private var running: RunningQueue?
        private var step: Int

        fileprivate init(first: Int, make: @escaping @Sendable () throws -> BatchQueue) {
            step = first
            self.make = make
        }

        /// The next batch of this rank; nil at the end of the epoch.
        /// - Throws: What stopped a thread, in the place of its batch; `CancellationError` if the task was cancelled.
        public mutating func next() async throws -> Batch? {
            try Task.checkCancellation()
            let running = try running ?? RunningQueue(make())
            self.running = running
            let queue = running.queue, step = step
            let arrival: BatchArrival = try await withCheckedThrowingContinuation { continuation in
                do {
                    try WorkerThread.start { continuation.resume(with: Result { try queue.take(step) }) }
                } catch {
                    continuation.resume(throwing: error)
                }
            }
            guard case .batch(let batch) = arrival else { return nil }
            self.step += 1
            return batch
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(first: first, make: make) }
}

/// A queue whose threads run as long as somebody holds this.
final class RunningQueue: Sendable {
    let queue: BatchQueue

    init(_ queue: BatchQueue) {
        self.queue = queue
        queue.start()
    }

    deinit {
        queue.stop()
    }
}
