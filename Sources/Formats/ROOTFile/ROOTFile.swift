import Support

/// A ROOT file opened for reading, from any number of threads: its directories, keys and the records behind them.
///
/// Opening reads the header and the list of keys of the top directory. Everything that the file says is checked before it is
/// used; no size of the file's becomes an allocation before it was held against the file's own size and the codec's limits.
/// Source: the layout of TFile, TKey and TDirectory of ROOT 6 (versions from 3.04 on).
public final class ROOTFile: Sendable {
    /// The path.
    public let path: String
    /// The version of ROOT that wrote the file, for example `6.14/09`.
    public let version: String
    /// Codec and level that the file was made with: 100 times the algorithm (1 ZLIB, 2 LZMA, 4 LZ4, 5 ZSTD) plus the level. What
    /// records hold may differ.
    public let compression: Int
    /// The keys of the top directory, as they are listed.
    public let keys: [ROOTKey]
    /// Where the record of the streamer infos is; 0 if there is none.
    let streamerInfoPosition: Int
    let input: InputFile

    /// The most bytes that a name in a tree may have, and a path: what is copied for each of many objects must have an end.
    static let longestName = 4096, longestPath = 1024

    /// Opens a file.
    /// - Throws: `ROOTError`: `notROOT`, `truncated` or `damaged`; `system` if it cannot be read.
    public init(path: String) throws(ROOTError) {
        self.path = path
        do throws(SystemError) { input = try InputFile(path: path) } catch { throw ROOTError(error) }
        let input = input
        let head: [UInt8]
        do throws(ROOTError) { head = try input.bytes(at: 0, count: min(input.size, 64)) } catch {
            throw error.inside("header", file: path)
        }
        guard head.starts(with: Array("root".utf8)) else {
            throw ROOTError(.notROOT, file: path, message: "does not begin with 'root'")
        }
        let header: Header
        do throws(ROOTError) { header = try Header(head, fileSize: input.size) } catch {
            throw error.inside("header", file: path)
        }
        version = header.version
        compression = header.compression
        streamerInfoPosition = header.streamerInfoPosition
        do throws(ROOTError) {
            keys = try input.directory(at: header.directoryPosition).keys(of: input)
        } catch {
            throw error.inside("top directory", file: path)
        }
    }

    /// The keys of a directory: names with slashes between them lead into others; an empty name is the top one.
    /// - Throws: `ROOTError` with code `missing` if there is no such directory; `damaged`, `truncated`, `system`.
    public func keys(inDirectory name: String) throws(ROOTError) -> [ROOTKey] {
        var keys = keys, passed = ""
        for part in name.split(separator: "/") {
            passed += passed.isEmpty ? String(part) : "/" + part
            guard let found = Self.newest(keys.filter { $0.name == part && Self.isDirectory($0) }) else {
                throw ROOTError(
                    .missing, file: path, place: "directory \(passed)", message: "does not exist",
                    advice: Self.advice(keys.map(\.name)))
            }
            do throws(ROOTError) {
                keys = try directory(found).keys(of: input)
            } catch {
                throw error.inside("directory \(passed)", file: path)
            }
        }
        return keys
    }

    /// A key by its name, which directories may lead to: `deep/Events`, or `Events;2` for a cycle; else the highest cycle.
    /// - Throws: As `keys(inDirectory:)`; `missing` if there is no such key.
    public func key(named name: String) throws(ROOTError) -> ROOTKey {
        var parts = name.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        var last = parts.popLast() ?? ""
        var cycle: Int?
        if let semicolon = last.lastIndex(of: ";"), let number = Int(last[last.index(after: semicolon)...]) {
            cycle = number
            last = String(last[..<semicolon])
        }
        let keys = try keys(inDirectory: parts.joined(separator: "/"))
        guard let found = Self.newest(keys.filter { $0.name == last && (cycle ?? $0.cycle) == $0.cycle }) else {
            throw ROOTError(
                .missing, file: path, place: name, message: "does not exist",
                advice: Self.advice(keys.map { "\($0.name);\($0.cycle)" }))
        }
        return found
    }

    /// Whether a key leads to a directory.
    public static func isDirectory(_ key: ROOTKey) -> Bool {
        key.className == "TDirectory" || key.className == "TDirectoryFile"
    }

    /// The decompressed payload of a record.
    ///
    /// - Parameter decoder: The calling thread's.
    /// - Throws: `ROOTError`: `codec` if it does not decompress, `damaged` if record and key contradict each other.
    public func payload(of key: ROOTKey, using decoder: ROOTDecoder) throws(ROOTError) -> [UInt8] {
        let (memory, own) = try unpack(key, using: decoder)
        return Array(memory.bytes(own.payloadBytes))
    }

    /// The objects of a record.
    func objects(of key: ROOTKey) throws(ROOTError) -> ObjectPayload {
        let (memory, own) = try unpack(key, using: ROOTDecoder())
        return ObjectPayload(memory, of: own)
    }

    /// The record of the streamer infos; nil if there is none.
    func streamerInfos() throws(ROOTError) -> ObjectPayload? {
        guard streamerInfoPosition != 0 else { return nil }
        do throws(ROOTError) {
            return try objects(of: try input.record(at: streamerInfoPosition))
        } catch {
            throw error.inside("streamer infos", file: path)
        }
    }

    /// The tree of this name, which directories may lead to: `deep/Events`, or `Events;2` for a cycle.
    /// - Throws: `ROOTError`: `missing`; `unsupported` for versions and classes that are not read, by name; `damaged`.
    public func tree(named name: String) throws(ROOTError) -> ROOTTree {
        try ROOTTree(try key(named: name), path: name, in: self)
    }

    /// The trees in all directories with the paths that lead to them, each once with its highest cycle.
    public func trees() throws(ROOTError) -> [(path: String, key: ROOTKey)] {
        var newest: [String: ROOTKey] = [:], order: [String] = []
        for (path, key) in try allKeys() where ROOTTree.classes.contains(key.className) {
            if newest[path] == nil { order.append(path) }
            if newest[path].map({ $0.cycle < key.cycle }) ?? true { newest[path] = key }
        }
        return order.compactMap { path in newest[path].map { (path, $0) } }
    }

    /// The keys of all directories with the paths that lead to them, those of each directory together.
    /// - Throws: `ROOTError`: `damaged` if directories lead back to themselves or never end.
    public func allKeys() throws(ROOTError) -> [(path: String, key: ROOTKey)] {
        var found = keys.map { (path: $0.name, key: $0) }
        // All lists of a sound file lie in it side by side.
        var budget = input.size, seen: Set<Int> = [], next = 0
        while next < found.count {
            let (path, key) = found[next]
            next += 1
            guard Self.isDirectory(key) else { continue }
            do throws(ROOTError) {
                guard seen.insert(key.position).inserted else {
                    throw ROOTError(
                        .damaged, message: "leads to a directory that another key leads to, at byte \(key.position)",
                        advice: ByteCursor.advice)
                }
                guard path.utf8.count <= Self.longestPath else {
                    throw ROOTError(
                        .damaged, message: "directories in directories without end", advice: ByteCursor.advice)
                }
                let directory = try directory(key), inside = try directory.keys(of: input)
                budget -= directory.listPosition == 0 ? 0 : directory.listBytes
                guard budget >= 0 else {
                    throw ROOTError(
                        .damaged, message: "the lists of keys take more bytes than the file has",
                        advice: ByteCursor.advice)
                }
                found += inside.map { (path + "/" + $0.name, $0) }
            } catch {
                throw error.inside("directory \(path.prefix(256))", file: self.path)
            }
        }
        return found
    }

    /// The header of a directory.
    private func directory(_ key: ROOTKey) throws(ROOTError) -> Directory {
        let own = try input.record(at: key.position)
        return try input.directory(at: own.position + own.headerBytes)
    }

    /// The decompressed payload of a record, and the header at the record itself.
    private func unpack(_ key: ROOTKey, using decoder: ROOTDecoder) throws(ROOTError) -> (AlignedBuffer, ROOTKey) {
        do throws(ROOTError) {
            let own = try input.record(at: key.position), stored = own.recordBytes - own.headerBytes
            let bytes = try input.bytes(at: own.position + own.headerBytes, count: stored)
            let memory: AlignedBuffer = try withBytes(of: bytes) { bytes throws(ROOTError) in
                // Before memory is taken: whether so many bytes can be in there.
                if own.isCompressed { try ROOTDecoder.check(bytes, holds: own.payloadBytes) }
                let memory = AlignedBuffer(capacity: own.payloadBytes)
                let target = UnsafeMutableRawBufferPointer(start: memory.base, count: own.payloadBytes)
                try decoder.unpack(bytes, into: target)
                return memory
            }
            return (memory, own)
        } catch {
            throw error.inside(
                "\(key.className.prefix(256)) \(key.name.prefix(256));\(key.cycle), record at byte \(key.position)",
                file: path)
        }
    }

    private static func newest(_ keys: [ROOTKey]) -> ROOTKey? { keys.max { $0.cycle < $1.cycle } }

    /// What to try instead of a name that is not there.
    private static func advice(_ names: [String]) -> String {
        let more = names.count > 8 ? " and \(names.count - 8) more" : ""
        return names.isEmpty ? "there is nothing" : "there are \(names.prefix(8).joined(separator: ", "))\(more)"
    }
}
