import Foundation

/// How Float16_t and Double32_t are stored: in fewer bytes than they have in memory (TBufferFile of ROOT 6).
enum PackedFloat: Sendable, Equatable {
    /// A number of four bytes: `r / factor + minimum`.
    case range(minimum: Double, factor: Double)
    /// Exponent in one byte; sign and so many bits of the mantissa in two.
    case truncated(bits: Int)
    /// A float32: Double32_t without annotation.
    case float32

    /// Bytes of a value.
    var width: Int {
        switch self {
        case .range, .float32: 4
        case .truncated: 3
        }
    }

    /// The packing that an annotation `[minimum,maximum,bits]` asks for; nil for plain float32 values.
    ///
    /// - Parameters:
    ///   - text: A leaf's title or a member's comment; brackets without a comma in it are dimensions.
    ///   - isHalf: Whether it is Float16_t, which is packed without annotation too.
    init?(annotation text: String, isHalf: Bool) {
        let parts = Self.annotation(text)
        let minimum = parts.first.map(Self.number) ?? 0, maximum = parts.count > 1 ? Self.number(parts[1]) : 0
        var bits = 32
        if parts.count > 2, let given = Int(parts[2]), (2...32).contains(given) { bits = given }
        if minimum < maximum {
            let steps = bits < 32 ? Double(UInt64(1) << UInt64(bits)) : Double(UInt32.max)
            self = .range(minimum: minimum, factor: steps / (maximum - minimum))
        } else if bits < 15, parts.count > 2 {
            self = .truncated(bits: bits)
        } else if isHalf {
            self = .truncated(bits: 12)
        } else {
            return nil
        }
    }

    private static func annotation(_ text: String) -> [String] {
        for piece in text.split(separator: "[", omittingEmptySubsequences: false).dropFirst() {
            guard let close = piece.firstIndex(of: "]") else { continue }
            let parts = piece[..<close].split(separator: ",", omittingEmptySubsequences: false)
            if parts.count > 1 { return parts.map { $0.trimmingCharacters(in: .whitespaces) } }
        }
        return []
    }

    private static func number(_ text: String) -> Double {
        let isNegative = text.hasPrefix("-")
        switch text.drop(while: { $0 == "-" || $0 == "+" }).lowercased() {
        case "pi": return isNegative ? -Double.pi : .pi
        case "2pi", "2*pi", "twopi": return isNegative ? -2 * Double.pi : 2 * .pi
        case "pi/2": return isNegative ? -Double.pi / 2 : .pi / 2
        case "pi/4": return isNegative ? -Double.pi / 4 : .pi / 4
        default: return Double(text) ?? 0
        }
    }

    /// The value of the bytes at `place`.
    @inline(__always)
    func value(at place: UnsafeRawPointer) -> Double {
        switch self {
        case .range(let minimum, let factor):
            return Double(UInt32(bigEndian: place.loadUnaligned(as: UInt32.self))) / factor + minimum
        case .truncated(let bits):
            let exponent = UInt32(place.load(as: UInt8.self))
            let mantissa = UInt32(UInt16(bigEndian: (place + 1).loadUnaligned(as: UInt16.self)))
            let kept = mantissa & (1 << UInt32(bits + 1) - 1)
            var pattern = exponent << 23 | kept << UInt32(23 - bits)
            if mantissa & 1 << UInt32(bits + 1) != 0 { pattern |= 0x8000_0000 }
            return Double(Float(bitPattern: pattern))
        case .float32:
            return Double(Float(bitPattern: UInt32(bigEndian: place.loadUnaligned(as: UInt32.self))))
        }
    }
}
