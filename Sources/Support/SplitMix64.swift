/// Numbers that follow from a state alone, the same on every machine: SplitMix64 (Steele, Lea, Flood 2014).
public struct SplitMix64: RandomNumberGenerator, Sendable {
    @usableFromInline var state: UInt64

    /// The numbers from a state on.
    @inlinable
    public init(state: UInt64) { self.state = state }

    /// The numbers of a key: its XXH3-64 is the state.
    public init(key: UnsafeRawBufferPointer) { state = Digest(of: key).value }

    /// The next 64 bits.
    @inlinable
    public mutating func next() -> UInt64 {
        let number = Self.mixed(state)
        state &+= Self.increment
        return number
    }

    /// The next number in 0..<1, of 53 bits.
    @inlinable
    public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// The first number of a state: a mixing of its bits.
    @inlinable
    public static func mixed(_ state: UInt64) -> UInt64 {
        var z = state &+ increment
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    @usableFromInline static var increment: UInt64 { 0x9e37_79b9_7f4a_7c15 }
}
