/// A row by its record batch.
public struct RowPlace: Sendable, Hashable {
    /// The number of the record batch in the dataset.
    public var batch: Int
    /// The row in it, counted among those that take part.
    public var row: Int

    /// A place.
    public init(batch: Int, row: Int) {
        self.batch = batch
        self.row = row
    }
}

/// The plan of an epoch in either mode. Both give all streams the same number of rows, to one, and the same steps.
public enum EpochPlan: Sendable {
    /// Rows are shuffled within windows of record batches.
    case windowed(ShufflePlan)
    /// All rows are shuffled at once.
    case exact(ExactPlan)

    /// Rows of all streams.
    public var rows: Int {
        switch self {
        case .windowed(let plan): plan.rows
        case .exact(let plan): plan.rows
        }
    }

    /// How many streams there are.
    public var streamCount: Int {
        switch self {
        case .windowed(let plan): plan.streamCount
        case .exact(let plan): plan.streamCount
        }
    }

    /// Rows of a stream; streams differ by at most one.
    public func rows(ofStream stream: Int) -> Int {
        switch self {
        case .windowed(let plan): plan.rows(ofStream: stream)
        case .exact(let plan): plan.rows(ofStream: stream)
        }
    }

    /// Global batches of an epoch, the same number on every rank, in either mode.
    /// - Parameters:
    ///   - rows: Rows that take part.
    ///   - dropLast: Whether a last batch that would not be full is left out.
    public static func steps(rows: Int, batchSize: Int, dropLast: Bool) -> Int {
        let size = max(1, batchSize), full = rows / size
        return dropLast || rows % size == 0 ? full : full + 1
    }

    /// The positions of a stream that a global batch takes; fewer than `share` in a last batch that is not full.
    public func positions(ofStream stream: Int, inStep step: Int, share: Int) -> Range<Int> {
        let end = rows(ofStream: stream), first = min(end, step * share)
        return first..<min(end, first + share)
    }

    /// The rows of the epoch in the order of the plan, one global batch after the other.
    /// - Parameters:
    ///   - batchSize: Rows of a global batch.
    ///   - streams: Whose rows: those of a rank; nil: of all streams.
    ///   - step: The batch to begin with.
    public func walk(batchSize: Int, dropLast: Bool, streams: Range<Int>? = nil, from step: Int = 0) -> PlanWalk {
        PlanWalk(
            plan: self, batchSize: batchSize, dropLast: dropLast, streams: streams ?? 0..<streamCount, step: step)
    }
}

/// The rows of an epoch, batch by batch, without reading anything. It holds the order of one window of each stream.
public struct PlanWalk: Sequence, IteratorProtocol {
    private let plan: EpochPlan
    private let streams: Range<Int>
    private let share: Int
    private let steps: Int
    private var step: Int
    private var windows: [(positions: Range<Int>, places: [RowPlace])]

    init(plan: EpochPlan, batchSize: Int, dropLast: Bool, streams: Range<Int>, step: Int) {
        self.plan = plan
        self.step = Swift.max(0, step)
        self.streams = streams.clamped(to: 0..<plan.streamCount)
        share = Swift.max(1, batchSize / plan.streamCount)
        steps = EpochPlan.steps(rows: plan.rows, batchSize: share * plan.streamCount, dropLast: dropLast)
        windows = Array(repeating: (0..<0, []), count: plan.streamCount)
    }

    /// The rows of the next batch, one stream after the other; nil at the end of the epoch.
    public mutating func next() -> [RowPlace]? {
        guard step < steps else { return nil }
        var places: [RowPlace] = []
        places.reserveCapacity(share * streams.count)
        for stream in streams {
            for position in plan.positions(ofStream: stream, inStep: step, share: share) {
                if let place = place(stream, position) { places.append(place) }
            }
        }
        step += 1
        return places
    }

    private mutating func place(_ stream: Int, _ position: Int) -> RowPlace? {
        switch plan {
        case .exact(let plan): return plan.place(ofStream: stream, at: position)
        case .windowed(let plan):
            if !windows[stream].positions.contains(position) {
                guard let window = plan.window(ofStream: stream, at: position) else { return nil }
                let flat = window.segments.flatMap { segment in
                    segment.rows.map { RowPlace(batch: segment.batch, row: $0) }
                }
                windows[stream] = (window.positions, plan.order(of: window).map { flat[Int($0)] })
            }
            return windows[stream].places[position - windows[stream].positions.lowerBound]
        }
    }
}
