import ArrowIPC
import Foundation
import Shards
import Support
import TestSupport
import Testing

/// That a loop over record batches takes no memory of the heap, counted by a malloc that is put before the library's.
@Suite struct AllocationTests {
    private static let counter = """
        #include <stddef.h>
        extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
        extern void *__libc_memalign(size_t, size_t);
        static __thread long count __attribute__((tls_model("initial-exec")));
        long pando_allocations(void) { return count; }
        void *malloc(size_t n) { count++; return __libc_malloc(n); }
        void *calloc(size_t n, size_t s) { count++; return __libc_calloc(n, s); }
        void *realloc(void *p, size_t n) { count++; return __libc_realloc(p, n); }
        void *memalign(size_t a, size_t n) { count++; return __libc_memalign(a, n); }
        void *aligned_alloc(size_t a, size_t n) { count++; return __libc_memalign(a, n); }
        int posix_memalign(void **p, size_t a, size_t n) { count++; return (*p = __libc_memalign(a, n)) ? 0 : 12; }

        """

    private static let compiler = ["/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang"].first(where: Directory.exists)

    /// Calls of malloc in this thread; there only in the process that the test below starts.
    private static let allocations: (@convention(c) () -> Int)? = {
        dlsym(nil, "pando_allocations").map { unsafeBitCast($0, to: (@convention(c) () -> Int).self) }
    }()

    @Test(.enabled(if: compiler != nil && allocations == nil, "there is no C compiler"))
    func `a process that counts its allocations finds none`() throws {
        let directory = try TemporaryDirectory()
        try Self.counter.write(toFile: directory.file("count.c"), atomically: false, encoding: .utf8)
        func run(_ program: String, _ arguments: [String], _ environment: [String: String] = [:]) throws -> String {
            let process = Process(), pipe = Pipe()
            process.executableURL = URL(fileURLWithPath: program)
            process.arguments = arguments
            process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
            process.standardOutput = pipe
            process.standardError = pipe
            try process.run()
            let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationStatus == 0, "\(text.suffix(3000))")
            return text
        }
        let library = directory.file("count.so")
        _ = try run(
            #require(Self.compiler), ["-O1", "-shared", "-fPIC", "-o", library, directory.file("count.c")])
        let text = try run(
            FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
            ["--testing-library", "swift-testing", "--filter", "counted in steady state"], ["LD_PRELOAD": library])
        for compression in Datasets.compressions { #expect(text.contains("\(compression): 0 allocations")) }
    }

    @Test(.enabled(if: allocations != nil, "no counter of allocations is preloaded"), arguments: Datasets.compressions)
    func `reading and mapping are counted in steady state`(compression: BodyCompression) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        try Datasets.convert(directory.file("d"), compression) {
            $0.shardBytes = 1 << 30
            $0.batchRows = 50
        }
        let dataset = try Dataset(directory: directory.file("d"))
        let count = try #require(Self.allocations)
        let columns = ["jet_pt", "pt", "dphi", "x_bits"].compactMap(dataset.schema.index)
        let reader = try ColumnReader(dataset: dataset, columns: columns, maps: MappedShards(dataset: dataset))
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { memory.deallocate() }
        var mapped = MappedColumns()
        func round() throws -> Int {
            let before = count()
            for batch in 0..<dataset.batchCount {
                try reader.read(batch)
                for slot in columns.indices {
                    try reader.decodeValues(
                        slot, into: UnsafeMutableRawBufferPointer(rebasing: memory[..<reader.valueBytes(slot)]))
                    guard try reader.childLength(slot) != nil else { continue }
                    let offsets = memory.bindMemory(to: Int32.self)
                    try reader.decodeOffsets(
                        slot, into: UnsafeMutableBufferPointer(rebasing: offsets[...reader.rowCount]))
                }
                _ = try reader.map(batch, into: &mapped)
                reader.advise(batch)
                reader.release(batch)
            }
            return count() - before
        }
        // The first round makes contexts and memory.
        #expect(try round() > 0)
        let later = try round()
        print("\(compression): \(later) allocations in \(dataset.batchCount) batches")
        #expect(later == 0)
    }
}
