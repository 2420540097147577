import Loader
import TestSupport
import Testing

@Suite struct ShufflePlanTests {
    /// The rows of a stream in the order of the plan, as (record batch, row).
    private func rows(_ plan: ShufflePlan, stream: Int) -> [[Int]] {
        var found: [[Int]] = [], position = 0
        while let window = plan.window(ofStream: stream, at: position) {
            let flat = window.segments.flatMap { segment in segment.rows.map { [segment.batch, $0] } }
            found += plan.order(of: window).map { flat[Int($0)] }
            position = window.positions.upperBound
        }
        return found
    }

    @Test func `every row comes once, and streams differ by at most one row`() {
        let seed = UInt64.random(in: 0...99_999)
        var random = Seeded(seed)
        for _ in 0..<100 {
            let counts = (0..<Int.random(in: 0...40, using: &random)).map { _ in Int.random(in: 0...60, using: &random)
            }
            let streams = Int.random(in: 1...17, using: &random)
            let plan = ShufflePlan(
                rows: counts, streams: streams, window: Int.random(in: 1...9, using: &random),
                shuffles: Bool.random(using: &random), seed: seed, epoch: 3)
            let all = (0..<streams).map { rows(plan, stream: $0) }
            let sizes = all.map(\.count)
            #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1, "seed \(seed)")
            #expect(sizes == (0..<streams).map { plan.rows(ofStream: $0) }, "seed \(seed)")
            let expected = counts.enumerated().flatMap { batch, count in (0..<count).map { [batch, $0] } }
            #expect(Set(all.joined()) == Set(expected) && all.joined().count == expected.count, "seed \(seed)")
        }
    }

    @Test(arguments: [0, 1, 2, 3, 7, 64, 65, 1000, 4097])
    func `a keyed bijection takes every number once`(count: Int) {
        let order = KeyedBijection(count: count, key: 5)
        #expect((0..<count).map { order($0) }.sorted() == Array(0..<count))
        if count > 60 {
            let other = KeyedBijection(count: count, key: 6)
            #expect((0..<count).map { order($0) } != (0..<count).map { other($0) })
        }
    }

    @Test func `seeds and epochs give other orders, the same ones the same order`() {
        func first(_ seed: UInt64, _ epoch: Int) -> [[Int]] {
            rows(
                ShufflePlan(
                    rows: Array(repeating: 50, count: 40), streams: 4, window: 4, shuffles: true, seed: seed,
                    epoch: epoch), stream: 1)
        }
        #expect(first(1, 0) == first(1, 0))
        #expect(first(1, 0) != first(2, 0))
        #expect(first(1, 0) != first(1, 1))
    }

    @Test func `without shuffling one stream is the dataset in its order`() {
        let plan = ShufflePlan(rows: [3, 0, 2], streams: 1, window: 2, shuffles: false, seed: 9, epoch: 0)
        #expect(rows(plan, stream: 0) == [[0, 0], [0, 1], [0, 2], [2, 0], [2, 1]])
    }

    /// The order is part of what a state relies on: it must not change between versions.
    @Test func `the order of a small plan is what it was`() {
        let plan = ShufflePlan(rows: [4, 4, 4], streams: 2, window: 2, shuffles: true, seed: 7, epoch: 1)
        let flat = (0..<2).map { rows(plan, stream: $0).map { $0[0] * 10 + $0[1] } }
        #expect(flat == pinned)
    }

    private let pinned = [[21, 23, 1, 22, 0, 20], [3, 2, 12, 11, 13, 10]]
}
