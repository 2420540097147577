import CLZ4
import CZstd
import Support

/// Decompresses buffers of record batches.
///
/// One per thread: it holds decompression contexts, made when they are first needed, and reuses them.
public final class BodyDecoder {
    private var zstd: OpaquePointer?
    private var lz4: OpaquePointer?
    /// For buffers that are longer than what is asked of them.
    private let scratch = AlignedBuffer()

    /// A decoder without contexts yet.
    public init() {}

    deinit {
        if let zstd { ZSTD_freeDCtx(zstd) }
        if let lz4 { LZ4F_freeDecompressionContext(lz4) }
    }

    /// Fills `target` with the content of one frame, which must have just that size. Returns what went wrong, or nil.
    func decode(
        _ frame: UnsafeRawBufferPointer, codec: Int8, into target: UnsafeMutableRawBufferPointer
    ) -> String? {
        codec == ArrowFormat.Codec.zstd ? decodeZstd(frame, into: target) : decodeLZ4(frame, into: target)
    }

    /// Fills `target` with the first bytes of a buffer, whose stored bytes without the prefix are `content`. Returns what
    /// went wrong, or nil.
    func fill(
        _ target: UnsafeMutableRawBufferPointer, from buffer: BodyBuffer, content: UnsafeRawBufferPointer
    ) -> String? {
        guard target.count <= buffer.byteCount else {
            return "\(target.count) bytes are wanted of a buffer of \(buffer.byteCount)"
        }
        guard let codec = buffer.codec else {
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: content[..<target.count]))
            return nil
        }
        // Buffers may be longer than what they are needed for.
        guard target.count < buffer.byteCount else { return decode(content, codec: codec, into: target) }
        scratch.reserve(buffer.byteCount)
        let whole = UnsafeMutableRawBufferPointer(start: scratch.base, count: buffer.byteCount)
        if let fault = decode(content, codec: codec, into: whole) { return fault }
        target.copyMemory(from: UnsafeRawBufferPointer(rebasing: whole[..<target.count]))
        return nil
    }

    private func decodeZstd(
        _ frame: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> String? {
        zstd = zstd ?? ZSTD_createDCtx()
        guard let zstd else { return "no memory for a Zstandard context" }
        let count = ZSTD_decompressDCtx(zstd, target.baseAddress, target.count, frame.baseAddress, frame.count)
        guard ZSTD_isError(count) == 0 else { return "Zstandard: \(String(cString: ZSTD_getErrorName(count)))" }
        return count == target.count ? nil : "the frame holds \(count) bytes, expected \(target.count)"
    }

    private func decodeLZ4(
        _ frame: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> String? {
        if let lz4 {
            // After an error the context is in the middle of a frame.
            LZ4F_resetDecompressionContext(lz4)
        } else {
            LZ4F_createDecompressionContext(&lz4, UInt32(LZ4F_VERSION))
        }
        guard let lz4, let input = frame.baseAddress, let output = target.baseAddress else {
            return "no memory for an LZ4 context"
        }
        // Linked blocks look back into `target` itself.
        var options = LZ4F_decompressOptions_t()
        options.stableDst = 1
        var read = 0
        var written = 0
        while true {
            var sourceSize = frame.count - read
            var targetSize = target.count - written
            let hint = LZ4F_decompress(lz4, output + written, &targetSize, input + read, &sourceSize, &options)
            guard LZ4F_isError(hint) == 0 else { return "LZ4: \(String(cString: LZ4F_getErrorName(hint)))" }
            read += sourceSize
            written += targetSize
            if hint == 0 { break }
            // Neither side moved: the frame is cut short or holds more than it should.
            if sourceSize == 0, targetSize == 0 { return "LZ4: the frame does not end" }
        }
        guard written == target.count, read == frame.count else {
            return "the frame holds \(written) bytes, expected \(target.count)"
        }
        return nil
    }

    /// The most bytes that a frame of `count` bytes can hold, by the format of the frame.
    ///
    /// Zstandard (RFC 8878): a block of at least 4 bytes (header of 3, repeated byte) holds at most 128 KiB. LZ4: each
    /// byte of a match length stands for at most 255 bytes. Honest files reach these ratios with columns of zeros.
    static func bound(_ count: Int, codec: Int8) -> Int {
        let ratio = codec == ArrowFormat.Codec.zstd ? 32_768 : 255
        let (bytes, overflow) = count.multipliedReportingOverflow(by: ratio)
        return overflow ? Int.max : bytes
    }

    /// The size that a Zstandard frame states in its own header; nil if it states none or the codec is another.
    static func statedSize(_ frame: UnsafeRawBufferPointer, codec: Int8) -> UInt64? {
        guard codec == ArrowFormat.Codec.zstd else { return nil }
        let size = ZSTD_getFrameContentSize(frame.baseAddress, frame.count)
        // ZSTD_CONTENTSIZE_UNKNOWN and ZSTD_CONTENTSIZE_ERROR, which Swift does not import; decoding tells the latter.
        return size < UInt64.max - 1 ? size : nil
    }
}
