import Support

/// Why the own reading of a structure was given up; libhdf5 is asked then.
struct Doubt: Error {
    /// What did not fit.
    var reason: String
    /// Where, in bytes from the beginning of the file.
    var offset: Int
    /// Whether it contradicts the format. Otherwise it is merely a newer or rarer form.
    var isDamage: Bool

    static func damage(_ reason: String, at offset: Int) -> Doubt {
        Doubt(reason: reason, offset: offset, isDamage: true)
    }

    static func unknown(_ reason: String, at offset: Int) -> Doubt {
        Doubt(reason: reason, offset: offset, isDamage: false)
    }
}

/// The data layout message of a dataset's object header (versions 1 and 2).
///
/// HDF5 File Format Specification 3.0, IV.A and IV.A.2.i.
struct LayoutMessage {
    /// The chunk B-tree's root, relative to the base address; nil if no chunk was ever written.
    var root: Int?
    /// Chunk dimensions; the last one is the element size.
    var dimensions: [Int]

    /// Finds the version-3 layout message of a chunked dataset.
    init(in file: InputFile, base: Int, header address: Int) throws(Doubt) {
        let blocks = HeaderBlocks(file: file, base: base)
        guard let found = try blocks.body(of: 0x08, header: address) else {
            throw .damage("there is no layout message", at: base &+ address)
        }
        let (bytes, offset) = found
        func number<T: FixedWidthInteger>(_ type: T.Type, _ place: Int) throws(Doubt) -> T {
            guard let value = bytes.withUnsafeBytes({ UntrustedBytes($0).load(type, at: place) }) else {
                throw .damage("the layout message is too short", at: offset)
            }
            return value
        }
        guard try number(UInt8.self, 0) == 3, try number(UInt8.self, 1) == 2 else {
            throw .unknown("not a chunked layout of version 3", at: offset)
        }
        let count = Int(try number(UInt8.self, 2))
        let address = try number(UInt64.self, 3)
        root = address == .max ? nil : Int(exactly: address)
        if address != .max, root == nil { throw .damage("chunk index at \(address)", at: offset) }
        dimensions = []
        for index in 0..<count { dimensions.append(Int(try number(UInt32.self, 11 + 4 * index))) }
    }
}

/// The message blocks of an object header, followed through their continuations.
private struct HeaderBlocks {
    let file: InputFile
    let base: Int

    private func read(_ address: Int, _ count: Int) throws(Doubt) -> [UInt8] {
        let (offset, overflow) = address.addingReportingOverflow(base)
        guard !overflow, address >= 0 else { throw .damage("an address beyond the file", at: base) }
        do throws(SystemError) { return try file.read(at: offset, count: count) } catch {
            throw .damage(error.message, at: offset)
        }
    }

    /// The body of the first message of a type, and its offset in the file.
    func body(of wanted: UInt8, header address: Int) throws(Doubt) -> (bytes: [UInt8], offset: Int)? {
        let prefix = try read(address, 16)
        if prefix.starts(with: Array("OHDR".utf8)) {
            return try version2(wanted, address, prefix)
        }
        guard prefix[0] == 1 else { throw .unknown("an object header of version \(prefix[0])", at: base + address) }
        let size = prefix.withUnsafeBytes { UntrustedBytes($0).load(UInt32.self, at: 8) } ?? 0
        return try walk(wanted, first: (address + 16, Int(size)), prefixBytes: 8, typeBytes: 2, trailer: 0)
    }

    private func version2(
        _ wanted: UInt8, _ address: Int, _ prefix: [UInt8]
    ) throws(Doubt) -> (bytes: [UInt8], offset: Int)? {
        guard prefix[4] == 2 else { throw .unknown("an object header of version \(prefix[4])", at: base + address) }
        let flags = prefix[5]
        var place = address + 6
        if flags & 0x20 != 0 { place += 16 }
        if flags & 0x10 != 0 { place += 4 }
        let width = 1 << Int(flags & 3)
        var size: UInt64 = 0
        for (index, byte) in try read(place, width).enumerated() { size |= UInt64(byte) << UInt64(8 * index) }
        guard let size = Int(exactly: size) else { throw .damage("an absurd header size", at: base + place) }
        let messagePrefix = flags & 4 != 0 ? 6 : 4
        return try walk(
            wanted, first: (place + width, size), prefixBytes: messagePrefix, typeBytes: 1, trailer: 4)
    }

    /// `trailer` tells the versions apart: blocks of version 2 that continue others lie between `OCHK` and a checksum.
    private func walk(
        _ wanted: UInt8, first: (Int, Int), prefixBytes: Int, typeBytes: Int, trailer: Int
    ) throws(Doubt) -> (bytes: [UInt8], offset: Int)? {
        var blocks = [first]
        var next = 0
        var found: (bytes: [UInt8], offset: Int)?
        while next < blocks.count {
            // A circle of continuations would never end.
            guard next < 1024 else { throw .damage("too many header blocks", at: base + first.0) }
            var (start, count) = blocks[next]
            next += 1
            guard count <= 1 << 24 else { throw .damage("a header block of \(count) bytes", at: base + first.0) }
            if trailer > 0, next > 1 {
                guard try read(start, 4) == Array("OCHK".utf8) else {
                    throw .damage("a header block without its signature", at: base + first.0)
                }
                start += 4
                count -= 4 + trailer
            }
            guard count >= 0 else { throw .damage("a header block too short", at: base + first.0) }
            let bytes = try read(start, count)
            var place = 0
            while place + prefixBytes <= bytes.count {
                let type = bytes[place]
                let isKnownType = typeBytes == 1 || bytes[place + 1] == 0
                let size = Int(bytes[place + typeBytes]) | Int(bytes[place + typeBytes + 1]) << 8
                let flags = bytes[place + typeBytes + 2]
                let body = place + prefixBytes
                guard body + size <= bytes.count else {
                    throw .damage("a header message runs out of its block", at: base + start + place)
                }
                if isKnownType, type == 0x10 {
                    guard size >= 16 else { throw .damage("a short continuation", at: base + start + place) }
                    let (address, length) = bytes.withUnsafeBytes {
                        (
                            UntrustedBytes($0).load(UInt64.self, at: body) ?? .max,
                            UntrustedBytes($0).load(UInt64.self, at: body + 8) ?? .max
                        )
                    }
                    guard address <= UInt64(file.size), length <= UInt64(file.size) else {
                        throw .damage("a header continuation beyond the file", at: base + start + place)
                    }
                    blocks.append((Int(address), Int(length)))
                } else if isKnownType, type == wanted {
                    guard flags & 2 == 0 else { throw .unknown("a shared message", at: base + start + place) }
                    guard found == nil else { throw .damage("two messages of one kind", at: base + start + place) }
                    found = (Array(bytes[body..<body + size]), base + start + body)
                }
                place = body + size
            }
        }
        return found
    }
}
