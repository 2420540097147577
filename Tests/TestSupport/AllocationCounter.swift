import Foundation

/// Counts calls of malloc in the tests' own program, started once more with a malloc that is put before the C library's.
///
/// A test that counts is enabled only in that process (`count` is nil elsewhere); another one starts it with `run` and looks at
/// what it printed.
public enum AllocationCounter {
    private static let source = """
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

    private static let compiler = ["/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang"].first(
        where: FileManager.default.isExecutableFile)

    /// Calls of malloc in this thread so far; nil where nothing counts them.
    public static let count: (@convention(c) () -> Int)? = {
        dlsym(nil, "pando_allocations").map { unsafeBitCast($0, to: (@convention(c) () -> Int).self) }
    }()

    /// Whether this process can start one that counts.
    public static var canRun: Bool { compiler != nil && count == nil }

    /// Runs the tests whose names match in a process that counts. Returns its exit status and what it printed.
    public static func run(filter: String) throws -> (status: Int32, output: String) {
        let directory = try TemporaryDirectory(), library = directory.file("count.so")
        try source.write(toFile: directory.file("count.c"), atomically: false, encoding: .utf8)
        let compiled = try start(
            compiler ?? "", ["-O1", "-shared", "-fPIC", "-o", library, directory.file("count.c")])
        guard compiled.status == 0 else { return compiled }
        return try start(
            FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
            ["--testing-library", "swift-testing", "--filter", filter], ["LD_PRELOAD": library])
    }

    private static func start(
        _ program: String, _ arguments: [String], _ environment: [String: String] = [:]
    ) throws -> (status: Int32, output: String) {
        let process = Process(), pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }
}
