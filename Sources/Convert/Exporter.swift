import ArrowIPC
import Foundation
import Glibc
import HDF5File
import Shards
import Support

/// Gives the input files back: every dataset with its bytes, shape, type, chunks and filters.
public struct Exporter: Sendable {
    /// The directory of the dataset.
    public let dataset: String
    /// Where the files go.
    public let output: String
    /// Is told rows done and rows of all.
    public var progress: @Sendable (Int, Int) -> Void = { _, _ in }
    /// Whether the work should stop.
    public var isInterrupted: @Sendable () -> Bool = { false }

    /// An export of a dataset into a directory, which is made if it is not there.
    public init(dataset: String, output: String) {
        self.dataset = dataset
        self.output = output
    }

    /// A file that was written.
    public struct ExportedFile: Codable, Sendable {
        /// Its path.
        public var file: String
        /// The input that it gives back.
        public var input: String
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
        try Directory.make(output)
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
                guard files.indices.contains(run.input) else {
                    throw DatasetError(
                        .inconsistent, file: "\(dataset)/\(shard.file)", place: opened.place(ofBatch: batch),
                        message: "names input \(run.input) of \(files.count)")
                }
                try files[run.input].write(columns, run, catalogue.encoding)
                if files[run.input].rowsLeft == 0 { try files[run.input].finish() }
            }
            done += stored.rowCount
            progress(done, catalogue.rows)
        }
        // Files whose rows are missing, and files without rows.
        for index in files.indices { try files[index].finish() }
        return files.map(\.report)
    }

    private func targets(_ catalogue: Catalogue) throws -> [ExportTarget] {
        var names: Set<String> = []
        return try catalogue.provenance.inputs.enumerated().map { number, input in
            guard let layout = try input.layout?.decode(HDF5Layout.self) else {
                throw ConvertError(
                    .input, file: input.name, message: "its layout is not known, so it cannot be written again")
            }
            var name = input.name.split(separator: "/").last.map(String.init) ?? "input.h5"
            // Inputs of different directories may have one name.
            if names.contains(name) { name = "\(number)_\(name)" }
            names.insert(name)
            let path = "\(output)/\(name)"
            guard !Directory.exists(path) else {
                throw ConvertError(
                    .usage, file: path, message: "exists already", advice: "export into another directory")
            }
            return try ExportTarget(path: path, entry: input, layout: layout, encoding: catalogue.encoding)
        }
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

/// An HDF5 file that is being written: under a temporary name until it is whole.
private struct ExportTarget {
    private let path: String
    private let entry: InputEntry
    private let layout: HDF5Layout
    private let fields: [[Int]]
    private let isPadded: [Bool]
    private var writer: HDF5Writer?
    private var isFinished = false
    private let cleanUp: TemporaryFile
    private let block = AlignedBuffer()
    private(set) var rowsLeft: Int

    init(path: String, entry: InputEntry, layout: HDF5Layout, encoding: JetEncoding) throws {
        self.path = path
        self.entry = entry
        self.layout = layout
        rowsLeft = entry.rowsTaken
        fields = layout.datasets.map { dataset in
            encoding.fields.indices.filter { encoding.fields[$0].dataset == dataset.path }
                .sorted { encoding.fields[$0].column < encoding.fields[$1].column }
        }
        isPadded = fields.map { $0.contains { encoding.fields[$0].role == .constituent } }
        for (dataset, fields) in zip(layout.datasets, fields) {
            // The shape is of the catalogue, and becomes sizes of memory here.
            guard !dataset.shape.isEmpty, dataset.shape.allSatisfy({ (0..<1 << 40).contains($0) }), !fields.isEmpty
            else {
                throw ConvertError(
                    .input, file: entry.name, place: "dataset \(dataset.path)", message: "its layout is not usable")
            }
        }
        cleanUp = TemporaryFile(path: path + OutputFile.temporarySuffix)
    }

    private mutating func open() throws -> HDF5Writer {
        if let writer { return writer }
        let fresh = try HDF5Writer(path: cleanUp.path)
        for dataset in layout.datasets {
            var shape = dataset.shape
            shape[0] = entry.rowsTaken
            let isWhole = entry.rowsTaken == entry.rows
            var limits = dataset.maxShape
            if !isWhole, let limit = limits.first, limit != nil { limits[0] = entry.rowsTaken }
            try fresh.create(
                HDF5DatasetPlan(
                    path: dataset.path, element: dataset.type.hdf5, shape: shape, maxShape: limits,
                    chunkShape: dataset.chunks, deflateLevel: dataset.deflate, shuffle: dataset.shuffle,
                    fletcher32: dataset.fletcher32))
        }
        writer = fresh
        return fresh
    }

    mutating func write(_ columns: JetColumns, _ run: Origins.Run, _ encoding: JetEncoding) throws {
        let writer = try open()
        let first = run.sourceRow - entry.firstRow
        guard first >= 0, first + run.rows.count <= entry.rowsTaken else {
            throw DatasetError(
                .inconsistent, file: entry.name,
                message: "row \(run.sourceRow) is not among the \(entry.rowsTaken) that were taken")
        }
        let rows = first..<first + run.rows.count
        let offsets = columns.offsetNumbers
        for (number, dataset) in layout.datasets.enumerated() {
            let width = dataset.type.width
            if isPadded[number] {
                let start = Int(offsets[run.rows.lowerBound]), end = Int(offsets[run.rows.upperBound])
                let counts = run.rows.map { UInt32(truncatingIfNeeded: offsets[$0 + 1] - offsets[$0]) }
                let values = fields[number].map {
                    UnsafeRawBufferPointer(start: columns.fields[$0].base + start * width, count: (end - start) * width)
                }
                try counts.withUnsafeBufferPointer {
                    try writer.writePadded(counts: $0, columns: values, rows: rows, to: dataset.path)
                }
            } else {
                let count = fields[number].count
                block.reserve(rows.count * count * width)
                for (column, field) in fields[number].enumerated() {
                    let source = columns.fields[field].base + run.rows.lowerBound * width
                    for row in 0..<rows.count {
                        (block.base + (row * count + column) * width).copyMemory(
                            from: source + row * width, byteCount: width)
                    }
                }
                try writer.write(block.bytes(rows.count * count * width), rows: rows, to: dataset.path)
            }
        }
        rowsLeft -= rows.count
    }

    mutating func finish() throws {
        guard !isFinished else { return }
        let writer = try open()
        try writer.close()
        self.writer = nil
        try cleanUp.publish(as: path)
        isFinished = true
    }

    var report: Exporter.ExportedFile {
        var remarks: [String] = []
        if entry.rowsTaken != entry.rows {
            remarks.append("\(entry.rowsTaken) of the input's \(entry.rows) rows were taken")
        }
        if rowsLeft > 0 { remarks.append("\(rowsLeft) rows are missing and are zeros here") }
        if let attributes = layout.attributes {
            let names = attributes.map { $0.of.isEmpty ? $0.name : "\($0.of)/\($0.name)" }
            remarks.append(
                "attributes are not written: \(names.joined(separator: ", ")) (the catalogue has their values)")
        }
        for dataset in layout.datasets {
            if let others = dataset.otherFilters {
                remarks.append("\(dataset.path) is written without \(others.joined(separator: ", "))")
            }
        }
        return Exporter.ExportedFile(file: path, input: entry.name, rows: entry.rowsTaken, remarks: remarks)
    }
}

/// A file that is removed unless it gets its final name.
private final class TemporaryFile {
    let path: String
    private var isPublished = false

    init(path: String) { self.path = path }

    deinit {
        if !isPublished { unlink(path) }
    }

    func publish(as name: String) throws {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError(file: path, operation: "open") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw SystemError(file: path, operation: "flush to disk") }
        guard rename(path, name) == 0 else { throw SystemError(file: name, operation: "rename") }
        isPublished = true
        try Directory.flush(Directory.parent(of: name))
    }
}

extension ElementType {
    /// The same type as HDF5 has it.
    var hdf5: HDF5Element {
        switch self {
        case .int8: .int8
        case .int16: .int16
        case .int32: .int32
        case .int64: .int64
        case .uint8: .uint8
        case .uint16: .uint16
        case .uint32: .uint32
        case .uint64: .uint64
        case .float32: .float32
        case .float64: .float64
        }
    }
}
