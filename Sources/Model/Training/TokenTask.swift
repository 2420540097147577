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

    init(_ configuration: TrainingConfiguration) throws {
        self.configuration = configuration
        model = try GenerativeModel(configuration.backbone)
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

    private func parts(_ batch: Batch) throws -> (parts: [TokenBatch], empty: Int) {
        let all = try TokenRows.sequences(batch, stop: configuration.backbone.stop).sequences
        let parts = try stride(from: 0, to: all.count, by: configuration.part).map {
            try TokenBatch(
                sequences: Array(all[$0..<min(all.count, $0 + configuration.part)]),
                length: configuration.backbone.length)
        }
        return (parts, batch.rows - all.count)
    }

    func learn(_ batch: Batch, _ step: TrainingStep) throws -> BatchOutcome {
        let (parts, empty) = try parts(batch)
        let countsPadding = configuration.positions.countsPadding
        let own = parts.reduce(0) { $0 + (countsPadding ? $1.jagged.jets : $1.jagged.rows) }
        let all = try step.world.sum([Double(own)])[0]
        var sum = BatchOutcome()
        sum.empty = empty
        for (number, part) in parts.enumerated() {
            let weight = Double(countsPadding ? part.jagged.jets : part.jagged.rows)
            let loss = try Torch.autocast(configuration.precision == .bfloat16) {
                try model.loss(part, positions: configuration.positions, dropout: configuration.backbone.dropout)
            }
            if number == parts.count - 1 { try step.world.beginLastPass() }
            try loss.affine(weight / all).backward()
            sum.add(
                BatchOutcome(loss: try loss.item(), weight: weight, jets: part.jagged.jets, rows: part.jagged.rows))
        }
        return sum
    }

    func judge(_ batch: Batch) throws -> BatchOutcome {
        let (parts, empty) = try parts(batch)
        var sum = BatchOutcome()
        sum.empty = empty
        for part in parts {
            let loss = try model.loss(part, positions: configuration.positions)
            let weight = configuration.positions.countsPadding ? part.jagged.jets : part.jagged.rows
            sum.add(
                BatchOutcome(
                    loss: try loss.item(), weight: Double(weight), jets: part.jagged.jets, rows: part.jagged.rows))
        }
        return sum
    }
}

/// Trains a classifier on tokens.
struct ClassificationTask: TrainingTask {
    private let model: Classifier
    private let configuration: TrainingConfiguration
    private let tokens: TokenOrigin

    init(_ configuration: TrainingConfiguration) throws {
        self.configuration = configuration
        model = try Classifier(configuration.backbone, head: configuration.head, classes: configuration.classes)
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

    /// - Parameter step: The step that learns from it; nil if none does.
    private func run(_ batch: Batch, _ step: TrainingStep?) throws -> BatchOutcome {
        let learns = step != nil
        let (all, jets) = try TokenRows.sequences(batch, stop: configuration.backbone.stop)
        let labels = try labels(batch, jets), length = configuration.backbone.length
        let count = try step?.world.sum([Double(all.count)])[0] ?? 0
        var sum = BatchOutcome()
        sum.empty = batch.rows - all.count
        for start in stride(from: 0, to: all.count, by: configuration.part) {
            let part = start..<min(all.count, start + configuration.part)
            let sequences = all[part].map { $0.prefix(length) }
            let jagged = Jagged(lengths: sequences.map(\.count)), own = Array(labels[part])
            let tokens = try Tensor.of(sequences.flatMap { $0 }), targets = try Tensor.of(own)
            let logits = try Torch.autocast(learns && configuration.precision == .bfloat16) {
                try model.logits(tokens, jagged, dropout: learns ? configuration.backbone.dropout : 0)
            }.to(.float32)
            let loss = try logits.crossEntropy(targets)
            if let step {
                if part.upperBound == all.count { try step.world.beginLastPass() }
                try loss.affine(Double(part.count) / count).backward()
            }
            let values = try logits.floats(), classes = configuration.classes
            let right = own.indices.count { jet in
                let line = values[jet * classes..<(jet + 1) * classes]
                return line.indices.max { line[$0] < line[$1] }.map { Int64($0 - line.startIndex) } == own[jet]
            }
            sum.add(
                BatchOutcome(
                    loss: try loss.item(), weight: Double(part.count),
                    parts: ["accuracy": Double(right) / Double(part.count)], jets: part.count, rows: jagged.rows))
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

    func learn(_ batch: Batch, _ step: TrainingStep) throws -> BatchOutcome { try run(batch, step) }
    func judge(_ batch: Batch) throws -> BatchOutcome { try run(batch, nil) }
}
