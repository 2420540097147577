import Support
import Synchronization

/// A tree of a file, opened for reading from any number of threads.
///
/// Opening it decompresses its record and finds the names of its branches; what a branch holds is parsed when it is asked for, so
/// that a tree of 2,000 branches opens about as fast as it decompresses.
public final class ROOTTree: Sendable {
    /// The file.
    public let file: ROOTFile
    /// The path in the file.
    public let name: String
    /// The title.
    public let title: String
    /// How many entries it has.
    public let entries: Int
    private let record: TreeRecord
    private let infos = Mutex<StreamerInfos?>(nil)
    private let counters = CounterMemo()

    /// Classes that are trees.
    static let classes: Set<String> = ["TTree", "TNtuple", "TNtupleD"]

    init(_ key: ROOTKey, path: String, in file: ROOTFile) throws(ROOTError) {
        self.file = file
        name = path
        let place = "tree \(path)"
        guard Self.classes.contains(key.className) else {
            let isNew = key.className.hasSuffix("RNTuple")
            throw ROOTError(
                isNew ? .unsupported : .missing, file: file.path, place: path,
                message: "is of class \(key.className), expected TTree",
                advice: isNew ? "write it as a TTree: RNTuple is not read" : nil)
        }
        let payload = try file.objects(of: key)
        do throws(ROOTError) { record = try TreeRecord(payload, className: key.className) } catch {
            throw error.inside(place, file: file.path)
        }
        title = record.title
        entries = record.entries
    }

    /// The branches of the top level in the file's order. Names may repeat: the first of a name is read.
    public var branchNames: [String] { record.branches.map(\.name) }

    /// Whether there is a branch of this name on the top level.
    public func hasBranch(_ name: String) -> Bool { record.entry(named: name) != nil }

    private var resolver: ColumnResolver {
        ColumnResolver(record: record, counters: counters) { () throws(ROOTError) in try self.streamers() }
    }

    /// The column of a branch by its path: `name`, `parent/child`, `parent.child` where a branch is called so, or `branch/leaf`.
    /// A bare name that is not on the top level means the first branch of that name below.
    /// - Throws: `ROOTError`: `missing` if there is none, `unsupported` if it is not read (it says what was found), `damaged`.
    public func column(_ path: String) throws(ROOTError) -> ROOTColumn {
        do throws(ROOTError) {
            guard let found = try find(path) else {
                throw ROOTError(.missing, message: "does not exist", advice: advice(for: path))
            }
            if let columns = try self.columns(of: found.branch, found.path, found.isTop, leaf: found.leaf) {
                return columns
            }
            throw ROOTError(.missing, message: "does not exist", advice: advice(for: path))
        } catch {
            throw error.inside("tree \(name), branch \(path)", file: file.path)
        }
    }

    private func columns(
        of branch: BranchRecord, _ path: String, _ isTop: Bool, leaf: String?
    ) throws(ROOTError) -> ROOTColumn? {
        let columns = try resolver.columns(of: branch, path: path, isTop: isTop)
        if let leaf { return columns.first { $0.name == "\(path)/\(leaf)" } }
        guard columns.count == 1 else {
            throw ROOTError(
                .unsupported, message: "has several leaves",
                advice: "name one of them: \(columns.map(\.name).joined(separator: ", "))")
        }
        return columns.first
    }

    private struct Found {
        var branch: BranchRecord
        var path: String
        var isTop: Bool
        var leaf: String?
    }

    private func find(_ path: String) throws(ROOTError) -> Found? {
        let payload = record.payload
        if let entry = record.entry(named: path) {
            return Found(branch: try BranchRecord(entry.slot, of: payload), path: entry.name, isTop: true, leaf: nil)
        }
        var parts = path.split(separator: "/").map(String.init)
        guard let first = parts.first else { return nil }
        if parts.count > 1, let entry = record.entry(named: first) {
            var branch = try BranchRecord(entry.slot, of: payload), isTop = true
            var depth = 0
            parts.removeFirst()
            while let part = parts.first, depth < 64 {
                var below: BranchRecord?
                for slot in branch.branches where below == nil {
                    let child = try BranchRecord(slot, of: payload)
                    if child.name == part { below = child }
                }
                guard let found = below else { break }
                branch = found
                isTop = false
                parts.removeFirst()
                depth += 1
            }
            guard parts.count <= 1 else { return nil }
            let own = parts.isEmpty ? path : String(path.dropLast((parts.first?.count ?? 0) + 1))
            return Found(branch: branch, path: own, isTop: isTop, leaf: parts.first)
        }
        // Anywhere below.
        guard parts.count == 1 else { return nil }
        var found: Found?
        try walk { branch, place, isTop, _ in
            if !isTop, branch.name == path { found = Found(branch: branch, path: place, isTop: false, leaf: nil) }
            return found == nil
        }
        return found
    }

    /// Calls `body` with every branch, parents before children, until it returns false; broken ones with their error.
    private func walk(
        _ body: (BranchRecord, _ path: String, _ isTop: Bool, _ depth: Int) throws(ROOTError) -> Bool,
        broken: (_ path: String, ROOTError) -> Void = { _, _ in }
    ) throws(ROOTError) {
        var waiting: [(slot: ObjectPayload.ObjectSlot, name: String, parent: String, depth: Int)] =
            record.branches.reversed().map { ($0.slot, $0.name, "", 0) }
        while let next = waiting.popLast() {
            let branch: BranchRecord
            do throws(ROOTError) { branch = try BranchRecord(next.slot, of: record.payload) } catch {
                broken(next.parent.isEmpty ? next.name : next.parent + "/" + next.name, error)
                continue
            }
            let path = next.parent.isEmpty ? branch.name : next.parent + "/" + branch.name
            guard path.utf8.count <= ROOTFile.longestPath, next.depth <= 64 else {
                broken(
                    String(path.prefix(256)),
                    ROOTError(.damaged, message: "branches in branches without end", advice: ByteCursor.advice))
                continue
            }
            guard try body(branch, path, next.depth == 0, next.depth) else { return }
            for slot in branch.branches.reversed() { waiting.append((slot, "?", path, next.depth + 1)) }
        }
    }

    /// All branches with what they hold, parents before their sub-branches, in the file's order.
    ///
    /// Those that are not read say why.
    public func branches() throws(ROOTError) -> [ROOTBranch] {
        var all: [ROOTBranch] = [], seen: Set<String> = []
        let resolver = resolver
        try walk(
            { branch, path, isTop, _ in
                var columns: [ROOTColumn] = [], refusal: ROOTError?
                do throws(ROOTError) {
                    columns = try resolver.columns(of: branch, path: path, isTop: isTop)
                } catch {
                    refusal = error.inside("tree \(name), branch \(path)", file: file.path)
                }
                all.append(
                    ROOTBranch(
                        path: path, title: branch.title, className: branch.className, columns: columns,
                        refusal: refusal, isNode: !branch.branches.isEmpty, isRepeated: !seen.insert(path).inserted))
                return true
            },
            broken: { path, error in
                all.append(
                    ROOTBranch(
                        path: path, title: "", className: "", columns: [],
                        refusal: error.inside("tree \(name), branch \(path)", file: file.path), isNode: false,
                        isRepeated: !seen.insert(path).inserted))
            })
        return all
    }

    /// Reads columns for a range of entries, on the calling thread.
    ///
    /// Memory: the values, and a basket's bytes stored and decompressed in `scratch`.
    /// - Parameter shared: Baskets that were made for such columns and stretches of entries.
    /// - Returns: Values in the order of `columns`. Those with one counter share their offsets.
    /// - Throws: `ROOTError` with file, tree, branch, basket and byte: `usage` if there are no such entries, `damaged`,
    ///   `codec`, `truncated`, `system`.
    public func read(
        _ columns: [ROOTColumn], entries wanted: Range<Int>, using scratch: ROOTScratch,
        sharing shared: SharedBaskets? = nil
    ) throws(ROOTError) -> [ROOTValues] {
        do throws(ROOTError) {
            try check(wanted)
            try checkBytes(of: columns, wanted)
            guard let shared else { return try read(columns, wanted, scratch, [:]) }
            return try shared.with(wanted, of: file.input, using: scratch) { found throws(ROOTError) in
                try read(columns, wanted, scratch, found)
            }
        } catch {
            throw error.inside("tree \(name)", file: file.path)
        }
    }

    private func read(
        _ columns: [ROOTColumn], _ wanted: Range<Int>, _ scratch: ROOTScratch, _ shared: SharedBaskets.Found
    ) throws(ROOTError) -> [ROOTValues] {
        let reader = ColumnReader(file: file.input, scratch: scratch, shared: shared)
        let counts = try counts(of: columns, wanted, reader)
        var all: [ROOTValues] = []
        for column in columns {
            all.append(try reader.read(column, wanted, counts: column.counters.first.flatMap { counts[$0.slot] }))
        }
        return all
    }

    private func check(_ wanted: Range<Int>) throws(ROOTError) {
        guard wanted.lowerBound >= 0, wanted.upperBound <= entries else {
            throw ROOTError(.usage, message: "entries \(wanted) are asked for, there are \(entries)")
        }
    }

    /// About how many bytes the values of all entries take, at most: by the writer's count, bounded by what the stored bytes can hold.
    func mostBytes(of columns: [ROOTColumn]) throws(ROOTError) -> Double {
        // Of no entries nothing is read, but all of them must be there.
        _ = try read(columns, entries: entries..<entries, using: ROOTScratch())
        do throws(ROOTError) {
            var sum = 0.0
            try checkBytes(of: columns, 0..<entries)
            for column in columns {
                let stored = try storedBytes(of: column, 0..<entries)
                sum += min(Double(max(0, column.bytes)), Double(stored) * Double(CompressedBlock.bestRatio))
            }
            return sum
        } catch {
            throw error.inside("tree \(name)", file: file.path)
        }
    }

    /// Throws if the baskets of some columns together take more bytes than the file has: then they lie on each other, and what is
    /// read has no bound.
    private func checkBytes(of columns: [ROOTColumn], _ wanted: Range<Int>) throws(ROOTError) {
        var stored = 0, seen: Set<Int> = []
        for column in columns where seen.insert(column.slot).inserted {
            stored += try storedBytes(of: column, wanted)
            guard stored <= file.input.size + record.payload.count else {
                throw ROOTError(
                    .damaged, place: "branch \(column.name)",
                    message: "its baskets and those of the branches before it take more bytes than the file has",
                    advice: ByteCursor.advice)
            }
        }
    }

    /// Bytes that the baskets of some entries take in the file or in the tree's record.
    private func storedBytes(of column: ROOTColumn, _ wanted: Range<Int>) throws(ROOTError) -> Int {
        do throws(ROOTError) {
            return try column.baskets.storedBytes(
                column.baskets.numbers(overlapping: wanted), fileSize: file.input.size)
        } catch {
            throw error.inside("branch \(column.name)")
        }
    }

    /// Reads the counting branches of some columns, each once and for all entries that one of these needs.
    private func counts(
        of columns: [ROOTColumn], _ wanted: Range<Int>, _ reader: ColumnReader
    ) throws(ROOTError) -> [Int: ColumnReader.Counts] {
        var ranges: [Int: (column: ROOTColumn, entries: Range<Int>)] = [:]
        for column in columns {
            guard let counter = column.counters.first, column.layout == .counted else { continue }
            let needed = ColumnReader.countedEntries(column, wanted), known = ranges[counter.slot]?.entries ?? needed
            ranges[counter.slot] = (
                counter, min(known.lowerBound, needed.lowerBound)..<max(known.upperBound, needed.upperBound)
            )
        }
        var counts: [Int: ColumnReader.Counts] = [:]
        // In order, so that a file gives the same error each time.
        for (slot, range) in ranges.sorted(by: { $0.key < $1.key }) {
            counts[slot] = try reader.counts(range.column, range.entries)
        }
        return counts
    }

    private func streamers() throws(ROOTError) -> StreamerInfos? {
        if let known = infos.withLock({ $0 }) { return known }
        guard let payload = try file.streamerInfos() else { return nil }
        let fresh: StreamerInfos
        do throws(ROOTError) { fresh = try StreamerInfos(payload) } catch { throw error.inside("streamer infos") }
        infos.withLock { $0 = fresh }
        return fresh
    }

    private func advice(for path: String) -> String {
        let names = record.branches.map(\.name)
        let near = names.filter { $0.lowercased().contains(path.lowercased()) }.prefix(8)
        if !near.isEmpty { return "there are \(near.joined(separator: ", "))" }
        return
            "there are \(names.count) branches: \(names.prefix(8).joined(separator: ", "))\(names.count > 8 ? ", ..." : "")"
    }
}
