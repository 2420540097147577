import Convert
import Foundation
import HDF5File
import Shards
import Support
import TestSupport
import Testing

@Suite struct ConversionTests {
    /// The bytes of every dataset of two files, and how they are stored.
    private func expectEqual(_ path: String, _ other: String) throws {
        let first = try HDF5File(path: path), second = try HDF5File(path: other)
        let infos = try first.datasets(), others = try second.datasets()
        #expect(infos.map(\.path) == others.map(\.path))
        for (info, back) in zip(infos, others) {
            #expect(info.shape == back.shape)
            #expect(info.maxShape == back.maxShape)
            #expect(info.element == back.element)
            #expect(info.chunkShape == back.chunkShape)
            #expect(info.filters.map(\.id) == back.filters.map(\.id))
            #expect(info.filters.map(\.parameters) == back.filters.map(\.parameters))
            let rows = info.shape.first ?? 0
            let equal =
                try first.dataset(info.path).bytes(rows: 0..<rows) == second.dataset(info.path).bytes(rows: 0..<rows)
            #expect(equal, "\(info.path)")
        }
    }

    @Test func `export gives back what was converted, for the sample`() throws {
        let directory = try TemporaryDirectory()
        let catalogue = try MadeInput.convert([Package.sample], directory.file("d"))
        #expect(catalogue.rows == 1727)
        #expect(catalogue.encoding.lattice?.predictsEnergy == true)
        var verifier = DatasetVerifier(directory: directory.file("d"))
        verifier.provesLosslessness = true
        #expect(try verifier.run().isSound)
        _ = try Exporter(dataset: directory.file("d"), output: directory.file("out")).run()
        try expectEqual(Package.sample, directory.file("out/aoj_sample.h5"))
    }

    @Test(arguments: [0, 1, 2, 150])
    func `any bits come back, jets without constituents and zero rows included`(rows: Int) throws {
        let seed = UInt64.random(in: 0...99_999)
        let directory = try TemporaryDirectory()
        let path = directory.file("x.h5")
        if rows == 0 {
            // The writer of the test makes chunks of at least one row.
            try MadeInput.write(path, rows: 1, seed: seed)
            try MadeInput.convert([path], directory.file("d")) { $0.limit = 0 }
            let empty = try Dataset(directory: directory.file("d"))
            #expect(empty.batchCount == 0)
            #expect(try DatasetVerifier(directory: directory.file("d")).run().isSound)
            return
        }
        try MadeInput.write(path, rows: rows, seed: seed)
        for batchRows in [7, 2048] {
            let output = directory.file("d\(batchRows)")
            try MadeInput.convert([path], output) { $0.batchRows = batchRows }
            var verifier = DatasetVerifier(directory: output)
            verifier.provesLosslessness = true
            #expect(try verifier.run().isSound, "seed \(seed)")
            _ = try Exporter(dataset: output, output: directory.file("out\(batchRows)")).run()
            try expectEqual(path, directory.file("out\(batchRows)/x.h5"))
        }
    }

    @Test func `shards are the same bytes for any number of threads`() throws {
        let directory = try TemporaryDirectory()
        let other = directory.file("x.h5")
        try MadeInput.write(other, rows: 300, seed: 3)
        var first: [String: Data]?
        for threads in [1, 2, 7] {
            try MadeInput.convert([Package.sample, other], directory.file("d\(threads)")) {
                $0.threads = threads
                $0.batchRows = 100
                $0.shardBytes = 200_000
            }
            let files = try contents(of: directory.file("d\(threads)"))
            if let first { #expect(files == first) } else { first = files }
        }
    }

    @Test func `tasks joined are the whole, and a missing one is named`() throws {
        let directory = try TemporaryDirectory()
        let parts = (0..<3).map { directory.file("p\($0)") }
        for (number, part) in parts.enumerated() {
            try MadeInput.convert([Package.sample], part) { $0.task = .init(number: number, of: 3) }
        }
        let error = #expect(throws: DatasetError.self) {
            try DatasetMerger(parts: [parts[0], parts[2]], into: directory.file("m")).run()
        }
        #expect(error?.message.contains("task 1 of 3 is missing") == true)
        let merged = try DatasetMerger(parts: parts, into: directory.file("m")).run()
        #expect(merged.rows == 1727)
        var verifier = DatasetVerifier(directory: directory.file("m"))
        verifier.provesLosslessness = true
        #expect(try verifier.run().isSound)
        _ = try Exporter(dataset: directory.file("m"), output: directory.file("out")).run()
        try expectEqual(Package.sample, directory.file("out/aoj_sample.h5"))
    }

    @Test func `all jets of an event are in one split, in about the asked shares`() throws {
        let directory = try TemporaryDirectory()
        let catalogue = try MadeInput.convert([Package.sample], directory.file("d"))
        let splits = try #require(catalogue.splits)
        #expect(splits.parts.map(\.rows).reduce(0, +) == catalogue.rows)
        #expect(abs(Double(splits.parts[0].rows) / Double(catalogue.rows) - 0.8) < 0.05)
        #expect(splits.part(of: [1, 2, 3]) == splits.part(of: [1, 2, 3]))
    }

    @Test(arguments: ["lost.h5", "empty.h5", "text.h5", "short.h5"])
    func `an input that cannot be read is named, and nothing is left behind`(name: String) throws {
        let directory = try TemporaryDirectory()
        let path = directory.file(name)
        switch name {
        case "empty.h5": try OutputFile.write([], to: path)
        case "text.h5": try OutputFile.write(Array("no hdf5 at all".utf8), to: path)
        case "short.h5":
            try OutputFile.write(Array(try InputFile(path: Package.sample).readAll().prefix(1_000_000)), to: path)
        default: break
        }
        do {
            try MadeInput.convert([Package.sample, path], directory.file("d"))
            Issue.record("an unreadable input was converted")
        } catch let error as any AddressedError {
            #expect(error.description.contains(path))
        }
        #expect(!Directory.exists(directory.file("d")))
        let catalogue = try MadeInput.convert([Package.sample, path], directory.file("s")) { $0.skipsBadInput = true }
        #expect(catalogue.missing.map(\.input) == [path])
        #expect(catalogue.rows == 1727)
    }

    @Test func `a damaged chunk stops the conversion, or its rows are a gap that is recorded`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("x.h5")
        var bytes = try InputFile(path: Package.sample).readAll()
        let chunks = try #require(try HDF5File(path: Package.sample).dataset("PFCands").chunks())
        let address = try #require(chunks[chunks.count / 2].address)
        for place in address..<address + 20 { bytes[place] ^= 0x5a }
        try OutputFile.write(bytes, to: path)
        let error = #expect(throws: HDF5Error.self) { try MadeInput.convert([path], directory.file("d")) }
        #expect(error?.description.contains(path) == true)
        #expect(error?.place.contains("PFCands") == true)
        let catalogue = try MadeInput.convert([path], directory.file("s")) { $0.skipsBadInput = true }
        let lost = catalogue.missing.reduce(0) { $0 + ($1.rows ?? 0) }
        #expect(lost > 0 && catalogue.rows == 1727 - lost)
        #expect(try DatasetVerifier(directory: directory.file("s")).run().isSound)
    }

    @Test func `an existing dataset, a foreign directory and a claimed one are not touched`() throws {
        let directory = try TemporaryDirectory()
        let output = directory.file("d")
        try MadeInput.convert([Package.sample], output)
        let before = try contents(of: output)
        #expect(throws: DatasetError.self) { try MadeInput.convert([Package.sample], output) }
        #expect(try contents(of: output) == before)

        try Directory.make(directory.file("other"))
        try OutputFile.write([1], to: directory.file("other/mine.txt"))
        #expect(throws: DatasetError.self) { try MadeInput.convert([Package.sample], directory.file("other")) }
        #expect(try Directory.names(in: directory.file("other")) == ["mine.txt"])

        try Directory.make(directory.file("claimed"))
        let claim = try Claim(directory: directory.file("claimed"))
        let error = #expect(throws: DatasetError.self) {
            try MadeInput.convert([Package.sample], directory.file("claimed"))
        }
        #expect(error?.code == .occupied)
        claim.release()
        try MadeInput.convert([Package.sample], directory.file("claimed"))
    }

    @Test func `a file with datasets that the schema does not describe is refused`() throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: Package.root + "/schemas/sources/aspen-open-jets.json"))
        var schema = try SourceSchema(json: [UInt8](data), file: "s")
        #expect(schema == MadeInput.aspenOpenJets)
        schema.datasets.removeAll { $0.path == "jet_tagging" }
        let directory = try TemporaryDirectory()
        let error = #expect(throws: ConvertError.self) {
            try Converter(
                inputs: [Package.sample], output: directory.file("d"), schema: schema, options: ConversionOptions()
            ).run()
        }
        #expect(error?.message.contains("would be lost") == true)
        schema.ignore = ["jet_tagging"]
        let catalogue = try Converter(
            inputs: [Package.sample], output: directory.file("d"), schema: schema, options: ConversionOptions()
        ).run()
        #expect(!catalogue.columns.contains { $0.name == "jet_tau1" })
    }

    @Test(arguments: [
        #"{"name":"x"}"#, #"[]"#, #"{"name":"x","description":"","format":"root","datasets":[]}"#,
        #"{"name":"x","description":"","format":"hdf5","datasets":[]}"#,
        #"{"name":"x","description":"","format":"hdf5","datasets":[{"path":"a","type":"int8","role":"jet","columns":[{"name":"source"}]}]}"#,
        #"{"name":"x","description":"","format":"hdf5","datasets":[{"path":"a","type":"int8","role":"jet","columns":[{"name":"b","narrow":"int8"}]}]}"#,
        #"{"name":"x","description":"","format":"hdf5","event":["c"],"datasets":[{"path":"a","type":"int8","role":"jet","columns":[{"name":"b"}]}]}"#,
    ])
    func `a schema that cannot be used says why`(json: String) {
        #expect(throws: ConvertError.self) { try SourceSchema(json: Array(json.utf8), file: "s.json") }
    }

    @Test(.enabled(if: Package.data != nil, "PANDO_DATA has no larger files"))
    func `another layout needs a schema and no code`() throws {
        let directory = try TemporaryDirectory()
        let path = try #require(Package.data) + "/h5/aoj_other_layout.h5"
        let schema = try SourceSchema(named: Package.testData + "/other-layout.json")
        let catalogue = try Converter(
            inputs: [path], output: directory.file("d"), schema: schema, options: ConversionOptions()
        ).run()
        #expect(catalogue.rows == 300)
        var verifier = DatasetVerifier(directory: directory.file("d"))
        verifier.provesLosslessness = true
        #expect(try verifier.run().isSound)
        let files = try Exporter(dataset: directory.file("d"), output: directory.file("out")).run()
        #expect(files.flatMap(\.remarks).contains { $0.contains("lzf") })
        let first = try HDF5File(path: path), second = try HDF5File(path: files[0].file)
        for info in try first.datasets() {
            #expect(try first.dataset(info.path).bytes(rows: 0..<300) == second.dataset(info.path).bytes(rows: 0..<300))
        }
    }
}
