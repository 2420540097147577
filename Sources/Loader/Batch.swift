import Shards
import Support

/// A batch of jets: whole columns of the original values, jagged.
///
/// `@unchecked Sendable`: its memory is written before it is handed out and never after, until the last reference is gone
/// and the memory goes back to the pool.
public final class Batch: @unchecked Sendable {
    /// The epoch it belongs to.
    public let epoch: Int
    /// Its number in the epoch.
    public let step: Int
    /// The number of each jet in the dataset, in the order of the dataset's record batches.
    public let jets: [Int]
    private let columns: JetColumns
    private let names: [String: Int]
    private let pool: ColumnPool

    init(epoch: Int, step: Int, jets: [Int], columns: JetColumns, names: [String: Int], pool: ColumnPool) {
        self.epoch = epoch
        self.step = step
        self.jets = jets
        self.columns = columns
        self.names = names
        self.pool = pool
    }

    deinit {
        pool.give(back: columns)
    }

    /// Jets in the batch.
    public var rows: Int { columns.rows }

    /// Constituents of all its jets.
    public var constituents: Int { columns.constituents }

    /// Where each jet's constituents begin, and where the last one's end: `rows + 1` numbers from 0 on. Valid as long as the
    /// batch.
    public var offsets: UnsafeBufferPointer<Int32> { UnsafeBufferPointer(columns.offsetNumbers) }

    /// The values of a field: one a jet, or those of all constituents one jet after the other, little-endian. Valid as long
    /// as the batch. Nil if the field was not asked for.
    public func bytes(of name: String) -> UnsafeRawBufferPointer? {
        names[name].map { columns.bytes(of: $0) }
    }

    /// The values of a float32 field, as `bytes(of:)` has them; nil if the field was not asked for or has another type.
    public func floats(_ name: String) -> UnsafeBufferPointer<Float>? {
        guard let index = names[name], columns.elementType(of: index) == .float32 else { return nil }
        return columns.bytes(of: index).bindMemory(to: Float.self)
    }

    /// The values of an int64 field, as `bytes(of:)` has them; nil if the field was not asked for or has another type.
    public func integers(_ name: String) -> UnsafeBufferPointer<Int64>? {
        guard let index = names[name], columns.elementType(of: index) == .int64 else { return nil }
        return columns.bytes(of: index).bindMemory(to: Int64.self)
    }
}

/// Memory for columns that goes round between batches, so that a steady loop allocates none.
///
/// `@unchecked Sendable`: columns lie here only while nobody else has them.
final class ColumnPool: @unchecked Sendable {
    private let fields: [SourceField]
    private let isEmpty = Monitor(0)
    private var free: [JetColumns] = []

    init(fields: [SourceField]) {
        self.fields = fields
    }

    func take() -> JetColumns {
        isEmpty.update { _ in free.popLast() } ?? JetColumns(fields: fields)
    }

    func give(back columns: JetColumns) {
        isEmpty.update { _ in free.append(columns) }
    }
}
