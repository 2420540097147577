import Loader
import Torch

/// What differs between trainings: a model, what its batches hold, and how a loss comes from them.
protocol TrainingTask {
    var parameters: Parameters { get }
    /// What should be known before training begins.
    var remarks: [String] { get }
    /// What the loader is asked for.
    var contents: LoaderContents { get }
    /// What a checkpoint says of the model.
    func description() throws -> CheckpointDescription
    /// The parts that the loss of a batch has.
    var partNames: [String] { get }
    /// Adds the gradients of this process's part of a batch, divided by what all processes have.
    func learn(_ batch: Batch, _ step: TrainingStep) throws -> BatchOutcome
    /// The loss of a batch, without gradients.
    func judge(_ batch: Batch) throws -> BatchOutcome
}

/// What a batch gave.
struct BatchOutcome {
    /// The mean loss over `weight` positions or jets.
    var loss = 0.0
    var weight = 0.0
    /// Parts of the loss, and other numbers worth a line, as means too.
    var parts: [String: Double] = [:]
    /// Jets that were used, and their rows.
    var jets = 0
    var rows = 0
    /// Jets that were passed over, as they have no rows.
    var empty = 0

    /// Takes in another part of the batch.
    mutating func add(_ other: BatchOutcome) {
        empty += other.empty
        let all = weight + other.weight
        guard all > 0 else { return }
        func mean(_ a: Double, _ b: Double) -> Double { (a * weight + b * other.weight) / all }
        loss = mean(loss, other.loss)
        for (name, value) in other.parts { parts[name] = mean(parts[name] ?? 0, value) }
        weight = all
        jets += other.jets
        rows += other.rows
    }
}

/// Jets of a batch, some at a time, without empty ones.
struct BatchParts {
    /// Where each jet's rows begin and end.
    let ranges: [Range<Int>]
    /// Which of these belong together.
    let parts: [Range<Int>]
    /// Jets without rows.
    let empty: Int

    init(offsets: UnsafeBufferPointer<Int32>, size: Int) {
        let all = zip(offsets, offsets.dropFirst()).map { Int($0)..<Int($1) }
        let ranges = all.filter { !$0.isEmpty }
        self.ranges = ranges
        empty = all.count - ranges.count
        parts = stride(from: 0, to: ranges.count, by: max(1, size)).map { $0..<min(ranges.count, $0 + size) }
    }

    /// Rows of all jets.
    var rows: Int { ranges.reduce(0) { $0 + $1.count } }
}
