import ArrowIPC
import Foundation
import Kernels
import Shards
import Support

/// Feeds a training loop with batches of jets from a dataset.
///
/// The sequence of global batches follows from the dataset's fingerprint, the options, the seed and the epoch; threads,
/// ranks and interruptions only decide who makes which part and when.
///
/// ```swift
/// let loader = try Loader(dataset: "aoj.pando", columns: ["px", "py", "pz", "E"], options: options)
/// var batches = try loader.batches(epoch: 0)
/// while let batch = try batches.next() { train(batch) }
/// ```
public final class Loader: Sendable {
    /// The dataset.
    public let dataset: Dataset
    /// The options.
    public let options: LoaderOptions
    /// What batches hold.
    public let contents: LoaderContents
    let parts: [DatasetPart]
    let pool: BatchPool

    /// Opens a dataset for loading.
    /// - Parameter columns: Columns that batches have; nil: all of the source's.
    /// - Throws: `LoaderError` for what cannot be, before anything is read; what opening the dataset throws.
    public convenience init(
        dataset directory: String, columns: [String]? = nil, options: LoaderOptions = LoaderOptions()
    ) throws {
        try self.init(dataset: directory, contents: LoaderContents(columns: columns), options: options)
    }

    /// Opens a dataset for loading columns, features, or both.
    /// - Throws: `LoaderError` for what cannot be, before anything is read; what opening the dataset throws.
    public init(dataset directory: String, contents: LoaderContents, options: LoaderOptions = LoaderOptions()) throws {
        let dataset = try Dataset(directory: directory)
        self.dataset = dataset
        self.options = options
        self.contents = contents
        parts = [try DatasetPart(dataset: dataset, contents: contents, options: options)]
        try options.check(rows: parts.reduce(0) { $0 + $1.jetCount }, file: directory)
        let selection = parts[0].selection, size = parts[0].batch
        pool = BatchPool(limit: options.prefetch + options.threads + 2) {
            Batch(
                fields: selection.encoding.fields, names: selection.names, features: contents.features, size: size)
        }
    }

    /// Jets that take part in an epoch.
    public var jetCount: Int { parts.reduce(0) { $0 + $1.jetCount } }

    /// Batches of an epoch: the same number on every rank.
    public var stepsPerEpoch: Int {
        let streams = options.streamCount, share = options.batchSize / streams
        return options.dropLast ? jetCount / streams / share : ((jetCount + streams - 1) / streams + share - 1) / share
    }

    /// Bytes that loading one epoch at a time takes at most, beside the index and the plan (some 100 bytes a record batch):
    /// the record batches of all windows, and batches that are ready, being made, or in use.
    public var memoryBound: Int {
        let windows = options.storeCapacity(batches: Int.max) * MemoryLayout<pando_stored_row>.stride
        var sum = 0
        var largest = 0.0
        for part in parts {
            let records = (0..<part.dataset.batchCount).map { part.dataset.record(ofBatch: $0) }
            // One exception in four constituents is far more than there are; buffers grow by half.
            let bytes = records.map { record in
                part.selection.stored.byteCount(
                    rows: record.rows, constituents: record.constituents, exceptions: record.constituents / 4)
            }
            let kept = options.storeCapacity(batches: part.dataset.batchCount)
            sum += kept * ((bytes.max() ?? 0) * 3 / 2) + min(windows * (records.map(\.rows).max() ?? 0), kept << 20)
            for record in records {
                largest = max(largest, Double(record.constituents) / Double(max(1, record.rows)))
            }
        }
        // A batch of jets with twice as many constituents as the richest record batch has.
        let rows = options.batchSize / options.worldSize, constituents = Int(2 * largest) * rows
        var batch = 4 * constituents * (contents.columns?.count ?? parts[0].selection.encoding.fields.count) + 64 * rows
        if let features = contents.features { batch += rows * features.padLength * (1 + 4 * features.features.count) }
        sum += (options.prefetch + 2 * options.threads + 4) * batch + options.threads * 32 * constituents
        // Stacks, the reader's own buffers, and the library.
        return sum + options.threads * (8 << 20) + (64 << 20)
    }

    /// Record batches that a stream shuffles together.
    public var window: Int { options.windowLength }

    /// The plan of an epoch.
    public func plan(epoch: Int) -> ShufflePlan {
        ShufflePlan(
            rows: parts[0].rows, streams: options.streamCount, window: options.windowLength, shuffles: options.shuffle,
            seed: options.seed, epoch: epoch)
    }

    /// The state at the beginning of an epoch.
    public func state(epoch: Int) -> LoaderState {
        LoaderState(fingerprint: dataset.catalogue.fingerprint, options: options.digest, epoch: epoch, step: 0)
    }

    /// The batches of an epoch from its beginning.
    public func batches(epoch: Int = 0) throws -> BatchIterator {
        try batches(from: state(epoch: epoch))
    }

    /// The batches of an epoch from where a state says; with any number of threads and ranks.
    /// - Throws: `LoaderError` with code `state` if the state is of another dataset or of other options.
    public func batches(from state: LoaderState) throws -> BatchIterator {
        func fault(_ message: String) -> LoaderError {
            LoaderError(
                .state, file: dataset.directory, message: message,
                advice: "begin anew, or use what the state was made with")
        }
        guard state.fingerprint == dataset.catalogue.fingerprint else {
            throw fault("the state is of the dataset \(state.fingerprint), this is \(dataset.catalogue.fingerprint)")
        }
        guard state.options == options.digest else {
            throw fault("the state was made with another batch size, order, seed, window, split or number of streams")
        }
        guard state.epoch >= 0, (0...stepsPerEpoch).contains(state.step) else {
            throw fault("the state is at step \(state.step) of epoch \(state.epoch), which has \(stepsPerEpoch)")
        }
        return BatchIterator(running: RunningQueue(makeQueue(epoch: state.epoch, first: state.step)), state: state)
    }

    /// The batches of an epoch for `for try await`.
    public func asyncBatches(epoch: Int = 0) -> AsyncBatches {
        AsyncBatches(first: 0) { [self] in makeQueue(epoch: epoch, first: 0) }
    }

    private func makeQueue(epoch: Int, first: Int) -> BatchQueue {
        let streams = options.streamCount / options.worldSize
        return BatchQueue(
            loader: self,
            plan: RankPlan(
                epoch: epoch, parts: parts, plans: [plan(epoch: epoch)],
                streams: options.rank * streams..<(options.rank + 1) * streams,
                share: options.batchSize / options.streamCount), first: first)
    }

    /// Where each jet of a batch came from, without reading what lies before it.
    /// - Throws: `LoaderError` with code `options` or `rank` if there is no such batch; what reading throws.
    public func jets(inStep step: Int, rank: Int, epoch: Int) throws -> [JetOrigin] {
        guard (0..<stepsPerEpoch).contains(step) else {
            throw LoaderError(
                .options, file: dataset.directory, place: "step \(step)",
                message: "does not exist; an epoch has \(stepsPerEpoch)")
        }
        guard (0..<options.worldSize).contains(rank) else {
            throw LoaderError(
                .rank, file: dataset.directory, message: "rank \(rank) of \(options.worldSize) does not exist")
        }
        var reader = try OriginReader(dataset: dataset)
        let plan = plan(epoch: epoch), share = options.batchSize / options.streamCount
        let streams = options.streamCount / options.worldSize
        let windows = StoredReader(part: parts[0], checksDigests: true)
        var origins: [JetOrigin] = []
        for stream in rank * streams..<(rank + 1) * streams {
            var position = step * share
            let end = min(position + share, plan.rows(ofStream: stream))
            let order = WindowOrder(), buffer = WindowBuffer()
            while position < end, let window = plan.window(ofStream: stream, at: position) {
                try buffer.fill(window, of: plan, from: windows, store: parts[0].store, order: order)
                defer { buffer.release(to: parts[0].store) }
                while position < min(end, window.positions.upperBound) {
                    let place = buffer.rows[position - window.positions.lowerBound]
                    origins.append(try reader.origin(of: Int(place.from.pointee.first_row + place.row)))
                    position += 1
                }
            }
        }
        return origins
    }
}

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
