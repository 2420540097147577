/// Which jets are taken, by slices.
struct TakenJets {
    /// The first event of each slice, and the end of the last one.
    private let starts: [Int]
    /// The jets of the slice that is being filled.
    private var flags: [Bool] = []
    /// Of each slice that is full, which jets of its events are taken.
    private(set) var taken: [PackedBits] = []
    /// The first row of each, and the end of the last one.
    private(set) var rows = [0]

    init(_ starts: [Int]) {
        self.starts = starts
        // Of a tree without events.
        if starts.last == 0 { finish() }
    }

    /// Takes in the next events.
    mutating func add(_ chosen: JetChooser.Chosen, _ events: Range<Int>) {
        var event = events.lowerBound
        while event < events.upperBound, taken.count + 1 < starts.count {
            let end = min(events.upperBound, starts[taken.count + 1])
            let jets = chosen.firstJets[event - events.lowerBound]..<chosen.firstJets[end - events.lowerBound]
            flags += chosen.isTaken[jets]
            if end == starts[taken.count + 1] { finish() }
            event = end
        }
    }

    private mutating func finish() {
        let slice = PackedBits(flags)
        rows.append((rows.last ?? 0) + slice.setCount)
        taken.append(slice)
        flags.removeAll(keepingCapacity: true)
    }
}

/// Flags in 64ths of the memory.
struct PackedBits: Sendable {
    private let words: [UInt64]
    /// How many flags there are.
    let count: Int

    init(_ flags: [Bool]) {
        var words = [UInt64](repeating: 0, count: (flags.count + 63) / 64)
        for (index, flag) in flags.enumerated() where flag { words[index / 64] |= 1 << UInt64(index % 64) }
        self.words = words
        count = flags.count
    }

    subscript(index: Int) -> Bool { words[index / 64] >> UInt64(index % 64) & 1 != 0 }

    /// How many are set.
    var setCount: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }
}
