import Loader
import Shards
import Torch

/// Trains a tokenizer on features of constituents.
struct TokenizerTask: TrainingTask {
    private let tokenizer: Tokenizer
    private let configuration: TrainingConfiguration

    init(_ configuration: TrainingConfiguration) throws {
        self.configuration = configuration
        guard configuration.features.features.count == configuration.tokenizer.inputs else {
            throw ModelError(
                .configuration, place: "tokenizer.inputs",
                message:
                    "are \(configuration.tokenizer.inputs), but there are \(configuration.features.features.count) features"
            )
        }
        tokenizer = try Tokenizer(configuration.tokenizer)
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

    private func inputs(_ batch: Batch, _ ranges: ArraySlice<Range<Int>>) throws -> (x: Tensor, jagged: Jagged) {
        let width = configuration.tokenizer.inputs
        let jagged = Jagged(lengths: ranges.map(\.count))
        // Jets without constituents have no rows, so those of the others lie together.
        let first = ranges.first?.lowerBound ?? 0
        let values = UnsafeRawBufferPointer(
            UnsafeBufferPointer(rebasing: batch.features[first * width..<(first + jagged.rows) * width]))
        return (try Tensor.copy(values, [jagged.rows, width], .float32), jagged)
    }

    private func outcome(_ loss: TokenizerLoss, _ jagged: Jagged, weight: Double) throws -> BatchOutcome {
        BatchOutcome(
            loss: try loss.total.item(), weight: weight,
            parts: ["reconstruction": try loss.reconstruction.item(), "codebook": try loss.codebook.item()],
            jets: jagged.jets, rows: jagged.rows)
    }

    func learn(_ batch: Batch, _ step: TrainingStep) throws -> BatchOutcome {
        let parts = BatchParts(offsets: batch.featureOffsets, size: configuration.part)
        let countsPadding = configuration.positions.countsPadding
        let all = try step.world.sum([Double(countsPadding ? parts.ranges.count : parts.rows)])[0]
        var sum = BatchOutcome(), latents: [Tensor] = [], codes: [Tensor] = []
        sum.empty = parts.empty
        for part in parts.parts {
            let (x, jagged) = try inputs(batch, parts.ranges[part])
            let loss = try Torch.autocast(configuration.precision == .bfloat16) {
                try tokenizer.loss(
                    x, jagged, positions: configuration.positions, padLength: configuration.features.padLength,
                    dropout: configuration.tokenizer.dropout)
            }
            let weight = Double(countsPadding ? jagged.jets : jagged.rows)
            if part.upperBound == parts.ranges.count { try step.world.beginLastPass() }
            try loss.total.affine(weight / all).backward()
            sum.add(try outcome(loss, jagged, weight: weight))
            latents.append(try loss.latents.detached())
            codes.append(loss.index)
        }
        guard all > 0 else { return sum }
        if latents.isEmpty {
            latents = [try Tensor.zeros([0, configuration.tokenizer.latent])]
            codes = [try Tensor.zeros([0], .int64)]
        }
        try Torch.seed(step.commonSeed)
        try tokenizer.keepUp(
            latents: Tensor.cat(latents), codes: Tensor.cat(codes), Jagged(lengths: parts.ranges.map(\.count)),
            positions: configuration.positions, padLength: configuration.features.padLength, world: step.world)
        return sum
    }

    func judge(_ batch: Batch) throws -> BatchOutcome {
        let parts = BatchParts(offsets: batch.featureOffsets, size: configuration.part)
        var sum = BatchOutcome()
        sum.empty = parts.empty
        for part in parts.parts {
            let (x, jagged) = try inputs(batch, parts.ranges[part])
            let loss = try tokenizer.loss(
                x, jagged, positions: configuration.positions, padLength: configuration.features.padLength)
            sum.add(
                try outcome(
                    loss, jagged, weight: Double(configuration.positions.countsPadding ? jagged.jets : jagged.rows)))
        }
        return sum
    }
}
