import Support

/// One block of a compressed payload: what its header says, checked against the bytes that are there.
struct CompressedBlock {
    /// What a block went through.
    enum Codec {
        case zlib, lzma, lz4, zstd
        /// ROOT's own deflate of the 1990s.
        case old
    }

    /// How many times its compressed bytes a block of any codec can hold.
    static let bestRatio = 32_768

    /// Bytes of a header: tag (2), method (1), compressed and uncompressed size (3 each).
    static let headerBytes = 9

    let codec: Codec
    /// The compressed bytes; an LZ4 block begins with its checksum.
    let content: UnsafeRawBufferPointer
    /// How many bytes come out; at least 1.
    let size: Int
    /// Where in the payload the next block begins.
    let end: Int

    /// The block at `offset` of a payload.
    init(at offset: Int, of payload: UnsafeRawBufferPointer) throws(ROOTError) {
        guard let header = UntrustedBytes(payload).slice(at: offset, length: Self.headerBytes)?.bytes else {
            throw ROOTError(
                .truncated, place: Self.place(offset),
                message: "more content should follow, but \(max(0, payload.count - offset)) bytes are left; "
                    + "a block's header takes \(Self.headerBytes)",
                advice: Self.advice)
        }
        switch (header[0], header[1]) {
        case (UInt8(ascii: "Z"), UInt8(ascii: "L")): codec = .zlib
        case (UInt8(ascii: "X"), UInt8(ascii: "Z")): codec = .lzma
        case (UInt8(ascii: "L"), UInt8(ascii: "4")): codec = .lz4
        case (UInt8(ascii: "Z"), UInt8(ascii: "S")): codec = .zstd
        case (UInt8(ascii: "C"), UInt8(ascii: "S")): codec = .old
        default:
            throw ROOTError(
                .unsupported, place: Self.place(offset),
                message: "it begins with the bytes \(header[0]) and \(header[1]), expected one of ZL, XZ, L4, ZS, CS",
                advice: "the file is damaged, or newer than this reader")
        }
        // The only little-endian numbers of a ROOT file.
        func size(_ at: Int) -> Int { Int(header[at]) | Int(header[at + 1]) << 8 | Int(header[at + 2]) << 16 }
        self.size = size(6)
        let stored = size(3)
        guard let content = UntrustedBytes(payload).slice(at: offset + Self.headerBytes, length: stored)?.bytes else {
            throw ROOTError(
                .truncated, place: Self.place(offset),
                message: "it says that it takes \(stored) bytes, "
                    + "but \(payload.count - offset - Self.headerBytes) are left",
                advice: Self.advice)
        }
        guard self.size > 0 else {
            throw ROOTError(
                .damaged, place: Self.place(offset), message: "it says that it holds no bytes", advice: Self.advice)
        }
        self.content = content
        end = offset + Self.headerBytes + stored
    }

    /// The most bytes that can come out, by the format of the codec.
    ///
    /// Deflate: 2 bits give at most 258 bytes. LZ4: each byte of a match length stands for at most 255. Zstandard: a block of
    /// 4 bytes gives at most 128 KiB. LZMA: a repeated match of 273 bytes takes 14 choices of at least 0.022 bits each, so
    /// about 7,100 times; twice that is allowed.
    var bound: Int {
        let ratio =
            switch codec {
            case .zlib, .old: 1_032
            case .lz4: 255
            case .zstd: Self.bestRatio
            case .lzma: 16_384
            }
        // At most 3 bytes of size: no overflow.
        return content.count * ratio
    }

    /// The place of the block at `offset`, for errors; made only there, as it takes memory.
    static func place(_ offset: Int) -> String { "compressed block at byte \(offset)" }

    /// What to do about a file whose compressed bytes are wrong.
    static let advice = "fetch the file again, or compare it with another copy"
}
