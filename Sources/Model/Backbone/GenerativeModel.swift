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
    public init(_ configuration: BackboneConfiguration) throws {
        parameters = Parameters()
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
                backbone.embeddings(batch.inputs, batch.jagged, dropout: dropout), batch.targets,
                weight: 1 / Double(rows), rows)
        case .released, .firstPublic:
            let length = configuration.length, jets = batch.jagged.jets
            guard jets > 0 else { throw ModelError(.input, message: "a batch without jets has no loss") }
            let inputs = try padded(batch.inputs, batch.jagged), targets = try padded(batch.targets, batch.jagged)
            let all = Jagged(lengths: Array(repeating: length, count: jets))
            let embeddings = try backbone.embeddings(
                inputs, all, visible: batch.jagged.lengths, isPaddingUniform: positions == .firstPublic,
                dropout: dropout)
            return try crossEntropy(embeddings, targets, weight: 1 / Double(all.rows), all.rows)
        }
    }

    /// The sum over the batch of `weight` · -log p(next token), for batches in parts: divide by the tokens of all parts.
    public func weightedLoss(_ batch: TokenBatch, weight: Double, dropout: Double = 0) throws -> Tensor {
        try crossEntropy(
            backbone.embeddings(batch.inputs, batch.jagged, dropout: dropout), batch.targets, weight: weight,
            batch.jagged.rows)
    }

    private func crossEntropy(_ embeddings: Tensor, _ targets: Tensor, weight: Double, _ rows: Int) throws -> Tensor {
        guard let bias = head.bias else { throw ModelError(.configuration, message: "the head has no bias") }
        return try embeddings.linearCrossEntropy(
            head.weight, bias, targets: targets, rowWeights: Tensor.full([rows], weight))
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
            })
    }
}
