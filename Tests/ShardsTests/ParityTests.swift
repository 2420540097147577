import Shards
import Support
import TestSupport
import Testing

@Suite struct ParityTests {
    private func parity(of bytes: [UInt8]) throws -> Parity {
        try Parity.make(
            fileSize: bytes.count,
            read: { offset, target in
                bytes[offset..<offset + target.count].withUnsafeBytes { target.copyMemory(from: $0) }
            })
    }

    private func randomBytes(_ count: Int, _ random: inout Seeded) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    @Test(arguments: [0, 1, 4095, 4096, 4097, 100_000, 300_001])
    func `any single stretch of a 32nd of the file is mended`(size: Int) throws {
        let seed = UInt64.random(in: 0...9999)
        var random = Seeded(seed)
        let original = randomBytes(size, &random)
        let stored = try parity(of: original).fileBytes
        let parity = try Parity(fileBytes: stored, fileSize: size, path: "p")
        let groups = max(1, ((size + 4095) / 4096 + 31) / 32)
        for _ in 0..<20 where size > 0 {
            var damaged = original
            // Blocks that a stretch touches: one more than it is long, if it begins inside a block.
            let first = Int.random(in: 0..<(size + 4095) / 4096, using: &random) * 4096
            let end = min(size, first + groups * 4096)
            for place in first..<end { damaged[place] = UInt8.random(in: 0...255, using: &random) }
            let result = parity.repair(&damaged)
            #expect(damaged == original, "seed \(seed)")
            #expect(result.lost.isEmpty, "seed \(seed)")
        }
        if size > 4096 {
            // The last block alone: what lies before it is whole.
            var short = Array(original.dropLast(1))
            _ = parity.repair(&short)
            #expect(short == original)
        }
    }

    @Test func `two damaged blocks of a group are named, not guessed`() throws {
        var random = Seeded(1)
        let original = randomBytes(200_000, &random)
        let parity = try parity(of: original)
        let groups = ((200_000 + 4095) / 4096 + 31) / 32
        var damaged = original
        damaged[10] ^= 1
        damaged[10 + groups * 4096] ^= 1
        let result = parity.repair(&damaged)
        #expect(result.mended.isEmpty)
        #expect(result.lost == [0..<4096, groups * 4096..<(groups + 1) * 4096])
    }

    @Test func `a parity file with any flipped bit is refused`() throws {
        var random = Seeded(2)
        let original = randomBytes(20_000, &random)
        let stored = try parity(of: original).fileBytes
        for _ in 0..<500 {
            var flipped = stored
            let bit = Int.random(in: 0..<stored.count * 8, using: &random)
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: DatasetError.self) { try Parity(fileBytes: flipped, fileSize: 20_000, path: "p") }
        }
        #expect(throws: DatasetError.self) {
            try Parity(fileBytes: Array(stored.dropLast()), fileSize: 20_000, path: "p")
        }
        #expect(throws: DatasetError.self) { try Parity(fileBytes: stored, fileSize: 90_000, path: "p") }
    }
}
