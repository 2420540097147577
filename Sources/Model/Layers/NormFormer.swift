import Torch

/// Blocks of pre-norm attention with a second norm behind it, then a pre-norm MLP of the same width.
///
/// Rows are real constituents only, so that the masks of the original are not needed. There is no order among constituents.
struct NormFormer {
    private struct Block {
        let norm1: LayerNorm
        let attention: MultiheadAttention
        let norm2: LayerNorm
        let norm3: LayerNorm
        let first: Linear
        let second: Linear

        init(_ parameters: Parameters, _ name: String, width: Int, heads: Int) throws {
            // Each block begins as the identity.
            norm1 = try LayerNorm(parameters, "\(name).norm1", width, weight: 0)
            attention = try MultiheadAttention(parameters, "\(name).attn", width: width, heads: heads)
            norm2 = try LayerNorm(parameters, "\(name).norm2", width)
            norm3 = try LayerNorm(parameters, "\(name).mlp.0", width)
            first = try Linear(parameters, "\(name).mlp.1", width, width)
            second = try Linear(parameters, "\(name).mlp.4", width, width)
            try Torch.withoutGradients {
                try second.weight.fill(0)
                try second.bias?.fill(0)
            }
        }

        func callAsFunction(_ x: Tensor, _ jagged: Jagged, dropout: Double) throws(TorchError) -> Tensor {
            let mixed = try norm2(attention(norm1(x), jagged, dropout: dropout)) + x
            return try second(first(norm3(mixed)).silu().dropout(dropout)) + mixed
        }
    }

    private let blocks: [Block]

    init(_ parameters: Parameters, _ name: String, width: Int, blocks: Int, heads: Int) throws {
        self.blocks = try (0..<blocks).map {
            try Block(parameters, "\(name).blocks.\($0)", width: width, heads: heads)
        }
    }

    func callAsFunction(_ x: Tensor, _ jagged: Jagged, dropout: Double) throws(TorchError) -> Tensor {
        var x = x
        for block in blocks { x = try block(x, jagged, dropout: dropout) }
        return x
    }
}
