import ArrowIPC
import Support
import Testing

private let compressions: [BodyCompression] = [
    .none, .lz4, .zstd(level: 3), .zstd(level: -5), .zstd(level: 12), .tunedZstd,
]

@Suite struct WritingTests {
    @Test("Every type comes back through every codec", arguments: compressions, [0, 1, 7, 8, 65, 1000])
    func roundTrip(compression: BodyCompression, rows: Int) throws {
        let metadata = [KeyValue(key: "pando.rows", value: "\(rows)"), KeyValue(key: "b", value: "β")]
        for shares in [true, false] {
            let table = SampleTable(rows: rows, seed: 11)
            let batch = try table.encode(compression, sharesOffsets: shares, metadata: metadata)
            let bytes = ArrowFileLayout.file(schema: table.schema, batches: [batch, batch], metadata: metadata)
            let file = try ArrowFile(bytes: bytes)
            #expect(file.schema == table.schema)
            #expect(file.footerMetadata == metadata)
            #expect(file.recordBatchCount == 2)
            let decoder = BodyDecoder()
            for index in 0..<2 {
                let read = try file.recordBatch(index)
                #expect(read.rowCount == rows)
                #expect(read.customMetadata == metadata)
                for (place, column) in table.columns.enumerated() {
                    let found = try readColumn(read, place, using: decoder)
                    #expect(found.values == column.values, "\(column.field.name)")
                    #expect(found.offsets == column.offsets, "\(column.field.name)")
                    let view = try read.column(place)
                    #expect(view.nullCount == 0 && view.validity == nil && view.childNullCount == 0)
                    #expect(view.length == rows)
                }
            }
        }
    }

    @Test("Tuned to types frames are others, and no larger")
    func tuning() throws {
        // Impact parameters: as many nothings as numbers.
        var random = SeededGenerator(seed: 7)
        let floats = (0..<60_000).map { _ in
            random.next() % 2 == 0 ? Float(0) : Float(bitPattern: UInt32(random.next() % 0x0200_0000) + 0x3c00_0000)
        }
        let codes = (0..<60_000).map { _ in Int8(truncatingIfNeeded: (random.next() % 8) * (random.next() % 3)) }
        func frame<T>(_ values: [T], _ frames: ZstdFrames, as type: ArrowType?) throws -> [UInt8] {
            try values.withUnsafeBytes { bytes in
                var target = [UInt8](repeating: 0, count: ZstdFrames.bound(bytes.count))
                let count = try target.withUnsafeMutableBytes { try frames.compress(bytes, as: type, to: $0) }
                return Array(target.prefix(count))
            }
        }
        func compare<T>(_ values: [T], as type: ArrowType) throws {
            let plain = try frame(values, ZstdFrames(level: 3), as: type)
            #expect(plain == (try frame(values, ZstdFrames(level: 3), as: nil)))
            #expect(plain == (try frame(values, .tuned(), as: nil)))
            let tuned = try frame(values, .tuned(), as: type)
            #expect(
                plain != tuned && Double(tuned.count) < 1.01 * Double(plain.count), "\(tuned.count), \(plain.count)")
        }
        try compare(floats, as: .float32)
        try compare(codes, as: .int8)
        try compare(floats.map(Float16.init), as: .float16)
    }

    @Test("A batch can be read from its message alone")
    func messageAlone() throws {
        let table = SampleTable(rows: 20, seed: 3)
        let batch = try table.encode(.zstd(level: 3))
        try batch.bytes.withUnsafeBytes { bytes in
            let read = try RecordBatch(message: bytes, schema: table.schema, file: "x.arrow", place: "record batch 7")
            #expect(read.metadataLength == batch.metadataLength)
            #expect(read.bodyLength == batch.bodyLength)
            #expect(try readColumn(read, 3, using: BodyDecoder()).values == table.columns[3].values)
            let error = #expect(throws: ArrowError.self) { try read.column(99) }
            #expect(error?.code == .invalid)
            #expect(error?.description.hasPrefix("x.arrow, record batch 7: ") == true)
        }
    }

    @Test("Equal input gives equal bytes, also from an encoder that was used before", arguments: compressions)
    func deterministic(compression: BodyCompression) throws {
        let table = SampleTable(rows: 300, seed: 5)
        let encoder = try RecordBatchEncoder(schema: table.schema, compression: compression)
        let first = try table.encode(with: encoder)
        _ = try SampleTable(rows: 77, seed: 6).encode(with: encoder)
        let again = try table.encode(with: encoder)
        #expect(first.bytes == again.bytes)
        #expect(first.bytes == (try table.encode(compression)).bytes)
        #expect(ArrowFileLayout.head(table.schema) == ArrowFileLayout.head(table.schema))
    }

    @Test("Bytes of uncompressed files stay what they are")
    func golden() throws {
        let table = SampleTable(rows: 10, seed: 1)
        let file = ArrowFileLayout.file(schema: table.schema, batches: [try table.encode(.none)])
        #expect(Digest(of: file).hex == "79a42180e4ba8f2d")
    }

    @Test("Messages, bodies and buffers start at multiples of 64 and padding is zero", arguments: compressions)
    func alignment(compression: BodyCompression) throws {
        for rows in [0, 3, 500] {
            let table = SampleTable(rows: rows, seed: 2)
            let batch = try table.encode(compression, metadata: [KeyValue(key: "k", value: "v")])
            #expect(ArrowFileLayout.head(table.schema).count % 64 == 0)
            #expect(batch.metadataLength % 64 == 0)
            #expect(batch.bodyLength % 64 == 0)
            #expect(batch.bytes.count == batch.metadataLength + batch.bodyLength)
            #expect(littleEndian(UInt32.self, batch.bytes, at: 0) == .max)
            #expect(Int(littleEndian(Int32.self, batch.bytes, at: 4)) == batch.metadataLength - 8)
            var used = Set<Range<Int>>()
            for (_, buffer) in try buffers(of: batch, table.schema) { used.insert(buffer.storedRange) }
            var end = batch.metadataLength
            for range in used.filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
                #expect(range.lowerBound == (end + 63) / 64 * 64)
                #expect(batch.bytes[end..<range.lowerBound].allSatisfy { $0 == 0 })
                end = range.upperBound
            }
            #expect(batch.bytes[end...].allSatisfy { $0 == 0 })
        }
    }

    @Test("List columns with the same offsets share one buffer, if asked to")
    func sharedOffsets() throws {
        let table = SampleTable(rows: 100, seed: 4)
        for compression in compressions {
            let shared = try table.encode(compression)
            let separate = try table.encode(compression, sharesOffsets: false)
            for (batch, expected) in [(shared, 2), (separate, 24)] {
                var ranges = Set<Range<Int>>()
                for (name, buffer) in try buffers(of: batch, table.schema) where name == "list offsets" {
                    ranges.insert(buffer.storedRange)
                }
                #expect(ranges.count == expected)
                let all = Set(try buffers(of: batch, table.schema).map(\.1.storedRange))
                #expect(
                    all.reduce(0) { $0 + $1.count } == batch.storedBytes.reduce(0, +) + batch.sharedOffsetBytes)
            }
            #expect(shared.sharedOffsetBytes > 0)
            #expect(separate.sharedOffsetBytes == 0)
            #expect(shared.bytes.count < separate.bytes.count)
        }
    }

    @Test("Every compressed buffer is a frame with content size and checksum, never raw")
    func frames() throws {
        // Random bytes grow when they are compressed: just these must not be stored raw.
        for rows in [1, 1000] {
            let table = SampleTable(rows: rows, seed: 8)
            for compression in compressions where compression != .none {
                let batch = try table.encode(compression)
                for (_, buffer) in try buffers(of: batch, table.schema) where !buffer.storedRange.isEmpty {
                    let start = buffer.storedRange.lowerBound
                    #expect(buffer.isCompressed)
                    #expect(littleEndian(Int64.self, batch.bytes, at: start) == Int64(buffer.byteCount))
                    let magic = littleEndian(UInt32.self, batch.bytes, at: start + 8)
                    let flags = batch.bytes[start + 12]
                    if compression == .lz4 {
                        #expect(magic == 0x184d_2204)
                        // LZ4 frame format: bit 3 content size, bit 2 content checksum.
                        #expect(flags & 0b1100 == 0b1100)
                    } else {
                        #expect(magic == 0xfd2f_b528)
                        // RFC 8878, 3.1.1.1.1: bit 2 checksum; size in the upper two bits or by the single segment bit 5.
                        #expect(flags & 0b100 != 0)
                        #expect(flags >> 6 != 0 || flags & 0b10_0000 != 0)
                    }
                }
            }
        }
    }

    @Test("Buffers that do not fit are refused")
    func misuse() throws {
        let schema = ArrowSchema(fields: [ArrowField(name: "a", type: .list(.int16))])
        let encoder = try RecordBatchEncoder(schema: schema, compression: .zstd(level: 3))
        func encode(rows: Int, offsets: [Int32], values: [Int16]) throws -> EncodedRecordBatch {
            try offsets.withUnsafeBytes { offsets in
                try values.withUnsafeBytes { values in
                    try encoder.encode(rows: rows, columns: [.list(offsets: offsets, values: values)])
                }
            }
        }
        #expect(try encode(rows: 2, offsets: [0, 1, 3], values: [1, 2, 3]).rows == 2)
        for (rows, offsets, values) in [
            (2, [0, 1, 3], [1, 2]), (2, [0, 1], [1]), (2, [1, 1, 3], [1, 2, 3]), (2, [0, 3, 1], [1]),
            (2, [0, -1, 0], []), (-1, [], []), (3, [0, 1, 3], [1, 2, 3]),
        ] as [(Int, [Int32], [Int16])] {
            let error = #expect(throws: ArrowError.self) {
                try encode(rows: rows, offsets: offsets, values: values)
            }
            #expect(error?.code == .invalid)
        }
        #expect(throws: ArrowError.self) { try encoder.encode(rows: 0, columns: []) }
        let nested = ArrowSchema(fields: [ArrowField(name: "a", type: .list(.utf8))])
        let error = #expect(throws: ArrowError.self) { try RecordBatchEncoder(schema: nested, compression: .none) }
        #expect(error?.code == .unsupported)
        #expect(throws: ArrowError.self) { try RecordBatchEncoder(schema: schema, compression: .zstd(level: 99)) }
    }

    /// All buffers of a batch with what they are.
    private func buffers(of batch: EncodedRecordBatch, _ schema: ArrowSchema) throws -> [(String, BodyBuffer)] {
        try batch.bytes.withUnsafeBytes { bytes in
            let read = try RecordBatch(message: bytes, schema: schema)
            var found: [(String, BodyBuffer)] = []
            for index in schema.fields.indices {
                let view = try read.column(index)
                found.append(("values", view.values))
                if let offsets = view.offsets {
                    found.append((view.childLength == nil ? "text offsets" : "list offsets", offsets))
                }
            }
            return found
        }
    }
}
