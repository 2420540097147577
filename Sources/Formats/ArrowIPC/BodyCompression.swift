import CLZ4

/// How the buffers of a record batch are compressed.
public enum BodyCompression: Hashable, Sendable {
    /// Stored plainly: readers use them in place.
    case none
    /// LZ4 frames with content size and checksum.
    case lz4
    /// Zstandard frames with content size and checksum, at a level that libzstd knows (negative ones are fast).
    case zstd(level: Int)
    /// The same at level 3, with parameters that fit the types of values (`ZstdFrames`).
    case tunedZstd

    /// The number in the metadata.
    var codec: Int8? {
        switch self {
        case .none: nil
        case .lz4: ArrowFormat.Codec.lz4
        case .zstd, .tunedZstd: ArrowFormat.Codec.zstd
        }
    }
}

/// Compresses buffers into frames; one thread's.
final class BodyCompressor {
    private enum Engine {
        case none
        case lz4(LZ4F_preferences_t)
        case zstd(ZstdFrames)
    }

    private let engine: Engine

    init(_ compression: BodyCompression) throws(ArrowError) {
        switch compression {
        case .none: engine = .none
        case .lz4:
            var preferences = LZ4F_preferences_t()
            preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled
            engine = .lz4(preferences)
        case .zstd(let level): engine = .zstd(try ZstdFrames(level: level))
        case .tunedZstd: engine = .zstd(try ZstdFrames.tuned())
        }
    }

    /// The most bytes that `store` writes for a buffer of `count` bytes.
    func bound(_ count: Int) -> Int {
        guard count > 0 else { return 0 }
        switch engine {
        case .none: return count
        case .lz4(var preferences): return ArrowFormat.prefixSize + LZ4F_compressFrameBound(count, &preferences)
        case .zstd: return ArrowFormat.prefixSize + ZstdFrames.bound(count)
        }
    }

    /// Writes a buffer as the body holds it and returns how many bytes that took.
    /// - Parameter type: Of its values; nil for other content.
    func store(
        _ source: UnsafeRawBufferPointer, as type: ArrowType?, to target: UnsafeMutableRawBufferPointer
    ) throws(ArrowError) -> Int {
        guard source.count > 0, let start = target.baseAddress else { return 0 }
        // Never the raw form (-1), even where a frame is larger than its content: raw bytes carry no checksum.
        let frame = start + ArrowFormat.prefixSize
        let room = target.count - ArrowFormat.prefixSize
        let written: Int
        switch engine {
        case .none:
            target.copyMemory(from: source)
            return source.count
        case .lz4(var preferences):
            preferences.frameInfo.contentSize = UInt64(source.count)
            written = LZ4F_compressFrame(frame, room, source.baseAddress, source.count, &preferences)
            guard LZ4F_isError(written) == 0 else {
                throw ArrowError(.codec, message: "LZ4: \(String(cString: LZ4F_getErrorName(written)))")
            }
        case .zstd(let frames):
            written = try frames.compress(
                source, as: type, to: UnsafeMutableRawBufferPointer(start: frame, count: room))
        }
        target.storeBytes(of: Int64(source.count).littleEndian, as: Int64.self)
        return ArrowFormat.prefixSize + written
    }
}
