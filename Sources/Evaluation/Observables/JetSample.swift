import Foundation
import Loader
import Shards
import Support
import Synchronization

/// Jets of a dataset whose observables are wanted: which ones, and how their constituents are seen.
///
/// ```swift
/// var sample = JetSample("aoj.pando")
/// sample.limit = 100_000
/// let table = try sample.observables([.jet, .nsubjettiness])
/// ```
public struct JetSample: Sendable {
    /// How constituents are seen.
    public enum View: Sendable, Equatable {
        /// All that are stored, with their energies.
        case stored
        /// As a tokenizer of these features sees them: its cuts, its first `padLength` constituents, massless, and pseudorapidity and
        /// azimuth relative to the axis that they refer to. Its functions, clips and bins do not matter. This is how the original
        /// compares jets with generated ones.
        case tokenizer(FeatureConfiguration)
    }

    /// The directory of the dataset.
    public var dataset: String
    /// How constituents are seen.
    public var view = View.stored
    /// Takes jets of this split only; nil: all.
    public var split: String?
    /// Takes so many jets only, chosen as `LoaderOptions.limit` does; nil: all.
    public var limit: Int?
    /// The seed of that choice.
    public var limitSeed: UInt64 = 0
    /// A column of jets with whole numbers that are their labels; nil: none.
    public var labelColumn: String?
    /// Takes jets with these labels only, of those that the limit has chosen; nil: all.
    public var labels: Set<Int32>?
    /// How substructure is computed.
    public var options = SubstructureOptions()
    /// Whether the table has the constituents too: 41 bytes each.
    public var keepsConstituents = false
    /// Threads that compute; one more reads.
    public var threads = Machine.usableCores
    /// Whether the work should stop.
    public var isInterrupted: @Sendable () -> Bool = { false }

    /// All jets of a dataset.
    public init(_ dataset: String) { self.dataset = dataset }

    /// Jets whose observables are computed at a time.
    private static let batch = 1024

    /// Computes observables, on all threads; the table does not depend on their number.
    ///
    /// Jets come in the order of the dataset. Without types of constituents in the dataset all are `other`.
    /// - Throws: `ObservableError`, `LoaderError` for options that do not fit the dataset; what reading it throws.
    public func observables(_ groups: ObservableGroups = .original) throws -> ObservableTable {
        try options.check()
        guard labels == nil || labelColumn != nil else {
            throw ObservableError(
                .options, file: dataset, place: "labels", message: "are chosen, but no column of labels is named")
        }
        guard threads >= 1, threads <= 1024 else {
            throw ObservableError(.options, place: "threads", message: "are \(threads), expected 1 to 1024")
        }
        let reader = try ConstituentReader(dataset: dataset, view: view)
        var contents = LoaderContents(features: reader.configuration)
        contents.isJagged = true
        contents.labelColumn = labelColumn
        contents.angles = .momenta
        let loader = try Loader(dataset: dataset, contents: contents, options: loaderOptions)
        let parts = try compute(SharedBatches(loader), reader, groups)
        var table = ObservableTable(groups.observables)
        if keepsConstituents { table.constituents = ConstituentTable() }
        for part in parts.sorted(by: { $0.step < $1.step }) {
            let width = table.columns.count
            for column in 0..<width {
                table.columns[column].values += stride(from: column, to: part.values.count, by: max(1, width)).map {
                    part.values[$0]
                }
            }
            table.jets += part.jets
            table.labels += part.labels
            table.counts += part.counts
            if let constituents = part.constituents { table.constituents?.append(constituents) }
        }
        return table
    }

    private var loaderOptions: LoaderOptions {
        var options = LoaderOptions()
        options.batchSize = Self.batch
        options.streams = 1
        options.shuffle = false
        options.dropLast = false
        options.split = split
        options.limit = limit
        options.limitSeed = limitSeed
        options.prefetch = 2 * threads
        return options
    }

    private func compute(
        _ batches: SharedBatches, _ reader: ConstituentReader, _ groups: ObservableGroups
    ) throws -> [ObservedBatch] {
        let finished = Mutex<[ObservedBatch]>([])
        let results = Results(parts: finished)
        try WorkerThreads.run(threads) { [self] _ in
            let observer = try JetObserver(groups, options: options)
            do {
                while let batch = try batches.next() {
                    if isInterrupted() {
                        throw ObservableError(.interrupted, file: dataset, message: "stopped on request")
                    }
                    let part = try ObservedBatch(
                        batch, reader, observer, labels: labels, keepsConstituents: keepsConstituents)
                    results.parts.withLock { $0.append(part) }
                }
            } catch {
                batches.stop()
                throw error
            }
        }
        return results.parts.withLock { $0 }
    }

    private final class Results: Sendable {
        let parts: Mutex<[ObservedBatch]>
        init(parts: consuming Mutex<[ObservedBatch]>) { self.parts = parts }
    }
}

/// The batches of a loader for many threads, each for one of them.
private final class SharedBatches: Sendable {
    private let batches: Mutex<BatchIterator?>

    init(_ loader: Loader) throws { batches = try Mutex(loader.batches()) }

    func next() throws -> Batch? { try batches.withLock { try $0?.next() } }

    /// Gives no more, so that other threads end soon.
    func stop() { batches.withLock { $0 = nil } }
}
