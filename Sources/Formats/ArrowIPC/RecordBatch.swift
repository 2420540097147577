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
    private let nodes: UntrustedBytes
    private let buffers: UntrustedBytes
    private let codec: Int8?
    private let places: [Place]
    private let address: Address
    private let owner: HeldBytes?

    /// Where a column starts in the lists of nodes and buffers; nil after a column of a type from the future.
    private typealias Place = (node: Int, buffer: Int)?

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

        // Before Arrow 0.15 messages began with the length alone.
        let marked = message.load(UInt32.self, at: 0) == ArrowFormat.continuation
        let start = marked ? 8 : 4
        guard let length = message.load(Int32.self, at: start - 4), length >= 0,
            let metadata = message.slice(at: start, length: Int(length))
        else {
            throw address.error(.truncated, "\(message.count) bytes do not hold the message's metadata")
        }
        metadataLength = start + Int(length)
        let root = try FlatTable.root(of: metadata, address: address)
        try ArrowFile.check(version: try root.integer(0, default: Int16(0)), address)
        guard try root.integer(1, default: UInt8(0)) == ArrowFormat.Header.recordBatch,
            let header = try root.table(2)
        else { throw address.error(.damaged, "the message is not that of a record batch") }
        let bodyLength = try root.integer(3, default: Int64(0))
        guard bodyLength >= 0, message.slice(at: metadataLength, length: Int(bodyLength)) != nil else {
            throw address.error(
                .truncated, "a body of \(bodyLength) bytes, but \(message.count - metadataLength) bytes follow")
        }
        self.bodyLength = Int(bodyLength)
        customMetadata = try KeyValue.read(4, of: root)

        let rowCount = try header.integer(0, default: Int64(0))
        guard rowCount >= 0 else { throw address.error(.damaged, "\(rowCount) rows") }
        self.rowCount = Int(rowCount)
        nodes = try header.structs(1, size: 16)
        buffers = try header.structs(2, size: 16)
        codec = try Self.codec(header)
        places = try Self.places(
            schema, variadic: try header.structs(4, size: 8), nodes: nodes.count / 16, buffers: buffers.count / 16,
            address)
    }

    private static func codec(_ header: FlatTable) throws(ArrowError) -> Int8? {
        guard let compression = try header.table(3) else { return nil }
        let codec = try compression.integer(0, default: Int8(0))
        let method = try compression.integer(1, default: Int8(0))
        guard codec == ArrowFormat.Codec.lz4 || codec == ArrowFormat.Codec.zstd,
            method == ArrowFormat.Codec.methodBuffer
        else { throw header.address.error(.unsupported, "compression by codec \(codec), method \(method)") }
        return codec
    }

    private static func places(
        _ schema: ArrowSchema, variadic: UntrustedBytes, nodes: Int, buffers: Int, _ address: Address
    ) throws(ArrowError) -> [Place] {
        var places: [Place] = []
        places.reserveCapacity(schema.fields.count)
        var end = (node: 0, buffer: 0)
        var counts = stride(from: 0, to: variadic.count, by: 8).makeIterator()
        var isKnown = true
        for field in schema.fields {
            places.append(isKnown ? end : nil)
            let layout = field.type.layout
            isKnown = isKnown && layout.isKnown
            end.node += layout.nodes
            end.buffer += layout.buffers
            for _ in 0..<layout.variadic {
                guard let count = counts.next().flatMap({ variadic.load(Int64.self, at: $0) }), count >= 0,
                    count <= buffers
                else { throw address.error(.damaged, "the counts of view buffers do not fit the columns") }
                end.buffer += Int(count)
            }
        }
        guard !isKnown || (end.node == nodes && end.buffer == buffers) else {
            throw address.error(
                .damaged,
                "\(nodes) nodes and \(buffers) buffers, expected \(end.node) and \(end.buffer) by the schema")
        }
        return places
    }

    /// The shape of a column and the places of its buffers.
    /// - Throws: `invalid` if there is no such column, `unsupported` for its type, `damaged` if lengths do not fit.
    public func column(_ index: Int) throws(ArrowError) -> ColumnView {
        guard schema.fields.indices.contains(index) else {
            throw address.error(.invalid, "there is no column \(index) among \(schema.fields.count)")
        }
        let field = schema.fields[index]
        let address = self.address(ofColumn: index)
        guard let place = places[index] else {
            throw address.error(.unsupported, "it follows a column of an unknown type and cannot be located")
        }
        if case .unsupported(let type) = field.type {
            throw address.error(
                .unsupported, "the type \(type.name) is not read", advice: "cast the column with another Arrow library")
        }
        let parts = ColumnParts(batch: self, column: index, place: place, address: address)
        let (length, nullCount) = try parts.node(0)
        guard length == rowCount else {
            throw address.error(.damaged, "\(length) values for \(rowCount) rows")
        }
        var offsets: BodyBuffer?
        var child: (length: Int, nullCount: Int)?
        var childValidity: BodyBuffer?
        let values: BodyBuffer
        switch field.type {
        case .list(let element):
            offsets = try parts.offsets(1, rows: length)
            let node = try parts.node(1)
            child = node
            childValidity = try parts.validity(2, length: node.length, nullCount: node.nullCount)
            values = try parts.buffer(3, needed: element.byteCount(of: node.length), "values")
        case .utf8:
            offsets = try parts.offsets(1, rows: length)
            values = try parts.buffer(2, "texts")
        default:
            values = try parts.buffer(1, needed: field.type.byteCount(of: length), "values")
        }
        return ColumnView(
            index: index, type: field.type, length: length, nullCount: nullCount, childLength: child?.length,
            childNullCount: child?.nullCount ?? 0,
            validity: try parts.validity(0, length: length, nullCount: nullCount), offsets: offsets,
            childValidity: childValidity, values: values)
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
        guard target.count == buffer.byteCount, let content = content(of: buffer) else {
            throw address(ofColumn: buffer.column).error(
                .invalid, "\(target.count) bytes of memory for a buffer of \(buffer.byteCount)")
        }
        guard buffer.isCompressed else {
            target.copyMemory(from: content.bytes)
            return
        }
        guard let codec else {
            throw address(ofColumn: buffer.column).error(.invalid, "the buffer is that of another record batch")
        }
        if let fault = decoder.decode(content.bytes, codec: codec, into: target) {
            throw address(ofColumn: buffer.column).error(
                .codec, "bytes \(buffer.storedRange) of the message: \(fault)")
        }
    }

    /// Decodes the start of a buffer; buffers may be longer than what they are needed for.
    func decodePrefix(
        of buffer: BodyBuffer, into target: UnsafeMutableRawBufferPointer, using decoder: BodyDecoder
    ) throws(ArrowError) {
        guard target.count < buffer.byteCount else {
            return try decode(buffer, into: target, using: decoder)
        }
        if let bytes = bytes(of: buffer) {
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<target.count]))
            return
        }
        decoder.scratch.reserve(buffer.byteCount)
        let whole = UnsafeMutableRawBufferPointer(start: decoder.scratch.base, count: buffer.byteCount)
        try decode(buffer, into: whole, using: decoder)
        target.copyMemory(from: UnsafeRawBufferPointer(rebasing: whole[..<target.count]))
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
        if let fault = CheckedOffsets.firstFault(UnsafeRawBufferPointer(target)) {
            throw address.error(.damaged, "offset \(fault) is \(target[fault]), less than the one before or negative")
        }
        guard let last = target.last, Int(Int32(littleEndian: last)) <= limit else {
            throw address.error(.damaged, "the last offset is \(target.last ?? 0), but there are \(limit) values")
        }
    }

    func address(ofColumn index: Int) -> Address {
        address.inside("column \(schema.fields.indices.contains(index) ? schema.fields[index].name : "\(index)")")
    }

    private func content(of buffer: BodyBuffer) -> UntrustedBytes? {
        message.slice(at: buffer.contentRange.lowerBound, length: buffer.contentRange.count)
    }

    /// The entry of a list of structs of two 64-bit numbers.
    fileprivate func node(_ index: Int) -> (length: Int64, nullCount: Int64)? {
        guard let length = nodes.load(Int64.self, at: 16 * index),
            let nullCount = nodes.load(Int64.self, at: 16 * index + 8)
        else { return nil }
        return (length, nullCount)
    }

    fileprivate func bufferEntry(_ index: Int) -> (offset: Int64, length: Int64)? {
        guard let offset = buffers.load(Int64.self, at: 16 * index),
            let length = buffers.load(Int64.self, at: 16 * index + 8)
        else { return nil }
        return (offset, length)
    }

    /// A buffer as stored, looked up in the body.
    fileprivate func buffer(_ index: Int, column: Int, _ what: String, _ address: Address) throws(ArrowError)
        -> BodyBuffer
    {
        guard let (offset, length) = bufferEntry(index) else {
            throw address.error(.damaged, "the buffer of \(what) is missing")
        }
        guard length != 0 else {
            return BodyBuffer(storedRange: 0..<0, byteCount: 0, isCompressed: false, column: column)
        }
        guard offset >= 0, length > 0, length <= bodyLength, offset <= Int64(bodyLength) - length else {
            throw address.error(
                .damaged, "\(length) bytes of \(what) at \(offset) lie outside the body of \(bodyLength)")
        }
        let start = metadataLength + Int(offset)
        let range = start..<start + Int(length)
        guard let codec else {
            return BodyBuffer(storedRange: range, byteCount: range.count, isCompressed: false, column: column)
        }
        guard range.count >= ArrowFormat.prefixSize, let size = message.load(Int64.self, at: start) else {
            throw address.error(.damaged, "\(range.count) bytes of \(what) have no room for a length")
        }
        let frame = range.count - ArrowFormat.prefixSize
        if size == ArrowFormat.rawPrefix || size == 0 {
            let count = size == 0 ? 0 : frame
            return BodyBuffer(storedRange: range, byteCount: count, isCompressed: false, column: column)
        }
        guard size > 0, size <= BodyDecoder.bound(frame, codec: codec) else {
            throw address.error(.damaged, "\(frame) compressed bytes of \(what) cannot hold \(size)")
        }
        if let content = message.slice(at: start + ArrowFormat.prefixSize, length: frame),
            let stated = BodyDecoder.statedSize(content.bytes, codec: codec), stated != UInt64(size)
        {
            throw address.error(.damaged, "the frame of \(what) holds \(stated) bytes, its prefix says \(size)")
        }
        return BodyBuffer(storedRange: range, byteCount: Int(size), isCompressed: true, column: column)
    }
}

/// Looks up the nodes and buffers of one column, counted from its first.
private struct ColumnParts {
    let batch: RecordBatch
    let column: Int
    let place: (node: Int, buffer: Int)
    let address: Address

    func node(_ index: Int) throws(ArrowError) -> (length: Int, nullCount: Int) {
        guard let node = batch.node(place.node + index), node.length >= 0, node.nullCount >= 0,
            node.nullCount <= node.length
        else { throw address.error(.damaged, "the numbers of values and of missing values contradict each other") }
        return (Int(node.length), Int(node.nullCount))
    }

    func buffer(_ index: Int, _ what: String) throws(ArrowError) -> BodyBuffer {
        try batch.buffer(place.buffer + index, column: column, what, address)
    }

    /// A buffer whose size follows from the number of values.
    func buffer(_ index: Int, needed: Int?, _ what: String) throws(ArrowError) -> BodyBuffer {
        let buffer = try buffer(index, what)
        guard let needed, buffer.byteCount >= needed else {
            throw address.error(
                .damaged, "\(buffer.byteCount) bytes of \(what), expected \(needed.map(String.init) ?? "far more")")
        }
        // Writers round up to 64 bytes, some leave spare capacity; a frame that claims far more is no honest one.
        guard !buffer.isCompressed || buffer.byteCount / 2 - 32_768 <= needed else {
            throw address.error(.damaged, "a frame of \(buffer.byteCount) bytes of \(what), expected \(needed)")
        }
        return buffer
    }

    func offsets(_ index: Int, rows: Int) throws(ArrowError) -> BodyBuffer? {
        let found = try buffer(index, "offsets")
        // The format lets a column without rows leave out its only offset.
        if rows == 0, found.byteCount == 0 { return nil }
        let (count, overflow) = rows.addingReportingOverflow(1)
        return try buffer(index, needed: overflow ? nil : ArrowType.int32.byteCount(of: count), "offsets")
    }

    func validity(_ index: Int, length: Int, nullCount: Int) throws(ArrowError) -> BodyBuffer? {
        // Some writers store a bitmap although nothing is missing: it need not be read.
        guard nullCount > 0 else { return nil }
        return try buffer(index, needed: ArrowType.bool.byteCount(of: length), "validity")
    }
}
