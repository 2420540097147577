import Convert
import Foundation
import Loader
import Shards
import TestSupport
import Testing

private let folder = Package.data.map { $0 + "/jetclass" }.flatMap {
    FileManager.default.fileExists(atPath: $0) ? $0 : nil
}

/// Datasets made of ROOT files of JetClass; Tests/Interop/test_loader.py holds their numbers against numpy.
@Suite(.enabled(if: folder != nil, "PANDO_DATA has no files of JetClass"))
struct JetClassLoaderTests {
    private func files(_ folders: String...) throws -> [String] {
        let root = try #require(folder)
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
