import Kernels

extension FeatureAssembler {
    /// Writes jets from anywhere in the columns into a padded batch. For jets that lie one after the other the face with
    /// offsets is faster.
    ///
    /// - Parameters:
    ///   - values: `[jets, padLength, features]` float32, row-major; slots without a constituent become 0.
    ///   - mask: `[jets, padLength]`, 1 where there is a constituent.
    public func assemble(
        _ input: FeatureInput, jets: some RandomAccessCollection<JetSpan>, values: UnsafeMutablePointer<Float>,
        mask: UnsafeMutablePointer<UInt8>
    ) throws(LoaderError) {
        try check(input)
        var batch = pando_feature_batch()
        batch.values = values
        batch.mask = mask
        for jet in jets {
            _ = run(jet, input, &batch)
            batch.values += configuration.padLength * configuration.features.count
            batch.mask += configuration.padLength
        }
    }

    /// Writes jets from anywhere in the columns into a jagged batch.
    ///
    /// - Parameters:
    ///   - values: room for `[sum of min(count, padLength), features]` float32.
    ///   - offsets: jets + 1 numbers; the first is read (where this batch begins in `values`), the others are written.
    /// - Returns: the last offset.
    @discardableResult
    public func assembleJagged(
        _ input: FeatureInput, jets: some RandomAccessCollection<JetSpan>, values: UnsafeMutablePointer<Float>,
        offsets: UnsafeMutablePointer<Int32>
    ) throws(LoaderError) -> Int {
        try check(input)
        var batch = pando_feature_batch()
        batch.values = values
        batch.row = Int(offsets[0])
        batch.ends = offsets + 1
        for jet in jets {
            batch.row = run(jet, input, &batch)
            batch.ends += 1
        }
        return batch.row
    }

    private func run(_ jet: JetSpan, _ input: FeatureInput, _ batch: inout pando_feature_batch) -> Int {
        batch.jets = 1
        batch.start = jet.start
        return withUnsafeTemporaryAllocation(of: Int32.self, capacity: 2) { offsets in
            _ = offsets.initialize(fromContentsOf: [0, Int32(clamping: jet.count)])
            batch.offsets = UnsafePointer(offsets.baseAddress)
            return run(input, &batch, firstJet: jet.axis, jets: 1)
        }
    }
}
