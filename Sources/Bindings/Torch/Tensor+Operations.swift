import CTorch

// Named as in PyTorch, whose pages say what they do.
extension Tensor {
    public func to(_ type: DType) throws(TorchError) -> Tensor {
        try made("to", [self]) { ct_to(handle, type.rawValue, $0) }
    }

    public func contiguous() throws(TorchError) -> Tensor {
        try made("contiguous", [self]) { ct_contiguous(handle, $0) }
    }

    public func clone() throws(TorchError) -> Tensor { try made("clone", [self]) { ct_clone(handle, $0) } }

    public func detached() throws(TorchError) -> Tensor { try made("detach", [self]) { ct_detach(handle, $0) } }

    public func reshape(_ shape: [Int]) throws(TorchError) -> Tensor {
        try made("reshape", [self]) { out in withNumbers(shape) { ct_reshape(handle, $0, $1, out) } }
    }

    public func transpose(_ a: Int, _ b: Int) throws(TorchError) -> Tensor {
        try made("transpose", [self]) { ct_transpose(handle, Int64(a), Int64(b), $0) }
    }

    /// Elements of an axis from `start` on.
    public func narrow(_ axis: Int, _ start: Int, _ length: Int) throws(TorchError) -> Tensor {
        try made("narrow", [self]) { ct_narrow(handle, Int64(axis), Int64(start), Int64(length), $0) }
    }

    /// Rows by their numbers, int64.
    public func rows(_ index: Tensor) throws(TorchError) -> Tensor {
        try made("index_select", [self, index]) { ct_index_select(handle, index.handle, $0) }
    }

    public static func cat(_ parts: [Tensor], axis: Int = 0) throws(TorchError) -> Tensor {
        let handles = parts.map { Optional($0.handle) }
        return try withExtendedLifetime(parts) { () throws(TorchError) -> Tensor in
            try made("cat", parts) { ct_cat(handles, handles.count, Int64(axis), $0) }
        }
    }

    public static func + (a: Tensor, b: Tensor) throws(TorchError) -> Tensor {
        try made("add", [a, b]) { ct_add(a.handle, b.handle, $0) }
    }

    public static func - (a: Tensor, b: Tensor) throws(TorchError) -> Tensor {
        try made("sub", [a, b]) { ct_sub(a.handle, b.handle, $0) }
    }

    public static func * (a: Tensor, b: Tensor) throws(TorchError) -> Tensor {
        try made("mul", [a, b]) { ct_mul(a.handle, b.handle, $0) }
    }

    public static func / (a: Tensor, b: Tensor) throws(TorchError) -> Tensor {
        try made("div", [a, b]) { ct_div(a.handle, b.handle, $0) }
    }

    /// Each element times a number, plus a number.
    public func affine(_ factor: Double, _ shift: Double = 0) throws(TorchError) -> Tensor {
        try made("affine", [self]) { ct_affine(handle, factor, shift, $0) }
    }

    public func matmul(_ other: Tensor) throws(TorchError) -> Tensor {
        try made("matmul", [self, other]) { ct_matmul(handle, other.handle, $0) }
    }

    /// Rows times the transposed weight [out, in], plus a bias.
    public func linear(_ weight: Tensor, _ bias: Tensor? = nil) throws(TorchError) -> Tensor {
        try made("linear", [self, weight]) { ct_linear(handle, weight.handle, bias?.handle, $0) }
    }

    /// Over the last axis, with eps 1e-5.
    public func layerNorm(_ weight: Tensor, _ bias: Tensor) throws(TorchError) -> Tensor {
        try made("layer_norm", [self, weight]) { ct_layer_norm(handle, weight.handle, bias.handle, $0) }
    }

    public func relu() throws(TorchError) -> Tensor { try made("relu", [self]) { ct_relu(handle, $0) } }

    public func silu() throws(TorchError) -> Tensor { try made("silu", [self]) { ct_silu(handle, $0) } }

    public func exp() throws(TorchError) -> Tensor { try made("exp", [self]) { ct_exp(handle, $0) } }

    public func squared() throws(TorchError) -> Tensor { try made("square", [self]) { ct_square(handle, $0) } }

    /// Zeroes elements by chance and scales the others up; nothing for 0.
    public func dropout(_ probability: Double) throws(TorchError) -> Tensor {
        guard probability > 0 else { return self }
        return try made("dropout", [self]) { ct_dropout(handle, probability, $0) }
    }

    /// Over the last axis.
    public func softmax() throws(TorchError) -> Tensor { try made("softmax", [self]) { ct_softmax(handle, $0) } }

    /// Over the last axis.
    public func logSoftmax() throws(TorchError) -> Tensor {
        try made("log_softmax", [self]) { ct_log_softmax(handle, $0) }
    }

    /// Over everything.
    public func sum() throws(TorchError) -> Tensor { try made("sum", [self]) { ct_sum(handle, $0) } }

    public func sum(axis: Int) throws(TorchError) -> Tensor {
        try made("sum", [self]) { ct_sum_dim(handle, Int64(axis), $0) }
    }

    /// The mean over rows of -log softmax at the target of each, int64.
    public func crossEntropy(_ targets: Tensor) throws(TorchError) -> Tensor {
        try made("cross_entropy", [self, targets]) { ct_cross_entropy(handle, targets.handle, $0) }
    }

    /// How many of these rows [rows, classes] have their largest number at the target, int64 [rows]: float32, without axes.
    public func hits(_ targets: Tensor) throws(TorchError) -> Tensor {
        try made("hits", [self, targets]) { ct_hits(handle, targets.handle, $0) }
    }

    /// Takes over the elements of another tensor; shapes may be broadcast.
    public func assign(_ other: Tensor) throws(TorchError) {
        try done("copy_", [self, other], ct_copy_(handle, other.handle))
    }

    public func fill(_ value: Double) throws(TorchError) { try done("fill_", [self], ct_fill_(handle, value)) }

    /// Replaces rows by their numbers, int64.
    public func assign(rows index: Tensor, _ values: Tensor) throws(TorchError) {
        try done("index_copy_", [self, index, values], ct_index_copy_(handle, index.handle, values.handle))
    }
}

extension Tensor {
    /// Attention within jets: these are queries [rows, width], and jet i has rows `offsets[i]..<offsets[i + 1]`.
    /// - Parameters:
    ///   - visible: If given, only so many of the first keys of each jet can be seen.
    ///   - isCausal: Whether queries see no keys behind themselves.
    /// - Returns: [rows, width], heads one beside the other.
    public func jaggedAttention(
        keys: Tensor, values: Tensor, offsets: [Int], visible: [Int]? = nil, heads: Int, isCausal: Bool,
        isPaddingUniform: Bool = false, dropout: Double = 0
    ) throws(TorchError) -> Tensor {
        guard offsets.count > 1, visible.map({ $0.count == offsets.count - 1 }) ?? true else {
            throw TorchError(
                operation: "attention", shapes: [shape],
                message: "\(offsets.count) offsets, \(visible?.count ?? 0) lengths")
        }
        return try made("attention", [self, keys, values]) { out in
            withNumbers(offsets) { begins, _ in
                withNumbers(visible ?? []) { lengths, _ in
                    ct_jagged_attention(
                        handle, keys.handle, values.handle, begins, offsets.count - 1, visible == nil ? nil : lengths,
                        Int32(heads), isCausal ? 1 : 0, isPaddingUniform ? 1 : 0, dropout, out)
                }
            }
        }
    }

    /// Σ over rows of `rowWeights` times the cross entropy of these rows times `weight` [vocabulary, width] plus `bias`; the logits of
    /// all rows never exist at once.
    /// - Parameter isChecked: Whether targets are known to be in the vocabulary: then a GPU need not be waited for to look at them.
    public func linearCrossEntropy(
        _ weight: Tensor, _ bias: Tensor, targets: Tensor, rowWeights: Tensor, isChecked: Bool = false
    ) throws(TorchError) -> Tensor {
        try made("linear_cross_entropy", [self, weight, targets]) {
            ct_linear_cross_entropy(
                handle, weight.handle, bias.handle, targets.handle, rowWeights.handle, isChecked ? 1 : 0, $0)
        }
    }

    /// For each row the number of the nearest code of [codes, width], the lowest of equal ones, and its squared distance.
    public func nearest(_ codes: Tensor) throws(TorchError) -> (index: Tensor, distance: Tensor) {
        var index: ct_tensor?, distance: ct_tensor?
        try done("nearest", [self, codes], ct_nearest(handle, codes.handle, &index, &distance))
        guard let index, let distance else { throw TorchError(operation: "nearest", message: "no result") }
        return (Tensor(owning: index), Tensor(owning: distance))
    }

    /// The sum of the rows of each jet: [jets, width].
    public func segmentSum(_ offsets: [Int]) throws(TorchError) -> Tensor {
        guard offsets.count > 1 else { throw TorchError(operation: "segment_sum", message: "no jets") }
        return try made("segment_sum", [self]) { out in
            withNumbers(offsets) { begins, _ in ct_segment_sum(handle, begins, offsets.count - 1, out) }
        }
    }
}
