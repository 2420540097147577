import ArrowIPC
import Shards
import Support

/// The rows of a window in memory, and their order.
///
/// `@unchecked Sendable`: nothing changes after it was made, until the last reference is gone.
final class LoadedWindow: @unchecked Sendable {
    /// Rows of a record batch that the window has.
    struct Part {
        var columns: JetColumns
        /// Rows of the record batch.
        var rows: [Int32]
        /// The number of the record batch's first row in the dataset.
        var firstRow: Int
    }

    let positions: Range<Int>
    private let parts: [Part]
    /// At each position the part and the row in it.
    private let places: [(part: Int32, row: Int32)]
    private let pool: ColumnPool

    init(window: ShufflePlan.Window, order: [Int32], parts: [Part], pool: ColumnPool) {
        positions = window.positions
        self.parts = parts
        self.pool = pool
        var flat: [(part: Int32, row: Int32)] = []
        flat.reserveCapacity(order.count)
        for (number, part) in parts.enumerated() { flat += part.rows.map { (Int32(number), $0) } }
        places = order.map { flat[Int($0)] }
    }

    deinit {
        for part in parts { pool.give(back: part.columns) }
    }

    /// The columns and the row at a position, and the row's number in the dataset.
    func place(_ position: Int) -> (columns: JetColumns, row: Int, jet: Int) {
        let place = places[position - positions.lowerBound]
        let part = parts[Int(place.part)]
        return (part.columns, Int(place.row), part.firstRow + Int(place.row))
    }
}

/// Reads windows. Not Sendable: one thread owns it.
final class WindowReader {
    private let dataset: Dataset
    private let selection: FieldSelection
    private let subset: Subset?
    private let reader: BatchReader
    private let decoder: JetDecoder
    private let pool: ColumnPool

    init(dataset: Dataset, selection: FieldSelection, subset: Subset?, checksDigests: Bool, pool: ColumnPool) throws {
        self.dataset = dataset
        self.selection = selection
        self.subset = subset
        self.pool = pool
        reader = dataset.makeReader(checksDigests: checksDigests)
        decoder = try JetDecoder(encoding: dataset.catalogue.encoding, file: dataset.directory)
    }

    /// Reads and decodes the record batches of a window.
    /// - Throws: `DatasetError`, `ArrowError` or `SystemError` that names shard and record batch.
    func read(_ window: ShufflePlan.Window, order: [Int32]) throws -> LoadedWindow {
        var parts: [LoadedWindow.Part] = []
        for segment in window.segments {
            let columns = pool.take()
            let shard = dataset.shard(ofBatch: segment.batch)
            try decoder.decode(
                reader.read(segment.batch), into: columns,
                file: "\(dataset.directory)/\(shard.file), \(dataset.place(ofBatch: segment.batch))",
                isWanted: selection.isRead)
            let all = selection.rows(in: columns)
            let taken = subset.map { $0.rows(ofBatch: segment.batch, among: all) } ?? all
            guard let taken, segment.rows.upperBound <= taken.count else {
                throw DatasetError(
                    .inconsistent, file: "\(dataset.directory)/\(shard.file)",
                    place: dataset.place(ofBatch: segment.batch),
                    message: "\(all.count) jets take part, which is fewer than the index says",
                    advice: "run 'pando verify --lossless \(dataset.directory)'")
            }
            parts.append(
                .init(columns: columns, rows: Array(taken[segment.rows]), firstRow: dataset.firstRows[segment.batch]))
        }
        return LoadedWindow(window: window, order: order, parts: parts, pool: pool)
    }
}

/// Which fields are read and which rows take part.
struct FieldSelection: Sendable {
    /// For each field of the encoding whether it is decoded.
    let isRead: [Bool]
    /// The fields that batches have, with their numbers.
    let names: [String: Int]
    private let splits: Splits?
    private let part: Int
    private let eventFields: [Int]

    /// A selection of columns by name (nil: all) and of the rows of a split (nil: all).
    /// - Throws: `LoaderError` with code `feature` or `options` for names that are not there.
    init(catalogue: Catalogue, columns: [String]?, split: String?, file: String) throws(LoaderError) {
        let fields = catalogue.encoding.fields
        let known = fields.map(\.name)
        var chosen: [String: Int] = [:]
        for name in columns ?? known {
            guard let index = known.firstIndex(of: name) else {
                throw LoaderError(
                    .feature, file: file, place: "column \(name)", message: "does not exist",
                    advice: "there are \(known.joined(separator: ", "))")
            }
            chosen[name] = index
        }
        names = chosen
        var isRead = fields.map { chosen[$0.name] != nil }
        if let split {
            guard let splits = catalogue.splits, let part = splits.parts.firstIndex(where: { $0.name == split }) else {
                let names = catalogue.splits?.parts.map(\.name).joined(separator: ", ") ?? "none"
                throw LoaderError(
                    .options, file: file, place: "split \(split)", message: "does not exist",
                    advice: "there are \(names)")
            }
            self.splits = splits
            self.part = part
            eventFields = splits.columns.compactMap { name in fields.firstIndex { $0.name == name } }
            guard eventFields.count == splits.columns.count, eventFields.allSatisfy({ fields[$0].type.width == 8 })
            else {
                throw LoaderError(
                    .options, file: file, place: "split \(split)",
                    message: "its columns are not there as 64-bit numbers")
            }
            for index in eventFields { isRead[index] = true }
        } else {
            splits = nil
            part = 0
            eventFields = []
        }
        self.isRead = isRead
    }

    /// The rows of a decoded record batch that take part.
    func rows(in columns: JetColumns) -> [Int32] {
        guard let splits else { return (0..<Int32(clamping: columns.rows)).map { $0 } }
        let numbers = eventFields.map { columns.bytes(of: $0).bindMemory(to: UInt64.self) }
        return (0..<columns.rows).filter { row in
            splits.part(of: numbers.map { UInt64(littleEndian: $0[row]) }) == part
        }.map { Int32(truncatingIfNeeded: $0) }
    }
}
