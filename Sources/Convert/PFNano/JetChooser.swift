import ROOTFile
import Shards
import Support

/// Chooses events and jets of a PFNano file: the first pass over it, which reads only what choosing needs.
struct JetChooser {
    /// Which jets of a stretch of events are taken.
    struct Chosen: Sendable {
        /// Of each jet of the events, in order, whether it is taken.
        var isTaken: [Bool] = []
        /// The first jet of each event, and the end of the last one's.
        var firstJets: [Int] = []
        /// Weights of the events of these, and their squares.
        var weights = 0.0
        var squaredWeights = 0.0
    }

    private let branches: PFNanoBranches
    private let choice: SelectionChoice
    /// Events read, certified, triggered, filtered; jets seen, after each cut, matched.
    private(set) var counts: [Int]

    init(_ branches: PFNanoBranches, _ choice: SelectionChoice) {
        self.branches = branches
        self.choice = choice
        counts = [Int](repeating: 0, count: 5 + choice.selection.cuts.count + (choice.match == nil ? 0 : 1))
    }

    /// The cuts with what was left after each.
    var cutFlow: [CutFlowEntry] {
        let cuts = choice.selection.cuts.map { "jets after \($0.name)" }
        let names =
            ["events", "events certified", "events triggered", "events after filters", "jets seen"] + cuts
            + (choice.match.map { ["jets matched with \($0.rawValue)"] } ?? [])
        return zip(names, counts).map { CutFlowEntry(name: $0, passed: $1) }
    }

    /// Chooses among the jets of some events.
    mutating func choose(
        _ entries: Range<Int>, using scratch: ROOTScratch, sharing shared: SharedBaskets
    ) throws -> Chosen {
        let read = try branches.tree.read(branches.choosing, entries: entries, using: scratch, sharing: shared)
        var rest = read[...]
        func take(_ count: Int) -> [ROOTValues] {
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        let certifying = take(branches.certifying.count), triggers = take(branches.triggers.count)
        let filters = take(branches.filters.count), cuts = take(branches.cuts.count)
        let matching = take(branches.matching.count), weight = rest.first
        let passed = events(entries.count, certifying, triggers, filters)
        guard let offsets = try commonOffsets(cuts + matching.prefix(2)) else {
            throw ConvertError(
                .schema, file: choice.selection.name, message: "has no cuts",
                advice: "name at least one, which every jet passes: it tells how many jets there are")
        }
        var chosen = Chosen()
        chosen.firstJets = offsets.map { Int($0) }
        chosen.isTaken = [Bool](repeating: false, count: Int(offsets[entries.count]))
        if matching.count == 7 { try checkParticles(Array(matching.dropFirst(2))) }
        for event in 0..<entries.count where passed[event] {
            let jets = Int(offsets[event])..<Int(offsets[event + 1])
            var targets: [GeneratorMatch.Target]?
            counts[4] += jets.count
            for jet in jets {
                guard passes(jet, cuts) else { continue }
                if let match = choice.match, matching.count == 7 {
                    let possible = targets ?? match.targets(Self.particles(matching, event))
                    targets = possible
                    let eta = Double(matching[0].values(as: Float.self)[jet])
                    let phi = Double(matching[1].values(as: Float.self)[jet])
                    guard GeneratorMatch.matches(possible, eta: eta, phi: phi) else { continue }
                    counts[counts.count - 1] += 1
                }
                chosen.isTaken[jet] = true
                if let weight {
                    let value = Double(weight.values(as: Float.self)[event])
                    chosen.weights += value
                    chosen.squaredWeights += value * value
                }
            }
        }
        return chosen
    }

    /// Which events pass golden JSON, triggers and filters.
    private mutating func events(
        _ count: Int, _ certifying: [ROOTValues], _ triggers: [ROOTValues], _ filters: [ROOTValues]
    ) -> [Bool] {
        var passed = [Bool](repeating: true, count: count)
        counts[0] += count
        if let golden = choice.golden, certifying.count == 2 {
            let runs = certifying[0].values(as: UInt32.self), blocks = certifying[1].values(as: UInt32.self)
            for event in 0..<count {
                passed[event] = golden.certifies(run: runs[event], luminosityBlock: blocks[event])
            }
        }
        func remaining() -> Int { passed.reduce(0) { $0 + ($1 ? 1 : 0) } }
        counts[1] += remaining()
        if !choice.selection.triggers.isEmpty {
            var fired = [UInt8](repeating: 0, count: count)
            for trigger in triggers {
                let values = trigger.values(as: UInt8.self)
                for event in 0..<count { fired[event] |= values[event] }
            }
            for event in 0..<count { passed[event] = passed[event] && fired[event] != 0 }
        }
        counts[2] += remaining()
        for filter in filters {
            let values = filter.values(as: UInt8.self)
            for event in 0..<count { passed[event] = passed[event] && values[event] != 0 }
        }
        counts[3] += remaining()
        return passed
    }

    private mutating func passes(_ jet: Int, _ cuts: [ROOTValues]) -> Bool {
        for (number, cut) in choice.selection.cuts.enumerated() {
            guard cut.passes(cuts[number].double(jet)) else { return false }
            counts[5 + number] += 1
        }
        return true
    }

    private func commonOffsets(_ columns: [ROOTValues]) throws -> UnsafeBufferPointer<Int64>? {
        guard let first = columns.first?.offsets else { return nil }
        for (number, column) in columns.enumerated().dropFirst() {
            try PFNanoSource.compare(column.offsets, first, "branch number \(number) of the jets", branches.tree)
        }
        return first
    }

    private func checkParticles(_ columns: [ROOTValues]) throws {
        guard let first = columns.first?.offsets else { return }
        for column in columns.dropFirst() {
            try PFNanoSource.compare(column.offsets, first, "a branch of GenPart", branches.tree)
        }
    }

    private static func particles(_ matching: [ROOTValues], _ event: Int) -> GeneratorMatch.Particles {
        let range = matching[2].range(ofEntry: event)
        func part<Value: BitwiseCopyable>(_ number: Int, _ type: Value.Type) -> UnsafeBufferPointer<Value> {
            UnsafeBufferPointer(rebasing: matching[number].values(as: type)[range])
        }
        return GeneratorMatch.Particles(
            pdgId: part(2, Int32.self), mother: part(3, Int32.self), statusFlags: part(4, Int32.self),
            eta: part(5, Float.self), phi: part(6, Float.self))
    }
}
