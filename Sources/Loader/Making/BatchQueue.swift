import Glibc
import Kernels
import Shards
import Support

/// Threads that make batches ahead of the consumer.
///
/// A thread takes the next step whose windows are all in memory and makes its batch; or it loads a window that the next
/// step lacks; or, if others do that already or enough batches are ready, one that will be needed soon. Batches are put
/// under their numbers, so that the order does not depend on who made them. How far ahead threads may be bounds the memory.
final class BatchQueue: Sendable {
    /// Steps to look ahead for windows.
    private static let lookahead = 16

    /// The windows of one stream of one dataset.
    private struct Stream: Sendable {
        /// Windows in memory, in their order.
        var held: [WindowBuffer] = []
        /// The position up to which rows are in memory.
        var end = 0
        var isLoading = false
        var failure: (any Error)?
    }

    private struct State: Sendable {
        var next: Int
        var taken: Int
        var making: [Int] = []
        /// Batches that are ready, by their number here modulo the length.
        var ready: [Result<Batch, any Error>?]
        var streams: [Stream]
        var free: [WindowBuffer] = []
        var threads: Int
        var isStopped = false
        var counters = LoaderCounters()
    }

    private enum Work {
        case end
        case make(Int)
        case load(Int, WindowBuffer)
        case fail(Int, any Error)
    }

    private let loader: Loader
    private let plan: RankPlan
    private let first: Int
    private let stride: Int
    private let steps: Int
    private let state: Monitor<State>
    private let process = getpid()

    /// - Parameter stride: Only every so many steps are made.
    init(loader: Loader, plan: RankPlan, first: Int, stride: Int, steps: Int) {
        self.loader = loader
        self.plan = plan
        self.first = first
        self.stride = stride
        self.steps = steps
        // Exact order needs no windows.
        var streams = Array(repeating: Stream(), count: plan.isExact ? 0 : plan.unitCount)
        for unit in streams.indices {
            streams[unit].end = plan.range(unit, step: first).lowerBound
            streams[unit].held.reserveCapacity(4)
        }
        var state = State(
            next: first, taken: first, ready: Array(repeating: nil, count: loader.options.prefetch),
            streams: streams, threads: loader.options.threads)
        state.making.reserveCapacity(loader.options.threads)
        // Each stream has one window, and perhaps the next one.
        let length = loader.options.windowLength * 3 / 2 + 1
        state.free.reserveCapacity(2 * streams.count)
        for _ in 0..<2 * streams.count { state.free.append(WindowBuffer(rows: loader.longestWindow, batches: length)) }
        self.state = Monitor(state)
    }

    /// What was done so far.
    var counters: LoaderCounters { state.read { $0.counters } }

    /// Where a batch waits among `count` places.
    private func place(_ step: Int, _ count: Int) -> Int { (step - first) / stride % count }

    /// Starts the threads.
    func start() {
        for _ in 0..<loader.options.threads {
            do {
                try WorkerThread.start { [self] in
                    work()
                    state.update { $0.threads -= 1 }
                }
            } catch {
                // Fewer threads make the same batches; without any, whoever asks is told.
                state.update { state in
                    state.threads -= 1
                    if state.threads == 0 { state.ready[self.place(state.taken, state.ready.count)] = .failure(error) }
                }
            }
        }
    }

    /// Ends the threads after what they are doing, waits for that, and lets all memory go.
    func stop() {
        state.update { $0.isStopped = true }
        // In a process that was forked the threads do not exist.
        guard getpid() == process else { return }
        let held = state.wait { state -> [[WindowBuffer]]? in
            guard state.threads == 0 else { return nil }
            for index in state.ready.indices { state.ready[index] = nil }
            defer { for unit in state.streams.indices { state.streams[unit].held = [] } }
            return state.streams.map(\.held)
        }
        for (unit, windows) in held.enumerated() {
            for window in windows { window.release(to: plan.source(unit).part.store) }
        }
    }

    /// Waits for a batch, not longer than some seconds if there is such a number.
    func take(_ step: Int, seconds: Double? = nil) throws -> BatchArrival {
        guard step < steps else { return .end }
        guard getpid() == process else {
            throw LoaderError(
                .options, file: loader.parts[0].dataset.directory, message: "the loader was made before a fork",
                advice: "make it in the process that uses it")
        }
        let asked = LoaderCounters.now
        func pick(_ state: inout State) -> Result<Batch, any Error>? {
            let place = place(step, state.ready.count)
            guard state.taken == step, let result = state.ready[place] else { return nil }
            // An error stays where it is, for whoever asks again.
            if case .success = result {
                state.ready[place] = nil
                state.taken = step + stride
                state.counters.batches += 1
            }
            state.counters.stalled += LoaderCounters.now - asked
            return result
        }
        guard let seconds else { return .batch(try state.wait(until: pick).get()) }
        if let result = state.wait(seconds: seconds, until: pick) { return .batch(try result.get()) }
        state.update { $0.counters.stalled += LoaderCounters.now - asked }
        return .notYet
    }

    private func work() {
        let bench: Workbench
        do {
            bench = try Workbench(loader: loader)
        } catch {
            // Whatever the consumer asks for next, it is told.
            state.update { state in state.ready[self.place(state.taken, state.ready.count)] = .failure(error) }
            return
        }
        while true {
            let work = state.wait { state in self.pick(&state, bench) }
            switch work {
            case .end: return
            case .make(let step): finish(step, Result { try make(step, bench) }, bench)
            case .fail(let step, let error): finish(step, .failure(error), bench)
            case .load(let unit, let buffer): load(unit, buffer, bench)
            }
        }
    }

    /// What a thread does next; nil if there is nothing to do now.
    private func pick(_ state: inout State, _ bench: Workbench) -> Work? {
        if state.isStopped || state.next >= steps { return .end }
        let step = state.next
        var isComplete = true, failure: (any Error)?
        var missing = -1
        for unit in state.streams.indices where state.streams[unit].end < plan.range(unit, step: step).upperBound {
            isComplete = false
            failure = failure ?? state.streams[unit].failure
            if missing < 0, !state.streams[unit].isLoading, state.streams[unit].failure == nil { missing = unit }
        }
        let mayMake = step < state.taken + state.ready.count * stride
        if mayMake, isComplete || failure != nil && missing < 0 && !state.streams.contains(where: \.isLoading) {
            state.next += stride
            state.making.append(step)
            if let failure { return .fail(step, failure) }
            bench.windows.removeAll(keepingCapacity: true)
            for unit in state.streams.indices {
                let range = plan.range(unit, step: step)
                for window in state.streams[unit].held where window.positions.overlaps(range) {
                    bench.windows.append((unit, window))
                }
            }
            return .make(step)
        }
        // As many windows ahead as there are threads, so that record batches in memory stay within the store.
        let held = state.streams.reduce(0) { $0 + $1.held.count + ($1.isLoading ? 1 : 0) }
        if missing < 0, held < state.streams.count + loader.options.threads {
            let ahead = min(steps - 1, step + Self.lookahead * stride)
            missing =
                state.streams.indices.first { unit in
                    let stream = state.streams[unit]
                    return !stream.isLoading && stream.failure == nil && stream.held.count < 2
                        && stream.end < plan.range(unit, step: ahead).upperBound
                } ?? -1
        }
        guard missing >= 0 else { return nil }
        state.streams[missing].isLoading = true
        return .load(missing, state.free.popLast() ?? WindowBuffer(rows: 0, batches: 0))
    }

    private func load(_ unit: Int, _ buffer: WindowBuffer, _ bench: Workbench) {
        // What only batches between those of this stride need is left out.
        let (end, next) = state.read { ($0.streams[unit].end, min($0.next, steps - 1)) }
        let position = max(end, plan.range(unit, step: next).lowerBound)
        let reader = bench.readers[unit % plan.sources.count], before = reader.counts
        let result = Result {
            guard let window = plan.window(unit, at: position) else {
                throw LoaderError(.options, message: "there is no row \(position) in stream \(unit)")
            }
            try buffer.fill(window, from: reader, store: plan.source(unit).part.store, order: bench.order)
        }
        state.update { state in
            state.streams[unit].isLoading = false
            state.counters.add(reader.counts, since: before)
            switch result {
            case .success:
                state.streams[unit].held.append(buffer)
                state.streams[unit].end = buffer.positions.upperBound
            case .failure(let error): state.streams[unit].failure = error
            }
        }
    }

    private func make(_ step: Int, _ bench: Workbench) throws -> Batch {
        let batch = loader.pool.take()
        batch.epoch = plan.epoch
        batch.step = step
        bench.maker.begin(rows: loader.options.batchSize)
        if plan.isExact {
            try makeExact(step, batch, bench)
        } else {
            plan.addRows(of: step, from: bench.windows, to: bench.maker)
            try bench.maker.finish(batch)
        }
        return batch
    }

    /// Rows of a batch in exact order lie in any record batches; these stay in memory, as there is room for all.
    private func makeExact(_ step: Int, _ batch: Batch, _ bench: Workbench) throws {
        bench.pinned.removeAll(keepingCapacity: true)
        defer { for (dataset, number) in bench.pinned { plan.sources[dataset].part.store.unpin(number) } }
        try plan.forEachExactRow(of: step) { dataset, place in
            let reader = bench.readers[dataset], before = reader.counts
            let loaded = try reader.pin(place.batch)
            bench.pinned.append((dataset, place.batch))
            if reader.counts.batches > before.batches {
                state.update { $0.counters.add(reader.counts, since: before) }
            }
            bench.maker.add(
                pando_stored_row(from: UnsafePointer(loaded.view), row: Int64(loaded.row(place.row))), of: dataset)
        }
        try bench.maker.finish(batch)
    }

    /// Puts a batch under its number and lets windows go that nobody needs any more.
    private func finish(_ step: Int, _ result: Result<Batch, any Error>, _ bench: Workbench) {
        bench.windows.removeAll(keepingCapacity: true)
        state.update { state in
            if !state.isStopped { state.ready[self.place(step, state.ready.count)] = result }
            state.making.removeAll { $0 == step }
            let oldest = state.making.min() ?? state.next
            for unit in state.streams.indices {
                let position = plan.range(unit, step: oldest).lowerBound
                while let first = state.streams[unit].held.first, first.positions.upperBound <= position {
                    state.streams[unit].held.removeFirst()
                    bench.windows.append((unit, first))
                }
            }
        }
        guard !bench.windows.isEmpty else { return }
        for (unit, window) in bench.windows { window.release(to: plan.source(unit).part.store) }
        state.update { state in
            for (_, window) in bench.windows { state.free.append(window) }
        }
        bench.windows.removeAll(keepingCapacity: true)
    }
}

/// What a thread works with.
final class Workbench {
    let readers: [StoredReader]
    let maker: BatchMaker
    let order = WindowOrder()
    /// Windows that it works on, and whose they are.
    var windows: [(unit: Int, window: WindowBuffer)] = []

    /// Record batches that a batch in exact order needs.
    var pinned: [(dataset: Int, batch: Int)] = []

    init(loader: Loader) throws {
        pinned.reserveCapacity(loader.options.batchSize)
        readers = try loader.parts.map { try StoredReader(part: $0, checksDigests: loader.options.checksDigests) }
        maker = try BatchMaker(parts: loader.parts, isJagged: loader.contents.isJagged)
        windows.reserveCapacity(4 * loader.options.streamCount)
        order.reserve(rows: loader.longestWindow, segments: loader.options.windowLength * 3 / 2 + 1)
    }
}
