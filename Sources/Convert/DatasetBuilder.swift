import ArrowIPC
import Shards
import Support

/// Makes a dataset out of rows in memory: what `Converter` makes of files, byte for byte as deterministic.
///
/// The dataset appears when it is finished. A builder that was killed, stopped or given up leaves finished shards, and another one with
/// the same schema, options and inputs goes on behind them.
///
/// Not Sendable: one thread owns it.
public final class DatasetBuilder {
    /// The directory of the dataset.
    public let directory: String
    /// What the rows hold.
    public let schema: SourceSchema
    /// What should be known of the rows; kept in the catalogue.
    public var remarks: [String] = []

    private let options: ConversionOptions
    private let provenance: Provenance
    private let splits: Splits?
    private let slots: Int
    private let fields: [SourceField]
    private let pending: JetColumns
    private var origins: [AssembledRows] = []
    private var given = 0
    private var output: Output?
    private var isOver = false
    private let clock = StageClock()

    /// What is there once the layout has been chosen.
    private struct Output {
        let layout: StoredLayout
        let encoder: BatchEncoder
        let writer: DatasetWriter
    }

    /// Begins a dataset. If nothing is to be found out about the layout, the directory is claimed at once, else with the first record batch.
    /// - Parameters:
    ///   - options: Those of the shards; inputs, selection and threads play no part.
    ///   - command: What is done, for the catalogue.
    ///   - provenanceOptions: What decides the rows, for the catalogue and for those who go on.
    ///   - inputs: Where rows come from: what their column `source` numbers.
    ///   - splits: The rule of another dataset; nil: that of the schema and the options.
    ///   - slots: A jet with so many constituents may have been cut; 0: none is.
    /// - Throws: `ConvertError` with code `usage`; what claiming the directory throws.
    public init(
        directory: String, schema: SourceSchema, options: ConversionOptions = .init(), command: String,
        provenanceOptions: [String: String] = [:], inputs: [InputEntry], splits: Splits? = nil, slots: Int = 0
    ) throws {
        guard !inputs.isEmpty, inputs.count <= Int(UInt16.max), options.batchRows >= 1 else {
            throw ConvertError(
                .usage, file: directory,
                message:
                    "\(inputs.count) inputs and \(options.batchRows) jets a record batch, expected 1 to \(UInt16.max), "
                    + "and at least 1")
        }
        self.directory = directory
        self.schema = schema
        self.options = options
        self.slots = slots
        var rule = splits ?? options.splits(of: schema)
        for part in rule?.parts.indices ?? 0..<0 { rule?.parts[part].rows = 0 }
        self.splits = rule
        fields = schema.fields
        let names = Set(fields.map(\.name))
        if let lost = rule?.columns.first(where: { !names.contains($0) }) {
            throw ConvertError(
                .usage, file: directory, place: "splits",
                message: "need the column \(lost), which the schema does not have")
        }
        let kept: Set = ["batch-rows", "shard-size", "parity", "offsets", "codec", "level"]
        provenance = Provenance(
            command: command,
            options: options.decisive.filter { kept.contains($0.key) }.merging(provenanceOptions) { $1 },
            schema: try JSONValue(encoding: schema), inputs: inputs)
        pending = JetColumns(fields: fields)
        pending.resize(rows: 0, constituents: 0)
        let isProbed = schema.momenta?.lattice != nil || schema.forward != nil
        if !isProbed, !schema.datasets.contains(where: { $0.columns.contains { $0.narrow != nil } }) {
            output = try open()
        }
    }

    /// Rows of the shards that an earlier run has finished: these are not made again, and may be skipped.
    public var rowsDone: Int { output?.writer.rowsDone ?? 0 }

    /// Passes over rows that are done.
    /// - Throws: `ConvertError` with code `usage` if they are not, or some were given before them.
    public func skip(_ rows: Int) throws {
        guard rows >= 0, pending.rows == 0, rows <= rowsDone - given else {
            throw ConvertError(.usage, file: directory, message: "\(rows) rows behind \(given) cannot be skipped")
        }
        given += rows
    }

    /// Adds rows; whole record batches are written at once.
    /// - Parameters:
    ///   - columns: Made for the schema's fields.
    ///   - origins: Where they come from; nil: from the first input, one after the other.
    /// - Throws: `ConvertError` with code `usage` for columns that contradict themselves or the schema; what writing throws.
    public func append(_ columns: JetColumns, origins: [AssembledRows]? = nil) throws {
        let sources = origins ?? [AssembledRows(input: 0, rows: given..<given + columns.rows)]
        try check(columns, sources)
        do { try add(columns, sources) } catch {
            abandon()
            throw error
        }
    }

    private func add(_ columns: JetColumns, _ sources: [AssembledRows]) throws {
        var row = 0, source = 0, used = 0
        while row < columns.rows {
            let end = min(columns.rows, row + options.batchRows - given % options.batchRows)
            pending.append(row..<end, of: columns)
            given += end - row
            while row < end {
                let rows = sources[source].rows, count = min(end - row, rows.count - used)
                let first = rows.lowerBound + used
                if count > 0 {
                    origins.append(AssembledRows(input: sources[source].input, rows: first..<first + count))
                }
                row += count
                used += count
                if used == rows.count { (source, used) = (source + 1, 0) }
            }
            if given % options.batchRows == 0 { try flush() }
        }
    }

    private func check(_ columns: JetColumns, _ sources: [AssembledRows]) throws {
        func fault(_ message: String) -> ConvertError { ConvertError(.usage, file: directory, message: message) }
        guard !isOver else { throw fault("was finished or given up") }
        guard columns.fields.count == fields.count,
            fields.indices.allSatisfy({
                columns.elementType(of: $0) == fields[$0].type
                    && columns.hasConstituents($0) == (fields[$0].role == .constituent)
            })
        else { throw fault("the columns are not those of the schema \(schema.name)") }
        guard sources.allSatisfy({ provenance.inputs.indices.contains($0.input) }),
            sources.reduce(0, { $0 + $1.rows.count }) == columns.rows
        else {
            throw fault("the origins of \(columns.rows) rows are not rows of the \(provenance.inputs.count) inputs")
        }
        let offsets = columns.offsetNumbers
        for row in 0..<columns.rows {
            // They are counted in 16 bits.
            let (count, overflows) = offsets[row + 1].subtractingReportingOverflow(offsets[row])
            guard !overflows, (0...Int32(UInt16.max)).contains(count) else {
                throw fault("row \(given + row) has \(count) constituents, expected 0 to \(UInt16.max)")
            }
        }
        guard columns.rows == 0 || offsets[0] == 0 && Int(offsets[columns.rows]) == columns.constituents,
            columns.constituents <= Int(Int32.max) - pending.constituents
        else { throw fault("the offsets do not fit the \(columns.constituents) constituents") }
    }

    /// Writes the rows that wait as a record batch, unless an earlier run has.
    private func flush() throws {
        let output = try output ?? open()
        self.output = output
        if (given - 1) / options.batchRows >= output.writer.batchesDone {
            let batch = try output.encoder.encode(pending, origins: origins)
            if let full = try output.writer.append(batch, clock: clock) {
                try full.finish(clock)
                try output.writer.add(full, clock: clock)
            }
        }
        pending.resize(rows: 0, constituents: 0)
        origins = []
    }

    /// Chooses the layout by the rows that wait, and claims the directory.
    private func open() throws -> Output {
        var probe = LayoutProbe(schema: schema)
        if pending.rows > 0 { probe.look(at: pending) }
        let layout = StoredLayout(schema: schema, encoding: probe.encoding())
        let metadata = [KeyValue(key: "pando.encoding", value: try CanonicalJSON.text(layout.encoding))]
        let work = try Work(
            entries: provenance.inputs, options: provenance.options.merging(["command": provenance.command]) { $1 },
            schema: schema, selection: nil, encoding: layout.encoding, writer: Converter.versions, areFiles: false)
        let writer = try DatasetWriter(
            directory: directory,
            configuration: .init(
                columns: layout.columns, metadata: metadata, shardBytes: options.shardBytes,
                makesParity: options.makesParity, work: try CanonicalJSON.text(work),
                explain: { work.difference(from: $0) }),
            claim: try DatasetWriter.claim(directory, takeOver: options.takesOver))
        do {
            let encoder = try BatchEncoder(
                layout: layout, compression: options.compression, sharesOffsets: options.sharesOffsets,
                metadata: metadata, splits: splits, slots: slots, clock: clock)
            return Output(layout: layout, encoder: encoder, writer: writer)
        } catch {
            writer.abandon(removesEmpty: true)
            throw error
        }
    }

    /// Writes what is left, index and catalogue.
    /// - Throws: `ConvertError` with code `usage` if there were fewer rows than an earlier run has written; what writing throws. The
    ///   directory has been given up then.
    public func finish() throws -> Catalogue {
        guard !isOver else { throw ConvertError(.usage, file: directory, message: "was finished or given up") }
        do {
            if pending.rows > 0 { try flush() }
            let output = try output ?? open()
            self.output = output
            guard given >= output.writer.rowsDone else {
                throw ConvertError(
                    .usage, file: directory,
                    message: "\(given) rows were given, but an earlier run has written \(output.writer.rowsDone)",
                    advice: "remove the directory and begin anew")
            }
            let catalogue = try output.writer.finish(closing(output.layout), clock: clock)
            isOver = true
            return catalogue
        } catch {
            abandon()
            throw error
        }
    }

    private func closing(_ layout: StoredLayout) -> DatasetWriter.Closing {
        let inputRows = provenance.inputs.reduce(0) { $0 + $1.rows }
        return .init(
            writer: Converter.versions, encoding: layout.encoding, keys: layout.keys.map(\.name), splits: splits,
            provenance: provenance,
            cutFlow: [
                CutFlowEntry(name: "jets in the inputs", passed: inputRows),
                CutFlowEntry(name: CutFlowEntry.taken, passed: given),
            ], missing: [], features: options.features(of: layout, splits: splits), remarks: remarks)
    }

    /// Gives the directory up; finished shards stay for the next run, and if there are none, nothing does.
    public func abandon() {
        isOver = true
        output?.writer.abandon(removesEmpty: true)
        output = nil
    }
}
