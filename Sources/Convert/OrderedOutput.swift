import Shards
import Support

/// Brings batches from many workers to the writer in order.
///
/// `@unchecked Sendable`: only the thread that has set `isWriting` touches `writer`.
final class OrderedOutput: @unchecked Sendable {
    private struct State: Sendable {
        var next: Int
        var pending: [Int: FinishedBatch] = [:]
        var isWriting = false
        var failure: (any Error)?
    }

    private let writer: DatasetWriter
    private let state: Monitor<State>
    private let window: Int

    /// An output that expects batch `first` next and lets workers run `window` batches ahead.
    init(writer: DatasetWriter, first: Int, window: Int) {
        self.writer = writer
        self.window = window
        state = Monitor(State(next: first))
    }

    /// Waits until a batch may be begun.
    /// - Throws: What stopped another worker.
    func waitForTurn(_ batch: Int) throws {
        let failure: (any Error)?? = state.wait { state -> (any Error)?? in
            if let failure = state.failure { return .some(failure) }
            return batch < state.next + self.window ? .some(nil) : nil
        }
        if case .some(.some(let error)) = failure { throw error }
    }

    /// Hands a batch over; whoever brings the next one in order writes it and all that follow, and finishes the shards
    /// that it has filled while others go on writing.
    /// - Returns: How many batches have been written, if this call wrote any.
    func deliver(_ batch: FinishedBatch, number: Int, clock: StageClock) throws -> Int? {
        clock.enter(.wait)
        state.update { $0.pending[number] = batch }
        var written: Int?
        var full: [FullShard] = []
        do {
            while true {
                if let mine = claimNext() {
                    if let shard = try writer.append(mine, clock: clock) { full.append(shard) }
                    clock.enter(.wait)
                    written = state.update { state in
                        state.isWriting = false
                        state.next += 1
                        return state.next
                    }
                } else if let shard = full.first {
                    try shard.finish(clock)
                    clock.enter(.wait)
                    try claimWriter()
                    try writer.add(full.removeFirst(), clock: clock)
                    // Batches that came meanwhile were left to us.
                    state.update { $0.isWriting = false }
                } else {
                    return written
                }
            }
        } catch {
            fail(error)
            throw error
        }
    }

    /// The next batch in order, if it is there and nobody writes: then we do.
    private func claimNext() -> FinishedBatch? {
        state.update { state in
            guard !state.isWriting, state.failure == nil, let next = state.pending.removeValue(forKey: state.next)
            else { return nil }
            state.isWriting = true
            return next
        }
    }

    /// Waits until nobody writes.
    /// - Throws: What stopped another worker.
    private func claimWriter() throws {
        let failure: (any Error)?? = state.wait { state -> (any Error)?? in
            if let failure = state.failure { return .some(failure) }
            guard !state.isWriting else { return nil }
            state.isWriting = true
            return .some(nil)
        }
        if case .some(.some(let error)) = failure { throw error }
    }

    /// Stops everybody.
    func fail(_ error: any Error) {
        state.update { state in
            state.isWriting = false
            if state.failure == nil { state.failure = error }
        }
    }
}
