import Foundation
import Kernels
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
    /// The first event of each slice, and the end of the last one.
    private let events: [Int]
    /// Of each slice, which jets of its events are taken.
    private let taken: [PackedBits]
    private let opened: Monitor<PFNanoBranches?>

    /// Opens a file and chooses its jets.
    /// - Throws: `ROOTError` if it cannot be read, `ConvertError` with code `input` if it does not fit schema and selection.
    init(path: String, schema: SourceSchema, choice: SelectionChoice) throws {
        let file = try ROOTFile(path: path)
        let branches = try PFNanoBranches(
            try file.tree(named: schema.tree ?? "Events"), schema, choice, path: path)
        self.schema = schema
        self.choice = choice
        opened = Monitor(branches)
        slots = choice.selection.constituents.most
        absent = branches.absent
        events = TreeSlices.starts(branches.values, entries: branches.tree.entries)
        var chooser = JetChooser(branches, choice)
        var rows = [0], taken: [PackedBits] = []
        var sums = try Self.generated(file)
        let scratch = ROOTScratch()
        for (first, end) in zip(events, events.dropFirst()) {
            let chosen = try chooser.choose(first..<end, using: scratch)
            rows.append((rows.last ?? 0) + chosen.count)
            taken.append(PackedBits(chosen.isTaken))
            sums?.selectedSumOfWeights += chosen.weights
            sums?.selectedSumOfSquaredWeights += chosen.squaredWeights
        }
        sums?.match = choice.match?.rawValue
        self.taken = taken
        slices = .starts(rows)
        worstSliceBytes = TreeSlices.worstBytes(events, branches.values, entries: branches.tree.entries)
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

    private func open() throws -> PFNanoBranches {
        try opened.update { state in
            if let state { return state }
            let tree = try ROOTFile(path: entry.name).tree(named: schema.tree ?? "Events")
            let fresh = try PFNanoBranches(tree, schema, choice, path: entry.name)
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
        let branches = try open()
        return try BareDecoding(branches.choosing + branches.values, of: branches.tree)
    }

    func read(slice: Int, using scratch: SourceScratch) throws -> RowSlice {
        let rows = slices.rows(slice), branches = try open()
        let values = try branches.tree.read(
            branches.values, entries: events[slice]..<events[slice + 1], using: scratch.root)
        let maker = try RowMaker(
            branches: branches, values: values, taken: taken[slice], most: choice.selection.constituents.most,
            fields: schema.fields, firstEvent: events[slice])
        guard maker.rowCount == rows.count else {
            throw ConvertError(
                .input, file: entry.name,
                message: "has changed: \(maker.rowCount) jets were found, expected \(rows.count)")
        }
        return try maker.make(rows)
    }
}

/// Flags in 64ths of the memory.
struct PackedBits: Sendable {
    private let words: [UInt64]
    /// How many flags there are.
    let count: Int

    init(_ flags: [Bool]) {
        var words = [UInt64](repeating: 0, count: (flags.count + 63) / 64)
        for (index, flag) in flags.enumerated() where flag { words[index / 64] |= 1 << UInt64(index % 64) }
        self.words = words
        count = flags.count
    }

    subscript(index: Int) -> Bool { words[index / 64] >> UInt64(index % 64) & 1 != 0 }

    /// How many are set.
    var setCount: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }
}
