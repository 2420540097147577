import Kernels
import Shards
import Support

/// Which rows of which datasets make which batch of this rank, over one epoch.
///
/// A *unit* is a stream of a dataset; its positions count the dataset's rows in that stream, on through all passes.
struct RankPlan: Sendable {
    let epoch: Int
    let sources: [SourcePlan]
    /// Which dataset comes when; nil if there is one only.
    let mixture: MixturePlan?
    /// The streams of this rank.
    let streams: Range<Int>
    /// Rows that a batch takes from each stream.
    let share: Int
    /// Whether all rows are shuffled at once, without windows.
    let isExact: Bool

    /// A window at its place among all positions of a unit.
    struct UnitWindow {
        var window: ShufflePlan.Window
        var plan: ShufflePlan
        var positions: Range<Int>
    }

    var unitCount: Int { streams.count * sources.count }

    func source(_ unit: Int) -> SourcePlan { sources[unit % sources.count] }

    private func stream(_ unit: Int) -> Int { streams.lowerBound + unit / sources.count }

    /// The window that holds a position; nil behind the end.
    func window(_ unit: Int, at position: Int) -> UnitWindow? {
        let source = source(unit), stream = stream(unit), rows = source.rows(ofStream: stream)
        guard rows > 0, mixture != nil || position < rows else { return nil }
        let (pass, place) = position.quotientAndRemainder(dividingBy: rows)
        guard case .windowed(let plan) = source.plan(pass: pass),
            let window = plan.window(ofStream: stream, at: place)
        else { return nil }
        let base = pass * rows
        return UnitWindow(
            window: window, plan: plan,
            positions: base + window.positions.lowerBound..<base + window.positions.upperBound)
    }

    /// The positions of a unit that a batch takes.
    @inline(__always)
    func range(_ unit: Int, step: Int) -> Range<Int> {
        let stream = stream(unit)
        guard let mixture else {
            let rows = sources[0].rows(ofStream: stream)
            return min(step * share, rows)..<min((step + 1) * share, rows)
        }
        let dataset = unit % sources.count, rows = mixture.rows(ofStream: stream)
        return mixture.count(
            ofDataset: dataset, inStream: stream, before: min(step * share, rows))..<mixture.count(
                ofDataset: dataset, inStream: stream, before: min((step + 1) * share, rows))
    }

    /// Gives the rows of a batch to a maker. The windows are those that the batch needs, by unit and position.
    func addRows(of step: Int, from held: [(unit: Int, window: WindowBuffer)], to maker: BatchMaker) {
        guard let mixture else {
            for (unit, window) in held {
                let positions = range(unit, step: step).clamped(to: window.positions)
                maker.add(
                    UnsafeBufferPointer(
                        start: window.rows + (positions.lowerBound - window.positions.lowerBound),
                        count: positions.count))
            }
            return
        }
        for (index, stream) in streams.enumerated() {
            let rows = mixture.rows(ofStream: stream)
            for position in min(step * share, rows)..<min((step + 1) * share, rows) {
                guard let place = mixture.place(ofStream: stream, at: position) else { continue }
                let unit = index * sources.count + place.dataset
                let number = place.pass * sources[place.dataset].rows(ofStream: stream) + place.position
                // A batch has one or two windows of each unit.
                for entry in held where entry.unit == unit && entry.window.positions.contains(number) {
                    maker.add(entry.window.rows[number - entry.window.positions.lowerBound], of: place.dataset)
                }
            }
        }
    }

    /// Calls `body` with the dataset, record batch and row of each row of a batch in exact order.
    func forEachExactRow(of step: Int, _ body: (_ dataset: Int, _ place: RowPlace) throws -> Void) rethrows {
        try forEachTurn(of: step) { stream, turn in
            guard case .exact(let plan) = sources[turn.dataset].plan(pass: turn.pass),
                let place = plan.place(ofStream: stream, at: turn.position)
            else { return }
            try body(turn.dataset, place)
        }
    }

    /// The rows of a batch, in either mode and without reading anything.
    func rows(inStep step: Int, windows: WindowOrders) -> [PlannedRow] {
        var found: [PlannedRow] = []
        found.reserveCapacity(streams.count * share)
        forEachTurn(of: step) { stream, turn in
            let place: RowPlace?
            if isExact {
                guard case .exact(let plan) = sources[turn.dataset].plan(pass: turn.pass) else { return }
                place = plan.place(ofStream: stream, at: turn.position)
            } else {
                let unit = (stream - streams.lowerBound) * sources.count + turn.dataset
                let position = turn.pass * sources[turn.dataset].rows(ofStream: stream) + turn.position
                place = windows.place(unit, at: position) { window(unit, at: position) }
            }
            if let place { found.append(PlannedRow(dataset: turn.dataset, place: place)) }
        }
        return found
    }

    /// Calls `body` with the stream and the place in its dataset's stream of each row of a batch.
    private func forEachTurn(
        of step: Int, _ body: (_ stream: Int, _ turn: MixturePlan.Place) throws -> Void
    ) rethrows {
        for stream in streams {
            let rows = mixture?.rows(ofStream: stream) ?? sources[0].rows(ofStream: stream)
            for position in min(step * share, rows)..<min((step + 1) * share, rows) {
                try body(
                    stream,
                    mixture?.place(ofStream: stream, at: position)
                        ?? MixturePlan.Place(dataset: 0, pass: 0, position: position))
            }
        }
    }
}

/// The order of a dataset in an epoch; of a mixture, in each pass over it.
final class SourcePlan: Sendable {
    let part: DatasetPart
    private let first: EpochPlan
    private let make: @Sendable (_ pass: Int) -> EpochPlan
    /// Plans of later passes; streams pass from one to the next at different times, but not far apart.
    private let later = Monitor<[(pass: Int, plan: EpochPlan)]>([])

    init(part: DatasetPart, make: @escaping @Sendable (_ pass: Int) -> EpochPlan) {
        self.part = part
        self.make = make
        first = make(0)
    }

    /// Rows of a stream in each pass.
    func rows(ofStream stream: Int) -> Int { first.rows(ofStream: stream) }

    func plan(pass: Int) -> EpochPlan {
        guard pass > 0 else { return first }
        return later.update { plans in
            if let known = plans.first(where: { $0.pass == pass }) { return known.plan }
            let plan = make(pass)
            if plans.count >= 3, let oldest = plans.indices.min(by: { plans[$0].pass < plans[$1].pass }) {
                plans.remove(at: oldest)
            }
            plans.append((pass, plan))
            return plan
        }
    }
}
