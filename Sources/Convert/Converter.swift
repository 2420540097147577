import ArrowIPC
import Foundation
import Glibc
import Shards
import Support

/// Converts inputs to a dataset.
///
/// Every worker takes the next record batch of the plan and carries it through: slices of the inputs are read (once, by
/// whoever needs them first), rows gathered, narrowed, decoded again and compared, compressed; batches come to the writer
/// in order. Memory is bounded by the window that workers may run ahead.
public struct Converter: Sendable {
    /// The inputs in their order.
    public let inputs: [String]
    /// The directory of the dataset.
    public let output: String
    /// What decides the result.
    public let options: ConversionOptions
    /// What the inputs hold.
    public let schema: SourceSchema
    /// Is told rows done and rows of all.
    public var progress: @Sendable (Int, Int) -> Void = { _, _ in }
    /// Is told inputs looked at and inputs of all, before rows are.
    public var preparing: @Sendable (Int, Int) -> Void = { _, _ in }
    /// Whether the work should stop.
    public var isInterrupted: @Sendable () -> Bool = { false }
    /// Is told at the end where the time of all threads went.
    public var measured: @Sendable (StageTimes) -> Void = { _ in }

    /// A conversion.
    public init(inputs: [String], output: String, schema: SourceSchema, options: ConversionOptions) {
        self.inputs = inputs
        self.output = output
        self.schema = schema
        self.options = options
    }

    /// What a conversion would do.
    public struct Forecast: Codable, Sendable {
        /// The inputs with rows and bytes.
        public var inputs: [InputEntry]
        /// Inputs that would be left out.
        public var missing: [Gap]
        /// Jets that would be taken.
        public var rows: Int
        /// Record batches.
        public var batches: Int
        /// Inputs mixed in a batch.
        public var interleave: Int
        /// Columns with their types.
        public var columns: [[String]]
        /// The cuts with what would be left after each.
        public var cutFlow: [CutFlowEntry]
        /// What should be known of the inputs.
        public var remarks: [String]
    }

    /// Finds out what would be done, without writing.
    public func forecast() throws -> Forecast {
        let prepared = try prepare()
        let layout = StoredLayout(schema: prepared.schema, encoding: try probe(prepared).encoding)
        return Forecast(
            inputs: prepared.entries, missing: prepared.missing, rows: prepared.entries.reduce(0) { $0 + $1.rowsTaken },
            batches: prepared.plan.batchCount, interleave: prepared.interleave,
            columns: layout.columns.map { [$0.name, $0.type.description] }, cutFlow: cutFlow(prepared),
            remarks: prepared.remarks)
    }

    /// Converts.
    /// - Returns: The catalogue of the dataset; its `missing` is not empty if inputs were skipped.
    /// - Throws: An error that names the file and the place; `ConvertError` with code `interrupted` after a signal.
    public func run() throws -> Catalogue {
        // Several threads prepare, and nobody else is at work yet.
        let start = StageTimes.Time.ofProcess
        // Claimed before the inputs are looked at, which may take minutes: whoever asks is told that this task is at work.
        let existed = Directory.exists(output)
        let claim = try claim()
        do {
            return try run(claim, since: start)
        } catch {
            claim.release()
            // Fails, as it should, if there is anything in it.
            if !existed { rmdir(output) }
            throw error
        }
    }

    private func claim() throws -> Claim {
        var watch = options.takesOverAfter.map { ClaimWatch(patience: $0) }
        watch?.isInterrupted = isInterrupted
        return try DatasetWriter.claim(
            output, takeOver: options.takesOver, task: options.task?.description, watch: watch)
    }

    private func run(_ claim: Claim, since start: StageTimes.Time) throws -> Catalogue {
        let prepared = try prepare()
        let (encoding, slices) = try probe(prepared)
        let layout = StoredLayout(schema: prepared.schema, encoding: encoding)
        let metadata = [KeyValue(key: "pando.encoding", value: try CanonicalJSON.text(layout.encoding))]
        let work = try Work(
            entries: prepared.entries, options: options.decisive, schema: schema, selection: prepared.selection,
            encoding: layout.encoding, writer: Self.versions)
        let writer = try DatasetWriter(
            directory: output,
            configuration: .init(
                columns: layout.columns, metadata: metadata, shardBytes: options.shardBytes,
                makesParity: options.makesParity, work: try CanonicalJSON.text(work),
                explain: { work.difference(from: $0) }),
            claim: claim)
        do {
            let splits = options.splits(of: prepared.schema)
            var times = StageTimes()
            times[.prepare] = StageTimes.Time.ofProcess.since(start)
            times.add(try convert(prepared, consume slices, layout, metadata, splits, writer, claim))
            let closing = StageClock(.write)
            let catalogue = try writer.finish(
                .init(
                    writer: Self.versions, encoding: layout.encoding, keys: layout.keys.map(\.name), splits: splits,
                    provenance: Provenance(
                        command: "convert", options: options.decisive, schema: try JSONValue(encoding: schema),
                        inputs: prepared.entries, selection: try prepared.selection.map { try JSONValue(encoding: $0) }),
                    cutFlow: cutFlow(prepared),
                    missing: prepared.missing, features: options.features(of: layout, splits: splits),
                    generator: generator(prepared),
                    remarks: prepared.remarks), clock: closing)
            times.add(closing.times)
            measured(times)
            return catalogue
        } catch {
            writer.abandon()
            throw error
        }
    }

    /// The cuts of all inputs added up.
    private func cutFlow(_ prepared: Preparation) -> [CutFlowEntry] {
        var flow = prepared.reports.first?.cutFlow ?? []
        for report in prepared.reports.dropFirst() {
            for (index, cut) in report.cutFlow.enumerated() where flow.indices.contains(index) {
                flow[index].passed += cut.passed
            }
        }
        if flow.isEmpty {
            flow = [CutFlowEntry(name: "jets in the inputs", passed: prepared.entries.reduce(0) { $0 + $1.rows })]
        }
        let taken = prepared.entries.reduce(0) { $0 + $1.rowsTaken }
        return flow + [CutFlowEntry(name: CutFlowEntry.taken, passed: taken)]
    }

    private func generator(_ prepared: Preparation) -> GeneratorSums? {
        let all = prepared.reports.compactMap(\.generator)
        guard var sum = all.first else { return nil }
        for other in all.dropFirst() { sum.add(other) }
        return sum
    }

    /// Program and libraries whose versions decide the bytes.
    static let versions = ["pando": Version.number, "libzstd": LibraryVersions.zstd, "liblz4": LibraryVersions.lz4]

    /// Chooses the encoding by a look at the first rows.
    /// - Returns: Also the slices of inputs of the first group: they are used soon, and the window has room for them.
    private func probe(_ prepared: Preparation) throws -> (encoding: JetEncoding, slices: [SliceKey: RowSlice]) {
        let fields = prepared.schema.fields
        var probe = LayoutProbe(schema: prepared.schema)
        let columns = JetColumns(fields: fields)
        let assembler = BatchAssembler(encoding: JetEncoding(fields: fields, lattice: nil), schema: schema)
        let first = Set(prepared.plan.pieces(ofBatch: 0).map(\.input))
        var slices: [SliceKey: RowSlice] = [:]
        for (number, source) in prepared.sources.prefix(LayoutProbe.inputs).enumerated() where source.entry.rows > 0 {
            if isInterrupted() { throw Self.interruption(output) }
            let parts = source.slices.parts(of: 0..<min(LayoutProbe.rowsOfInput, source.entry.rows))
            for (part, slice) in zip(parts, try Self.read(parts.map(\.slice), of: source, threads: options.threads)) {
                // What cannot be read is an error later, with its place.
                guard let slice else { break }
                if first.contains(number) { slices[SliceKey(input: number, slice: part.slice)] = slice }
                assembler.assemble([(part.rows, slice)], into: columns)
                probe.look(at: columns)
            }
            if !first.contains(number) { source.close() }
        }
        return (probe.encoding(), slices)
    }

    /// Reads slices at the same time: the first ones of an input may need all that its first baskets hold.
    private static func read(_ slices: [Int], of source: any JetSource, threads: Int) throws -> [RowSlice?] {
        let found = Monitor([RowSlice?](repeating: nil, count: slices.count)), next = Monitor(0)
        try WorkerThreads.run(min(threads, slices.count)) { _ in
            let scratch = SourceScratch()
            while let number = next.update({ $0 < slices.count ? ($0, $0 += 1).0 : nil }) {
                let slice = try? source.read(slice: slices[number], using: scratch)
                found.update { $0[number] = slice }
            }
        }
        return found.read { $0 }
    }

    private func convert(
        _ prepared: Preparation, _ slices: consuming [SliceKey: RowSlice], _ layout: StoredLayout,
        _ metadata: [KeyValue], _ splits: Splits?, _ writer: DatasetWriter, _ claim: Claim
    ) throws -> StageTimes {
        let first = writer.batchesDone, plan = prepared.plan, sources = prepared.sources
        let total = prepared.entries.reduce(0) { $0 + $1.rowsTaken }
        let rowsDone = Monitor(
            (0..<min(first, plan.batchCount)).reduce(0) {
                $0 + plan.pieces(ofBatch: $1).reduce(0) { $0 + $1.rows.count }
            })
        claim.report(rows: rowsDone.read { $0 }, of: total)
        let output = OrderedOutput(writer: writer, first: first, window: prepared.window)
        let cache = SliceCache(known: consume slices) { key in
            plan.uses(ofInput: key.input, rows: sources[key.input].slices.rows(key.slice), from: first)
        }
        let next = Monitor(first), times = Monitor(StageTimes())
        let slots = sources.map(\.slots).max() ?? 0
        try WorkerThreads.run(min(options.threads, max(1, plan.batchCount - first))) { _ in
            do {
                let worker = try ConversionWorker(
                    sources: sources, schema: schema, layout: layout, cache: cache, options: options,
                    metadata: metadata, splits: splits, slots: slots)
                while let batch = next.update({ $0 < plan.batchCount ? ($0, $0 += 1).0 : nil }) {
                    worker.clock.enter(.wait)
                    try output.waitForTurn(batch)
                    if isInterrupted() { throw Self.interruption(self.output) }
                    let pieces = plan.pieces(ofBatch: batch)
                    let finished = try worker.encode(pieces)
                    let done = rowsDone.update {
                        $0 += finished.message.rows; return $0
                    }
                    if try output.deliver(finished, number: batch, clock: worker.clock) != nil { progress(done, total) }
                    claim.report(rows: done, of: total)
                    for source in plan.finished(byBatch: batch) { sources[source].close() }
                }
                times.update { $0.add(worker.clock.times) }
            } catch {
                output.fail(error)
                throw error
            }
        }
        return times.read { $0 }
    }

    static func interruption(_ output: String) -> ConvertError {
        ConvertError(.interrupted, file: output, message: "stopped", advice: "run the same command again to go on")
    }
}
