import Support
import Synchronization

/// Baskets that several stretches of entries share: each is decompressed once, by whichever thread needs it first, and dropped
/// after its last use.
///
/// Writers make baskets that hold thousands of entries, more than a reader wants in memory as values; and those of narrow
/// columns span many baskets of wide ones.
public final class SharedBaskets: Sendable {
    struct Key: Hashable, Sendable {
        /// Of the column.
        var slot: Int
        var number: Int
    }

    /// A basket by itself.
    ///
    /// `@unchecked Sendable`: the memory is filled before it is handed out and never written again.
    final class Decoded: @unchecked Sendable {
        let content: BasketContent
        private let memory: AlignedBuffer

        init(_ content: BasketContent, memory: AlignedBuffer) {
            self.content = content
            self.memory = memory
        }
    }

    /// The baskets of a stretch that others need too.
    typealias Found = [Key: Result<Decoded, any Error>]

    private let cache: SharedCache<Key, Decoded>
    /// The shared baskets of each stretch, by its first entry.
    private let needed: [Int: [Key]]
    /// A column of each.
    private let columns: [Key: ROOTColumn]
    private let decompressed = Atomic<Int>(0)

    /// Baskets for reading these columns by these stretches, each of them once.
    ///
    /// What is read otherwise is right too, but decompressed more often or kept longer.
    public init(_ columns: [ROOTColumn], slices: EntrySlices) {
        var uses: [Key: Int] = [:], owners: [Key: ROOTColumn] = [:], all: [Int: [Key]] = [:]
        for (first, end) in zip(slices.starts, slices.starts.dropFirst()) where first < end {
            var seen: Set<Key> = [], found: [Key] = []
            func need(_ column: ROOTColumn, _ entries: Range<Int>) {
                for number in column.baskets.numbers(overlapping: entries) where number < column.baskets.places.count {
                    let key = Key(slot: column.slot, number: number)
                    guard seen.insert(key).inserted else { continue }
                    found.append(key)
                    // The second use makes it a shared one.
                    if uses[key, default: 0] == 1 { owners[key] = column }
                    uses[key, default: 0] += 1
                }
            }
            for column in columns {
                need(column, first..<end)
                guard column.layout == .counted, let counter = column.counters.first else { continue }
                need(counter, ColumnReader.countedEntries(column, first..<end))
            }
            all[first] = found
        }
        needed = all.mapValues { $0.filter { owners[$0] != nil } }
        self.columns = owners
        let counts = uses.filter { $0.value > 1 }
        cache = SharedCache { counts[$0] ?? 0 }
    }

    /// How many baskets several stretches need.
    public var sharedCount: Int { columns.count }
    /// How often one was decompressed.
    public var decompressedCount: Int { decompressed.load(ordering: .relaxed) }
    /// How many are in memory.
    public var heldCount: Int { cache.count }

    /// Runs `body` with the baskets that a stretch shares with others.
    func with<Value>(
        _ entries: Range<Int>, of file: InputFile, using scratch: ROOTScratch,
        _ body: (Found) throws(ROOTError) -> Value
    ) throws(ROOTError) -> Value {
        guard let keys = needed[entries.lowerBound], !keys.isEmpty else { return try body([:]) }
        defer { cache.release(keys) }
        let found = cache.values(keys) { key in
            guard let column = columns[key] else { throw ROOTError(.usage, message: "a basket of no column") }
            let memory = AlignedBuffer(capacity: 0)
            decompressed.add(1, ordering: .relaxed)
            return Decoded(
                try column.baskets.read(key.number, of: file, using: scratch, keepingIn: memory), memory: memory)
        }
        return try body(found)
    }
}
