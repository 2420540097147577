import Support

/// What the metadata of a record batch says of its shape, read in place and checked.
///
/// It refers to the bytes that it was read from; whoever owns them keeps them as long as it is used.
public struct BatchHeader {
    /// The number of rows.
    public let rowCount: Int
    /// Bytes before the body.
    public let metadataLength: Int
    /// Bytes of the body, by the metadata's word: the body itself need not be at hand.
    public let bodyLength: Int
    let codec: Int8?
    let nodes: UntrustedBytes
    let buffers: UntrustedBytes
    let variadic: UntrustedBytes

    /// The table of an encapsulated message, and how many bytes of `message` hold it. A body may follow.
    static func table(
        of message: UntrustedBytes, address: Address, hasBudget: Bool
    ) throws(ArrowError) -> (root: FlatTable, bytes: Int) {
        // Before Arrow 0.15 messages began with the length alone.
        let marked = message.load(UInt32.self, at: 0) == ArrowFormat.continuation
        let start = marked ? 8 : 4
        guard let length = message.load(Int32.self, at: start - 4), length >= 0,
            let metadata = message.slice(at: start, length: Int(length))
        else {
            throw address.error(.truncated, "\(message.count) bytes do not hold the message's metadata")
        }
        return (try FlatTable.root(of: metadata, address: address, hasBudget: hasBudget), start + Int(length))
    }

    init(_ root: FlatTable, metadataLength: Int) throws(ArrowError) {
        let address = root.address
        self.metadataLength = metadataLength
        try ArrowFile.check(version: try root.integer(0, default: Int16(0)), address)
        guard try root.integer(1, default: UInt8(0)) == ArrowFormat.Header.recordBatch,
            let header = try root.table(2)
        else { throw address.error(.damaged, "the message is not that of a record batch") }
        let bodyLength = try root.integer(3, default: Int64(0))
        guard bodyLength >= 0, bodyLength <= Int64.max - Int64(metadataLength) else {
            throw address.error(.damaged, "a body of \(bodyLength) bytes")
        }
        self.bodyLength = Int(bodyLength)
        let rowCount = try header.integer(0, default: Int64(0))
        guard rowCount >= 0 else { throw address.error(.damaged, "\(rowCount) rows") }
        self.rowCount = Int(rowCount)
        nodes = try header.structs(1, size: 16)
        buffers = try header.structs(2, size: 16)
        codec = try Self.codec(header)
        variadic = try header.structs(4, size: 8)
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

    /// How many buffers the metadata names.
    var bufferCount: Int { buffers.count / 16 }

    /// The numbers of values and of missing values; nil if there is no such node or they contradict each other.
    func node(_ index: Int) -> (length: Int, nullCount: Int)? {
        guard let length = nodes.load(Int64.self, at: 16 * index),
            let nullCount = nodes.load(Int64.self, at: 16 * index + 8), length >= 0, nullCount >= 0,
            nullCount <= length
        else { return nil }
        return (Int(length), Int(nullCount))
    }

    /// The offset and length of a buffer in the body, as they are written; nil if there is no such buffer.
    func entry(ofBuffer index: Int) -> (offset: Int64, length: Int64)? {
        guard let offset = buffers.load(Int64.self, at: 16 * index),
            let length = buffers.load(Int64.self, at: 16 * index + 8)
        else { return nil }
        return (offset, length)
    }

    /// Where a buffer lies in the message, which is inside the body; empty at 0 if it has no bytes, nil if it is missing or
    /// lies outside.
    func range(ofBuffer index: Int) -> Range<Int>? {
        guard let (offset, length) = entry(ofBuffer: index) else { return nil }
        guard length != 0 else { return 0..<0 }
        guard offset >= 0, length > 0, length <= bodyLength, offset <= Int64(bodyLength) - length else { return nil }
        let start = metadataLength + Int(offset)
        return start..<start + Int(length)
    }
}

/// Where each column begins in a batch's flat lists of nodes and buffers.
struct ColumnPlaces: Sendable {
    /// Where a column begins.
    typealias Place = (node: Int, buffer: Int)

    /// Nil for columns after one of a type from the future.
    private(set) var places: [Place?] = []
    /// How many nodes and buffers there are.
    private(set) var end: Place = (0, 0)
    /// Whether all columns could be placed.
    private(set) var isKnown = true

    /// - Parameter variadicCount: How many view buffers the next column that has them has; nil: nobody knows.
    init(_ schema: ArrowSchema, variadicCount: () throws(ArrowError) -> Int?) throws(ArrowError) {
        places.reserveCapacity(schema.fields.count)
        for field in schema.fields {
            places.append(isKnown ? end : nil)
            let layout = field.type.layout
            isKnown = isKnown && layout.isKnown
            end.node += layout.nodes
            end.buffer += layout.buffers
            for _ in 0..<layout.variadic {
                guard let count = try variadicCount() else {
                    isKnown = false
                    break
                }
                end.buffer += count
            }
        }
    }

    /// Checks that a batch has as many nodes and buffers as the schema wants.
    func check(_ header: BatchHeader, _ address: Address) throws(ArrowError) {
        let nodes = header.nodes.count / 16
        guard !isKnown || (end.node == nodes && end.buffer == header.bufferCount) else {
            throw address.error(
                .damaged,
                "\(nodes) nodes and \(header.bufferCount) buffers, expected \(end.node) and \(end.buffer) by the schema"
            )
        }
    }
}
