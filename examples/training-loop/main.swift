// A training loop over a dataset: a linear classifier that tells jets of two soft-drop mass ranges apart, trained with plain
// gradient descent on standardised features. It shows what a loop with a real model does: batches of padded features with a
// mask, several epochs, a checkpoint that holds the loader's state, and going on from it.
//
//   swift run -c release training-loop DATASET [--steps N] [--checkpoint FILE] [--threads N]
import Foundation
import Loader

let arguments = Array(CommandLine.arguments.dropFirst())
let names = arguments.indices.filter { arguments[$0].hasPrefix("--") }
let values = Dictionary(uniqueKeysWithValues: names.map { (arguments[$0], arguments.dropFirst($0 + 1).first ?? "") })
guard let dataset = arguments.first, !dataset.hasPrefix("--") else {
    print("usage: training-loop DATASET [--steps N] [--checkpoint FILE] [--threads N]")
    exit(64)
}
let maximum = values["--steps"].flatMap { Int($0) } ?? Int.max
let file = values["--checkpoint"].map { URL(fileURLWithPath: $0) }

var options = LoaderOptions()
options.batchSize = 128
options.threads = values["--threads"].flatMap { Int($0) } ?? 2
options.seed = 1
let contents = LoaderContents(columns: ["jet_msoftdrop"], features: .released)
let loader = try Loader(dataset: dataset, contents: contents, options: options)
print("\(loader.jetCount) jets, \(loader.stepsPerEpoch) steps an epoch, at most \(loader.memoryBound >> 20) MiB")

/// Tells jets with a soft-drop mass above 60 GeV from the others, by mean and mean square of each feature over a jet's
/// constituents, their number, and a constant.
struct Classifier: Codable {
    var weights = [Float](repeating: 0, count: 8)

    /// One step of gradient descent on a batch; returns the loss a jet.
    mutating func train(_ batch: Batch) -> Float {
        let features = batch.features, mask = batch.mask, masses = batch.floats("jet_msoftdrop")
        let length = batch.rows > 0 ? mask.count / batch.rows : 0
        var gradient = weights.map { _ in Float(0) }, loss: Float = 0
        for row in 0..<batch.rows {
            var x = weights.map { _ in Float(0) }, count: Float = 0
            for slot in row * length..<(row + 1) * length where mask[slot] == 1 {
                count += 1
                for feature in 0..<3 {
                    let value = features[slot * 3 + feature]
                    x[feature] += value
                    x[feature + 3] += value * value
                }
            }
            for index in 0..<6 { x[index] /= max(1, count) }
            x[6] = count / 50 - 1
            x[7] = 1
            let target: Float = (masses?[row] ?? 0) > 60 ? 1 : 0
            let score = zip(x, weights).reduce(0) { $0 + $1.0 * $1.1 }, chance = 1 / (1 + exp(-score))
            loss -= log(max(1e-7, target == 1 ? chance : 1 - chance))
            for index in x.indices { gradient[index] += (chance - target) * x[index] }
        }
        for index in weights.indices { weights[index] -= 0.5 * gradient[index] / Float(max(1, batch.rows)) }
        return loss / Float(max(1, batch.rows))
    }
}

/// All that going on needs.
struct Checkpoint: Codable {
    var model = Classifier()
    var loader: LoaderState

    /// Written whole under another name, then renamed: a kill leaves the old one or the new one.
    func save(to file: URL?) throws {
        if let file { try JSONEncoder().encode(self).write(to: file, options: .atomic) }
    }
}

var checkpoint = Checkpoint(loader: loader.state(epoch: 0))
if let file, let data = try? Data(contentsOf: file) {
    checkpoint = try JSONDecoder().decode(Checkpoint.self, from: data)
    print("going on at epoch \(checkpoint.loader.epoch), step \(checkpoint.loader.step)")
}
var done = 0
while done < maximum, checkpoint.loader.epoch < 3 {
    let batches = try loader.batches(from: checkpoint.loader)
    var sum: Float = 0, steps: Float = 0
    while done < maximum, let batch = try batches.next() {
        sum += checkpoint.model.train(batch)
        steps += 1
        done += 1
        checkpoint.loader = batches.state
        if done % 5 == 0 { try checkpoint.save(to: file) }
    }
    print(
        "epoch \(checkpoint.loader.epoch): loss \(sum / max(1, steps)), waited \(batches.counters.stalled) s for jets")
    if batches.state.step == loader.stepsPerEpoch { checkpoint.loader = loader.state(epoch: batches.state.epoch + 1) }
    try checkpoint.save(to: file)
}
print("weights \(checkpoint.model.weights)")
