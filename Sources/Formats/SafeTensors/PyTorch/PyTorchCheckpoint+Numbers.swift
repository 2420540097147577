import Support

extension PyTorchCheckpoint {
    /// The elements of any tensor in the checkpoint as `Float`; see `floats` of names.
    public func floats(_ tensor: StoredTensor) throws(SafeTensorsError) -> [Float] {
        try convert(tensor) { conversion throws(SafeTensorsError) in try conversion.floatingPoint() }
    }

    /// The elements of any tensor in the checkpoint as `Double`; see `doubles` of names.
    public func doubles(_ tensor: StoredTensor) throws(SafeTensorsError) -> [Double] {
        try convert(tensor) { conversion throws(SafeTensorsError) in try conversion.floatingPoint() }
    }

    /// The elements of any tensor in the checkpoint as `Int64`; see `int64s` of names.
    public func int64s(_ tensor: StoredTensor) throws(SafeTensorsError) -> [Int64] {
        try convert(tensor) { conversion throws(SafeTensorsError) in try conversion.integers() }
    }

    private func convert<Value>(
        _ tensor: StoredTensor, _ body: (TensorConversion) throws(SafeTensorsError) -> Value
    ) throws(SafeTensorsError) -> Value {
        do {
            return try withBytes(of: tensor) { bytes in
                try body(TensorConversion(bytes: bytes, type: tensor.type, count: tensor.count))
            }
        } catch { throw placed(error, "storage \(tensor.storage.key)", file: path) }
    }
}
