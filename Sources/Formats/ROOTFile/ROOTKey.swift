import Support

/// The header of a record: what is stored where in the file (ROOT's TKey).
public struct ROOTKey: Sendable, Equatable {
    /// Where the record begins in the file.
    public let position: Int
    /// Bytes of the record, this header included.
    public let recordBytes: Int
    /// Bytes of the payload when it is decompressed.
    public let payloadBytes: Int
    /// Bytes of this header.
    public let headerBytes: Int
    /// Tells versions of one name apart; the highest is the newest.
    public let cycle: Int
    /// The class of what is stored, for example `TTree`.
    public let className: String
    /// Its name.
    public let name: String
    /// Its title.
    public let title: String

    /// Whether the payload is compressed.
    public var isCompressed: Bool { ROOTDecoder.isCompressed(stored: recordBytes - headerBytes, count: payloadBytes) }

    /// Reads a header, and checks that the record lies in a file of `size` bytes.
    /// - Parameter start: Where the header stands; keys of a list say themselves where their record is.
    init(_ cursor: inout ByteCursor, at start: Int?, fileSize size: Int) throws(ROOTError) {
        let record = Int(try cursor.next(Int32.self)), version = try cursor.next(Int16.self)
        payloadBytes = Int(try cursor.next(Int32.self))
        try cursor.skip(4)
        headerBytes = Int(try cursor.next(Int16.self))
        cycle = Int(try cursor.next(Int16.self))
        let seek = try cursor.nextPlace(isWide: version > 1000)
        _ = try cursor.nextPlace(isWide: version > 1000)
        // A header has at most 32,767 bytes.
        className = try cursor.nextName(atMost: Int(Int16.max))
        name = try cursor.nextName(atMost: Int(Int16.max))
        title = try cursor.nextName(atMost: Int(Int16.max))
        recordBytes = record
        position = start ?? seek
        guard record > 0, payloadBytes >= 0, headerBytes >= 26, headerBytes <= record, position >= 0, position <= size,
            record <= size - position
        else {
            throw ROOTError(
                .damaged, place: "record at \(position)",
                message:
                    "\(record) bytes, header of \(headerBytes), payload of \(payloadBytes): does not fit a file of \(size)",
                advice: "the file was cut short or changed: get a new copy")
        }
    }
}
