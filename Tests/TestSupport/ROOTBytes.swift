/// Bytes of a ROOT file as they are written: big-endian numbers, texts, objects with their byte counts.
///
/// It remembers where things are, so that a test can damage just these.
public struct ROOTBytes: Sendable {
    /// What was written.
    public private(set) var bytes: [UInt8] = []
    /// Where things with a name are.
    public private(set) var marks: [String: Int] = [:]
    /// Where the names of classes are that were written once.
    private var classes: [String: Int] = [:]
    /// Bytes of the key in front of these, which count in references.
    private let keyBytes: Int

    /// No bytes yet.
    public init(keyBytes: Int = 0) { self.keyBytes = keyBytes }

    /// How many there are.
    public var count: Int { bytes.count }

    /// Remembers this place.
    public mutating func mark(_ name: String) { marks[name] = bytes.count }

    /// Remembers a place.
    public mutating func mark(_ name: String, at place: Int) { marks[name] = place }

    /// Writes a number.
    public mutating func put<Number: FixedWidthInteger>(_ number: Number) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// Writes a number and remembers where.
    public mutating func put<Number: FixedWidthInteger>(_ number: Number, as name: String) {
        mark(name)
        put(number)
    }

    /// Writes numbers that mean nothing here.
    public mutating func zeros(_ count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }

    /// Writes bytes as they are.
    public mutating func put(_ more: [UInt8]) { bytes.append(contentsOf: more) }

    /// Writes other bytes and takes over their marks.
    public mutating func put(_ other: ROOTBytes) {
        for (name, place) in other.marks { marks[name] = bytes.count + place }
        bytes.append(contentsOf: other.bytes)
    }

    /// Writes a TString.
    public mutating func text(_ text: String) {
        let utf8 = Array(text.utf8)
        if utf8.count < 255 {
            put(UInt8(utf8.count))
        } else {
            put(UInt8(255))
            put(Int32(utf8.count))
        }
        put(utf8)
    }

    /// Writes a number over what is at a place.
    public mutating func replace<Number: FixedWidthInteger>(at place: Int, with number: Number) {
        withUnsafeBytes(of: number.bigEndian) { bytes.replaceSubrange(place..<place + $0.count, with: $0) }
    }

    /// Writes bytes over what is at a place.
    public mutating func replace(at place: Int, with new: [UInt8]) {
        bytes.replaceSubrange(place..<place + new.count, with: new)
    }

    /// Writes an object with byte count and version.
    public mutating func frame(_ version: Int, _ body: (inout ROOTBytes) -> Void) {
        let start = count
        put(UInt32(0))
        put(UInt16(version))
        body(&self)
        replace(at: start, with: 0x4000_0000 | UInt32(count - start - 4))
    }

    /// Writes an object into a slot, with the name of its class or a reference to where it was written before. Returns the slot's place.
    @discardableResult public mutating func slot(_ className: String, _ body: (inout ROOTBytes) -> Void) -> Int {
        let start = count
        put(UInt32(0))
        if let known = classes[className] {
            put(0x8000_0000 | UInt32(known + 2 + keyBytes), as: "class of slot \(start)")
        } else {
            classes[className] = count
            put(UInt32.max)
            put(Array(className.utf8) + [0])
        }
        body(&self)
        replace(at: start, with: 0x4000_0000 | UInt32(count - start - 4))
        return start
    }

    /// Writes a reference to the object in a slot.
    public mutating func reference(_ slot: Int) { put(UInt32(slot + 2 + keyBytes)) }

    /// Writes a TObject.
    public mutating func object() {
        put(UInt16(1))
        put(UInt32(0))
        put(UInt32(0x0300_0000))
    }

    /// Writes a TNamed.
    public mutating func named(_ name: String, _ title: String) {
        frame(1) {
            $0.object()
            $0.text(name)
            $0.text(title)
        }
    }

    /// Writes a TObjArray of so many slots.
    public mutating func array(_ count: Int, as name: String? = nil, _ body: (inout ROOTBytes) -> Void) {
        frame(3) {
            $0.object()
            $0.text("")
            if let name { $0.mark(name) }
            $0.put(Int32(count))
            $0.put(Int32(0))
            body(&$0)
        }
    }

    /// Writes a key. Those of baskets have more at their end: `tail`.
    public mutating func key(
        className: String, name: String, title: String = "", stored: Int, count payloadBytes: Int, at place: Int,
        isWide: Bool = false, tail: ROOTBytes = ROOTBytes(), as mark: String
    ) {
        let header = Self.keyBytes(className, name, title, isWide: isWide) + tail.count
        put(Int32(header + stored), as: "\(mark): record bytes")
        put(Int16(isWide ? 1004 : 4))
        put(Int32(payloadBytes), as: "\(mark): payload bytes")
        put(UInt32(0x718c_29a7))
        put(Int16(header), as: "\(mark): header bytes")
        put(Int16(1))
        self.mark("\(mark): place")
        if isWide {
            put(Int64(place))
            put(Int64(100))
        } else {
            put(Int32(place))
            put(Int32(100))
        }
        self.mark("\(mark): class")
        text(className)
        text(name)
        text(title)
        put(tail)
    }

    /// Bytes of a key without a tail.
    public static func keyBytes(_ className: String, _ name: String, _ title: String, isWide: Bool = false) -> Int {
        func text(_ text: String) -> Int { text.utf8.count + (text.utf8.count < 255 ? 1 : 5) }
        return (isWide ? 34 : 26) + text(className) + text(name) + text(title)
    }
}
