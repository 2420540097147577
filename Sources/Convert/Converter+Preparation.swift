import Foundation
import Shards
import Support

extension Converter {
    /// Which events and jets are taken: that of AspenOpenJets where the inputs hold events and nothing else is asked for.
    func selection() throws -> SelectionChoice? {
        if schema.format != .pfnano || options.selection != nil { return options.selection }
        return SelectionChoice(selection: try Selection(named: Selection.builtIn[0]))
    }

    /// The inputs opened, what is wrong with the others, and which rows go into which batch.
    struct Preparation: Sendable {
        var sources: [any JetSource]
        var entries: [InputEntry]
        var missing: [Gap]
        var plan: BatchPlan
        var interleave: Int
        var window: Int
        /// The schema without the columns that some input does not have.
        var schema: SourceSchema
        var reports: [SourceReport]
        var remarks: [String]
        var selection: SelectionChoice?
    }

    /// Opens the inputs, finds out which rows are taken, and plans the batches.
    func prepare() throws -> Preparation {
        guard !inputs.isEmpty else { throw ConvertError(.usage, file: output, message: "no inputs to convert") }
        guard inputs.count <= Int(UInt16.max) else {
            throw ConvertError(
                .usage, file: output, message: "\(inputs.count) inputs are more than \(UInt16.max)",
                advice: "convert them in parts and join these with 'pando index'")
        }
        let selection = try selection()
        let (sources, missing) = try open(selection)
        var entries = sources.map(\.entry)
        options.take(from: &entries)
        let absent = sources.reduce(into: Set<String>()) { $0.formUnion($1.absent) }
        let reports = sources.map(\.report)
        let taken = entries.map { $0.firstRow..<$0.firstRow + $0.rowsTaken }
        let worst = sources.map(\.worstSliceBytes).max() ?? 0
        // Of each input mixed in, a slice that ends and one that begins are in memory at once.
        let interleave = max(1, min(options.interleave, ConversionOptions.sliceMemory / max(1, 2 * worst)))
        let plan = BatchPlan(taken: taken, batchRows: options.batchRows, interleave: interleave)
        return Preparation(
            sources: sources, entries: entries, missing: missing, plan: plan, interleave: interleave,
            window: window(sources, interleave: interleave, worst: worst), schema: schema.without(absent),
            reports: reports, remarks: Self.remarks(sources, schema, absent), selection: selection)
    }

    /// Opens all inputs, several at a time: choosing jets reads a good part of a file.
    private func open(_ selection: SelectionChoice?) throws -> (sources: [any JetSource], missing: [Gap]) {
        let opened = Monitor<[Int: Result<any JetSource, any Error>]>([:])
        try WorkerThreads.forEach(inputs.count, threads: options.threads) { number in
            if isInterrupted() { throw Self.interruption(output) }
            let found = Result { try schema.open(inputs[number], selection) }
            // The first ones are read at once; the others would run us out of descriptors.
            if number >= LayoutProbe.inputs { try? found.get().close() }
            let count = opened.update {
                $0[number] = found
                return $0.count
            }
            preparing(count, inputs.count)
            if !options.skipsBadInput { _ = try found.get() }
        }
        var sources: [any JetSource] = [], missing: [Gap] = []
        let results = opened.read { $0 }
        for (number, path) in inputs.enumerated() {
            switch results[number] {
            case .success(let source)?: sources.append(source)
            case .failure(let error)?: missing.append(Gap(input: path, firstRow: nil, rows: nil, reason: "\(error)"))
            case nil: break
            }
        }
        return (sources, missing)
    }

    /// What is to be said of the inputs, each thing once.
    private static func remarks(_ sources: [any JetSource], _ schema: SourceSchema, _ absent: Set<String>) -> [String] {
        func places(_ isLacking: (any JetSource) -> Bool) -> String {
            let lacking = sources.filter(isLacking)
            return lacking.count == sources.count
                ? "in no input"
                : "not in \(lacking.count) of \(sources.count) inputs, the first is \(lacking[0].entry.name)"
        }
        var all: [String] = []
        for column in absent.sorted() {
            // Data have no generator.
            if schema.column(column)?.from == .generator, sources.allSatisfy({ $0.absent.contains(column) }) {
                continue
            }
            all.append("no column \(column): it is \(places { $0.absent.contains(column) })")
        }
        let lists: [(KeyPath<SourceReport, [String]>, String)] = [
            (\.missingTriggers, "triggers count as not fired"), (\.missingFilters, "filters count as passed"),
        ]
        for (list, what) in lists {
            var names: [String] = []
            for source in sources { names += source.report[keyPath: list].filter { !names.contains($0) } }
            // Names that are missing in the same inputs, in one remark.
            let groups = Dictionary(grouping: names) { name in
                places { $0.report[keyPath: list].contains(name) }
            }
            for (place, names) in groups.sorted(by: { $0.key < $1.key }) {
                all.append("\(names.count) \(what), being \(place): \(names.joined(separator: ", "))")
            }
        }
        var leftOut: [String] = []
        for source in sources { leftOut += source.report.leftOut.filter { !leftOut.contains($0) } }
        if !leftOut.isEmpty {
            all.append("left out, as the schema does not name them: \(leftOut.joined(separator: ", "))")
        }
        for source in sources {
            for remark in source.report.remarks where !all.contains(remark) { all.append(remark) }
        }
        return all
    }

    /// How many batches may be under way, so that the slices they need fit in the memory set aside for them.
    private func window(_ sources: [any JetSource], interleave: Int, worst: Int) -> Int {
        let slice = max(1, sources.map(\.slices.typicalRows).min() ?? 1)
        let mixed = max(1, min(interleave, sources.count))
        for window in stride(from: 2 * options.threads + 2, to: 1, by: -1) {
            let slices = (window * options.batchRows / mixed + slice - 1) / slice + 1
            if mixed * slices * worst <= ConversionOptions.sliceMemory { return window }
        }
        return 1
    }
}
