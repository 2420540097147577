import CTorch

extension Tensor {
    /// Attention of these queries [rows, width] to all that the caches hold up to and with place `at`, where `key` and `value` are put first.
    ///
    /// - Parameters:
    ///   - caches: Keys and values [places, length, width]; changed in place.
    ///   - rows: For each query the row of the caches that is its jet's.
    public func cachedAttention(
        key: Tensor, value: Tensor, caches: (keys: Tensor, values: Tensor), rows: [Int], at place: Int, heads: Int
    ) throws(TorchError) -> Tensor {
        guard rows.count == size(0) else {
            throw TorchError(operation: "cached_attention", shapes: [shape], message: "\(rows.count) rows of the cache")
        }
        return try made("cached_attention", [self, key, caches.keys]) { out in
            withNumbers(rows) { numbers, _ in
                ct_cached_attention(
                    handle, key.handle, value.handle, caches.keys.handle, caches.values.handle, numbers, Int64(place),
                    Int32(clamping: heads), out)
            }
        }
    }

    /// A token for each row of these logits [rows, vocabulary], never 0, by inverting the cumulative distribution at given numbers.
    ///
    /// - Parameters:
    ///   - uniform: For each row a number in 0..<1.
    ///   - temperature: 0 takes the likeliest.
    ///   - topK: Only so many of the likeliest; nil: all.
    ///   - topP: Only the likeliest that reach this probability together.
    /// - Returns: Tokens, and the logarithm of the probability of each at temperature 1.
    public func sample(
        uniform: [Double], temperature: Double = 1, topK: Int? = nil, topP: Double = 1
    ) throws(TorchError) -> (tokens: [Int64], logProbabilities: [Double]) {
        guard uniform.count == size(0) else {
            throw TorchError(operation: "sample", shapes: [shape], message: "\(uniform.count) uniform numbers")
        }
        var tokens = [Int64](repeating: 0, count: uniform.count), logs = [Double](repeating: 0, count: uniform.count)
        let status = tokens.withUnsafeMutableBufferPointer { tokens in
            logs.withUnsafeMutableBufferPointer { logs in
                ct_sample(handle, uniform, temperature, Int64(topK ?? 0), topP, tokens.baseAddress, logs.baseAddress)
            }
        }
        try done("sample", [self], status)
        return (tokens, logs)
    }
}
