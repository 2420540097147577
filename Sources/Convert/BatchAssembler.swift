import Shards

/// A record batch's rows in slices: which rows of which input.
struct AssembledRows {
    var input: Int
    var rows: Range<Int>
}

/// Gathers the rows of a record batch from slices into contiguous columns.
struct BatchAssembler {
    private let widths: [Int]
    private let constituentFields: [Int]
    private let jetFields: [Int]

    init(encoding: JetEncoding) {
        widths = encoding.fields.map(\.type.width)
        constituentFields = encoding.fields.indices.filter { encoding.fields[$0].role == .constituent }
        jetFields = encoding.fields.indices.filter { encoding.fields[$0].role != .constituent }
    }

    /// Fills `columns` with the given rows of the given slices, in order.
    func assemble(_ parts: [(rows: Range<Int>, slice: RowSlice)], into columns: JetColumns) {
        let rows = parts.reduce(0) { $0 + $1.rows.count }
        var constituents = 0
        for part in parts {
            for (band, local) in overlaps(part) {
                constituents += band.offsets[local.upperBound] - band.offsets[local.lowerBound]
            }
        }
        columns.resize(rows: rows, constituents: constituents)
        let offsets = columns.offsetNumbers
        offsets[0] = 0
        var row = 0, place = 0
        for part in parts {
            let skipped = part.rows.lowerBound - part.slice.rows.lowerBound
            for (number, field) in jetFields.enumerated() {
                let width = widths[field]
                (columns.fields[field].base + row * width).copyMemory(
                    from: part.slice.jetColumns[number] + skipped * width, byteCount: part.rows.count * width)
            }
            guard !constituentFields.isEmpty else {
                for index in row..<row + part.rows.count { offsets[index + 1] = 0 }
                row += part.rows.count
                continue
            }
            for (band, local) in overlaps(part) {
                let start = band.offsets[local.lowerBound], end = band.offsets[local.upperBound]
                for (number, field) in constituentFields.enumerated() {
                    let width = widths[field]
                    (columns.fields[field].base + place * width).copyMemory(
                        from: band.columns[number] + start * width, byteCount: (end - start) * width)
                }
                for index in local {
                    row += 1
                    offsets[row] = Int32(truncatingIfNeeded: place + band.offsets[index + 1] - start)
                }
                place += end - start
            }
        }
    }

    private func overlaps(_ part: (rows: Range<Int>, slice: RowSlice)) -> [(band: RowSlice.Band, rows: Range<Int>)] {
        part.slice.bands.compactMap { band in
            let common = part.rows.clamped(to: band.rows)
            guard !common.isEmpty else { return nil }
            return (band, common.lowerBound - band.rows.lowerBound..<common.upperBound - band.rows.lowerBound)
        }
    }
}
