import Support
import Synchronization

/// Columns of a tree that goes on over several files, read as one: entries are counted through in the order of the files.
///
/// Each file is opened once, to count its entries and to hold its columns against those of the first file. Later a few are open at
/// a time, so that thousands of files take no descriptors. Reading is safe from any number of threads.
public final class ROOTChain: Sendable {
    /// The files.
    public let paths: [String]
    /// The path of the tree in each of them.
    public let tree: String
    /// The columns, as the first file has them.
    public let columns: [ROOTColumn]
    /// The first entry of each file, and the end of the last one's.
    public let starts: [Int]
    /// The files that were read last, the latest at the end.
    private let open = Mutex<[(file: Int, tree: ROOTTree, columns: [ROOTColumn])]>([])

    /// How many files stay open.
    private static let mostOpen = 8

    /// Opens all files one after the other.
    /// - Throws: `ROOTError`: as `ROOTFile`, `tree(named:)` and `column(_:)`; `damaged` if a column holds other values than in the
    ///   first file; `usage` if there are no files.
    public init(paths: [String], tree: String, columns names: [String]) throws(ROOTError) {
        self.paths = paths
        self.tree = tree
        var starts = [0], first: [ROOTColumn]?
        for path in paths {
            let (tree, columns) = try Self.columns(path, tree, names)
            for (column, known) in zip(columns, first ?? columns) {
                guard column.holdsSame(as: known) else {
                    throw ROOTError(
                        .damaged, file: path, place: "tree \(tree.name), branch \(column.name)",
                        message: "holds \(column.typeName), in \(paths[0]) it is \(known.typeName)",
                        advice: "read files of one kind together")
                }
            }
            first = first ?? columns
            let (end, overflow) = starts[starts.count - 1].addingReportingOverflow(tree.entries)
            guard !overflow else {
                throw ROOTError(
                    .damaged, file: path, place: "tree \(tree.name)", message: "has \(tree.entries) entries",
                    advice: ByteCursor.advice)
            }
            starts.append(end)
        }
        guard let first else { throw ROOTError(.usage, message: "a chain of no files") }
        self.columns = first
        self.starts = starts
    }

    /// Entries of all files together.
    public var entries: Int { starts[starts.count - 1] }

    /// Reads all columns for a range of entries, on the calling thread.
    ///
    /// Memory: the values, twice where they come from several files; and what `ROOTTree.read` takes.
    /// - Returns: Values in the order of `columns`; their entries are those of the chain.
    /// - Throws: `ROOTError` as `ROOTTree.read` does.
    public func read(entries wanted: Range<Int>, using scratch: ROOTScratch) throws(ROOTError) -> [ROOTValues] {
        guard wanted.lowerBound >= 0, wanted.upperBound <= entries else {
            throw ROOTError(
                .usage, file: paths[0], place: "tree \(tree)",
                message: "entries \(wanted) are asked for, there are \(entries) in \(paths.count) files")
        }
        var parts = columns.map { _ in [ROOTValues]() }
        for file in paths.indices {
            let whole = starts[file]..<starts[file + 1], own = wanted.clamped(to: whole)
            // Of an empty range too there must be values.
            let isLast = file == paths.count - 1 && parts.allSatisfy(\.isEmpty)
            guard !own.isEmpty || isLast else { continue }
            let opened = try opened(file)
            let values = try opened.tree.read(
                opened.columns, entries: own.lowerBound - whole.lowerBound..<own.upperBound - whole.lowerBound,
                using: scratch)
            for (column, part) in values.enumerated() { parts[column].append(part) }
        }
        return parts.map { ROOTValues(joining: $0, entries: wanted) }
    }

    private func opened(_ file: Int) throws(ROOTError) -> (tree: ROOTTree, columns: [ROOTColumn]) {
        let known = open.withLock { open -> (tree: ROOTTree, columns: [ROOTColumn])? in
            guard let index = open.firstIndex(where: { $0.file == file }) else { return nil }
            let found = open.remove(at: index)
            open.append(found)
            return (found.tree, found.columns)
        }
        if let known { return known }
        // Outside of the lock; two threads may open the same file.
        let fresh = try Self.columns(paths[file], tree, columns.map(\.name))
        open.withLock { open in
            open.append((file, fresh.tree, fresh.columns))
            if open.count > Self.mostOpen { open.removeFirst() }
        }
        return fresh
    }

    private static func columns(
        _ path: String, _ tree: String, _ names: [String]
    ) throws(ROOTError) -> (tree: ROOTTree, columns: [ROOTColumn]) {
        let tree = try ROOTFile(path: path).tree(named: tree)
        var columns: [ROOTColumn] = []
        for name in names { columns.append(try tree.column(name)) }
        return (tree, columns)
    }
}

extension ROOTColumn {
    /// Whether the values of another column can stand behind those of this one.
    fileprivate func holdsSame(as other: ROOTColumn) -> Bool {
        element == other.element && shape == other.shape && isJagged == other.isJagged
    }
}

extension ROOTValues {
    /// Values one after the other, at least of one file; they get these entries.
    fileprivate convenience init(joining parts: [ROOTValues], entries: Range<Int>) {
        let width = parts[0].element.width, count = parts.reduce(0) { $0 + $1.count }
        let memory = AlignedBuffer(capacity: count * width)
        var done = 0, places: AlignedBuffer?, entry = 0
        if parts[0].offsets != nil {
            let fresh = AlignedBuffer(capacity: (entries.count + 1) * 8)
            fresh.base.storeBytes(of: 0, as: Int64.self)
            places = fresh
        }
        for part in parts {
            withExtendedLifetime(part) {
                if let from = part.bytes.baseAddress {
                    (memory.base + done).copyMemory(from: from, byteCount: part.bytes.count)
                }
                if let offsets = part.offsets, let places {
                    let target = places.base.assumingMemoryBound(to: Int64.self)
                    let before = target[entry]
                    for index in 1..<max(1, offsets.count) { target[entry + index] = before + offsets[index] }
                }
            }
            done += part.bytes.count
            entry += part.entries.count
        }
        self.init(
            entries: entries, element: parts[0].element, shape: parts[0].shape, count: count, memory: memory,
            places: places)
    }
}
