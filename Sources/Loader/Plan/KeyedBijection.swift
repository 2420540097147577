/// A random order of 0..<count that follows from a key and takes almost no memory: number i of the order by arithmetic.
///
/// A Feistel network of eight rounds on the least even number of bits that holds `count`, walked along its cycle until it
/// lands below `count` (Black and Rogaway 2002): a bijection, on average in fewer than four steps. Up to `largestTable`
/// numbers a shuffled table is used: so few bits have too few round functions, and some orders never came.
public struct KeyedBijection: Sendable {
    /// Up to so many numbers all orders have the same probability.
    public static let largestTable = 256
    /// How many numbers there are.
    public let count: Int
    private let halfBits: UInt64
    private let keys: [UInt64]
    private let table: [Int32]

    // With four rounds the distance of neighbours varied 10 to 25% more from key to key than it must, up to thousands of
    // numbers; with six nothing was seen any more above 50 numbers. Eight leave a margin.
    private static let rounds = 8

    /// A bijection on 0..<count for a key.
    public init(count: Int, key: UInt64...) {
        self.count = max(0, count)
        let bits = UInt64(Int.bitWidth - max(1, self.count - 1).leadingZeroBitCount)
        halfBits = max(1, (bits + 1) / 2)
        var random = KeyedRandom(words: [Purpose.bijection.rawValue, UInt64(self.count)] + key)
        if self.count <= Self.largestTable {
            table = random.permutation(self.count)
            keys = []
        } else {
            table = []
            keys = (0..<Self.rounds).map { _ in random.next() }
        }
    }

    /// The number at a place of the order; `index` lies in 0..<count.
    public func callAsFunction(_ index: Int) -> Int {
        if !table.isEmpty { return Int(table[index]) }
        guard (0..<count).contains(index) else { return index }
        let mask = (UInt64(1) << halfBits) - 1
        var value = UInt64(index)
        repeat {
            var left = value >> halfBits, right = value & mask
            for key in keys {
                // A round function need not be invertible; this is the finaliser of SplitMix64.
                var z = right &+ key
                z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
                z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
                (left, right) = (right, (left ^ (z ^ (z >> 31))) & mask)
            }
            value = left << halfBits | right
        } while value >= UInt64(count)
        return Int(value)
    }
}
