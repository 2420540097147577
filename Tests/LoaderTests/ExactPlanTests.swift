import Foundation
import Loader
import TestSupport
import Testing

@Suite struct ExactPlanTests {
    private func order(_ count: Int, _ key: UInt64) -> [Int] {
        let bijection = KeyedBijection(count: count, key: 77, key)
        return (0..<count).map { bijection($0) }
    }

    @Test func `a keyed bijection of up to 300 numbers takes each once, whatever the key`() {
        let seed = UInt64.random(in: 0...99_999)
        for count in 1...300 {
            for key in 0..<UInt64(3) {
                #expect(order(count, seed + key).sorted() == Array(0..<count), "seed \(seed), count \(count)")
            }
        }
    }

    @Test(arguments: [2, 3, 4, 5])
    func `all orders of a few numbers come equally often`(count: Int) {
        let orders = (1...count).reduce(1, *), keys = 200 * orders
        var found: [[Int]: Int] = [:]
        for key in 0..<UInt64(keys) { found[order(count, key), default: 0] += 1 }
        // With d degrees of freedom chi square is d, give or take the root of 2 d.
        let d = Double(orders - 1)
        let square =
            found.values.reduce(0.0) { $0 + pow(Double($1) - 200, 2) / 200 } + 200 * Double(orders - found.count)
        #expect(found.count == orders)
        #expect(abs(square - d) < 5 * (2 * d).squareRoot() + 3)
    }

    /// Above and below the number up to which a table is used, powers of four and others.
    @Test(arguments: [200, 257, 300, 512, 1000, 1024])
    func `neighbours of a keyed order lie as far apart as in a true shuffle, and vary as much from key to key`(
        count: Int
    ) {
        var random = Seeded(UInt64(count))
        func distance(_ order: [Int]) -> Double {
            Double(zip(order, order.dropFirst()).reduce(0) { $0 + abs($1.0 - $1.1) }) / Double(count - 1)
                / Double(count)
        }
        let keys = 2500
        let found = (0..<UInt64(keys)).map { distance(order(count, $0)) }
        let shuffled = (0..<keys).map { _ in distance((0..<count).shuffled(using: &random)) }
        func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
        func spread(_ values: [Double]) -> Double {
            mean(values.map { ($0 - mean(values)) * ($0 - mean(values)) }).squareRoot()
        }
        // Expected (n + 1) / 3 n; the spread is that of Fisher and Yates to the error of two samples of 2,500.
        #expect(
            abs(mean(found) - Double(count + 1) / Double(3 * count)) < 4 * spread(shuffled) / Double(keys).squareRoot())
        #expect(abs(spread(found) / spread(shuffled) - 1) < 4 / Double(keys).squareRoot())
    }

    @Test func `the first digits of the first tenth of a keyed order are spread as in a true shuffle`() {
        let count = 100_000, part = count / 10
        var squares = 0.0
        let keys = 100
        for key in 0..<UInt64(keys) {
            let order = KeyedBijection(count: count, key: 5, key)
            var digits = Array(repeating: 0.0, count: 10)
            for place in 0..<part { digits[order(place) * 10 / count] += 1 }
            let variance = Double(part) * 0.09 * Double(count - part) / Double(count - 1)
            squares += digits.reduce(0) { $0 + pow($1 - Double(part) / 10, 2) } / variance / 10
        }
        #expect(abs(squares / Double(keys) - 1) < 4 * (2.0 / 9 / Double(keys)).squareRoot())
    }

    @Test func `orders of 20 epochs are uncorrelated`() {
        let count = 5000
        let plans = (0..<20).map {
            ExactPlan(rows: [3000, 0, 2000], batchSize: 50, streams: 10, seed: 4, epoch: $0)
        }
        let positions = plans.map { plan -> [Double] in
            var positions = Array(repeating: -1.0, count: count)
            for number in 0..<count {
                if let place = plan.place(at: number) {
                    positions[place.batch == 0 ? place.row : 3000 + place.row] = Double(number)
                }
            }
            return positions
        }
        // Ranks are uncorrelated to 1 / sqrt(n - 1); of 190 pairs none is off by more than four and a half of these.
        for first in positions.indices {
            for second in 0..<first {
                let found = ShuffleQuality.correlation(positions[first], positions[second])
                #expect(abs(found) < 4.5 / Double(count - 1).squareRoot(), "epochs \(first), \(second)")
            }
        }
    }

    @Test func `global batches are stretches of one order, whatever the streams`() {
        let rows = [40, 0, 31, 29, 7]
        for streams in [1, 2, 3, 6, 12] {
            let exact = ExactPlan(rows: rows, batchSize: 12, streams: streams, seed: 3, epoch: 2)
            for (step, batch) in EpochPlan.exact(exact).walk(batchSize: 12, dropLast: false).enumerated() {
                let expected = (step * 12..<min(107, step * 12 + 12)).compactMap { exact.place(at: $0) }
                #expect(batch == expected)
            }
        }
    }

    @Test func `behind the end of a stream there is nothing, and unshuffled batches are the dataset in order`() {
        let plan = ExactPlan(rows: [3, 0, 4], batchSize: 4, streams: 2, shuffles: false, seed: 1, epoch: 0)
        let flat = EpochPlan.exact(plan).walk(batchSize: 4, dropLast: false).map { $0.map { [$0.batch, $0.row] } }
        #expect(flat == [[[0, 0], [0, 1], [0, 2], [2, 0]], [[2, 1], [2, 2], [2, 3]]])
        #expect(plan.place(ofStream: 0, at: 3) == nil && plan.place(ofStream: 1, at: 3) != nil)
        #expect(plan.place(ofStream: 2, at: 0) == nil && plan.place(ofStream: 0, at: -1) == nil)
        #expect(plan.place(at: 7) == nil)
        #expect(ExactPlan(rows: [], batchSize: 4, streams: 2, seed: 1, epoch: 0).place(at: 0) == nil)
    }

    /// The order is part of what a state relies on: it must not change between versions.
    @Test func `the order of exact plans is what it was`() {
        let small = ExactPlan(rows: [4, 4, 4], batchSize: 6, streams: 2, seed: 7, epoch: 1)
        #expect((0..<12).compactMap { small.place(at: $0) }.map { $0.batch * 10 + $0.row } == pinnedSmall)
        let large = ExactPlan(rows: [1000, 1000], batchSize: 10, streams: 2, seed: 7, epoch: 1)
        #expect((0..<8).compactMap { large.place(at: $0) }.map { $0.batch * 1000 + $0.row } == pinnedLarge)
    }

    private let pinnedSmall = [21, 2, 3, 13, 11, 22, 1, 23, 10, 20, 0, 12]
    private let pinnedLarge = [538, 582, 1137, 1328, 1687, 1768, 1721, 252]
}
