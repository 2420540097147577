/// A number with its statistical error (one standard deviation).
public struct Estimate: Codable, Sendable, Equatable {
    /// The number.
    public var value: Double
    /// Its error.
    public var error: Double

    /// A number and its error.
    public init(_ value: Double, error: Double) {
        self.value = value
        self.error = error
    }
}

/// How good a shuffle is, in numbers that a true shuffle has by a formula.
public enum ShuffleQuality {
    /// Variance of the number of rows of a category in batches of a true shuffle (hypergeometric):
    /// B·p·(1-p)·(N-B)/(N-1).
    /// - Parameters:
    ///   - batch: B, rows of a batch.
    ///   - share: p, the category's share of all rows.
    ///   - rows: N, all rows.
    public static func variance(batch: Int, share: Double, rows: Int) -> Double {
        guard rows > 1, batch <= rows else { return 0 }
        return Double(batch) * share * (1 - share) * Double(rows - batch) / Double(rows - 1)
    }

    /// What the variance over that of a true shuffle is expected to be if the rows of each window are shuffled by chance alone and
    /// each record batch has one category: 1 + (B/C - 1)/W, as so many of the other B/C - 1 rows are of the same record batch.
    public static func plainRatio(batch: Int, streams: Int, window: Int) -> Double {
        1 + (Double(batch) / Double(max(1, streams)) - 1) / Double(max(1, window))
    }

    /// Mean distance of two different rows of N, over N: (N+1)/(3N).
    public static func meanDistance(rows: Int) -> Double { rows > 0 ? Double(rows + 1) / Double(3 * rows) : 0 }

    /// Median distance of two rows of very many, over their number: 1 - 1/sqrt(2).
    public static let medianDistance = 1 - 0.5.squareRoot()

    /// Pearson's correlation of two lists of equal length; for positions it is that of ranks. A true shuffle has 0 with an error
    /// of 1/sqrt(N-1). 0 if one of them does not vary.
    public static func correlation(_ first: [Double], _ second: [Double]) -> Double {
        let count = min(first.count, second.count)
        guard count > 1 else { return 0 }
        let mean = (
            first.prefix(count).reduce(0, +) / Double(count), second.prefix(count).reduce(0, +) / Double(count)
        )
        var sums = (xx: 0.0, yy: 0.0, xy: 0.0)
        for (x, y) in zip(first, second) {
            sums.xx += (x - mean.0) * (x - mean.0)
            sums.yy += (y - mean.1) * (y - mean.1)
            sums.xy += (x - mean.0) * (y - mean.1)
        }
        let norm = (sums.xx * sums.yy).squareRoot()
        return norm > 0 ? sums.xy / norm : 0
    }
}

/// Variance of the categories' rows from batch to batch, or from one stretch of batches to the next, over that of a true shuffle.
/// Memory: about 300 bytes a category.
public struct VarianceMeter: Sendable {
    /// Sums over some stretches that follow each other.
    private struct Block {
        var stretches = 0
        var x: [Double]
        var xx: [Double]

        mutating func add(_ other: Block) {
            stretches += other.stretches
            for category in x.indices {
                x[category] += other.x[category]
                xx[category] += other.xx[category]
            }
        }
    }

    // The scatter of 8 to 16 long blocks gives the error: batches of the same windows are not independent.
    private static let mostBlocks = 16
    private let batch: Int
    private let stretch: Int
    private var counts: [Int]
    private var rows = 0
    private var pending: (batches: Int, counts: [Int])
    private var blocks: [Block] = []
    private var blockLength = 1

    /// A meter for categories 0 ..< `categories`.
    /// - Parameters:
    ///   - batchSize: Rows of a batch.
    ///   - stretch: How many batches that follow each other are taken together.
    public init(batchSize: Int, categories: Int, stretch: Int = 1) {
        batch = max(1, batchSize)
        self.stretch = max(1, stretch)
        counts = Array(repeating: 0, count: max(0, categories))
        pending = (0, counts)
    }

    /// Adds a batch by the categories of its rows. One that is not full counts for the shares only, so that all rows of an epoch
    /// can be added.
    public mutating func add(_ categories: some Sequence<Int>) {
        var size = 0, found = Array(repeating: 0, count: counts.count)
        for category in categories {
            size += 1
            if found.indices.contains(category) { found[category] += 1 }
        }
        rows += size
        for (category, count) in found.enumerated() where count > 0 {
            counts[category] += count
            if size == batch { pending.counts[category] += count }
        }
        guard size == batch else {
            // A new epoch begins: what follows does not belong to the same stretch.
            pending = (0, Array(repeating: 0, count: counts.count))
            return
        }
        pending.batches += 1
        if pending.batches == stretch { endStretch() }
    }

    private mutating func endStretch() {
        if (blocks.last?.stretches ?? blockLength) >= blockLength {
            if blocks.count == Self.mostBlocks {
                for index in 0..<Self.mostBlocks / 2 {
                    var pair = blocks[2 * index]
                    pair.add(blocks[2 * index + 1])
                    blocks[index] = pair
                }
                blocks.removeLast(Self.mostBlocks / 2)
                blockLength *= 2
            }
            let nothing = Array(repeating: 0.0, count: counts.count)
            blocks.append(Block(x: nothing, xx: nothing))
        }
        let last = blocks.count - 1
        blocks[last].stretches += 1
        for (category, count) in pending.counts.enumerated() where count > 0 {
            blocks[last].x[category] += Double(count)
            blocks[last].xx[category] += Double(count) * Double(count)
            pending.counts[category] = 0
        }
        pending.batches = 0
    }

    /// Variance over that of a true shuffle, summed over categories: 1 is perfect, 0 the same composition in each batch. Nil without
    /// two stretches and two categories.
    ///
    /// The error is that of blocks of the run; where fewer than some ten windows of a stream fit into it, it is too small.
    /// - Parameter epochs: How often all rows were added.
    public func ratio(epochs: Int = 1) -> Estimate? {
        let all = rows / max(1, epochs), size = batch * stretch
        let shares = counts.map { rows > 0 ? Double($0) / Double(rows) : 0 }
        let expected = shares.reduce(0) { $0 + ShuffleQuality.variance(batch: size, share: $1, rows: all) }
        let total = Double(blocks.reduce(0) { $0 + $1.stretches })
        guard expected > 0, total > 1, blocks.count > 1 else { return nil }
        let ratios = blocks.map { block -> Double in
            let count = Double(block.stretches)
            let square = shares.enumerated().reduce(0.0) { sum, share in
                let mean = Double(size) * share.element
                return sum + block.xx[share.offset] - 2 * mean * block.x[share.offset] + count * mean * mean
            }
            return square / expected / count
        }
        let weights = blocks.map { Double($0.stretches) / total }
        let mean = zip(ratios, weights).reduce(0) { $0 + $1.0 * $1.1 }
        let scatter = zip(ratios, weights).reduce(0) { $0 + ($1.0 - mean) * ($1.0 - mean) * $1.1 }
        return Estimate(mean, error: (scatter / Double(blocks.count - 1)).squareRoot())
    }
}

/// How far rows that follow each other in a batch lie apart in the dataset.
public struct NeighbourMeter: Sendable {
    private static let bins = 1000
    private let rows: Int
    private var histogram = Array(repeating: 0, count: bins + 1)
    private var sum = 0.0
    private var count = 0

    /// For a dataset of so many rows.
    public init(rows: Int) { self.rows = max(1, rows) }

    /// Adds a batch by the numbers of its rows.
    public mutating func add(_ batch: [Int]) {
        for (first, second) in zip(batch, batch.dropFirst()) {
            let distance = abs(Double(first) - Double(second)) / Double(rows)
            sum += distance
            count += 1
            histogram[min(Self.bins, Int(distance * Double(Self.bins)))] += 1
        }
    }

    /// Mean distance over the number of rows; a true shuffle has (N+1)/(3N).
    public var mean: Estimate? {
        // The variance of the distance of two places of an interval is 1/18 of its square.
        count > 0 ? Estimate(sum / Double(count), error: (1.0 / 18 / Double(count)).squareRoot()) : nil
    }

    /// Median distance over the number of rows, to 1/1000; a true shuffle has 1 - 1/sqrt(2) = 0.293.
    public var median: Double? {
        guard count > 0 else { return nil }
        var before = 0.0
        for (bin, number) in histogram.enumerated() where number > 0 {
            if before + Double(number) >= Double(count) / 2 {
                return (Double(bin) + (Double(count) / 2 - before) / Double(number)) / Double(Self.bins)
            }
            before += Double(number)
        }
        return nil
    }
}

/// Correlation of the positions of rows in one epoch with those in the next, over a sample of at most 262,144 rows.
public struct EpochMeter: Sendable {
    private static let sample = 1 << 18
    /// Each row whose number it divides is in the sample.
    let stride: Int
    private var last: [Double]
    private var positions: [Double]
    private var position = 0
    private var found: [Double] = []

    /// For a dataset of so many rows.
    public init(rows: Int) {
        stride = max(1, (rows + Self.sample - 1) / Self.sample)
        positions = Array(repeating: -1, count: (max(0, rows) + stride - 1) / stride)
        last = []
    }

    /// Adds a batch by the numbers of its rows.
    public mutating func add(_ batch: [Int]) {
        for row in batch {
            if row % stride == 0, positions.indices.contains(row / stride) {
                positions[row / stride] = Double(position)
            }
            position += 1
        }
    }

    /// Ends an epoch.
    public mutating func endEpoch() {
        if !last.isEmpty {
            let both = positions.indices.filter { positions[$0] >= 0 && last[$0] >= 0 }
            found.append(ShuffleQuality.correlation(both.map { last[$0] }, both.map { positions[$0] }))
        }
        last = positions
        position = 0
        positions = Array(repeating: -1, count: positions.count)
    }

    /// The correlation of each epoch with the one before.
    public var correlations: [Double] { found }
}
