import Support

extension Batch {
    /// For each jet the place of the first of `LoaderContents.labels` whose column is not zero; -1 if all are. Or the numbers
    /// of `LoaderContents.labelColumn`. Empty if no labels were asked for. Valid as long as the batch.
    public var labels: UnsafeBufferPointer<Int32> {
        UnsafeBufferPointer(labelNumbers.elements(Int32.self, count: hasLabels ? rows : 0))
    }

    /// Features of jets: `[rows, features]` row-major. Empty if the configuration has none. Valid as long as the batch.
    public var jetFeatures: UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(jetValues.elements(Float.self, count: rows * jetWidth))
    }

    /// Tokens of `TokenPairs`: `[rows, length]`, padding 0. Empty if none were asked for. Valid as long as the batch.
    public var tokenInput: UnsafeBufferPointer<Int32> {
        UnsafeBufferPointer(tokenInputs.elements(Int32.self, count: rows * tokenLength))
    }

    /// For each token of `tokenInput` the one that follows it.
    public var tokenTarget: UnsafeBufferPointer<Int32> {
        UnsafeBufferPointer(tokenTargets.elements(Int32.self, count: rows * tokenLength))
    }

    /// `[rows, length]`: 1 where there is a pair of tokens, 0 for padding.
    public var tokenMask: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(tokenFlags.elements(UInt8.self, count: rows * tokenLength))
    }

    /// Makes room for them.
    func reserveExtras(rows: Int) {
        if hasLabels { labelNumbers.reserve(rows * 4) }
        jetValues.reserve(rows * jetWidth * 4)
        tokenInputs.reserve(rows * tokenLength * 4)
        tokenTargets.reserve(rows * tokenLength * 4)
        tokenFlags.reserve(rows * tokenLength)
    }
}
