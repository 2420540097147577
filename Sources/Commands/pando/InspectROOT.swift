import Foundation
import ROOTFile
import Shards
import Support
import Terminal

/// What `pando inspect` shows of a ROOT file: the keys of all directories, and the branches of trees.
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
        /// Why it could not be read for the digest.
        var error: String?
    }

    /// What is looked at besides what the record of a tree says.
    struct Options {
        /// The only tree to show, or all.
        var tree: String?
        /// The only branches to show, or all.
        var columns: [String]?
        /// Whether everything is read for digests.
        var digests = false
    }

    var kind = "root"
    var path: String
    var bytes: Int
    var version: String
    var compression: Int
    var keys: [Key]
    var trees: [ROOTTreeSummary]

    /// Looks at a file.
    /// - Throws: `ROOTError`, `SystemError`.
    init(path: String, options: Options) throws {
        let file = try ROOTFile(path: path), decoder = ROOTDecoder()
        self.path = path
        bytes = try InputFile(path: path).size
        version = file.version
        compression = file.compression
        keys = []
        for (name, key) in try file.allKeys() {
            var shown = Key(
                path: name, cycle: key.cycle, className: key.className, title: key.title,
                storedBytes: key.recordBytes - key.headerBytes, bytes: key.payloadBytes)
            if options.digests, !ROOTFile.isDirectory(key) {
                do { shown.digest = Digest(of: try file.payload(of: key, using: decoder)) } catch {
                    shown.error = error.description
                }
            }
            keys.append(shown)
        }
        let names = try options.tree.map { [$0] } ?? file.trees().map(\.path)
        trees = []
        for name in names {
            do throws(ROOTError) {
                trees.append(try ROOTTreeSummary(try file.tree(named: name), options))
            } catch {
                guard options.tree == nil else { throw error }
                trees.append(ROOTTreeSummary(path: name, error: error))
            }
        }
    }

    /// What could not be read.
    var problems: [String] {
        keys.compactMap(\.error) + trees.compactMap(\.error) + trees.flatMap { $0.branches.compactMap(\.error) }
    }

    /// Prints it for people.
    func show() {
        Page.line(
            "\(path): ROOT \(version), \(Format.bytes(bytes)), \(Format.counted(keys.count, "key")), "
                + "made with \(Self.codec(compression))")
        Page.table(
            Table(
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
                }))
        for tree in trees { tree.show() }
    }

    static func codec(_ compression: Int) -> String {
        let names = [0: "ZLIB", 1: "ZLIB", 2: "LZMA", 3: "the old codec", 4: "LZ4", 5: "ZSTD"]
        guard compression > 0 else { return "no compression" }
        return "\(names[compression / 100] ?? "codec \(compression / 100)") \(compression % 100)"
    }
}
