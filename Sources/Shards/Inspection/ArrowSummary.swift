import ArrowIPC

/// What an Arrow IPC file holds, whoever wrote it; for a shard also how its jets are stored.
///
/// Its JSON keys are the names of the properties; keys without a value are left out.
public struct ArrowSummary: Encodable, Sendable {
    /// A column, in the order of the file.
    public struct Column: Encodable, Sendable {
        public var name: String
        public var type: String
        public var nullable: Bool
        /// What the schema says of it.
        public var metadata: [Pair]
        /// Rows without a value.
        public var nulls: Int?
        /// Values: those of all lists for a column of lists.
        public var values: Int?
        /// Stored bytes, without buffers that several columns share.
        public var bytes: Int?
        /// Part of the file.
        public var share: Double?
        /// Least and greatest finite number of the sample, as stored.
        public var sampleMinimum: Double?
        public var sampleMaximum: Double?
        /// Of the sample.
        public var histogram: Histogram?
        /// Why it cannot be read.
        public var problem: String?
    }

    /// A key and its value.
    public struct Pair: Encodable, Sendable {
        public var key: String
        public var value: String
    }

    /// `shard` or `arrow`.
    public var kind: String
    /// The file as the user named it.
    public var path: String
    /// Its size.
    public var bytes: Int
    public var rows: Int
    /// Rows of each record batch.
    public var batchRows: [Int]
    /// Bytes of all record batches.
    public var batchBytes: Int
    /// Whether any buffer is compressed.
    public var isCompressed: Bool
    /// Bytes of buffers that several columns share.
    public var sharedBytes: Int
    public var columns: [Column]
    /// Keys and values of the schema.
    public var metadata: [Pair]
    /// Keys and values of the footer.
    public var footerMetadata: [Pair]
    /// How jets are stored; shards only.
    public var encoding: JetEncoding?
    /// What the ranges and histograms are made from.
    public var sample: DatasetSummary.Sample
    /// What was found wrong while looking.
    public var problems: [String]

    /// Looks at a file.
    /// - Parameters:
    ///   - size: The file's size in bytes.
    ///   - names: Columns to look at; nil for all.
    /// - Throws: `DatasetError` with code `usage` if a column is not there, `ArrowError` if a batch cannot be read.
    public init(_ file: ArrowFile, path: String, size: Int, columns names: [String]? = nil) throws {
        let fields = file.schema.fields
        for name in names ?? [] where file.schema.index(of: name) == nil {
            throw DatasetError(
                .usage, file: path, place: "column \(name)", message: "is not there",
                advice: "it has \(fields.map(\.name).joined(separator: ", "))")
        }
        self.path = path
        bytes = size
        encoding = JetEncoding(schema: file.schema)
        kind = encoding == nil ? "arrow" : "shard"
        metadata = file.schema.metadata.map { Pair(key: $0.key, value: $0.value) }
        footerMetadata = file.footerMetadata.map { Pair(key: $0.key, value: $0.value) }
        let firstRows = try file.firstRows(path: path)
        rows = firstRows.last ?? 0
        batchRows = zip(firstRows.dropFirst(), firstRows).map { $0 - $1 }
        // Sums of lengths that were compared with the file's size.
        batchBytes = file.blocks.reduce(0) { $0 &+ Int($1.metadataLength) &+ Int($1.bodyLength) }

        let counted = try Count(file)
        isCompressed = counted.isCompressed
        sharedBytes = counted.sharedBytes
        let wanted = fields.indices.filter { names?.contains(fields[$0].name) ?? true }
        let sampled = ColumnSample(
            of: Set(wanted.map { fields[$0].name }), batchCount: file.recordBatchCount,
            read: { try file.recordBatch($0) })
        sample = .init(rows: sampled.rows, batches: sampled.batchCount)
        problems = sampled.problems
        columns = wanted.map { index in
            let field = fields[index], numbers = sampled.numbers(field.name), part = counted.columns[index]
            return Column(
                name: field.name, type: field.type.description, nullable: field.nullable,
                metadata: field.metadata.map { Pair(key: $0.key, value: $0.value) }, nulls: part.nulls,
                values: part.values, bytes: part.bytes,
                share: size > 0 ? part.bytes.map { Double($0) / Double(size) } : nil,
                sampleMinimum: numbers.min(), sampleMaximum: numbers.max(),
                histogram: sampled.histogram(field.name), problem: part.problem)
        }
    }

    /// Sums over the metadata of all record batches.
    private struct Count {
        struct Part {
            var nulls: Int? = 0
            var values: Int? = 0
            var bytes: Int? = 0
            var problem: String?
        }

        var columns: [Part]
        var sharedBytes = 0
        var isCompressed = false

        init(_ file: ArrowFile) throws {
            columns = file.schema.fields.map { _ in Part() }
            for number in 0..<file.recordBatchCount {
                let batch = try file.recordBatch(number)
                var users: [Range<Int>: Set<Int>] = [:]
                for index in columns.indices {
                    do {
                        let view = try batch.column(index)
                        let buffers = [view.validity, view.offsets, view.childValidity, view.values].compactMap { $0 }
                        for buffer in buffers where !buffer.storedRange.isEmpty {
                            users[buffer.storedRange, default: []].insert(index)
                            isCompressed = isCompressed || buffer.isCompressed
                        }
                        columns[index].nulls? &+= view.nullCount
                        columns[index].values? &+= view.childLength ?? view.length
                    } catch {
                        columns[index] = Part(nulls: nil, values: nil, bytes: nil, problem: error.message)
                    }
                }
                for (range, owners) in users {
                    if owners.count == 1, let owner = owners.first {
                        columns[owner].bytes? &+= range.count
                    } else {
                        sharedBytes &+= range.count
                    }
                }
            }
        }
    }
}

/// Rows of any Arrow file, value by value.
public struct ArrowRows {
    private let file: ArrowFile
    private let path: String
    private let wanted: [Int]
    private let firstRows: [Int]

    /// How many rows there are.
    public var rowCount: Int { firstRows.last ?? 0 }

    /// Rows of a file.
    /// - Parameter names: Columns to give; nil for all.
    /// - Throws: `DatasetError` with code `usage` if a column is not there, `ArrowError` if a batch cannot be read.
    public init(_ file: ArrowFile, path: String, columns names: [String]? = nil) throws {
        self.file = file
        self.path = path
        firstRows = try file.firstRows(path: path)
        let fields = file.schema.fields
        for name in names ?? [] where file.schema.index(of: name) == nil {
            throw DatasetError(
                .usage, file: path, place: "column \(name)", message: "is not there",
                advice: "it has \(fields.map(\.name).joined(separator: ", "))")
        }
        wanted = fields.indices.filter { names?.contains(fields[$0].name) ?? true }
    }

    /// Reads rows one after another: the number of each with the names and values of its columns. Columns of types that
    /// are not read give null.
    /// - Throws: `DatasetError` with code `usage` if there are no such rows, `ArrowError` if they cannot be decoded.
    public func visit(_ rows: Range<Int>, _ body: (Int, [(name: String, value: JSONValue)]) throws -> Void) throws {
        guard rows.lowerBound >= 0, rows.upperBound <= rowCount else {
            throw DatasetError(
                .usage, file: path, place: "rows \(rows.lowerBound)..\(rows.upperBound)",
                message: "are not all there: it has rows 0..\(rowCount)")
        }
        let decoder = BodyDecoder()
        for number in 0..<file.recordBatchCount {
            let part = rows.clamped(to: firstRows[number]..<firstRows[number + 1])
            guard !part.isEmpty else { continue }
            let batch = try file.recordBatch(number)
            let cells = try wanted.map { index -> (name: String, cells: ColumnCells?) in
                let field = file.schema.fields[index]
                if case .unsupported = field.type { return (field.name, nil) }
                return (field.name, try ColumnCells(batch, column: index, using: decoder))
            }
            for row in part {
                let place = row - firstRows[number]
                try body(row, cells.map { (name: $0.name, value: $0.cells?.value(ofRow: place) ?? .null) })
            }
        }
    }
}
