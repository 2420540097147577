import Convert
import Loader

/// The numbers of docs/shuffle.md: how much batches of 256 vary on data of ten classes.
struct ShuffleStudy: Codable {
    struct Variance: Codable {
        /// `sorted`: each record batch has one class; `interleaved`: 160 files of one class each, converted 16 at a time.
        var data: String
        /// `pando`; `plain`: rows of a window shuffled by chance alone; `exact`.
        var order: String
        var streams: Int
        var window: Int?
        var ratio: Estimate
    }

    struct Stretch: Codable {
        var data: String
        var order: String
        /// Batches that are taken together, and the variance of their classes over that of a true shuffle.
        var batches: Int
        var ratio: Estimate
    }

    struct Order: Codable {
        var order: String
        var meanDistance: Double
        var medianDistance: Double
        /// The largest correlation of an epoch with the one before, and the root of their mean square.
        var largestCorrelation: Double
        var rootMeanSquare: Double
    }

    /// The class of each row of each record batch.
    struct Labels {
        var batches: [[UInt8]]

        static func sorted(recordBatches: Int, rows: Int) -> Labels {
            Labels(batches: (0..<recordBatches).map { Array(repeating: UInt8($0 * 10 / recordBatches), count: rows) })
        }

        /// As the converter deals the rows of its inputs.
        static func interleaved(recordBatches: Int, rows: Int) -> Labels {
            let plan = BatchPlan(
                taken: Array(repeating: 0..<recordBatches * rows / 160, count: 160), batchRows: rows, interleave: 16)
            return Labels(
                batches: (0..<plan.batchCount).map { batch in
                    plan.pieces(ofBatch: batch).flatMap {
                        Array(repeating: UInt8($0.input / 16), count: $0.rows.count)
                    }
                })
        }
    }

    var recordBatches = 2560
    var rowsOfRecordBatch: Int
    var batch = 256
    var seeds = 8
    var epochs = 20
    var variances: [Variance] = []
    var stretches: [Stretch] = []
    var orders: [Order] = []

    init(isFast: Bool) throws {
        rowsOfRecordBatch = isFast ? 16 : 256
        if isFast { (seeds, epochs) = (2, 3) }
        let data = [
            ("sorted", Labels.sorted(recordBatches: recordBatches, rows: rowsOfRecordBatch)),
            ("interleaved", Labels.interleaved(recordBatches: recordBatches, rows: rowsOfRecordBatch)),
        ]
        for (name, labels) in data {
            for streams in [8, 16, 32, 64] {
                for window in [1, 2, 4, 8, 16, 32] {
                    for isPlain in [false, true] where name == "sorted" || streams == 64 && window <= 4 && !isPlain {
                        variances.append(
                            Variance(
                                data: name, order: isPlain ? "plain" : "pando", streams: streams, window: window,
                                ratio: overSeeds {
                                    variance(labels, streams: streams, window: window, isPlain: isPlain, seed: $0)
                                }))
                    }
                }
            }
            let rows = labels.batches.map(\.count), batch = batch
            let exact = { (seed: UInt64) -> EpochPlan in
                .exact(ExactPlan(rows: rows, batchSize: batch, streams: 64, seed: seed, epoch: 0))
            }
            variances.append(
                Variance(
                    data: name, order: "exact", streams: 64, window: nil,
                    ratio: overSeeds { walked(labels, exact($0), stretch: 1) }))
            for length in isFast ? [1, 16] : [1, 16, 64] {
                for window in [4, 16] {
                    let ratio = overSeeds {
                        let plan = ShufflePlan(
                            rows: rows, streams: 64, window: window, shuffles: true, seed: $0, epoch: 0)
                        return walked(labels, .windowed(plan), stretch: length)
                    }
                    stretches.append(Stretch(data: name, order: "window \(window)", batches: length, ratio: ratio))
                }
                let ratio = overSeeds { walked(labels, exact($0), stretch: length) }
                stretches.append(Stretch(data: name, order: "exact", batches: length, ratio: ratio))
            }
        }
        let rows = Array(repeating: rowsOfRecordBatch, count: recordBatches), batch = batch
        orders.append(
            order("as in the dataset") { _ in
                .exact(ExactPlan(rows: rows, batchSize: batch, streams: 64, shuffles: false, seed: 1, epoch: 0))
            })
        for window in [1, 4, 16] {
            orders.append(
                order("window \(window)") {
                    .windowed(ShufflePlan(rows: rows, streams: 64, window: window, shuffles: true, seed: 1, epoch: $0))
                })
        }
        orders.append(
            order("exact") { .exact(ExactPlan(rows: rows, batchSize: batch, streams: 64, seed: 1, epoch: $0)) })
    }

    /// The mean over seeds, with the error that their scatter gives.
    private func overSeeds(_ ratio: (UInt64) -> Double) -> Estimate {
        let found = (0..<UInt64(seeds)).map(ratio), count = Double(seeds)
        let mean = found.reduce(0, +) / count
        let scatter = found.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return Estimate(mean, error: (scatter / (count - 1) / count).squareRoot())
    }

    private func variance(_ labels: Labels, streams: Int, window: Int, isPlain: Bool, seed: UInt64) -> Double {
        let plan = ShufflePlan(
            rows: labels.batches.map(\.count), streams: streams, window: window, shuffles: true, seed: seed, epoch: 0)
        if !isPlain { return walked(labels, .windowed(plan), stretch: 1) }
        let share = batch / streams, steps = plan.rows / batch
        var random = KeyedRandom(99, seed), drawn = Array(repeating: UInt8(0), count: steps * batch)
        for stream in 0..<streams {
            var position = 0
            while let window = plan.window(ofStream: stream, at: position) {
                let flat = window.segments.flatMap { labels.batches[$0.batch][$0.rows] }
                for (place, row) in zip(window.positions, random.permutation(flat.count)) where place / share < steps {
                    drawn[place / share * batch + stream * share + place % share] = flat[Int(row)]
                }
                position = window.positions.upperBound
            }
        }
        var meter = VarianceMeter(batchSize: batch, categories: 10)
        for step in 0..<steps { meter.add(drawn[step * batch..<(step + 1) * batch].lazy.map { Int($0) }) }
        return meter.ratio()?.value ?? .nan
    }

    private func walked(_ labels: Labels, _ plan: EpochPlan, stretch: Int) -> Double {
        var meter = VarianceMeter(batchSize: batch, categories: 10, stretch: stretch)
        for places in plan.walk(batchSize: batch, dropLast: false) {
            meter.add(places.lazy.map { Int(labels.batches[$0.batch][$0.row]) })
        }
        return meter.ratio()?.value ?? .nan
    }

    private func order(_ name: String, _ plan: (Int) -> EpochPlan) -> Order {
        let rows = recordBatches * rowsOfRecordBatch
        var near = NeighbourMeter(rows: rows), epochs = EpochMeter(rows: rows)
        for epoch in 0..<self.epochs {
            for places in plan(epoch).walk(batchSize: batch, dropLast: false) {
                let numbers = places.map { $0.batch * rowsOfRecordBatch + $0.row }
                if epoch == 0 { near.add(numbers) }
                epochs.add(numbers)
            }
            epochs.endEpoch()
        }
        let found = epochs.correlations
        return Order(
            order: name, meanDistance: near.mean?.value ?? 0, medianDistance: near.median ?? 0,
            largestCorrelation: found.map(abs).max() ?? 0,
            rootMeanSquare: (found.reduce(0) { $0 + $1 * $1 } / Double(max(1, found.count))).squareRoot())
    }
}
