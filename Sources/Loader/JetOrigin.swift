import ArrowIPC
import Shards

/// Where a jet came from.
public struct JetOrigin: Codable, Sendable, Equatable {
    /// Its number in the dataset.
    public var jet: Int
    /// The input file.
    public var input: String
    /// The row in the input file.
    public var row: Int
    /// Its event's numbers by the names of their columns: run, lumi, event. Empty if the dataset has none.
    public var event: [String: Int64]
}

/// Finds origins of jets. Not Sendable: one thread owns it.
struct OriginReader {
    private let dataset: Dataset
    private let reader: BatchReader
    private let decoder = BodyDecoder()
    private var last: (batch: Int, stored: StoredJets)?
    private let selection: StoredSelection
    private let events: [(name: String, column: Int)]
    private let source: (input: Int, row: Int)

    init(dataset: Dataset) throws {
        self.dataset = dataset
        reader = dataset.makeReader()
        let contents = LoaderContents(
            columns: [StoredColumn.source, StoredColumn.sourceRow]
                + dataset.catalogue.encoding.fields.filter { $0.role == .event && $0.type == .int64 }.map(\.name))
        let found = try ContentSelection(dataset: dataset, contents: contents, split: nil)
        selection = found.stored
        let stored = found.stored
        events = (contents.columns ?? []).dropFirst(2).compactMap { name in stored.place(of: name).map { (name, $0) } }
        guard let input = stored.place(of: StoredColumn.source), let row = stored.place(of: StoredColumn.sourceRow)
        else { throw LoaderError(.data, file: dataset.directory, message: "has no column \(StoredColumn.source)") }
        source = (input, row)
    }

    /// The origin of a jet by its number in the dataset.
    mutating func origin(of jet: Int) throws -> JetOrigin {
        // The last record batch that begins at or before the jet; the list ends with the number of all rows.
        let batch = dataset.firstRows.dropLast().lastIndex { $0 <= jet } ?? 0, row = jet - dataset.firstRows[batch]
        let stored: StoredJets
        if let last, last.batch == batch {
            stored = last.stored
        } else {
            stored = last?.stored ?? StoredJets(selection)
            let place = "\(dataset.directory)/\(dataset.shard(ofBatch: batch).file)"
            try stored.read(reader.read(batch), using: decoder, file: place)
            last = (batch, stored)
        }
        let input =
            Int(stored.values(source.input, as: UInt16.self)[row]) + dataset.shard(ofBatch: batch).sourceOffset
        let inputs = dataset.catalogue.provenance.inputs
        let numbers = events.map { ($0.name, stored.values($0.column, as: Int64.self)[row]) }
        return JetOrigin(
            jet: jet, input: inputs.indices.contains(input) ? inputs[input].name : "",
            row: Int(stored.values(source.row, as: Int64.self)[row]),
            event: Dictionary(numbers) { first, _ in first })
    }
}
