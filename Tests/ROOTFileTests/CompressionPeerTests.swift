import Foundation
import ROOTFile
import Support
import TestSupport
import Testing

/// Python's zlib, lzma, zstandard, xxhash and pyarrow's LZ4 beside ours, on the same payloads.
@Suite struct CompressionPeerTests {
    /// Where a payload lies, what it holds and what Python made of it.
    struct Record {
        var file: String
        var codec: String
        var offset: Int
        var stored: Int
        var count: Int
        var digest: String
    }

    private static let interpreter = ProcessInfo.processInfo.environment["PANDO_PYTHON"] ?? "python3"
    static let isThere = (try? run("import zlib, lzma, zstandard, xxhash, pyarrow", [])) != nil

    private struct Failure: Error {
        var words: String
    }

    private static func run(_ script: String, _ arguments: [String]) throws -> String {
        let process = Process(), pipe = Pipe(), errors = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [interpreter, "-c", script] + arguments
        process.standardOutput = pipe
        process.standardError = errors
        try process.run()
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let words = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(words: words) }
        return text
    }

    static func records(_ script: String, _ arguments: [String]) throws -> [Record] {
        try run(script, arguments).split(separator: "\n").map { line in
            let words = line.split(separator: "\t").map(String.init)
            guard words.count == 6, let offset = Int(words[2]), let stored = Int(words[3]), let count = Int(words[4])
            else { throw Failure(words: String(line)) }
            return Record(
                file: words[0], codec: words[1], offset: offset, stored: stored, count: count, digest: words[5])
        }
    }

    /// Compares each record; returns how many there were of each codec.
    private func compare(_ records: [Record]) throws -> [String: Int] {
        let decoder = ROOTDecoder()
        var counts: [String: Int] = [:]
        var name = ""
        var bytes = Data()
        for record in records {
            if record.file != name {
                name = record.file
                bytes = try Data(contentsOf: URL(fileURLWithPath: name))
            }
            let payload = [UInt8](bytes[record.offset..<record.offset + record.stored])
            let content = try decompressed(payload, count: record.count, with: decoder)
            #expect(Digest(of: content).hex == record.digest, "\(record)")
            try payload.withUnsafeBytes { try ROOTDecoder.check($0, holds: record.count) }
            counts[record.codec, default: 0] += 1
        }
        return counts
    }

    @Test(.enabled(if: isThere && Package.data != nil, "no data, or no Python with the codecs"))
    func `every compressed record of real files has the content that Python finds`() throws {
        let data = try #require(Package.data)
        let counts = try compare(Self.records(Self.codecs + Self.scan, [data + "/root", data + "/jetclass"]))
        // Also the two blocks of 18,000,000 bytes of the zoo's files, and the old codec of ROOT's own making.
        for codec in ["ZL", "XZ", "L4", "ZS", "CS"] { #expect(counts[codec, default: 0] > 100) }
    }

    @Test(.enabled(if: isThere && Package.data != nil, "no data, or no Python with the codecs"))
    func `payloads of several blocks that Python made are read`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let counts = try compare(Self.records(Self.codecs + Self.make, [directory.file("payloads")]))
        #expect(counts == ["mixed": 300])
    }

    static let codecs = """
        import glob, lzma, random, re, struct, sys, zlib
        import pyarrow, xxhash, zstandard

        def content(payload, count):
            out, at = [], 0
            while sum(map(len, out)) < count:
                tag = payload[at:at + 2]
                stored, size = (int.from_bytes(payload[at + k:at + k + 3], "little") for k in (3, 6))
                data = payload[at + 9:at + 9 + stored]
                assert len(data) == stored
                if tag == b"ZL": out.append(zlib.decompress(data))
                elif tag == b"XZ": out.append(lzma.decompress(data))
                elif tag == b"ZS": out.append(zstandard.ZstdDecompressor().decompress(data, max_output_size=size))
                elif tag == b"CS": out.append(zlib.decompress(data, -15))
                elif tag == b"L4":
                    assert xxhash.xxh64_digest(data[8:]) == data[:8]
                    out.append(pyarrow.decompress(data[8:], decompressed_size=size, codec="lz4_raw", asbytes=True))
                else: raise ValueError(tag)
                assert len(out[-1]) == size
                at += 9 + stored
            return b"".join(out)

        def report(file, codec, offset, stored, content):
            print(file, codec, offset, stored, len(content), xxhash.xxh3_64_hexdigest(content), sep="\\t")


        """

    /// Keys are found by their class names; one that is a key says where it lies.
    static let scan = """
        for folder in sys.argv[1:]:
            for file in sorted(glob.glob(folder + "/**/*.root", recursive=True)):
                data = open(file, "rb").read()
                for match in re.finditer(rb"\\x07TBasket|\\x05TTree|\\x05TList", data):
                    for back, form in ((34, ">ihiIhhq"), (26, ">ihiIhhi")):
                        at = match.start() - back
                        if at < 0: continue
                        n, version, count, _, key, _, seek = struct.unpack(form, data[at:at + struct.calcsize(form)])
                        if seek != at or (version > 1000) != (back == 34) or not 0 < key < n or at + n > len(data): continue
                        payload = data[at + key:at + n]
                        if count > len(payload):
                            report(file, payload[:2].decode(), at + key, n - key, content(payload, count))

        """

    private static let make = """
        random.seed(5)
        def block(tag, data, size):
            return tag + b"\\x01" + len(data).to_bytes(3, "little") + size.to_bytes(3, "little") + data
        def pack(content):
            kind = random.choice(["ZL", "XZ", "ZS", "ZN", "L4", "CS"])
            level = random.randint(1, 9)
            if kind == "ZL": return block(b"ZL", zlib.compress(content, level), len(content))
            if kind == "XZ": return block(b"XZ", lzma.compress(content, preset=random.choice([0, 1, 9])), len(content))
            if kind == "ZS": return block(b"ZS", zstandard.ZstdCompressor(level).compress(content), len(content))
            if kind == "ZN":
                packer = zstandard.ZstdCompressor(level, write_content_size=False, write_checksum=True)
                return block(b"ZS", packer.compress(content), len(content))
            if kind == "L4":
                data = pyarrow.compress(content, codec="lz4_raw", asbytes=True)
                return block(b"L4", xxhash.xxh64_digest(data) + data, len(content))
            packer = zlib.compressobj(level, zlib.DEFLATED, -15)
            return block(b"CS", packer.compress(content) + packer.flush(), len(content))
        with open(sys.argv[1], "wb") as out:
            offset = 0
            for _ in range(300):
                payload, whole = b"", b""
                for _ in range(random.randint(1, 6)):
                    size = random.choice([1, 100, 5000, 100000])
                    values = [random.choice([b"jet", b"pt", bytes([random.randrange(256)])]) for _ in range(50)]
                    content_ = (b"".join(random.choices(values, k=size // 2 + 1)) + bytes(size))[:size]
                    payload += pack(content_)
                    whole += content_
                assert content(payload, len(whole)) == whole
                out.write(payload)
                report(sys.argv[1], "mixed", offset, len(payload), whole)
                offset += len(payload)

        """
}
