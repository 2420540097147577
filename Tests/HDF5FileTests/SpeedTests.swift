import CDeflate
import Foundation
import HDF5File
import Support
import Testing

/// Prints what reading costs beside the bare inflating of the same chunks. Runs where PANDO_BENCH_HDF5 names a file.
@Suite(
    .serialized,
    .enabled(if: ProcessInfo.processInfo.environment["PANDO_BENCH_HDF5"] != nil, "set PANDO_BENCH_HDF5 to a file"))
struct SpeedTests {
    private func cpuSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    @Test
    func `Reading padded rows costs little beyond inflating their chunks`() throws {
        let path = try #require(ProcessInfo.processInfo.environment["PANDO_BENCH_HDF5"])
        let file = try HDF5File(path: path)
        let dataset = try file.dataset("PFCands")
        let chunks = try #require(try dataset.chunks())
        let chunkBytes = try #require(dataset.info.chunkShape).reduce(4, *)
        let input = try InputFile(path: path)
        let stored = AlignedBuffer(capacity: 2 * chunkBytes)
        let chunk = AlignedBuffer(capacity: chunkBytes)
        let decompressor = try #require(libdeflate_alloc_decompressor())
        defer { libdeflate_free_decompressor(decompressor) }
        var bare = Double.infinity
        var ours = Double.infinity
        var total = 0
        // Kept, as a worker keeps it for a whole conversion.
        let scratch = HDF5Scratch()
        for _ in 0..<5 {
            var start = cpuSeconds()
            for chunk in chunks {
                let place = UnsafeMutableRawBufferPointer(start: stored.base, count: chunk.storedBytes)
                try input.read(at: try #require(chunk.address), into: place)
            }
            let reading = cpuSeconds() - start
            start = cpuSeconds()
            for entry in chunks {
                let place = UnsafeMutableRawBufferPointer(start: stored.base, count: entry.storedBytes)
                try input.read(at: entry.address ?? 0, into: place)
                let outcome = libdeflate_zlib_decompress(
                    decompressor, stored.base, entry.storedBytes, chunk.base, chunkBytes, nil)
                #expect(outcome == LIBDEFLATE_SUCCESS)
            }
            bare = min(bare, cpuSeconds() - start)
            start = cpuSeconds()
            let reader = try PaddedReader([dataset])
            total = 0
            for band in 0..<reader.bandCount { total += try reader.readBand(band, scratch: scratch).total }
            let all = cpuSeconds() - start
            ours = min(ours, all)
            print("pread alone \(reading) s, pread and inflate \(bare) s, bands \(all) s")
        }
        let rows = dataset.info.shape[0]
        print(
            """
            \(rows) rows, \(chunks.count) chunks of \(dataset.info.chunkShape ?? []), \(total) constituents; \
            bare \(bare * 1e9 / Double(total)) ns, ours \(ours * 1e9 / Double(total)) ns, \
            beyond \((ours - bare) * 1e9 / Double(total)) ns a constituent
            """)
    }
}
