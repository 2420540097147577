import Foundation
import ROOTFile
import Support

/// What `pando inspect` shows of a ROOT file: the keys of all directories.
struct ROOTSummary: Encodable {
    /// A key with the directories that lead to it.
    struct Key: Encodable {
        var path: String
        var cycle: Int
        var className: String
        var title: String
        /// Bytes in the file, without the header of the record.
        var storedBytes: Int
        /// Bytes when they are decompressed.
        var bytes: Int
        /// XXH3-64 of these; null of directories, and where they were not asked for.
        var digest: Digest?
    }

    var kind = "root"
    var path: String
    var bytes: Int
    var version: String
    var compression: Int
    var keys: [Key]

    /// Looks at a file.
    /// - Parameter digests: Whether the payload of each key is read too.
    /// - Throws: `ROOTError`, `SystemError`.
    init(path: String, digests: Bool) throws {
        let file = try ROOTFile(path: path), decoder = ROOTDecoder()
        self.path = path
        bytes = try InputFile(path: path).size
        version = file.version
        compression = file.compression
        keys = []
        var directories = [""], seen: Set<Int> = []
        while let directory = directories.popLast() {
            for key in try file.keys(inDirectory: directory) {
                let name = directory.isEmpty ? key.name : "\(directory)/\(key.name)"
                let isDirectory = ROOTFile.isDirectory(key)
                keys.append(
                    Key(
                        path: name, cycle: key.cycle, className: key.className, title: key.title,
                        storedBytes: key.recordBytes - key.headerBytes, bytes: key.payloadBytes,
                        digest: digests && !isDirectory ? Digest(of: try file.payload(of: key, using: decoder)) : nil))
                // In a damaged file a directory may lead into itself.
                if isDirectory, seen.insert(key.position).inserted { directories.append(name) }
            }
        }
    }

    /// Prints it for people.
    func show() {
        Page.line(
            "\(path): ROOT \(version), \(Format.bytes(bytes)), \(Format.counted(keys.count, "key")), "
                + "made with \(Self.codec(compression))")
        let table = Table(
            columns: [
                .init(title: "name"), .init(title: "cycle", isNumber: true), .init(title: "class"),
                .init(title: "stored", isNumber: true), .init(title: "bytes", isNumber: true),
                .init(title: "title", dispensability: 1),
            ],
            rows: keys.map { key in
                [
                    key.path, "\(key.cycle)", key.className, Format.bytes(key.storedBytes), Format.bytes(key.bytes),
                    key.title,
                ]
            })
        Page.table(table)
    }

    private static func codec(_ compression: Int) -> String {
        let names = [0: "ZLIB", 1: "ZLIB", 2: "LZMA", 3: "the old codec", 4: "LZ4", 5: "ZSTD"]
        guard compression > 0 else { return "no compression" }
        return "\(names[compression / 100] ?? "codec \(compression / 100)") \(compression % 100)"
    }
}
