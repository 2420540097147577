import Loader
import Torch

/// Tokens of a batch's jets, from the column of codes.
struct TokenRows {
    static let column = "code"

    /// The sequence of each jet: start, codes + 1, stop. Jets without codes are left out.
    /// - Returns: Also which jets these are.
    static func sequences(_ batch: Batch, stop: Int) throws -> (sequences: [[Int64]], jets: [Int]) {
        guard let bytes = batch.bytes(of: column), let type = batch.elementType(of: column) else {
            throw ModelError(
                .input, place: "column \(column)", message: "is not there",
                advice: "make a dataset of tokens with 'omnijet tokenize'")
        }
        var sequences: [[Int64]] = [], jets: [Int] = []
        for (jet, pair) in zip(batch.offsets, batch.offsets.dropFirst()).enumerated() where pair.1 > pair.0 {
            let codes = (Int(pair.0)..<Int(pair.1)).map { place -> Int64 in
                switch type {
                case .uint16: Int64(bytes.load(fromByteOffset: 2 * place, as: UInt16.self))
                default: Int64(bytes.load(fromByteOffset: 4 * place, as: Int32.self))
                }
            }
            if let wrong = codes.first(where: { $0 < 0 || $0 + 1 >= Int64(stop) }) {
                throw ModelError(
                    .input, place: "column \(column)", message: "holds code \(wrong), expected 0 to \(stop - 2)",
                    advice: "was it made by a tokenizer with more codes?")
            }
            sequences.append([0] + codes.map { $0 + 1 } + [Int64(stop)])
            jets.append(jet)
        }
        return (sequences, jets)
    }
}

/// Trains a backbone to tell the next token.
struct GenerativeTask: TrainingTask {
    private let model: GenerativeModel
    private let configuration: TrainingConfiguration
    private let tokens: TokenOrigin

    init(_ configuration: TrainingConfiguration, on device: Device) throws {
        self.configuration = configuration
        model = try GenerativeModel(configuration.backbone, on: device)
        tokens = try TokenOrigin(configuration)
        var remarks = tokens.remarks
        if !configuration.from.isEmpty {
            let checkpoint = try Checkpoint(path: configuration.from)
            try tokens.check(checkpoint, configuration.from)
            let report = try model.parameters.load(checkpoint.weights, file: configuration.from)
            remarks.append("\(configuration.from): \(report)")
        }
        self.remarks = remarks
    }

    let remarks: [String]
    let partNames: [String] = []
    var parameters: Parameters { model.parameters }
    var contents: LoaderContents { LoaderContents(columns: [TokenRows.column]) }

    func description() throws -> CheckpointDescription {
        var description = CheckpointDescription(.generative)
        description.backbone = configuration.backbone
        description.tokenizerFingerprint = tokens.fingerprint
        return description
    }

    func prepare(_ batch: Batch) throws -> PreparedBatch {
        let all = try TokenRows.sequences(batch, stop: configuration.backbone.stop).sequences
        var prepared = PreparedBatch(empty: batch.rows - all.count)
        for start in stride(from: 0, to: all.count, by: configuration.part) {
            let part = try TokenBatch(
                sequences: Array(all[start..<min(all.count, start + configuration.part)]),
                length: configuration.backbone.length, on: parameters.device)
            prepared.parts.append(
                .init(inputs: part.inputs, targets: part.targets, jagged: part.jagged, bounds: part.bounds))
        }
        return prepared
    }

    /// What a part counts for.
    private func weight(_ part: PreparedBatch.Part) -> Double {
        Double(configuration.positions.countsPadding ? part.jagged.jets : part.jagged.rows)
    }

    private func loss(_ part: PreparedBatch.Part, dropout: Double = 0) throws -> Tensor {
        let tokens = TokenBatch(
            inputs: part.inputs, targets: part.targets ?? part.inputs, jagged: part.jagged, bounds: part.bounds)
        return try model.loss(tokens, positions: configuration.positions, dropout: dropout)
    }

    func learn(_ batch: PreparedBatch, _ step: TrainingStep) throws -> PendingOutcome {
        let all = try step.world.sum([batch.parts.reduce(0) { $0 + weight($1) }])[0]
        var sum = PendingOutcome(empty: batch.empty)
        for (number, part) in batch.parts.enumerated() {
            let loss = try Torch.autocast(configuration.precision == .bfloat16, on: parameters.device) {
                try self.loss(part, dropout: configuration.backbone.dropout)
            }
            if number == batch.parts.count - 1 { try step.world.beginLastPass() }
            try loss.affine(weight(part) / all).backward()
            try sum.add(loss: loss, weight: weight(part), part.jagged)
        }
        return sum
    }

    func judge(_ batch: PreparedBatch) throws -> PendingOutcome {
        var sum = PendingOutcome(empty: batch.empty)
        for part in batch.parts { try sum.add(loss: try loss(part), weight: weight(part), part.jagged) }
        return sum
    }
}

/// Trains a classifier on tokens.
struct ClassificationTask: TrainingTask {
    private let model: Classifier
    private let configuration: TrainingConfiguration
    private let tokens: TokenOrigin

    init(_ configuration: TrainingConfiguration, on device: Device) throws {
        self.configuration = configuration
        model = try Classifier(
            configuration.backbone, head: configuration.head, classes: configuration.classes, on: device)
        tokens = try TokenOrigin(configuration)
        guard !configuration.from.isEmpty else {
            remarks = tokens.remarks
            return
        }
        let checkpoint = try Checkpoint(path: configuration.from)
        try tokens.check(checkpoint, configuration.from)
        let report = try model.parameters.load(checkpoint.weights, isStrict: false, file: configuration.from)
        // The backbone must be all there; a head of another kind begins anew.
        if let lost = report.missing.first(where: { $0.hasPrefix("module.") }) {
            throw ModelError(
                .weights, file: configuration.from, place: lost, message: "is missing: it has not the whole backbone")
        }
        remarks = tokens.remarks + ["\(configuration.from): \(report)"]
    }

    let remarks: [String]
    let partNames = ["accuracy"]

    var parameters: Parameters { model.parameters }
    var contents: LoaderContents { LoaderContents(columns: [TokenRows.column, configuration.label]) }

    func description() throws -> CheckpointDescription {
        var description = CheckpointDescription(.classifier)
        description.backbone = configuration.backbone
        description.head = configuration.head
        description.classes = configuration.classes
        description.tokenizerFingerprint = tokens.fingerprint
        return description
    }

    func prepare(_ batch: Batch) throws -> PreparedBatch {
        let (all, jets) = try TokenRows.sequences(batch, stop: configuration.backbone.stop)
        let labels = try labels(batch, jets), length = configuration.backbone.length, device = parameters.device
        var prepared = PreparedBatch(empty: batch.rows - all.count)
        for start in stride(from: 0, to: all.count, by: configuration.part) {
            let part = start..<min(all.count, start + configuration.part)
            let sequences = all[part].map { Array($0.prefix(length)) }
            prepared.parts.append(
                .init(
                    inputs: try Tensor.of(sequences.flatMap { $0 }, on: device),
                    targets: try Tensor.of(Array(labels[part]), on: device),
                    jagged: Jagged(lengths: sequences.map(\.count)), bounds: TokenBatch.bounds(sequences)))
        }
        return prepared
    }

    /// - Parameter step: The step that learns from it; nil if none does.
    private func run(_ batch: PreparedBatch, _ step: TrainingStep?) throws -> PendingOutcome {
        let learns = step != nil, count = try step?.world.sum([Double(batch.jets)])[0] ?? 0
        var sum = PendingOutcome(empty: batch.empty)
        for (number, part) in batch.parts.enumerated() {
            guard let targets = part.targets else { continue }
            let logits = try Torch.autocast(learns && configuration.precision == .bfloat16, on: parameters.device) {
                try model.logits(
                    part.inputs, part.jagged, dropout: learns ? configuration.backbone.dropout : 0, bounds: part.bounds)
            }.to(.float32)
            let loss = try logits.crossEntropy(targets), jets = Double(part.jagged.jets)
            if let step {
                if number == batch.parts.count - 1 { try step.world.beginLastPass() }
                try loss.affine(jets / count).backward()
            }
            try sum.add(
                loss: loss, weight: jets, part.jagged,
                shares: [("accuracy", try logits.detached().hits(targets), 1 / jets)])
        }
        return sum
    }

    private func labels(_ batch: Batch, _ jets: [Int]) throws -> [Int64] {
        let name = configuration.label
        let own = configuration.labels.isEmpty ? Array(0..<configuration.classes) : configuration.labels
        let classes = Dictionary(uniqueKeysWithValues: zip(own.map { Int64($0) }, (0...).lazy.map { Int64($0) }))
        guard let bytes = batch.bytes(of: name), let type = batch.elementType(of: name) else {
            throw ModelError(.input, place: "column \(name)", message: "is not there")
        }
        return try jets.map { jet in
            let label: Int64
            switch type {
            case .int8: label = Int64(bytes.load(fromByteOffset: jet, as: Int8.self))
            case .uint8: label = Int64(bytes.load(fromByteOffset: jet, as: UInt8.self))
            case .int32: label = Int64(bytes.load(fromByteOffset: 4 * jet, as: Int32.self))
            case .int64: label = bytes.load(fromByteOffset: 8 * jet, as: Int64.self)
            default:
                throw ModelError(.input, place: "column \(name)", message: "holds \(type.rawValue), expected integers")
            }
            guard let number = classes[label] else {
                throw ModelError(
                    .input, place: "column \(name)",
                    message:
                        "holds \(label), expected one of \(classes.keys.sorted().map(String.init).joined(separator: ", "))",
                    advice: "choose jets by labels and classes, or by another dataset")
            }
            return number
        }
    }

    func learn(_ batch: PreparedBatch, _ step: TrainingStep) throws -> PendingOutcome { try run(batch, step) }
    func judge(_ batch: PreparedBatch) throws -> PendingOutcome { try run(batch, nil) }
}
