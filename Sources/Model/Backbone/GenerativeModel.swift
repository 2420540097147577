import Torch

/// A backbone that tells the next token.
public final class GenerativeModel {
    /// Its parameters by PyTorch's names, as in the original's checkpoints.
    public let parameters: Parameters
    /// The backbone.
    public let backbone: Backbone
    let head: Linear

    /// A model with random weights of libtorch's generator.
    /// - Throws: `ModelError` with code `configuration`.
    public init(_ configuration: BackboneConfiguration, on device: Device = .cpu) throws {
        parameters = Parameters(on: device)
        backbone = try Backbone(configuration, parameters)
        head = try Linear(parameters, "head.fc1", configuration.width, configuration.vocabulary)
    }

    /// Its shape.
    public var configuration: BackboneConfiguration { backbone.configuration }

    /// Logits [rows, vocabulary] of what follows each of the packed tokens.
    public func logits(_ tokens: Tensor, _ jagged: Jagged, visible: [Int]? = nil) throws -> Tensor {
        try head(backbone.embeddings(tokens, jagged, visible: visible))
    }

    /// The mean of -log p(next token), over real positions, or as the original has it over all `length` positions of each jet, where padded
    /// ones have input and target 0.
    public func loss(_ batch: TokenBatch, positions: LossPositions = .real, dropout: Double = 0) throws -> Tensor {
        switch positions {
        case .real:
            let rows = batch.jagged.rows
            guard rows > 0 else { throw ModelError(.input, message: "a batch without tokens has no loss") }
            return try crossEntropy(
                backbone.embeddings(batch.inputs, batch.jagged, dropout: dropout, bounds: batch.bounds), batch,
                weight: 1 / Double(rows))
        case .released, .firstPublic:
            let length = configuration.length, jets = batch.jagged.jets
            guard jets > 0 else { throw ModelError(.input, message: "a batch without jets has no loss") }
            let all = TokenBatch(
                inputs: try padded(batch.inputs, batch.jagged), targets: try padded(batch.targets, batch.jagged),
                jagged: Jagged(lengths: Array(repeating: length, count: jets)), bounds: batch.bounds)
            let embeddings = try backbone.embeddings(
                all.inputs, all.jagged, visible: batch.jagged.lengths, isPaddingUniform: positions == .firstPublic,
                dropout: dropout, bounds: all.bounds)
            return try crossEntropy(embeddings, all, weight: 1 / Double(all.jagged.rows))
        }
    }

    /// The sum over the batch of `weight` · -log p(next token), for batches in parts: divide by the tokens of all parts.
    public func weightedLoss(_ batch: TokenBatch, weight: Double, dropout: Double = 0) throws -> Tensor {
        try crossEntropy(
            backbone.embeddings(batch.inputs, batch.jagged, dropout: dropout, bounds: batch.bounds), batch,
            weight: weight)
    }

    private func crossEntropy(_ embeddings: Tensor, _ batch: TokenBatch, weight: Double) throws -> Tensor {
        guard let bias = head.bias else { throw ModelError(.configuration, message: "the head has no bias") }
        let device = parameters.device, known = 0..<Int64(configuration.vocabulary)
        let isChecked = batch.bounds.map { known.contains($0.lowerBound) && known.contains($0.upperBound) } ?? false
        return try embeddings.linearCrossEntropy(
            head.weight, bias, targets: batch.targets.to(device),
            rowWeights: Tensor.full([batch.jagged.rows], weight, on: device), isChecked: isChecked)
    }

    private func padded(_ tokens: Tensor, _ jagged: Jagged) throws -> Tensor {
        let values = try tokens.integers(), length = configuration.length
        guard jagged.lengths.allSatisfy({ $0 <= length }) else {
            throw ModelError(.input, message: "a jet has more than \(length) positions")
        }
        return try Tensor.of(
            (0..<jagged.jets).flatMap { jet in
                let own = values[jagged.offsets[jet]..<jagged.offsets[jet + 1]]
                return own + Array(repeating: 0, count: length - own.count)
            }, on: parameters.device)
    }
}
