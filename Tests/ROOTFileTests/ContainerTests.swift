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

}
