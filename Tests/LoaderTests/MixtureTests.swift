import Loader
import TestSupport
import Testing

@Suite struct MixtureTests {
    private func plan(
        _ rows: [Int], _ weights: [Double], streams: Int = 4, share: Int = 3, length: MixturePlan.Length = .shortest,
        dropLast: Bool = true, seed: UInt64 = 1, epoch: Int = 0
    ) throws -> MixturePlan {
        try MixturePlan(
            rows: rows, weights: weights, streams: streams, share: share, length: length, dropLast: dropLast,
            seed: seed,
            epoch: epoch)
    }

    private func places(_ plan: MixturePlan, _ stream: Int) -> [MixturePlan.Place] {
        (0..<plan.rows(ofStream: stream)).compactMap { plan.place(ofStream: stream, at: $0) }
    }

    @Test func `weights become places with an error of less than 1 in 4096, simple ones without any`() throws {
        for (weights, period) in [([1, 1], 4096), ([1, 1, 1], 4095), ([0.7, 0.2, 0.1], 4090), ([3], 4096)] {
            let plan = try plan(weights.map { _ in 100 }, weights)
            #expect(plan.period == period)
            let sum = weights.reduce(0, +)
            for (quota, weight) in zip(plan.quotas, weights) {
                #expect(abs(Double(quota) - weight / sum * Double(period)) < 1e-6)
            }
        }
        var random = Seeded(8)
        for _ in 0..<20 {
            let weights = (0..<Int.random(in: 1...20, using: &random)).map { _ in
                Double.random(in: 0.01...1, using: &random)
            }
            let plan = try plan(weights.map { _ in 100 }, weights), sum = weights.reduce(0, +)
            #expect(plan.quotas.reduce(0, +) == plan.period && plan.period <= 4096)
            for (quota, weight) in zip(plan.quotas, weights) {
                #expect(quota >= 1 && abs(Double(quota) / Double(plan.period) - weight / sum) < 1.0 / 4096)
            }
        }
        #expect(try plan([9, 9], [1, 4095]).quotas == [1, 4095])
    }

    @Test func `what cannot be mixed is an error that names the dataset`() throws {
        let wrong: [([Int], [Double], String)] = [
            ([9, 9], [1], "weights"), ([], [], "weights"), ([9, 9], [1, 0], "weight 1"),
            ([9, 9], [-1, 1], "weight 0"),
            ([9, 9], [1, .nan], "weight 1"), ([9, 9], [1, .infinity], "weight 1"), ([9, 9], [1, 5000], "weight 0"),
            ([9, 3], [1, 1], "dataset 1"),
        ]
        for (rows, weights, name) in wrong {
            let error = #expect(throws: LoaderError.self) { try plan(rows, weights) }
            #expect(error?.code == .options && error?.description.contains(name) == true)
        }
        // Sums beyond what a Double holds are none.
        #expect(try plan([9, 9], [1e308, 1e308]).quotas == [2048, 2048])
    }

    @Test(arguments: [[1, 1], [0.7, 0.2, 0.1], [0.9, 0.05, 0.03, 0.02], [0.31, 0.27, 0.2, 0.12, 0.1], [1, 4000]])
    func `any stretch of a stream has its share of each dataset`(weights: [Double]) throws {
        // Some four and a half periods a stream.
        let sum = weights.reduce(0, +)
        let plan = try plan(weights.map { Int($0 / sum * 55_000) }, weights, streams: 3, length: .longest)
        for stream in 0..<3 {
            let turns = places(plan, stream).map(\.dataset)
            #expect(turns.count > 3 * plan.period)
            for dataset in weights.indices {
                // The largest and the smallest excess of a beginning: their difference is the excess of the worst stretch.
                let share = Double(plan.quotas[dataset]) / Double(plan.period)
                var excess = 0.0, range = (0.0, 0.0)
                for turn in turns {
                    excess += (turn == dataset ? 1 : 0) - share
                    range = (min(range.0, excess), max(range.1, excess))
                }
                #expect(range.1 - range.0 < plan.discrepancy(ofDataset: dataset))
            }
            let periods = stride(from: 0, to: turns.count - plan.period, by: plan.period).map {
                Array(turns[$0..<$0 + plan.period])
            }
            for period in periods {
                let counts = weights.indices.map { dataset in period.count { $0 == dataset } }
                #expect(counts == plan.quotas)
            }
            #expect(Set(periods).count > 1)
        }
        #expect(places(plan, 0).prefix(4096) != places(plan, 1).prefix(4096))
    }

    @Test func `the place at a position is what running through gives`() throws {
        var random = Seeded(3)
        for length in MixturePlan.Length.allCases {
            let plan = try plan([4000, 301, 90], [0.6, 0.3, 0.1], streams: 5, length: length, seed: 9, epoch: 4)
            for stream in 0..<5 {
                var counts = [0, 0, 0]
                let sizes = [4000, 301, 90].map { ($0 * (stream + 1)) / 5 - ($0 * stream) / 5 }
                let run = places(plan, stream)
                for place in run {
                    let count = counts[place.dataset], size = sizes[place.dataset]
                    #expect(place.pass == count / size && place.position == count % size)
                    counts[place.dataset] += 1
                }
                for _ in 0..<100 {
                    let position = Int.random(in: run.indices, using: &random)
                    #expect(plan.place(ofStream: stream, at: position) == run[position])
                }
                #expect(plan.place(ofStream: stream, at: run.count) == nil)
                #expect(plan.place(ofStream: stream, at: -1) == nil)
            }
            #expect(plan.place(ofStream: 5, at: 0) == nil)
        }
    }

    /// Datasets in both modes, mixed over a grid of sizes; a row is (dataset, record batch, row).
    @Test func `ranks make the same steps, rows come once in the shortest epoch and all of them in the longest`() throws
    {
        struct Row: Hashable { var dataset: Int, place: RowPlace }
        var combinations = 0
        let mixtures: [([[Int]], [Double])] = [
            ([[40, 31], [25, 0, 60, 5]], [1, 1]), ([[500], [12, 12, 12], [90, 91]], [0.7, 0.1, 0.2]),
            ([[13], [200]], [0.5, 0.5]), ([[77, 1]], [2]),
        ]
        for (datasets, weights) in mixtures {
            for (streams, share) in [(1, 1), (1, 7), (2, 3), (3, 2), (4, 1), (6, 4), (12, 1), (12, 2)] {
                for length in MixturePlan.Length.allCases {
                    for dropLast in [true, false] {
                        let plan = try plan(
                            datasets.map { $0.reduce(0, +) }, weights, streams: streams, share: share, length: length,
                            dropLast: dropLast, seed: 12)
                        // The rows of each stream of each dataset, in their order in the first pass.
                        let orders = datasets.enumerated().map { number, rows -> [[RowPlace]] in
                            let seed = plan.seed(ofDataset: number, pass: 0)
                            let order: EpochPlan =
                                number % 2 == 0
                                ? .exact(
                                    ExactPlan(rows: rows, batchSize: streams, streams: streams, seed: seed, epoch: 0))
                                : .windowed(
                                    ShufflePlan(
                                        rows: rows, streams: streams, window: 2, shuffles: true, seed: seed, epoch: 0))
                            return (0..<streams).map {
                                order.walk(batchSize: streams, dropLast: false, streams: $0..<$0 + 1).flatMap { $0 }
                            }
                        }
                        var first: [Row] = []
                        for stream in 0..<streams {
                            let rows = places(plan, stream)
                            #expect(rows.count == plan.rows(ofStream: stream) && rows.count <= plan.steps * share)
                            if dropLast || length == .longest { #expect(rows.count == plan.steps * share) }
                            #expect(rows.count >= (plan.steps - 1) * share)
                            for row in rows where row.pass == 0 {
                                let order = orders[row.dataset][stream]
                                try #require(order.indices.contains(row.position))
                                first.append(Row(dataset: row.dataset, place: order[row.position]))
                            }
                        }
                        #expect(Set(first).count == first.count)
                        let total = datasets.joined().reduce(0, +)
                        if length == .longest {
                            #expect(first.count == total)
                        } else {
                            #expect(first.count == plan.rows)
                        }
                        combinations += 1
                    }
                }
            }
        }
        #expect(combinations == 128)
    }

    @Test func `the shortest epoch is as long as it can be, the longest as short`() throws {
        for seed in UInt64(0)..<10 {
            let rows = [900, 400, 130], weights = [0.5, 0.3, 0.2]
            let short = try plan(rows, weights, streams: 6, share: 2, seed: seed)
            let long = try plan(rows, weights, streams: 6, share: 2, length: .longest, seed: seed)
            // One batch more would take a row again.
            #expect(
                (0..<6).contains { stream in
                    (0..<(short.steps + 1) * 2).contains { (long.place(ofStream: stream, at: $0)?.pass ?? 0) > 0 }
                })
            // One less would leave a row out.
            let seen = (0..<6).reduce(0) { sum, stream in
                sum + (0..<(long.steps - 1) * 2).count { long.place(ofStream: stream, at: $0)?.pass == 0 }
            }
            #expect(seen < 1430)
        }
    }

    @Test func `datasets, passes, epochs and seeds have orders of their own`() throws {
        var seeds: Set<UInt64> = []
        for seed in UInt64(0)..<3 {
            for epoch in 0..<3 {
                let plan = try plan([50, 50], [1, 1], seed: seed, epoch: epoch)
                for dataset in 0..<2 { for pass in 0..<3 { seeds.insert(plan.seed(ofDataset: dataset, pass: pass)) } }
            }
        }
        #expect(seeds.count == 54)
        let first = try places(plan([50, 50], [1, 1]), 0)
        #expect(try first != places(plan([50, 50], [1, 1], epoch: 1), 0))
        #expect(try first == places(plan([50, 50], [1, 1]), 0))
    }

    /// The order is part of what a state relies on: it must not change between versions.
    @Test func `the order of a small mixture is what it was`() throws {
        let plan = try plan([60, 30], [2, 1], streams: 2, share: 5, seed: 7, epoch: 1)
        #expect((0..<2).map { places(plan, $0).prefix(16).map(\.dataset) } == pinned)
        #expect(plan.seed(ofDataset: 1, pass: 2) == pinnedSeed)
    }

    private let pinned = [
        [0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 1, 1],
    ]
    private let pinnedSeed: UInt64 = 12_401_003_977_129_104_072
}
