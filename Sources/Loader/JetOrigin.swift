import Shards

/// Where a jet came from.
public struct JetOrigin: Codable, Sendable, Equatable {
    /// The number of its dataset in a mixture; else 0.
    public var dataset: Int
    /// Its number in the dataset.
    public var jet: Int
    /// The input file.
    public var input: String
    /// The row in the input file.
    public var row: Int
    /// Its event's numbers by the names of their columns: run, lumi, event. Empty if the dataset has none, as JetClass; without
    /// those that are no whole numbers of 64 bits with sign.
    public var event: [String: Int64]
}

/// Finds origins of jets. Not Sendable: one thread owns it.
struct OriginReader {
    private let part: DatasetPart
    private let reader: StoredReader
    private let events: [(name: String, column: Int, type: ElementType)]
    private let source: (input: Int, row: Int)

    init(dataset: Dataset, options: LoaderOptions) throws {
        let splits = dataset.catalogue.splits
        // Neither the number of a split nor the weight of an event says which event it is.
        let fields = dataset.catalogue.encoding.fields.filter { field in
            field.role == .event && ![.float32, .float64].contains(field.type)
                && !(splits?.rule == .value && splits?.columns.contains(field.name) == true)
        }
        // One record batch in memory at a time.
        var small = LoaderOptions()
        (small.split, small.limit, small.limitSeed) = (options.split, options.limit, options.limitSeed)
        (small.batchSize, small.window) = (1, 1)
        part = try DatasetPart(
            dataset: dataset,
            contents: LoaderContents(columns: [StoredColumn.source, StoredColumn.sourceRow] + fields.map(\.name)),
            options: small)
        reader = try StoredReader(part: part, checksDigests: true)
        let stored = part.selection.stored
        events = fields.compactMap { field in stored.place(of: field.name).map { (field.name, $0, field.type) } }
        guard let input = stored.place(of: StoredColumn.source), let row = stored.place(of: StoredColumn.sourceRow)
        else { throw LoaderError(.data, file: dataset.directory, message: "has no column \(StoredColumn.source)") }
        source = (input, row)
    }

    /// The origin of a row.
    func origin(of place: RowPlace, dataset number: Int) throws -> JetOrigin {
        let dataset = part.dataset, loaded = try reader.pin(place.batch)
        defer { part.store.unpin(place.batch) }
        let row = loaded.row(place.row), stored = loaded.stored
        let input =
            Int(stored.values(source.input, as: UInt16.self)[row]) + dataset.shard(ofBatch: place.batch).sourceOffset
        let inputs = dataset.catalogue.provenance.inputs
        let numbers = events.compactMap { name, column, type in
            JetColumn(stored.values(column, as: UInt8.self), type: type).integer(at: row).map { (name, $0) }
        }
        return JetOrigin(
            dataset: number, jet: dataset.firstRows[place.batch] + row,
            input: inputs.indices.contains(input) ? inputs[input].name : "",
            row: Int(stored.values(source.row, as: Int64.self)[row]), event: Dictionary(numbers) { first, _ in first })
    }
}
