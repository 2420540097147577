import Shards
import Support

/// What decides the sequence of batches, and how it is carried out.
public struct LoaderOptions: Sendable, Equatable {
    /// Rows of a global batch, over all ranks.
    public var batchSize = 256
    /// Whether rows are shuffled.
    public var shuffle = true
    /// Shuffles all rows at once in place of rows in windows: a true shuffle, for datasets whose columns are not compressed,
    /// or fit into `exactLimit` bytes of memory.
    public var exact = false
    /// Bytes of decompressed columns that exact order may hold in memory.
    public var exactLimit = 4 << 30
    /// When an epoch of a mixture ends.
    public var mixtureLength = MixturePlan.Length.shortest
    /// The seed of the order.
    public var seed: UInt64 = 0
    /// Record batches that a stream shuffles together; nil: as many as a batch takes rows from a stream, at least four.
    /// With fewer, batches of sorted data vary more than those of a true shuffle (docs/loader.md).
    public var window: Int?
    /// Streams that a global batch is drawn from; nil: the largest divisor of the batch size that is at most 64.
    public var streams: Int?
    /// Whether a last batch that would not be full is left out; otherwise its row count is smaller.
    public var dropLast = true
    /// Takes jets of this split only; nil: all.
    public var split: String?
    /// Takes so many jets only: the first ones of a random order, so that a smaller number takes some of the same jets.
    public var limit: Int?
    /// The seed of that order.
    public var limitSeed: UInt64 = 0
    /// Which part of each global batch this process makes.
    public var rank = 0
    /// How many processes share the work; must divide the streams.
    public var worldSize = 1
    /// Threads that read ahead.
    public var threads = 1
    /// Batches that may be ready before they are asked for.
    public var prefetch = 4
    /// Tells the system to drop pages of shards from its cache once they were read; nil: if the dataset is larger than half
    /// of the memory that this process may use, so that it could not stay there until the next epoch.
    public var releasesPages: Bool?
    /// Checks each record batch's digest before it is used.
    public var checksDigests = true

    /// The defaults.
    public init() {}

    /// The streams for the batch size.
    var streamCount: Int {
        streams ?? (1...64).last { batchSize % $0 == 0 } ?? 1
    }

    /// The record batches of a window.
    var windowLength: Int { window ?? max(4, batchSize / max(1, streamCount)) }

    /// Record batches that stay in memory: the windows of this rank's streams, at most one and a half times as long as asked
    /// for, and one for each thread that reads ahead.
    func storeCapacity(batches: Int) -> Int {
        if exact { return batches }
        let streams = streamCount / max(1, worldSize)
        return min(batches, (streams + threads) * (windowLength + windowLength / 2))
    }

    /// What decides the sequence, by name; ranks, threads and prefetching do not.
    var deciding: [String: String] {
        var all = [
            "batch size": "\(batchSize)", "shuffle": "\(shuffle)", "exact": "\(exact)", "seed": "\(seed)",
            "window": "\(windowLength)", "streams": "\(streamCount)", "last batch": dropLast ? "dropped" : "kept",
        ]
        if exact { all["window"] = nil }
        if let split { all["split"] = split }
        if let limit { all["limit"] = "\(limit) of seed \(limitSeed)" }
        return all
    }

    private func fault(_ file: String, _ place: String, _ message: String, _ advice: String? = nil) -> LoaderError {
        LoaderError(.options, file: file, place: place, message: message, advice: advice)
    }

    /// Says which numbers cannot be, whatever the dataset: nothing may be computed with them before.
    func checkNumbers(file: String) throws(LoaderError) {
        guard batchSize >= 1 else { throw fault(file, "batch size", "is \(batchSize), expected at least 1") }
        guard windowLength >= 1 else {
            throw fault(file, "window", "is \(windowLength) record batches, expected at least 1")
        }
        guard threads >= 1, prefetch >= 1 else {
            throw fault(file, "threads, prefetch", "are \(threads), \(prefetch), expected at least 1")
        }
        let streams = streamCount
        guard streams >= 1, batchSize % streams == 0 else {
            throw fault(file, "streams", "are \(streams), which do not divide the batch size \(batchSize)")
        }
        guard worldSize >= 1, (0..<worldSize).contains(rank) else {
            throw LoaderError(.rank, file: file, message: "rank \(rank) of \(worldSize) does not exist")
        }
        guard streams % worldSize == 0 else {
            throw LoaderError(
                .rank, file: file, message: "a world of \(worldSize) does not divide the \(streams) streams",
                advice: "choose a batch size or --streams that it divides")
        }
        if let limit, limit < 1 { throw fault(file, "limit", "is \(limit), expected at least 1") }
    }

    /// Says what cannot be of a dataset, before anything is read.
    /// - Parameters:
    ///   - batches: Record batches that the rows lie in.
    ///   - part: The dataset's part of each batch: less than 1 in a mixture.
    func check(rows: Int, batches: Int, part: Double = 1, file: String) throws(LoaderError) {
        try checkNumbers(file: file)
        let streams = streamCount
        let inWindow = windowLength * rows / max(1, batches)
        let share = part < 1 ? Int(part * Double(batchSize / streams)) : batchSize / streams
        guard !shuffle || exact || share <= inWindow || rows / streams <= inWindow else {
            throw fault(
                file, "window",
                "holds about \(inWindow) jets of a stream, fewer than the \(share) that a batch takes from it",
                "choose a larger window, more streams, or exact order")
        }
        guard rows > 0 else { throw fault(file, split.map { "split \($0)" } ?? "", "has no jets") }
        guard !dropLast || part < 1 || rows / streams >= batchSize / streams else {
            throw fault(
                file, "batch size", "is \(batchSize), but there are only \(rows) jets",
                "choose a smaller one, or keep the last batch")
        }
    }
}

/// Where a loader is: small, and enough to go on with exactly the next batch.
///
/// It counts global batches that were handed to the consumer; everything else follows from the plan.
public struct LoaderState: Codable, Sendable, Equatable {
    /// The dataset's fingerprint; of a mixture, a digest of all fingerprints.
    public var fingerprint: Digest
    /// The options that decide the sequence, by name.
    public var options: [String: String]
    /// The epoch.
    public var epoch: Int
    /// Global batches handed out in this epoch.
    public var step: Int
}
