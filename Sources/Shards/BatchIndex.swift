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

    private static let integers = ["shard", "first_row", "offset"]
    private static let sizes = ["metadata_bytes", "body_bytes", "rows", "constituents"]
    private static let digests = ["digest", "content"]

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
            try encoder.encode(
                rows: rows,
                columns: columns.indices.map {
                    .values(UnsafeRawBufferPointer(rebasing: memory[($0 * rows * 8)..<(($0 + 1) * rows * 8)]))
                })
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
                    content: Digest(value: UInt64(bitPattern: content[row])), keys: keys, splits: parts.map { Int($0) })
            )
        }
    }
}
