import Support

/// Rows of padded datasets without their padding: a count per row, and one packed column after the other.
///
/// `@unchecked Sendable`: the memory is owned by the band, written before the band is handed out, and never after.
public final class JaggedBand: @unchecked Sendable {
    /// The rows of the datasets.
    public let rows: Range<Int>
    /// Filled slots of all rows together.
    public let total: Int
    /// Bytes of an element of each column.
    public let elementBytes: [Int]
    private let offsets: [Int]
    private let memory: UnsafeMutableRawPointer

    /// Memory for some rows and columns, not initialised.
    init(rows: Range<Int>, total: Int, elementBytes: [Int]) {
        self.rows = rows
        self.total = total
        self.elementBytes = elementBytes
        var end = JaggedBand.room(rows.count, 4)
        var offsets: [Int] = []
        for size in elementBytes {
            offsets.append(end)
            end += JaggedBand.room(total, size)
        }
        self.offsets = offsets
        memory = .allocate(byteCount: end, alignment: 64)
    }

    deinit {
        memory.deallocate()
    }

    /// Bytes for a column: a multiple of 64, with slack for kernels that write whole blocks.
    private static func room(_ count: Int, _ size: Int) -> Int {
        (count * size + HDF5Scratch.slack + 63) & ~63
    }

    /// How many slots of each row are filled.
    public var counts: UnsafeBufferPointer<UInt32> {
        UnsafeBufferPointer(start: UnsafePointer(mutableCounts), count: rows.count)
    }

    /// Column `index` (columns of the first dataset, then of the second, ...): `total` little-endian elements, row by
    /// row, aligned to 64 bytes. At least 64 bytes behind them may be read.
    public func column(_ index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: mutableColumn(index), count: total * elementBytes[index])
    }

    var mutableCounts: UnsafeMutablePointer<UInt32> {
        memory.assumingMemoryBound(to: UInt32.self)
    }

    func mutableColumn(_ index: Int) -> UnsafeMutableRawPointer {
        memory + offsets[index]
    }
}
