import Torch

/// How rows of a packed batch belong to jets: jet i has the rows `offsets[i]..<offsets[i + 1]`; nothing is padded.
public struct Jagged: Sendable, Equatable {
    /// Where jets begin, and the end of the last one.
    public let offsets: [Int]

    /// Jets of these lengths.
    public init(lengths: [Int]) {
        var offsets = [0]
        offsets.reserveCapacity(lengths.count + 1)
        for length in lengths { offsets.append((offsets.last ?? 0) + max(0, length)) }
        self.offsets = offsets
    }

    /// Jets.
    public var jets: Int { offsets.count - 1 }
    /// Rows.
    public var rows: Int { offsets.last ?? 0 }
    /// Rows of each jet.
    public var lengths: [Int] { zip(offsets, offsets.dropFirst()).map { $1 - $0 } }
}

/// What positions count in a loss.
public enum LossPositions: String, Codable, Sendable {
    /// Real ones only.
    case real
    /// Padded ones too, as in the original's releases.
    case released
    /// Padded ones too, as in the original's first public version: its padded positions see all before them alike.
    case firstPublic = "first-public"

    /// Whether padded positions count.
    public var countsPadding: Bool { self != .real }
}
