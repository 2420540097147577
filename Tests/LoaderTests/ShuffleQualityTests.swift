import Convert
import Foundation
import Loader
import Shards
import TestSupport
import Testing

@Suite struct ShuffleQualityTests {
    /// Variance of the number of jets of a class in global batches, over that of a true shuffle (hypergeometric), on data that is
    /// sorted by class: each record batch has one class.
    private func variance(
        window: Int, streams: Int, batch: Int, seed: UInt64, batches: Int = 2000, rows: Int = 256, classes: Int = 10
    ) -> Double {
        let plan = ShufflePlan(
            rows: Array(repeating: rows, count: batches), streams: streams, window: window, shuffles: true, seed: seed,
            epoch: 0)
        let total = batches * rows, share = batch / streams, steps = total / streams / share
        var counts = Array(repeating: Array(repeating: 0, count: classes), count: steps)
        for stream in 0..<streams {
            var position = 0
            while let window = plan.window(ofStream: stream, at: position) {
                let labels = window.segments.flatMap {
                    Array(repeating: $0.batch * classes / batches, count: $0.rows.count)
                }
                for (index, place) in plan.order(of: window).enumerated() where (position + index) / share < steps {
                    counts[(position + index) / share][labels[Int(place)]] += 1
                }
                position = window.positions.upperBound
            }
        }
        let expected = Double(batch) / Double(classes), p = 1 / Double(classes)
        let ideal = Double(batch) * p * (1 - p) * Double(total - batch) / Double(total - 1)
        let squares = counts.joined().reduce(0.0) { $0 + (Double($1) - expected) * (Double($1) - expected) }
        return squares / Double(steps * classes) / ideal
    }

    @Test(arguments: [(48, 48), (256, 64), (512, 64)])
    func `batches of class-sorted data vary at most 5% more than those of a true shuffle`(batch: Int, streams: Int) {
        let window = max(4, batch / streams)
        let seeds = UInt64(0)..<6
        let mean =
            seeds.reduce(0.0) { $0 + variance(window: window, streams: streams, batch: batch, seed: $1) }
            / Double(seeds.count)
        #expect(mean < 1.05)
        // And the measure sees a bad shuffle.
        if batch > streams { #expect(variance(window: 1, streams: streams, batch: batch, seed: 0) > 2) }
    }

    /// The meter over the walk of a plan, which is another way to the same number.
    private func measured(_ plan: EpochPlan, _ batch: Int, _ label: (RowPlace) -> Int) throws -> Estimate {
        var meter = VarianceMeter(batchSize: batch, categories: 10)
        for places in plan.walk(batchSize: batch, dropLast: false) { meter.add(places.lazy.map(label)) }
        return try #require(meter.ratio())
    }

    @Test func `the meter agrees with counting, with an error that covers the scatter of seeds`() throws {
        let found = try (UInt64(0)..<12).map { seed in
            let plan = ShufflePlan(
                rows: Array(repeating: 64, count: 1000), streams: 16, window: 2, shuffles: true, seed: seed, epoch: 0)
            let ratio = try measured(.windowed(plan), 64) { $0.batch / 100 }
            let counted = variance(window: 2, streams: 16, batch: 64, seed: seed, batches: 1000, rows: 64)
            #expect(abs(ratio.value - counted) < 1e-9)
            return ratio
        }
        let mean = found.reduce(0) { $0 + $1.value } / 12, error = found.reduce(0) { $0 + $1.error } / 12
        let scatter = (found.reduce(0) { $0 + ($1.value - mean) * ($1.value - mean) } / 11).squareRoot()
        #expect((0.4...2.5).contains(scatter / error))
    }

    @Test func `in exact mode the variance is that of a true shuffle within its error, whatever the order of the data`()
        throws
    {
        var sum = 0.0, square = 0.0
        for seed in UInt64(0)..<6 {
            let plan = ExactPlan(
                rows: Array(repeating: 256, count: 2000), batchSize: 256, streams: 64, seed: seed, epoch: 0)
            let ratio = try measured(.exact(plan), 256) { $0.batch / 200 }
            #expect(abs(ratio.value - 1) < 4 * ratio.error && ratio.error < 0.02)
            sum += ratio.value / 6
            square += ratio.error * ratio.error / 36
        }
        #expect(sum < 1.02 && abs(sum - 1) < 3 * square.squareRoot())
    }

    @Test
    func `after a conversion that interleaves 16 files the variance is that of a true shuffle at the default window`()
        throws
    {
        let data = ShuffleStudy.Labels.interleaved(recordBatches: 1600, rows: 128)
        var sum = 0.0
        for seed in UInt64(0)..<6 {
            let plan = ShufflePlan(
                rows: data.batches.map(\.count), streams: 64, window: 4, shuffles: true, seed: seed, epoch: 0)
            let r = try measured(.windowed(plan), 256) { Int(data.batches[$0.batch][$0.row]) }
            sum += r.value / 6
        }
        #expect(sum < 1.02)
    }

    @Test func `neighbours in batches come from all over the dataset, those of an unshuffled one do not`() throws {
        let rows = 100_000, counts = Array(repeating: 500, count: 200)
        func meter(_ plan: EpochPlan) -> NeighbourMeter {
            var meter = NeighbourMeter(rows: rows)
            for places in plan.walk(batchSize: 250, dropLast: true) {
                meter.add(places.map { $0.batch * 500 + $0.row })
            }
            return meter
        }
        let exact = meter(.exact(ExactPlan(rows: counts, batchSize: 250, streams: 50, seed: 1, epoch: 0)))
        let mean = try #require(exact.mean), median = try #require(exact.median)
        #expect(abs(mean.value - ShuffleQuality.meanDistance(rows: rows)) < 4 * mean.error && mean.error < 0.001)
        #expect(abs(median - ShuffleQuality.medianDistance) < 0.006)
        // Neighbours come from few pairs of record batches here: 40 windows with ten pairs each.
        let windowed = meter(
            .windowed(ShufflePlan(rows: counts, streams: 50, window: 5, shuffles: true, seed: 1, epoch: 0)))
        #expect(abs(try #require(windowed.mean).value - 1.0 / 3) < 0.04)
        let inOrder = meter(
            .exact(ExactPlan(rows: counts, batchSize: 250, streams: 50, shuffles: false, seed: 1, epoch: 0)))
        #expect(abs(try #require(inOrder.mean).value - 1e-5) < 1e-9)
        #expect(NeighbourMeter(rows: 5).mean == nil && NeighbourMeter(rows: 5).median == nil)
    }

    @Test func `epochs of windowed plans are uncorrelated over 20 epochs, and the meter sees those that are not`() {
        let recordBatches = 400
        var meter = EpochMeter(rows: recordBatches * 20)
        for epoch in 0..<20 {
            let plan = ShufflePlan(
                rows: Array(repeating: 20, count: recordBatches), streams: 10, window: 4, shuffles: true, seed: 2,
                epoch: epoch)
            for places in EpochPlan.windowed(plan).walk(batchSize: 40, dropLast: false) {
                meter.add(places.map { $0.batch * 20 + $0.row })
            }
            meter.endEpoch()
        }
        // The rows of a record batch stay together: there are as many independent positions as record batches.
        #expect(meter.correlations.count == 19)
        #expect(meter.correlations.allSatisfy { abs($0) < 4.5 / Double(recordBatches - 1).squareRoot() })
        var same = EpochMeter(rows: 100)
        for _ in 0..<2 {
            same.add((0..<100).map { ($0 * 37) % 100 })
            same.endEpoch()
        }
        #expect(same.correlations.count == 1 && abs((same.correlations.first ?? 0) - 1) < 1e-9)
    }

    @Test func `formulas have the values of small cases that one counts by hand`() {
        // Batches of 2 of the rows A, A, B, B: of six pairs four have one A, one has two, one none.
        #expect(abs(ShuffleQuality.variance(batch: 2, share: 0.5, rows: 4) - 1.0 / 3) < 1e-12)
        #expect(ShuffleQuality.variance(batch: 4, share: 0.5, rows: 4) == 0)
        // Of three rows two pairs are neighbours and one is two apart.
        #expect(abs(ShuffleQuality.meanDistance(rows: 3) - 4.0 / 9) < 1e-12)
        #expect(ShuffleQuality.correlation([1, 2, 3], [3, 2, 1]) == -1)
        #expect(ShuffleQuality.correlation([1, 1], [3, 2]) == 0)
        #expect(ShuffleQuality.plainRatio(batch: 256, streams: 64, window: 4) == 1.75)
        var meter = VarianceMeter(batchSize: 2, categories: 2)
        for batch in [[0, 1], [1, 0], [0, 1]] { meter.add(batch) }
        #expect(meter.ratio()?.value == 0)
        #expect(VarianceMeter(batchSize: 2, categories: 2).ratio() == nil)
    }

    /// With `PANDO_SHUFFLE_STUDY` the numbers of docs/shuffle.md, written there; else a fast form (scripts/shuffle_figures).
    @Test func `the study of docs shuffle can be made and drawn`() throws {
        let output = ProcessInfo.processInfo.environment["PANDO_SHUFFLE_STUDY"], directory = try TemporaryDirectory()
        let study = try ShuffleStudy(isFast: output == nil)
        let path = output ?? directory.file("study.json"), image = directory.file("shuffle.svg")
        try CanonicalJSON.data(study, pretty: true).write(to: URL(fileURLWithPath: path))
        let standard = try #require(
            study.variances.first { $0.data == "sorted" && $0.order == "pando" && $0.streams == 64 && $0.window == 4 })
        let plain = try #require(
            study.variances.first { $0.data == "sorted" && $0.order == "plain" && $0.streams == 64 && $0.window == 4 })
        #expect(standard.ratio.value < 1.05 + 3 * standard.ratio.error)
        #expect(plain.ratio.value > standard.ratio.value)
        for found in study.variances where found.order == "plain" && found.streams == 64 && (found.window ?? 99) <= 2 {
            let expected = ShuffleQuality.plainRatio(batch: 256, streams: 64, window: found.window ?? 1)
            #expect(abs(found.ratio.value / expected - 1) < 0.25)
        }
        let script = Process()
        script.executableURL = URL(
            fileURLWithPath: ProcessInfo.processInfo.environment["PANDO_PYTHON"] ?? Package.root + "/.venv/bin/python")
        script.arguments = [Package.root + "/scripts/shuffle_figures", path, image]
        script.standardOutput = FileHandle.nullDevice
        try script.run()
        script.waitUntilExit()
        #expect(script.terminationStatus == 0)
        let drawn = try String(contentsOfFile: image, encoding: .utf8)
        #expect(drawn.hasPrefix("<svg") && drawn.hasSuffix("</svg>\n") && drawn.utf8.count < 100_000)
    }
}
