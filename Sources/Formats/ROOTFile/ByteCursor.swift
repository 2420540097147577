import Support

/// Big-endian numbers and names of a record, one after the other, each checked before it is used.
struct ByteCursor {
    private let bytes: UntrustedBytes
    /// Where the bytes begin in the file, for errors.
    private let start: Int
    /// The next byte.
    private(set) var position = 0

    /// A cursor over bytes that the caller keeps alive.
    init(_ bytes: UnsafeRawBufferPointer, at start: Int) {
        self.bytes = UntrustedBytes(bytes)
        self.start = start
    }

    /// Bytes that are left.
    var left: Int { bytes.count - position }

    /// The next number.
    mutating func next<Number: FixedWidthInteger>(_ type: Number.Type = Number.self) throws(ROOTError) -> Number {
        guard let value = bytes.load(Number.self, at: position) else { throw truncated(MemoryLayout<Number>.size) }
        position += MemoryLayout<Number>.size
        return Number(bigEndian: Number(littleEndian: value))
    }

    /// The next place in the file: 8 bytes if `isWide`, else 4.
    mutating func nextPlace(isWide: Bool) throws(ROOTError) -> Int {
        isWide ? Int(try next(Int64.self)) : Int(try next(Int32.self))
    }

    /// The next TString: a byte of length, or 255 and four, then the text. What is no UTF-8 is replaced.
    mutating func nextText() throws(ROOTError) -> String {
        var length = Int(try next(UInt8.self))
        if length == 255 { length = Int(try next(Int32.self)) }
        guard length >= 0, let text = bytes.slice(at: position, length: length) else { throw truncated(length) }
        position += length
        return String(decoding: text.bytes, as: UTF8.self)
    }

    /// Passes over bytes.
    mutating func skip(_ count: Int) throws(ROOTError) {
        guard bytes.slice(at: position, length: count) != nil else { throw truncated(count) }
        position += count
    }

    private func truncated(_ count: Int) -> ROOTError {
        ROOTError(
            .truncated, place: "byte \(start + position)",
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
