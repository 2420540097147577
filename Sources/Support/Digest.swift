import CXXHash

/// An XXH3-64 digest with seed 0 (xxHash specification, stable since 0.8.0).
///
/// It guards against accidents, not against forgery. Printed as the canonical number in 16 hexadecimal digits, as
/// `xxhsum -H3` prints it.
public struct Digest: Hashable, Sendable {
    /// The 64-bit value.
    public var value: UInt64

    /// A digest with a known value.
    public init(value: UInt64) {
        self.value = value
    }

    /// The digest of some bytes.
    public init(of bytes: UnsafeRawBufferPointer) {
        value = pando_xxh3(bytes.baseAddress, bytes.count)
    }

    /// The digest of an array's bytes.
    public init(of bytes: [UInt8]) {
        self = bytes.withUnsafeBytes { Digest(of: $0) }
    }

    /// The digest that 16 hexadecimal digits spell, or nil.
    public init?(hex: some StringProtocol) {
        guard hex.utf8.count == 16, hex.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
            let value = UInt64(hex, radix: 16)
        else { return nil }
        self.value = value
    }

    /// 16 lower-case hexadecimal digits.
    public var hex: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension Digest: Codable, CustomStringConvertible {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let digest = Digest(hex: text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "'\(text)' is not a digest of 16 hexadecimal digits")
        }
        self = digest
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(hex)
    }

    public var description: String { hex }
}

/// An XXH3-64 digest that is fed piece by piece.
public struct StreamingDigest: ~Copyable {
    // XXH3_createState aligns the state to 64 bytes; nil only when memory is exhausted.
    private let state: OpaquePointer?

    /// The digest of no bytes yet.
    public init() {
        state = XXH3_createState()
        if let state { XXH3_64bits_reset(state) }
    }

    deinit {
        if let state { XXH3_freeState(state) }
    }

    /// Feeds more bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let state, let base = bytes.baseAddress else { return }
        pando_xxh3_update(state, base, bytes.count)
    }

    /// The digest of all bytes so far; more may follow.
    public var digest: Digest {
        Digest(value: state.map { XXH3_64bits_digest($0) } ?? 0)
    }
}
