import Shards

/// Where consecutive rows came from: which rows of which input.
public struct AssembledRows: Sendable, Equatable {
    /// The number of the input.
    public var input: Int
    /// Its rows.
    public var rows: Range<Int>

    /// Rows of an input.
    public init(input: Int, rows: Range<Int>) {
        self.input = input
        self.rows = rows
    }
}

/// Gathers the rows of a record batch from slices into contiguous columns.
struct BatchAssembler {
    private let widths: [Int]
    /// Fields of the encoding with their places among the columns of slices.
    private let constituentFields: [(field: Int, place: Int)]
    private let jetFields: [(field: Int, place: Int)]

    /// - Parameter schema: Tells what slices hold; the encoding may have fewer fields.
    init(encoding: JetEncoding, schema: SourceSchema) {
        let all = schema.fields, fields = encoding.fields
        widths = fields.map(\.type.width)
        func places(_ isWanted: (ColumnRole) -> Bool) -> [(field: Int, place: Int)] {
            all.filter { isWanted($0.role) }.enumerated().compactMap { place, described in
                fields.firstIndex { $0.name == described.name }.map { ($0, place) }
            }
        }
        constituentFields = places { $0 == .constituent }
        jetFields = places { $0 != .constituent }
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
            for (field, place) in jetFields {
                guard let values = part.slice.jetColumns[place] else { continue }
                let width = widths[field]
                (columns.fields[field].base + row * width).copyMemory(
                    from: values + skipped * width, byteCount: part.rows.count * width)
            }
            guard !constituentFields.isEmpty else {
                for index in row..<row + part.rows.count { offsets[index + 1] = 0 }
                row += part.rows.count
                continue
            }
            for (band, local) in overlaps(part) {
                let start = band.offsets[local.lowerBound], end = band.offsets[local.upperBound]
                for (field, column) in constituentFields {
                    guard let values = band.columns[column] else { continue }
                    let width = widths[field]
                    (columns.fields[field].base + place * width).copyMemory(
                        from: values + start * width, byteCount: (end - start) * width)
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
