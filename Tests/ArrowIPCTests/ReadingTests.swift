import ArrowIPC
import Foundation
import Support
import Testing

@Suite struct ReadingTests {
    private let schema = ArrowSchema(fields: [
        ArrowField(name: "list", type: .list(.int16)), ArrowField(name: "text", type: .utf8),
        ArrowField(name: "number", type: .int64),
    ])

    /// Three rows; compressed buffers hold what does not compress.
    private func batch(_ compression: BodyCompression) throws -> EncodedRecordBatch {
        let encoder = try RecordBatchEncoder(schema: schema, compression: compression)
        let listOffsets: [Int32] = [0, 2, 2, 5]
        let values: [Int16] = [11, 22, 33, 44, 55]
        let textOffsets: [Int32] = [0, 1, 3, 3]
        let numbers: [Int64] = [-1, 5, .max]
        return try listOffsets.withUnsafeBytes { listOffsets in
            try values.withUnsafeBytes { values in
                try textOffsets.withUnsafeBytes { textOffsets in
                    try numbers.withUnsafeBytes { numbers in
                        try Array("aη".utf8).withUnsafeBytes { text in
                            try encoder.encode(
                                rows: 3,
                                columns: [
                                    .list(offsets: listOffsets, values: values),
                                    .utf8(offsets: textOffsets, bytes: text), .values(numbers),
                                ])
                        }
                    }
                }
            }
        }
    }

    /// Reads a message that was changed.
    private func withChanged<Result>(
        _ batch: EncodedRecordBatch, _ change: (inout [UInt8]) -> Void, _ body: (RecordBatch) throws -> Result
    ) throws -> Result {
        var bytes = batch.bytes
        change(&bytes)
        return try bytes.withUnsafeBytes { try body(RecordBatch(message: $0, schema: schema, place: "batch")) }
    }

    /// Where a column's buffers are stored.
    private func view(_ batch: EncodedRecordBatch, _ column: Int) throws -> ColumnView {
        try withChanged(batch, { _ in }, { try $0.column(column) })
    }

    private func store<Number: FixedWidthInteger>(_ value: Number, _ bytes: inout [UInt8], at place: Int) {
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, toByteOffset: place, as: Number.self) }
    }

    @Test("Offsets need not start at 0")
    func slicedOffsets() throws {
        let batch = try batch(.none)
        let place = try #require(try view(batch, 0).offsets).storedRange.lowerBound
        let decoder = BodyDecoder()
        try withChanged(batch) {
            store(Int32(1), &$0, at: place)
        } _: { read throws in
            #expect(try read.offsets(ofColumn: 0, using: decoder) == [1, 2, 2, 5])
            #expect(try read.values(ofColumn: 0, as: Int16.self, using: decoder) == [11, 22, 33, 44, 55])
        }
    }

    @Test("Offsets that are negative, fall or lead outside are refused", arguments: [0, 1])
    func badOffsets(column: Int) throws {
        let batch = try batch(.none)
        let place = try #require(try view(batch, column).offsets).storedRange.lowerBound
        for (row, value) in [(0, -1), (1, 4), (3, 6), (3, -5), (2, .max), (0, .min)] as [(Int, Int32)] {
            try withChanged(batch) {
                store(value, &$0, at: place + 4 * row)
            } _: { read throws in
                let error = #expect(throws: ArrowError.self) {
                    try read.offsets(ofColumn: column, using: BodyDecoder())
                }
                #expect(error?.code == .damaged)
                #expect(error?.place == "batch, column \(schema.fields[column].name)")
            }
        }
    }

    @Test(
        "Buffers that a compressed batch holds raw are read in place",
        arguments: [BodyCompression.lz4, .zstd(level: 3)])
    func rawForm(compression: BodyCompression) throws {
        let batch = try batch(compression)
        let buffer = try view(batch, 2).values
        let numbers: [Int64] = [-1, 5, .max]
        try withChanged(batch) { bytes in
            // The frame of 24 bytes gives way to the bytes themselves, and the metadata says so.
            store(Int64(-1), &bytes, at: buffer.storedRange.lowerBound)
            for (row, number) in numbers.enumerated() {
                store(number, &bytes, at: buffer.storedRange.lowerBound + 8 + 8 * row)
            }
            let offset = Int64(buffer.storedRange.lowerBound - batch.metadataLength)
            for place in stride(from: 0, to: batch.metadataLength - 16, by: 8)
            where littleEndian(Int64.self, bytes, at: place) == offset
                && littleEndian(Int64.self, bytes, at: place + 8) == Int64(buffer.storedRange.count)
            {
                store(Int64(32), &bytes, at: place + 8)
            }
        } _: { read throws in
            let raw = try read.column(2).values
            #expect(!raw.isCompressed && raw.byteCount == 24)
            #expect(read.bytes(of: raw)?.elementsEqual(numbers.withUnsafeBytes { Array($0) }) == true)
            #expect(try read.values(ofColumn: 2, as: Int64.self, using: BodyDecoder()) == numbers)
        }
    }

    @Test("Plain buffers are seen in place, frames are not")
    func inPlace() throws {
        for (compression, isPlain) in [(BodyCompression.none, true), (.lz4, false), (.zstd(level: 1), false)] {
            try withChanged(try batch(compression)) { _ in
            } _: { read throws in
                let buffer = try read.column(2).values
                #expect((read.bytes(of: buffer) != nil) == isPlain)
                #expect(buffer.byteCount == 24)
                var memory = [Int64](repeating: 0, count: 3)
                let decoder = BodyDecoder()
                try memory.withUnsafeMutableBytes { try read.decode(buffer, into: $0, using: decoder) }
                #expect(memory == [-1, 5, .max])
                let error = #expect(throws: ArrowError.self) {
                    try memory.withUnsafeMutableBytes {
                        try read.decode(buffer, into: .init(rebasing: $0[8...]), using: decoder)
                    }
                }
                #expect(error?.code == .invalid)
            }
        }
    }

    @Test("Any changed bit of a frame is noticed", arguments: [BodyCompression.lz4, .zstd(level: 3)])
    func bitFlips(compression: BodyCompression) throws {
        let batch = try batch(compression)
        let buffer = try view(batch, 2).values
        let decoder = BodyDecoder()
        var silent = 0
        for place in buffer.storedRange {
            for bit in 0..<8 {
                try withChanged(batch) {
                    $0[place] ^= 1 << UInt8(bit)
                } _: { read throws in
                    do throws(ArrowError) {
                        let values = try read.values(ofColumn: 2, as: Int64.self, using: decoder)
                        if values != [-1, 5, .max] { silent += 1 }
                    } catch {
                        #expect(error.code == .codec || error.code == .damaged)
                    }
                }
            }
        }
        #expect(silent == 0)
        // The decoder is fit for use after all those errors.
        let values = try withChanged(batch, { _ in }, { try $0.values(ofColumn: 2, as: Int64.self, using: decoder) })
        #expect(values == [-1, 5, .max])
    }

    @Test(
        "Columns of zeros shrink as far as the codec can and come back",
        arguments: [BodyCompression.lz4, .zstd(level: 19)])
    func zeros(compression: BodyCompression) throws {
        let schema = ArrowSchema(fields: [ArrowField(name: "zeros", type: .uint8)])
        let count = 64 << 20
        let encoder = try RecordBatchEncoder(schema: schema, compression: compression)
        let batch = try [UInt8](repeating: 0, count: count).withUnsafeBytes {
            try encoder.encode(rows: count, columns: [.values($0)])
        }
        try batch.bytes.withUnsafeBytes { bytes in
            let read = try RecordBatch(message: bytes, schema: schema)
            let values = try read.values(ofColumn: 0, as: UInt8.self, using: BodyDecoder())
            #expect(values.count == count && values.allSatisfy { $0 == 0 })
        }
    }

    @Test("Files that are cut short, empty or of another kind are named so")
    func notArrow() throws {
        let whole = ArrowFileLayout.file(schema: schema, batches: [try batch(.none)])
        func code(_ bytes: [UInt8]) -> ArrowError.Code? {
            do throws(ArrowError) { _ = try ArrowFile(bytes: bytes) } catch { return error.code }
            return nil
        }
        #expect(code(whole) == nil)
        #expect(code([]) == .notArrow)
        #expect(code(Array("PAR1 and more bytes than an Arrow file needs".utf8)) == .notArrow)
        for count in stride(from: 6, to: whole.count - 1, by: 7) { #expect(code(Array(whole[..<count])) == .truncated) }
        try withTemporaryDirectory { directory in
            let error = #expect(throws: ArrowError.self) { try ArrowFile(path: "\(directory)/none.arrow") }
            #expect(error?.code == .system(.errno(2)))
            let path = "\(directory)/some.arrow"
            try Data(whole).write(to: URL(fileURLWithPath: path))
            let file = try ArrowFile(path: path)
            #expect(try file.recordBatch(0).rowCount == 3)
        }
    }

    @Test("A head and a tail can be made again from what the file says")
    func layoutAgain() throws {
        let batch = try batch(.zstd(level: 3))
        let metadata = [KeyValue(key: "a", value: "b")]
        let whole = ArrowFileLayout.file(schema: schema, batches: [batch, batch], metadata: metadata)
        let file = try ArrowFile(bytes: whole)
        let tail = ArrowFileLayout.tail(schema: file.schema, blocks: file.blocks, metadata: file.footerMetadata)
        let head = ArrowFileLayout.head(file.schema)
        #expect(whole == head + batch.bytes + batch.bytes + tail)
        #expect(file.blocks.first == batch.block(at: head.count))
    }

    @Test("A footer that names more batches than the file has room for is refused")
    func repeatedBlocks() throws {
        let batch = try batch(.none)
        let head = ArrowFileLayout.head(schema)
        for (times, shift) in [(100, 0), (1, 64), (1, -64)] {
            var block = batch.block(at: head.count)
            block.bodyLength += Int64(shift)
            let tail = ArrowFileLayout.tail(schema: schema, blocks: Array(repeating: block, count: times))
            let error = #expect(throws: ArrowError.self) {
                try ArrowFile(bytes: head + batch.bytes + tail).recordBatch(0)
            }
            #expect(error?.code == .damaged || error?.code == .truncated)
        }
    }

    @Test("A small file that stands for terabytes is no reason to allocate them")
    func bomb() throws {
        // One real frame of zeros; a batch that claims as many rows as its frame could hold by the format.
        let schema = ArrowSchema(fields: [ArrowField(name: "zeros", type: .uint8)])
        let encoder = try RecordBatchEncoder(schema: schema, compression: .zstd(level: 3))
        let count = 1 << 20
        let batch = try [UInt8](repeating: 0, count: count).withUnsafeBytes {
            try encoder.encode(rows: count, columns: [.values($0)])
        }
        for claimed in [Int64(1 << 21), 1 << 40, .max] {
            var bytes = batch.bytes
            for place in stride(from: 8, to: bytes.count - 8, by: 8)
            where littleEndian(Int64.self, bytes, at: place) == Int64(count) { store(claimed, &bytes, at: place) }
            let error = #expect(throws: ArrowError.self) {
                try bytes.withUnsafeBytes {
                    try RecordBatch(message: $0, schema: schema).values(
                        ofColumn: 0, as: UInt8.self, using: BodyDecoder())
                }
            }
            #expect(error?.code == .damaged)
        }
    }

    @Test("A batch of another schema is refused")
    func otherSchema() throws {
        let bytes = try batch(.none).bytes
        let other = ArrowSchema(fields: [ArrowField(name: "a", type: .int8)])
        let error = #expect(throws: ArrowError.self) {
            try bytes.withUnsafeBytes { _ = try RecordBatch(message: $0, schema: other) }
        }
        #expect(error?.code == .damaged)
    }
}
