import Foundation
import Shards
import Support

/// Feeds a training loop with batches of jets from a dataset, or from several.
///
/// The sequence of global batches follows from the datasets' fingerprints, the options, the seed and the epoch; threads,
/// ranks and interruptions only decide who makes which part and when.
///
/// ```swift
/// let loader = try Loader(dataset: "aoj.pando", contents: LoaderContents(features: .released), options: options)
/// let batches = try loader.batches(epoch: 0)
/// while let batch = try batches.next() { train(batch.features, batch.mask) }
/// ```
public final class Loader: Sendable {
    /// The options.
    public let options: LoaderOptions
    /// What batches hold.
    public let contents: LoaderContents
    /// The datasets with their weights.
    public let sources: [LoaderSource]
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
    public convenience init(
        dataset directory: String, contents: LoaderContents, options: LoaderOptions = LoaderOptions()
    ) throws {
        try self.init(mixture: [LoaderSource(directory)], contents: contents, options: options)
    }

    /// Opens datasets to draw from by weight. All must have the columns and what the features need.
    /// - Throws: `LoaderError` for what cannot be, before anything is read; what opening the datasets throws.
    public init(mixture sources: [LoaderSource], contents: LoaderContents, options: LoaderOptions = LoaderOptions())
        throws
    {
        guard let first = sources.first else {
            throw LoaderError(.options, place: "mixture", message: "has no datasets")
        }
        guard sources.count == 1 || !contents.takesAllColumns else {
            throw LoaderError(
                .options, place: "columns", message: "are not named",
                advice: "say which columns, features, labels or tokens the batches of a mixture have")
        }
        try options.checkNumbers(file: first.dataset)
        self.sources = sources
        self.options = options
        self.contents = contents
        let parts = try sources.map { source in
            var own = options
            own.split = source.split ?? options.split
            return try DatasetPart(dataset: Dataset(directory: source.dataset), contents: contents, options: own)
        }
        self.parts = parts
        let weights = sources.reduce(0) { $0 + $1.weight }
        for (part, source) in zip(parts, sources) {
            // Weights that make no sense have their own error, from the plan; until then they count as 0.
            let share = sources.count == 1 ? 1 : min(max(0, source.weight / weights), 1)
            try options.check(
                rows: part.jetCount, batches: part.rows.count { $0 > 0 }, part: share, file: part.dataset.directory)
        }
        let columns = try Self.columns(of: parts, first.dataset)
        let size = parts.reduce(BatchSize(rows: 0, constituents: 0)) {
            BatchSize(rows: $1.batch.rows, constituents: max($0.constituents, $1.batch.constituents))
        }
        pool = BatchPool(limit: options.prefetch + options.threads + 2) {
            Batch(fields: columns.fields, names: columns.names, contents: contents, size: size)
        }
        // Weights that make no sense are found before the first batch.
        if let plan = try mixturePlan(epoch: 0), plan.steps == 0 {
            throw LoaderError(
                .options, place: "batch size",
                message: "is \(options.batchSize), but a dataset of the mixture ends before one is full",
                advice: "choose a smaller one, or keep the last batch")
        }
        if options.exact { try ExactMemory.check(parts, limit: options.exactLimit) }
    }

    /// The fields of batches: all of a single dataset, so that it is decoded to its place; the chosen ones of a mixture.
    private static func columns(
        of parts: [DatasetPart], _ directory: String
    ) throws(LoaderError) -> (fields: [SourceField], names: [String: Int]) {
        let first = parts[0].selection
        guard parts.count > 1 else { return (first.encoding.fields, first.names) }
        var fields: [SourceField] = [], names: [String: Int] = [:]
        for (name, index) in first.names.sorted(by: { $0.value < $1.value }) {
            let field = first.encoding.fields[index]
            for part in parts.dropFirst() {
                let other = part.selection.encoding.fields[part.selection.names[name] ?? 0]
                guard other.type == field.type, (other.role == .constituent) == (field.role == .constituent) else {
                    throw LoaderError(
                        .feature, file: part.dataset.directory, place: "column \(name)",
                        message: "has type \(other.type) and role \(other.role); in \(directory) it has "
                            + "\(field.type), \(field.role)")
                }
            }
            names[name] = fields.count
            fields.append(field)
        }
        return (fields, names)
    }

    /// The dataset; of a mixture, the first one.
    public var dataset: Dataset { parts[0].dataset }

    /// The datasets, in the order of `Batch.datasets`.
    public var datasets: [Dataset] { parts.map(\.dataset) }

    /// Jets that take part: in an epoch of one dataset, each of them once.
    public var jetCount: Int { parts.reduce(0) { $0 + $1.jetCount } }

    /// Batches of an epoch: the same number on every rank. Of a mixture, those of epoch 0; others may have some more or less.
    public var stepsPerEpoch: Int {
        if let mixture = try? mixturePlan(epoch: 0) { return mixture.steps }
        return EpochPlan.steps(rows: jetCount, batchSize: options.batchSize, dropLast: options.dropLast)
    }

    /// Record batches that a stream shuffles together.
    public var window: Int { options.windowLength }

    /// The state at the beginning of an epoch.
    public func state(epoch: Int) -> LoaderState {
        LoaderState(fingerprint: fingerprint, options: deciding, epoch: epoch, step: 0)
    }

    /// The batches of an epoch from its beginning.
    public func batches(epoch: Int = 0) throws -> BatchIterator {
        try batches(from: state(epoch: epoch))
    }

    /// The state after a batch of this loader, whichever way it came.
    public func state(after batch: Batch) -> LoaderState {
        var state = state(epoch: batch.epoch)
        state.step = batch.step + 1
        return state
    }

    /// The batches of an epoch from where a state says; with any number of threads and ranks.
    /// - Parameters:
    ///   - share: Which of several processes this is that deal out whole batches among them, as workers of PyTorch's DataLoader do.
    ///   - shares: How many these are: this one gets the batches `share`, `share + shares`, ... behind the state. Each decodes
    ///     all record batches.
    /// - Throws: `LoaderError` with code `state` that names the difference if the state is of another dataset or of other
    ///   options, `options` if there is no such share.
    public func batches(from state: LoaderState, share: Int = 0, of shares: Int = 1) throws -> BatchIterator {
        try check(state)
        guard (1...1 << 20).contains(shares), (0..<shares).contains(share) else {
            throw LoaderError(
                .options, file: dataset.directory, place: "share", message: "there is no share \(share) of \(shares)")
        }
        var own = state
        own.step += share
        let queue = try makeQueue(epoch: state.epoch, first: own.step, stride: shares)
        return BatchIterator(running: RunningQueue(queue), state: own, stride: shares)
    }

    /// Whether a state is one of this loader.
    /// - Throws: `LoaderError` with code `state` that names the difference if it is of another dataset or of other options.
    public func check(_ state: LoaderState) throws {
        func fault(_ message: String) -> LoaderError {
            LoaderError(
                .state, file: dataset.directory, message: message,
                advice: "begin anew, or use what the state was made with")
        }
        guard state.fingerprint == fingerprint else {
            throw fault("the state is of the dataset \(state.fingerprint), this is \(fingerprint)")
        }
        let mine = deciding
        let differences = Set(mine.keys).union(state.options.keys).sorted().filter { mine[$0] != state.options[$0] }
        guard differences.isEmpty else {
            let words = differences.map { "\($0) \(state.options[$0] ?? "none"), now \(mine[$0] ?? "none")" }
            throw fault("the state was made with \(words.joined(separator: "; "))")
        }
        let steps = state.epoch < 0 ? stepsPerEpoch : try steps(epoch: state.epoch)
        guard state.epoch >= 0, (0...steps).contains(state.step) else {
            throw fault("the state is at step \(state.step) of epoch \(state.epoch), which has \(steps)")
        }
    }

    /// The batches of an epoch for `for try await`.
    public func asyncBatches(epoch: Int = 0) -> AsyncBatches {
        AsyncBatches(first: 0) { [self] in try makeQueue(epoch: epoch, first: 0) }
    }

    /// The batches of an epoch for `for try await`, from where a state says; `state(after:)` is that of a batch.
    /// - Throws: As `batches(from:)`.
    public func asyncBatches(from state: LoaderState) throws -> AsyncBatches {
        try check(state)
        return AsyncBatches(first: state.step) { [self] in try makeQueue(epoch: state.epoch, first: state.step) }
    }

    private func makeQueue(epoch: Int, first: Int, stride: Int = 1) throws -> BatchQueue {
        try BatchQueue(
            loader: self, plan: rankPlan(epoch: epoch, rank: options.rank), first: first, stride: stride,
            steps: steps(epoch: epoch))
    }

    /// Batches of an epoch; epochs of a mixture may differ by some.
    func steps(epoch: Int) throws -> Int {
        guard epoch >= 0 else {
            throw LoaderError(
                .options, file: dataset.directory, place: "epoch \(epoch)",
                message: "does not exist; epochs are numbered from 0")
        }
        return try mixturePlan(epoch: epoch)?.steps ?? stepsPerEpoch
    }
}

/// A dataset of a mixture.
public struct LoaderSource: Sendable, Equatable {
    /// The directory of the dataset.
    public var dataset: String
    /// Its part of each batch, relative to the weights of the others.
    public var weight: Double
    /// Takes jets of this split only; nil: what the options say.
    public var split: String?

    /// A dataset with a weight.
    public init(_ dataset: String, weight: Double = 1, split: String? = nil) {
        self.dataset = dataset
        self.weight = weight
        self.split = split
    }
}
