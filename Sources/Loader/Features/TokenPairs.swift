import Kernels

/// Codes of constituents in memory. The caller keeps the memory alive and answers for its length.
public enum TokenColumn {
    case int16(UnsafePointer<Int16>)
    case uint16(UnsafePointer<UInt16>)
    case int32(UnsafePointer<Int32>)

    subscript(index: Int) -> Int {
        switch self {
        case .int16(let codes): Int(codes[index])
        case .uint16(let codes): Int(codes[index])
        case .int32(let codes): Int(codes[index])
        }
    }
}

/// Makes pairs of input and target for next-token training from the codes of constituents, as OmniJet-alpha does.
///
/// Tokens: 0 is start, code + 1 a constituent, `codebookSize` + 1 stop. A jet of n codes is start, n tokens, stop; its input
/// is that without the last, its target without the first token, each cut to `length`: a jet of `length` or more
/// codes never shows its stop. Padding is 0, like start; the mask tells. A jet without codes has an empty row without
/// start and stop, as in the original.
public struct TokenPairs: Sendable, Equatable {
    /// How many codes there are.
    public let codebookSize: Int
    /// Positions of a row.
    public let length: Int
    /// How many tokens there are: codes, start and stop.
    public var vocabularySize: Int { codebookSize + 2 }
    /// The token after the last constituent.
    public var stop: Int { codebookSize + 1 }

    /// Pairs for a codebook and a length, checked.
    public init(codebookSize: Int, length: Int = 128) throws(LoaderError) {
        guard codebookSize >= 1, codebookSize <= Int(Int32.max) - 2 else {
            throw LoaderError(.feature, place: "codebook size", message: "is \(codebookSize), expected 1 to 2^31 - 3")
        }
        guard length >= 1, length <= 1 << 20 else {
            throw LoaderError(.feature, place: "length", message: "is \(length), expected 1 to \(1 << 20)")
        }
        self.codebookSize = codebookSize
        self.length = length
    }

    /// Writes padded rows.
    ///
    /// - Parameters:
    ///   - rows: How many jets.
    ///   - offsets: rows + 1 numbers: jet j has the codes offsets[j] ..< offsets[j + 1].
    ///   - slots: The row of the output that each jet goes to; nil: the same order. The caller answers for the room.
    ///   - input: `[rows, length]` tokens.
    ///   - target: `[rows, length]` tokens.
    ///   - mask: `[rows, length]`, 1 where there is a pair.
    /// - Throws: `LoaderError` with code `data` for a code outside the codebook (the output is then incomplete), with
    ///   code `feature` if offsets or slots make no sense.
    public func assemble(
        _ codes: TokenColumn, rows: Int, offsets: UnsafePointer<Int32>, slots: UnsafePointer<Int32>? = nil,
        input: UnsafeMutablePointer<Int32>, target: UnsafeMutablePointer<Int32>, mask: UnsafeMutablePointer<UInt8>
    ) throws(LoaderError) {
        var batch = pando_token_batch()
        (batch.input, batch.target) = (UnsafeMutableRawPointer(input), UnsafeMutableRawPointer(target))
        (batch.slots, batch.mask) = (slots, mask)
        try run(codes, rows, offsets, &batch)
    }

    /// Writes padded rows of int64, which PyTorch takes as indices.
    public func assemble(
        _ codes: TokenColumn, rows: Int, offsets: UnsafePointer<Int32>, slots: UnsafePointer<Int32>? = nil,
        input: UnsafeMutablePointer<Int64>, target: UnsafeMutablePointer<Int64>, mask: UnsafeMutablePointer<UInt8>
    ) throws(LoaderError) {
        var batch = pando_token_batch()
        batch.wide = 1
        (batch.input, batch.target) = (UnsafeMutableRawPointer(input), UnsafeMutableRawPointer(target))
        (batch.slots, batch.mask) = (slots, mask)
        try run(codes, rows, offsets, &batch)
    }

    /// Writes jagged rows: what the padded ones hold, without gaps.
    ///
    /// - Parameters:
    ///   - input: Room for min(n + 1, length) tokens for each jet of n > 0 codes.
    ///   - target: As much room.
    ///   - outputOffsets: rows + 1 numbers; the first is read (where this batch begins), the others are written.
    /// - Returns: The last offset.
    @discardableResult
    public func assembleJagged(
        _ codes: TokenColumn, rows: Int, offsets: UnsafePointer<Int32>, input: UnsafeMutablePointer<Int32>,
        target: UnsafeMutablePointer<Int32>, outputOffsets: UnsafeMutablePointer<Int32>
    ) throws(LoaderError) -> Int {
        var batch = pando_token_batch()
        (batch.input, batch.target) = (UnsafeMutableRawPointer(input), UnsafeMutableRawPointer(target))
        return try runJagged(codes, rows, offsets, outputOffsets, &batch)
    }

    /// Writes jagged rows of int64.
    @discardableResult
    public func assembleJagged(
        _ codes: TokenColumn, rows: Int, offsets: UnsafePointer<Int32>, input: UnsafeMutablePointer<Int64>,
        target: UnsafeMutablePointer<Int64>, outputOffsets: UnsafeMutablePointer<Int32>
    ) throws(LoaderError) -> Int {
        var batch = pando_token_batch()
        batch.wide = 1
        (batch.input, batch.target) = (UnsafeMutableRawPointer(input), UnsafeMutableRawPointer(target))
        return try runJagged(codes, rows, offsets, outputOffsets, &batch)
    }

    private func runJagged(
        _ codes: TokenColumn, _ rows: Int, _ offsets: UnsafePointer<Int32>,
        _ outputOffsets: UnsafeMutablePointer<Int32>, _ batch: inout pando_token_batch
    ) throws(LoaderError) -> Int {
        try checkBatch(rows: rows, offsets: offsets)
        let first = Int(outputOffsets[0])
        guard first >= 0, first + Int(offsets[rows] - offsets[0]) + rows <= Int(Int32.max) else {
            throw LoaderError(
                .feature, place: "output offsets",
                message: "the batch begins at \(first); expected positions from 0 to 2^31 - 1")
        }
        batch.row = first
        batch.ends = outputOffsets + 1
        try run(codes, rows, offsets, &batch)
        return Int(outputOffsets[rows])
    }

    private func run(
        _ codes: TokenColumn, _ rows: Int, _ offsets: UnsafePointer<Int32>, _ batch: inout pando_token_batch
    ) throws(LoaderError) {
        try checkBatch(rows: rows, offsets: offsets, slots: batch.slots)
        batch.jets = rows
        batch.offsets = offsets
        batch.codes = Int32(codebookSize)
        batch.length = length
        switch codes {
        case .int16(let codes): (batch.type, batch.tokens) = (Int32(PANDO_TOKEN_INT16.rawValue), .init(codes))
        case .uint16(let codes): (batch.type, batch.tokens) = (Int32(PANDO_TOKEN_UINT16.rawValue), .init(codes))
        case .int32(let codes): (batch.type, batch.tokens) = (Int32(PANDO_TOKEN_INT32.rawValue), .init(codes))
        }
        var outside = 0
        let row = withUnsafeMutablePointer(to: &outside) { outside in
            batch.outside = outside
            return pando_token_pairs(&batch)
        }
        if row < rows {
            throw LoaderError(
                .data, place: "row \(row), position \(outside - Int(offsets[row]))",
                message: "the code \(codes[outside]) is outside the codebook, expected 0 to \(codebookSize - 1)",
                advice: "give the size of the codebook that made these codes")
        }
    }
}
