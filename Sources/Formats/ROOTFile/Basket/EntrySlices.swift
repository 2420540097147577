/// Stretches of a tree's entries that fit into memory: along the borders of baskets where that is possible.
public struct EntrySlices: Sendable {
    /// The first entry of each stretch, and the end of the last one.
    public let starts: [Int]
    /// About how many bytes the values of the largest stretch take, with half of what `SharedBaskets` may hold beside it.
    public let worstBytes: Int

    /// Cuts the entries of a tree.
    ///
    /// - Parameters:
    ///   - columns: What is read. Borders count with the bytes of their baskets, so that those of clusters, where the baskets of
    ///     all columns end, win.
    ///   - tree: Theirs.
    ///   - bytes: What the values of a stretch should take.
    /// - Throws: `ROOTError` with code `damaged` if a column has fewer entries than the tree says, or baskets that take more than
    ///   the file: there might be no end to the stretches.
    public init(_ columns: [ROOTColumn], of tree: ROOTTree, bytes aim: Int = 8 << 20) throws(ROOTError) {
        let entries = tree.entries, bytes = try tree.mostBytes(of: columns)
        guard entries > 0 else {
            (starts, worstBytes) = ([0, 0], 1 << 16)
            return
        }
        let wanted = Int(min(0x1p62, max(64, Double(aim) * Double(entries) / max(1, bytes))))
        var weights: [Int: Double] = [:]
        for column in columns {
            let starts = column.basketStarts
            let weight = Double(max(0, column.bytes)) / Double(max(1, starts.count - 1))
            for start in starts where start > 0 && start < entries { weights[start, default: 0] += weight }
        }
        let borders = weights.sorted { $0.key < $1.key }
        var starts = [0], next = 0
        while let last = starts.last, entries - last > wanted + wanted / 2 {
            var best: (entry: Int, weight: Double)?
            while next < borders.count, borders[next].key <= last + wanted / 2 { next += 1 }
            var index = next
            while index < borders.count, borders[index].key <= last + wanted + wanted / 2 {
                if borders[index].value >= (best?.weight ?? 0) { best = (borders[index].key, borders[index].value) }
                index += 1
            }
            starts.append(best?.entry ?? last + wanted)
        }
        starts.append(entries)
        self.starts = starts
        let largest = zip(starts, starts.dropFirst()).reduce(0) { max($0, $1.1 - $1.0) }
        // Entries are of unequal size.
        let slice = 1.5 * bytes * Double(largest) / Double(entries)
        worstBytes = Int(min(1e12, slice + Self.mostCut(columns, starts, entries) / 2)) + 1 << 16
    }

    /// The most bytes of baskets that one border cuts.
    private static func mostCut(_ columns: [ROOTColumn], _ starts: [Int], _ entries: Int) -> Double {
        var cut = [Double](repeating: 0, count: starts.count)
        for column in columns {
            let baskets = column.basketStarts, all = Double(max(0, column.bytes)) / Double(max(1, column.entries))
            var border = 1
            for (first, end) in zip(baskets, baskets.dropFirst()) {
                while border < starts.count, starts[border] <= first { border += 1 }
                var inside = border
                while inside < starts.count, starts[inside] < end {
                    cut[inside] += all * Double(end - first)
                    inside += 1
                }
            }
        }
        return cut.max() ?? 0
    }
}
