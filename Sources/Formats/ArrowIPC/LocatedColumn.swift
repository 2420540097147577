import Support

/// A buffer of which the metadata alone is known: where it is stored and how much it has to hold.
public struct StoredBuffer: Hashable, Sendable {
    /// What it holds, in the words of errors.
    enum Role: String, Sendable {
        case values, offsets, texts, validity
    }

    /// Where it is stored, counted from the start of the message; empty at 0 if nothing is. Columns that share a buffer
    /// have equal ranges.
    public let range: Range<Int>
    /// How many bytes it has to hold when it is decoded; 0 for texts, whose number is not in the metadata.
    public let neededCount: Int
    let codec: Int8?
    let column: Int
    let role: Role

    /// Looks at the buffer's first bytes: whether it is compressed, and how large it is.
    /// - Parameter stored: The bytes of `range`.
    func open(_ stored: UntrustedBytes, at address: ColumnAddress) throws(ArrowError) -> BodyBuffer {
        let buffer = try unchecked(stored, at: address)
        // The format lets a column without rows leave out its only offset.
        if role == .offsets, neededCount == 4, buffer.byteCount == 0 { return buffer }
        guard buffer.byteCount >= neededCount else {
            throw address.error(.damaged, "\(buffer.byteCount) bytes of \(role), expected \(neededCount)")
        }
        // Writers round up to 64 bytes, some leave spare capacity; a frame that claims far more is no honest one.
        guard role == .texts || !buffer.isCompressed || buffer.byteCount / 2 - 32_768 <= neededCount else {
            throw address.error(.damaged, "a frame of \(buffer.byteCount) bytes of \(role), expected \(neededCount)")
        }
        return buffer
    }

    private func unchecked(_ stored: UntrustedBytes, at address: ColumnAddress) throws(ArrowError) -> BodyBuffer {
        guard stored.count == range.count else {
            throw address.error(.invalid, "\(stored.count) bytes of \(role) at hand, expected \(range.count)")
        }
        guard let codec, !range.isEmpty else {
            return BodyBuffer(storedRange: range, byteCount: range.count, codec: nil, column: column)
        }
        guard range.count >= ArrowFormat.prefixSize, let size = stored.load(Int64.self, at: 0),
            let frame = stored.slice(at: ArrowFormat.prefixSize, length: range.count - ArrowFormat.prefixSize)
        else {
            throw address.error(.damaged, "\(range.count) bytes of \(role) have no room for a length")
        }
        if size == ArrowFormat.rawPrefix || size == 0 {
            let count = size == 0 ? 0 : frame.count
            return BodyBuffer(storedRange: range, byteCount: count, codec: nil, column: column)
        }
        guard size > 0, size <= BodyDecoder.bound(frame.count, codec: codec) else {
            throw address.error(.damaged, "\(frame.count) compressed bytes of \(role) cannot hold \(size)")
        }
        if let stated = BodyDecoder.statedSize(frame.bytes, codec: codec), stated != UInt64(size) {
            throw address.error(.damaged, "the frame of \(role) holds \(stated) bytes, its prefix says \(size)")
        }
        return BodyBuffer(storedRange: range, byteCount: Int(size), codec: codec, column: column)
    }
}

/// The shape of a column and the places of its buffers, as far as the metadata alone tells them.
public struct LocatedColumn: Hashable, Sendable {
    /// The column's number in the schema.
    public let index: Int
    /// The number of rows.
    public let length: Int
    /// The number of values in all lists together; nil if the column is no list.
    public let childLength: Int?
    /// `length + 1` offsets (int32) of lists and texts. Nil for other types, and for no rows in some files.
    public let offsets: StoredBuffer?
    /// The values; for lists those of all lists, for texts their bytes.
    public let values: StoredBuffer
    /// Whether the record batch may hold the column's buffers as compressed frames.
    public var isCompressed: Bool { values.codec != nil }

    let nullCount: Int
    let childNullCount: Int
    /// Nil if nothing is missing: some writers store a bitmap all the same, which need not be read.
    let validity: StoredBuffer?
    let childValidity: StoredBuffer?
}

/// Where a column is, put into words only for an error.
struct ColumnAddress {
    let batch: Address
    let name: String

    func error(_ code: ArrowError.Code, _ message: String, advice: String? = nil) -> ArrowError {
        batch.inside("column \(name)").error(code, message, advice: advice)
    }
}

/// Looks up the nodes and buffers of one column, counted from its first.
struct ColumnFinder {
    let header: BatchHeader
    let column: Int
    let place: ColumnPlaces.Place
    let address: ColumnAddress

    /// The column, with every number that the metadata holds of it checked.
    func find(_ type: ArrowType) throws(ArrowError) -> LocatedColumn {
        if case .unsupported(let type) = type {
            throw address.error(
                .unsupported, "the type \(type.name) is not read", advice: "cast the column with another Arrow library")
        }
        let (length, nullCount) = try node(0)
        guard length == header.rowCount else {
            throw address.error(.damaged, "\(length) values for \(header.rowCount) rows")
        }
        var offsets: StoredBuffer?
        var child: (length: Int, nullCount: Int)?
        var childValidity: StoredBuffer?
        let values: StoredBuffer
        switch type {
        case .list(let element):
            offsets = try self.offsets(1, rows: length)
            let node = try node(1)
            child = node
            childValidity = try validity(2, length: node.length, nullCount: node.nullCount)
            values = try buffer(3, needed: element.byteCount(of: node.length), .values)
        case .utf8:
            offsets = try self.offsets(1, rows: length)
            values = try buffer(2, needed: 0, .texts)
        default:
            values = try buffer(1, needed: type.byteCount(of: length), .values)
        }
        return LocatedColumn(
            index: column, length: length, childLength: child?.length, offsets: offsets, values: values,
            nullCount: nullCount, childNullCount: child?.nullCount ?? 0,
            validity: try validity(0, length: length, nullCount: nullCount), childValidity: childValidity)
    }

    private func node(_ index: Int) throws(ArrowError) -> (length: Int, nullCount: Int) {
        guard let node = header.node(place.node + index) else {
            throw address.error(.damaged, "the numbers of values and of missing values contradict each other")
        }
        return node
    }

    private func buffer(_ index: Int, needed: Int?, _ role: StoredBuffer.Role) throws(ArrowError) -> StoredBuffer {
        guard let entry = header.entry(ofBuffer: place.buffer + index) else {
            throw address.error(.damaged, "the buffer of \(role) is missing")
        }
        guard let range = header.range(ofBuffer: place.buffer + index) else {
            throw address.error(
                .damaged,
                "\(entry.length) bytes of \(role) at \(entry.offset) lie outside the body of \(header.bodyLength)")
        }
        guard let needed else {
            throw address.error(.damaged, "\(range.count) bytes of \(role), expected far more")
        }
        return StoredBuffer(range: range, neededCount: needed, codec: header.codec, column: column, role: role)
    }

    private func offsets(_ index: Int, rows: Int) throws(ArrowError) -> StoredBuffer? {
        let (count, overflow) = rows.addingReportingOverflow(1)
        let found = try buffer(index, needed: overflow ? nil : ArrowType.int32.byteCount(of: count), .offsets)
        return rows == 0 && found.range.isEmpty ? nil : found
    }

    private func validity(_ index: Int, length: Int, nullCount: Int) throws(ArrowError) -> StoredBuffer? {
        guard nullCount > 0 else { return nil }
        return try buffer(index, needed: ArrowType.bool.byteCount(of: length), .validity)
    }
}
