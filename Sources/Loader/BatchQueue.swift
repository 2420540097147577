import Foundation
import Shards
import Support

/// Threads that make batches ahead of the consumer.
///
/// Each thread takes the next number, gets the windows that its batch needs (read once, by whoever needs them first),
/// gathers its rows, and puts the batch under its number. How far ahead threads may be bounds the memory.
final class BatchQueue: Sendable {
    private struct Key: Hashable, Sendable {
        var stream: Int
        var window: Int
    }

    private struct State: Sendable {
        var next: Int
        var taken: Int
        var ready: [Int: Result<Batch, any Error>] = [:]
        var isStopped = false
        var counters = LoaderCounters()
    }

    private let dataset: Dataset
    private let options: LoaderOptions
    private let selection: FieldSelection
    private let subset: Subset?
    private let plan: ShufflePlan
    private let steps: Int
    private let share: Int
    private let streams: Range<Int>
    private let pool: ColumnPool
    private let state: Monitor<State>
    private let windows: SharedCache<Key, LoadedWindow>

    init(
        loader: Loader, selection: FieldSelection, subset: Subset?, plan: ShufflePlan, first: Int, steps: Int,
        pool: ColumnPool
    ) {
        dataset = loader.dataset
        options = loader.options
        self.selection = selection
        self.subset = subset
        self.plan = plan
        self.steps = steps
        self.pool = pool
        let share = options.batchSize / options.streamCount
        self.share = share
        let part = options.streamCount / options.worldSize
        streams = options.rank * part..<(options.rank + 1) * part
        state = Monitor(State(next: first, taken: first))
        windows = SharedCache { key in
            guard let positions = plan.window(ofStream: key.stream, number: key.window)?.positions else { return 0 }
            let last = min(steps - 1, (positions.upperBound - 1) / share)
            return max(0, last - max(first, positions.lowerBound / share) + 1)
        }
    }

    /// What was done so far.
    var counters: LoaderCounters { state.read { $0.counters } }

    /// Starts the threads.
    func start() {
        for _ in 0..<options.threads {
            let thread = Thread { [self] in work() }
            thread.stackSize = 4 << 20
            thread.start()
        }
    }

    /// Lets the threads end after the batch that they are making.
    func stop() {
        state.update { state in
            state.isStopped = true
            state.ready = [:]
        }
    }

    /// Waits for a batch; nil behind the last one.
    func take(_ step: Int) throws -> Batch? {
        guard step < steps else { return nil }
        let asked = LoaderCounters.now
        let result: Result<Batch, any Error> = state.wait { state in
            guard let result = state.ready[step] else { return nil }
            // An error stays where it is, for whoever asks again.
            if case .success = result {
                state.ready[step] = nil
                state.taken = step + 1
            }
            state.counters.stalled += LoaderCounters.now - asked
            return result
        }
        return try result.get()
    }

    private func work() {
        let reader: WindowReader
        do {
            reader = try WindowReader(
                dataset: dataset, selection: selection, subset: subset, checksDigests: options.checksDigests, pool: pool
            )
        } catch {
            // Whatever the consumer asks for next, it is told.
            state.update { state in state.ready[state.taken] = .failure(error) }
            return
        }
        while let step = nextStep() {
            let result = Result { try make(step, reader) }
            state.update { state in
                if !state.isStopped { state.ready[step] = result }
            }
        }
    }

    private func nextStep() -> Int? {
        let taken: Int?? = state.wait { state -> Int?? in
            if state.isStopped || state.next >= self.steps { return .some(nil) }
            guard state.next < state.taken + self.options.prefetch else { return nil }
            defer { state.next += 1 }
            return .some(state.next)
        }
        return taken ?? nil
    }

    private func make(_ step: Int, _ reader: WindowReader) throws -> Batch {
        var keys: [Key] = []
        for stream in streams {
            var position = step * share
            let end = min(position + share, plan.rows(ofStream: stream))
            while position < end, let window = plan.window(ofStream: stream, at: position) {
                keys.append(Key(stream: stream, window: window.number))
                position = window.positions.upperBound
            }
        }
        let plan = plan
        let found = windows.values(keys) { key in
            guard let window = plan.window(ofStream: key.stream, number: key.window) else {
                throw LoaderError(
                    .options, file: dataset.directory,
                    message: "there is no window \(key.window) in stream \(key.stream)")
            }
            let loaded = try reader.read(window, order: plan.order(of: window))
            state.update { state in
                state.counters.recordBatches += window.segments.count
                state.counters.storedBytes += window.segments.reduce(0) { $0 + dataset.record(ofBatch: $1.batch).bytes }
            }
            return loaded
        }
        defer { windows.release(keys) }
        var places: [(columns: JetColumns, row: Int)] = []
        var jets: [Int] = []
        places.reserveCapacity(options.batchSize / options.worldSize)
        jets.reserveCapacity(options.batchSize / options.worldSize)
        for key in keys {
            guard let result = found[key] else { continue }
            let window = try result.get()
            let end = min((step + 1) * share, plan.rows(ofStream: key.stream))
            for position in window.positions.clamped(to: step * share..<max(step * share, end)) {
                let place = window.place(position)
                places.append((place.columns, place.row))
                jets.append(place.jet)
            }
        }
        let columns = pool.take()
        gather(places, into: columns)
        return Batch(epoch: plan.epoch, step: step, jets: jets, columns: columns, names: selection.names, pool: pool)
    }

    /// Copies rows of many record batches together.
    private func gather(_ places: [(columns: JetColumns, row: Int)], into target: JetColumns) {
        let total = places.reduce(0) { sum, place in
            let offsets = place.columns.offsetNumbers
            return sum + Int(offsets[place.row + 1] - offsets[place.row])
        }
        target.resize(rows: places.count, constituents: total)
        let ends = target.offsetNumbers
        ends[0] = 0
        for (index, place) in places.enumerated() {
            let offsets = place.columns.offsetNumbers
            ends[index + 1] = ends[index] + offsets[place.row + 1] - offsets[place.row]
        }
        for field in selection.names.values { target.gather(field: field, from: places) }
    }
}
