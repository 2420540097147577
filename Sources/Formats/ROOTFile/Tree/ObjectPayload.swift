import Support

/// The decompressed payload of a record that holds objects: a tree, a list of streamer infos.
///
/// A reference in it is an address: what is numbered is the place in the writer's buffer, which began with the key, plus 2. So
/// each object can be read alone, in any order.
///
/// `@unchecked Sendable`: the memory is filled before the first use and never written again.
final class ObjectPayload: @unchecked Sendable {
    private let memory: AlignedBuffer
    /// How many bytes it has.
    let count: Int
    /// Bytes of the record's key, which count in references.
    private let headerBytes: Int
    /// Where the record is in the file.
    let position: Int

    /// A slot's content (ROOT's ReadObjectAny).
    enum Slot {
        case null
        /// The slot of another object.
        case reference(Int)
        case object(ObjectSlot)
    }

    /// An object in a slot.
    struct ObjectSlot {
        /// Where the slot begins.
        var position: Int
        /// Where the class name stands, ending with a zero byte.
        var className: Int
        /// The object's own bytes.
        var body: Range<Int>
    }

    /// Memory of `count` bytes that has been filled.
    init(_ memory: AlignedBuffer, of key: ROOTKey) {
        self.memory = memory
        count = key.payloadBytes
        headerBytes = key.headerBytes
        position = key.position
    }

    private var bytes: UnsafeRawBufferPointer { memory.bytes(count) }

    /// A cursor over everything.
    var cursor: ByteCursor { ByteCursor(bytes, from: .record(position)) }

    /// A cursor over a part.
    func cursor(_ range: Range<Int>) throws(ROOTError) -> ByteCursor { try cursor.part(range) }

    // Marks of ReadObjectAny.
    private static let byteCountMark: UInt32 = 0x4000_0000
    private static let classMark: UInt32 = 0x8000_0000
    private static let newClass: UInt32 = 0xffff_ffff
    /// What is added to a place before it is a reference (kMapOffset).
    private static let mapOffset = 2

    /// Reads a slot and passes over what is in it.
    func slot(_ cursor: inout ByteCursor) throws(ROOTError) -> Slot {
        let position = cursor.position, head = try cursor.next(UInt32.self)
        if head == 0 { return .null }
        guard head & Self.byteCountMark != 0, head != Self.newClass else {
            guard head & Self.classMark == 0 else {
                throw ROOTError(
                    .unsupported, place: cursor.place(position),
                    message: "an object without a byte count, as ROOT wrote before version 3")
            }
            // The enclosing object itself has the number 1: nothing that is read here.
            return head == 1 ? .null : .reference(try place(of: head, at: position))
        }
        let length = Int(head & 0x3fff_ffff)
        guard length >= 4, length <= cursor.left else {
            throw cursor.damaged("an object of \(length) bytes, \(cursor.left) are left")
        }
        let end = position + 4 + length, tag = try cursor.next(UInt32.self)
        guard tag & Self.classMark != 0 else {
            try cursor.move(to: end)
            return .reference(try place(of: tag, at: position))
        }
        var className = position + 8
        if tag == Self.newClass {
            let name = try nameBytes(at: className, end: end)
            try cursor.move(to: className + name + 1)
        } else {
            let referred = try place(of: tag & ~Self.classMark, at: position)
            var there = try self.cursor(referred..<count)
            guard try there.next(UInt32.self) == Self.newClass else {
                throw cursor.damaged("its class should be at byte \(referred), where none is")
            }
            className = referred + 4
        }
        let body = cursor.position..<end
        try cursor.move(to: end)
        return .object(ObjectSlot(position: position, className: className, body: body))
    }

    /// The object in the slot at a place that a reference named.
    func object(at position: Int) throws(ROOTError) -> ObjectSlot {
        var cursor = try cursor(position..<count)
        guard case .object(let found) = try slot(&cursor) else {
            throw cursor.damaged("a reference leads to byte \(position), where no object begins")
        }
        return found
    }

    /// The name of a class.
    func className(_ slot: ObjectSlot) throws(ROOTError) -> String {
        let length = try nameBytes(at: slot.className, end: count)
        return String(decoding: bytes[slot.className..<slot.className + length], as: UTF8.self)
    }

    private func place(of reference: UInt32, at position: Int) throws(ROOTError) -> Int {
        let place = Int(reference) - Self.mapOffset - headerBytes
        guard (0..<count).contains(place) else {
            throw ROOTError(
                .damaged, place: cursor.place(position), message: "a reference leads to byte \(place) of \(count)",
                advice: ByteCursor.advice)
        }
        return place
    }

    /// Bytes of a name that ends with a zero.
    private func nameBytes(at start: Int, end: Int) throws(ROOTError) -> Int {
        guard start <= min(end, count),
            let length = bytes[start..<min(end, count, start + 1025)].firstIndex(of: 0).map({ $0 - start })
        else {
            throw ROOTError(
                .damaged, place: cursor.place(start), message: "the name of a class does not end",
                advice: ByteCursor.advice)
        }
        return length
    }
}

extension ByteCursor {
    /// What opens nearly every object: its version, and where it ends.
    struct Frame {
        var version: Int
        var end: Int
    }

    /// Reads a frame: a byte count and a version, or a version alone.
    mutating func frame() throws(ROOTError) -> Frame {
        let start = position
        let head = try next(UInt16.self)
        guard head & 0x4000 != 0 else { return Frame(version: Int(head), end: end) }
        let count = Int(head & 0x3fff) << 16 | Int(try next(UInt16.self))
        guard count >= 2, count <= left else { throw damaged("an object of \(count) bytes, \(left) are left") }
        let version = try next(UInt16.self)
        guard version & 0x4000 == 0 else {
            throw ROOTError(
                .unsupported, place: place(start), message: "an object that is stored member by member: not read")
        }
        return Frame(version: Int(version), end: start + 4 + count)
    }

    /// Passes over a framed object.
    mutating func skipFrame() throws(ROOTError) { try move(to: frame().end) }

    /// Passes over a TObject: version, number, bits, and two bytes more if it is referenced.
    mutating func skipObject() throws(ROOTError) {
        if try next(UInt16.self) & 0x4000 != 0 { try skip(4) }
        try skip(4)
        if try next(UInt32.self) & 0x10 != 0 { try skip(2) }
    }

    /// Name and title of a TNamed.
    /// - Parameter longest: The most bytes that the title may have.
    mutating func named(longest: Int = .max) throws(ROOTError) -> (name: String, title: String) {
        let frame = try frame()
        try skipObject()
        let name = try nextName(), title = try nextName(atMost: longest)
        try move(to: frame.end)
        return (name, title)
    }

    /// Opens a TObjArray: how many slots follow, and where it ends.
    mutating func objectArray() throws(ROOTError) -> (count: Int, end: Int) {
        let frame = try frame()
        try skipObject()
        _ = try nextTextBytes()
        let count = try nextInt(Int32.self)
        try skip(4)
        // A slot takes four bytes at least.
        guard count >= 0, frame.end <= end, count <= max(0, frame.end - position) / 4 else {
            throw damaged("a list of \(count) objects in \(left) bytes")
        }
        return (count, frame.end)
    }
}
