import ArrowIPC
import Support

/// Decoded columns of consecutive jets of a dataset: those of the source bit for bit, and derived ones.
///
/// `@unchecked Sendable`: nothing is changed after it was made.
public final class JetRows: @unchecked Sendable {
    /// The rows in the dataset.
    public let rows: Range<Int>
    /// The columns in the order in which they were asked for.
    public let fields: [SourceField]
    /// Constituents of all jets.
    public private(set) var constituents = 0
    private let ends = AlignedBuffer()
    private let values: [AlignedBuffer]

    /// Reads and decodes rows; digests are checked before bytes are used.
    /// - Parameter columns: Names; nil: all of the source's. More are `Dataset.wholeEncoding`'s.
    /// - Throws: `DatasetError` with code `usage` for rows and names that are not there, `damaged` for bytes that are not those
    ///   that were written; `ArrowError`, `SystemError`.
    public init(_ dataset: Dataset, rows: Range<Int>, columns: [String]? = nil) throws {
        let all = dataset.firstRows.last ?? 0
        guard rows.lowerBound >= 0, rows.upperBound <= all else {
            throw DatasetError(
                .usage, file: dataset.directory, place: "rows \(rows.lowerBound)..<\(rows.upperBound)",
                message: "are not all there; the dataset has \(all) jets")
        }
        let encoding = dataset.wholeEncoding
        let numbers = try Self.numbers(columns ?? dataset.catalogue.encoding.fields.map(\.name), encoding, dataset)
        self.rows = rows
        fields = numbers.map { encoding.fields[$0] }
        values = numbers.map { _ in AlignedBuffer() }
        ends.reserve((rows.count + 1) * 4)
        ends.elements(Int32.self, count: 1)[0] = 0
        guard !rows.isEmpty else { return }
        try fill(from: dataset, encoding, numbers)
    }

    private static func numbers(
        _ names: [String], _ encoding: JetEncoding, _ dataset: Dataset
    ) throws(DatasetError) -> [Int] {
        let known = encoding.fields.map(\.name)
        var numbers: [Int] = []
        for name in names {
            guard let number = known.firstIndex(of: name) else {
                throw DatasetError(
                    .usage, file: dataset.directory, place: "column \(name)", message: "does not exist",
                    advice: "there are \(known.joined(separator: ", "))")
            }
            numbers.append(number)
        }
        return numbers
    }

    private func fill(from dataset: Dataset, _ encoding: JetEncoding, _ numbers: [Int]) throws {
        let isWanted = encoding.fields.indices.map { numbers.contains($0) }
        let selection = try StoredSelection(
            encoding: encoding, schema: dataset.schema, isWanted: isWanted, file: dataset.directory)
        let reader = try ColumnReader(dataset: dataset, columns: selection.columns.map(\.number))
        let stored = StoredJets(selection), columns = JetColumns(fields: encoding.fields)
        var decoder: JetDecoder?
        var done = 0
        // The record batch that holds the first row: the last one that does not begin behind it.
        var batch = (dataset.firstRows.firstIndex { $0 > rows.lowerBound } ?? 1) - 1
        while done < rows.count {
            let file = "\(dataset.directory)/\(dataset.shard(ofBatch: batch).file), \(dataset.place(ofBatch: batch))"
            let jets = try decoder ?? JetDecoder(encoding: encoding, file: file)
            decoder = jets
            try reader.read(batch)
            try stored.read(reader, file: file)
            try jets.decode(stored, into: columns, file: file)
            let first = rows.lowerBound + done - dataset.firstRows[batch]
            guard first >= 0, first < columns.rows else {
                throw DatasetError(
                    .inconsistent, file: file, message: "has \(columns.rows) jets, fewer than the index says",
                    advice: "run 'pando verify \(dataset.directory)'")
            }
            let count = min(columns.rows - first, rows.count - done)
            try append(first..<first + count, of: columns, numbers, at: done, file: file)
            done += count
            batch += 1
        }
    }

    private func append(
        _ added: Range<Int>, of columns: JetColumns, _ numbers: [Int], at done: Int, file: String
    ) throws(DatasetError) {
        let starts = columns.offsetNumbers
        let first = Int(starts[added.lowerBound]), more = Int(starts[added.upperBound]) - first
        guard constituents + more <= Int(Int32.max) else {
            throw DatasetError(
                .usage, file: file, message: "rows \(rows) have more than 2^31 constituents",
                advice: "ask for fewer rows at once")
        }
        let ends = ends.elements(Int32.self, count: rows.count + 1)
        for (place, row) in added.enumerated() {
            ends[done + place + 1] = Int32(truncatingIfNeeded: constituents + Int(starts[row + 1]) - first)
        }
        for (slot, number) in numbers.enumerated() {
            let width = fields[slot].type.width, isConstituent = fields[slot].role == .constituent
            let kept = (isConstituent ? constituents : done) * width
            let (start, count) = isConstituent ? (first, more) : (added.lowerBound, added.count)
            values[slot].reserve(kept + count * width, keeping: kept)
            (values[slot].base + kept).copyMemory(
                from: columns.fields[number].base + start * width, byteCount: count * width)
        }
        constituents += more
    }

    /// Where each jet's constituents begin, and where the last one's end: a number more than jets. Valid as long as this.
    public var offsets: UnsafeBufferPointer<Int32> {
        UnsafeBufferPointer(ends.elements(Int32.self, count: rows.count + 1))
    }

    /// The first of `offsets`.
    public var firstOffset: UnsafePointer<Int32> { UnsafePointer(ends.base.assumingMemoryBound(to: Int32.self)) }

    /// The values of a column: one a jet, or those of all constituents one jet after the other, little-endian. Valid as long
    /// as this.
    public func bytes(of field: Int) -> UnsafeRawBufferPointer {
        values[field].bytes((fields[field].role == .constituent ? constituents : rows.count) * fields[field].type.width)
    }
}

extension Dataset {
    /// The fields of the source, and behind them what the dataset derived for each jet.
    public var wholeEncoding: JetEncoding {
        var encoding = catalogue.encoding
        let known = Set(encoding.fields.map(\.name))
        for (number, field) in schema.fields.enumerated() where !known.contains(field.name) {
            guard let type = ElementType.allCases.first(where: { $0.arrow == field.type }) else { continue }
            encoding.fields.append(
                SourceField(name: field.name, dataset: "derived", column: number, type: type, role: .jet))
        }
        return encoding
    }
}
