import Kernels
import Support

/// The rows of a window in the order in which they come.
///
/// `@unchecked Sendable`: one thread fills it while nobody else has it; then nobody changes it until its rows were used.
final class WindowBuffer: @unchecked Sendable {
    private(set) var positions = 0..<0
    private(set) var batches: [Int] = []
    private let places = AlignedBuffer()

    /// The rows, by position in the window.
    var rows: UnsafeMutablePointer<pando_stored_row> { places.base.assumingMemoryBound(to: pando_stored_row.self) }

    /// Room for windows of `rows` rows of `count` record batches; pages come when they are written to.
    init(rows: Int, batches count: Int) {
        places.reserve(rows * MemoryLayout<pando_stored_row>.stride)
        batches.reserveCapacity(count)
    }

    /// Bytes of its memory.
    var bytes: Int { places.capacity }

    /// Gets a window's record batches and puts its rows in order.
    /// - Throws: What reading throws; then no record batch is kept.
    func fill(
        _ unit: RankPlan.UnitWindow, from reader: StoredReader, store: BatchStore, order: WindowOrder
    ) throws {
        let window = unit.window
        positions = unit.positions
        batches.removeAll(keepingCapacity: true)
        places.reserve(positions.count * MemoryLayout<pando_stored_row>.stride)
        order.compute(window, of: unit.plan)
        // The first one is read at once; the system begins with the others meanwhile.
        for segment in window.segments.dropFirst() where !store.holds(segment.batch) { reader.advise(segment.batch) }
        // Rows of the order are counted over the segments; each segment fills in its own.
        var first = 0
        for segment in window.segments {
            let loaded: LoadedBatch
            do {
                loaded = try reader.pin(segment.batch)
            } catch {
                release(to: store)
                throw error
            }
            batches.append(segment.batch)
            let range = first..<first + segment.rows.count
            order.forEach(in: range) { position, index in
                let row = loaded.row(segment.rows.lowerBound + index - first)
                rows[position] = pando_stored_row(from: UnsafePointer(loaded.view), row: Int64(row))
            }
            first = range.upperBound
        }
    }

    /// Lets the record batches go.
    func release(to store: BatchStore) {
        for batch in batches { store.unpin(batch) }
        batches.removeAll(keepingCapacity: true)
    }
}

/// Computes orders of windows in memory of its own. Not Sendable: one thread owns it.
final class WindowOrder {
    private let keys = AlignedBuffer()
    private let scratch = AlignedBuffer()
    private let counts = AlignedBuffer()
    private var count = 0

    /// Makes room, so that computing need not.
    func reserve(rows: Int, segments: Int) {
        keys.reserve(rows * 8)
        scratch.reserve(rows * 8)
        counts.reserve(segments * 4)
    }

    /// Computes what `ShufflePlan.order(of:)` says, and its inverse.
    func compute(_ window: ShufflePlan.Window, of plan: ShufflePlan) {
        count = window.positions.count
        keys.reserve(count * 8)
        scratch.reserve(count * 8)
        let order = keys.base.assumingMemoryBound(to: UInt64.self)
        if plan.shuffles {
            counts.reserve(window.segments.count * 4)
            let lengths = counts.base.assumingMemoryBound(to: UInt32.self)
            for (index, segment) in window.segments.enumerated() {
                lengths[index] = UInt32(clamping: segment.rows.count)
            }
            pando_window_order(
                window.segments.count, lengths, plan.orderState(of: window), order,
                scratch.base.assumingMemoryBound(to: UInt64.self))
        } else {
            for index in 0..<count { order[index] = UInt64(index) }
        }
        // What sorting needed is free now.
        for position in 0..<count { positions[row(at: position)] = UInt32(truncatingIfNeeded: position) }
    }

    private var positions: UnsafeMutablePointer<UInt32> { scratch.base.assumingMemoryBound(to: UInt32.self) }

    /// The row at a position of the window, counted over its segments one after the other.
    @inline(__always)
    func row(at position: Int) -> Int {
        Int(keys.base.assumingMemoryBound(to: UInt64.self)[position] & 0xffff_ffff)
    }

    /// Calls `body` with the position and the row of each row in `range`, in the order of the rows: looking through all positions
    /// for each segment would take as long as segments times rows.
    @inline(__always)
    func forEach(in range: Range<Int>, _ body: (_ position: Int, _ row: Int) -> Void) {
        let positions = positions
        for row in range { body(Int(positions[row]), row) }
    }
}
