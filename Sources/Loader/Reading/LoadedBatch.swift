import Kernels
import Shards
import Support

/// A record batch in memory: its stored columns, and which of its rows take part.
///
/// `@unchecked Sendable`: one thread fills it while nobody else has it; nothing changes while anybody does (`BatchStore`
/// counts its users).
final class LoadedBatch: @unchecked Sendable {
    let stored: StoredJets
    /// What the kernels see; at one address as long as this lives.
    let view: UnsafeMutablePointer<pando_stored>
    /// The record batch that it is, if it is used where it lies in a mapped shard.
    var mapped: Int?
    /// Rows that take part.
    private(set) var count = 0
    /// Their numbers, if not all rows take part.
    private let taken = AlignedBuffer()
    private var takesAll = true

    init(_ selection: StoredSelection) {
        stored = StoredJets(selection)
        view = .allocate(capacity: 1)
        view.initialize(to: pando_stored())
    }

    /// Makes room, so that reading need not.
    func reserve(rows: Int, constituents: Int, exceptions: Int, in arena: Arena?) {
        stored.reserve(rows: rows, constituents: constituents, exceptions: exceptions, in: arena)
        taken.reserve(rows * 4)
    }

    deinit {
        view.deallocate()
    }

    /// The row of the record batch that is number `index` among those that take part.
    @inline(__always)
    func row(_ index: Int) -> Int {
        takesAll ? index : Int(taken.base.assumingMemoryBound(to: Int32.self)[index])
    }

    /// Sets the view after the columns were read.
    func publish(firstRow: Int) {
        view.pointee = stored.view
        view.pointee.first_row = Int64(firstRow)
        takesAll = true
        count = stored.rows
    }

    /// Keeps the rows of a split.
    func keep(_ part: Int, of splits: Splits, columns: [Int]) {
        let rows = taken.reserved(stored.rows)
        var kept = 0
        // Hashes are over the numbers of an event one after the other; there are at most eight.
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: max(1, columns.count)) { event in
            for row in 0..<stored.rows {
                for (index, column) in columns.enumerated() {
                    event[index] = stored.values(column, as: UInt64.self)[row]
                }
                let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(event).prefix(columns.count * 8))
                rows[kept] = Int32(truncatingIfNeeded: row)
                if splits.part(ofEvent: bytes) == part { kept += 1 }
            }
        }
        takesAll = false
        count = kept
    }

    /// Keeps these rows, counted among those that took part until now. Returns whether all of them are there.
    func keep(_ chosen: [Int32]) -> Bool {
        guard Int(chosen.last ?? -1) < count else { return false }
        let all = takesAll, rows = taken.reserved(max(chosen.count, count))
        for (index, row) in chosen.enumerated() { rows[index] = all ? row : rows[Int(row)] }
        takesAll = false
        count = chosen.count
        return true
    }

    /// Bytes of its memory.
    var bytes: Int { stored.capacity + taken.capacity }
}

extension AlignedBuffer {
    /// Room for `count` 32-bit numbers.
    fileprivate func reserved(_ count: Int) -> UnsafeMutablePointer<Int32> {
        reserve(count * 4, keeping: capacity)
        return base.assumingMemoryBound(to: Int32.self)
    }
}
