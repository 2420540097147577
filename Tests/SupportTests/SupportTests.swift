import Foundation
import Support
import TestSupport
import Testing

@Suite struct SupportTests {
    /// Check values of docs/format.md, made with the reference library.
    @Test(arguments: [
        ("", "2d06800538d394c2"), ("pando", "3475a527038c7151"),
    ])
    func `digests have their published values`(text: String, digest: String) {
        #expect(Digest(of: Array(text.utf8)).hex == digest)
    }

    @Test func `a digest fed piece by piece equals that of the whole`() {
        let bytes = (0..<5).flatMap { _ in (0...255).map { UInt8($0) } }
        var streaming = StreamingDigest()
        for start in stride(from: 0, to: bytes.count, by: 77) {
            bytes[start..<min(bytes.count, start + 77)].withUnsafeBytes { streaming.update($0) }
        }
        #expect(streaming.digest.hex == "4844b009e164352e")
        #expect(Digest(of: bytes) == streaming.digest)
    }

    @Test(arguments: ["", "123", "zz06800538d394c2", "+d06800538d394c2", "2d06800538d394c2f"])
    func `what is no digest is not read as one`(text: String) {
        #expect(Digest(hex: text) == nil)
    }

    @Test func `an output file appears only when it is published`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("a")
        do {
            let dropped = try OutputFile(path: path)
            try dropped.write([1, 2, 3])
        }
        #expect(try Directory.names(in: directory.path) == [])
        let file = try OutputFile(path: path)
        try file.write([1, 2, 3])
        #expect(!Directory.exists(path))
        try file.publish()
        #expect(try InputFile(path: path).readAll() == [1, 2, 3])
        #expect(try Directory.names(in: directory.path) == ["a"])
    }

    @Test func `reading behind the end of a file names the file and the place`() throws {
        let directory = try TemporaryDirectory()
        try OutputFile.write([1, 2, 3], to: directory.file("a"))
        let file = try InputFile(path: directory.file("a"))
        #expect(throws: SystemError.self) { try file.read(at: 2, count: 5) }
        var buffer = [UInt8](repeating: 0, count: 8)
        let error = #expect(throws: SystemError.self) {
            try buffer.withUnsafeMutableBytes { try file.read(at: 1, into: $0) }
        }
        #expect(error?.code == .truncated)
        #expect(error?.description.contains(directory.file("a")) == true)
    }

    @Test func `checked bytes give nothing outside`() {
        let bytes: [UInt8] = [1, 0, 0, 0, 2]
        bytes.withUnsafeBytes { raw in
            let untrusted = UntrustedBytes(raw)
            #expect(untrusted.load(UInt32.self, at: 0) == 1)
            #expect(untrusted.load(UInt32.self, at: 2) == nil)
            #expect(untrusted.load(UInt32.self, at: -1) == nil)
            #expect(untrusted.load(UInt32.self, at: .max) == nil)
            #expect(untrusted.slice(at: 1, length: 4)?.count == 4)
            #expect(untrusted.slice(at: 1, length: .max) == nil)
            #expect(untrusted.slice(at: 5, length: 0)?.count == 0)
        }
    }

    @Test func `worker threads do every item once and report the first error`() throws {
        let seen = Monitor([Int]())
        try WorkerThreads.forEach(100, threads: 3) { item in seen.update { $0.append(item) } }
        #expect(seen.read { $0.sorted() } == Array(0..<100))
        #expect(throws: SystemError.self) {
            try WorkerThreads.forEach(100, threads: 3) { item in
                if item == 5 { throw SystemError(.truncated, file: "x", message: "y") }
            }
        }
    }

    @Test func `this machine has cores for us`() {
        #expect(Machine.usableCores >= 1)
    }
}
