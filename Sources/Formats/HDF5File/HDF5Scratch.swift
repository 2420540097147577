import CDeflate
import Glibc
import Kernels
import Support

/// Working memory of one thread: a decompressor and buffers that grow to what the datasets need.
///
/// Not Sendable; readers may share one as long as one thread uses it at a time.
public final class HDF5Scratch {
    static let slack = PANDO_HDF5_SLACK

    /// A chunk as it lies in the file.
    let stored = AlignedBuffer()
    /// A chunk after one filter, and after the next.
    let chunk = AlignedBuffer()
    let spare = AlignedBuffer()
    /// Packed columns of the chunks of a band, before they are put together.
    let staging = AlignedBuffer()
    /// Extents of the rows of those chunks.
    let extents = AlignedBuffer()
    private var decompressor: OpaquePointer?
    /// The stored bytes of the last all-zero chunk of each dataset: such chunks are many and alike.
    private var zeroChunks: [Int: (bytes: [UInt8], mask: UInt32)] = [:]

    /// Empty working memory.
    public init() {}

    deinit {
        if let decompressor { libdeflate_free_decompressor(decompressor) }
    }

    /// Inflates a zlib stream that must give exactly `size` bytes; nil if all is well, otherwise what is wrong.
    func inflate(
        _ stream: UnsafeRawPointer, _ count: Int, _ target: UnsafeMutableRawPointer, _ size: Int
    ) -> String? {
        if decompressor == nil { decompressor = libdeflate_alloc_decompressor() }
        guard let decompressor else { return "no memory for a decompressor" }
        return switch libdeflate_zlib_decompress(decompressor, stream, count, target, size, nil) {
        case LIBDEFLATE_SUCCESS: nil
        case LIBDEFLATE_SHORT_OUTPUT: "the deflate stream gives fewer than \(size) bytes"
        case LIBDEFLATE_INSUFFICIENT_SPACE: "the deflate stream gives more than \(size) bytes"
        default: "the deflate stream is damaged"
        }
    }

    /// Whether the stored bytes are those of an all-zero chunk seen before; then they need not be inflated.
    func isKnownZero(_ dataset: Int, stored count: Int, mask: UInt32) -> Bool {
        guard let known = zeroChunks[dataset], known.mask == mask, known.bytes.count == count else { return false }
        return known.bytes.withUnsafeBytes { bytes in
            bytes.baseAddress.map { memcmp($0, stored.base, count) == 0 } ?? true
        }
    }

    /// Remembers the stored bytes of an all-zero chunk.
    func rememberZero(_ dataset: Int, stored count: Int, mask: UInt32) {
        // Readers come and go; a scratch object may outlive many.
        if zeroChunks.count > 64 { zeroChunks.removeAll() }
        zeroChunks[dataset] = (Array(stored.bytes(count)), mask)
    }
}
