import Support

/// Big-endian numbers and names of a record, one after the other, each checked before it is used.
struct ByteCursor {
    private let bytes: UntrustedBytes
    private let origin: Origin
    /// The next byte.
    private(set) var position = 0
    /// Where reading must end: the end of the bytes, or of the object that is being read.
    private(set) var end: Int

    /// Where bytes come from, for errors.
    enum Origin {
        /// They begin at this byte of the file.
        case file(Int)
        /// They are the decompressed content of the record at this byte of the file.
        case record(Int)
        /// They are the decompressed values of a basket.
        case values
    }

    /// A cursor over bytes that the caller keeps alive.
    init(_ bytes: UnsafeRawBufferPointer, from origin: Origin) {
        self.bytes = UntrustedBytes(bytes)
        self.origin = origin
        end = bytes.count
    }

    /// Bytes that are left.
    var left: Int { end - position }

    /// The next number.
    mutating func next<Number: FixedWidthInteger>(_ type: Number.Type = Number.self) throws(ROOTError) -> Number {
        guard left >= MemoryLayout<Number>.size, let value = bytes.load(Number.self, at: position) else {
            throw truncated(MemoryLayout<Number>.size)
        }
        position += MemoryLayout<Number>.size
        return Number(bigEndian: Number(littleEndian: value))
    }

    /// The next number, as `Int`.
    mutating func nextInt<Number: FixedWidthInteger>(_ type: Number.Type) throws(ROOTError) -> Int {
        Int(truncatingIfNeeded: try next(type))
    }

    /// The next place in the file: 8 bytes if `isWide`, else 4.
    mutating func nextPlace(isWide: Bool) throws(ROOTError) -> Int {
        isWide ? Int(try next(Int64.self)) : Int(try next(Int32.self))
    }

    /// The next TString: a byte of length, or 255 and four, then the text. What is no UTF-8 is replaced.
    mutating func nextText() throws(ROOTError) -> String {
        String(decoding: try nextTextBytes(), as: UTF8.self)
    }

    /// The next TString, if it is no longer than names are: one that others refer to could be copied without end.
    mutating func nextName(atMost limit: Int = ROOTFile.longestName) throws(ROOTError) -> String {
        let start = position, bytes = try nextTextBytes()
        guard bytes.count <= limit else {
            throw ROOTError(
                .damaged, place: place(start), message: "a name of \(bytes.count) bytes, at most \(limit) are read",
                advice: Self.advice)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The bytes of the next TString, which live as long as the cursor's.
    mutating func nextTextBytes() throws(ROOTError) -> UnsafeRawBufferPointer {
        var length = Int(try next(UInt8.self))
        if length == 255 { length = Int(try next(Int32.self)) }
        return try nextBytes(length)
    }

    /// The next bytes as they are; they live as long as the cursor's.
    mutating func nextBytes(_ count: Int) throws(ROOTError) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= left, let found = bytes.slice(at: position, length: count) else {
            throw truncated(count)
        }
        position += count
        return found.bytes
    }

    /// Passes over bytes.
    mutating func skip(_ count: Int) throws(ROOTError) {
        guard count >= 0, count <= left else { throw truncated(count) }
        position += count
    }

    /// Goes to a byte, which may lie before the present one.
    mutating func move(to target: Int) throws(ROOTError) {
        guard (0...end).contains(target) else {
            throw damaged("leads to byte \(target) of \(end)")
        }
        position = target
    }

    /// A cursor over a part of the same bytes.
    func part(_ range: Range<Int>) throws(ROOTError) -> ByteCursor {
        guard range.lowerBound >= 0, range.upperBound <= end else {
            throw damaged("bytes \(range) lead out of the \(end) that are there")
        }
        var part = self
        part.position = range.lowerBound
        part.end = range.upperBound
        return part
    }

    /// An error at the present place.
    func damaged(_ message: String) -> ROOTError {
        ROOTError(.damaged, place: place(position), message: message, advice: Self.advice)
    }

    /// The address of a byte, for errors.
    func place(_ position: Int) -> String {
        switch origin {
        case .file(let start): "byte \(start + position)"
        case .record(let start): "byte \(position) of the record at byte \(start)"
        case .values: "byte \(position) of its values"
        }
    }

    /// What to do about a record that contradicts itself.
    static let advice = "fetch the file again, or compare it with another copy"

    private func truncated(_ count: Int) -> ROOTError {
        ROOTError(
            .truncated, place: place(position),
            message: "\(count) bytes expected, \(left) are left of the record"
        )
    }
}

/// Runs `body` on the bytes of an array; the standard library's face does not keep the type of the error.
func withBytes<Value>(
    of array: [UInt8], _ body: (UnsafeRawBufferPointer) throws(ROOTError) -> Value
) throws(ROOTError) -> Value {
    let result = array.withUnsafeBytes { bytes -> Result<Value, ROOTError> in
        do throws(ROOTError) { return .success(try body(bytes)) } catch { return .failure(error) }
    }
    return try result.get()
}
