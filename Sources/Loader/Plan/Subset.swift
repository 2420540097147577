/// The first N jets of a random order of those that take part: nested, as a smaller N takes some of the same jets.
struct Subset: Sendable {
    /// Of each record batch the jets that are taken, counted among those that take part, rising; 4 bytes a jet.
    let chosen: [[Int32]]

    /// A subset of `limit` jets.
    /// - Parameter rows: How many jets of each record batch take part.
    init(rows: [Int], limit: Int, seed: UInt64) {
        var first = [0]
        first.reserveCapacity(rows.count + 1)
        for count in rows { first.append((first.last ?? 0) + count) }
        let total = first.last ?? 0
        let order = KeyedBijection(count: total, key: seed)
        var chosen: [[Int32]] = Array(repeating: [], count: rows.count)
        for place in 0..<min(max(0, limit), total) {
            let jet = order(place)
            // The last record batch that begins at or before the jet; empty ones begin where the next one does.
            var low = 0, high = rows.count
            while high - low > 1 {
                let middle = (low + high) / 2
                if first[middle] <= jet { low = middle } else { high = middle }
            }
            chosen[low].append(Int32(truncatingIfNeeded: jet - first[low]))
        }
        self.chosen = chosen.map { $0.sorted() }
    }

    /// How many jets of each record batch are taken.
    var rows: [Int] { chosen.map(\.count) }
}
