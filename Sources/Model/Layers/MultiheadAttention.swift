import Torch

/// PyTorch's `nn.MultiheadAttention` over jets: packed projections in the order query, key, value.
struct MultiheadAttention {
    private let inWeight: Tensor
    private let inBias: Tensor
    private let out: Linear
    private let heads: Int
    private let width: Int

    init(_ parameters: Parameters, _ name: String, width: Int, heads: Int) throws {
        // Xavier over the packed matrix.
        let bound = (6 / Double(4 * width)).squareRoot()
        inWeight = try parameters.add("\(name).in_proj_weight", .uniform([3 * width, width], -bound...bound))
        inBias = try parameters.add("\(name).in_proj_bias", .zeros([3 * width]))
        out = try Linear(parameters, "\(name).out_proj", width, width)
        if let bias = out.bias { try Torch.withoutGradients { try bias.fill(0) } }
        self.heads = heads
        self.width = width
    }

    /// Attention of all constituents of a jet to each other.
    func callAsFunction(_ x: Tensor, _ jagged: Jagged, dropout: Double) throws(TorchError) -> Tensor {
        let all = try x.linear(inWeight, inBias)
        let q = try all.narrow(1, 0, width), k = try all.narrow(1, width, width),
            v = try all.narrow(1, 2 * width, width)
        return try out(
            q.jaggedAttention(
                keys: k, values: v, offsets: jagged.offsets, heads: heads, isCausal: false, dropout: dropout))
    }

    /// Attention of one query a jet [jets, width] to the rows of the jet.
    func callAsFunction(query: Tensor, rows: Tensor, _ jagged: Jagged, dropout: Double) throws -> Tensor {
        let q = try query.linear(try inWeight.narrow(0, 0, width), try inBias.narrow(0, 0, width))
        let kv = try rows.linear(try inWeight.narrow(0, width, 2 * width), try inBias.narrow(0, width, 2 * width))
        return try out(
            SingleQueryAttention(heads: heads)(
                q, keys: try kv.narrow(1, 0, width), values: try kv.narrow(1, width, width), jagged, dropout: dropout))
    }
}

/// Attention with one query a jet.
struct SingleQueryAttention {
    let heads: Int

    /// - Returns: [jets, width].
    func callAsFunction(
        _ query: Tensor, keys: Tensor, values: Tensor, _ jagged: Jagged, dropout: Double
    ) throws -> Tensor {
        // The query joins its jet as a last row, which alone sees the others; what it would see of itself is left out by `visible`.
        let width = query.size(1), jets = jagged.jets
        guard jets > 0 else { return query }
        var order: [Int64] = [], wanted: [Int64] = []
        for jet in 0..<jets {
            order += (jagged.offsets[jet]..<jagged.offsets[jet + 1]).map { Int64($0) } + [Int64(jagged.rows + jet)]
            wanted.append(Int64(order.count - 1))
        }
        let device = query.device, index = try Tensor.of(order, on: device)
        let queries = try Tensor.cat([Tensor.zeros([jagged.rows, width], on: device), query]).rows(index)
        let nothing = try Tensor.zeros([jets, width], on: device)
        let all = try queries.jaggedAttention(
            keys: Tensor.cat([keys, nothing]).rows(index), values: Tensor.cat([values, nothing]).rows(index),
            offsets: Jagged(lengths: jagged.lengths.map { $0 + 1 }).offsets, visible: jagged.lengths, heads: heads,
            isCausal: false, dropout: dropout)
        return try all.rows(Tensor.of(wanted, on: device))
    }
}
