import ROOTFile
import TestSupport

/// Reads everything that a file offers.
struct Reading {
    /// How often which kind of error came.
    private(set) var outcomes: [String: Int] = [:]
    /// What came out but contradicts itself.
    private(set) var faults: [String] = []
    private let path: String
    private let scratch = ROOTScratch()
    private let decoder = ROOTDecoder()

    init(path: String) { self.path = path }

    private mutating func note(_ error: ROOTError) {
        let kind: String
        if case .system = error.code { kind = "system" } else { kind = "\(error.code)" }
        outcomes[kind, default: 0] += 1
        if error.file != path { faults.append("an error that does not name its file: \(error)") }
        if error.message.utf8.count > 4096 || error.place.utf8.count > 16_384 { faults.append("an error without end") }
    }

    mutating func run(_ random: inout Seeded) {
        do throws(ROOTError) {
            let file = try ROOTFile(path: path)
            do throws(ROOTError) {
                for (_, key) in try file.allKeys() where !ROOTFile.isDirectory(key) {
                    do throws(ROOTError) { _ = try file.payload(of: key, using: decoder) } catch { note(error) }
                }
            } catch { note(error) }
            for (name, _) in try file.trees() {
                do throws(ROOTError) { try read(try file.tree(named: name), &random) } catch { note(error) }
            }
            outcomes["opened", default: 0] += 1
        } catch { note(error) }
    }

    private mutating func read(_ tree: ROOTTree, _ random: inout Seeded) throws(ROOTError) {
        outcomes["tree", default: 0] += 1
        var all: [ROOTColumn] = []
        for branch in try tree.branches() {
            if let refusal = branch.refusal { note(refusal) }
            all += branch.columns
            // A branch is found again by its path, as far as no other has the same.
            if Int.random(in: 0..<8, using: &random) == 0 {
                do throws(ROOTError) { _ = try tree.column(branch.path) } catch { note(error) }
            }
        }
        for column in all {
            let end = min(tree.entries, column.entries)
            let cut = end > 0 ? Int.random(in: 0...end, using: &random) : 0
            for range in [0..<cut, cut..<end] { read(tree, [column], range) }
            if Int.random(in: 0..<4, using: &random) == 0 { read(tree, [column], 0..<end) }
        }
        let end = min(tree.entries, 1 << 20), first = end > 0 ? Int.random(in: 0..<end, using: &random) : 0
        read(tree, all, first..<min(end, first + 7))
        read(tree, Array(all.prefix(1)), 0..<tree.entries)
        readShared(tree, all.filter { $0.entries >= tree.entries })
    }

    /// As conversion reads: by stretches of entries, which share baskets.
    private mutating func readShared(_ tree: ROOTTree, _ columns: [ROOTColumn]) {
        do throws(ROOTError) {
            let slices = try EntrySlices(columns, of: tree, bytes: 1 << 14)
            let shared = SharedBaskets(columns, slices: slices)
            for (first, end) in zip(slices.starts, slices.starts.dropFirst()).prefix(20) {
                read(tree, columns, first..<end, shared)
            }
        } catch { note(error) }
    }

    private mutating func read(
        _ tree: ROOTTree, _ columns: [ROOTColumn], _ entries: Range<Int>, _ shared: SharedBaskets? = nil
    ) {
        do throws(ROOTError) {
            let values = try tree.read(columns, entries: entries, using: scratch, sharing: shared)
            for (column, values) in zip(columns, values) {
                outcomes["read", default: 0] += 1
                check(values, column, entries)
            }
        } catch { note(error) }
    }

    /// What must hold of values, whatever the file says.
    private mutating func check(_ values: ROOTValues, _ column: ROOTColumn, _ entries: Range<Int>) {
        let items = values.element == .string ? 1 : values.itemValues
        var isSound = values.entries == entries && values.bytes.count == values.count * values.element.width
        // Each byte is touched.
        var sum: UInt64 = 0
        for byte in values.bytes { sum &+= UInt64(byte) }
        if values.element == .bool { isSound = isSound && sum <= UInt64(values.count) }
        if let offsets = values.offsets {
            isSound = isSound && offsets.count == entries.count + 1 && offsets.first == 0
            isSound = isSound && zip(offsets, offsets.dropFirst()).allSatisfy { $0 <= $1 }
            isSound = isSound && offsets.last.map { Int($0) * items == values.count } ?? false
        } else {
            let (count, overflow) = entries.count.multipliedReportingOverflow(by: items)
            isSound = isSound && !overflow && count == values.count
        }
        if !isSound { faults.append("\(column.name), entries \(entries): values that contradict themselves") }
    }
}
