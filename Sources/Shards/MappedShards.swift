import Support

/// The shards of a dataset mapped into memory, so that columns of uncompressed record batches are used where they lie.
///
/// A shard is mapped when it is first asked for and has the size that the catalogue says; its descriptor is closed again. Of
/// more than `limit` maps the one that was not asked for longest is let go; it stays as long as somebody uses it.
/// Shards on network and user-space file systems are not mapped: there a page that fails to come ends the process.
public final class MappedShards: Sendable {
    /// The most maps that are kept.
    public let limit: Int
    private let dataset: Dataset
    private let state = Monitor(State())

    private struct State: Sendable {
        var entries: [Int: Entry] = [:]
        var clock = 0
    }

    private struct Entry: Sendable {
        /// Nil if the shard is not to be mapped.
        var file: MappedFile?
        var lastUse: Int
    }

    /// No maps yet, of a dataset's shards.
    public init(dataset: Dataset, limit: Int = 64) {
        self.dataset = dataset
        self.limit = max(1, limit)
    }

    /// How many shards are mapped.
    public var count: Int { state.read { $0.entries.values.count { $0.file != nil } } }

    /// Lets pages of a shard go, if it is mapped.
    func release(_ shard: Int, _ range: Range<Int>) {
        state.read { $0.entries[shard]?.file }?.release(range)
    }

    /// A shard's map; nil if it lies where mapping is not safe.
    /// - Throws: `SystemError` if it cannot be opened or mapped, `DatasetError` with code `damaged` if it has another size
    ///   than the catalogue says.
    func map(_ shard: Int) throws -> MappedFile? {
        try state.update { state in
            state.clock += 1
            if let entry = state.entries[shard] {
                // Changing it in place would take memory of the heap.
                state.entries.updateValue(Entry(file: entry.file, lastUse: state.clock), forKey: shard)
                return entry.file
            }
            let input = try dataset.openShard(shard)
            let file = input.isLocal ? try input.map() : nil
            if file != nil, state.entries.values.count(where: { $0.file != nil }) >= limit,
                let oldest = state.entries.filter({ $0.value.file != nil }).min(by: {
                    $0.value.lastUse < $1.value.lastUse
                })
            {
                state.entries[oldest.key] = nil
            }
            state.entries[shard] = Entry(file: file, lastUse: state.clock)
            return file
        }
    }
}

/// Columns of an uncompressed record batch in a mapped shard, by slot. They stay as long as this value does.
///
/// `@unchecked Sendable`: the pointers lead into a read-only mapping that `file` keeps.
public struct MappedColumns: @unchecked Sendable {
    /// The number of rows.
    public private(set) var rowCount = 0
    private var file: MappedFile?
    private var columns: [Column] = []

    private struct Column {
        var values: UnsafeRawBufferPointer
        var offsets: UnsafeBufferPointer<Int32>?
        var childLength: Int?
    }

    /// No columns yet, and room for so many; `ColumnReader.map` fills them in.
    public init(capacity: Int = 0) { columns.reserveCapacity(capacity) }

    /// How many columns there are.
    public var count: Int { columns.count }

    /// A column's values, those of all lists one after the other.
    ///
    /// The memory begins at a multiple of 8, in files that were written by this library of 64. It may be used as long as
    /// this value lives.
    public func values(_ slot: Int) -> UnsafeRawBufferPointer { columns[slot].values }

    /// The offsets of a list column, one more than there are rows, which rise from 0 to `childLength`; nil for other
    /// columns, and for no rows.
    public func offsets(_ slot: Int) -> UnsafeBufferPointer<Int32>? { columns[slot].offsets }

    /// Values in all lists of a column together; nil if it is no list.
    public func childLength(_ slot: Int) -> Int? { columns[slot].childLength }

    mutating func clear() {
        file = nil
        rowCount = 0
        columns.removeAll(keepingCapacity: true)
    }

    mutating func begin(_ file: MappedFile, rows: Int) {
        self.file = file
        rowCount = rows
    }

    /// Adds a column; false if its memory is not aligned for its numbers.
    mutating func append(_ values: UnsafeRawBufferPointer, offsets: UnsafeRawBufferPointer?, childLength: Int?) -> Bool
    {
        func isAligned(_ bytes: UnsafeRawBufferPointer) -> Bool {
            bytes.isEmpty || Int(bitPattern: bytes.baseAddress) % 8 == 0
        }
        guard isAligned(values), offsets.map(isAligned) ?? true else { return false }
        columns.append(
            Column(values: values, offsets: offsets.map { $0.bindMemory(to: Int32.self) }, childLength: childLength))
        return true
    }
}
