import ArrowIPC
import Foundation
import HDF5File
import Shards
import Support

/// Gives the input files back as HDF5: every dataset with its bytes, shape, type, chunks and filters. ROOT files become HDF5 files with
/// the datasets of their schema, stored as the producer of AspenOpenJets stores them.
public struct Exporter: Sendable {
    /// The directory of the dataset.
    public let dataset: String
    /// Where the files go: a directory, or one file for all inputs if it ends in `.h5` or `.hdf5`.
    public let output: String
    /// Is told rows done and rows of all.
    public var progress: @Sendable (Int, Int) -> Void = { _, _ in }
    /// Whether the work should stop.
    public var isInterrupted: @Sendable () -> Bool = { false }

    /// An export of a dataset into a directory, which is made if it is not there, or into one file.
    public init(dataset: String, output: String) {
        self.dataset = dataset
        self.output = output
    }

    /// A file that was written.
    public struct ExportedFile: Codable, Sendable {
        /// Its path.
        public var file: String
        /// The inputs that it gives back, in the order of its rows.
        public var inputs: [String]
        /// Rows in it.
        public var rows: Int
        /// What is not as in the input: rows that were not taken, filters that cannot be written.
        public var remarks: [String]
    }

    /// Exports all inputs.
    /// - Throws: `DatasetError`, `HDF5Error`, `ConvertError` with code `usage` if a file of that name exists, or
    ///   `interrupted`. Files that were not finished are removed.
    public func run() throws -> [ExportedFile] {
        let opened = try Dataset(directory: dataset)
        let catalogue = opened.catalogue
        var files = try targets(catalogue)
        let places = Dictionary(
            uniqueKeysWithValues: files.enumerated().flatMap { file, target in
                target.inputs.map { ($0.number, (file: file, firstRow: $0.firstRow)) }
            })
        let reader = opened.makeReader(), body = BodyDecoder()
        let decoder = try JetDecoder(encoding: catalogue.encoding, file: dataset)
        let columns = JetColumns(fields: catalogue.encoding.fields)
        var done = 0
        for batch in 0..<opened.batchCount {
            if isInterrupted() { throw Converter.interruption(output) }
            let stored = try reader.read(batch)
            let shard = opened.shard(ofBatch: batch)
            try decoder.decode(stored, into: columns, file: "\(dataset)/\(shard.file)")
            let origins = try Origins.runs(
                of: stored, sourceOffset: shard.sourceOffset, file: "\(dataset)/\(shard.file)", using: body)
            for run in origins {
                guard let place = places[run.input] else {
                    throw DatasetError(
                        .inconsistent, file: "\(dataset)/\(shard.file)", place: opened.place(ofBatch: batch),
                        message: "names input \(run.input) of \(catalogue.provenance.inputs.count)")
                }
                let entry = catalogue.provenance.inputs[run.input], row = run.sourceRow - entry.firstRow
                guard row >= 0, row + run.rows.count <= entry.rowsTaken else {
                    throw DatasetError(
                        .inconsistent, file: entry.name,
                        message: "row \(run.sourceRow) is not among the \(entry.rowsTaken) that were taken")
                }
                try files[place.file].write(columns, run.rows, to: place.firstRow + row)
                if files[place.file].rowsLeft == 0 { try files[place.file].finish() }
            }
            done += stored.rowCount
            progress(done, catalogue.rows)
        }
        // Files whose rows are missing, and files without rows.
        for index in files.indices { try files[index].finish() }
        return files.map(\.report)
    }

    private var isOneFile: Bool { output.hasSuffix(".h5") || output.hasSuffix(".hdf5") }

    private func targets(_ catalogue: Catalogue) throws -> [ExportTarget] {
        let inputs = catalogue.provenance.inputs
        var firstRow = 0
        let all = inputs.enumerated().map { number, entry in
            defer { firstRow += entry.rowsTaken }
            return ExportTarget.Input(number: number, entry: entry, firstRow: isOneFile ? firstRow : 0)
        }
        if isOneFile {
            try Directory.make(Directory.parent(of: output))
            return [try target(output, all, catalogue)]
        }
        try Directory.make(output)
        var names: Set<String> = []
        return try all.map { input in
            var name = input.entry.name.split(separator: "/").last.map(String.init) ?? "input.h5"
            // What is no HDF5 file (ROOT files, datasets) becomes one.
            if input.entry.layout == nil {
                for ending in [".root", ".pando"] where name.hasSuffix(ending) {
                    name = String(name.dropLast(ending.count))
                }
                if !name.hasSuffix(".h5") { name += ".h5" }
            }
            // Inputs of different directories may have one name.
            if names.contains(name) { name = "\(input.number)_\(name)" }
            names.insert(name)
            return try target("\(output)/\(name)", [input], catalogue)
        }
    }

    private func target(_ path: String, _ inputs: [ExportTarget.Input], _ catalogue: Catalogue) throws -> ExportTarget {
        guard !Directory.exists(path) else {
            throw ConvertError(.usage, file: path, message: "exists already", advice: "export under another name")
        }
        let rows = inputs.reduce(0) { $0 + $1.entry.rowsTaken }
        let layouts = try inputs.compactMap { try $0.entry.layout?.decode(HDF5Layout.self) }
        var layout = try layouts.first ?? HDF5Layout(of: catalogue, rows: rows)
        if let other = layouts.first(where: { $0.datasets.map(\.path) != layout.datasets.map(\.path) }) {
            throw ConvertError(
                .usage, file: path,
                message: "the inputs have different datasets: \(other.datasets.map(\.path).joined(separator: ", "))",
                advice: "export into a directory")
        }
        if inputs.count > 1 {
            for index in layout.datasets.indices where layout.datasets[index].maxShape.first != .some(nil) {
                layout.datasets[index].maxShape[0] = rows
            }
        }
        return try ExportTarget(path: path, inputs: inputs, layout: layout, encoding: catalogue.encoding)
    }
}

/// Where rows of a record batch came from.
enum Origins {
    /// Consecutive rows of one input.
    struct Run {
        var input: Int
        /// Rows of the batch.
        var rows: Range<Int>
        /// The first of them in the input.
        var sourceRow: Int
    }

    static func runs(of batch: RecordBatch, sourceOffset: Int, file: String, using decoder: BodyDecoder) throws -> [Run]
    {
        guard let source = batch.schema.index(of: StoredColumn.source),
            let row = batch.schema.index(of: StoredColumn.sourceRow)
        else {
            throw DatasetError(
                .inconsistent, file: file, message: "has no columns \(StoredColumn.source), \(StoredColumn.sourceRow)")
        }
        let inputs = try batch.values(ofColumn: source, as: UInt16.self, using: decoder)
        let rows = try batch.values(ofColumn: row, as: Int64.self, using: decoder)
        var runs: [Run] = []
        for index in inputs.indices {
            let input = Int(inputs[index]) + sourceOffset
            guard let sourceRow = Int(exactly: rows[index]), (0..<1 << 48).contains(sourceRow) else {
                throw DatasetError(.inconsistent, file: file, message: "row \(index) comes from row \(rows[index])")
            }
            if let last = runs.last, last.input == input, last.sourceRow + last.rows.count == sourceRow {
                runs[runs.count - 1].rows = last.rows.lowerBound..<index + 1
            } else {
                runs.append(Run(input: input, rows: index..<index + 1, sourceRow: sourceRow))
            }
        }
        return runs
    }
}
