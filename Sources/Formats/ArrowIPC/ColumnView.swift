/// One buffer in the body of a record batch.
public struct BodyBuffer: Hashable, Sendable {
    /// Where it is stored, counted from the start of the message; with the length prefix, if it has one. Columns that
    /// share a buffer have equal ranges.
    public let storedRange: Range<Int>
    /// How many bytes it has when it is decoded.
    public let byteCount: Int
    /// The codec of the frame that it is stored as; nil if it is stored plainly.
    let codec: Int8?
    /// Whose it is, for errors.
    let column: Int

    /// A buffer without bytes.
    public static let empty = BodyBuffer(storedRange: 0..<0, byteCount: 0, codec: nil, column: 0)

    /// Whether it is stored as a compressed frame.
    public var isCompressed: Bool { codec != nil }

    /// The stored bytes without the prefix.
    var contentRange: Range<Int> {
        isCompressed ? storedRange.lowerBound + ArrowFormat.prefixSize..<storedRange.upperBound : plainRange
    }

    private var plainRange: Range<Int> { storedRange.upperBound - byteCount..<storedRange.upperBound }
}

/// The shape of one column in a record batch, and where its buffers are.
public struct ColumnView: Hashable, Sendable {
    /// The column's number in the schema.
    public let index: Int
    /// The column's type.
    public let type: ArrowType
    /// The number of rows.
    public let length: Int
    /// The number of rows without a value.
    public let nullCount: Int
    /// The number of values in all lists together; nil if the column is no list.
    public let childLength: Int?
    /// The number of places in lists without a value.
    public let childNullCount: Int
    /// One bit a row: whether there is a value. Nil if all are there.
    public let validity: BodyBuffer?
    /// `length + 1` offsets (int32) of lists and texts. Nil for other types, and for no rows in some files.
    public let offsets: BodyBuffer?
    /// One bit a place in the lists: whether there is a value. Nil if all are there.
    public let childValidity: BodyBuffer?
    /// The values; for lists those of all lists, for texts their bytes.
    public let values: BodyBuffer
}
