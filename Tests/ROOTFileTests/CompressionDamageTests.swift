import ROOTFile
import Support
import TestSupport
import Testing

@Suite struct CompressionDamageTests {
    @Test func `an unknown codec is refused by its tag`() throws {
        let payload = CompressionCodec.block("QQ", [1, 2, 3], contentSize: 40)
        let error = try #require(decompressionError(payload, count: 40))
        #expect(error.code == .unsupported)
        #expect(error.message.contains("81 and 81"))
        #expect(error.place == "compressed block at byte 0")
    }

    @Test func `each flipped bit of an LZ4 block is noticed by its checksum`() throws {
        let content = compressible(600)
        let payload = try CompressionCodec.lz4.block(content)
        let decoder = ROOTDecoder()
        for bit in (9 * 8)..<(payload.count * 8) {
            var damaged = payload
            damaged[bit / 8] ^= 1 << (bit % 8)
            let error = decompressionError(damaged, count: content.count, with: decoder)
            #expect(error?.code == .codec)
            #expect(error?.message.contains("checksum") == true)
        }
    }

    /// zlib's and LZMA's checksums are over the content; what they do not cover must not change it.
    @Test(arguments: [CompressionCodec.zlib, .lzma])
    func `a flipped bit never changes content that has a checksum`(codec: CompressionCodec) throws {
        let content = compressible(600)
        let payload = try codec.block(content)
        let decoder = ROOTDecoder()
        var noticed = 0
        for bit in (9 * 8)..<(payload.count * 8) {
            var damaged = payload
            damaged[bit / 8] ^= 1 << (bit % 8)
            do {
                #expect(try decompressed(damaged, count: content.count, with: decoder) == content)
            } catch let error as ROOTError {
                #expect(error.code == .codec || error.code == .unsupported)
                noticed += 1
            }
        }
        #expect(noticed > (payload.count - 9) * 8 * 9 / 10)
    }

    @Test(arguments: CompressionCodec.allCases)
    func `a payload cut anywhere is an error`(codec: CompressionCodec) throws {
        let content = compressible(900)
        let payload = try codec.block(compressible(200)) + codec.block(content)
        let decoder = ROOTDecoder()
        for count in 0..<payload.count {
            let error = decompressionError(Array(payload[..<count]), count: 1_100, with: decoder)
            #expect(error?.code == .truncated)
            #expect(throws: ROOTError.self) {
                try payload[..<count].withUnsafeBytes { try ROOTDecoder.check($0, holds: 1_100) }
            }
        }
    }

    @Test(arguments: CompressionCodec.allCases)
    func `a stream cut inside its block is an error`(codec: CompressionCodec) throws {
        let content = compressible(900)
        let stream = try codec.stream(content)
        let decoder = ROOTDecoder()
        for count in 0..<stream.count {
            let payload = CompressionCodec.block(codec.rawValue, Array(stream[..<count]), contentSize: 900)
            #expect(decompressionError(payload, count: 900, with: decoder)?.code == .codec, "\(count)")
        }
    }

    @Test(arguments: CompressionCodec.allCases)
    func `sizes that lie are errors`(codec: CompressionCodec) throws {
        let content = compressible(2_000)
        let stored = try codec.stream(content).count
        let decoder = ROOTDecoder()
        for size in [0, 1, 1_999, 2_001, 2_048, 0xff_ffff] {
            // The record believes the block, or it does not.
            let payload = try codec.block(content, contentSize: size)
            #expect(decompressionError(payload, count: 2_000, with: decoder) != nil)
            if size > 0 { #expect(decompressionError(payload, count: size, with: decoder)?.code == .codec) }
        }
        for size in [0, 1, 8, stored - 1, stored + 1, 0xff_ffff] {
            let payload = try codec.block(content, compressedSize: size)
            #expect(decompressionError(payload, count: 2_000, with: decoder) != nil)
            // The same with bytes behind it that the lie takes in.
            #expect(decompressionError(payload + [UInt8](repeating: 0, count: 64), count: 2_000, with: decoder) != nil)
        }
        // The record's own size.
        let payload = try codec.block(content)
        #expect(decompressionError(payload, count: 1_999, with: decoder)?.code == .damaged)
        #expect(decompressionError(payload, count: 2_001, with: decoder)?.code == .truncated)
    }

    @Test func `a block that holds nothing is damage`() throws {
        // A sound zlib stream of no bytes; blocks like it could go on for ever.
        let empty: [UInt8] = [0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01]
        let payload = try CompressionCodec.block("ZL", empty, contentSize: 0) + CompressionCodec.zlib.block([1, 2, 3])
        #expect(decompressionError(payload, count: 3)?.code == .damaged)
    }

    @Test func `memory for a size that no codec can reach is refused from the headers alone`() throws {
        func code(_ payload: [UInt8], _ count: Int) -> ROOTError.Code? {
            do {
                try payload.withUnsafeBytes { try ROOTDecoder.check($0, holds: count) }
                return nil
            } catch { return (error as? ROOTError)?.code }
        }
        for codec in CompressionCodec.allCases {
            let claim = CompressionCodec.block(
                codec.rawValue, [UInt8](repeating: 7, count: 100), contentSize: 0xff_ffff)
            #expect(code(claim, 0xff_ffff) == .damaged)
            // The best that a codec's own library can do is allowed.
            let zeros = [UInt8](repeating: 0, count: 16_000_000)
            let payload = try codec.block(zeros)
            #expect(code(payload, zeros.count) == nil)
            #expect(code(payload, zeros.count + 1) == .truncated)
            #expect(code(payload, zeros.count - 1) == .damaged)
        }
        #expect(code([1, 2, 3], Int.max) == .truncated)
        #expect(code([1, 2, 3], -1) == .damaged)
    }

    @Test func `an error names its file and the place in it`() throws {
        let payload = try CompressionCodec.zlib.block(compressible(100)) + CompressionCodec.lz4.block([1, 2, 3, 4])
        var damaged = payload
        damaged[payload.count - 1] ^= 1
        let error = try #require(decompressionError(damaged, count: 104))
        #expect(error.place.hasPrefix("compressed block at byte "))
        #expect(error.place != "compressed block at byte 0")
        #expect(error.advice != nil)
    }

    @Test func `payloads with random damage end in content or an error`() throws {
        var random = Seeded(20_24)
        let decoder = ROOTDecoder()
        var originals: [(payload: [UInt8], count: Int)] = []
        for codec in CompressionCodec.allCases {
            for count in [3, 200, 3_000] {
                originals.append((try codec.block(compressible(count, seed: UInt64(count))), count))
            }
            originals.append((try codec.block(compressible(500)) + CompressionCodec.lz4.block(compressible(90)), 590))
        }
        let input = try CompressionGuard(capacity: 8_192)
        let output = try CompressionGuard(capacity: 8_192)
        var outcomes = (whole: 0, refused: 0)
        for _ in 0..<Package.number("PANDO_FUZZ", default: 40_000) {
            var (payload, count) = originals[Int.random(in: originals.indices, using: &random)]
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                guard !payload.isEmpty else { break }
                switch Int.random(in: 0..<8, using: &random) {
                case 0...2:
                    payload[Int.random(in: payload.indices, using: &random)] ^=
                        1 << UInt8.random(in: 0..<8, using: &random)
                case 3: payload[Int.random(in: payload.indices, using: &random)] = .random(in: 0...255, using: &random)
                // Headers decide most.
                case 4:
                    payload[Int.random(in: 0..<min(9, payload.count), using: &random)] = .random(
                        in: 0...255, using: &random)
                case 5: payload.removeLast(Int.random(in: 0...payload.count, using: &random))
                case 6:
                    let at = Int.random(in: payload.indices, using: &random)
                    payload.replaceSubrange(at..<min(at + 8, payload.count), with: payload.prefix(9))
                default: count = Int.random(in: 0...4_000, using: &random)
                }
            }
            let bytes = input.holding(payload)
            do {
                try ROOTDecoder.check(bytes, holds: count)
                try decoder.unpack(bytes, into: output.last(count))
                outcomes.whole += 1
            } catch { outcomes.refused += 1 }
            // Where the payload counts as stored raw, its codec is still to be tried.
            do throws(ROOTError) { try decoder.decompress(bytes, into: output.last(count)) } catch {
                #expect(!error.message.isEmpty)
            }
        }
        #expect(outcomes.whole > 0 && outcomes.refused > outcomes.whole)
    }
}
