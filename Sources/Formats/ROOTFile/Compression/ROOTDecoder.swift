import CDeflate
import CLZ4
import CXXHash
import CZstd
import Support

/// Decompresses payloads of records: baskets, trees, lists of streamers.
///
/// One per thread: it holds decompression contexts, made when they are first needed, and reuses them. Nothing in a
/// payload is trusted; each failure is an error whose place counts bytes from the payload's start.
public final class ROOTDecoder {
    private var deflate: OpaquePointer?
    private var zstd: OpaquePointer?

    /// A decoder without contexts yet.
    public init() {}

    deinit {
        if let deflate { libdeflate_free_decompressor(deflate) }
        if let zstd { ZSTD_freeDCtx(zstd) }
    }

    /// Whether a payload that takes `stored` bytes in the file and holds `count` bytes is compressed.
    ///
    /// By ROOT's rule it is if it holds more than it takes; otherwise its first `count` bytes are the content as it is.
    public static func isCompressed(stored: Int, count: Int) -> Bool { count > stored }

    /// Fills `target` with the content of a payload, compressed or not (see `isCompressed`).
    public func unpack(
        _ payload: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(ROOTError) {
        if Self.isCompressed(stored: payload.count, count: target.count) {
            try decompress(payload, into: target)
        } else if target.count > 0 {
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: payload[..<target.count]))
        }
    }

    /// Fills `target` with the content of a compressed payload, whose blocks must hold just that many bytes.
    ///
    /// After an error `target` holds anything. Bytes behind the last block are ignored, as ROOT does, unless they are
    /// another block.
    public func decompress(
        _ payload: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(ROOTError) {
        var read = 0
        var written = 0
        while written < target.count {
            let block = try CompressedBlock(at: read, of: payload)
            guard block.size <= target.count - written else {
                throw Self.mismatch(at: read, block.size, expected: target.count - written)
            }
            do {
                try decode(
                    block, into: UnsafeMutableRawBufferPointer(rebasing: target[written..<written + block.size]))
            } catch {
                throw error.inside(CompressedBlock.place(read))
            }
            written += block.size
            read = block.end
        }
        try Self.expectEnd(of: payload, at: read)
    }

    /// Throws unless a payload, compressed or not, can hold just `count` bytes, judged by the headers of its blocks alone.
    ///
    /// To be called before memory is taken for `count` bytes because a file says so: by the format of its codec, a block
    /// holds at most 1,032 (zlib), 255 (LZ4), 32,768 (Zstandard) or 16,384 (LZMA) times the bytes that it takes.
    public static func check(_ payload: UnsafeRawBufferPointer, holds count: Int) throws(ROOTError) {
        guard count >= 0 else {
            throw ROOTError(.damaged, message: "it says that it holds \(count) bytes", advice: CompressedBlock.advice)
        }
        guard isCompressed(stored: payload.count, count: count) else { return }
        var read = 0
        var promised = 0
        while promised < count {
            let block = try CompressedBlock(at: read, of: payload)
            guard block.size <= count - promised else {
                throw mismatch(at: read, block.size, expected: count - promised)
            }
            guard block.size <= block.bound else {
                throw ROOTError(
                    .damaged, place: CompressedBlock.place(read),
                    message: "it says that it holds \(block.size) bytes, but its \(block.content.count) bytes can hold "
                        + "at most \(block.bound)",
                    advice: CompressedBlock.advice)
            }
            promised += block.size
            read = block.end
        }
        try expectEnd(of: payload, at: read)
    }

    private static func mismatch(at offset: Int, _ found: Int, expected: Int) -> ROOTError {
        ROOTError(
            .damaged, place: CompressedBlock.place(offset),
            message: "it says that it holds \(found) bytes, but \(expected) are missing from the content",
            advice: CompressedBlock.advice)
    }

    /// Throws if another block follows: then the content is longer than its record says.
    private static func expectEnd(of payload: UnsafeRawBufferPointer, at end: Int) throws(ROOTError) {
        guard payload.count - end >= CompressedBlock.headerBytes,
            let extra = try? CompressedBlock(at: end, of: payload)
        else { return }
        throw mismatch(at: end, extra.size, expected: 0)
    }

    private func decode(_ block: CompressedBlock, into target: UnsafeMutableRawBufferPointer) throws(ROOTError) {
        switch block.codec {
        case .zlib: try inflate(block.content, into: target, zlib: true)
        case .old: try inflate(block.content, into: target, zlib: false)
        case .lz4: try decodeLZ4(block.content, into: target)
        case .zstd: try decodeZstd(block.content, into: target)
        case .lzma: try XZContainer.decode(block.content, into: target)
        }
    }

    private func inflate(
        _ stream: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer, zlib: Bool
    ) throws(ROOTError) {
        deflate = deflate ?? libdeflate_alloc_decompressor()
        guard let deflate, let input = stream.baseAddress, let output = target.baseAddress else {
            throw Self.noMemory("libdeflate")
        }
        let name = zlib ? "zlib" : "deflate (old codec)"
        var used = 0
        let outcome =
            zlib
            ? libdeflate_zlib_decompress_ex(deflate, input, stream.count, output, target.count, &used, nil)
            : libdeflate_deflate_decompress_ex(deflate, input, stream.count, output, target.count, &used, nil)
        switch outcome {
        case LIBDEFLATE_SUCCESS: break
        case LIBDEFLATE_SHORT_OUTPUT: throw Self.fault("\(name): the stream gives fewer than \(target.count) bytes")
        case LIBDEFLATE_INSUFFICIENT_SPACE:
            throw Self.fault("\(name): the stream gives more than \(target.count) bytes")
        default: throw Self.fault("\(name): the stream is damaged")
        }
        // The old codec has no checksum: where its stream ends is one more thing that can tell damage.
        guard used == stream.count else {
            throw Self.fault("\(name): the stream ends after \(used) bytes, expected after \(stream.count)")
        }
    }

    private func decodeLZ4(
        _ content: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(ROOTError) {
        let checksumBytes = 8
        guard content.count > checksumBytes, let start = content.baseAddress,
            let input = content.baseAddress?.advanced(by: checksumBytes).assumingMemoryBound(to: CChar.self),
            let output = target.baseAddress?.assumingMemoryBound(to: CChar.self),
            let inputCount = Int32(exactly: content.count - checksumBytes),
            let outputCount = Int32(exactly: target.count)
        else {
            throw Self.fault("LZ4: \(content.count) bytes are too few for a checksum of \(checksumBytes) and a block")
        }
        // What the writer took the checksum of are the compressed bytes.
        let kept = UInt64(bigEndian: start.loadUnaligned(as: UInt64.self))
        let found = XXH64(input, Int(inputCount), 0)
        guard kept == found else {
            throw Self.fault(
                "LZ4: the XXH64 checksum is \(String(found, radix: 16)), the file says \(String(kept, radix: 16))")
        }
        let count = LZ4_decompress_safe(input, output, inputCount, outputCount)
        guard count >= 0 else { throw Self.fault("LZ4: the block is damaged or gives more than \(target.count) bytes") }
        guard count == outputCount else {
            throw Self.fault("LZ4: the block gives \(count) bytes, expected \(target.count)")
        }
    }

    private func decodeZstd(
        _ content: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(ROOTError) {
        zstd = zstd ?? ZSTD_createDCtx()
        guard let zstd else { throw Self.noMemory("libzstd") }
        // libzstd would also take formats before 1.0 and several frames, which no writer of ROOT files makes.
        guard UntrustedBytes(content).load(UInt32.self, at: 0) == 0xfd2f_b528 else {
            throw Self.fault("Zstandard: the block does not begin as a frame does")
        }
        let dictionary = ZSTD_getDictID_fromFrame(content.baseAddress, content.count)
        guard dictionary == 0 else {
            throw ROOTError(
                .unsupported, message: "Zstandard: the frame needs the dictionary \(dictionary)",
                advice: "write the file again without a dictionary")
        }
        let used = ZSTD_findFrameCompressedSize(content.baseAddress, content.count)
        guard ZSTD_isError(used) == 0 else {
            throw Self.fault("Zstandard: \(String(cString: ZSTD_getErrorName(used)))")
        }
        guard used == content.count else {
            throw Self.fault("Zstandard: the frame ends after \(used) bytes, expected after \(content.count)")
        }
        let count = ZSTD_decompressDCtx(zstd, target.baseAddress, target.count, content.baseAddress, content.count)
        guard ZSTD_isError(count) == 0 else {
            throw Self.fault("Zstandard: \(String(cString: ZSTD_getErrorName(count)))")
        }
        guard count == target.count else {
            throw Self.fault("Zstandard: the frame gives \(count) bytes, expected \(target.count)")
        }
    }

    static func fault(_ message: String) -> ROOTError {
        ROOTError(.codec, message: message, advice: CompressedBlock.advice)
    }

    static func noMemory(_ library: String) -> ROOTError {
        ROOTError(.codec, message: "\(library) got no memory for its context")
    }
}
