import Foundation
import Shards
import Support
import TestSupport
import Testing

@Suite struct CatalogueFuzzTests {
    /// Mutations with the digest made right again, so that they reach the parser and what stands behind it.
    @Test func `no mutated catalogue crashes or hangs the reader`() throws {
        let seed = UInt64(Package.number("PANDO_SEED", default: Int.random(in: 0...99_999)))
        var random = Seeded(seed)
        let directory = try TemporaryDirectory()
        let output = directory.file("d")
        try MadeInput.convert([Package.sample], output) {
            $0.limit = 60; $0.batchRows = 30
        }
        let original = try InputFile(path: "\(output)/\(Catalogue.fileName)").readAll()
        let words = [
            "-1", "0", "9223372036854775807", "1e999", "null", "[]", "{}", "\"\"", "\"../../x\"", "true", "float16",
            "lattice",
        ]
        var opened = 0
        for number in 0..<Package.number("PANDO_FUZZ_CATALOGUE", default: 5000) {
            var bytes = original
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<5, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...40, using: &random)))
                case 2: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 30)], at: place)
                default:
                    // A value in place of another: from a colon to the end of the line.
                    guard let colon = bytes[place...].firstIndex(of: UInt8(ascii: ":")),
                        let end = bytes[colon...].firstIndex(of: UInt8(ascii: "\n"))
                    else { continue }
                    let comma = bytes[end - 1] == UInt8(ascii: ",") ? "," : ""
                    bytes.replaceSubrange(
                        colon + 1..<end, with: Array(((words.randomElement(using: &random) ?? "") + comma).utf8))
                }
                if bytes.isEmpty { break }
            }
            do {
                let catalogue = try Catalogue(fileBytes: resealed(bytes), path: "mutated")
                opened += 1
                // What opens is used: decoding with a catalogue that lies must end in an error or in numbers.
                if number % 10 == 0 { try use(catalogue, output, directory.file("use")) }
            } catch {
                #expect(!"\(error)".isEmpty)
            }
        }
        #expect(opened > 0, "seed \(seed): no mutation reached the code behind the parser")
    }

    /// The bytes with their own digest made right, if they still have a place for it.
    private func resealed(_ bytes: [UInt8]) -> [UInt8] {
        let key = Array("\n  \"digest\" : \"".utf8)
        var start = 0
        while let found = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            let end = found + key.count
            guard end + 16 <= bytes.count else { return bytes }
            if bytes[found..<end].elementsEqual(key) {
                var copy = bytes
                copy.replaceSubrange(end..<end + 16, with: Array("0000000000000000".utf8))
                copy.replaceSubrange(end..<end + 16, with: Array(Digest(of: copy).hex.utf8))
                return copy
            }
            start = found + 1
        }
        return bytes
    }

    private func use(_ catalogue: Catalogue, _ original: String, _ copy: String) throws {
        try? FileManager.default.removeItem(atPath: copy)
        try FileManager.default.copyItem(atPath: original, toPath: copy)
        try OutputFile.write(catalogue.fileBytes(), to: "\(copy)/\(Catalogue.fileName)")
        _ = try? DatasetVerifier(directory: copy).run()
        let dataset = try Dataset(directory: copy)
        let reader = dataset.makeReader()
        let decoder = try JetDecoder(encoding: catalogue.encoding, file: copy)
        let columns = JetColumns(fields: catalogue.encoding.fields)
        for batch in 0..<dataset.batchCount { try decoder.decode(reader.read(batch), into: columns, file: copy) }
    }
}
