/// Which dataset each row of a mixture comes from: a pure function of rows, weights, options, the seed and the epoch.
///
/// Weights become whole numbers of places (`quotas`) in a period of at most 4096 positions of a stream; in each period a
/// dataset has exactly its places, spread evenly and at random. Dataset and position in it follow from the position in the
/// stream alone, so that a number is enough to go on.
public struct MixturePlan: Sendable {
    /// When an epoch ends.
    public enum Length: String, Codable, Sendable, CaseIterable {
        /// When the first dataset's rows run out: each row comes at most once.
        case shortest
        /// When each dataset's rows have come at least once; those of the others begin anew, in another order.
        case longest
    }

    /// A row of a mixture.
    public struct Place: Sendable, Hashable {
        /// The number of the dataset.
        public var dataset: Int
        /// How often all rows that the stream has of the dataset came before.
        public var pass: Int
        /// The position in the dataset's stream of the same number.
        public var position: Int
    }

    /// The number of streams.
    public let streamCount: Int
    /// Global batches of the epoch: the same number on every rank.
    public let steps: Int
    /// When the epoch ends.
    public let length: Length
    /// The seed.
    public let seed: UInt64
    /// The epoch, from 0 on.
    public let epoch: Int
    private let pattern: MixturePattern
    private let datasetRows: [Int]
    private let streamRows: [Int]

    /// A plan.
    /// - Parameters:
    ///   - rows: Rows of each dataset that take part; at least as many as streams.
    ///   - weights: Relative weights: finite, each at least 1/4096 of their sum.
    ///   - share: Rows that a global batch takes from a stream.
    ///   - dropLast: Whether a last batch that would not be full is left out (`shortest`; those of `longest` are all full).
    /// - Throws: `LoaderError` with code `options` that names the dataset or weight by its number.
    public init(
        rows: [Int], weights: [Double], streams: Int, share: Int, length: Length = .shortest, dropLast: Bool = true,
        seed: UInt64, epoch: Int
    ) throws(LoaderError) {
        let streams = max(1, streams)
        guard rows.count == weights.count else {
            throw LoaderError(
                .options, place: "weights",
                message: "are \(weights.count), expected one for each of \(rows.count) datasets")
        }
        for (number, count) in rows.enumerated() where count < streams {
            throw LoaderError(
                .options, place: "dataset \(number)",
                message: "has \(count) jets, expected at least \(streams), one a stream", advice: "choose fewer streams"
            )
        }
        let pattern = MixturePattern(quotas: try MixturePattern.quotas(of: weights), seed: seed, epoch: epoch)
        self.pattern = pattern
        self.length = length
        self.seed = seed
        self.epoch = epoch
        streamCount = streams
        datasetRows = rows
        let ends = (0..<streams).map { stream in
            // The first place of each dataset that cannot be filled; the place behind the last row of each.
            let all = rows.enumerated().map { dataset, count in
                let size = EvenShare.size(count, part: stream, of: streams)
                return length == .shortest
                    ? pattern.position(ofStream: stream, dataset: dataset, before: size)
                    : pattern.position(ofStream: stream, dataset: dataset, before: size - 1) + 1
            }
            return (length == .shortest ? all.min() : all.max()) ?? 0
        }
        (steps, streamRows) = Self.steps(ends: ends, share: max(1, share), length: length, dropLast: dropLast)
    }

    /// How many batches streams of these lengths make together, and how many rows each of them gives.
    private static func steps(ends: [Int], share: Int, length: Length, dropLast: Bool) -> (Int, [Int]) {
        if length == .longest {
            let steps = ((ends.max() ?? 0) + share - 1) / share
            return (steps, ends.map { _ in steps * share })
        }
        // Streams end within a few rows of one another; none goes on without the others.
        let full = (ends.min() ?? 0) / share
        let steps = dropLast || ends.allSatisfy { $0 == full * share } ? full : full + 1
        return (steps, ends.map { min($0, steps * share) })
    }

    /// Places of each dataset in a period.
    public var quotas: [Int] { pattern.quotas }

    /// Positions of a stream after which all quotas are filled: at most 4096.
    public var period: Int { pattern.period }

    /// Rows that a stream gives to the epoch.
    public func rows(ofStream stream: Int) -> Int { streamRows.indices.contains(stream) ? streamRows[stream] : 0 }

    /// Rows of the epoch.
    public var rows: Int { streamRows.reduce(0, +) }

    /// The row at a position of a stream; nil behind its end.
    public func place(ofStream stream: Int, at position: Int) -> Place? {
        guard position >= 0, position < rows(ofStream: stream) else { return nil }
        let turn = pattern.turn(ofStream: stream, at: position)
        let size = EvenShare.size(datasetRows[turn.dataset], part: stream, of: streamCount)
        let (pass, place) = turn.before.quotientAndRemainder(dividingBy: size)
        return Place(dataset: turn.dataset, pass: pass, position: place)
    }

    /// How many rows of a dataset a stream has before a position.
    func count(ofDataset dataset: Int, inStream stream: Int, before position: Int) -> Int {
        pattern.count(ofStream: stream, dataset: dataset, before: position)
    }

    /// The seed for the plan of a dataset, so that each has an order of its own, and another one in each pass.
    public func seed(ofDataset dataset: Int, pass: Int) -> UInt64 {
        var random = KeyedRandom(
            Purpose.mixtureSeed.rawValue, seed, UInt64(truncatingIfNeeded: epoch),
            UInt64(truncatingIfNeeded: dataset), UInt64(truncatingIfNeeded: pass))
        return random.next()
    }

    /// By how much the places of a dataset in any stretch of n positions of a stream may differ from n times its share.
    ///
    /// A stretch begins and ends anywhere between two places of each of m datasets, so that each is off by less than 2 from what
    /// the stretch of the pattern has: 2 + 2·w·(m - 2), where w is the dataset's share and m > 1.
    public func discrepancy(ofDataset dataset: Int) -> Double {
        guard quotas.count > 1 else { return 0 }
        return 2 + 2 * Double(quotas[dataset]) / Double(period) * Double(quotas.count - 2)
    }
}
