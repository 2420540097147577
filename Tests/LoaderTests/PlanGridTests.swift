import Loader
import TestSupport
import Testing

@Suite struct PlanGridTests {
    enum Mode: CaseIterable, Sendable { case windowed, exact, inOrder }

    private func plan(_ mode: Mode, _ rows: [Int], _ batch: Int, _ streams: Int, window: Int) -> EpochPlan {
        switch mode {
        case .exact: .exact(ExactPlan(rows: rows, batchSize: batch, streams: streams, seed: 5, epoch: 2))
        case .windowed, .inOrder:
            .windowed(
                ShufflePlan(
                    rows: rows, streams: streams, window: window, shuffles: mode == .windowed, seed: 5, epoch: 2))
        }
    }

    /// Rows of record batches: one, few, none among them, more batches than rows, one large, several hundred rows.
    private static let datasets = [
        [1], [5, 0, 3], [0, 0, 7, 1, 0], Array(repeating: 1, count: 23), [96], [50, 1, 49, 20], [144, 143, 1, 0, 100],
    ]

    @Test(arguments: Mode.allCases)
    func `all ranks make the same steps, and all rows come once, over a grid of sizes`(mode: Mode) {
        var combinations = 0
        for rows in Self.datasets {
            let all = Set(
                rows.enumerated().flatMap { batch, count in (0..<count).map { RowPlace(batch: batch, row: $0) } })
            for streams in [1, 2, 3, 4, 6, 12] {
                for share in [1, 2, 5] {
                    let batch = streams * share, plan = plan(mode, rows, batch, streams, window: share)
                    for dropLast in [true, false] {
                        // As one would count: whole batches, and one more for what is left.
                        var steps = 0, left = all.count
                        while left >= batch { (steps, left) = (steps + 1, left - batch) }
                        if !dropLast, left > 0 { steps += 1 }
                        #expect(EpochPlan.steps(rows: all.count, batchSize: batch, dropLast: dropLast) == steps)
                        let whole = Array(plan.walk(batchSize: batch, dropLast: dropLast))
                        #expect(whole.count == steps)
                        #expect(whole.dropLast().allSatisfy { $0.count == batch })
                        let seen = whole.flatMap { $0 }
                        #expect(Set(seen).count == seen.count && Set(seen).isSubset(of: all))
                        #expect(seen.count == (dropLast ? all.count - left : all.count))
                        for world in 1...streams where streams % world == 0 {
                            let part = streams / world
                            let ranks = (0..<world).map { rank in
                                Array(
                                    plan.walk(
                                        batchSize: batch, dropLast: dropLast, streams: rank * part..<(rank + 1) * part))
                            }
                            #expect(ranks.allSatisfy { $0.count == steps })
                            for step in 0..<steps {
                                #expect(ranks.flatMap { $0[step] } == whole[step])
                                let sizes = ranks.map { $0[step].count }
                                if whole[step].count == batch {
                                    #expect(sizes.allSatisfy { $0 == part * share })
                                }
                                // A last batch is dealt stream by stream as evenly as can be.
                                #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= part)
                            }
                            combinations += 1
                        }
                    }
                }
            }
        }
        #expect(combinations == 756)
    }

    @Test func `streams are equally long in both modes`() {
        for rows in Self.datasets {
            for streams in [1, 2, 3, 5, 12, 40] {
                let plans = Mode.allCases.map { plan($0, rows, streams * 3, streams, window: 2) }
                for stream in 0..<streams {
                    #expect(Set(plans.map { $0.rows(ofStream: stream) }).count == 1)
                }
                #expect(
                    plans.allSatisfy { plan in
                        (0..<streams).reduce(0) { $0 + plan.rows(ofStream: $1) } == plan.rows
                            && plan.streamCount == streams
                    })
            }
        }
    }

    @Test func `to begin at any step gives what running through gives`() {
        for mode in Mode.allCases {
            let plan = plan(mode, [144, 143, 1, 0, 100], 24, 6, window: 2)
            let whole = Array(plan.walk(batchSize: 24, dropLast: false))
            for step in whole.indices.shuffled() {
                #expect(Array(plan.walk(batchSize: 24, dropLast: false, from: step)) == Array(whole[step...]))
            }
            #expect(Array(plan.walk(batchSize: 24, dropLast: false, from: 99)).isEmpty)
        }
    }
}
