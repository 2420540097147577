import Shards
import Support

/// A batch of jets: columns, features, labels, tokens, as its loader was asked for.
///
/// Its memory is used again for another batch when nobody holds it any more; so it costs no allocation in a steady loop.
///
/// `@unchecked Sendable`: it is written by one thread while nobody else has it (`BatchPool` counts its owners), and not
/// changed after it was handed out until the last owner is gone.
public final class Batch: @unchecked Sendable {
    /// The epoch it belongs to.
    public internal(set) var epoch = 0
    /// Its number in the epoch.
    public internal(set) var step = 0
    /// Jets in the batch.
    public internal(set) var rows = 0
    let columns: JetColumns
    let names: [String: Int]
    let numbers = AlignedBuffer()
    let sourceNumbers = AlignedBuffer()
    let featureValues = AlignedBuffer()
    let featureMask = AlignedBuffer()
    let featureEnds = AlignedBuffer()
    let labelNumbers = AlignedBuffer()
    let jetValues = AlignedBuffer()
    let tokenInputs = AlignedBuffer()
    let tokenTargets = AlignedBuffer()
    let tokenFlags = AlignedBuffer()
    /// Values and flags of features that there are.
    var featureCounts = (values: 0, flags: 0, ends: 0)
    let hasLabels: Bool
    /// Features of a jet.
    let jetWidth: Int
    /// Positions of a row of tokens.
    let tokenLength: Int

    init(fields: [SourceField], names: [String: Int], contents: LoaderContents, size: BatchSize) {
        hasLabels = contents.hasLabels
        jetWidth = contents.features?.jetFeatures.count ?? 0
        tokenLength = contents.tokens?.length ?? 0
        columns = JetColumns(fields: fields)
        // Room for nearly all batches from the beginning.
        columns.resize(rows: size.rows, constituents: size.constituents)
        columns.resize(rows: 0, constituents: 0)
        self.names = names
        numbers.reserve(size.rows * 8)
        sourceNumbers.reserve(size.rows * 4)
        featureEnds.reserve(size.rows * 4 + 4)
        if let features = contents.features {
            featureValues.reserve(size.rows * features.padLength * features.features.count * 4)
            featureMask.reserve(size.rows * features.padLength)
        }
        reserveExtras(rows: size.rows)
    }

    /// The number of each jet in its dataset, in the order of the dataset's record batches. Valid as long as the batch.
    public var jets: UnsafeBufferPointer<Int> { UnsafeBufferPointer(numbers.elements(Int.self, count: rows)) }

    /// For each jet the number of the dataset that it is from; all 0 if there is one only. Valid as long as the batch.
    public var datasets: UnsafeBufferPointer<Int32> {
        UnsafeBufferPointer(sourceNumbers.elements(Int32.self, count: rows))
    }

    /// Constituents of all its jets, as they are stored, before any cut.
    public internal(set) var constituents = 0

    /// Where each jet's constituents begin in the columns, and where the last one's end: `rows + 1` numbers from 0 on.
    /// Valid as long as the batch; empty if no columns were asked for.
    public var offsets: UnsafeBufferPointer<Int32> {
        names.isEmpty
            ? UnsafeBufferPointer(start: nil, count: 0) : UnsafeBufferPointer(columns.offsetNumbers)
    }

    /// The values of a column: one a jet, or those of all constituents one jet after the other, little-endian. Valid as long
    /// as the batch. Nil if the column was not asked for.
    public func bytes(of name: String) -> UnsafeRawBufferPointer? {
        names[name].map { columns.bytes(of: $0) }
    }

    /// The element type of a column; nil if it was not asked for.
    public func elementType(of name: String) -> ElementType? { names[name].map { columns.elementType(of: $0) } }

    /// Whether a column has a value for each constituent; false also if it was not asked for.
    public func hasConstituents(_ name: String) -> Bool { names[name].map { columns.hasConstituents($0) } ?? false }

    /// The values of a float32 column, as `bytes(of:)` has them; nil if it was not asked for or has another type.
    public func floats(_ name: String) -> UnsafeBufferPointer<Float>? {
        guard let index = names[name], columns.elementType(of: index) == .float32 else { return nil }
        return columns.bytes(of: index).bindMemory(to: Float.self)
    }

    /// The values of an int64 column, as `bytes(of:)` has them; nil if it was not asked for or has another type.
    public func integers(_ name: String) -> UnsafeBufferPointer<Int64>? {
        guard let index = names[name], columns.elementType(of: index) == .int64 else { return nil }
        return columns.bytes(of: index).bindMemory(to: Int64.self)
    }

    /// Features: `[rows, padLength, features]` row-major, padding 0; or, if jagged ones were asked for,
    /// `[constituents that survive the cuts, features]`. Empty without features. Valid as long as the batch.
    public var features: UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(featureValues.elements(Float.self, count: featureCounts.values))
    }

    /// `[rows, padLength]`: 1 for a constituent, 0 for padding. Empty without padded features. Valid as long as the batch.
    public var mask: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(featureMask.elements(UInt8.self, count: featureCounts.flags))
    }

    /// Where each jet's jagged features begin, counted in constituents, and where the last one's end: `rows + 1` numbers.
    /// Empty without jagged features. Valid as long as the batch.
    public var featureOffsets: UnsafeBufferPointer<Int32> {
        UnsafeBufferPointer(featureEnds.elements(Int32.self, count: featureCounts.ends))
    }
}

/// Batches whose memory goes round.
final class BatchPool: Sendable {
    private let batches = Monitor<[Batch]>([])
    private let limit: Int
    private let make: @Sendable () -> Batch

    /// - Parameter limit: How many batches are kept; more than are ready or being made or used at once are no use.
    init(limit: Int, make: @escaping @Sendable () -> Batch) {
        self.limit = limit
        self.make = make
    }

    /// A batch that nobody else has.
    func take() -> Batch {
        batches.update { batches in
            // All at once, so that a steady loop allocates nothing.
            while batches.count < limit { batches.append(make()) }
            for index in batches.indices where isKnownUniquelyReferenced(&batches[index]) { return batches[index] }
            return make()
        }
    }
}
