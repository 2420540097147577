/// The first N jets of a random order of those that take part: nested, as a smaller N takes some of the same jets.
struct Subset: Sendable {
    /// Of each record batch the jets that are taken, counted among those that take part, rising; 4 bytes a jet.
    let chosen: [[Int32]]

    /// A subset of `limit` jets.
    /// - Parameter rows: How many jets of each record batch take part.
    init(rows: [Int], limit: Int, seed: UInt64) {
        let batches = PrefixSums(rows)
        let order = KeyedBijection(count: batches.total, key: seed)
        var chosen: [[Int32]] = Array(repeating: [], count: rows.count)
        for number in 0..<min(max(0, limit), batches.total) {
            let jet = batches.place(of: order(number))
            chosen[jet.part].append(Int32(truncatingIfNeeded: jet.offset))
        }
        self.chosen = chosen.map { $0.sorted() }
    }

    /// How many jets of each record batch are taken.
    var rows: [Int] { chosen.map(\.count) }
}
