import Support

/// A record batch in place: its metadata is read, its buffers are decoded when they are asked for.
///
/// Every length of the metadata is compared with the bytes at hand before it is used, and no size comes out of here that
/// the stored bytes cannot hold (`BodyBuffer.byteCount`). What the values mean is not looked at; offsets are checked by
/// `decodeOffsets`.
public struct RecordBatch {
    /// The columns.
    public let schema: ArrowSchema
    /// The number of rows. A batch without columns may claim any number that is not negative.
    public let rowCount: Int
    /// Keys and values of this batch.
    public let customMetadata: [KeyValue]
    /// Bytes before the body.
    public let metadataLength: Int
    /// Bytes of the body.
    public let bodyLength: Int

    private let message: UntrustedBytes
    private let header: BatchHeader
    private let places: [ColumnPlaces.Place?]
    private let address: Address
    private let owner: HeldBytes?

    /// Reads the bytes of one encapsulated message, as a file's block or an `EncodedRecordBatch` holds them.
    ///
    /// The caller keeps the memory as long as the batch is used. `file` and `place` are for errors.
    /// - Throws: `truncated`, `damaged` or `unsupported`.
    public init(
        message: UnsafeRawBufferPointer, schema: ArrowSchema, file: String = "", place: String = ""
    ) throws(ArrowError) {
        try self.init(
            message: UntrustedBytes(message), schema: schema, owner: nil, address: Address(file: file, place: place))
    }

    init(message: UntrustedBytes, schema: ArrowSchema, owner: HeldBytes?, address: Address) throws(ArrowError) {
        self.schema = schema
        self.message = message
        self.owner = owner
        self.address = address

        let (root, metadataLength) = try BatchHeader.table(of: message, address: address, hasBudget: true)
        let header = try BatchHeader(root, metadataLength: metadataLength)
        guard message.slice(at: metadataLength, length: header.bodyLength) != nil else {
            throw address.error(
                .truncated, "a body of \(header.bodyLength) bytes, but \(message.count - metadataLength) bytes follow")
        }
        self.header = header
        rowCount = header.rowCount
        self.metadataLength = metadataLength
        bodyLength = header.bodyLength
        customMetadata = try KeyValue.read(4, of: root)
        places = try Self.places(schema, header, address)
    }

    private static func places(
        _ schema: ArrowSchema, _ header: BatchHeader, _ address: Address
    ) throws(ArrowError) -> [ColumnPlaces.Place?] {
        var counts = stride(from: 0, to: header.variadic.count, by: 8).makeIterator()
        let places = try ColumnPlaces(schema) { () throws(ArrowError) -> Int? in
            guard let count = counts.next().flatMap({ header.variadic.load(Int64.self, at: $0) }), count >= 0,
                count <= header.bufferCount
            else { throw address.error(.damaged, "the counts of view buffers do not fit the columns") }
            return Int(count)
        }
        try places.check(header, address)
        return places.places
    }

    /// The shape of a column and the places of its buffers.
    /// - Throws: `invalid` if there is no such column, `unsupported` for its type, `damaged` if lengths do not fit.
    public func column(_ index: Int) throws(ArrowError) -> ColumnView {
        guard schema.fields.indices.contains(index) else {
            throw address.error(.invalid, "there is no column \(index) among \(schema.fields.count)")
        }
        let field = schema.fields[index]
        let address = ColumnAddress(batch: self.address, name: field.name)
        guard let place = places[index] else {
            throw address.error(.unsupported, "it follows a column of an unknown type and cannot be located")
        }
        let found = try ColumnFinder(header: header, column: index, place: place, address: address).find(field.type)
        func opened(_ buffer: StoredBuffer) throws(ArrowError) -> BodyBuffer {
            guard let stored = message.slice(at: buffer.range.lowerBound, length: buffer.range.count) else {
                throw address.error(.truncated, "bytes \(buffer.range) of the message are not there")
            }
            return try buffer.open(stored, at: address)
        }
        func openedIfPresent(_ buffer: StoredBuffer?) throws(ArrowError) -> BodyBuffer? {
            guard let buffer else { return nil }
            return try opened(buffer)
        }
        let offsets = try openedIfPresent(found.offsets)
        return ColumnView(
            index: index, type: field.type, length: found.length, nullCount: found.nullCount,
            childLength: found.childLength, childNullCount: found.childNullCount,
            validity: try openedIfPresent(found.validity),
            offsets: found.length == 0 && offsets?.byteCount == 0 ? nil : offsets,
            childValidity: try openedIfPresent(found.childValidity), values: try opened(found.values))
    }

    /// A buffer's bytes in place if they are stored plainly; nil for a frame.
    ///
    /// They may lie at any address, and live as long as the batch, the file or the caller's own memory is held.
    public func bytes(of buffer: BodyBuffer) -> UnsafeRawBufferPointer? {
        buffer.isCompressed ? nil : content(of: buffer)?.bytes
    }

    /// Decodes or copies a buffer to memory of just `buffer.byteCount` bytes.
    ///
    /// - Throws: `codec` if the frame does not decompress to that size or its checksum does not fit, `invalid` if
    ///   `target` has another size.
    public func decode(
        _ buffer: BodyBuffer, into target: UnsafeMutableRawBufferPointer, using decoder: BodyDecoder
    ) throws(ArrowError) {
        guard target.count == buffer.byteCount else {
            throw address(ofColumn: buffer.column).error(
                .invalid, "\(target.count) bytes of memory for a buffer of \(buffer.byteCount)")
        }
        try decodePrefix(of: buffer, into: target, using: decoder)
    }

    /// Decodes the start of a buffer; buffers may be longer than what they are needed for.
    func decodePrefix(
        of buffer: BodyBuffer, into target: UnsafeMutableRawBufferPointer, using decoder: BodyDecoder
    ) throws(ArrowError) {
        guard let content = content(of: buffer) else {
            throw address(ofColumn: buffer.column).error(.invalid, "the buffer is that of another record batch")
        }
        if let fault = decoder.fill(target, from: buffer, content: content.bytes) {
            throw address(ofColumn: buffer.column).error(
                .codec, "bytes \(buffer.storedRange) of the message: \(fault)")
        }
    }

    /// Decodes the offsets of lists or texts and checks that none is negative, none falls, and the last one leads no
    /// further than the values. The first need not be 0. `target` holds one more than there are rows.
    ///
    /// - Throws: `damaged` if they fail the check, `codec` as `decode`, `invalid` for a column without offsets or a
    ///   target of another size.
    public func decodeOffsets(
        of column: ColumnView, into target: UnsafeMutableBufferPointer<Int32>, using decoder: BodyDecoder
    ) throws(ArrowError) {
        let address = self.address(ofColumn: column.index)
        let limit: Int
        switch column.type {
        case .list: limit = column.childLength ?? 0
        case .utf8: limit = column.values.byteCount
        default: throw address.error(.invalid, "the type \(column.type) has no offsets")
        }
        guard target.count - 1 == column.length else {
            throw address.error(.invalid, "memory for \(target.count) offsets of \(column.length) rows")
        }
        guard let offsets = column.offsets else {
            target.update(repeating: 0)
            return
        }
        try decodePrefix(of: offsets, into: UnsafeMutableRawBufferPointer(target), using: decoder)
        if let fault = CheckedOffsets.fault(target, limit: limit) { throw address.error(.damaged, fault) }
    }

    func address(ofColumn index: Int) -> Address {
        address.inside("column \(schema.fields.indices.contains(index) ? schema.fields[index].name : "\(index)")")
    }

    private func content(of buffer: BodyBuffer) -> UntrustedBytes? {
        message.slice(at: buffer.contentRange.lowerBound, length: buffer.contentRange.count)
    }
}
