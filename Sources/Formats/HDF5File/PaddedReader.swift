import Kernels
import Support

/// Reads bands of rows of one or several datasets of shape [rows, slots, columns] or [rows, slots] that share their
/// padding.
///
/// Row i has 1 + (last slot with any non-zero bit in any column of any of the datasets) elements: NaN, -0.0 and empty
/// slots in the middle are content. Threads may share a reader; each brings its own scratch.
public final class PaddedReader: Sendable {
    /// The datasets.
    public let infos: [HDF5DatasetInfo]
    /// Rows of each of them.
    public let rows: Int
    /// Slots of a row, filled or not.
    public let slots: Int
    /// Bytes of an element of each column, of all datasets in turn.
    public let elementBytes: [Int]
    /// Rows of a band (the last one may have fewer): a multiple of the chunk rows where these agree.
    public let bandRows: Int
    private let sources: [TileSource]
    private let columns: [Int]

    /// A reader for datasets of equal rows and slots.
    /// - Throws: `HDF5Error`: `unsupported` for other shapes and types, `unavailableFilter`, `damaged`.
    public init(_ datasets: [HDF5Dataset], method: HDF5ReadMethod = .fastest) throws(HDF5Error) {
        guard let first = datasets.first else {
            throw HDF5Error(.usage, file: "", message: "a padded reader needs a dataset")
        }
        var sources: [TileSource] = []
        for dataset in datasets {
            let shape = dataset.info.shape
            func failure(_ message: String) -> HDF5Error {
                HDF5Error(.unsupported, file: dataset.file.path, place: dataset.info.path, message: message)
            }
            guard shape.count == 2 || shape.count == 3 else {
                throw failure("shape \(shape) is not [rows, slots] or [rows, slots, columns]")
            }
            guard Array(shape.prefix(2)) == Array(first.info.shape.prefix(2)) else {
                throw failure("shape \(shape) does not go with \(first.info.shape) of \(first.info.path)")
            }
            // Extents are kept in 16 bits, and a row must not be an absurdity.
            guard shape[1] <= 65_535, let row = shape.dropFirst().product(), row <= 1 << 20 else {
                throw failure("a row of \(shape.dropFirst()) elements is too long")
            }
            let source = try dataset.source(method)
            guard source.tileShape[1] <= 65_535 else { throw failure("a chunk of \(source.tileShape[1]) slots") }
            sources.append(source)
        }
        self.sources = sources
        infos = datasets.map(\.info)
        rows = first.info.shape[0]
        slots = first.info.shape[1]
        columns = infos.map { $0.shape.count == 2 ? 1 : $0.shape[2] }
        elementBytes = zip(sources, columns).flatMap { Array(repeating: $0.elementBytes, count: $1) }
        bandRows = Self.bandRows(sources.map { $0.tileShape[0] }, rows: rows)
    }

    /// A common multiple of the chunk rows if there is one of sensible size, otherwise the largest; at least about 256
    /// rows, so that tiny chunks do not make tiny bands.
    private static func bandRows(_ chunkRows: [Int], rows: Int) -> Int {
        let largest = chunkRows.max() ?? 1
        var unit = 1
        for count in chunkRows {
            let (product, overflow) = (unit / gcd(unit, count)).multipliedReportingOverflow(by: count)
            guard !overflow, product <= max(4 * largest, 1024) else {
                unit = largest
                break
            }
            unit = product
        }
        return max(1, min(unit * 256.pieces(of: unit), max(rows, 1)))
    }

    private static func gcd(_ a: Int, _ b: Int) -> Int { b == 0 ? a : gcd(b, a % b) }

    /// How many bands there are.
    public var bandCount: Int { rows.pieces(of: bandRows) }

    /// The rows of a band.
    public func rows(ofBand band: Int) -> Range<Int> {
        band * bandRows..<min(rows, (band + 1) * bandRows)
    }

    /// Bytes of a band if no slot were empty: the most that `readBand` returns, and about the most that its scratch
    /// holds besides two chunks.
    public var estimatedBandBytes: Int {
        let row = slots * elementBytes.reduce(0, +)
        return [bandRows, row + 4].product() ?? .max
    }

    /// A chunk's part of a band, compacted into the scratch.
    private struct Piece {
        /// Rows, counted from the band's first.
        var rows: Range<Int>
        /// Where its extents begin in the scratch, in elements; nil if all slots are empty.
        var extents: Int?
        /// Where its columns begin in the scratch, and how far apart they are, in bytes.
        var data: Int
        var stride: Int
    }

    /// Reads a band.
    /// - Throws: `HDF5Error`; `damaged` names dataset, chunk and byte offset.
    public func readBand(_ band: Int, scratch: HDF5Scratch) throws(HDF5Error) -> JaggedBand {
        guard band >= 0, band < bandCount else {
            throw HDF5Error(
                .usage, file: sources[0].file.path, place: infos[0].path, message: "no band \(band) of \(bandCount)")
        }
        let range = rows(ofBand: band)
        let counts = AlignedBuffer(capacity: range.count * 4)
        counts.base.initializeMemory(as: UInt8.self, repeating: 0, count: range.count * 4)
        // The first entries are zero: the extents of every empty piece.
        scratch.extents.reserve(range.count * 2)
        scratch.extents.base.initializeMemory(as: UInt8.self, repeating: 0, count: range.count * 2)
        var used = Used(extents: range.count, data: 0)
        var pieces: [[Piece]] = []
        for (source, columns) in zip(sources, columns) {
            pieces.append(try compact(source, columns, range, counts, &used, scratch))
        }
        var total = 0
        for count in counts.elements(UInt32.self, count: range.count) { total += Int(count) }
        let result = JaggedBand(rows: range, total: total, elementBytes: elementBytes)
        result.mutableCounts.update(from: counts.base.assumingMemoryBound(to: UInt32.self), count: range.count)
        var column = 0
        for index in sources.indices {
            gather(sources[index], columns[index], pieces[index], into: result, firstColumn: column, scratch)
            column += columns[index]
        }
        return result
    }

    /// How much of the scratch is taken: extents in elements, data in bytes.
    private struct Used {
        var extents: Int
        var data: Int
    }

    /// Inflates the chunks of a band one after the other and keeps what is filled, in the order (rows, slots, columns).
    private func compact(
        _ source: TileSource, _ columns: Int, _ range: Range<Int>, _ counts: AlignedBuffer, _ used: inout Used,
        _ scratch: HDF5Scratch
    ) throws(HDF5Error) -> [Piece] {
        let (chunkRows, chunkSlots) = (source.tileShape[0], source.tileShape[1])
        let chunkColumns = source.tileShape.count == 2 ? 1 : source.tileShape[2]
        let size = source.elementBytes
        let slotBytes = chunkColumns * size
        let rowBytes = chunkSlots * slotBytes
        var pieces: [Piece] = []
        for y in range.lowerBound / chunkRows...(range.upperBound - 1) / chunkRows {
            let part = (y * chunkRows..<min(rows, (y + 1) * chunkRows)).clamped(to: range)
            let local = part.lowerBound - range.lowerBound..<part.upperBound - range.lowerBound
            for x in 0..<source.grid[1] {
                for z in 0..<(source.grid.count == 2 ? 1 : source.grid[2]) {
                    let tile = try source.tile(source.grid.count == 2 ? [y, x] : [y, x, z], scratch)
                    var piece = Piece(rows: local, extents: nil, data: 0, stride: 0)
                    if let tile {
                        let first = tile + (part.lowerBound - y * chunkRows) * rowBytes
                        let valid = min(chunkColumns, columns - z * chunkColumns)
                        scratch.extents.reserve((used.extents + part.count) * 2, keeping: used.extents * 2)
                        let extents = scratch.extents.base.assumingMemoryBound(to: UInt16.self) + used.extents
                        let filled = pando_hdf5_extents(
                            first, part.count, rowBytes, min(chunkSlots, slots - x * chunkSlots), slotBytes,
                            valid * size, extents)
                        if filled > 0 {
                            piece.stride = (filled * size + HDF5Scratch.slack + 63) & ~63
                            piece.extents = used.extents
                            piece.data = used.data
                            let end = used.data + valid * piece.stride
                            scratch.staging.reserve(end, keeping: used.data)
                            pando_hdf5_split(
                                first, part.count, rowBytes, chunkColumns, valid, size, extents,
                                scratch.staging.base + used.data, piece.stride)
                            pando_hdf5_raise_counts(
                                counts.base.assumingMemoryBound(to: UInt32.self) + local.lowerBound, extents,
                                part.count, UInt32(x * chunkSlots))
                            used.extents += part.count
                            used.data = end
                        }
                    }
                    pieces.append(piece)
                }
            }
        }
        return pieces
    }

    /// Puts the pieces of a dataset together, column by column.
    private func gather(
        _ source: TileSource, _ columns: Int, _ pieces: [Piece], into band: JaggedBand, firstColumn: Int,
        _ scratch: HDF5Scratch
    ) {
        let chunkColumns = source.tileShape.count == 2 ? 1 : source.tileShape[2]
        let (across, deep) = (source.grid[1], source.grid.count == 2 ? 1 : source.grid[2])
        guard across > 0, deep > 0 else { return }
        let none = UnsafePointer(scratch.extents.base.assumingMemoryBound(to: UInt16.self))
        let staging = UnsafePointer(scratch.staging.base.assumingMemoryBound(to: UInt8.self))
        var cursors = [UnsafePointer<UInt8>?](repeating: nil, count: across)
        var extents = [UnsafePointer<UInt16>?](repeating: nil, count: across)
        for column in 0..<columns {
            var target = band.mutableColumn(firstColumn + column)
            for start in stride(from: 0, to: pieces.count, by: across * deep) {
                for x in 0..<across {
                    let piece = pieces[start + x * deep + column / chunkColumns]
                    cursors[x] = staging + piece.data + column % chunkColumns * piece.stride
                    extents[x] = none + (piece.extents ?? 0)
                }
                let rows = pieces[start].rows
                target = pando_hdf5_gather(
                    target, band.counts.baseAddress.map { $0 + rows.lowerBound }, rows.count, source.tileShape[1],
                    source.elementBytes, &cursors, extents)
            }
        }
    }
}
