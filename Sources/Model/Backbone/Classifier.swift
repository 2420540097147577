import Torch

/// A backbone with a head that tells the class of a jet from its tokens.
public final class Classifier {
    /// Heads.
    public enum Head: String, Codable, Sendable {
        /// The sum of embedded tokens.
        case summation
        /// A token of its own that attends to those of the jet.
        case classAttention
    }

    private enum Parts {
        case summation(embed: Linear, classes: Linear)
        case classAttention(token: Tensor, blocks: [(norm: LayerNorm, attention: MultiheadAttention)], mlp: [Linear])
    }

    /// Its parameters by PyTorch's names.
    public let parameters: Parameters
    /// The backbone.
    public let backbone: Backbone
    /// Classes.
    public let classes: Int
    private let parts: Parts

    private static let attentionBlocks = 3
    private static let attentionHeads = 2

    /// A classifier with random weights of libtorch's generator.
    /// - Throws: `ModelError` with code `configuration`.
    public init(
        _ configuration: BackboneConfiguration, head: Head, classes: Int, on device: Device = .cpu
    ) throws {
        guard (2...1 << 16).contains(classes) else {
            throw ModelError(.configuration, place: "classes", message: "are \(classes), expected at least 2")
        }
        let parameters = Parameters(on: device), width = configuration.width
        self.parameters = parameters
        self.classes = classes
        backbone = try Backbone(configuration, parameters)
        switch head {
        case .summation:
            parts = .summation(
                embed: try Linear(parameters, "head.classification_head_linear_embed", width, width),
                classes: try Linear(parameters, "head.classification_head_linear_class", width, classes))
        case .classAttention:
            guard width % Self.attentionHeads == 0 else {
                throw ModelError(.configuration, place: "backbone.width", message: "\(width) is odd")
            }
            let token = try parameters.add("head.class_token", .normal([1, 1, width]))
            // Without use in the original too, but part of its checkpoints.
            _ = try Linear(parameters, "head.input_projection", width, width)
            let blocks = try (0..<Self.attentionBlocks).map { number in
                let name = "head.class_attention_blocks.\(number)"
                let norm = try LayerNorm(parameters, "\(name).norm1", width, weight: 0)
                let attention = try MultiheadAttention(
                    parameters, "\(name).attn", width: width, heads: Self.attentionHeads)
                _ = try LayerNorm(parameters, "\(name).norm2", width)
                _ = try LayerNorm(parameters, "\(name).mlp.0", width)
                _ = try Linear(parameters, "\(name).mlp.1", width, width)
                _ = try Linear(parameters, "\(name).mlp.4", width, width)
                return (norm: norm, attention: attention)
            }
            let mlp = [
                try Linear(parameters, "head.final_mlp.0", width, width),
                try Linear(parameters, "head.final_mlp.3", width, width),
                try Linear(parameters, "head.final_mlp.6", width, classes),
            ]
            parts = .classAttention(token: token, blocks: blocks, mlp: mlp)
        }
    }

    /// Logits [jets, classes] of packed tokens with start and stop, cut to the backbone's length.
    /// - Throws: `ModelError` with code `input` if a jet has no tokens or one is not in the vocabulary.
    public func logits(
        _ tokens: Tensor, _ jagged: Jagged, dropout: Double = 0, bounds: ClosedRange<Int64>? = nil
    ) throws -> Tensor {
        guard jagged.lengths.allSatisfy({ $0 > 0 }) else { throw ModelError(.input, message: "a jet has no tokens") }
        let embeddings = try backbone.embeddings(tokens, jagged, dropout: dropout, bounds: bounds)
        switch parts {
        case .summation(let embed, let classes):
            return try classes(embed(embeddings).relu().segmentSum(jagged.offsets))
        case .classAttention(let token, let blocks, let mlp):
            let width = backbone.configuration.width
            // The class token is the first row of its jet.
            let together = Jagged(lengths: jagged.lengths.map { $0 + 1 })
            var order: [Int64] = []
            for jet in 0..<jagged.jets {
                order.append(Int64(jagged.rows + jet))
                order += (jagged.offsets[jet]..<jagged.offsets[jet + 1]).map { Int64($0) }
            }
            let device = parameters.device, index = try Tensor.of(order, on: device)
            var query = try token.reshape([1, width]).rows(Tensor.zeros([jagged.jets], .int64, on: device))
            for block in blocks {
                let rows = try block.norm(Tensor.cat([embeddings, query]).rows(index))
                query = try block.attention(query: query, rows: rows, together, dropout: dropout)
            }
            let hidden = try mlp[0](query).silu().dropout(dropout)
            return try mlp[2](mlp[1](hidden).silu().dropout(dropout))
        }
    }

    /// The mean over jets of -log p(class), for labels int64 [jets].
    public func loss(_ tokens: Tensor, _ jagged: Jagged, labels: Tensor, dropout: Double = 0) throws -> Tensor {
        if let wrong = try labels.integers().first(where: { !(0..<Int64(classes)).contains($0) }) {
            throw ModelError(.input, message: "label \(wrong) is not among the \(classes) classes")
        }
        return try logits(tokens, jagged, dropout: dropout).to(.float32).crossEntropy(labels.to(parameters.device))
    }
}
