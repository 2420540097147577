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

    /// The largest list of keys of a directory.
    private static let longestList = 1 << 28

    /// Opens a file.
    /// - Throws: `ROOTError`: `notROOT`, `truncated` or `damaged`; `system` if it cannot be read.
    public init(path: String) throws(ROOTError) {
        self.path = path
        do throws(SystemError) { input = try InputFile(path: path) } catch { throw ROOTError(error) }
        let input = input
        let head = try Self.read(input, at: 0, count: min(input.size, 64))
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
            keys = try Self.keys(input, directoryAt: header.directoryPosition)
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
                    advice: "there are \(keys.map(\.name).joined(separator: ", "))")
            }
            do throws(ROOTError) {
                let own = try record(found.position)
                keys = try Self.keys(input, directoryAt: own.position + own.headerBytes)
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
                advice: "there are \(keys.map { "\($0.name);\($0.cycle)" }.joined(separator: ", "))")
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
    func objects(of key: ROOTKey, place: String) throws(ROOTError) -> ObjectPayload {
        let (memory, own) = try unpack(key, using: ROOTDecoder())
        return ObjectPayload(memory, count: own.payloadBytes, headerBytes: own.headerBytes)
    }

    /// The record of the streamer infos; nil if there is none.
    func streamerInfos() throws(ROOTError) -> ObjectPayload? {
        guard streamerInfoPosition != 0 else { return nil }
        do throws(ROOTError) {
            return try objects(of: try record(streamerInfoPosition), place: "")
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

    /// The keys of all directories with the paths that lead to them.
    public func allKeys() throws(ROOTError) -> [(path: String, key: ROOTKey)] {
        var found: [(path: String, key: ROOTKey)] = []
        var directories = [(path: "", depth: 0)], seen: Set<Int> = []
        while let directory = directories.popLast() {
            for key in try keys(inDirectory: directory.path) {
                let path = directory.path.isEmpty ? key.name : "\(directory.path)/\(key.name)"
                found.append((path, key))
                // In a damaged file a directory may lead into itself.
                if Self.isDirectory(key), directory.depth < 32, seen.insert(key.position).inserted {
                    directories.append((path, directory.depth + 1))
                }
            }
        }
        return found
    }

    /// The decompressed payload of a record, and the header at the record itself.
    private func unpack(_ key: ROOTKey, using decoder: ROOTDecoder) throws(ROOTError) -> (AlignedBuffer, ROOTKey) {
        do throws(ROOTError) {
            let own = try record(key.position), stored = own.recordBytes - own.headerBytes
            let bytes = try Self.read(input, at: own.position + own.headerBytes, count: stored)
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
            throw error.inside("\(key.className) \(key.name);\(key.cycle)", file: path)
        }
    }

    /// The header at a record itself: that in a list of keys may be of another length.
    private func record(_ position: Int) throws(ROOTError) -> ROOTKey { try Self.record(input, at: position) }

    private static func newest(_ keys: [ROOTKey]) -> ROOTKey? { keys.max { $0.cycle < $1.cycle } }

    private static func record(_ input: InputFile, at position: Int) throws(ROOTError) -> ROOTKey {
        // Three names of at most some hundred bytes; longer ones are read again with what the header says.
        var count = 512
        while true {
            let bytes = try read(input, at: position, count: min(count, max(0, input.size - position)))
            do throws(ROOTError) {
                return try withBytes(of: bytes) { bytes throws(ROOTError) in
                    var cursor = ByteCursor(bytes, at: position)
                    return try ROOTKey(&cursor, at: position, fileSize: input.size)
                }
            } catch {
                guard error.code == .truncated, count < 1 << 17, bytes.count == count else { throw error }
                count *= 16
            }
        }
    }

    /// The keys of the directory whose header is at `position`.
    private static func keys(_ input: InputFile, directoryAt position: Int) throws(ROOTError) -> [ROOTKey] {
        let head = try read(input, at: position, count: min(64, max(0, input.size - position)))
        let list: (position: Int, bytes: Int) = try withBytes(of: head) { bytes throws(ROOTError) in
            var cursor = ByteCursor(bytes, at: position)
            let version = try cursor.next(Int16.self)
            try cursor.skip(8)
            let listBytes = Int(try cursor.next(Int32.self))
            try cursor.skip(4)
            let isWide = version > 1000
            _ = try cursor.nextPlace(isWide: isWide)
            _ = try cursor.nextPlace(isWide: isWide)
            return (try cursor.nextPlace(isWide: isWide), listBytes)
        }
        // An empty directory has no list.
        guard list.position != 0 else { return [] }
        guard list.position > 0, (0...longestList).contains(list.bytes), list.position <= input.size,
            list.bytes <= input.size - list.position
        else {
            throw ROOTError(
                .damaged, place: "list of keys",
                message: "\(list.bytes) bytes at \(list.position) do not fit a file of \(input.size)")
        }
        let bytes = try read(input, at: list.position, count: list.bytes)
        return try withBytes(of: bytes) { bytes throws(ROOTError) in
            var cursor = ByteCursor(bytes, at: list.position)
            let own = try ROOTKey(&cursor, at: list.position, fileSize: input.size)
            try cursor.skip(own.headerBytes - cursor.position)
            let count = Int(try cursor.next(Int32.self))
            // 26 bytes are the least that a key takes.
            guard count >= 0, count <= cursor.left / 26 else {
                throw ROOTError(
                    .damaged, place: "list of keys", message: "\(count) keys in \(cursor.left) bytes")
            }
            var keys: [ROOTKey] = []
            keys.reserveCapacity(count)
            for _ in 0..<count { keys.append(try ROOTKey(&cursor, at: nil, fileSize: input.size)) }
            return keys
        }
    }

    private static func read(_ input: InputFile, at position: Int, count: Int) throws(ROOTError) -> [UInt8] {
        do throws(SystemError) { return try input.read(at: position, count: count) } catch { throw ROOTError(error) }
    }
}

/// The header of a file.
private struct Header {
    let version: String
    let compression: Int
    let directoryPosition: Int
    let streamerInfoPosition: Int

    init(_ bytes: [UInt8], fileSize size: Int) throws(ROOTError) {
        self = try withBytes(of: bytes) { bytes throws(ROOTError) in
            var cursor = ByteCursor(bytes, at: 0)
            try cursor.skip(4)
            let number = Int(try cursor.next(Int32.self)), isWide = number >= 1_000_000
            let begin = Int(try cursor.next(Int32.self)), end = try cursor.nextPlace(isWide: isWide)
            _ = try cursor.nextPlace(isWide: isWide)
            try cursor.skip(8)
            let nameBytes = Int(try cursor.next(Int32.self))
            try cursor.skip(1)
            let compression = Int(try cursor.next(Int32.self))
            let information = try cursor.nextPlace(isWide: isWide)
            guard end <= size else {
                throw ROOTError(
                    .truncated, message: "the file has \(size) bytes, its header says \(end)",
                    advice: "it was cut short: get a new copy")
            }
            guard begin > 0, begin < size, nameBytes >= 0, nameBytes < size - begin, (0...size).contains(information)
            else {
                throw ROOTError(
                    .damaged, message: "records from \(begin), name of \(nameBytes) bytes, streamers at \(information)")
            }
            let plain = number % 1_000_000
            return Header(
                version: "\(plain / 10_000).\(Self.two(plain / 100 % 100))/\(Self.two(plain % 100))",
                compression: compression, directoryPosition: begin + nameBytes, streamerInfoPosition: information)
        }
    }

    private init(version: String, compression: Int, directoryPosition: Int, streamerInfoPosition: Int) {
        self.version = version
        self.compression = compression
        self.directoryPosition = directoryPosition
        self.streamerInfoPosition = streamerInfoPosition
    }

    private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
