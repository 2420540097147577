import Foundation
import HDF5File
import Support
import Testing

/// h5py, the writer and reader of record, and the folders that tests work in.
enum Peer {
    static let interpreter = ProcessInfo.processInfo.environment["PANDO_PYTHON"] ?? "python3"

    /// Whether the interpreter has h5py.
    static let isThere: Bool = (try? run("import h5py, numpy")) != nil

    /// Real and simulated files, outside the package.
    static let data: URL = {
        if let path = ProcessInfo.processInfo.environment["PANDO_DATA"] { return URL(fileURLWithPath: path) }
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return package.deletingLastPathComponent().appendingPathComponent("shared/data")
    }()

    static let samples: [String] = {
        let names = try? FileManager.default.contentsOfDirectory(atPath: data.appendingPathComponent("h5").path)
        return (names ?? []).filter { $0.hasSuffix(".h5") }.sorted()
    }()

    static func sample(_ name: String) -> String {
        data.appendingPathComponent("h5").appendingPathComponent(name).path
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// Runs a script, with `arguments` in `sys.argv[1:]`, and gives what it printed.
    @discardableResult
    static func run(_ script: String, _ arguments: [String] = []) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [interpreter, "-c", "import sys\n" + script] + arguments
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let words = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: String(decoding: words, as: UTF8.self))
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// A folder that goes with the object.
    final class Folder {
        let path: String

        init() throws {
            path = NSTemporaryDirectory() + "pando-hdf5-" + UUID().uuidString
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func callAsFunction(_ name: String) -> String { path + "/" + name }
    }

    /// The little-endian row-major bytes of a dataset as h5py reads them.
    static func bytes(_ file: String, _ dataset: String) throws -> [UInt8] {
        let folder = try Folder()
        try run(
            """
            import h5py
            a = h5py.File(sys.argv[1], 'r')[sys.argv[2]][()]
            a.astype(a.dtype.newbyteorder('<')).tofile(sys.argv[3])
            """, [file, dataset, folder("raw")])
        return Array(try Data(contentsOf: URL(fileURLWithPath: folder("raw"))))
    }

    static func read(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    static func write(_ bytes: [UInt8], _ path: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }
}

/// Row-major bytes and counts cut into packed columns by the plainest loop there is.
struct Plain {
    var counts: [UInt32] = []
    var columns: [[UInt8]]

    init(_ bytes: [UInt8], rows: Range<Int>, slots: Int, columns width: Int, size: Int) {
        columns = Array(repeating: [], count: width)
        bytes.withUnsafeBytes { bytes in
            for row in rows {
                let base = row * slots * width * size
                var end = slots * width * size
                while end > 0, bytes[base + end - 1] == 0 { end -= 1 }
                let count = (end + width * size - 1) / max(1, width * size)
                counts.append(UInt32(count))
                for slot in 0..<count {
                    for column in 0..<width {
                        let start = base + (slot * width + column) * size
                        for place in start..<start + size { columns[column].append(bytes[place]) }
                    }
                }
            }
        }
    }
}

/// Compares all bands of a padded dataset with row-major bytes.
func expectBands(of dataset: HDF5Dataset, equal bytes: [UInt8], method: HDF5ReadMethod = .fastest) throws {
    let reader = try PaddedReader([dataset], method: method)
    let scratch = HDF5Scratch()
    let shape = dataset.info.shape
    var next = 0
    for index in 0..<reader.bandCount {
        let band = try reader.readBand(index, scratch: scratch)
        try #require(band.rows.lowerBound == next)
        next = band.rows.upperBound
        let width = shape.count == 3 ? shape[2] : 1
        let plain = Plain(
            bytes, rows: band.rows, slots: shape[1], columns: width, size: try #require(dataset.info.element.byteCount))
        #expect(Array(band.counts) == plain.counts)
        #expect(band.total == plain.counts.reduce(0) { $0 + Int($1) })
        for column in 0..<width {
            #expect(Array(band.column(column)) == plain.columns[column], "column \(column) of band \(index)")
            #expect(Int(bitPattern: band.column(column).baseAddress) % 64 == 0)
        }
    }
    #expect(next == reader.rows)
}

/// Reads all rows of a dense dataset column by column and puts them back into rows.
func denseBytes(_ dataset: HDF5Dataset, method: HDF5ReadMethod, step: Int) throws -> [UInt8] {
    let reader = try DenseReader(dataset, method: method)
    let size = reader.elementBytes
    var result = [UInt8](repeating: 0, count: reader.rows * reader.columns * size)
    let scratch = HDF5Scratch()
    for first in stride(from: 0, to: reader.rows, by: step) {
        let rows = first..<min(reader.rows, first + step)
        let buffers = (0..<reader.columns).map { _ in AlignedBuffer(capacity: rows.count * size) }
        try reader.read(rows: rows, into: buffers.map(\.base), scratch: scratch)
        for (column, buffer) in buffers.enumerated() {
            for row in 0..<rows.count {
                let to = ((first + row) * reader.columns + column) * size
                for byte in 0..<size { result[to + byte] = buffer.bytes(rows.count * size)[row * size + byte] }
            }
        }
    }
    return result
}
