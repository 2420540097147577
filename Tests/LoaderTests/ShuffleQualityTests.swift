import Loader
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
}
