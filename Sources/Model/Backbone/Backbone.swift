import Torch

/// A causal transformer over the tokens of jets, without positions: blocks of post-norm attention and MLP (OmniJet-alpha).
public final class Backbone {
    struct Block {
        let key, query, value: Linear
        let projection: Linear
        let first, second: Linear
        let norm1, norm2: LayerNorm

        init(_ parameters: Parameters, _ name: String, _ width: Int) throws {
            key = try Linear(parameters, "\(name).mha_block.key", width, width, hasBias: false)
            query = try Linear(parameters, "\(name).mha_block.query", width, width, hasBias: false)
            value = try Linear(parameters, "\(name).mha_block.value", width, width, hasBias: false)
            projection = try Linear(parameters, "\(name).mha_block.proj", width, width)
            first = try Linear(parameters, "\(name).ff_block.net.0", width, 4 * width)
            second = try Linear(parameters, "\(name).ff_block.net.2", 4 * width, width)
            norm1 = try LayerNorm(parameters, "\(name).layernorm_1", width)
            norm2 = try LayerNorm(parameters, "\(name).layernorm_2", width)
        }

        /// What follows attention.
        func finish(_ x: Tensor, _ attended: Tensor) throws(TorchError) -> Tensor {
            let mixed = try norm1(x + projection(attended))
            return try norm2(mixed + second(first(mixed).relu()))
        }
    }

    /// Its shape.
    public let configuration: BackboneConfiguration
    /// Where it computes.
    let device: Device
    let embedding: Tensor
    let blocks: [Block]

    /// A backbone with random weights of libtorch's generator, registered in `parameters`.
    /// - Throws: `ModelError` with code `configuration`.
    public init(_ configuration: BackboneConfiguration, _ parameters: Parameters) throws {
        try configuration.check()
        self.configuration = configuration
        device = parameters.device
        embedding = try parameters.add(
            "module.embedding_table.weight", .normal([configuration.vocabulary, configuration.width]))
        blocks = try (0..<configuration.blocks).map {
            try Block(parameters, "module.GPT_blocks.\($0)", configuration.width)
        }
    }

    /// Embeddings [rows, width] of packed tokens, int64 [rows].
    ///
    /// - Parameter visible: If given, only so many of the first positions of each jet are seen by others: the rest is padding that is
    ///   computed all the same, as the original does.
    /// - Parameter isPaddingUniform: Whether that rest sees all positions before it alike, as in the original's first public version.
    /// - Parameter bounds: The least and the largest token, where they are known: then a GPU need not be waited for to see them.
    /// - Throws: `ModelError` with code `input` if a token is not in the vocabulary.
    public func embeddings(
        _ tokens: Tensor, _ jagged: Jagged, visible: [Int]? = nil, isPaddingUniform: Bool = false, dropout: Double = 0,
        bounds: ClosedRange<Int64>? = nil
    ) throws -> Tensor {
        try check(tokens, bounds)
        let tokens = try tokens.to(device)
        var x = try embedding.rows(tokens)
        for block in blocks {
            let attended = try block.query(x).jaggedAttention(
                keys: block.key(x), values: block.value(x), offsets: jagged.offsets, visible: visible,
                heads: configuration.heads, isCausal: true, isPaddingUniform: isPaddingUniform, dropout: dropout)
            x = try block.finish(x, attended)
        }
        return x
    }

    private func check(_ tokens: Tensor, _ bounds: ClosedRange<Int64>?) throws {
        if let bounds, bounds.lowerBound >= 0, bounds.upperBound < configuration.vocabulary { return }
        if let wrong = try tokens.integers().first(where: { !(0..<Int64(configuration.vocabulary)).contains($0) }) {
            throw ModelError(
                .input, message: "token \(wrong) is not in the vocabulary of \(configuration.vocabulary)",
                advice: "were the tokens made by another tokenizer?")
        }
    }
}
