import ArrowIPC
import Shards
import Support

/// How well the batches of a dataset are shuffled, by what a loader delivers.
public struct ShuffleReport: Codable, Sendable, Equatable {
    /// Variance over that of a true shuffle, of batches or of so many batches that follow each other.
    public struct Variance: Codable, Sendable, Equatable {
        /// Batches that are taken together.
        public var batches: Int
        /// As the loader makes them; nil if there are fewer than two.
        public var shuffled: Estimate?
        /// In the order of the dataset.
        public var inOrder: Estimate?
    }

    /// What distinguishes jets: a column, or `source`: their input file.
    public var key: String
    /// How many values it has.
    public var categories: Int
    /// Jets of an epoch.
    public var jets: Int
    /// Jets of a global batch.
    public var batchSize: Int
    /// Epochs that were loaded.
    public var epochs: Int
    /// Variances of the number of jets of each value.
    public var variances: [Variance]
    /// Mean distance in the dataset of jets that follow each other in a batch, over the number of jets.
    public var neighbours: Estimate?
    /// What a true shuffle has.
    public var expectedNeighbours: Double
    /// Correlation of the positions of jets in each epoch with those in the one before.
    public var epochCorrelations: [Double]
    /// The error of the correlation of two true shuffles; in windows, record batches move together, and it is larger.
    public var correlationError: Double

    /// The column of the input files.
    public static let source = StoredColumn.source
    /// More values are not told apart.
    public static let mostCategories = 65_534

    /// What tells the jets of a dataset apart: input file, run if there is one, and the class: the first label that holds
    /// numbers of classes (`label`), or all labels.
    public static func usualKeys(of directory: String) throws -> [String] {
        let fields = try Dataset(directory: directory).catalogue.encoding.fields
        let labels = fields.filter { $0.role == .label }, classes = labels.filter { $0.name == "label" }
        let run = fields.filter { $0.role == .event && $0.name == "run" }
        return [source] + (run + (classes.isEmpty ? labels : classes)).map(\.name)
    }

    /// Loads epochs and measures them: as many readings of the dataset, and one more.
    ///
    /// Whatever the options say of ranks and of the last batch, whole global batches are looked at, and each jet comes once.
    /// Memory beside that of the loader: 2 bytes a jet of the dataset, about a kilobyte a value of the key, and 4 MB.
    /// - Parameters:
    ///   - key: A column with one value a jet, or `source`.
    /// - Throws: `LoaderError` with code `options` or `feature` if the key cannot be used; what loading throws.
    public static func measure(
        dataset directory: String, options: LoaderOptions = LoaderOptions(), key: String = source, epochs: Int = 2
    ) throws -> ShuffleReport {
        var options = options
        (options.rank, options.worldSize, options.dropLast) = (0, 1, false)
        let dataset = try Dataset(directory: directory)
        let (labels, categories) = try Categories.read(dataset, key: key)
        // Some column that is small: batches are asked for the numbers of their jets only.
        let fields = dataset.catalogue.encoding.fields
        let column = fields.filter { $0.role != .constituent }.min { $0.type.width < $1.type.width } ?? fields.first
        let loader = try Loader(dataset: directory, columns: column.map { [$0.name] }, options: options)
        let total = dataset.firstRows.last ?? 0, lengths = [1, 16, 64]
        func meters() -> [VarianceMeter] {
            lengths.map { VarianceMeter(batchSize: options.batchSize, categories: categories, stretch: $0) }
        }
        var shuffled = meters(), near = NeighbourMeter(rows: total), between = EpochMeter(rows: total)
        var takesPart = Array(repeating: false, count: total)
        for epoch in 0..<max(1, epochs) {
            let batches = try loader.batches(epoch: epoch)
            while let batch = try batches.next() {
                for meter in shuffled.indices { shuffled[meter].add(batch.jets.lazy.map { Int(labels[$0]) }) }
                near.add(Array(batch.jets))
                between.add(Array(batch.jets))
                if epoch == 0 { for jet in batch.jets { takesPart[jet] = true } }
            }
            between.endEpoch()
        }
        var inOrder = meters(), batch: [Int] = []
        for jet in 0..<total where takesPart[jet] {
            batch.append(Int(labels[jet]))
            if batch.count == options.batchSize {
                for meter in inOrder.indices { inOrder[meter].add(batch) }
                batch = []
            }
        }
        for meter in inOrder.indices { inOrder[meter].add(batch) }
        return ShuffleReport(
            key: key, categories: categories, jets: loader.jetCount, batchSize: options.batchSize,
            epochs: max(1, epochs),
            variances: lengths.enumerated().map { number, length in
                Variance(
                    batches: length, shuffled: shuffled[number].ratio(epochs: max(1, epochs)),
                    inOrder: inOrder[number].ratio())
            },
            neighbours: near.mean, expectedNeighbours: ShuffleQuality.meanDistance(rows: total),
            epochCorrelations: between.correlations,
            correlationError: 1 / Double(max(1, loader.jetCount / between.stride - 1)).squareRoot())
    }

    /// The report for people: lines of a table.
    public var text: String {
        func number(_ estimate: Estimate?) -> String {
            guard let estimate else { return "-" }
            return "\(estimate.value.fixed(3)) ± \(estimate.error.fixed(3))"
        }
        func line(_ name: String, _ cells: String...) -> String {
            cells.reduce(name.prefix(36) + String(repeating: " ", count: max(0, 36 - name.count))) {
                $0 + String(repeating: " ", count: max(1, 20 - $1.count)) + $1
            }
        }
        var lines = [
            "\(jets) jets, batches of \(batchSize), \(epochs) epoch\(epochs == 1 ? "" : "s"), \(categories) values of \(key)",
            line("", "shuffled", "as in the dataset", "true shuffle"),
        ]
        for variance in variances {
            lines.append(
                line(
                    variance.batches == 1 ? "variance of batches" : "variance of \(variance.batches) batches together",
                    number(variance.shuffled), number(variance.inOrder), "1"))
        }
        lines.append(
            line("distance of neighbours", number(neighbours), "", expectedNeighbours.fixed(3)))
        for (epoch, correlation) in epochCorrelations.enumerated() {
            lines.append(
                line(
                    "correlation of epochs \(epoch), \(epoch + 1)", correlation.fixed(4), "",
                    "0 ± \(correlationError.fixed(4))"))
        }
        return lines.joined(separator: "\n")
    }
}

/// The category of each jet of a dataset.
private enum Categories {
    static func read(_ dataset: Dataset, key: String) throws -> (labels: [UInt16], count: Int) {
        let fields = dataset.catalogue.encoding.fields
        let field = fields.firstIndex { $0.name == key && $0.role != .constituent }
        guard field != nil || key == ShuffleReport.source else {
            let names = fields.filter { $0.role != .constituent }.map(\.name)
            throw LoaderError(
                .feature, file: dataset.directory, place: "column \(key)",
                message: "does not exist with one value a jet",
                advice: "there are \(ShuffleReport.source), \(names.joined(separator: ", "))")
        }
        var numbers: [UInt64: UInt16] = [:], labels: [UInt16] = []
        labels.reserveCapacity(dataset.firstRows.last ?? 0)
        func add(_ value: UInt64) throws {
            if let number = numbers[value] { return labels.append(number) }
            guard numbers.count < ShuffleReport.mostCategories else {
                throw LoaderError(
                    .options, file: dataset.directory, place: "column \(key)",
                    message: "has more than \(ShuffleReport.mostCategories) values",
                    advice: "choose a column that tells kinds of jets apart")
            }
            let number = UInt16(numbers.count)
            numbers[value] = number
            labels.append(number)
        }
        let reader = dataset.makeReader()
        if let field {
            let decoder = try JetDecoder(encoding: dataset.catalogue.encoding, file: dataset.directory)
            let columns = JetColumns(fields: fields), body = BodyDecoder()
            let stored = StoredJets(
                try StoredSelection(
                    encoding: dataset.catalogue.encoding, schema: dataset.schema,
                    isWanted: fields.indices.map { $0 == field }, file: dataset.directory))
            for batch in 0..<dataset.batchCount {
                let file =
                    "\(dataset.directory)/\(dataset.shard(ofBatch: batch).file), \(dataset.place(ofBatch: batch))"
                try stored.read(reader.read(batch), using: body, file: file)
                try decoder.decode(stored, into: columns, file: file)
                let bytes = columns.bytes(of: field), width = columns.elementType(of: field).width
                for row in 0..<columns.rows {
                    // The bits are enough to tell values apart.
                    try add(bytes[row * width..<(row + 1) * width].reduce(0) { $0 << 8 | UInt64($1) })
                }
            }
        } else {
            let body = BodyDecoder()
            for batch in 0..<dataset.batchCount {
                let stored = try reader.read(batch)
                guard let source = stored.schema.index(of: StoredColumn.source) else {
                    throw LoaderError(
                        .data, file: dataset.directory, message: "has no column \(StoredColumn.source)")
                }
                let offset = dataset.shard(ofBatch: batch).sourceOffset
                for value in try stored.values(ofColumn: source, as: UInt16.self, using: body) {
                    try add(UInt64(truncatingIfNeeded: Int(value) + offset))
                }
            }
        }
        return (labels, numbers.count)
    }
}
