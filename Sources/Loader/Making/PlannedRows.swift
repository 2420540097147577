/// A row of a batch, by the plan.
public struct PlannedRow: Sendable, Hashable {
    /// The number of its dataset in a mixture; else 0.
    public var dataset: Int
    /// Its record batch, and its number there among the rows that take part.
    public var place: RowPlace

    /// A row from its parts.
    public init(dataset: Int, place: RowPlace) {
        self.dataset = dataset
        self.place = place
    }
}

/// The rows of a rank's batches, one batch after the other, without reading any: the plan that `batches(from:)` carries out,
/// computed by the same code. For proofs that all ranks together take each row once, at sizes that nobody wants to read.
///
/// It holds the order of one window of each stream and dataset, 4 bytes a row. Not Sendable: one thread owns it.
public final class PlannedRows {
    /// Where it is: after the batches whose rows it gave.
    public private(set) var state: LoaderState
    private let plan: RankPlan
    private let steps: Int
    private let windows = WindowOrders(keepsAll: true)

    init(plan: RankPlan, steps: Int, state: LoaderState) {
        self.plan = plan
        self.steps = steps
        self.state = state
    }

    /// The rows of the next batch, in their order; nil at the end of the epoch.
    public func next() -> [PlannedRow]? {
        guard state.step < steps else { return nil }
        defer { state.step += 1 }
        return plan.rows(inStep: state.step, windows: windows)
    }
}

extension Loader {
    /// The rows of batches from where a state says, without reading a record batch.
    /// - Parameter rank: Whose; nil: this process's.
    /// - Throws: `LoaderError`: `state` that names the difference if the state is of another dataset or of other options, `rank` if
    ///   there is no such rank.
    public func plannedRows(from state: LoaderState, rank: Int? = nil) throws -> PlannedRows {
        try check(state)
        let rank = rank ?? options.rank
        try checkRank(rank)
        return PlannedRows(
            plan: try rankPlan(epoch: state.epoch, rank: rank), steps: try steps(epoch: state.epoch), state: state)
    }

    func checkRank(_ rank: Int) throws(LoaderError) {
        guard (0..<options.worldSize).contains(rank) else {
            throw LoaderError(
                .rank, file: dataset.directory, message: "rank \(rank) of \(options.worldSize) does not exist")
        }
    }
}

/// Orders of windows in which rows are looked up. Not Sendable: one thread owns it.
final class WindowOrders {
    private struct Held {
        var unit: Int
        var positions: Range<Int>
        var segments: ArraySlice<ShufflePlan.Segment>
        /// Where each segment ends, counted in rows of the window.
        var ends: [Int]
        /// At each position the row, counted over the segments.
        var rows: [UInt32]
    }

    private var held: [Held?] = []
    private let keepsAll: Bool
    private let order = WindowOrder()

    /// - Parameter keepsAll: Keeps a window of each unit, for batches one after the other; else the last one only.
    init(keepsAll: Bool) {
        self.keepsAll = keepsAll
    }

    /// The row at a position of a unit, from the window that `find` gives where none that is held has it.
    func place(_ unit: Int, at position: Int, find: () -> RankPlan.UnitWindow?) -> RowPlace? {
        let slot = keepsAll ? unit : 0
        while held.count <= slot { held.append(nil) }
        if held[slot]?.unit != unit || held[slot]?.positions.contains(position) != true {
            // Let go of first, so that not two are in memory.
            held[slot] = nil
            held[slot] = find().map { compute(unit, $0) }
        }
        guard let window = held[slot] else { return nil }
        let row = Int(window.rows[position - window.positions.lowerBound])
        var low = 0, high = window.ends.count - 1
        while low < high {
            let middle = (low + high) / 2
            if row < window.ends[middle] { high = middle } else { low = middle + 1 }
        }
        let segment = window.segments[window.segments.startIndex + low]
        let before = window.ends[low] - segment.rows.count
        return RowPlace(batch: segment.batch, row: segment.rows.lowerBound + row - before)
    }

    private func compute(_ unit: Int, _ found: RankPlan.UnitWindow) -> Held {
        order.compute(found.window, of: found.plan)
        var end = 0
        let ends = found.window.segments.map { segment in
            end += segment.rows.count
            return end
        }
        return Held(
            unit: unit, positions: found.positions, segments: found.window.segments, ends: ends,
            rows: (0..<end).map { UInt32(truncatingIfNeeded: order.row(at: $0)) })
    }
}
