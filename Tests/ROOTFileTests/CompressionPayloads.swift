import CDeflate
import CLZ4
import CLZMA
import CXXHash
import CZstd
import Foundation
import ROOTFile
import TestSupport

/// The codecs of ROOT files, as a writer knows them.
enum CompressionCodec: String, CaseIterable {
    case zlib = "ZL"
    case lzma = "XZ"
    case lz4 = "L4"
    case zstd = "ZS"
    case old = "CS"

    /// One block with its header; `lies` replaces the sizes in it.
    func block(_ content: [UInt8], compressedSize: Int? = nil, contentSize: Int? = nil) throws -> [UInt8] {
        try Self.block(
            rawValue, stream(content), contentSize: contentSize ?? content.count, compressedSize: compressedSize)
    }

    /// A block around compressed bytes.
    static func block(
        _ tag: String, _ stream: [UInt8], contentSize: Int, compressedSize: Int? = nil
    ) -> [UInt8] {
        func size(_ n: Int) -> [UInt8] { [UInt8(n & 255), UInt8(n >> 8 & 255), UInt8(n >> 16 & 255)] }
        return Array(tag.utf8) + [8] + size(compressedSize ?? stream.count) + size(contentSize) + stream
    }

    /// The compressed bytes, made by the codec's own library.
    func stream(_ content: [UInt8]) throws -> [UInt8] {
        switch self {
        case .zlib, .old:
            let compressor = try Self.present(libdeflate_alloc_compressor(6))
            defer { libdeflate_free_compressor(compressor) }
            return try Self.filled(libdeflate_zlib_compress_bound(compressor, content.count)) { out in
                self == .zlib
                    ? libdeflate_zlib_compress(compressor, content, content.count, out.baseAddress, out.count)
                    : libdeflate_deflate_compress(compressor, content, content.count, out.baseAddress, out.count)
            }
        case .lzma:
            return try Self.filled(lzma_stream_buffer_bound(content.count)) { out in
                var count = 0
                let outcome = lzma_easy_buffer_encode(
                    1, LZMA_CHECK_CRC32, nil, content, content.count,
                    out.baseAddress?.assumingMemoryBound(to: UInt8.self), &count, out.count)
                return outcome == LZMA_OK ? count : 0
            }
        case .lz4:
            let block = try Self.filled(Int(LZ4_compressBound(Int32(content.count)))) { out in
                content.withUnsafeBytes {
                    Int(
                        LZ4_compress_default(
                            $0.baseAddress?.assumingMemoryBound(to: CChar.self),
                            out.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(content.count),
                            Int32(out.count)))
                }
            }
            return withUnsafeBytes(of: XXH64(block, block.count, 0).bigEndian) { Array($0) } + block
        case .zstd:
            return try Self.filled(ZSTD_compressBound(content.count)) { out in
                ZSTD_compress(out.baseAddress, out.count, content, content.count, 3)
            }
        }
    }

    private struct Failure: Error {}

    private static func present<T>(_ value: T?) throws -> T {
        guard let value else { throw Failure() }
        return value
    }

    /// The first bytes of a buffer, as many as `fill` says; none is a failure.
    private static func filled(_ capacity: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Int) throws -> [UInt8] {
        var out = [UInt8](repeating: 0, count: capacity)
        let count = out.withUnsafeMutableBytes(fill)
        guard (1...capacity).contains(count) else { throw Failure() }
        return Array(out[..<count])
    }
}

/// Bytes that compress, but not to nothing.
func compressible(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var random = Seeded(seed)
    return (0..<count).map { $0 % 4 == 0 ? UInt8.random(in: 0..<16, using: &random) : UInt8($0 / 64 & 7) }
}

/// Memory whose last byte is the last before a page that must not be touched: one byte too far ends the process.
final class CompressionGuard {
    private let base: UnsafeMutableRawPointer
    private let size: Int

    init(capacity: Int) throws {
        let page = 4096
        size = (capacity + page - 1) / page * page
        let found = mmap(nil, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let found, found != MAP_FAILED, mprotect(found + size, page, PROT_NONE) == 0 else {
            throw POSIXError(.ENOMEM)
        }
        base = found
    }

    deinit { munmap(base, size + 4096) }

    /// The last `count` bytes.
    func last(_ count: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: base + (size - count), count: count)
    }

    /// Those bytes, a copy of `bytes`.
    func holding(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
        last(bytes.count).copyBytes(from: bytes)
        return UnsafeRawBufferPointer(last(bytes.count))
    }
}

/// What comes out of a payload, or the error.
func decompressed(_ payload: [UInt8], count: Int, with decoder: ROOTDecoder = ROOTDecoder()) throws -> [UInt8] {
    let input = try CompressionGuard(capacity: payload.count + 1)
    let output = try CompressionGuard(capacity: count + 1)
    try decoder.decompress(input.holding(payload), into: output.last(count))
    return Array(output.last(count))
}

/// The error that decompressing gives, or nil.
func decompressionError(_ payload: [UInt8], count: Int, with decoder: ROOTDecoder = ROOTDecoder()) -> ROOTError? {
    do {
        _ = try decompressed(payload, count: count, with: decoder)
        return nil
    } catch { return error as? ROOTError }
}
