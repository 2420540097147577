import Foundation
import ROOTFile
import Support
import TestSupport
import Testing

@Suite struct ContainerTests {
    private static let folder = Package.data.map { $0 + "/root" }
    private static var isThere: Bool {
        folder.map { FileManager.default.fileExists(atPath: $0 + "/pfnano_mc_qcd.root") } ?? false
    }

    private func path(_ name: String) throws -> String { try #require(Self.folder) + "/" + name }

    @Test(.enabled(if: isThere, "there are no ROOT files beside the package"))
    func `keys are found by name, with the highest cycle unless another is asked for`() throws {
        let file = try ROOTFile(path: path("pfnano_mc_qcd.root"))
        #expect(file.version == "6.40/00" && file.compression == 404)
        #expect(try file.key(named: "Events").cycle == 3)
        #expect(try file.key(named: "Events;2").cycle == 2)
        #expect(file.keys.count { $0.name == "Events" } == 2)
        let error = #expect(throws: ROOTError.self) { try file.key(named: "Events;1") }
        #expect(error?.code == .missing && error?.advice?.contains("Events;3") == true)
        #expect(throws: ROOTError.self) { try file.key(named: "nothing/Events") }
        let payload = try file.payload(of: file.key(named: "Runs"), using: ROOTDecoder())
        #expect(payload.count == (try file.key(named: "Runs").payloadBytes))
    }

    @Test(.enabled(if: isThere, "there are no ROOT files beside the package"))
    func `headers of more than 2 GB are read as small ones are`() throws {
        let file = try ROOTFile(path: path("zoo/zoo_big64.root"))
        #expect(!file.keys.isEmpty)
        for key in file.keys where !ROOTFile.isDirectory(key) {
            #expect(try file.payload(of: key, using: ROOTDecoder()).count == key.payloadBytes)
        }
    }

    @Test func `what is no ROOT file is told from one that is cut short`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.file("f")
        try Data("ARROW1 and more than that".utf8).write(to: URL(fileURLWithPath: path))
        #expect(#expect(throws: ROOTError.self) { try ROOTFile(path: path) }?.code == .notROOT)
        try Data("root".utf8).write(to: URL(fileURLWithPath: path))
        #expect(#expect(throws: ROOTError.self) { try ROOTFile(path: path) }?.code == .truncated)
        #expect(throws: ROOTError.self) { try ROOTFile(path: directory.file("nothing")) }
    }

    /// What reading the keys and some payloads of a file ends in.
    private func failure(of path: String, _ decoder: ROOTDecoder) -> ROOTError? {
        do throws(ROOTError) {
            let file = try ROOTFile(path: path)
            for key in file.keys.prefix(20) {
                if ROOTFile.isDirectory(key) {
                    _ = try file.keys(inDirectory: key.name)
                } else {
                    _ = try file.payload(of: key, using: decoder)
                }
            }
            return nil
        } catch {
            return error
        }
    }

    @Test(.enabled(if: isThere, "there are no ROOT files beside the package"))
    func `mutated files end in errors or in what they say, and never in a crash`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let copy = directory.file("mutated.root"), decoder = ROOTDecoder()
        var random = Seeded(UInt64(Package.number("PANDO_SEED", default: 11)))
        var refused = 0
        let rounds = Package.number("PANDO_FUZZ_ROOT", default: 1500)
        for name in ["zoo/zoo_cycles.root", "zoo/zoo_types_lz4.root", "public/uproot-histograms.root"] {
            let whole = try Data(contentsOf: URL(fileURLWithPath: path(name)))
            guard let original = try? ROOTFile(path: path(name)), whole.count < 4 << 20 else { continue }
            // Where the sizes and places are: the header, keys, and their lists at the end.
            let places =
                Array(0..<min(whole.count, 400)) + Array(max(0, whole.count - 4000)..<whole.count)
                + original.keys.flatMap { Array($0.position..<min(whole.count, $0.position + 80)) }
            for _ in 0..<rounds / 3 {
                var bytes = whole
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    let place = places.randomElement(using: &random) ?? 0
                    bytes[place] =
                        [0, 1, 0x7f, 0x80, 0xff, UInt8.random(in: 0...255, using: &random)]
                        .randomElement(using: &random) ?? 0
                }
                if Bool.random(using: &random) { bytes = bytes.prefix(Int.random(in: 1...bytes.count, using: &random)) }
                try bytes.write(to: URL(fileURLWithPath: copy))
                if let error = failure(of: copy, decoder) {
                    refused += 1
                    #expect(error.file == copy && !error.message.isEmpty)
                }
            }
        }
        #expect(refused > rounds / 4)
    }
}
