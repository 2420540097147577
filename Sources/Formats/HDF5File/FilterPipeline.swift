import CDeflate
import Kernels
import Support

/// A filter pipeline that is undone here, past libhdf5's lock: shuffle, deflate or LZF, Fletcher-32, in any order.
struct FilterPipeline: Sendable {
    private enum Step: Sendable {
        case shuffle(Int)
        case deflate
        case lzf
        case fletcher32
    }

    private let steps: [Step]

    /// nil if a filter is among them that only libhdf5 may know.
    init?(_ filters: [HDF5Filter], elementBytes: Int) {
        var steps: [Step] = []
        var compressors = 0
        for filter in filters {
            switch filter.id {
            case HDF5Filter.deflate:
                steps.append(.deflate)
                compressors += 1
            case HDF5Filter.lzf:
                steps.append(.lzf)
                compressors += 1
            case HDF5Filter.shuffle:
                let size = filter.parameters.first.map { Int($0) } ?? elementBytes
                guard size > 0, size <= 1 << 16 else { return nil }
                steps.append(.shuffle(size))
            case HDF5Filter.fletcher32: steps.append(.fletcher32)
            default: return nil
            }
        }
        guard compressors <= 1, steps.count <= 32 else { return nil }
        self.steps = steps
    }

    /// The most bytes that a chunk of `bytes` can plausibly take in the file.
    static func bound(_ bytes: Int) -> Int { 2 * bytes + 1024 }

    /// Turns the `stored` bytes in `scratch.stored` into a chunk of `chunkBytes`, which is in the buffer returned.
    /// On failure returns nil and leaves words in `reason`.
    func undo(
        stored: Int, mask: UInt32, chunkBytes: Int, scratch: HDF5Scratch, reason: inout String
    ) -> UnsafeRawPointer? {
        var (source, target) = (scratch.stored, scratch.chunk)
        var count = stored
        for (index, step) in steps.enumerated().reversed() where mask & (1 << UInt32(index)) == 0 {
            switch step {
            case .fletcher32:
                guard count >= 4 else {
                    reason = "\(count) bytes are too few for a checksum"
                    return nil
                }
                count -= 4
                let kept = UInt32(littleEndian: source.base.loadUnaligned(fromByteOffset: count, as: UInt32.self))
                let found = pando_hdf5_fletcher32(source.base, count)
                guard kept == found else {
                    reason = "the Fletcher-32 checksum is \(hex(found)), the file says \(hex(kept))"
                    return nil
                }
            case .shuffle(let item):
                target.reserve(count + HDF5Scratch.slack)
                pando_hdf5_unshuffle(target.base, source.base, count, item)
                (source, target) = (target, other(than: target, scratch))
            case .deflate, .lzf:
                let size = sizeBefore(index, mask: mask, chunkBytes: chunkBytes)
                target.reserve(size + HDF5Scratch.slack)
                if case .lzf = step {
                    guard pando_hdf5_lzf(source.base, count, target.base, size) == 1 else {
                        reason = "the LZF stream is damaged or does not give \(size) bytes"
                        return nil
                    }
                } else if let words = scratch.inflate(source.base, count, target.base, size) {
                    reason = words
                    return nil
                }
                count = size
                (source, target) = (target, other(than: target, scratch))
            }
        }
        guard count == chunkBytes else {
            reason = "it has \(count) bytes, a chunk has \(chunkBytes)"
            return nil
        }
        source.reserve(count + HDF5Scratch.slack, keeping: count)
        return UnsafeRawPointer(source.base)
    }

    /// The bytes that went into step `index` when the chunk was written: only checksums before it add any.
    private func sizeBefore(_ index: Int, mask: UInt32, chunkBytes: Int) -> Int {
        var size = chunkBytes
        for (earlier, step) in steps[..<index].enumerated() where mask & (1 << UInt32(earlier)) == 0 {
            if case .fletcher32 = step { size += 4 }
        }
        return size
    }

    /// The stored bytes stay as they are, so that an all-zero chunk can be remembered.
    private func other(than buffer: AlignedBuffer, _ scratch: HDF5Scratch) -> AlignedBuffer {
        buffer === scratch.chunk ? scratch.spare : scratch.chunk
    }

    private func hex(_ value: UInt32) -> String { String(value, radix: 16) }
}
