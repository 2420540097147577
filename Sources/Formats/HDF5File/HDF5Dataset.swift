import CHDF5
import Kernels

/// How far readers may go past libhdf5.
public enum HDF5ReadMethod: Sendable, CaseIterable {
    /// The chunk index and the chunks by `pread` where their form is known; otherwise the next.
    case fastest
    /// Stored chunks through libhdf5, filters undone here; otherwise the next.
    case libraryChunks
    /// Everything through libhdf5 (slow, one thread at a time): for comparison.
    case library
}

/// A chunk of a dataset as its file describes it.
public struct HDF5Chunk: Hashable, Sendable {
    /// The first element, along each axis.
    public var corner: [Int]
    /// Bytes from the beginning of the file; nil if only libhdf5 knows.
    public var address: Int?
    /// Bytes in the file.
    public var storedBytes: Int
    /// Bit i: filter i was skipped for this chunk. Zero where only libhdf5 knows.
    public var filterMask: UInt32
}

/// An open dataset: what readers are made from.
public final class HDF5Dataset: Sendable {
    /// The file it is in.
    public let file: HDF5File
    /// What the file says of it; stored bytes and chunks are not counted here.
    public let info: HDF5DatasetInfo
    private let handle: Handle

    init(file: HDF5File, path: String, handle: Handle) throws(HDF5Error) {
        self.file = file
        self.handle = handle
        info = try HDF5DatasetInfo(handle, path: path, file: file.path, counting: false)
    }

    func source(_ method: HDF5ReadMethod) throws(HDF5Error) -> TileSource {
        HDF5Library.enter()
        defer { HDF5Library.leave() }
        return try TileSource(file: file, handle: handle, info: info, limit: method)
    }

    /// The chunks that exist, in row-major order; nil if the dataset is not chunked or has filters only libhdf5 knows.
    /// - Throws: `HDF5Error`, if the chunk index is damaged.
    public func chunks(_ method: HDF5ReadMethod = .fastest) throws(HDF5Error) -> [HDF5Chunk]? {
        let source = try source(method)
        let index: ChunkIndex
        switch source.way {
        case .chunks(let known, _), .libraryChunks(let known, _): index = known
        case .contiguous, .library: return nil
        }
        return index.entries.indices.compactMap { cell in
            let entry = index.entries[cell]
            guard entry.address != ChunkIndex.Entry.missing else { return nil }
            return HDF5Chunk(
                corner: zip(index.coordinates(of: cell), source.tileShape).map { $0 * $1 },
                address: entry.address == ChunkIndex.Entry.unknown ? nil : Int(exactly: entry.address),
                storedBytes: Int(entry.stored), filterMask: entry.mask)
        }
    }

    /// Little-endian elements of some rows in row-major order, for small pieces of a dataset of any rank.
    /// - Throws: `HDF5Error`; `usage` if the rows are not there or are more than 1 GiB.
    public func bytes(
        rows: Range<Int>, method: HDF5ReadMethod = .fastest, scratch: HDF5Scratch = HDF5Scratch()
    ) throws(HDF5Error) -> [UInt8] {
        let source = try source(method)
        guard rows.lowerBound >= 0, rows.upperBound <= info.shape[0],
            let rowBytes = info.shape.dropFirst().product(times: source.elementBytes),
            let total = [rows.count, rowBytes].product(), total <= 1 << 30
        else {
            throw HDF5Error(.usage, file: file.path, place: info.path, message: "cannot give rows \(rows) at once")
        }
        var result = [UInt8](repeating: 0, count: total)
        guard total > 0 else { return result }
        let bands = rows.lowerBound / source.tileShape[0]...(rows.upperBound - 1) / source.tileShape[0]
        var coordinates = [Int](repeating: 0, count: source.grid.count)
        for band in bands {
            coordinates[0] = band
            repeat {
                if let tile = try source.tile(coordinates, scratch) {
                    result.withUnsafeMutableBytes { target in
                        copy(tile, coordinates, source, rows: rows, into: target)
                    }
                }
            } while Self.advance(&coordinates, grid: source.grid)
        }
        return result
    }

    /// The next coordinates with the same first one; false after the last.
    private static func advance(_ coordinates: inout [Int], grid: [Int]) -> Bool {
        var axis = grid.count - 1
        while axis > 0 {
            coordinates[axis] += 1
            if coordinates[axis] < grid[axis] { return true }
            coordinates[axis] = 0
            axis -= 1
        }
        return false
    }

    /// Copies the part of a tile that lies in the dataset and in `rows`, run by run along the last axis.
    private func copy(
        _ tile: UnsafeRawPointer, _ coordinates: [Int], _ source: TileSource, rows: Range<Int>,
        into target: UnsafeMutableRawBufferPointer
    ) {
        let size = source.elementBytes
        func visit(_ axis: Int, _ from: Int, _ to: Int) {
            let first = coordinates[axis] * source.tileShape[axis]
            var range = first..<min(first + source.tileShape[axis], info.shape[axis])
            var shift = 0
            if axis == 0 {
                range = range.clamped(to: rows)
                shift = rows.lowerBound
            }
            let extent = info.shape[axis]
            if axis == info.shape.count - 1 {
                let start = (to * (axis == 0 ? 1 : extent) + range.lowerBound - shift) * size
                guard !range.isEmpty, let base = target.baseAddress else { return }
                (base + start).copyMemory(
                    from: tile + (from * source.tileShape[axis] + range.lowerBound - first) * size,
                    byteCount: range.count * size)
                return
            }
            for index in range {
                visit(
                    axis + 1, from * source.tileShape[axis] + index - first,
                    axis == 0 ? index - shift : to * extent + index)
            }
        }
        visit(0, 0, 0)
    }
}
