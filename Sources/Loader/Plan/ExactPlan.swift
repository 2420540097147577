/// A true shuffle of all rows: a pure function of the rows in each record batch, the options, the seed and the epoch.
///
/// The epoch is one keyed order of all rows (`KeyedBijection`). Global batch k is its places k·B ..< (k+1)·B, of which stream s
/// of C has the slots s·B/C ..< (s+1)·B/C; the rows of a last batch that is not full are dealt to the streams as evenly as
/// can be. So streams have as many rows as those of a `ShufflePlan`, and every rank makes the same number of steps.
/// Memory: 8 bytes a record batch.
public struct ExactPlan: Sendable {
    /// The seed.
    public let seed: UInt64
    /// The epoch, from 0 on.
    public let epoch: Int
    /// Rows of a global batch: a multiple of the streams.
    public let batchSize: Int
    /// How many streams there are.
    public let streamCount: Int
    /// Whether rows are shuffled; otherwise global batches come in the order of the dataset.
    public let shuffles: Bool
    private let batches: PrefixSums
    private let order: KeyedBijection

    /// A plan.
    /// - Parameters:
    ///   - rows: How many rows of each record batch take part.
    ///   - batchSize: Rows of a global batch; `streams` divides it.
    public init(rows: [Int], batchSize: Int, streams: Int, shuffles: Bool = true, seed: UInt64, epoch: Int) {
        self.seed = seed
        self.epoch = epoch
        self.shuffles = shuffles
        streamCount = max(1, streams)
        self.batchSize = max(1, batchSize / streamCount) * streamCount
        batches = PrefixSums(rows)
        order = KeyedBijection(
            count: batches.total, key: Purpose.exactOrder.rawValue, seed, UInt64(truncatingIfNeeded: epoch))
    }

    /// Rows of all streams.
    public var rows: Int { batches.total }

    /// Rows of a stream; streams differ by at most one.
    public func rows(ofStream stream: Int) -> Int {
        guard (0..<streamCount).contains(stream) else { return 0 }
        return EvenShare.size(rows, part: stream, of: streamCount)
    }

    /// The row at a position of a stream; nil behind its end.
    public func place(ofStream stream: Int, at position: Int) -> RowPlace? {
        guard position >= 0, position < rows(ofStream: stream) else { return nil }
        let share = batchSize / streamCount, step = position / share, slot = position % share
        let left = rows - step * batchSize
        // The last batch that is not full has as many rows of each stream as these have left.
        let before =
            left < batchSize ? EvenShare.before(left, part: stream, of: streamCount) : stream * share
        return place(at: step * batchSize + before + slot)
    }

    /// The row at a place of the epoch's order; nil behind its end.
    public func place(at number: Int) -> RowPlace? {
        guard (0..<rows).contains(number) else { return nil }
        let found = batches.place(of: shuffles ? order(number) : number)
        return RowPlace(batch: found.part, row: found.offset)
    }
}
