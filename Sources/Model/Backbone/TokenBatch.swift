import Torch

/// Sequences of tokens as pairs of input and target for next-token training, packed.
public struct TokenBatch {
    /// Inputs of all jets, int64 [rows].
    public let inputs: Tensor
    /// Targets: the input behind each, int64 [rows].
    public let targets: Tensor
    /// Rows of each jet.
    public let jagged: Jagged
    /// The least and the largest of all tokens and 0, where they are known.
    public let bounds: ClosedRange<Int64>?

    /// Pairs of whole sequences: start, codes + 1, stop. Input is the sequence without its last token, target that without its first, both
    /// cut to `length`: a jet with as many constituents never shows its stop.
    /// - Throws: `ModelError` with code `input` if a sequence has no pair.
    public init(sequences: [[Int64]], length: Int, on device: Device = .cpu) throws {
        if let short = sequences.firstIndex(where: { $0.count < 2 }) {
            throw ModelError(
                .input, message: "jet \(short) has \(sequences[short].count) tokens, expected start and stop at least")
        }
        inputs = try Tensor.of(sequences.flatMap { $0.dropLast().prefix(length) }, on: device)
        targets = try Tensor.of(sequences.flatMap { $0.dropFirst().prefix(length) }, on: device)
        bounds = Self.bounds(sequences)
        jagged = Jagged(lengths: sequences.map { min($0.count - 1, length) })
    }

    /// Pairs that are ready.
    public init(inputs: Tensor, targets: Tensor, jagged: Jagged, bounds: ClosedRange<Int64>? = nil) {
        self.inputs = inputs
        self.targets = targets
        self.jagged = jagged
        self.bounds = bounds
    }

    /// The least and the largest of all tokens and 0.
    static func bounds(_ sequences: some Sequence<[Int64]>) -> ClosedRange<Int64> {
        var least: Int64 = 0, most: Int64 = 0
        for token in sequences.joined() { (least, most) = (min(least, token), max(most, token)) }
        return least...most
    }
}
