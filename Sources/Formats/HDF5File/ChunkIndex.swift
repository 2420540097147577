import CHDF5
import Support

/// Where each chunk of a dataset lies: a table over the chunk grid in row-major order.
struct ChunkIndex: Sendable {
    /// One chunk. The file may lie: address and size are compared with the file before they are used.
    struct Entry: Sendable {
        /// Offset from the beginning of the file; `missing` or `unknown`.
        var address: UInt64
        /// Bytes in the file.
        var stored: UInt32
        /// Bit i: filter i of the pipeline was skipped.
        var mask: UInt32

        static let missing: UInt64 = .max
        /// The chunk exists; only libhdf5 knows where.
        static let unknown: UInt64 = .max - 1
    }

    /// Chunks along each axis.
    let grid: [Int]
    private(set) var entries: [Entry]
    /// How many chunks exist.
    private(set) var count = 0

    /// An index without any chunk; nil if the grid is too large to hold, measured by the file that should fill it.
    init?(shape: [Int], chunk: [Int], fileSize: Int) {
        grid = zip(shape, chunk).map { $0.pieces(of: $1) }
        guard let cells = grid.product(), cells <= 1 << 22 + fileSize / 24 else { return nil }
        entries = Array(repeating: Entry(address: Entry.missing, stored: 0, mask: 0), count: cells)
    }

    /// The chunk coordinates of an entry.
    func coordinates(of cell: Int) -> [Int] {
        var rest = cell
        var coordinates = grid
        for axis in grid.indices.reversed() {
            coordinates[axis] = rest % grid[axis]
            rest /= grid[axis]
        }
        return coordinates
    }

    /// Fills the index by the own walk over the version-1 B-tree (section III.A.1 of the specification).
    mutating func walk(_ file: InputFile, base: Int, root: Int, chunk: [Int]) throws(Doubt) {
        var walker = BTreeWalk(file: file, base: base, chunk: chunk, grid: grid)
        try walker.visit(root, level: nil)
        for (cell, entry) in walker.found { entries[cell] = entry }
        count = walker.found.count
    }

    /// Fills the index with what libhdf5 finds by coordinates: sizes, not addresses. Linear, unlike
    /// `H5Dget_chunk_info`. Call under the library's lock.
    mutating func search(_ dataset: hid_t, chunk: [Int]) {
        var corner = [hsize_t](repeating: 0, count: chunk.count)
        for cell in entries.indices {
            for (axis, coordinate) in coordinates(of: cell).enumerated() {
                corner[axis] = hsize_t(coordinate * chunk[axis])
            }
            var stored: hsize_t = 0
            guard H5Dget_chunk_storage_size(dataset, &corner, &stored) >= 0, stored > 0,
                let size = UInt32(exactly: stored)
            else { continue }
            entries[cell] = Entry(address: Entry.unknown, stored: size, mask: 0)
            count += 1
        }
    }
}

/// The walk over a version-1 B-tree of chunks, depth first.
private struct BTreeWalk {
    let file: InputFile
    let base: Int
    let chunk: [Int]
    let grid: [Int]
    var found: [(Int, ChunkIndex.Entry)] = []
    private var nodes = 0
    private var last = -1

    init(file: InputFile, base: Int, chunk: [Int], grid: [Int]) {
        self.file = file
        self.base = base
        self.chunk = chunk
        self.grid = grid
    }

    /// Visits the node at `address`, which must be of `level` if that is known.
    mutating func visit(_ address: Int, level wanted: Int?) throws(Doubt) {
        let (offset, overflow) = address.addingReportingOverflow(base)
        guard !overflow, address >= 0, offset <= file.size - 24 else {
            throw .damage("a node of the chunk index beyond the file", at: base)
        }
        nodes += 1
        guard nodes <= file.size / 24 else { throw .damage("the chunk index runs in a circle", at: offset) }
        let keyBytes = 8 + 8 * (chunk.count + 1)
        // A full node has 64 entries; the file may end before, when the node is not full.
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try file.read(at: offset, count: min(24 + 64 * (keyBytes + 8) + keyBytes, file.size - offset))
        } catch { throw .damage(error.message, at: offset) }
        guard bytes.starts(with: Array("TREE".utf8)), bytes[4] == 1 else {
            throw .damage("no node of a chunk index", at: offset)
        }
        let level = Int(bytes[5])
        guard level <= 8, wanted == nil || wanted == level else {
            throw .damage("a node of the chunk index has level \(level)", at: offset)
        }
        let used = Int(bytes[6]) | Int(bytes[7]) << 8
        // More than 64 is possible (superblock version 1 says so); rare enough for libhdf5.
        guard used <= 64 else { throw .unknown("a node of the chunk index has \(used) entries", at: offset) }
        guard 24 + used * (keyBytes + 8) <= bytes.count else {
            throw .damage("a node of the chunk index runs out of the file", at: offset)
        }
        for index in 0..<used {
            let key = 24 + index * (keyBytes + 8)
            let child = bytes.withUnsafeBytes { UntrustedBytes($0).load(UInt64.self, at: key + keyBytes) } ?? .max
            if level > 0 {
                guard let child = Int(exactly: child) else {
                    throw .damage("a node of the chunk index at \(child)", at: offset + key)
                }
                try visit(child, level: level - 1)
            } else {
                try take(bytes, key: key, child: child, offset: offset + key)
            }
        }
    }

    private mutating func take(_ bytes: [UInt8], key: Int, child: UInt64, offset: Int) throws(Doubt) {
        var cell = 0
        let (stored, mask) = bytes.withUnsafeBytes { raw in
            (
                UntrustedBytes(raw).load(UInt32.self, at: key) ?? 0,
                UntrustedBytes(raw).load(UInt32.self, at: key + 4) ?? 0
            )
        }
        for axis in 0...chunk.count {
            let corner = bytes.withUnsafeBytes { UntrustedBytes($0).load(UInt64.self, at: key + 8 + 8 * axis) } ?? .max
            guard axis < chunk.count else {
                guard corner == 0 else { throw .damage("a chunk key with offset \(corner) in an element", at: offset) }
                break
            }
            let (coordinate, rest) = corner.quotientAndRemainder(dividingBy: UInt64(chunk[axis]))
            guard rest == 0, coordinate < UInt64(grid[axis]) else {
                throw .damage("a chunk at element \(corner) of axis \(axis), outside the grid", at: offset)
            }
            // Below the number of cells, which was checked to fit.
            cell = cell * grid[axis] + Int(coordinate)
        }
        guard cell > last else { throw .damage("the chunk index is out of order", at: offset) }
        last = cell
        guard child != .max, child <= UInt64.max - 1 - UInt64(base) else {
            throw .damage("a chunk without an address", at: offset)
        }
        found.append((cell, .init(address: child + UInt64(base), stored: stored, mask: mask)))
    }
}
