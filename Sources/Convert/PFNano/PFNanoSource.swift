import Foundation
import ROOTFile
import Shards
import Support

/// A PFNano file as an input of a conversion: the jets of its events that a selection takes, with the columns of AspenOpenJets.
///
/// Opening chooses the jets (`JetChooser`) and keeps a bit for each; slices are stretches of events.
final class PFNanoSource: JetSource, BareMeasured {
    let entry: InputEntry
    let slices: SliceMap
    let worstSliceBytes: Int
    let slots: Int
    let absent: Set<String>
    let report: SourceReport
    private let schema: SourceSchema
    private let choice: SelectionChoice
    /// The events of each slice.
    private let events: EntrySlices
    /// Of each slice, which jets of its events are taken.
    private let taken: [PackedBits]
    private let opened: Monitor<Opened?>

    private struct Opened: Sendable {
        var branches: PFNanoBranches
        /// Baskets that several slices need; nil until something is read.
        var shared: SharedBaskets?
    }

    /// Opens a file and chooses its jets.
    /// - Throws: `ROOTError` if it cannot be read, `ConvertError` with code `input` if it does not fit schema and selection.
    init(path: String, schema: SourceSchema, choice: SelectionChoice) throws {
        let fresh = try Self.open(path, schema, choice), branches = fresh.branches
        self.schema = schema
        self.choice = choice
        opened = Monitor(fresh)
        slots = choice.selection.constituents.most
        absent = branches.absent
        let events = try EntrySlices(branches.values, of: branches.tree)
        self.events = events
        var chooser = JetChooser(branches, choice)
        var sums = try Self.generated(branches.tree.file)
        // What choosing needs is little a row: its stretches hold many slices.
        let stretches = try EntrySlices(branches.choosing, of: branches.tree)
        let shared = SharedBaskets(branches.choosing, slices: stretches), scratch = ROOTScratch()
        var parts = TakenJets(events.starts)
        for (first, end) in zip(stretches.starts, stretches.starts.dropFirst()) {
            let chosen = try chooser.choose(first..<end, using: scratch, sharing: shared)
            parts.add(chosen, first..<end)
            sums?.selectedSumOfWeights += chosen.weights
            sums?.selectedSumOfSquaredWeights += chosen.squaredWeights
        }
        let rows = parts.rows
        taken = parts.taken
        sums?.match = choice.match?.rawValue
        slices = .starts(rows)
        worstSliceBytes = events.worstBytes
        var report = SourceReport()
        report.cutFlow = chooser.cutFlow
        report.generator = sums
        report.missingTriggers = branches.missingTriggers
        report.missingFilters = branches.missingFilters
        self.report = report
        entry = InputEntry(
            name: path, bytes: try InputFile(path: path).size, headTailDigest: try InputFile.headTailDigest(path),
            rows: rows.last ?? 0, layout: nil)
    }

    private static func open(_ path: String, _ schema: SourceSchema, _ choice: SelectionChoice) throws -> Opened {
        let tree = try ROOTFile(path: path).tree(named: schema.tree ?? "Events")
        return Opened(branches: try PFNanoBranches(tree, schema, choice, path: path))
    }

    /// What the tree `Runs` of simulation sums up over the generated events; nil in data.
    private static func generated(_ file: ROOTFile) throws -> GeneratorSums? {
        guard file.keys.contains(where: { $0.name == "Runs" && $0.className == "TTree" }) else { return nil }
        let tree = try file.tree(named: "Runs"), names = ["genEventCount", "genEventSumw", "genEventSumw2"]
        guard names.allSatisfy(tree.hasBranch) else { return nil }
        let columns = try names.map { try tree.column($0) }
        guard columns.allSatisfy({ !$0.isJagged && $0.shape.isEmpty && $0.element != .string }) else { return nil }
        let values = try tree.read(columns, entries: 0..<tree.entries, using: ROOTScratch())
        var sums = GeneratorSums()
        for entry in 0..<tree.entries {
            sums.events &+= values[0].integer(entry)
            sums.sumOfWeights += values[1].double(entry)
            sums.sumOfSquaredWeights += values[2].double(entry)
        }
        return sums
    }

    private func open() throws -> Opened {
        try opened.update { state in
            if let state, state.shared != nil { return state }
            var fresh = try state ?? Self.open(entry.name, schema, choice)
            fresh.shared = SharedBaskets(fresh.branches.values, slices: events)
            state = fresh
            return fresh
        }
    }

    func close() {
        opened.update { $0 = nil }
    }

    /// Throws unless columns of one collection have the same number of items in each event.
    static func compare(
        _ offsets: UnsafeBufferPointer<Int64>?, _ first: UnsafeBufferPointer<Int64>, _ name: String, _ tree: ROOTTree
    ) throws {
        guard let offsets, offsets.baseAddress == first.baseAddress || offsets.elementsEqual(first) else {
            throw ConvertError(
                .input, file: tree.file.path, place: "tree \(tree.name)",
                message: "\(name) has not as many items in each event as its collection")
        }
    }

    func bareDecoding() throws -> BareDecoding {
        let branches = try open().branches
        return try BareDecoding(branches.choosing + branches.values, of: branches.tree)
    }

    func read(slice: Int, using scratch: SourceScratch) throws -> RowSlice {
        let rows = slices.rows(slice), file = try open(), branches = file.branches
        let entries = events.starts[slice]..<events.starts[slice + 1]
        let values = try branches.tree.read(
            branches.values, entries: entries, using: scratch.root, sharing: file.shared)
        let maker = try RowMaker(
            branches: branches, values: values, taken: taken[slice], most: choice.selection.constituents.most,
            fields: schema.fields, firstEvent: entries.lowerBound)
        guard maker.rowCount == rows.count else {
            throw ConvertError(
                .input, file: entry.name,
                message: "has changed: \(maker.rowCount) jets were found, expected \(rows.count)")
        }
        return try maker.make(rows)
    }
}
