import ArrowIPC
import Convert
import Foundation
import Loader
import Shards
import TestSupport
import Testing

/// Datasets made of ROOT files of JetClass; Tests/Interop/test_loader.py holds their numbers against numpy.
@Suite(.enabled(if: Package.jetclass != nil, "PANDO_DATA has no files of JetClass"))
struct JetClassLoaderTests {
    private func files(_ folders: String...) throws -> [String] {
        let root = try #require(Package.jetclass)
        return try folders.flatMap { name in
            try FileManager.default.contentsOfDirectory(atPath: "\(root)/\(name)").sorted()
                .map { "\(root)/\(name)/\($0)" }
        }
    }

    @Test func `mixtures of AspenOpenJets and JetClass go on from any place with other threads and ranks`() throws {
        let seed = UInt64.random(in: 0...99_999)
        let directory = try TemporaryDirectory(inMemory: true)
        let aoj = try makeDataset([Package.sample], directory.file("a"))
        let jetclass = try makeDataset(try files("train", "val"), directory.file("j"), schema: "jetclass")
        let names = ["part_pt", "eta_rel", "phi_rel", "energy", "charge", "isPhoton"]
        let contents = LoaderContents(
            columns: ["jet_pt", "sum_mass"],
            features: try FeatureConfiguration(names.map { Feature($0) }, padLength: 60))
        let alone = try [aoj, jetclass].map { try plainRows($0, contents) }
        try checkResuming(rounds: 6, epoch: 1, seed: seed) { threads, world, rank in
            try Loader(
                mixture: [LoaderSource(aoj, weight: 0.9), LoaderSource(jetclass, weight: 0.1, split: "train")],
                contents: contents,
                options: smallOptions { ($0.threads, $0.worldSize, $0.rank, $0.seed) = (threads, world, rank, seed) })
        }
        let loader = try Loader(
            mixture: [LoaderSource(aoj, weight: 0.5), LoaderSource(jetclass, weight: 0.5)], contents: contents,
            options: smallOptions { $0.mixtureLength = .longest })
        for row in try loader.epoch().joined() { try #require(row.alone() == alone[row.dataset][row.jet]) }
    }

    @Test(arguments: [BodyCompression.zstd(level: 3), .none])
    func `each column alone, and all together, are what decoding whole record batches gives`(codec: BodyCompression)
        throws
    {
        let directory = try TemporaryDirectory(inMemory: true)
        let data = try #require(Package.data) + "/root/pfnano_data_2016G.root"
        let inputs = [("jetclass", try files("test")), ("pfnano", [data]), ("aspen-open-jets", [Package.sample])]
        for (schema, inputs) in inputs {
            let path = try makeDataset(inputs, directory.file(schema), schema: schema) { $0.compression = codec }
            let dataset = try Dataset(directory: path), fields = dataset.catalogue.encoding.fields
            let reader = dataset.makeReader(), columns = JetColumns(fields: fields)
            let decoder = try JetDecoder(encoding: dataset.catalogue.encoding, file: path)
            let names = fields.map(\.name)
            let all = try plainRows(path, LoaderContents(columns: names)), order = names.sorted()
            let alone = try names.map { try plainRows(path, LoaderContents(columns: [$0])) }
            var jet = 0
            for batch in 0..<dataset.batchCount {
                try decoder.decode(reader.read(batch), into: columns, file: path)
                for row in 0..<columns.rows {
                    for (number, field) in fields.enumerated() {
                        let width = field.type.width, ends = columns.offsetNumbers
                        let range =
                            field.role == .constituent
                            ? Int(ends[row]) * width..<Int(ends[row + 1]) * width : row * width..<(row + 1) * width
                        let expected = Data(columns.bytes(of: number)[range])
                        try #require(alone[number][jet]?.columns == [expected], "\(field.name) of \(schema)")
                        let place = try #require(order.firstIndex(of: field.name))
                        try #require(all[jet]?.columns[place] == expected, "\(field.name) of \(schema)")
                    }
                    jet += 1
                }
            }
            #expect(jet == all.count && jet > 300)
        }
    }

    @Test func `origins name the ROOT file, the entry, and the event where there is one`() throws {
        let directory = try TemporaryDirectory(inMemory: true), inputs = try files("train", "val")
        let path = try makeDataset(inputs, directory.file("d"), schema: "jetclass")
        let loader = try Loader(dataset: path, columns: ["source", "source_row"], options: smallOptions())
        let batches = try loader.batches(), batch = try #require(try batches.next())
        let origins = try loader.jets(inStep: 0, rank: 0, epoch: 0), rows = try #require(batch.integers("source_row"))
        let sources = try #require(batch.bytes(of: "source")).bindMemory(to: UInt16.self)
        #expect(origins.map(\.input) == sources.map { inputs[Int($0)] } && Set(sources).count > 2)
        #expect(origins.map { Int64($0.row) } == Array(rows))
        // The number of the split is no event.
        #expect(origins.allSatisfy { $0.event.isEmpty })

        let data = try #require(Package.data) + "/root/pfnano_mc_ttbar.root"
        let other = try Loader(
            dataset: makeDataset([data], directory.file("p"), schema: "pfnano"), columns: ["run", "lumi", "event"],
            options: smallOptions())
        let first = try #require(try other.batches().next())
        let events = try other.jets(inStep: 0, rank: 0, epoch: 0).map(\.event)
        let numbers = try ["run", "lumi", "event"].map { try #require(first.integers($0)) }
        #expect(events == (0..<48).map { ["run": numbers[0][$0], "lumi": numbers[1][$0], "event": numbers[2][$0]] })
    }

    @Test func `splits are those of folders, one without files is refused, and reports go by the class`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset(try files("train", "val"), directory.file("d"), schema: "jetclass")
        var counts: [String: Int] = [:]
        for split in ["train", "val"] {
            let loader = try Loader(
                dataset: path, columns: ["split", "label"],
                options: smallOptions { ($0.split, $0.dropLast) = (split, false) })
            let batches = try loader.batches()
            while let batch = try batches.next() {
                counts[split, default: 0] += batch.rows
                #expect(try #require(batch.integers("split")).allSatisfy { $0 == (split == "train" ? 0 : 1) })
            }
        }
        let parts = try #require(try Dataset(directory: path).catalogue.splits?.parts)
        #expect(parts.map(\.rows) == [counts["train"], counts["val"], 0] && parts[0].rows > parts[1].rows)
        let error = #expect(throws: LoaderError.self) {
            try Loader(dataset: path, options: smallOptions { $0.split = "test" })
        }
        #expect(error?.place == "split test" && error?.message == "has no jets")
        // Not by the eleven columns of labels, each of which would take two epochs.
        #expect(try ShuffleReport.usualKeys(of: path) == ["source", "label"])
    }
}
