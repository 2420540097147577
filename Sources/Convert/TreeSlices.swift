import ROOTFile

/// Cuts the entries of a tree into slices that are cheap to read at once: along the borders of baskets, so that few of them are
/// decompressed twice.
enum TreeSlices {
    /// Bytes of values that a slice should have.
    static let aim = 8 << 20

    /// The first entry of each slice, and the end of the last one.
    ///
    /// - Parameter columns: What is read. Borders count with the bytes of their baskets, so that those of clusters, where the baskets
    ///   of all columns end, win.
    static func starts(_ columns: [ROOTColumn], entries: Int) -> [Int] {
        guard entries > 0 else { return [0, 0] }
        let bytes = columns.reduce(0.0) { $0 + Double(max(0, $1.bytes)) }
        let wanted = max(64, Int(min(Double(entries), Double(aim) / max(1e-3, bytes / Double(entries)))))
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
        return starts + [entries]
    }

    /// About how many bytes the values of the largest slice take.
    static func worstBytes(_ starts: [Int], _ columns: [ROOTColumn], entries: Int) -> Int {
        let largest = zip(starts, starts.dropFirst()).reduce(0) { max($0, $1.1 - $1.0) }
        let bytes = columns.reduce(0.0) { $0 + Double(max(0, $1.bytes)) }
        // Entries are of unequal size.
        return Int(min(1e12, 1.5 * bytes * Double(largest) / Double(max(1, entries)))) + 1 << 16
    }
}
