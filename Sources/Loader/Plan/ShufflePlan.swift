/// Which row comes when: a pure function of the rows in each record batch, the options, the seed and the epoch.
///
/// Record batches are put into a random order; the rows in that order are cut into `streams` equal stretches. The record
/// batches of each are put into a random order again, as it begins and ends with a part of one, and its rows are shuffled within
/// windows of `window` record batches. A global batch takes the same number of rows from each stream, in the order of the
/// streams: so it mixes rows of many record batches from all over the dataset, and a rank that has some of the streams makes
/// just its part of it. Windows of different streams end at different times, so that reading is spread over the epoch.
public struct ShufflePlan: Sendable {
    /// Rows of a record batch that a stream has.
    public struct Segment: Sendable, Equatable {
        /// The number of the record batch in the dataset.
        public var batch: Int
        /// Its rows, counted among those that take part.
        public var rows: Range<Int>
    }

    /// Segments that are shuffled together.
    public struct Window: Sendable {
        /// The stream.
        public var stream: Int
        /// The number of the window in the stream.
        public var number: Int
        /// The positions in the stream that it covers.
        public var positions: Range<Int>
        /// Its segments.
        public var segments: ArraySlice<Segment>
    }

    private struct Stream: Sendable {
        var segments: [Segment] = []
        /// Rows before each window, and of all.
        var positions: [Int] = [0]
        /// Segments before each window, and all.
        var ends: [Int] = [0]
    }

    /// The seed.
    public let seed: UInt64
    /// The epoch, from 0 on.
    public let epoch: Int
    /// Rows of all streams.
    public let rows: Int
    /// Whether rows are shuffled; otherwise they come in the order of the dataset.
    public let shuffles: Bool
    private let streams: [Stream]

    /// A plan.
    /// - Parameters:
    ///   - rows: How many rows of each record batch take part.
    ///   - streams: How many streams; more than rows are no use and no harm.
    ///   - window: Record batches in a window.
    public init(rows: [Int], streams count: Int, window: Int, shuffles: Bool, seed: UInt64, epoch: Int) {
        self.seed = seed
        self.epoch = epoch
        self.shuffles = shuffles
        var random = KeyedRandom(Purpose.recordBatches.rawValue, seed, UInt64(truncatingIfNeeded: epoch))
        let order = shuffles ? random.permutation(rows.count).map { Int($0) } : Array(rows.indices)
        let total = rows.reduce(0, +), count = max(1, count)
        self.rows = total
        var streams: [Stream] = []
        streams.reserveCapacity(count)
        var next = 0, used = 0
        for number in 0..<count {
            var stream = Stream()
            var left = EvenShare.size(total, part: number, of: count)
            while left > 0, next < order.count {
                let batch = order[next], take = min(left, rows[batch] - used)
                if take > 0 { stream.segments.append(Segment(batch: batch, rows: used..<used + take)) }
                used += take
                left -= take
                if used == rows[batch] {
                    next += 1
                    used = 0
                }
            }
            if shuffles {
                // A stream begins and ends with a part of a record batch. Left there, all streams would begin with last rows of
                // record batches and end with first ones, which are of other files.
                var random = KeyedRandom(
                    Purpose.streamOrder.rawValue, seed, UInt64(truncatingIfNeeded: epoch), UInt64(number))
                stream.segments = random.permutation(stream.segments.count).map { stream.segments[Int($0)] }
            }
            Self.cut(&stream, window: max(1, window), number: number)
            streams.append(stream)
        }
        self.streams = streams
    }

    /// Cuts a stream into windows. The first one has another length in each stream; none is shorter than half a window
    /// unless the stream is, nor longer than one and a half.
    private static func cut(_ stream: inout Stream, window: Int, number: Int) {
        let half = window / 2, count = stream.segments.count
        var length = window - number % (half + 1), inWindow = 0, position = 0
        for (index, segment) in stream.segments.enumerated() {
            position += segment.rows.count
            inWindow += 1
            let left = count - index - 1
            if left == 0 || inWindow >= length && left >= half {
                stream.positions.append(position)
                stream.ends.append(index + 1)
                inWindow = 0
                length = window
            }
        }
    }

    /// How many streams there are.
    public var streamCount: Int { streams.count }

    /// Rows of a stream; streams differ by at most one.
    public func rows(ofStream stream: Int) -> Int { streams[stream].positions.last ?? 0 }

    /// The window of a stream that holds a position; nil behind the end.
    public func window(ofStream stream: Int, at position: Int) -> Window? {
        let positions = streams[stream].positions
        guard position >= 0, position < positions.last ?? 0 else { return nil }
        var low = 0, high = positions.count - 1
        while high - low > 1 {
            let middle = (low + high) / 2
            if positions[middle] <= position { low = middle } else { high = middle }
        }
        return window(ofStream: stream, number: low)
    }

    /// A window of a stream by its number.
    public func window(ofStream stream: Int, number: Int) -> Window? {
        let positions = streams[stream].positions, ends = streams[stream].ends
        guard number >= 0, number + 1 < positions.count else { return nil }
        return Window(
            stream: stream, number: number, positions: positions[number]..<positions[number + 1],
            segments: streams[stream].segments[ends[number]..<ends[number + 1]])
    }

    /// The order of the rows of a window: at each of its positions the row, counted over its segments one after the other.
    ///
    /// Each segment's rows are put into a random order, and the j-th of n gets a random key in j/n ..< (j+1)/n; the keys give
    /// the order. So any stretch of the window takes about its share of each segment, and a batch does not get several rows of
    /// one record batch by chance: data that are sorted by class then vary no more between batches than in a true shuffle,
    /// with a window as long as a batch takes rows from a stream.
    public func order(of window: Window) -> [Int32] {
        guard shuffles else { return (0..<Int32(clamping: window.positions.count)).map { $0 } }
        var random = KeyedRandom(state: orderState(of: window))
        // 32 bits of key, 32 of the row, in one number to sort by.
        var keys: [UInt64] = []
        keys.reserveCapacity(window.positions.count)
        var first: UInt64 = 0
        for segment in window.segments {
            let count = UInt64(segment.rows.count)
            for (place, row) in random.permutation(segment.rows.count).enumerated() {
                let key = (UInt64(place) << 32 | random.next() >> 32) / count
                keys.append(key << 32 | (first + UInt64(row)))
            }
            first += count
        }
        keys.sort()
        return keys.map { Int32(truncatingIfNeeded: $0 & 0xffff_ffff) }
    }

    /// The state that the random numbers of a window's order begin with.
    func orderState(of window: Window) -> UInt64 {
        KeyedRandom.state(
            Purpose.window.rawValue, seed, UInt64(truncatingIfNeeded: epoch), UInt64(window.stream),
            UInt64(window.number))
    }
}
