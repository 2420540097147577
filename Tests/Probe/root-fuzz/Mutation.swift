import TestSupport

/// What is changed in a seed.
struct Mutation {
    /// Bytes that are written over others.
    private(set) var patches: [(place: Int, bytes: [UInt8])] = []
    /// Where the file is cut off.
    private(set) var size: Int

    init(of seed: Seed, _ random: inout Seeded) {
        size = seed.bytes.count
        for _ in 0..<Int.random(in: 1...4, using: &random) { change(seed, &random) }
        // Lies that agree with each other: one number in several places.
        if !seed.numbers.isEmpty, Bool.random(using: &random) {
            let number = Self.wide.randomElement(using: &random) ?? 0
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = seed.numbers.randomElement(using: &random) ?? 0
                put(number, Bool.random(using: &random) ? 8 : 4, place, seed.bytes)
            }
        }
        if Int.random(in: 0..<12, using: &random) == 0 { size = Int.random(in: 0..<size, using: &random) }
    }

    private mutating func change(_ seed: Seed, _ random: inout Seeded) {
        let bytes = seed.bytes
        var place = Int.random(in: bytes.indices, using: &random)
        // One in eight changes is anywhere.
        if Int.random(in: 0..<8, using: &random) > 0, let span = seed.structure.randomElement(using: &random) {
            place = Int.random(in: span, using: &random)
        }
        switch Int.random(in: 0..<10, using: &random) {
        case 0: put([bytes[place] ^ 1 << UInt8.random(in: 0..<8, using: &random)], place, bytes)
        case 1: put([.random(in: 0...255, using: &random)], place, bytes)
        case 2:
            put([[0, 1, 2, 9, 0x3f, 0x40, 0x7f, 0x80, 0xfe, 0xff].randomElement(using: &random) ?? 0], place, bytes)
        case 3...5:
            let size = Int64(bytes.count)
            let numbers: [Int64] = [
                0, 1, 2, 5, 25, 26, 255, 0x7fff, 0x8000, 0xffff, 0x10000, 0xff_ffff, 0x7fff_ffff, 0x8000_0000, -1, -2,
                0x4000_0002, 0x4000_0004, 0x3fff_ffff, 0xc000_0000, size, size - 1, size + 1, Int64(place),
            ]
            put(numbers.randomElement(using: &random) ?? 0, 4, place, bytes)
        case 6:
            let numbers = Self.wide + [Int64(bytes.count), Int64(place)]
            put(numbers.randomElement(using: &random) ?? 0, 8, place, bytes)
        case 7:
            // A little more or less.
            let word = Self.word(bytes, place)
            put(Int64(word) + Int64.random(in: -8...8, using: &random), 4, place, bytes)
        case 8:
            // A word of the same structure in place of this one: references that lead to another object, or to itself.
            guard let span = seed.structure.first(where: { $0.contains(place) }) else { return }
            put(Int64(Self.word(bytes, Int.random(in: span, using: &random))), 4, place, bytes)
        default:
            let from = Int.random(in: bytes.indices, using: &random)
            put(Array(bytes[from..<min(bytes.count, from + Int.random(in: 1...80, using: &random))]), place, bytes)
        }
    }

    private static let wide: [Int64] = [
        0, 1, 3, -1, .max, .max - 1, .min, .max - 7, 1 << 62, 1 << 40, 1 << 32, 1 << 31, 1 << 33, 1 << 31 - 1, 1 << 30,
        1 << 20, 1 << 24,
    ]

    private static func word(_ bytes: [UInt8], _ place: Int) -> UInt32 {
        bytes[place..<min(place + 4, bytes.count)].reduce(0) { $0 << 8 | UInt32($1) }
    }

    private mutating func put(_ number: Int64, _ width: Int, _ place: Int, _ bytes: [UInt8]) {
        put((0..<width).map { UInt8(truncatingIfNeeded: number >> Int64(8 * (width - 1 - $0))) }, place, bytes)
    }

    private mutating func put(_ new: [UInt8], _ place: Int, _ bytes: [UInt8]) {
        patches.append((place, Array(new.prefix(bytes.count - place))))
    }

    /// The mutant as a whole.
    func applied(to seed: Seed) -> [UInt8] {
        var bytes = seed.bytes
        for (place, new) in patches { bytes.replaceSubrange(place..<place + new.count, with: new) }
        return Array(bytes.prefix(size))
    }
}
