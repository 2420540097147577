import Support

/// An Arrow IPC file, opened for reading from any number of threads.
///
/// Opening reads the footer alone; each record batch is checked when it is asked for.
public final class ArrowFile: Sendable {
    /// The columns.
    public let schema: ArrowSchema
    /// Keys and values in the footer.
    public let footerMetadata: [KeyValue]
    /// Where the record batches lie, in their order.
    public let blocks: [ArrowBlock]
    private let content: HeldBytes
    private let address: Address

    /// The number of record batches.
    public var recordBatchCount: Int { blocks.count }

    /// Maps the file at `path` and reads its footer.
    /// - Throws: `system` if it cannot be mapped, `notArrow`, `truncated`, `damaged` or `unsupported` for its content.
    public convenience init(path: String) throws(ArrowError) {
        let mapped: MappedFile
        do throws(SystemError) { mapped = try InputFile(path: path).map() } catch { throw ArrowError(error) }
        try self.init(HeldBytes(mapped), name: path)
    }

    /// Reads a file that is in memory; `name` stands for it in errors.
    public convenience init(bytes: [UInt8], name: String = "") throws(ArrowError) {
        try self.init(HeldBytes(copying: bytes), name: name)
    }

    private init(_ content: HeldBytes, name: String) throws(ArrowError) {
        self.content = content
        address = Address(file: name)
        let bytes = UntrustedBytes(content.bytes)
        let footer = try Self.footer(bytes, address)
        let version = try footer.integer(0, default: Int16(0))
        try Self.check(version: version, footer.address)
        guard let schema = try footer.table(1) else { throw footer.address.error(.damaged, "there is no schema") }
        self.schema = try ArrowSchema(schema, version: version)
        blocks = try Self.blocks(footer, fileSize: bytes.count)
        footerMetadata = try KeyValue.read(4, of: footer)
    }

    /// Reads the metadata of one record batch.
    /// - Throws: `invalid` if there is no such batch, `truncated`, `damaged` or `unsupported` for its content.
    public func recordBatch(_ index: Int) throws(ArrowError) -> RecordBatch {
        guard blocks.indices.contains(index) else {
            throw address.error(.invalid, "there is no record batch \(index) among \(blocks.count)")
        }
        let block = blocks[index]
        let address = address.inside("record batch \(index)")
        // Sums were checked against the file's size when it was opened.
        let length = Int(block.metadataLength) + Int(block.bodyLength)
        guard let message = UntrustedBytes(content.bytes).slice(at: Int(block.offset), length: length) else {
            throw address.error(.truncated, "it lies outside the file's \(content.bytes.count) bytes")
        }
        let batch = try RecordBatch(message: message, schema: schema, owner: content, address: address)
        guard batch.metadataLength == Int(block.metadataLength), batch.bodyLength == Int(block.bodyLength) else {
            throw address.error(
                .damaged,
                "\(batch.metadataLength) bytes of metadata and \(batch.bodyLength) of body, "
                    + "expected \(block.metadataLength) and \(block.bodyLength) by the footer")
        }
        return batch
    }

    /// Whether a metadata version is one that we read. Version 4 differs in unions only.
    static func check(version: Int16, _ address: Address) throws(ArrowError) {
        guard version == ArrowFormat.version5 || version == ArrowFormat.version4 else {
            throw address.error(
                .unsupported, "metadata version V\(Int(version) + 1), expected V5",
                advice: "write the file again with a recent Arrow library")
        }
    }

    private static func footer(_ bytes: UntrustedBytes, _ address: Address) throws(ArrowError) -> FlatTable {
        let magic = ArrowFormat.magic
        guard let head = bytes.slice(at: 0, length: magic.count), head.bytes.elementsEqual(magic) else {
            throw address.error(.notArrow, "the file does not begin with ARROW1")
        }
        let trailer = bytes.count - ArrowFormat.trailerSize
        guard trailer >= ArrowFormat.headMagicSize, let length = bytes.load(Int32.self, at: trailer),
            let end = bytes.slice(at: trailer + 4, length: magic.count), end.bytes.elementsEqual(magic)
        else {
            throw address.error(
                .truncated, "the file does not end with ARROW1",
                advice: "it was cut short or is a stream, not a file: get a new copy")
        }
        let address = address.inside("footer")
        guard length > 0, trailer - Int(length) >= ArrowFormat.headMagicSize,
            let footer = bytes.slice(at: trailer - Int(length), length: Int(length))
        else {
            throw address.error(.damaged, "a length of \(length) bytes does not fit a file of \(bytes.count)")
        }
        return try FlatTable.root(of: footer, address: address)
    }

    /// The blocks of the record batches, all inside the file and no longer than it together.
    private static func blocks(_ footer: FlatTable, fileSize: Int) throws(ArrowError) -> [ArrowBlock] {
        let vector = try footer.structs(3, size: 24)
        var blocks: [ArrowBlock] = []
        blocks.reserveCapacity(vector.count / 24)
        // Blocks of honest files lie side by side; without this bound a small file could hold one batch very often.
        var room = fileSize
        for place in stride(from: 0, to: vector.count, by: 24) {
            guard let offset = vector.load(Int64.self, at: place),
                let metadataLength = vector.load(Int32.self, at: place + 8),
                let bodyLength = vector.load(Int64.self, at: place + 16),
                offset >= ArrowFormat.headMagicSize, metadataLength > 0, bodyLength >= 0, bodyLength <= room,
                Int(metadataLength) <= room - Int(bodyLength),
                Int(offset) <= fileSize - Int(metadataLength) - Int(bodyLength)
            else {
                throw footer.address.error(
                    .damaged, "the entry of record batch \(place / 24) does not fit a file of \(fileSize) bytes")
            }
            room -= Int(metadataLength) + Int(bodyLength)
            blocks.append(ArrowBlock(offset: offset, metadataLength: metadataLength, bodyLength: bodyLength))
        }
        return blocks
    }
}

/// Read-only memory and what keeps it there.
final class HeldBytes: Sendable {
    /// Safe to share: nothing writes to this memory, and it lives as long as the object, which alone frees it or holds
    /// the mapping.
    nonisolated(unsafe) let bytes: UnsafeRawBufferPointer
    private let mapping: MappedFile?

    init(_ mapping: MappedFile) {
        self.mapping = mapping
        bytes = mapping.bytes
    }

    init(copying array: [UInt8]) {
        mapping = nil
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: array.count, alignment: 64)
        memory.copyBytes(from: array)
        bytes = UnsafeRawBufferPointer(memory)
    }

    deinit {
        if mapping == nil { bytes.deallocate() }
    }
}
