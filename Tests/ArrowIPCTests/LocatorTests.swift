import ArrowIPC
import Support
import Testing

/// What `BufferLocator` says from the metadata alone, beside what `RecordBatch` says of the whole message.
@Suite struct LocatorTests {
    static let compressions: [BodyCompression] = [.none, .lz4, .zstd(level: 1)]

    /// A column as the locator sees it, in the form of the other reader's view; the body is looked at for prefixes only.
    private struct Located: Equatable {
        var length: Int
        var childLength: Int?
        var offsets: BodyBuffer?
        var values: BodyBuffer

        init(_ view: ColumnView) {
            length = view.length
            childLength = view.childLength
            offsets = view.offsets
            values = view.values
        }

        init(_ locator: BufferLocator, _ header: BatchHeader, _ index: Int, _ message: UnsafeRawBufferPointer) throws {
            let column = try locator.column(index, in: header)
            func open(_ buffer: StoredBuffer) throws -> BodyBuffer {
                // The body may be shorter than the metadata says.
                guard buffer.range.upperBound <= message.count else { throw ArrowError(.truncated, message: "short") }
                return try locator.open(buffer, stored: UnsafeRawBufferPointer(rebasing: message[buffer.range]))
            }
            length = column.length
            childLength = column.childLength
            values = try open(column.values)
            let offsets = try column.offsets.map(open)
            self.offsets = column.length == 0 && offsets?.byteCount == 0 ? nil : offsets
        }
    }

    @Test(arguments: compressions, [0, 1, 100])
    func `every column is located as the record batch has it, and decodes to the same`(
        compression: BodyCompression, rows: Int
    ) throws {
        let table = SampleTable(rows: rows, seed: 5)
        let encoded = try table.encode(compression, metadata: [KeyValue(key: "k", value: "v")])
        let locator = try BufferLocator(schema: table.schema), decoder = BodyDecoder()
        try encoded.bytes.withUnsafeBytes { message in
            let metadata = Array(message[..<encoded.metadataLength])
            try metadata.withUnsafeBytes { metadata in
                let header = try locator.header(metadata)
                let batch = try RecordBatch(message: message, schema: table.schema)
                #expect(header.rowCount == rows)
                #expect(header.metadataLength == batch.metadataLength)
                #expect(header.bodyLength == batch.bodyLength)
                for index in table.schema.fields.indices {
                    let found = try Located(locator, header, index, message)
                    #expect(try found == Located(batch.column(index)))
                    let column = try locator.column(index, in: header)
                    let stored = UnsafeRawBufferPointer(rebasing: message[found.values.storedRange])
                    var values = [UInt8](repeating: 0, count: found.values.byteCount), expected = values
                    try values.withUnsafeMutableBytes {
                        try locator.decode(found.values, stored: stored, into: $0, using: decoder)
                    }
                    try expected.withUnsafeMutableBytes { try batch.decode(found.values, into: $0, using: decoder) }
                    #expect(values == expected)
                    #expect((locator.bytes(of: found.values, stored: stored) == nil) == found.values.isCompressed)
                    if column.childLength != nil {
                        var offsets = [Int32](repeating: -1, count: rows + 1)
                        let range = found.offsets?.storedRange ?? 0..<0
                        try offsets.withUnsafeMutableBufferPointer {
                            try locator.decodeOffsets(
                                of: column, found.offsets, stored: UnsafeRawBufferPointer(rebasing: message[range]),
                                into: $0, using: decoder)
                        }
                        #expect(try offsets == batch.offsets(ofColumn: index, using: decoder))
                    }
                }
            }
        }
    }

    @Test func `a column that is not there, one with missing values and one behind views are refused`() throws {
        let table = SampleTable(rows: 3, seed: 1)
        let locator = try BufferLocator(schema: table.schema)
        try table.encode(.none).bytes.withUnsafeBytes { message in
            let header = try locator.header(message)
            for index in [-1, table.schema.fields.count] {
                #expect(throws: ArrowError.self) { try locator.column(index, in: header) }
            }
        }
        guard Python.hasPyarrow else { return }
        var refused = 0
        for file in try PyarrowFiles.make() {
            let arrow = try ArrowFile(bytes: file.bytes)
            let locator = try BufferLocator(schema: arrow.schema)
            for (number, block) in arrow.blocks.enumerated() {
                let message = file.bytes[Int(block.offset)...].prefix(Int(block.metadataLength) + Int(block.bodyLength))
                let batch = try arrow.recordBatch(number)
                try Array(message).withUnsafeBytes { message in
                    let header = try locator.header(message)
                    for index in arrow.schema.fields.indices {
                        guard let view = try? batch.column(index) else { continue }
                        guard view.nullCount + view.childNullCount == 0 else {
                            let error = #expect(throws: ArrowError.self) { try locator.column(index, in: header) }
                            #expect(error?.code == .unsupported)
                            #expect(error?.place == "column \(arrow.schema.fields[index].name)")
                            refused += 1
                            continue
                        }
                        do {
                            #expect(try Located(locator, header, index, message) == Located(view))
                        } catch let error as ArrowError {
                            #expect(error.code == .unsupported)
                        }
                    }
                }
            }
        }
        #expect(refused > 0)
    }

    @Test func `metadata with any mutation is refused, or read as the record batch is`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let table = SampleTable(rows: 9, seed: 1)
        let locator = try BufferLocator(schema: table.schema)
        var parts = MessageParts()
        var outcomes: [String: Int] = [:]
        for compression in Self.compressions {
            let encoded = try table.encode(compression)
            let metadata = Array(encoded.bytes[..<encoded.metadataLength])
            let body = encoded.bytes[encoded.metadataLength...]
            for _ in 0..<3000 {
                var mutated = metadata
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    FuzzTests.mutate(&mutated, donor: metadata, &random)
                }
                (mutated + body).withUnsafeBytes { message in
                    // Just the metadata, in memory of its own: nothing behind it may be touched.
                    let outcome = mutated.withUnsafeBytes { compare(locator, $0, message, &parts, "seed \(seed)") }
                    outcomes[outcome, default: 0] += 1
                }
            }
        }
        print("outcomes \(outcomes)")
        #expect(outcomes["unlike"] == nil)
        #expect(outcomes["equal"] != nil && outcomes["columns refused"] != nil)
    }

    private func compare(
        _ locator: BufferLocator, _ metadata: UnsafeRawBufferPointer, _ message: UnsafeRawBufferPointer,
        _ parts: inout MessageParts, _ what: Comment
    ) -> String {
        let batch = try? RecordBatch(message: message, schema: locator.schema)
        let header: BatchHeader
        do {
            header = try locator.header(metadata)
        } catch {
            // Only texts of the metadata may be what the one reader looks at and the other does not; a length that leads
            // behind the metadata is no fault to a reader that has the body too.
            return error.code == .truncated || batch == nil ? "no header" : "unlike"
        }
        if (try? parts.find(header)) != nil {
            for part in 0..<parts.count { #expect(!parts[part].isEmpty, what) }
            #expect(
                parts[0] == 0..<header.metadataLength
                    && parts[parts.count - 1].upperBound
                        == header.metadataLength + header.bodyLength,
                what)
        }
        guard let batch else { return "header alone" }
        #expect(header.rowCount == batch.rowCount && header.bodyLength == batch.bodyLength, what)
        var outcome = "equal"
        for index in locator.schema.fields.indices {
            let view = try? batch.column(index)
            do {
                let found = try Located(locator, header, index, message)
                #expect(view.map { Located($0) } == found, what)
            } catch {
                #expect(view == nil || (view?.nullCount ?? 0) + (view?.childNullCount ?? 0) > 0, what)
                outcome = "columns refused"
            }
        }
        return outcome
    }
}
