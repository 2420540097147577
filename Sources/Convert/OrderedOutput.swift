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

    /// Hands a batch over; whoever brings the next one in order writes it and all that follow.
    /// - Returns: How many batches have been written, if this call wrote any.
    func deliver(_ batch: FinishedBatch, number: Int, clock: StageClock) throws -> Int? {
        clock.enter(.wait)
        state.update { $0.pending[number] = batch }
        var written: Int?
        while true {
            let mine: FinishedBatch? = state.update { state in
                guard !state.isWriting, state.failure == nil, let next = state.pending.removeValue(forKey: state.next)
                else { return nil }
                state.isWriting = true
                return next
            }
            guard let mine else { return written }
            do {
                try writer.append(mine, clock: clock)
            } catch {
                fail(error)
                throw error
            }
            clock.enter(.wait)
            written = state.update { state in
                state.isWriting = false
                state.next += 1
                return state.next
            }
        }
    }

    /// Stops everybody.
    func fail(_ error: any Error) {
        state.update { state in
            state.isWriting = false
            if state.failure == nil { state.failure = error }
        }
    }
}
