/// Running totals of counts, to find the part that a number falls into.
struct PrefixSums: Sendable {
    /// The total before each part, and of all.
    let ends: [Int]

    init(_ counts: [Int]) {
        var ends = [0]
        ends.reserveCapacity(counts.count + 1)
        var total = 0
        for count in counts {
            total += count
            ends.append(total)
        }
        self.ends = ends
    }

    /// All counts together.
    var total: Int { ends[ends.count - 1] }

    /// The part that holds a number of 0 ..< total, and the place in it.
    func place(of number: Int) -> (part: Int, offset: Int) {
        // The last part that begins at or before the number; empty ones begin where the next one does.
        var low = 0, high = ends.count - 1
        while high - low > 1 {
            let middle = (low + high) / 2
            if ends[middle] <= number { low = middle } else { high = middle }
        }
        return (low, number - ends[low])
    }
}

/// How a total is dealt to parts that differ by at most one.
enum EvenShare {
    /// What lies before a part.
    static func before(_ total: Int, part: Int, of parts: Int) -> Int {
        parts.dividingFullWidth(total.multipliedFullWidth(by: part)).quotient
    }

    /// What a part has.
    static func size(_ total: Int, part: Int, of parts: Int) -> Int {
        before(total, part: part + 1, of: parts) - before(total, part: part, of: parts)
    }
}
