import CHDF5
import Kernels
import Support
import Synchronization

/// A dataset as a grid of tiles, each a block of little-endian elements in row-major order.
///
/// Tiles are the chunks of a chunked dataset and blocks of rows of others. Any thread may ask for a tile, with its own
/// scratch.
final class TileSource: Sendable {
    /// How tiles get into memory, best first.
    enum Way: Sendable {
        /// Chunks by `pread` and our own filters.
        case chunks(ChunkIndex, FilterPipeline)
        /// Stored chunks from libhdf5, our own filters.
        case libraryChunks(ChunkIndex, FilterPipeline)
        /// Rows by `pread` from this offset on.
        case contiguous(Int)
        /// Everything by libhdf5.
        case library
    }

    let file: HDF5File
    let handle: Handle
    let info: HDF5DatasetInfo
    let way: Way
    /// Elements of a tile along each axis, at least one axis.
    let tileShape: [Int]
    /// Tiles along each axis.
    let grid: [Int]
    let elementBytes: Int
    let tileBytes: Int
    /// One element's bytes for what was never written; nil if they are all zero.
    private let fill: [UInt8]?
    /// Tells this source from all others of the process, for what a scratch remembers.
    private let id: Int
    private static let nextID = Atomic<Int>(0)
    /// Why our own walk gave up, for errors to come.
    private let doubt: Doubt?

    /// Above this, a chunk is not believed.
    static let largestTile = 1 << 30

    /// Chooses the best way that `limit` allows. Call under the library's lock.
    init(file: HDF5File, handle: Handle, info: HDF5DatasetInfo, limit: HDF5ReadMethod) throws(HDF5Error) {
        func failure(_ code: HDF5Error.Code, _ message: String, _ advice: String? = nil) -> HDF5Error {
            HDF5Error(code, file: file.path, place: info.path, message: message, advice: advice)
        }
        guard let elementBytes = info.element.byteCount else {
            throw failure(.unsupported, "elements of type '\(info.element)' are not read")
        }
        guard !info.shape.isEmpty else { throw failure(.unsupported, "a scalar has no rows") }
        // Below this, no sum of a row number and a chunk's rows overflows.
        guard info.shape.allSatisfy({ $0 < 1 << 48 }) else { throw failure(.unsupported, "shape \(info.shape)") }
        let tileShape = info.chunkShape ?? Self.rowsShape(info.shape, elementBytes: elementBytes)
        guard let bytes = tileShape.product(times: elementBytes), bytes <= Self.largestTile else {
            throw failure(.unsupported, "a chunk of shape \(tileShape) is larger than \(Self.largestTile >> 20) MiB")
        }
        for filter in info.filters {
            if FilterPipeline([filter], elementBytes: elementBytes) == nil || limit == .library,
                H5Zfilter_avail(H5Z_filter_t(filter.id)) <= 0
            {
                let name = filter.name.isEmpty ? "" : " ('\(filter.name)')"
                throw failure(
                    .unavailableFilter, "its chunks went through filter \(filter.id)\(name), which is not available",
                    "install the plugin for libhdf5 and set HDF5_PLUGIN_PATH, or rewrite the file with gzip")
            }
        }
        self.file = file
        self.handle = handle
        self.info = info
        self.tileShape = tileShape
        self.elementBytes = elementBytes
        tileBytes = bytes
        grid = zip(info.shape, tileShape).map { $0.pieces(of: $1) }
        fill = try Self.fill(handle, info, file: file)
        id = Self.nextID.wrappingAdd(1, ordering: .relaxed).oldValue
        (way, doubt) = try Self.choose(file, handle, info, tileShape, elementBytes, limit)
    }

    /// A tile of whole rows, about 1 MiB.
    private static func rowsShape(_ shape: [Int], elementBytes: Int) -> [Int] {
        let row = max(1, shape.dropFirst().product(times: elementBytes) ?? .max)
        return [max(1, min(shape[0], (1 << 20) / row))] + shape.dropFirst().map { max(1, $0) }
    }

    private static func choose(
        _ file: HDF5File, _ handle: Handle, _ info: HDF5DatasetInfo, _ tileShape: [Int], _ elementBytes: Int,
        _ limit: HDF5ReadMethod
    ) throws(HDF5Error) -> (Way, Doubt?) {
        guard info.byteOrder == .littleEndian, limit != .library else { return (.library, nil) }
        if info.layout == .contiguous, limit == .fastest {
            let offset = H5Dget_offset(handle.id)
            if let count = info.byteCount, offset != pando_HADDR_UNDEF(), let start = Int(exactly: offset),
                start <= file.size, count <= file.size - start
            {
                return (.contiguous(start), nil)
            }
            return (.library, nil)
        }
        guard info.layout == .chunked, let pipeline = FilterPipeline(info.filters, elementBytes: elementBytes),
            let empty = ChunkIndex(shape: info.shape, chunk: tileShape, fileSize: file.size)
        else { return (.library, nil) }
        guard let known = HDF5Library.chunkCount(of: handle) else {
            throw HDF5Error(
                .damaged, file: file.path, place: info.path,
                message: "the chunk index cannot be read: \(HDF5Library.errorText())")
        }
        var doubt: Doubt?
        if limit == .fastest {
            do throws(Doubt) {
                var index = empty
                try walk(&index, file, handle, tileShape, elementBytes)
                if known == index.count { return (.chunks(index, pipeline), nil) }
                throw .damage("the chunk index has \(index.count) chunks, libhdf5 finds \(known)", at: 0)
            } catch { doubt = error }
        }
        var index = empty
        index.search(handle.id, chunk: tileShape)
        if known == index.count { return (.libraryChunks(index, pipeline), doubt) }
        // libhdf5 takes a chunk that it cannot find for one that was never written, and gives zeros.
        let reason = doubt.map { ", at byte \($0.offset): \($0.reason)" } ?? ""
        throw HDF5Error(
            .damaged, file: file.path, place: info.path,
            message: "the chunk index is damaged: \(known) chunks are listed, \(index.count) are found\(reason)")
    }

    private static func walk(
        _ index: inout ChunkIndex, _ file: HDF5File, _ handle: Handle, _ tileShape: [Int], _ elementBytes: Int
    ) throws(Doubt) {
        let superblock = file.superblock
        guard superblock.version <= 3, superblock.offsetSize == 8, superblock.lengthSize == 8 else {
            throw .unknown("superblock version \(superblock.version)", at: 0)
        }
        guard let address = Int(exactly: pando_object_address(handle.id)), address <= file.size else {
            throw .unknown("no address of the object header", at: 0)
        }
        let layout = try LayoutMessage(in: file.input, base: superblock.base, header: address)
        guard layout.dimensions == tileShape + [elementBytes] else {
            throw .damage("the layout has dimensions \(layout.dimensions)", at: superblock.base + address)
        }
        if let root = layout.root {
            try index.walk(file.input, base: superblock.base, root: root, chunk: tileShape)
        }
    }

    /// The fill value's bytes, or nil for zero.
    private static func fill(
        _ handle: Handle, _ info: HDF5DatasetInfo, file: HDF5File
    ) throws(HDF5Error) -> [UInt8]? {
        guard let plist = Handle(H5Dget_create_plist(handle.id)), let type = info.element.littleEndianType,
            let size = info.element.byteCount
        else { return nil }
        var status = H5D_FILL_VALUE_DEFAULT
        guard H5Pfill_value_defined(plist.id, &status) >= 0, status == H5D_FILL_VALUE_USER_DEFINED else { return nil }
        var bytes = [UInt8](repeating: 0, count: size)
        guard H5Pget_fill_value(plist.id, type, &bytes) >= 0 else {
            throw HDF5Error(
                .library, file: file.path, place: info.path,
                message: "cannot read the fill value: \(HDF5Library.errorText())")
        }
        return bytes.allSatisfy { $0 == 0 } ? nil : bytes
    }

    /// The elements of a tile, valid until the scratch is used again, with slack behind them; nil if all are zero.
    /// Elements beyond the dataset's shape are not defined.
    func tile(_ coordinates: [Int], _ scratch: HDF5Scratch) throws(HDF5Error) -> UnsafeRawPointer? {
        var cell = 0
        for (axis, coordinate) in coordinates.enumerated() { cell = cell * grid[axis] + coordinate }
        switch way {
        case .chunks(let index, let pipeline), .libraryChunks(let index, let pipeline):
            return try chunk(index.entries[cell], pipeline, coordinates, scratch)
        case .contiguous(let offset):
            scratch.chunk.reserve(tileBytes + HDF5Scratch.slack)
            // The last tile may be shorter; the whole extent was compared with the file's size.
            let rowBytes = tileBytes / tileShape[0]
            let start = offset + coordinates[0] * tileBytes
            let rows = min(tileShape[0], info.shape[0] - coordinates[0] * tileShape[0])
            do throws(SystemError) {
                try file.input.read(
                    at: start, into: UnsafeMutableRawBufferPointer(start: scratch.chunk.base, count: rows * rowBytes))
            } catch { throw HDF5Error(error, place: "\(info.path), \(error.place)") }
            return UnsafeRawPointer(scratch.chunk.base)
        case .library:
            return try libraryTile(coordinates, scratch)
        }
    }

    private func chunk(
        _ entry: ChunkIndex.Entry, _ pipeline: FilterPipeline, _ coordinates: [Int], _ scratch: HDF5Scratch
    ) throws(HDF5Error) -> UnsafeRawPointer? {
        guard entry.address != ChunkIndex.Entry.missing else { return filled(scratch) }
        let stored = Int(entry.stored)
        guard stored > 0, stored <= FilterPipeline.bound(tileBytes), stored <= file.size else {
            throw damage(coordinates, entry, "it claims \(stored) stored bytes for \(tileBytes)")
        }
        scratch.stored.reserve(stored + HDF5Scratch.slack)
        var mask = entry.mask
        if entry.address == ChunkIndex.Entry.unknown {
            mask = try readStored(coordinates, entry, scratch)
        } else {
            guard entry.address <= UInt64(file.size), stored <= file.size - Int(entry.address) else {
                throw damage(coordinates, entry, "its \(stored) bytes end behind the file's \(file.size)")
            }
            do throws(SystemError) {
                try file.input.read(
                    at: Int(entry.address),
                    into: UnsafeMutableRawBufferPointer(start: scratch.stored.base, count: stored))
            } catch {
                if error.code == .truncated { throw damage(coordinates, entry, error.message) }
                throw HDF5Error(error, place: "\(info.path), chunk \(coordinates)")
            }
        }
        if scratch.isKnownZero(id, stored: stored, mask: mask) { return nil }
        var reason = ""
        guard
            let bytes = pipeline.undo(
                stored: stored, mask: mask, chunkBytes: tileBytes, scratch: scratch, reason: &reason)
        else { throw damage(coordinates, entry, reason) }
        // Zeros deflate by a factor near 1,000: only strongly compressed chunks are worth the look.
        if stored <= tileBytes / 64 + 64, pando_hdf5_is_zero(bytes, tileBytes) == 1 {
            scratch.rememberZero(id, stored: stored, mask: mask)
            return nil
        }
        return bytes
    }

    /// A tile that was never written.
    private func filled(_ scratch: HDF5Scratch) -> UnsafeRawPointer? {
        guard let fill else { return nil }
        scratch.chunk.reserve(tileBytes + HDF5Scratch.slack)
        for start in stride(from: 0, to: tileBytes, by: elementBytes) {
            for (index, byte) in fill.enumerated() {
                scratch.chunk.base.storeBytes(of: byte, toByteOffset: start + index, as: UInt8.self)
            }
        }
        return UnsafeRawPointer(scratch.chunk.base)
    }

    /// Reads a chunk's stored bytes by libhdf5 and returns its filter mask.
    private func readStored(
        _ coordinates: [Int], _ entry: ChunkIndex.Entry, _ scratch: HDF5Scratch
    ) throws(HDF5Error) -> UInt32 {
        HDF5Library.enter()
        defer { HDF5Library.leave() }
        let corner = zip(coordinates, tileShape).map { hsize_t($0 * $1) }
        var mask: UInt32 = 0
        guard H5Dread_chunk(handle.id, pando_H5P_DEFAULT(), corner, &mask, scratch.stored.base) >= 0 else {
            throw damage(coordinates, entry, HDF5Library.errorText())
        }
        return mask
    }

    private func libraryTile(_ coordinates: [Int], _ scratch: HDF5Scratch) throws(HDF5Error) -> UnsafeRawPointer? {
        HDF5Library.enter()
        defer { HDF5Library.leave() }
        scratch.chunk.reserve(tileBytes + HDF5Scratch.slack)
        let start = zip(coordinates, tileShape).map { hsize_t($0 * $1) }
        let count = info.shape.indices.map { axis in
            hsize_t(min(tileShape[axis], info.shape[axis] - coordinates[axis] * tileShape[axis]))
        }
        let zero = [hsize_t](repeating: 0, count: start.count)
        let extent = tileShape.map { hsize_t($0) }
        guard let type = info.element.littleEndianType, let space = Handle(H5Dget_space(handle.id)),
            let memory = Handle(H5Screate_simple(Int32(extent.count), extent, nil)),
            H5Sselect_hyperslab(space.id, H5S_SELECT_SET, start, nil, count, nil) >= 0,
            H5Sselect_hyperslab(memory.id, H5S_SELECT_SET, zero, nil, count, nil) >= 0,
            H5Dread(handle.id, type, memory.id, space.id, pando_H5P_DEFAULT(), scratch.chunk.base) >= 0
        else {
            throw HDF5Error(
                .library, file: file.path, place: "\(info.path), elements from \(start)",
                message: HDF5Library.errorText())
        }
        return UnsafeRawPointer(scratch.chunk.base)
    }

    private func damage(_ coordinates: [Int], _ entry: ChunkIndex.Entry, _ reason: String) -> HDF5Error {
        var place = "\(info.path), chunk \(coordinates)"
        if entry.address < ChunkIndex.Entry.unknown { place += ", byte \(entry.address)" }
        let before = doubt.map { " (the chunk index is in doubt at byte \($0.offset): \($0.reason))" } ?? ""
        return HDF5Error(
            .damaged, file: file.path, place: place, message: reason + before,
            advice: "get a new copy of the file, or leave it out")
    }
}
