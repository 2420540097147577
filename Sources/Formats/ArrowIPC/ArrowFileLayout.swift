/// Where a record batch lies in a file.
public struct ArrowBlock: Hashable, Sendable {
    /// Bytes from the start of the file to the message.
    public var offset: Int64
    /// Bytes of the message before its body.
    public var metadataLength: Int32
    /// Bytes of the body.
    public var bodyLength: Int64

    /// A block from its parts.
    public init(offset: Int64, metadataLength: Int32, bodyLength: Int64) {
        self.offset = offset
        self.metadataLength = metadataLength
        self.bodyLength = bodyLength
    }
}

/// The bytes around the record batches of a file.
///
/// Pure functions: what they return depends on the arguments alone, so that a damaged head or footer can be made again.
public enum ArrowFileLayout {
    /// Magic and schema, padded so that the first record batch starts at a multiple of 64.
    public static func head(_ schema: ArrowSchema) -> [UInt8] {
        var bytes = ArrowFormat.magic
        bytes.append(contentsOf: repeatElement(0, count: ArrowFormat.headMagicSize - bytes.count))
        bytes += encapsulate(
            header: ArrowFormat.Header.schema, slots: schema.slots, bodyLength: 0, metadata: [], before: bytes.count)
        return bytes
    }

    /// The end marker and the footer. Its place in the file must be a multiple of 64.
    public static func tail(schema: ArrowSchema, blocks: [ArrowBlock], metadata: [KeyValue] = []) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: ArrowFormat.continuation)
        bytes.append(littleEndian: UInt32(0))
        var blockBytes: [UInt8] = []
        blockBytes.reserveCapacity(24 * blocks.count)
        for block in blocks {
            blockBytes.append(littleEndian: block.offset)
            blockBytes.append(littleEndian: Int64(block.metadataLength))
            blockBytes.append(littleEndian: block.bodyLength)
        }
        let footer = FlatBufferBuilder.root([
            .int16(ArrowFormat.version5), .table(schema.slots), .structs(bytes: [], count: 0),
            .structs(bytes: blockBytes, count: blocks.count), KeyValue.slot(metadata),
        ])
        bytes += footer
        bytes.append(littleEndian: Int32(footer.count))
        bytes += ArrowFormat.magic
        return bytes
    }

    /// A whole file in memory, for small tables.
    public static func file(
        schema: ArrowSchema, batches: [EncodedRecordBatch], metadata: [KeyValue] = []
    ) -> [UInt8] {
        var bytes = head(schema)
        var blocks: [ArrowBlock] = []
        for batch in batches {
            blocks.append(batch.block(at: bytes.count))
            bytes += batch.bytes
        }
        return bytes + tail(schema: schema, blocks: blocks, metadata: metadata)
    }

    /// A message without its body, padded so that `before` and it fill a multiple of 64 bytes.
    static func encapsulate(
        header: UInt8, slots: [FlatValue?], bodyLength: Int, metadata: [KeyValue], before: Int
    ) -> [UInt8] {
        let message = FlatBufferBuilder.root([
            .int16(ArrowFormat.version5), .uint8(header), .table(slots), .int64(Int64(bodyLength)),
            KeyValue.slot(metadata),
        ])
        let end = ArrowFormat.padded(before + 8 + message.count)
        let length = end - before - 8
        var bytes: [UInt8] = []
        bytes.reserveCapacity(8 + length)
        bytes.append(littleEndian: ArrowFormat.continuation)
        bytes.append(littleEndian: Int32(length))
        bytes += message
        bytes.append(contentsOf: repeatElement(0, count: length - message.count))
        return bytes
    }
}
