import ArrowIPC
import Foundation
import Shards
import Support

/// What a path leads to, found out from the content and not from the name.
enum InspectTarget {
    case dataset
    case unfinished(UnfinishedConversion)
    case arrow
    case hdf5
    case root

    /// Beginnings of files that are not looked into, with what to say.
    private static let others: [(magic: [UInt8], what: String, advice: String)] = [
        (Array("PAR1".utf8), "a Parquet file", "look at it with pyarrow"),
        (Array("PANDOPAR".utf8), "parity of a shard", "name the dataset's directory"),
        (
            [0xff, 0xff, 0xff, 0xff], "an Arrow IPC stream, not a file",
            "write it again as a file, as pyarrow's new_file does"
        ),
        ([0x1f, 0x8b], "compressed with gzip", "decompress it first"),
        ([0x28, 0xb5, 0x2f, 0xfd], "compressed with Zstandard", "decompress it first"),
        ([0xfd, 0x37, 0x7a, 0x58, 0x5a], "compressed with xz", "decompress it first"),
        (Array("PK".utf8), "a ZIP archive", "unpack it first"),
    ]
    private static let hdf5Signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]

    /// Looks at what is there.
    /// - Throws: `DatasetError` with code `notADataset` that says what was found instead, `SystemError`.
    init(path: String) throws {
        if Directory.isDirectory(path) {
            self = try Self.directory(path)
            return
        }
        guard Directory.exists(path) else {
            throw DatasetError(.notADataset, file: path, message: "no such file or directory")
        }
        let file = try InputFile(path: path)
        let expected = "expected a dataset's directory, a shard, or an Arrow IPC, HDF5 or ROOT file"
        guard file.size > 0 else { throw DatasetError(.notADataset, file: path, message: "is empty", advice: expected) }
        let head = try file.read(at: 0, count: min(16, file.size))
        if head.starts(with: Array("ARROW1".utf8)) {
            self = .arrow
        } else if head.starts(with: Array("root\0".utf8)) {
            self = .root
        } else if try Self.isHDF5(file) {
            self = .hdf5
        } else if let other = Self.others.first(where: { head.starts(with: $0.magic) }) {
            throw DatasetError(.notADataset, file: path, message: "is \(other.what)", advice: other.advice)
        } else if URL(fileURLWithPath: path).lastPathComponent == Catalogue.fileName {
            throw DatasetError(
                .notADataset, file: path, message: "is the catalogue of a dataset",
                advice: "name the directory that it is in")
        } else {
            let shown = head.prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
            throw DatasetError(
                .notADataset, file: path, message: "is of an unknown kind: \(file.size) bytes that begin with \(shown)",
                advice: expected)
        }
    }

    private static func directory(_ path: String) throws -> InspectTarget {
        if Directory.exists("\(path)/\(Catalogue.fileName)") { return .dataset }
        if let unfinished = try UnfinishedConversion(directory: path) { return .unfinished(unfinished) }
        let names = (try Directory.names(in: path) ?? []).sorted()
        let isRemains = names.contains("shards") || names.contains("index.arrow")
        let found = names.isEmpty ? "is empty" : "holds \(names.prefix(4).joined(separator: ", "))"
        throw DatasetError(
            .notADataset, file: path,
            message: "is no dataset: it \(found)\(names.count > 4 ? " and \(names.count - 4) more" : ""), "
                + "but no \(Catalogue.fileName)",
            advice: isRemains
                ? "run 'pando repair \(path)' to make the catalogue again" : "name a dataset's directory or a file")
    }

    /// The signature stands at 0, 512, 1024, 2048, ...
    private static func isHDF5(_ file: InputFile) throws -> Bool {
        var start = 0
        while start <= file.size - hdf5Signature.count {
            if try file.read(at: start, count: hdf5Signature.count) == hdf5Signature { return true }
            start = start == 0 ? 512 : start * 2
        }
        return false
    }
}
