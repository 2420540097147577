import CDeflate
import CLZ4
import CLZMA
import CXXHash
import CZstd
import Foundation
import ROOTFile
import Support
import TestSupport
import Testing

/// What decoding costs beyond the library's own call on the same bytes: memory (counted by a malloc that is put before the
/// C library's) and time (printed where PANDO_BENCH_ROOT is set).
@Suite(.serialized) struct CompressionSpeedTests {
    @Test(.enabled(if: AllocationCounter.canRun, "there is no C compiler"))
    func `a process that counts allocations of its decoders finds none`() throws {
        let (status, text) = try AllocationCounter.run(filter: "decoders take memory once")
        #expect(status == 0, "\(text.suffix(3000))")
        for codec in ["ZL", "L4", "ZS", "CS"] { #expect(text.contains("\(codec): 0 allocations")) }
    }

    @Test(
        .enabled(if: AllocationCounter.count != nil, "no counter of allocations is preloaded"),
        arguments: [CompressionCodec.zlib, .lz4, .zstd, .old])
    func `decoders take memory once`(codec: CompressionCodec) throws {
        let count = try #require(AllocationCounter.count)
        let start = count()
        let contents = [100, 5_000, 300_000, 40].map { compressible($0) }
        let payloads = try contents.map { try codec.block($0) + codec.block(compressible(10)) }
        var target = [UInt8](repeating: 0, count: 300_010)
        func round(_ decoder: ROOTDecoder) throws -> Int {
            let before = count()
            for (payload, content) in zip(payloads, contents) {
                try payload.withUnsafeBytes { payload in
                    try ROOTDecoder.check(payload, holds: content.count + 10)
                    try target.withUnsafeMutableBytes {
                        try decoder.decompress(
                            payload, into: UnsafeMutableRawBufferPointer(rebasing: $0[..<(content.count + 10)]))
                    }
                }
            }
            return count() - before
        }
        // The arrays above show that the counter counts; the first round makes contexts.
        #expect(count() > start)
        let decoder = ROOTDecoder()
        let first = try round(decoder)
        let later = try round(decoder)
        print("\(codec.rawValue): \(later) allocations after \(first)")
        #expect(later == 0)
    }

    private func cpuSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// The bare call that a program without this room would make for a block of one codec; true if it gave all bytes.
    private func bare(
        _ codec: String, _ content: UnsafeRawBufferPointer, _ target: UnsafeMutableRawBufferPointer,
        _ contexts: (deflate: OpaquePointer, zstd: OpaquePointer)
    ) -> Bool {
        guard let input = content.baseAddress, let output = target.baseAddress else { return false }
        switch codec {
        case "ZL":
            return libdeflate_zlib_decompress(contexts.deflate, input, content.count, output, target.count, nil)
                == LIBDEFLATE_SUCCESS
        case "CS":
            return libdeflate_deflate_decompress(contexts.deflate, input, content.count, output, target.count, nil)
                == LIBDEFLATE_SUCCESS
        case "ZS":
            return ZSTD_decompressDCtx(contexts.zstd, output, target.count, input, content.count) == target.count
        case "XZ":
            var (limit, read, written) = (UInt64(80 << 20), 0, 0)
            return lzma_stream_buffer_decode(
                &limit, 0, nil, input.assumingMemoryBound(to: UInt8.self), &read, content.count,
                output.assumingMemoryBound(to: UInt8.self), &written, target.count) == LZMA_OK
        default:
            return Int(
                LZ4_decompress_safe(
                    input.advanced(by: 8).assumingMemoryBound(to: CChar.self),
                    output.assumingMemoryBound(to: CChar.self), Int32(content.count - 8), Int32(target.count)))
                == target.count
        }
    }

    @Test(
        .enabled(
            if: ProcessInfo.processInfo.environment["PANDO_BENCH_ROOT"] != nil && CompressionPeerTests.isThere,
            "set PANDO_BENCH_ROOT to measure"))
    func `decoding costs little beyond the bare libraries`() throws {
        let data = try #require(Package.data)
        let contexts = (
            deflate: try #require(libdeflate_alloc_decompressor()), zstd: try #require(ZSTD_createDCtx())
        )
        defer {
            libdeflate_free_decompressor(contexts.deflate)
            ZSTD_freeDCtx(contexts.zstd)
        }
        let records = try CompressionPeerTests.records(
            CompressionPeerTests.codecs + CompressionPeerTests.scan, [data + "/root", data + "/jetclass"])
        for codec in ["ZL", "XZ", "L4", "ZS", "CS"] {
            // Payloads of one block only, which the bare call can take.
            var payloads: [(bytes: [UInt8], count: Int)] = []
            for record in records where record.codec == codec && record.count < 1 << 20 {
                let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: record.file))
                try file.seek(toOffset: UInt64(record.offset))
                payloads.append(([UInt8](try #require(try file.read(upToCount: record.stored))), record.count))
            }
            var target = [UInt8](repeating: 0, count: 1 << 20)
            let decoder = ROOTDecoder()
            var (ours, theirs, sums) = (Double.infinity, Double.infinity, Double.infinity)
            for _ in 0..<15 {
                var start = cpuSeconds()
                for (bytes, count) in payloads {
                    try bytes.withUnsafeBytes { bytes in
                        try target.withUnsafeMutableBytes {
                            try decoder.decompress(bytes, into: UnsafeMutableRawBufferPointer(rebasing: $0[..<count]))
                        }
                    }
                }
                ours = min(ours, cpuSeconds() - start)
                var done = 0
                start = cpuSeconds()
                for (bytes, count) in payloads {
                    let whole = bytes.withUnsafeBytes { bytes in
                        target.withUnsafeMutableBytes {
                            bare(
                                codec, UnsafeRawBufferPointer(rebasing: bytes[9...]),
                                UnsafeMutableRawBufferPointer(rebasing: $0[..<count]), contexts)
                        }
                    }
                    if whole { done += 1 }
                }
                theirs = min(theirs, cpuSeconds() - start)
                #expect(done == payloads.count)
                start = cpuSeconds()
                var sum: UInt64 = 0
                for (bytes, _) in payloads {
                    bytes.withUnsafeBytes { sum ^= XXH64($0.baseAddress?.advanced(by: 17), $0.count - 17, 0) }
                }
                #expect(sum != 1)
                sums = min(sums, cpuSeconds() - start)
            }
            let total = Double(payloads.reduce(0) { $0 + $1.count })
            let least = codec == "L4" ? theirs + sums : theirs
            func digits(_ value: Double) -> String { String(format: "%.3f", value) }
            print(
                "\(codec): \(payloads.count) payloads, \(Int(total)) bytes, \(digits(ours / total * 1e9)) ns a byte, "
                    + "library \(digits(theirs / total * 1e9)), XXH64 \(digits(sums / total * 1e9)), "
                    + "ratio \(digits(ours / least))")
            #expect(ours < 1.5 * least)
        }
    }
}
