import Loader
import Shards
import Torch

/// Trains a tokenizer on features of constituents.
struct TokenizerTask: TrainingTask {
    private let tokenizer: Tokenizer
    private let configuration: TrainingConfiguration

    init(_ configuration: TrainingConfiguration, on device: Device) throws {
        self.configuration = configuration
        guard configuration.features.features.count == configuration.tokenizer.inputs else {
            throw ModelError(
                .configuration, place: "tokenizer.inputs",
                message:
                    "are \(configuration.tokenizer.inputs), but there are \(configuration.features.features.count) features"
            )
        }
        tokenizer = try Tokenizer(configuration.tokenizer, on: device)
        var remarks: [String] = []
        if !configuration.from.isEmpty {
            let report = try tokenizer.parameters.load(
                Checkpoint(path: configuration.from).weights, file: configuration.from)
            remarks.append("\(configuration.from): \(report)")
        }
        if configuration.data.emptyJets == .refuse {
            for path in configuration.data.datasets + configuration.validation.datasets {
                guard let empty = try Dataset.readCatalogue(path).emptyJets, empty > 0 else { continue }
                throw ModelError(
                    .input, file: path, message: "holds \(empty) jets without constituents",
                    advice: "set data.emptyJets=skip to pass over them")
            }
        }
        self.remarks = remarks
    }

    var parameters: Parameters { tokenizer.parameters }
    let remarks: [String]
    let partNames = ["reconstruction", "codebook"]

    var contents: LoaderContents {
        var contents = LoaderContents(columns: [], features: configuration.features)
        contents.isJagged = true
        return contents
    }

    func description() throws -> CheckpointDescription {
        var description = CheckpointDescription(.tokenizer)
        description.tokenizer = configuration.tokenizer
        description.features = configuration.features
        return description
    }

    func prepare(_ batch: Batch) throws -> PreparedBatch {
        let parts = BatchParts(offsets: batch.featureOffsets, size: configuration.part)
        let width = configuration.tokenizer.inputs
        var prepared = PreparedBatch(empty: parts.empty)
        for part in parts.parts {
            let ranges = parts.ranges[part], jagged = Jagged(lengths: ranges.map(\.count))
            // Jets without constituents have no rows, so those of the others lie together.
            let first = ranges.first?.lowerBound ?? 0
            let values = UnsafeRawBufferPointer(
                UnsafeBufferPointer(rebasing: batch.features[first * width..<(first + jagged.rows) * width]))
            let x = try Tensor.copy(values, [jagged.rows, width], .float32, on: parameters.device)
            prepared.parts.append(.init(inputs: x, jagged: jagged))
        }
        return prepared
    }

    /// What a part counts for.
    private func weight(_ part: PreparedBatch.Part) -> Double {
        Double(configuration.positions.countsPadding ? part.jagged.jets : part.jagged.rows)
    }

    private func loss(_ part: PreparedBatch.Part, dropout: Double = 0) throws -> TokenizerLoss {
        try tokenizer.loss(
            part.inputs, part.jagged, positions: configuration.positions, padLength: configuration.features.padLength,
            dropout: dropout)
    }

    private func add(_ loss: TokenizerLoss, _ part: PreparedBatch.Part, to sum: inout PendingOutcome) throws {
        try sum.add(
            loss: loss.total, weight: weight(part), part.jagged,
            shares: [("reconstruction", loss.reconstruction, 1), ("codebook", loss.codebook, 1)])
    }

    func learn(_ batch: PreparedBatch, _ step: TrainingStep) throws -> PendingOutcome {
        let all = try step.world.sum([batch.parts.reduce(0) { $0 + weight($1) }])[0], device = parameters.device
        var sum = PendingOutcome(empty: batch.empty), latents: [Tensor] = [], codes: [Tensor] = []
        for (number, part) in batch.parts.enumerated() {
            let loss = try Torch.autocast(configuration.precision == .bfloat16, on: device) {
                try self.loss(part, dropout: configuration.tokenizer.dropout)
            }
            if number == batch.parts.count - 1 { try step.world.beginLastPass() }
            try loss.total.affine(weight(part) / all).backward()
            try add(loss, part, to: &sum)
            // One type in all processes, also in those whose part is empty.
            latents.append(try loss.latents.detached().to(.float32))
            codes.append(loss.index)
        }
        // Before what all do for the codebook, which comes behind the gradients of those that have sent some.
        try step.world.sendGradients()
        guard all > 0 else { return sum }
        if latents.isEmpty {
            latents = [try Tensor.zeros([0, configuration.tokenizer.latent], on: device)]
            codes = [try Tensor.zeros([0], .int64, on: device)]
        }
        try Torch.seed(step.commonSeed)
        try tokenizer.keepUp(
            latents: Tensor.cat(latents), codes: Tensor.cat(codes),
            Jagged(lengths: batch.parts.flatMap(\.jagged.lengths)), positions: configuration.positions,
            padLength: configuration.features.padLength, world: step.world)
        return sum
    }

    func judge(_ batch: PreparedBatch) throws -> PendingOutcome {
        var sum = PendingOutcome(empty: batch.empty)
        for part in batch.parts { try add(try loss(part), part, to: &sum) }
        return sum
    }
}
