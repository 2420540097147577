import ArrowIPC
import Support

/// `index.arrow`: one row a record batch, so that a plan or a search opens no shard.
public struct BatchIndex: Sendable, Equatable {
    /// Names of the key columns, for which each record has a range.
    public var keys: [String]
    /// Names of the splits, for each of which the records have a number of jets.
    public var splits: [String]
    /// The records of each shard.
    public var shards: [[BatchRecord]]

    /// An index from its parts.
    public init(keys: [String], splits: [String], shards: [[BatchRecord]]) {
        self.keys = keys
        self.splits = splits
        self.shards = shards
    }

    /// The column of the parts' digests; older datasets have none.
    private static let partsColumn = "parts"

    /// The bytes of the file.
    public func fileBytes() throws -> [UInt8] {
        var fields: [ArrowField] = []
        var columns: [[UInt64]] = []
        func add(_ name: String, _ type: ArrowType, _ description: String, _ values: [UInt64]) {
            let metadata = [KeyValue(key: "description", value: description)]
            fields.append(ArrowField(name: name, type: type, metadata: metadata))
            columns.append(values)
        }
        let all = shards.flatMap { $0 }
        var first = 0
        let firstRows = all.map { batch in
            defer { first += batch.rows }
            return UInt64(first)
        }
        add(
            "shard", .int64, "number of the shard",
            shards.indices.flatMap { number in shards[number].map { _ in UInt64(number) } })
        add("first_row", .int64, "number of its first jet in the dataset", firstRows)
        add("offset", .int64, "where its message begins in the shard, bytes", all.map { UInt64($0.offset) })
        add("metadata_bytes", .int64, "bytes of the message before the body", all.map { UInt64($0.metadataBytes) })
        add("body_bytes", .int64, "bytes of the body", all.map { UInt64($0.bodyBytes) })
        add("rows", .int64, "jets", all.map { UInt64($0.rows) })
        add("constituents", .int64, "constituents of all jets", all.map { UInt64($0.constituents) })
        add("digest", .uint64, "XXH3-64 of the message's bytes", all.map(\.digest.value))
        add("content", .uint64, "XXH3-64 over the digests of the original columns", all.map(\.content.value))
        for (number, key) in keys.enumerated() {
            let ranges = all.map { $0.keys.indices.contains(number) ? $0.keys[number] : .integer(0, 0) }
            let isNumber = ranges.contains { if case .number = $0 { true } else { false } }
            let bits = ranges.map { range -> (UInt64, UInt64) in
                switch range {
                case .integer(let low, let high): (UInt64(bitPattern: low), UInt64(bitPattern: high))
                case .number(let low, let high): (low.bitPattern, high.bitPattern)
                }
            }
            add(key + "_min", isNumber ? .float64 : .int64, "smallest \(key)", bits.map(\.0))
            add(key + "_max", isNumber ? .float64 : .int64, "largest \(key)", bits.map(\.1))
        }
        for (number, split) in splits.enumerated() {
            let rows = all.map { $0.splits.indices.contains(number) ? UInt64($0.splits[number]) : 0 }
            add("rows_" + split, .int64, "jets in the split \(split)", rows)
        }
        let parts = PartLists(all)
        if !parts.digests.isEmpty {
            let metadata = [KeyValue(key: "description", value: "XXH3-64 of each part of the message")]
            fields.append(ArrowField(name: Self.partsColumn, type: .list(.uint64), metadata: metadata))
        }
        let schema = ArrowSchema(
            fields: fields,
            metadata: [
                KeyValue(key: "pando.keys", value: keys.joined(separator: ",")),
                KeyValue(key: "pando.splits", value: splits.joined(separator: ",")),
            ])
        let encoder = try RecordBatchEncoder(schema: schema, compression: .zstd(level: 3))
        // One flat array keeps all columns alive while their memory is read.
        let flat = columns.flatMap { $0 }
        let rows = all.count
        let batch = try flat.withUnsafeBytes { memory in
            var data: [ColumnData] = columns.indices.map {
                .values(UnsafeRawBufferPointer(rebasing: memory[($0 * rows * 8)..<(($0 + 1) * rows * 8)]))
            }
            return try parts.offsets.withUnsafeBytes { offsets in
                try parts.digests.withUnsafeBytes { digests in
                    if !parts.digests.isEmpty { data.append(.list(offsets: offsets, values: digests)) }
                    return try encoder.encode(rows: rows, columns: data)
                }
            }
        }
        return ArrowFileLayout.file(schema: schema, batches: [batch])
    }

    /// Reads the file.
    /// - Parameter shardCount: How many shards the catalogue has.
    /// - Throws: `ArrowError` if it cannot be read, `DatasetError` with code `inconsistent` if it contradicts itself.
    public init(fileBytes bytes: [UInt8], path: String, shardCount: Int) throws {
        let file = try ArrowFile(bytes: bytes, name: path)
        let decoder = BodyDecoder()
        func fault(_ message: String) -> DatasetError {
            DatasetError(.inconsistent, file: path, message: message, advice: "run 'pando repair' on the dataset")
        }
        guard file.recordBatchCount == 1 else { throw fault("has \(file.recordBatchCount) record batches, expected 1") }
        let batch = try file.recordBatch(0)
        func column(_ name: String) throws -> [Int64] {
            guard let index = file.schema.fields.firstIndex(where: { $0.name == name }) else {
                throw fault("has no column '\(name)'")
            }
            switch file.schema.fields[index].type {
            case .uint64:
                return try batch.values(ofColumn: index, as: UInt64.self, using: decoder).map { Int64(bitPattern: $0) }
            case .float64:
                return try batch.values(ofColumn: index, as: Double.self, using: decoder).map {
                    Int64(bitPattern: $0.bitPattern)
                }
            default: return try batch.values(ofColumn: index, as: Int64.self, using: decoder)
            }
        }
        func names(_ key: String) -> [String] {
            file.schema.metadata.first { $0.key == key }?.value.split(separator: ",").map(String.init) ?? []
        }
        keys = names("pando.keys")
        splits = names("pando.splits")
        let isNumber = keys.map { key in
            file.schema.fields.contains { $0.name == key + "_min" && $0.type == .float64 }
        }
        let ranges = try keys.map { (try column($0 + "_min"), try column($0 + "_max")) }
        let splitRows = try splits.map { try column("rows_" + $0) }
        let shard = try column("shard"), offset = try column("offset"), metadata = try column("metadata_bytes")
        let body = try column("body_bytes"), rows = try column("rows"), constituents = try column("constituents")
        let digest = try column("digest"), content = try column("content")
        let lists = try PartLists(batch, column: file.schema.index(of: Self.partsColumn), using: decoder)
        shards = Array(repeating: [], count: shardCount)
        for row in 0..<batch.rowCount {
            let numbers = [offset[row], metadata[row], body[row], rows[row], constituents[row]]
            let parts = splitRows.map { $0[row] }
            guard (numbers + parts).allSatisfy({ (0..<1 << 48).contains($0) }),
                (0..<Int64(shardCount)).contains(shard[row])
            else {
                throw fault("row \(row) holds a negative or absurd number")
            }
            let keys = keys.indices.map { key -> KeyRange in
                let (low, high) = (ranges[key].0[row], ranges[key].1[row])
                return isNumber[key]
                    ? .number(Double(bitPattern: UInt64(bitPattern: low)), Double(bitPattern: UInt64(bitPattern: high)))
                    : .integer(low, high)
            }
            shards[Int(shard[row])].append(
                BatchRecord(
                    offset: Int(offset[row]), metadataBytes: Int(metadata[row]), bodyBytes: Int(body[row]),
                    rows: Int(rows[row]), constituents: Int(constituents[row]),
                    digest: Digest(value: UInt64(bitPattern: digest[row])),
                    content: Digest(value: UInt64(bitPattern: content[row])), keys: keys, splits: parts.map { Int($0) },
                    parts: lists.digests(ofRow: row)))
        }
    }
}

/// The digests of the parts of all record batches as a column holds them.
private struct PartLists {
    var offsets: [Int32] = [0]
    var digests: [UInt64] = []

    init(_ records: [BatchRecord]) {
        for record in records {
            digests += record.parts.map(\.value)
            // An index of so many parts has more bytes than Arrow's lists can hold; the encoder refuses what does not fit.
            offsets.append(Int32(truncatingIfNeeded: digests.count))
        }
    }

    /// - Parameter column: The number of the column; nil if the index has none.
    init(_ batch: RecordBatch, column: Int?, using decoder: BodyDecoder) throws {
        guard let column else { return }
        digests = try batch.values(ofColumn: column, as: UInt64.self, using: decoder)
        offsets = try batch.offsets(ofColumn: column, using: decoder)
    }

    func digests(ofRow row: Int) -> [Digest] {
        guard row + 1 < offsets.count else { return [] }
        return digests[Int(offsets[row])..<Int(offsets[row + 1])].map { Digest(value: $0) }
    }
}
