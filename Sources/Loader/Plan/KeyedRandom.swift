import Support

/// The first word of each key: two purposes never share numbers. The values are part of the order and do not change.
enum Purpose: UInt64 {
    case recordBatches = 1, window, bijection, exactOrder, mixturePattern, mixtureChoice, mixtureSeed, streamOrder
}

/// Numbers that follow from a key alone: the same on every machine, in every thread, in every run.
public struct KeyedRandom: Sendable {
    @usableFromInline var source: SplitMix64

    /// Numbers for a key, for example (purpose, seed, epoch, stream, window).
    public init(_ key: UInt64...) {
        self.init(words: key)
    }

    init(words key: [UInt64]) {
        source = key.map(\.littleEndian).withUnsafeBytes { SplitMix64(key: $0) }
    }

    /// Numbers from a state on.
    init(state: UInt64) {
        source = SplitMix64(state: state)
    }

    /// The first state for a key of five words, without an array of them.
    static func state(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64, _ e: UInt64) -> UInt64 {
        let key = (a.littleEndian, b.littleEndian, c.littleEndian, d.littleEndian, e.littleEndian)
        return withUnsafeBytes(of: key) { Digest(of: $0).value }
    }

    /// The first state for a key of four words, without an array of them.
    static func state(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) -> UInt64 {
        let key = (a.littleEndian, b.littleEndian, c.littleEndian, d.littleEndian)
        return withUnsafeBytes(of: key) { Digest(of: $0).value }
    }

    /// The next 64 bits.
    @inlinable
    public mutating func next() -> UInt64 { source.next() }

    /// A number below `bound`, each with the same probability (Lemire 2019).
    public mutating func below(_ bound: UInt64) -> UInt64 {
        guard bound > 1 else { return 0 }
        var (high, low) = bound.multipliedFullWidth(by: next())
        if low < bound {
            let threshold = (0 &- bound) % bound
            while low < threshold { (high, low) = bound.multipliedFullWidth(by: next()) }
        }
        return high
    }

    /// The numbers 0..<count in a random order, all orders with the same probability (Fisher and Yates).
    public mutating func permutation(_ count: Int) -> [Int32] {
        var order = (0..<Int32(clamping: count)).map { $0 }
        guard count > 1 else { return order }
        for index in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(index, Int(below(UInt64(index + 1))))
        }
        return order
    }
}
