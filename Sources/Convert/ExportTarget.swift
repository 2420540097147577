import Foundation
import Glibc
import HDF5File
import Shards
import Support

/// An HDF5 file that is being written: under a temporary name until it is whole.
struct ExportTarget {
    /// An input whose rows go into the file.
    struct Input {
        /// Its number in the catalogue.
        var number: Int
        var entry: InputEntry
        /// The row of the file that its first row becomes.
        var firstRow: Int
    }

    let inputs: [Input]
    private let path: String
    private let layout: HDF5Layout
    private let fields: [[Int]]
    private let isPadded: [Bool]
    private let rows: Int
    private var writer: HDF5Writer?
    private var isFinished = false
    private let cleanUp: TemporaryFile
    private let block = AlignedBuffer()
    private(set) var rowsLeft: Int

    init(path: String, inputs: [Input], layout: HDF5Layout, encoding: JetEncoding) throws {
        self.path = path
        self.inputs = inputs
        self.layout = layout
        rows = inputs.reduce(0) { $0 + $1.entry.rowsTaken }
        rowsLeft = rows
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
                    .input, file: inputs.first?.entry.name ?? path, place: "dataset \(dataset.path)",
                    message: "its layout is not usable")
            }
        }
        cleanUp = TemporaryFile(path: path + OutputFile.temporarySuffix)
    }

    private var isWhole: Bool { inputs.allSatisfy { $0.entry.rowsTaken == $0.entry.rows } }

    private mutating func open() throws -> HDF5Writer {
        if let writer { return writer }
        let fresh = try HDF5Writer(path: cleanUp.path)
        for dataset in layout.datasets {
            var shape = dataset.shape
            shape[0] = rows
            var limits = dataset.maxShape
            if !isWhole, let limit = limits.first, limit != nil { limits[0] = rows }
            try fresh.create(
                HDF5DatasetPlan(
                    path: dataset.path, element: dataset.type.hdf5, shape: shape, maxShape: limits,
                    chunkShape: dataset.chunks, deflateLevel: dataset.deflate, shuffle: dataset.shuffle,
                    fletcher32: dataset.fletcher32))
        }
        writer = fresh
        return fresh
    }

    /// Writes rows of `columns` to the rows of the file from `first` on.
    mutating func write(_ columns: JetColumns, _ run: Range<Int>, to first: Int) throws {
        let writer = try open()
        let rows = first..<first + run.count
        let offsets = columns.offsetNumbers
        for (number, dataset) in layout.datasets.enumerated() {
            let width = dataset.type.width
            if isPadded[number] {
                let start = Int(offsets[run.lowerBound]), end = Int(offsets[run.upperBound])
                let counts = run.map { UInt32(truncatingIfNeeded: offsets[$0 + 1] - offsets[$0]) }
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
                    let source = columns.fields[field].base + run.lowerBound * width
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
        for input in inputs where input.entry.rowsTaken != input.entry.rows {
            remarks.append("\(input.entry.rowsTaken) of the \(input.entry.rows) rows of \(input.entry.name) were taken")
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
        return Exporter.ExportedFile(file: path, inputs: inputs.map(\.entry.name), rows: rows, remarks: remarks)
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
