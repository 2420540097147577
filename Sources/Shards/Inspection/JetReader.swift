import ArrowIPC
import Foundation

/// Reads single jets of a dataset or shard, exactly as they were in the source.
///
/// Not Sendable: one worker owns it with its memory.
public final class JetReader {
    /// What a search for an event did.
    public struct Search: Encodable, Sendable {
        /// Jets that were found.
        public var found = 0
        /// Record batches that were opened.
        public var opened = 0
        /// Record batches in all.
        public var batches: Int
    }

    private let batches: JetBatches
    private let decoder: JetDecoder
    private let columns: JetColumns
    private let body = BodyDecoder()
    private let filter: Set<String>?

    /// Jets.
    public var rowCount: Int { batches.firstRows.last ?? 0 }

    /// Reads jets of a dataset.
    /// - Parameter names: The columns to give; nil for all.
    /// - Throws: `DatasetError` with code `usage` if there is no such column.
    public convenience init(_ dataset: Dataset, columns names: [String]? = nil) throws {
        try self.init(JetBatches(dataset), columns: names)
    }

    /// Reads jets of a shard by itself; nil if the file is no shard.
    public convenience init?(shard file: ArrowFile, path: String, columns names: [String]? = nil) throws {
        guard let batches = try JetBatches(shard: file, path: path) else { return nil }
        try self.init(batches, columns: names)
    }

    private init(_ batches: JetBatches, columns names: [String]?) throws {
        self.batches = batches
        decoder = try JetDecoder(encoding: batches.encoding, file: batches.path)
        columns = JetColumns(fields: batches.encoding.fields)
        filter = names.map { Set($0) }
        guard let names, batches.count > 0 else { return }
        // Columns that only the shards have are seen when one is open.
        let known = try Self.names(batches.encoding, try batches.batch(0).schema)
        for name in names where !known.contains(name) {
            throw DatasetError(
                .usage, file: batches.path, place: "column \(name)", message: "is not there",
                advice: "its jets have \(known.joined(separator: ", "))")
        }
    }

    private static func names(_ encoding: JetEncoding, _ schema: ArrowSchema) throws -> [String] {
        encoding.jetFields.map(\.name) + stored(encoding, schema).map { schema.fields[$0].name }
            + (momentum(encoding) == nil ? [] : derived) + encoding.constituentFields.map(\.name)
    }

    /// Columns of jets that the source does not have.
    private static func stored(_ encoding: JetEncoding, _ schema: ArrowSchema) -> [Int] {
        schema.fields.indices.filter { index in
            if case .list = schema.fields[index].type { return false }
            if case .unsupported = schema.fields[index].type { return false }
            return !encoding.fields.contains { $0.name == schema.fields[index].name }
        }
    }

    /// Names of what is computed from the momenta.
    private static let derived = ["pt", "eta", "phi"]

    /// The numbers of the fields px, py, pz, E; nil if there are none, or if the source itself has pt, eta and phi.
    private static func momentum(_ encoding: JetEncoding) -> [Int]? {
        guard !encoding.constituentFields.contains(where: { derived.contains($0.name) }) else { return nil }
        let names = encoding.lattice?.momentum ?? ["px", "py", "pz", "E"]
        let found = names.compactMap { name in
            encoding.fields.firstIndex { $0.name == name && $0.role == .constituent && $0.type == .float32 }
        }
        return found.count == 4 ? found : nil
    }

    /// Reads the jets of some rows one after another.
    /// - Throws: `DatasetError` with code `usage` if there are no such rows; whatever reading and decoding throw.
    public func jets(in rows: Range<Int>, visit: (Jet) throws -> Void) throws {
        guard rows.lowerBound >= 0, rows.upperBound <= rowCount else {
            throw DatasetError(
                .usage, file: batches.path, place: "rows \(rows.lowerBound)..\(rows.upperBound)",
                message: "are not all there: it has rows 0..\(rowCount)")
        }
        for number in 0..<batches.count {
            let part = rows.clamped(to: batches.firstRows[number]..<batches.firstRows[number + 1])
            guard !part.isEmpty else { continue }
            let first = batches.firstRows[number]
            try visitJets(of: number, batches.batch(number), rows: part.map { $0 - first }, visit)
        }
    }

    /// Finds the jets of an event. Batches whose key ranges exclude it are not opened.
    /// - Parameter numbers: As many as events have, in the order of `eventColumns`.
    /// - Throws: `DatasetError` with code `usage` if events have more or fewer numbers.
    public func find(event numbers: [Int64], visit: (Jet) throws -> Void) throws -> Search {
        let names = eventColumns
        guard names.count == numbers.count, !names.isEmpty else {
            throw DatasetError(
                .usage, file: batches.path, message: "\(numbers.count) numbers for an event",
                advice: names.isEmpty
                    ? "these jets do not say which event they are from"
                    : "its events are named by \(names.joined(separator: ":"))")
        }
        var search = Search(batches: batches.count)
        let keys = batches.dataset?.index.keys ?? []
        for number in 0..<batches.count {
            let ranges = batches.dataset?.record(ofBatch: number).keys ?? []
            let mayHold = zip(names, numbers).allSatisfy { name, value in
                guard let key = keys.firstIndex(of: name), ranges.indices.contains(key) else { return true }
                return ranges[key].contains(value)
            }
            guard mayHold else { continue }
            search.opened += 1
            let batch = try batches.batch(number)
            var rows = Array(0..<batch.rowCount)
            for (name, value) in zip(names, numbers) where !rows.isEmpty {
                guard let column = batch.schema.index(of: name) else {
                    throw DatasetError(
                        .inconsistent, file: batches.path, place: "column \(name)", message: "is missing")
                }
                let cells = try ColumnCells(batch, column: column, using: body)
                rows.removeAll { cells.value(ofRow: $0) != .integer(value) }
            }
            guard !rows.isEmpty else { continue }
            search.found += rows.count
            try visitJets(of: number, batch, rows: rows, visit)
        }
        return search
    }

    /// The columns that name an event.
    public var eventColumns: [String] {
        batches.dataset?.catalogue.splits?.columns
            ?? batches.encoding.fields.filter { $0.role == .event }.map(\.name)
    }

    private func visitJets(
        of number: Int, _ batch: RecordBatch, rows: [Int], _ visit: (Jet) throws -> Void
    ) throws {
        let place = batches.place(ofBatch: number)
        try decoder.decode(batch, into: columns, file: place.file)
        let stored = try Self.stored(batches.encoding, batch.schema).map {
            (field: batch.schema.fields[$0], cells: try ColumnCells(batch, column: $0, using: body))
        }
        for row in rows {
            var jet = Jet(
                row: batches.firstRows[number] + row, shard: place.file, batch: place.batch, rowInBatch: row,
                values: [], constituentCount: 0, constituents: [])
            fillValues(of: &jet, stored, batch.schema)
            fillConstituents(of: &jet, batch.schema)
            try visit(jet)
        }
    }

    private func isWanted(_ name: String) -> Bool { filter?.contains(name) ?? true }

    private func fillValues(
        of jet: inout Jet, _ stored: [(field: ArrowField, cells: ColumnCells)], _ schema: ArrowSchema
    ) {
        let row = jet.rowInBatch
        for (index, field) in batches.encoding.fields.enumerated()
        where field.role != .constituent && isWanted(field.name) {
            let value = columns.value(of: index, at: row, type: field.type)
            jet.values.append(Jet.Value(name: field.name, unit: schema.unit(of: field.name), value: value))
        }
        for (field, cells) in stored {
            let value = cells.value(ofRow: row)
            if isWanted(field.name) {
                jet.values.append(Jet.Value(name: field.name, unit: schema.unit(of: field.name), value: value))
            }
            if field.name == StoredColumn.source { nameInput(of: &jet, value) }
            if field.name == StoredColumn.sourceRow, case .integer(let number) = value { jet.inputRow = Int(number) }
        }
        guard let splits = batches.dataset?.catalogue.splits else { return }
        let event = splits.columns.compactMap { name -> UInt64? in
            guard let index = batches.encoding.fields.firstIndex(where: { $0.name == name && $0.role != .constituent })
            else { return nil }
            return columns.bits(of: index, at: row, type: batches.encoding.fields[index].type)
        }
        let part = splits.part(of: event)
        if event.count == splits.columns.count, splits.parts.indices.contains(part) {
            jet.split = splits.parts[part].name
        }
    }

    private func nameInput(of jet: inout Jet, _ value: JSONValue) {
        guard let catalogue = batches.dataset?.catalogue, case .integer(let number) = value,
            let shard = catalogue.shards.first(where: { $0.file == jet.shard })
        else { return }
        let input = Int(number) &+ shard.sourceOffset
        if catalogue.provenance.inputs.indices.contains(input) { jet.input = catalogue.provenance.inputs[input].name }
    }

    private func fillConstituents(of jet: inout Jet, _ schema: ArrowSchema) {
        let offsets = columns.offsetNumbers
        let range = Int(offsets[jet.rowInBatch])..<Int(offsets[jet.rowInBatch + 1])
        jet.constituentCount = range.count
        let encoding = batches.encoding
        let momentum = Self.momentum(encoding)
        if let momentum {
            let p = momentum.prefix(3).map { index in
                range.map { Double(columns.fields[index].elements(Float.self, count: columns.constituents)[$0]) }
            }
            let pt = zip(p[0], p[1]).map { ($0 * $0 + $1 * $1).squareRoot() }
            let numbers = [pt, zip(p[2], pt).map { asinh($0 / $1) }, zip(p[1], p[0]).map { atan2($0, $1) }]
            for (name, (unit, values)) in zip(Self.derived, zip(["GeV", "1", "rad"], numbers)) where isWanted(name) {
                jet.constituents.append(
                    Jet.Column(name: name, unit: unit, values: values.map { .number($0) }, isDerived: true))
            }
        }
        for (index, field) in encoding.fields.enumerated() where field.role == .constituent && isWanted(field.name) {
            let values = range.map { columns.value(of: index, at: $0, type: field.type) }
            let unit = encoding.lattice?.momentum.contains(field.name) == true ? "GeV" : schema.unit(of: field.name)
            jet.constituents.append(Jet.Column(name: field.name, unit: unit, values: values))
        }
    }
}

extension ArrowSchema {
    /// The unit of a column; `1` if nothing is said of it.
    fileprivate func unit(of name: String) -> String {
        fields.first { $0.name == name }?.metadata.first { $0.key == "unit" }?.value ?? "1"
    }
}

extension JetColumns {
    /// One number of a field: of a jet or of a constituent.
    fileprivate func value(of field: Int, at place: Int, type: ElementType) -> JSONValue {
        let bytes = bytes(of: field)
        func load<T>(_ type: T.Type) -> T { bytes.load(fromByteOffset: place * MemoryLayout<T>.size, as: type) }
        return switch type {
        case .int8: .integer(Int64(load(Int8.self)))
        case .int16: .integer(Int64(load(Int16.self)))
        case .int32: .integer(Int64(load(Int32.self)))
        case .int64: .integer(load(Int64.self))
        case .uint8: .integer(Int64(load(UInt8.self)))
        case .uint16: .integer(Int64(load(UInt16.self)))
        case .uint32: .integer(Int64(load(UInt32.self)))
        case .uint64: JSONValue(load(UInt64.self))
        case .float32: .number(Double(load(Float.self)))
        case .float64: .number(load(Double.self))
        }
    }

    /// A whole number as it is hashed for splits; floating point as its bits.
    fileprivate func bits(of field: Int, at place: Int, type: ElementType) -> UInt64 {
        let bytes = bytes(of: field)
        switch type {
        case .uint64, .float64: return bytes.load(fromByteOffset: 8 * place, as: UInt64.self)
        case .float32: return UInt64(bytes.load(fromByteOffset: 4 * place, as: UInt32.self))
        default:
            guard case .integer(let value) = value(of: field, at: place, type: type) else { return 0 }
            return UInt64(bitPattern: value)
        }
    }
}
