import CLZMA

/// Decodes .xz containers with a bound on memory.
///
/// It keeps liblzma's stream, so that the dictionary (64 MiB at ROOT's highest level) is taken from the system once and not
/// for every block.
final class XZDecoder {
    /// The most memory that a container may make liblzma take: level 9 needs 65 MiB.
    static let memoryLimit: UInt64 = 80 << 20

    // Names of liblzma that Swift does not import.
    private static let tellUnsupportedCheck: UInt32 = 0x02

    private let stream: UnsafeMutablePointer<lzma_stream>

    init() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: lzma_stream())
    }

    deinit {
        lzma_end(stream)
        stream.deallocate()
    }

    /// Fills `target` with the content of a container, which must have just that size.
    func decode(_ content: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) throws(ROOTError) {
        guard lzma_stream_decoder(stream, Self.memoryLimit, Self.tellUnsupportedCheck) == LZMA_OK else {
            throw ROOTDecoder.noMemory("liblzma")
        }
        stream.pointee.next_in = content.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_in = content.count
        stream.pointee.next_out = target.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = target.count
        defer {
            // The stream outlives the caller's memory.
            stream.pointee.next_in = nil
            stream.pointee.next_out = nil
        }
        // With all input there, one call goes on until the end, an error or a full target.
        let outcome = lzma_code(stream, LZMA_FINISH)
        let written = target.count - stream.pointee.avail_out
        let used = content.count - stream.pointee.avail_in
        switch outcome {
        case LZMA_STREAM_END: break
        case LZMA_OK, LZMA_BUF_ERROR:
            throw ROOTDecoder.fault(
                written == target.count
                    ? "LZMA: the stream gives more than \(target.count) bytes, or its end is missing"
                    : "LZMA: the stream is cut short after \(written) of \(target.count) bytes")
        case LZMA_MEMLIMIT_ERROR:
            throw ROOTError(
                .unsupported,
                message: "LZMA: the stream needs \(lzma_memusage(stream)) bytes of memory, "
                    + "\(Self.memoryLimit) are allowed (level 9 needs 65 MiB)",
                advice: CompressedBlock.advice)
        case LZMA_UNSUPPORTED_CHECK, LZMA_OPTIONS_ERROR:
            throw ROOTError(
                .unsupported, message: "LZMA: the stream has a checksum or a filter that liblzma does not know",
                advice: CompressedBlock.advice)
        case LZMA_MEM_ERROR: throw ROOTDecoder.noMemory("liblzma")
        case LZMA_FORMAT_ERROR: throw ROOTDecoder.fault("LZMA: the block does not begin as an .xz stream does")
        default: throw ROOTDecoder.fault("LZMA: the stream is damaged")
        }
        guard written == target.count else {
            throw ROOTDecoder.fault("LZMA: the stream gives \(written) bytes, expected \(target.count)")
        }
        guard used == content.count else {
            throw ROOTDecoder.fault("LZMA: the stream ends after \(used) bytes, expected after \(content.count)")
        }
    }
}
