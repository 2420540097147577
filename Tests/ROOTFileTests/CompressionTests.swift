import CLZMA
import CZstd
import ROOTFile
import Testing

@Suite struct CompressionTests {
    @Test(arguments: CompressionCodec.allCases)
    func `what a codec's library compressed comes out again`(codec: CompressionCodec) throws {
        let decoder = ROOTDecoder()
        for count in [1, 10, 40, 1_000, 70_000, 1 << 20] {
            let content = compressible(count)
            let payload = try codec.block(content)
            #expect(try decompressed(payload, count: count, with: decoder) == content)
        }
    }

    @Test func `blocks of all codecs follow one another in one payload`() throws {
        let decoder = ROOTDecoder()
        let codecs = CompressionCodec.allCases
        let contents = (0..<20).map { compressible(1 + $0 * $0 * 17, seed: UInt64($0)) }
        let payload = try contents.enumerated().flatMap { try codecs[$0 % codecs.count].block($1) }
        let content = contents.flatMap { $0 }
        #expect(try decompressed(payload, count: content.count, with: decoder) == content)
        try payload.withUnsafeBytes { try ROOTDecoder.check($0, holds: content.count) }
    }

    @Test(arguments: CompressionCodec.allCases)
    func `the longest block is read`(codec: CompressionCodec) throws {
        let content = compressible(0xff_ffff)
        let payload = try codec.block(content) + codec.block([1, 2, 3])
        #expect(try decompressed(payload, count: content.count + 3) == content + [1, 2, 3])
    }

    @Test func `a payload that holds no more than it takes is not compressed`() throws {
        let decoder = ROOTDecoder()
        let content = compressible(500)
        // A few bytes of slack are legal.
        for stored in [content, content + [9, 9, 9]] {
            var target = [UInt8](repeating: 0, count: content.count)
            try stored.withUnsafeBytes { stored in
                try ROOTDecoder.check(stored, holds: content.count)
                try target.withUnsafeMutableBytes { try decoder.unpack(stored, into: $0) }
            }
            #expect(target == content)
        }
        let payload = try CompressionCodec.zlib.block(content)
        var target = [UInt8](repeating: 0, count: content.count)
        try payload.withUnsafeBytes { payload in
            try target.withUnsafeMutableBytes { try decoder.unpack(payload, into: $0) }
        }
        #expect(target == content)
        #expect(try decompressed([], count: 0) == [])
    }

    @Test func `bytes behind the last block are ignored unless they are another block`() throws {
        let content = compressible(300)
        let payload = try CompressionCodec.zstd.block(content)
        #expect(try decompressed(payload + [0, 0, 0, 0, 0, 0, 0, 0, 0, 0], count: 300) == content)
        let longer = try payload + CompressionCodec.zlib.block(content)
        let error = try #require(decompressionError(longer, count: 300))
        #expect(error.code == .damaged)
        #expect(error.place == "compressed block at byte \(payload.count)")
        #expect(throws: ROOTError.self) { try longer.withUnsafeBytes { try ROOTDecoder.check($0, holds: 300) } }
    }

    @Test func `a Zstandard frame need not say its size`() throws {
        let content = compressible(5_000)
        let frame = try zstdFrame(content) { ZSTD_CCtx_setParameter($0, ZSTD_c_contentSizeFlag, 0) }
        // ZSTD_CONTENTSIZE_UNKNOWN: the frame is of the kind that this test is about.
        #expect(ZSTD_getFrameContentSize(frame, frame.count) == UInt64.max)
        #expect(try decompressed(CompressionCodec.block("ZS", frame, contentSize: 5_000), count: 5_000) == content)
    }

    @Test func `a Zstandard frame that needs a dictionary is refused by its number`() throws {
        // Header: magic, a dictionary number of 4 bytes, window; then one block of one repeated byte.
        let frame: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd, 0x03, 0x40, 77, 0, 0, 0] + [0x03 | 100 << 3, 0x03, 0x00, 5]
        let error = try #require(decompressionError(CompressionCodec.block("ZS", frame, contentSize: 100), count: 100))
        #expect(error.code == .unsupported)
        #expect(error.message.contains("77"))
    }

    @Test func `one block is one Zstandard frame of the format that has a number`() throws {
        let first = try CompressionCodec.zstd.stream(compressible(50))
        let second = try CompressionCodec.zstd.stream(compressible(70))
        let two = CompressionCodec.block("ZS", first + second, contentSize: 120)
        #expect(decompressionError(two, count: 120)?.code == .codec)
        // A frame of version 0.7, which libzstd may still read: one raw block of ten bytes, and the end.
        let before = [0x27, 0xb5, 0x2f, 0xfd, 0x20, 10, 0x40, 0, 10] + Array("0123456789".utf8) + [0xc0, 0, 0]
        let error = decompressionError(CompressionCodec.block("ZS", before, contentSize: 10), count: 10)
        #expect(error?.code == .codec)
        #expect(error?.message.contains("does not begin as a frame") == true)
    }

    @Test func `an LZMA stream with a checksum that liblzma does not know is refused`() throws {
        let content = compressible(1_000)
        var stream = try CompressionCodec.lzma.stream(content)
        func seal(_ range: Range<Int>, at place: Int) {
            let checksum = lzma_crc32(Array(stream[range]), range.count, 0)
            for byte in 0..<4 { stream[place + byte] = UInt8(truncatingIfNeeded: checksum >> (8 * byte)) }
        }
        // Kind 2, which the format keeps for later, takes 4 bytes as CRC-32 (kind 1) does. It stands in header and footer.
        let end = stream.count
        #expect(stream[7] == 1 && stream[end - 3] == 1)
        stream[7] = 2
        stream[end - 3] = 2
        seal(6..<8, at: 8)
        seal((end - 8)..<(end - 2), at: end - 12)
        let error = decompressionError(CompressionCodec.block("XZ", stream, contentSize: 1_000), count: 1_000)
        #expect(error?.code == .unsupported)
    }

    @Test func `an LZMA stream that asks for more memory than ROOT's levels need is refused`() throws {
        let content = compressible(1_000)
        var stream = try CompressionCodec.lzma.stream(content)
        // The block's header follows the stream's 12 bytes: its size, flags, lengths, filters, a CRC-32. The filter LZMA2 is
        // 0x21, with 1 byte of properties.
        let end = 12 + 4 * (Int(stream[12]) + 1) - 4
        let filter = try #require((14..<end).first { stream[$0] == 0x21 && stream[$0 + 1] == 1 })
        func setDictionary(_ code: UInt8) {
            stream[filter + 2] = code
            let checksum = lzma_crc32(Array(stream[12..<end]), end - 12, 0)
            for byte in 0..<4 { stream[end + byte] = UInt8(truncatingIfNeeded: checksum >> (8 * byte)) }
        }
        // 64 MiB: level 9, the highest.
        setDictionary(28)
        let payload = CompressionCodec.block("XZ", stream, contentSize: 1_000)
        #expect(try decompressed(payload, count: 1_000) == content)
        // 128 MiB, and 4 GiB.
        for code: UInt8 in [30, 40] {
            setDictionary(code)
            let payload = CompressionCodec.block("XZ", stream, contentSize: 1_000)
            let error = try #require(decompressionError(payload, count: 1_000))
            #expect(error.code == .unsupported)
            #expect(error.message.contains("bytes of memory"))
        }
    }

    @Test func `one decoder reads on after an error in any codec`() throws {
        let decoder = ROOTDecoder()
        let content = compressible(4_000)
        for codec in CompressionCodec.allCases {
            let payload = try codec.block(content)
            var damaged = payload
            for index in damaged.indices.dropFirst(20) { damaged[index] = ~damaged[index] }
            #expect(decompressionError(damaged, count: content.count, with: decoder)?.code == .codec)
            #expect(try decompressed(payload, count: content.count, with: decoder) == content)
        }
    }

    private func zstdFrame(_ content: [UInt8], _ set: (OpaquePointer) -> Int) throws -> [UInt8] {
        let context = try #require(ZSTD_createCCtx())
        defer { ZSTD_freeCCtx(context) }
        #expect(ZSTD_isError(set(context)) == 0)
        var frame = [UInt8](repeating: 0, count: ZSTD_compressBound(content.count))
        let count = ZSTD_compress2(context, &frame, frame.count, content, content.count)
        #expect(ZSTD_isError(count) == 0)
        return Array(frame[..<count])
    }
}
