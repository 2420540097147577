import Support

/// Finds the buffers of single columns from the metadata of a record batch alone, so that only their bytes need be read.
///
/// It checks all that `RecordBatch` checks, with the same code, but reads no texts of the metadata and takes no memory of
/// the heap unless it throws. Errors name the column; who reads the file adds file and record batch.
public struct BufferLocator: Sendable {
    /// The columns.
    public let schema: ArrowSchema
    private let places: ColumnPlaces

    /// A locator for record batches with this schema.
    ///
    /// Columns behind one of views or of an unknown type cannot be located.
    public init(schema: ArrowSchema) throws(ArrowError) {
        self.schema = schema
        places = try ColumnPlaces(schema) { () throws(ArrowError) -> Int? in nil }
    }

    /// The shape of the batch whose message begins with `metadata`; the body need not follow.
    ///
    /// The caller keeps the memory as long as the header is used.
    /// - Throws: `truncated`, `damaged` or `unsupported`.
    public func header(_ metadata: UnsafeRawBufferPointer) throws(ArrowError) -> BatchHeader {
        let address = Address()
        let (root, bytes) = try BatchHeader.table(of: UntrustedBytes(metadata), address: address, hasBudget: false)
        let header = try BatchHeader(root, metadataLength: bytes)
        try places.check(header, address)
        return header
    }

    /// The shape of a column and where its buffers are stored.
    /// - Throws: `invalid` if there is no such column, `unsupported` for its type or if values of it are missing, `damaged`
    ///   if lengths do not fit.
    public func column(_ index: Int, in header: BatchHeader) throws(ArrowError) -> LocatedColumn {
        let address = try address(index)
        guard let place = places.places[index] else {
            throw address.error(.unsupported, "it follows a column whose buffers cannot be counted")
        }
        let column = try ColumnFinder(header: header, column: index, place: place, address: address).find(
            schema.fields[index].type)
        guard column.nullCount == 0, column.childNullCount == 0 else {
            throw address.error(
                .unsupported,
                "\(column.nullCount) values and \(column.childNullCount) in lists are missing, expected none",
                advice: "read the column as part of its record batch")
        }
        return column
    }

    /// Looks at the stored bytes of a buffer that was located: whether it is compressed, and how large it is.
    /// - Parameter stored: The bytes of `buffer.range`.
    /// - Throws: `damaged` if they cannot be what the metadata says, `invalid` if their number is another.
    public func open(_ buffer: StoredBuffer, stored: UnsafeRawBufferPointer) throws(ArrowError) -> BodyBuffer {
        try buffer.open(UntrustedBytes(stored), at: address(buffer.column))
    }

    /// A buffer's bytes in place if they are stored plainly; nil for a frame.
    public func bytes(of buffer: BodyBuffer, stored: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard !buffer.isCompressed, buffer.byteCount <= stored.count else { return nil }
        return UnsafeRawBufferPointer(rebasing: stored[(stored.count - buffer.byteCount)...])
    }

    /// Decodes or copies the first `target.count` bytes of a buffer; it may have more.
    /// - Throws: `codec` if the frame does not decompress to the buffer's size or its checksum does not fit, `invalid` if
    ///   `stored` is not the buffer's or the buffer has fewer bytes.
    public func decode(
        _ buffer: BodyBuffer, stored: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer,
        using decoder: BodyDecoder
    ) throws(ArrowError) {
        guard stored.count == buffer.storedRange.count, target.count <= buffer.byteCount else {
            throw try address(buffer.column).error(
                .invalid,
                "\(target.count) bytes wanted of \(buffer.byteCount), which are stored as \(buffer.storedRange.count), not "
                    + "\(stored.count)")
        }
        let content = UnsafeRawBufferPointer(rebasing: stored[(stored.count - buffer.contentRange.count)...])
        if let fault = decoder.fill(target, from: buffer, content: content) {
            throw try address(buffer.column).error(.codec, "bytes \(buffer.storedRange) of the message: \(fault)")
        }
    }

    /// Decodes the offsets of a list column, checked: they rise from 0 to the number of values.
    /// - Parameters:
    ///   - buffer: What `open` made of the column's offsets.
    ///   - target: Room for `column.length + 1` numbers.
    /// - Throws: `damaged` if they fail the check, `codec` as `decode`, `invalid` for a column that is no list or memory of
    ///   another size.
    public func decodeOffsets(
        of column: LocatedColumn, _ buffer: BodyBuffer?, stored: UnsafeRawBufferPointer,
        into target: UnsafeMutableBufferPointer<Int32>, using decoder: BodyDecoder
    ) throws(ArrowError) {
        let address = try address(column.index)
        guard let childLength = column.childLength else { throw address.error(.invalid, "it has no lists") }
        guard target.count - 1 == column.length else {
            throw address.error(.invalid, "memory for \(target.count) offsets of \(column.length) rows")
        }
        if let buffer, buffer.byteCount > 0 {
            try decode(buffer, stored: stored, into: UnsafeMutableRawBufferPointer(target), using: decoder)
        } else {
            target.update(repeating: 0)
        }
        try check(UnsafeRawBufferPointer(target), childLength: childLength, address)
    }

    /// Checks offsets of a list column where they lie: they rise from 0 to the number of values.
    /// - Throws: `damaged` if they do not.
    public func checkOffsets(of column: LocatedColumn, _ offsets: UnsafeRawBufferPointer) throws(ArrowError) {
        let address = try address(column.index)
        guard let childLength = column.childLength else { throw address.error(.invalid, "it has no lists") }
        guard offsets.count >= 4, offsets.count / 4 == column.length + 1 else {
            throw address.error(.invalid, "\(offsets.count) bytes of offsets of \(column.length) rows")
        }
        try check(offsets, childLength: childLength, address)
    }

    private func check(
        _ offsets: UnsafeRawBufferPointer, childLength: Int, _ address: ColumnAddress
    ) throws(ArrowError) {
        if let fault = CheckedOffsets.firstFault(offsets) {
            throw address.error(.damaged, "offset \(fault) is less than the one before or negative")
        }
        let bytes = UntrustedBytes(offsets)
        let first = bytes.load(Int32.self, at: 0) ?? -1, last = bytes.load(Int32.self, at: offsets.count - 4) ?? -1
        guard first == 0, Int(last) == childLength else {
            throw address.error(.damaged, "lists cover values \(first)..<\(last), expected 0..<\(childLength)")
        }
    }

    private func address(_ index: Int) throws(ArrowError) -> ColumnAddress {
        guard schema.fields.indices.contains(index) else {
            throw ArrowError(.invalid, message: "there is no column \(index) among \(schema.fields.count)")
        }
        return ColumnAddress(batch: Address(), name: schema.fields[index].name)
    }
}
