import Foundation
import Glibc
import Loader
import Shards
import Support
import Torch

/// Trains a model: data, loss, step, metrics, checkpoint. What is trained is a `TrainingTask`.
///
/// Killed at any moment and begun again with the same configuration, it goes on behind its last checkpoint; with the same number of threads and
/// processes it ends with the same bits. Several processes take parts of the same global batches as one would; the first of them writes the
/// run's files.
public final class Trainer {
    /// What progress is told.
    public struct Progress: Sendable {
        /// Steps done, and steps at most.
        public var step: Int
        public var steps: Int
        /// The loss of the last step.
        public var loss: Double
        /// Rows (tokens, constituents) a second since the run began.
        public var rowsPerSecond: Double
        /// The part of the time that was spent waiting for the loader.
        public var stalled: Double
        /// The lowest validation loss.
        public var best: Double?
    }

    /// How a run ended.
    public struct Outcome: Codable, Sendable {
        /// Why.
        public enum Reason: String, Codable, Sendable {
            /// All steps or epochs are done.
            case finished
            /// The validation loss did not fall for `patience` epochs.
            case patience
            /// It was asked to stop; the same command goes on.
            case interrupted
        }

        public var reason: Reason
        public var steps: Int
        public var best: Double?
        public var bestStep: Int
        /// Numbers of the model.
        public var parameters: Int
        /// Rows (tokens, constituents) a second, of all processes.
        public var rowsPerSecond: Double
        /// Parts of the time: waiting for the loader, for the sums of gradients behind a backward pass, and for other processes in all.
        public var stalled: Double
        public var reducing: Double
        public var waiting: Double
        /// Where it was trained, and the most bytes that tensors took on a GPU; nil where it is not known.
        public var device: String
        public var devicePeakBytes: Int?
    }

    private let configuration: TrainingConfiguration
    private let run: RunDirectory
    /// Of the process that writes the run's files.
    private let claim: Claim?
    private let threads: Int
    private let world: World
    private let device: Device
    private let task: any TrainingTask
    private let optimizer: Optimizer
    private let loader: Loader
    private let validation: Loader?
    private var state: TrainingState
    private var rows = 0.0
    private var stalled = 0.0
    private var elapsed = 0.0
    private let epochSteps: Int

    /// Is told of progress behind each step.
    public var progress: (Progress) -> Void = { _ in }
    /// Whether the work should stop.
    public var isInterrupted: () -> Bool = { false }
    private let remark: (String) -> Void

    /// Prepares a run, or finds out where to go on.
    /// - Parameters:
    ///   - threads: Of libtorch; the loader has one more.
    ///   - device: Where the model is, and all that is computed of it.
    ///   - world: The processes that train together.
    ///   - remark: Is told what should be known.
    /// - Throws: `ModelError`, `LoaderError`, `DatasetError` or `SafeTensorsError` for anything that does not fit, before training begins;
    ///   `ModelError` with code `occupied` if another process trains in this directory.
    public init(
        _ configuration: TrainingConfiguration, directory: String, threads: Int, on device: Device = .cpu,
        world: World = .single,
        remark: @escaping (String) -> Void = { _ in }
    ) throws {
        self.remark = remark
        self.configuration = configuration
        self.threads = threads
        self.world = world
        self.device = device
        try device.check()
        run = try RunDirectory(directory, isMade: world.isFirst)
        claim = world.isFirst ? try run.claim() : nil
        try Torch.setThreads(threads)
        try Torch.seed(configuration.seed)
        task =
            switch configuration.task {
            case .tokenizer: try TokenizerTask(configuration, on: device)
            case .pretrain: try GenerativeTask(configuration, on: device)
            case .classify: try ClassificationTask(configuration, on: device)
            }
        optimizer = try Optimizer(
            configuration.optimizer, task.parameters, frozen: configuration.freezesBackbone ? ["module."] : [])
        loader = try Self.loader(configuration.data, configuration, task.contents, world, isTraining: true)
        var judged = configuration.validation
        if judged.datasets.isEmpty {
            judged.datasets = configuration.data.datasets
            judged.weights = configuration.data.weights
        }
        // Datasets without splits are not validated.
        let hasSplit = try judged.datasets.allSatisfy { path in
            guard let name = judged.split else { return true }
            return try Dataset.readCatalogue(path).splits?.parts.contains { $0.name == name && $0.rows > 0 } ?? false
        }
        validation = hasSplit ? try Self.loader(judged, configuration, task.contents, world, isTraining: false) : nil
        epochSteps = configuration.epochSteps > 0 ? configuration.epochSteps : max(1, loader.stepsPerEpoch)
        state = TrainingState(
            loader: loader.state(epoch: 0), configuration: configuration, threads: threads, ranks: world.size,
            device: device.description)
        if validation == nil { remark("no dataset has the split \(judged.split ?? ""): nothing is validated") }
        if let checkpoint = try Checkpoint.shared(world.isFirst ? run.resumable() : nil, in: world) {
            try goOn(checkpoint)
        } else {
            for text in task.remarks { remark(text) }
            // Random numbers may depend on the processor.
            for entry in task.parameters.entries { try world.broadcast(entry.tensor.detached()) }
        }
        if world.isFirst { try run.trimMetrics(to: state.step) }
        try world.watch(task.parameters)
    }

    private static func loader(
        _ data: TrainingConfiguration.Data, _ configuration: TrainingConfiguration, _ contents: LoaderContents,
        _ world: World, isTraining: Bool
    ) throws -> Loader {
        var options = LoaderOptions()
        options.batchSize = configuration.batch
        options.seed = configuration.seed
        options.split = data.split
        options.limit = data.limit
        options.shuffle = isTraining
        options.dropLast = isTraining
        options.limitSeed = configuration.seed
        (options.rank, options.worldSize) = (world.rank.rank, world.size)
        let sources = data.datasets.enumerated().map { number, path in
            LoaderSource(path, weight: data.weights.indices.contains(number) ? data.weights[number] : 1)
        }
        do {
            return try Loader(mixture: sources, contents: contents, options: options)
        } catch let error as LoaderError where isTraining && error.code == .options {
            // Small sets for studies of data size: the batch is what there is.
            guard let limit = data.limit, limit < configuration.batch else { throw error }
            options.batchSize = limit
            return try Loader(mixture: sources, contents: contents, options: options)
        }
    }

    private func goOn(_ checkpoint: Checkpoint) throws {
        guard let before = checkpoint.description.training else {
            throw ModelError(.weights, file: run.last, message: "holds no state of training")
        }
        guard before.configuration == configuration else {
            let what = try JSONValue(encoding: before.configuration).difference(
                from: JSONValue(encoding: configuration))
            throw ModelError(
                .configuration, file: run.last,
                message: "was written by a run with another configuration"
                    + (what.map { ": \($0.path) = \($0.own), not \($0.other)" } ?? ""),
                advice: "see \(run.configuration), or choose another directory")
        }
        _ = try task.parameters.load(checkpoint.weights, file: run.last)
        try optimizer.restore(checkpoint.optimizer, steps: before.optimizerSteps)
        try loader.check(before.loader)
        state = before
        if before.threads != threads {
            remark(
                "the run had \(before.threads) threads and has \(threads) now: its numbers will differ in their last bits"
            )
            state.threads = threads
        }
        if let ranks = before.ranks, ranks != world.size {
            remark(
                "the run had \(ranks) ranks and has \(world.size) now: sums are rounded otherwise, and dropout is another one"
            )
        }
        state.ranks = world.size
        let old = before.device ?? Device.cpu.description
        if old != device.description {
            remark("the run was on \(old) and is on \(device) now: its numbers will differ in their last bits")
        }
        state.device = device.description
    }

    /// A batch on the device, and where the loader is behind it.
    private struct Fetched {
        let batch: PreparedBatch
        let loader: LoaderState
    }

    private func fetch(_ batches: BatchIterator) throws -> Fetched? {
        let waited = batches.counters.stalled
        guard let batch = try batches.next() else { return nil }
        stalled += batches.counters.stalled - waited
        return Fetched(batch: try task.prepare(batch), loader: batches.state)
    }

    /// Whether training is over when so many steps are done.
    private func isOver(_ step: Int) -> Bool {
        step >= configuration.steps || step / epochSteps >= configuration.epochs
    }

    /// Trains to the end.
    /// - Throws: `ModelError` with code `training` if a loss is not finite; `DatasetError` with code `occupied` if another process has taken
    ///   the directory over; what the loader throws.
    public func train() throws -> Outcome {
        defer { claim?.release() }
        if world.isFirst {
            try OutputFile.write(Array(CanonicalJSON.data(configuration, pretty: true)), to: run.configuration)
        }
        // A run that has ended so is not gone on with.
        if configuration.patience > 0, state.waited >= configuration.patience { return outcome(.patience) }
        let clock = ContinuousClock(), begin = clock.now
        while !isOver(state.step) {
            let batches = try loader.batches(from: state.loader)
            var next = Result { try fetch(batches) }
            while !isOver(state.step), let current = try next.get() {
                let (outcome, isStopping) = try step(current.batch) {
                    // What is wrong with the next batch is said in its turn, when this step is done and saved.
                    if !isOver(state.step + 1) { next = Result { try fetch(batches) } }
                }
                state.loader = current.loader
                rows += Double(outcome.rows)
                elapsed = (clock.now - begin) / .seconds(1)
                progress(
                    Progress(
                        step: state.step, steps: min(configuration.steps, configuration.epochs * epochSteps),
                        loss: outcome.loss,
                        rowsPerSecond: rows / max(elapsed, 1e-9), stalled: stalled / max(elapsed, 1e-9),
                        best: state.best))
                if state.step % epochSteps == 0 {
                    let isBest = try validate()
                    try save(isBest: isBest)
                    if configuration.patience > 0, state.waited >= configuration.patience {
                        return self.outcome(.patience)
                    }
                } else if configuration.checkpointSteps > 0, state.step % configuration.checkpointSteps == 0 {
                    try save(isBest: false)
                }
                if isStopping {
                    try save(isBest: false)
                    return self.outcome(.interrupted)
                }
            }
            if state.loader.step >= loader.stepsPerEpoch { state.loader = loader.state(epoch: state.loader.epoch + 1) }
        }
        if state.step % epochSteps != 0 {
            let isBest = try validate()
            try save(isBest: isBest)
        }
        return outcome(.finished)
    }

    private func outcome(_ reason: Outcome.Reason) -> Outcome {
        Outcome(
            reason: reason, steps: state.step, best: state.best, bestStep: state.bestStep,
            parameters: task.parameters.count, rowsPerSecond: rows / max(elapsed, 1e-9),
            stalled: stalled / max(elapsed, 1e-9), reducing: world.waitedForGradients / max(elapsed, 1e-9),
            waiting: world.waited / max(elapsed, 1e-9), device: device.description,
            devicePeakBytes: (try? device.peakMemory()) ?? nil)
    }

    /// - Parameter meanwhile: Is done while a GPU computes.
    /// - Returns: Also whether any process was asked to stop.
    private func step(
        _ batch: PreparedBatch, meanwhile: () -> Void
    ) throws -> (outcome: BatchOutcome, isStopping: Bool) {
        let step = TrainingStep(number: state.step, seed: configuration.seed, world: world)
        try Torch.seed(step.ownSeed)
        let learned = try task.learn(batch, step)
        try world.sumGradients()
        meanwhile()
        // Here a GPU is waited for; what it made of the loss is there then too.
        let norm = try optimizer.clip(configuration.clip > 0 ? configuration.clip : nil), own = try learned.read()
        let (outcome, isStopping) = try own.together(in: world, parts: task.partNames, isStopping: isInterrupted())
        guard outcome.loss.isFinite else {
            throw ModelError(
                .training, file: run.path, place: "step \(state.step + 1)", message: "the loss is \(outcome.loss)",
                advice: "take a smaller learning rate, or float32; the last checkpoint is \(run.last)")
        }
        try follow(outcome)
        let rate = configuration.schedule.rate(epoch: state.step / epochSteps, base: configuration.optimizer.rate)
        try Optimizer.check(norm: norm)
        try optimizer.move(rate: rate)
        state.step += 1
        if world.isFirst, state.step % configuration.logSteps == 0 || state.step == 1 {
            var line: [String: JSONValue] = [
                "step": .integer(Int64(state.step)), "loss": .number(outcome.loss), "norm": .number(norm),
                "rate": .number(rate),
                "jets": .integer(Int64(outcome.jets)), "rows": .integer(Int64(outcome.rows)),
            ]
            for (name, value) in outcome.parts { line[name] = .number(value) }
            if outcome.empty > 0 { line["empty"] = .integer(Int64(outcome.empty)) }
            try run.log(line)
        }
        return (outcome, isStopping)
    }

    /// Steps in a row with losses far above the first one, after which none comes back; single ones do.
    private static let lostSteps = 100

    /// Ends a training that has left the loss of its first step far behind.
    /// - Throws: `ModelError` with code `training`.
    private func follow(_ outcome: BatchOutcome) throws {
        let first = state.firstLoss ?? outcome.loss
        state.firstLoss = first
        let isAbove = configuration.divergence > 0 && outcome.loss > configuration.divergence * first
        state.stepsAbove = isAbove ? (state.stepsAbove ?? 0) + 1 : 0
        guard let above = state.stepsAbove, above >= Self.lostSteps else { return }
        throw ModelError(
            .training, file: run.path, place: "step \(state.step + 1)",
            message:
                "the training diverges: \(above) losses in a row are above \(configuration.divergence) times the first one; the last is "
                + "\(outcome.loss), the first was \(first)",
            advice: "take a smaller learning rate, or set divergence=0; the last checkpoint is \(run.last)")
    }

    /// - Returns: Whether the loss is the lowest so far.
    private func validate() throws -> Bool {
        guard let validation else { return false }
        var sum = BatchOutcome()
        try Torch.withoutGradients {
            let batches = try validation.batches(epoch: 0)
            // While a GPU judges a batch, the next one is made ready.
            var pending: PendingOutcome?
            while let batch = try batches.next() {
                let judged = try task.judge(task.prepare(batch))
                if let before = pending { sum.add(try before.read()) }
                pending = judged
            }
            if let last = pending { sum.add(try last.read()) }
        }
        sum = try sum.together(in: world, parts: task.partNames).outcome
        var line: [String: JSONValue] = [
            "step": .integer(Int64(state.step)), "validation": .number(sum.loss), "jets": .integer(Int64(sum.jets)),
        ]
        for (name, value) in sum.parts { line["validation_\(name)"] = .number(value) }
        if world.isFirst { try run.log(line) }
        guard sum.loss.isFinite else {
            throw ModelError(
                .training, file: run.path, place: "step \(state.step)", message: "the validation loss is \(sum.loss)")
        }
        guard state.best.map({ sum.loss < $0 }) ?? true else {
            state.waited += 1
            return false
        }
        (state.best, state.bestStep, state.waited) = (sum.loss, state.step, 0)
        return true
    }

    /// Writes a checkpoint, once all processes have come here with the same weights.
    private func save(isBest: Bool) throws {
        try world.checkEqual(task.parameters)
        guard world.isFirst else { return try world.meet() }
        var description = try task.description()
        let (tensors, steps) = optimizer.saved()
        state.optimizerSteps = steps
        description.training = state
        var checkpoint = Checkpoint(description, weights: task.parameters.named)
        checkpoint.optimizer = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.tensor) })
        // Whoever was thought dead must not put its checkpoint over that of its successor.
        try claim?.check()
        try run.save(checkpoint, isBest: isBest)
        try world.meet()
    }
}
