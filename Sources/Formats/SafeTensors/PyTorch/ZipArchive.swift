import CDeflate
import Support

/// The members of a zip archive by its central directory, with zip64. Only stored members are read: PyTorch compresses none.
///
/// Local headers may leave sizes out, so that only the lengths of their names are taken from there. Source: the specification of
/// the format (APPNOTE 6.3).
struct ZipArchive: Sendable {
    struct Member: Sendable {
        var name: String
        var nameLength: Int
        var flags: UInt16
        var method: UInt16
        var checksum: UInt32
        var storedSize: Int
        var size: Int
        /// Where its local header begins.
        var position: Int
    }

    let members: [Member]
    private let index: NameIndex
    /// Where the central directory begins: no member reaches beyond.
    private let directoryStart: Int

    /// Reads the central directory.
    init(_ content: FileBytes) throws(SafeTensorsError) {
        let directory = try Directory(content)
        directoryStart = directory.start
        // 46 bytes are the least that an entry takes.
        guard directory.count <= directory.size / 46 else {
            throw Self.damaged("\(directory.count) members in a directory of \(directory.size) bytes")
        }
        let found = try content.withBytes(directory.start..<directory.start + directory.size) {
            bytes throws(SafeTensorsError) in try Self.members(UntrustedBytes(bytes), count: directory.count)
        }
        var index = NameIndex(capacity: found.count)
        for (position, member) in found.enumerated() {
            guard index.insert(member.name, at: position) else {
                throw Self.damaged("the member \(member.name) stands there twice")
            }
        }
        members = found
        self.index = index
    }

    /// The member of this name; nil if there is none.
    subscript(name: String) -> Member? { index[name].map { members[$0] } }

    /// Where a member's content lies in the file.
    func range(of member: Member, in content: FileBytes) throws(SafeTensorsError) -> Range<Int> {
        guard member.flags & 1 == 0 else {
            throw SafeTensorsError(.unsupported, message: "the member is encrypted")
        }
        guard member.method == 0 else {
            throw SafeTensorsError(
                .unsupported, message: "the member is compressed (method \(member.method)), PyTorch's are not",
                advice: "unpack the archive and pack it without compression (zip -0), or load and save it with PyTorch")
        }
        guard member.storedSize == member.size else {
            throw Self.damaged("\(member.storedSize) bytes stored for \(member.size)")
        }
        let headerSize = 30
        guard member.position <= directoryStart, headerSize <= directoryStart - member.position else {
            throw Self.damaged("the member begins at byte \(member.position), behind the last")
        }
        let named = headerSize + member.nameLength, end = member.position + named
        guard end <= directoryStart else { throw Self.damaged("the member's header leads out of the file") }
        let extra: Int = try content.withBytes(member.position..<end) { bytes throws(SafeTensorsError) in
            let bytes = UntrustedBytes(bytes)
            guard bytes.load(UInt32.self, at: 0) == 0x0403_4b50, let nameLength = bytes.load(UInt16.self, at: 26),
                let extra = bytes.load(UInt16.self, at: 28), Int(nameLength) == member.nameLength,
                let name = bytes.slice(at: headerSize, length: member.nameLength),
                String(decoding: name.bytes, as: UTF8.self).utf8.elementsEqual(member.name.utf8)
            else { throw Self.damaged("no header of this member at byte \(member.position)") }
            return Int(extra)
        }
        guard extra <= directoryStart - end, member.size <= directoryStart - end - extra else {
            throw Self.damaged("\(member.size) bytes at \(end + extra) lead into the directory at \(directoryStart)")
        }
        return end + extra..<end + extra + member.size
    }

    /// Holds a member's content against its CRC-32. One of 0 stands for none: PyTorch can be told to leave it out.
    static func check(_ bytes: UnsafeRawBufferPointer, of member: Member) throws(SafeTensorsError) {
        guard member.checksum != 0 else { return }
        let found = libdeflate_crc32(0, bytes.baseAddress, bytes.count)
        guard found == member.checksum else {
            throw damaged("CRC-32 \(hex(found)), expected \(hex(member.checksum))")
        }
    }

    private static func members(_ bytes: UntrustedBytes, count: Int) throws(SafeTensorsError) -> [Member] {
        var found: [Member] = [], position = 0
        found.reserveCapacity(count)
        for number in 0..<count {
            guard bytes.load(UInt32.self, at: position) == 0x0201_4b50,
                let flags = bytes.load(UInt16.self, at: position + 8),
                let method = bytes.load(UInt16.self, at: position + 10),
                let checksum = bytes.load(UInt32.self, at: position + 16),
                let storedSize = bytes.load(UInt32.self, at: position + 20),
                let size = bytes.load(UInt32.self, at: position + 24),
                let nameLength = bytes.load(UInt16.self, at: position + 28),
                let extraLength = bytes.load(UInt16.self, at: position + 30),
                let commentLength = bytes.load(UInt16.self, at: position + 32),
                let header = bytes.load(UInt32.self, at: position + 42),
                let name = bytes.slice(at: position + 46, length: Int(nameLength)),
                let extra = bytes.slice(at: position + 46 + Int(nameLength), length: Int(extraLength))
            else { throw damaged("entry \(number) of \(count) in the directory is broken") }
            var wide = WideFields(extra)
            guard let size = wide.number(size), let storedSize = wide.number(storedSize),
                let header = wide.number(header)
            else { throw damaged("entry \(number) of \(count) lacks its 64-bit sizes") }
            found.append(
                Member(
                    name: String(decoding: name.bytes, as: UTF8.self), nameLength: Int(nameLength), flags: flags,
                    method: method, checksum: checksum, storedSize: storedSize, size: size, position: header))
            position += 46 + Int(nameLength) + Int(extraLength) + Int(commentLength)
        }
        return found
    }

    /// The 64-bit numbers of an entry, in the order in which those of 32 bits were too small.
    private struct WideFields {
        private var fields: UntrustedBytes?
        private var position = 0

        init(_ extra: UntrustedBytes) {
            var offset = 0
            while let id = extra.load(UInt16.self, at: offset), let length = extra.load(UInt16.self, at: offset + 2) {
                if id == 1 {
                    fields = extra.slice(at: offset + 4, length: Int(length))
                    return
                }
                offset += 4 + Int(length)
            }
        }

        /// A number of 32 bits, or that of 64 which stands for it; nil if there is none.
        mutating func number(_ narrow: UInt32) -> Int? {
            guard narrow == .max else { return Int(narrow) }
            defer { position += 8 }
            return fields?.load(UInt64.self, at: position).flatMap { Int(exactly: $0) }
        }
    }

    /// Where the central directory lies, by the record at the end of the file.
    private struct Directory {
        var start: Int
        var size: Int
        var count: Int

        init(_ content: FileBytes) throws(SafeTensorsError) {
            // The record has 22 bytes and a comment of at most 65,535; that of zip64 is found by 20 bytes before it.
            let tail = max(0, content.size - 22 - 65_535 - 20)
            let bytes = try content.read(tail..<content.size)
            let found: (Directory, wide: Int?) = try FileBytes.withBytes(of: bytes) { bytes throws(SafeTensorsError) in
                let bytes = UntrustedBytes(bytes)
                guard let position = Self.end(bytes), let count = bytes.load(UInt16.self, at: position + 10),
                    let size = bytes.load(UInt32.self, at: position + 12),
                    let start = bytes.load(UInt32.self, at: position + 16)
                else {
                    throw SafeTensorsError(
                        .truncated, message: "the directory that ends a zip archive is not there",
                        advice: "it was cut short: get a new copy")
                }
                let narrow = Directory(start: Int(start), size: Int(size), count: Int(count))
                guard count == .max || size == .max || start == .max else { return (narrow, nil) }
                guard bytes.load(UInt32.self, at: position - 20) == 0x0706_4b50,
                    let wide = bytes.load(UInt64.self, at: position - 12).flatMap({ Int(exactly: $0) })
                else { return (narrow, nil) }
                return (narrow, wide)
            }
            self = found.0
            if let wide = found.wide { self = try Self.wide(at: wide, content) }
            guard start >= 0, size >= 0, count >= 0, start <= content.size, size <= content.size - start else {
                throw ZipArchive.damaged("\(size) bytes of directory at \(start) in a file of \(content.size)")
            }
        }

        private init(start: Int, size: Int, count: Int) {
            self.start = start
            self.size = size
            self.count = count
        }

        /// The record whose comment ends with the file.
        private static func end(_ bytes: UntrustedBytes) -> Int? {
            var position = bytes.count - 22
            while position >= 0 {
                if bytes.load(UInt32.self, at: position) == 0x0605_4b50,
                    let comment = bytes.load(UInt16.self, at: position + 20),
                    position + 22 + Int(comment) == bytes.count
                {
                    return position
                }
                position -= 1
            }
            return nil
        }

        private static func wide(at position: Int, _ content: FileBytes) throws(SafeTensorsError) -> Directory {
            guard position <= content.size, 56 <= content.size - position else {
                throw ZipArchive.damaged("the end of a zip64 directory at byte \(position) of \(content.size)")
            }
            return try content.withBytes(position..<position + 56) { bytes throws(SafeTensorsError) in
                let bytes = UntrustedBytes(bytes)
                guard bytes.load(UInt32.self, at: 0) == 0x0606_4b50,
                    let count = bytes.load(UInt64.self, at: 32).flatMap({ Int(exactly: $0) }),
                    let size = bytes.load(UInt64.self, at: 40).flatMap({ Int(exactly: $0) }),
                    let start = bytes.load(UInt64.self, at: 48).flatMap({ Int(exactly: $0) })
                else { throw ZipArchive.damaged("no end of a zip64 directory at byte \(position)") }
                return Directory(start: start, size: size, count: count)
            }
        }
    }

    static func damaged(_ message: String) -> SafeTensorsError {
        SafeTensorsError(.damaged, message: message, advice: copyAgain)
    }

    private static func hex(_ number: UInt32) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
