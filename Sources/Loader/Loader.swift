import ArrowIPC
import Foundation
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
    private let selection: FieldSelection
    private let rows: [Int]
    private let subset: Subset?
    private let pool: ColumnPool

    /// Opens a dataset for loading.
    /// - Parameter columns: Fields of the source that batches have; nil: all of them.
    /// - Throws: `LoaderError` for what cannot be, before anything is read; what opening the dataset throws.
    public init(dataset directory: String, columns: [String]? = nil, options: LoaderOptions = LoaderOptions()) throws {
        let dataset = try Dataset(directory: directory)
        self.dataset = dataset
        self.options = options
        selection = try FieldSelection(
            catalogue: dataset.catalogue, columns: columns, split: options.split, file: directory)
        let part = options.split.flatMap { name in dataset.index.splits.firstIndex(of: name) }
        let taking = try (0..<dataset.batchCount).map { batch in
            let record = dataset.record(ofBatch: batch)
            guard options.split != nil else { return record.rows }
            guard let part, record.splits.indices.contains(part) else {
                throw LoaderError(
                    .options, file: directory, message: "its index does not know the split '\(options.split ?? "")'")
            }
            return record.splits[part]
        }
        subset = options.limit.map { Subset(rows: taking, limit: $0, seed: options.limitSeed) }
        rows = subset?.rows ?? taking
        try options.check(rows: rows.reduce(0, +), file: directory)
        for shard in dataset.catalogue.shards {
            let path = "\(directory)/\(shard.file)"
            guard (try? InputFile(path: path).size) == shard.bytes else {
                throw LoaderError(
                    .data, file: path, message: "is missing or has another size than the \(shard.bytes) bytes recorded",
                    advice: "run 'pando repair \(directory)'")
            }
        }
        pool = ColumnPool(fields: dataset.catalogue.encoding.fields)
    }

    /// Jets that take part in an epoch.
    public var jetCount: Int { rows.reduce(0, +) }

    /// Batches of an epoch: the same number on every rank.
    public var stepsPerEpoch: Int {
        let streams = options.streamCount, share = options.batchSize / streams
        return options.dropLast ? jetCount / streams / share : ((jetCount + streams - 1) / streams + share - 1) / share
    }

    /// Record batches that a stream shuffles together.
    public var window: Int { options.windowLength }

    /// The plan of an epoch.
    public func plan(epoch: Int) -> ShufflePlan {
        ShufflePlan(
            rows: rows, streams: options.streamCount, window: options.windowLength, shuffles: options.shuffle,
            seed: options.seed, epoch: epoch)
    }

    /// The batches of an epoch from its beginning.
    public func batches(epoch: Int = 0) throws -> BatchIterator {
        try batches(
            from: LoaderState(
                fingerprint: dataset.catalogue.fingerprint, options: options.digest, epoch: epoch, step: 0))
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
        BatchQueue(
            loader: self, selection: selection, subset: subset, plan: plan(epoch: epoch), first: first,
            steps: stepsPerEpoch, pool: pool)
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
        let plan = plan(epoch: epoch), share = options.batchSize / options.streamCount
        let streams = options.streamCount / options.worldSize
        let windows = try WindowReader(
            dataset: dataset, selection: selection, subset: subset, checksDigests: true, pool: pool)
        let reader = dataset.makeReader(), body = BodyDecoder()
        var origins: [JetOrigin] = []
        for stream in rank * streams..<(rank + 1) * streams {
            var position = step * share
            let end = min(position + share, plan.rows(ofStream: stream))
            while position < end, let window = plan.window(ofStream: stream, at: position) {
                let loaded = try windows.read(window, order: plan.order(of: window))
                while position < min(end, window.positions.upperBound) {
                    origins.append(try origin(of: loaded.place(position).jet, reader, body))
                    position += 1
                }
            }
        }
        return origins
    }

    private func origin(of jet: Int, _ reader: BatchReader, _ body: BodyDecoder) throws -> JetOrigin {
        // The last record batch that begins at or before the jet; the list ends with the number of all rows.
        let batch = dataset.firstRows.dropLast().lastIndex { $0 <= jet } ?? 0
        let stored = try reader.read(batch), row = jet - dataset.firstRows[batch]
        guard let source = stored.schema.index(of: StoredColumn.source),
            let sourceRow = stored.schema.index(of: StoredColumn.sourceRow)
        else { throw LoaderError(.data, file: dataset.directory, message: "has no column \(StoredColumn.source)") }
        let input =
            Int(try stored.values(ofColumn: source, as: UInt16.self, using: body)[row])
            + dataset.shard(ofBatch: batch).sourceOffset
        let inputs = dataset.catalogue.provenance.inputs
        return JetOrigin(
            jet: jet, input: inputs.indices.contains(input) ? inputs[input].name : "",
            row: Int(try stored.values(ofColumn: sourceRow, as: Int64.self, using: body)[row]))
    }
}

/// Where a jet came from.
public struct JetOrigin: Sendable, Equatable {
    /// Its number in the dataset.
    public var jet: Int
    /// The input file.
    public var input: String
    /// The row in the input file.
    public var row: Int
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
