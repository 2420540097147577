import Shards

/// Which rows of which dataset make which batch of this rank, over one epoch.
struct RankPlan: Sendable {
    let epoch: Int
    let parts: [DatasetPart]
    let plans: [ShufflePlan]
    /// The streams of this rank.
    let streams: Range<Int>
    /// Rows that a batch takes from each stream.
    let share: Int

    // A unit is a stream of a dataset: stream by stream, in each the datasets.

    func partNumber(_ unit: Int) -> Int { unit % parts.count }

    func part(_ unit: Int) -> DatasetPart { parts[partNumber(unit)] }

    func windows(_ unit: Int) -> ShufflePlan { plans[partNumber(unit)] }

    private func stream(_ unit: Int) -> Int { streams.lowerBound + unit / parts.count }

    func window(_ unit: Int, at position: Int) -> ShufflePlan.Window? {
        windows(unit).window(ofStream: stream(unit), at: position)
    }

    func window(_ unit: Int, number: Int) -> ShufflePlan.Window? {
        windows(unit).window(ofStream: stream(unit), number: number)
    }

    /// The positions of a stream of a dataset that a batch takes.
    @inline(__always)
    func range(_ unit: Int, step: Int) -> Range<Int> {
        let rows = windows(unit).rows(ofStream: stream(unit))
        return min(step * share, rows)..<min((step + 1) * share, rows)
    }

    /// Gives the rows of a batch to a maker. The windows are those that the batch needs, by unit and position.
    func forEachRow(of step: Int, in held: [(unit: Int, window: WindowBuffer)], _ maker: BatchMaker) {
        for (unit, window) in held {
            let range = range(unit, step: step).clamped(to: window.positions)
            for position in range {
                maker.add(window.rows[position - window.positions.lowerBound], of: partNumber(unit))
            }
        }
    }
}
