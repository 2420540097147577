import Loader
import Torch

/// A batch as a task takes it: on the device, in parts that are computed at once. On a GPU it is made while the step before it is computed.
struct PreparedBatch {
    /// Jets that are computed at once.
    struct Part {
        /// Tokens int64 [rows], or features [rows, width].
        let inputs: Tensor
        /// Tokens int64 [rows], or classes int64 [jets]; nil where inputs are what is asked for.
        var targets: Tensor?
        let jagged: Jagged
        /// The least and the largest token.
        var bounds: ClosedRange<Int64>?
    }

    var parts: [Part] = []
    /// Jets that are passed over, as they have no rows.
    var empty = 0

    /// Jets that are used.
    var jets: Int { parts.reduce(0) { $0 + $1.jagged.jets } }
    /// Their rows.
    var rows: Int { parts.reduce(0) { $0 + $1.jagged.rows } }
}

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
    /// Copies what it needs of a batch to the device.
    func prepare(_ batch: Batch) throws -> PreparedBatch
    /// Adds the gradients of this process's part of a batch, divided by what all processes have.
    func learn(_ batch: PreparedBatch, _ step: TrainingStep) throws -> PendingOutcome
    /// The loss of a batch, without gradients.
    func judge(_ batch: PreparedBatch) throws -> PendingOutcome
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

/// What the parts of a batch gave, as numbers on the device: reading one waits for all that the device was given, so they are read at once.
struct PendingOutcome {
    private var parts: [(outcome: BatchOutcome, names: [String], scales: [Double])] = []
    private var numbers: [Tensor] = []
    private let empty: Int

    /// Nothing yet, of a batch where so many jets were passed over.
    init(empty: Int) { self.empty = empty }

    /// Takes in a part of the batch.
    /// - Parameter shares: Parts of the loss and other numbers by name, each times its scale.
    mutating func add(
        loss: Tensor, weight: Double, _ jagged: Jagged, shares: [(name: String, value: Tensor, scale: Double)] = []
    ) throws {
        let outcome = BatchOutcome(weight: weight, jets: jagged.jets, rows: jagged.rows)
        parts.append((outcome, shares.map(\.name), shares.map(\.scale)))
        for number in [loss] + shares.map(\.value) { numbers.append(try number.detached().reshape([1])) }
    }

    /// Waits for the device.
    func read() throws -> BatchOutcome {
        var sum = BatchOutcome(empty: empty)
        guard !numbers.isEmpty else { return sum }
        var values = try Tensor.cat(numbers).doubles()[...]
        for (outcome, names, scales) in parts {
            var outcome = outcome
            outcome.loss = values.removeFirst()
            for (name, scale) in zip(names, scales) { outcome.parts[name] = values.removeFirst() * scale }
            sum.add(outcome)
        }
        return sum
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
