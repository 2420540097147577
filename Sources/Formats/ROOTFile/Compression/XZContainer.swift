import CLZMA

/// Decodes .xz containers with a bound on memory.
///
/// Nothing is kept from one to the next: the dictionary that liblzma takes anew each time costs less than 1% of decoding,
/// and kept it would hold up to 64 MiB a thread.
enum XZContainer {
    /// The most memory that a container may make liblzma take: level 9 needs 65 MiB.
    static let memoryLimit: UInt64 = 80 << 20

    // LZMA_TELL_UNSUPPORTED_CHECK, a macro that Swift does not import: without it unknown checksums are passed over.
    private static let tellUnsupportedCheck: UInt32 = 0x02

    /// Fills `target` with the content of a container, which must have just that size.
    static func decode(
        _ content: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(ROOTError) {
        var memory = memoryLimit
        var used = 0
        var written = 0
        let outcome = lzma_stream_buffer_decode(
            &memory, tellUnsupportedCheck, nil, content.baseAddress?.assumingMemoryBound(to: UInt8.self), &used,
            content.count, target.baseAddress?.assumingMemoryBound(to: UInt8.self), &written, target.count)
        switch outcome {
        case LZMA_OK: break
        case LZMA_BUF_ERROR: throw ROOTDecoder.fault("LZMA: the stream gives more than \(target.count) bytes")
        case LZMA_MEMLIMIT_ERROR:
            throw ROOTError(
                .unsupported,
                message: "LZMA: the stream needs \(memory) bytes of memory, \(memoryLimit) are allowed "
                    + "(level 9 needs 65 MiB)",
                advice: CompressedBlock.advice)
        case LZMA_UNSUPPORTED_CHECK, LZMA_OPTIONS_ERROR:
            throw ROOTError(
                .unsupported, message: "LZMA: the stream has a checksum or a filter that liblzma does not know",
                advice: CompressedBlock.advice)
        case LZMA_MEM_ERROR: throw ROOTDecoder.noMemory("liblzma")
        case LZMA_FORMAT_ERROR: throw ROOTDecoder.fault("LZMA: the block does not begin as an .xz stream does")
        default: throw ROOTDecoder.fault("LZMA: the stream is damaged or cut short")
        }
        guard written == target.count else {
            throw ROOTDecoder.fault("LZMA: the stream gives \(written) bytes, expected \(target.count)")
        }
        guard used == content.count else {
            throw ROOTDecoder.fault("LZMA: the stream ends after \(used) bytes, expected after \(content.count)")
        }
    }
}
