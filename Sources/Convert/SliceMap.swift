/// Which rows of an input each of its slices holds.
public enum SliceMap: Sendable, Equatable {
    /// Slices of so many rows; the last one may have fewer.
    case equal(rows: Int, of: Int)
    /// The first row of each slice, and the end of the last one; slices may be empty.
    case starts([Int])

    /// How many slices there are.
    public var count: Int {
        switch self {
        case .equal(let rows, let all): (all + max(1, rows) - 1) / max(1, rows)
        case .starts(let starts): max(0, starts.count - 1)
        }
    }

    /// The rows of a slice.
    public func rows(_ slice: Int) -> Range<Int> {
        switch self {
        case .equal(let rows, let all): min(all, slice * rows)..<min(all, (slice + 1) * rows)
        case .starts(let starts): starts[slice]..<starts[slice + 1]
        }
    }

    /// The slices that hold some of these rows, with those of them that they hold.
    public func parts(of wanted: Range<Int>) -> [(slice: Int, rows: Range<Int>)] {
        guard !wanted.isEmpty else { return [] }
        return (slice(ofRow: wanted.lowerBound)...slice(ofRow: wanted.upperBound - 1)).compactMap { slice in
            let rows = wanted.clamped(to: rows(slice))
            return rows.isEmpty ? nil : (slice, rows)
        }
    }

    /// Rows of a slice, on average and at least 1.
    public var typicalRows: Int {
        switch self {
        case .equal(let rows, _): max(1, rows)
        case .starts(let starts): max(1, (starts.last ?? 0) / max(1, count))
        }
    }

    private func slice(ofRow row: Int) -> Int {
        switch self {
        case .equal(let rows, _): return row / max(1, rows)
        case .starts(let starts):
            // The last slice that begins at or before the row: empty ones before it begin there too.
            var low = 0, high = starts.count
            while low < high {
                let middle = (low + high) / 2
                if starts[middle] <= row { low = middle + 1 } else { high = middle }
            }
            return low - 1
        }
    }
}
