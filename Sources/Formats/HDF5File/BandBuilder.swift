import Kernels
import Support

/// Makes one band out of chunks, holding one inflated chunk at a time.
struct BandBuilder {
    let rows: Range<Int>
    let slots: Int
    let elementBytes: [Int]
    let scratch: HDF5Scratch
    private let counts: AlignedBuffer
    /// How much of the scratch is taken: extents in elements, data in bytes.
    private var usedExtents = 0
    private var usedData = 0
    /// Whether a chunk raised a count since this was last set to false.
    private var isRaised = false

    /// The columns of a dataset that lie in the same chunks.
    struct Group {
        let source: TileSource
        /// The last coordinate of the chunks; 0 for a dataset of two axes.
        let z: Int
        /// Columns of the chunks that belong to the dataset.
        let columns: Int
        /// Columns of the chunks.
        let chunkColumns: Int
        /// The first column's place in the band.
        let firstColumn: Int

        static func all(of source: TileSource, columns: Int, firstColumn: Int) -> [Group] {
            guard source.grid.count == 3 else {
                return [Group(source: source, z: 0, columns: 1, chunkColumns: 1, firstColumn: firstColumn)]
            }
            let width = source.tileShape[2]
            return (0..<source.grid[2]).map { z in
                Group(
                    source: source, z: z, columns: min(width, columns - z * width), chunkColumns: width,
                    firstColumn: firstColumn + z * width)
            }
        }
    }

    /// A chunk's part of a band, compacted into the scratch.
    private struct Piece {
        /// Rows, counted from the band's first.
        var rows: Range<Int>
        /// Where its extents begin in the scratch, in elements; 0 (where zeros are) if all slots are empty.
        var extents = 0
        /// Where its columns begin in the scratch, and how far apart they are, in bytes.
        var data = 0
        var stride = 0
    }

    init(rows: Range<Int>, slots: Int, elementBytes: [Int], scratch: HDF5Scratch) {
        self.rows = rows
        self.slots = slots
        self.elementBytes = elementBytes
        self.scratch = scratch
        counts = AlignedBuffer(capacity: rows.count * 4)
        clear()
    }

    /// Begins again.
    private mutating func clear() {
        counts.base.initializeMemory(as: UInt8.self, repeating: 0, count: rows.count * 4)
        clearScratch()
    }

    private mutating func clearScratch() {
        // The first entries are zero: the extents of every empty piece.
        scratch.extents.reserve(rows.count * 2)
        scratch.extents.base.initializeMemory(as: UInt8.self, repeating: 0, count: rows.count * 2)
        usedExtents = rows.count
        usedData = 0
    }

    /// Compacts all chunks in the order of the file, then puts all columns together.
    mutating func buildAtOnce(_ groups: [Group]) throws(HDF5Error) -> JaggedBand {
        clear()
        var pieces = [[Piece]](repeating: [], count: groups.count)
        var start = 0
        while start < groups.count {
            let end = groups[start...].firstIndex { $0.source !== groups[start].source } ?? groups.count
            let source = groups[start].source
            for y in chunkRows(of: source) {
                for x in 0..<source.grid[1] {
                    for index in start..<end { pieces[index].append(try compact(groups[index], y: y, x: x)) }
                }
            }
            start = end
        }
        let band = makeBand()
        for (group, pieces) in zip(groups, pieces) { gather(group, pieces, into: band) }
        return band
    }

    /// Takes the counts from the first group of columns and finishes each group before the next.
    /// - Returns: nil if a later column has content beyond these counts.
    mutating func buildGroupByGroup(_ groups: [Group]) throws(HDF5Error) -> JaggedBand? {
        clear()
        var band: JaggedBand?
        for group in groups {
            clearScratch()
            isRaised = false
            var pieces: [Piece] = []
            for y in chunkRows(of: group.source) {
                for x in 0..<group.source.grid[1] { pieces.append(try compact(group, y: y, x: x)) }
            }
            if band != nil, isRaised { return nil }
            let target = band ?? makeBand()
            gather(group, pieces, into: target)
            band = target
        }
        return band
    }

    private func chunkRows(of source: TileSource) -> ClosedRange<Int> {
        rows.lowerBound / source.tileShape[0]...(rows.upperBound - 1) / source.tileShape[0]
    }

    /// Inflates a chunk and keeps what is filled of its rows.
    private mutating func compact(_ group: Group, y: Int, x: Int) throws(HDF5Error) -> Piece {
        let source = group.source
        let (chunkRows, chunkSlots) = (source.tileShape[0], source.tileShape[1])
        let slotBytes = group.chunkColumns * source.elementBytes
        let rowBytes = chunkSlots * slotBytes
        let part = (y * chunkRows..<y * chunkRows + chunkRows).clamped(to: rows)
        var piece = Piece(rows: part.lowerBound - rows.lowerBound..<part.upperBound - rows.lowerBound)
        guard let tile = try source.tile(source.grid.count == 2 ? [y, x] : [y, x, group.z], scratch) else {
            return piece
        }
        let first = tile + (part.lowerBound - y * chunkRows) * rowBytes
        scratch.extents.reserve((usedExtents + part.count) * 2, keeping: usedExtents * 2)
        let extents = scratch.extents.base.assumingMemoryBound(to: UInt16.self) + usedExtents
        let filled = pando_hdf5_extents(
            first, part.count, rowBytes, min(chunkSlots, slots - x * chunkSlots), slotBytes,
            group.columns * source.elementBytes, extents)
        guard filled > 0 else { return piece }
        piece.stride = (filled * source.elementBytes + HDF5Scratch.slack + 63) & ~63
        piece.extents = usedExtents
        piece.data = usedData
        let end = usedData + group.columns * piece.stride
        scratch.staging.reserve(end, keeping: usedData)
        pando_hdf5_split(
            first, part.count, rowBytes, group.chunkColumns, group.columns, source.elementBytes, extents,
            scratch.staging.base + usedData, piece.stride)
        let counts = counts.base.assumingMemoryBound(to: UInt32.self) + piece.rows.lowerBound
        if pando_hdf5_raise_counts(counts, extents, part.count, UInt32(x * chunkSlots)) != 0 { isRaised = true }
        usedExtents += part.count
        usedData = end
        return piece
    }

    /// A band for the counts as they are.
    private func makeBand() -> JaggedBand {
        var total = 0
        for count in counts.elements(UInt32.self, count: rows.count) { total += Int(count) }
        let band = JaggedBand(rows: rows, total: total, elementBytes: elementBytes)
        band.mutableCounts.update(from: counts.base.assumingMemoryBound(to: UInt32.self), count: rows.count)
        return band
    }

    /// Puts the pieces of a group together, column by column.
    private func gather(_ group: Group, _ pieces: [Piece], into band: JaggedBand) {
        let across = group.source.grid[1]
        guard across > 0 else { return }
        let allExtents = UnsafePointer(scratch.extents.base.assumingMemoryBound(to: UInt16.self))
        let staging = UnsafePointer(scratch.staging.base.assumingMemoryBound(to: UInt8.self))
        var cursors = [UnsafePointer<UInt8>?](repeating: nil, count: across)
        var extents = [UnsafePointer<UInt16>?](repeating: nil, count: across)
        for column in 0..<group.columns {
            var target = band.mutableColumn(group.firstColumn + column)
            for start in stride(from: 0, to: pieces.count, by: across) {
                for x in 0..<across {
                    let piece = pieces[start + x]
                    cursors[x] = staging + piece.data + column * piece.stride
                    extents[x] = allExtents + piece.extents
                }
                let rows = pieces[start].rows
                target = pando_hdf5_gather(
                    target, band.counts.baseAddress.map { $0 + rows.lowerBound }, rows.count,
                    group.source.tileShape[1], group.source.elementBytes, &cursors, extents)
            }
        }
    }
}
