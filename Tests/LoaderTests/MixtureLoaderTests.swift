import Convert
import Foundation
import Loader
import Shards
import TestSupport
import Testing

@Suite struct MixtureLoaderTests {
    /// Columns of each kind: on the lattice, narrowed, of jets, of events, derived.
    private static let columns = ["px", "E", "d0", "charge", "pdgId", "jet_pt", "run", "sum_eta", "source_row"]

    /// Datasets with the same columns: a large one on the lattice, and a small one that no lattice holds.
    private struct Datasets {
        let directory: TemporaryDirectory
        let paths: [String]

        init(second: String? = nil) throws {
            directory = try TemporaryDirectory(inMemory: true)
            let raw = directory.file("raw.h5")
            try MadeJets.writeRaw(raw, rows: 160, seed: 11)
            paths = [
                try makeDataset([Package.sample], directory.file("a")),
                try makeDataset([second ?? raw], directory.file("b")) { $0.compression = .none },
            ]
        }

        func sources(_ weights: Double...) -> [LoaderSource] {
            zip(paths, weights).map { LoaderSource($0, weight: $1) }
        }
    }

    private static func contents(_ number: Int) throws -> LoaderContents {
        let names = ["part_pt", "part_etarel", "part_phirel", "part_ptrel", "part_erel", "d0", "part_isPhoton"]
        let features = names.map { Feature($0, largerThan: $0 == "part_etarel" ? -0.5 : nil) }
        var contents = LoaderContents(columns: columns)
        switch number {
        case 0: contents.features = try FeatureConfiguration(features, padLength: 40)
        case 1: (contents.features, contents.isJagged) = (try FeatureConfiguration(features), true)
        case 2:
            contents.features = try FeatureConfiguration(features, axis: .puppi, jetFeatures: [Feature("jet_tau1")])
            contents.columns = []
        default:
            contents.features = try FeatureConfiguration(
                features.filter { $0.name != "part_erel" }, axis: .stored, jetFeatures: [Feature("sum_mass")])
            (contents.isJagged, contents.angles) = (true, .momenta)
        }
        return contents
    }

    @Test func `the two datasets of these tests have different layouts`() throws {
        let datasets = try Datasets()
        let layouts = try datasets.paths.map { try Dataset(directory: $0).catalogue.encoding }
        #expect(layouts[0].lattice != nil && layouts[1].lattice == nil)
        let storages = layouts.map { layout in layout.fields.first { $0.name == "d0" }?.storage }
        #expect(storages == [.float16, .plain])
    }

    @Test(arguments: [0, 1, 2, 3], [false, true])
    func `a batch of a mixture has of each jet what a loader over its dataset has`(number: Int, exact: Bool) throws {
        let datasets = try Datasets(), contents = try Self.contents(number)
        let alone = try datasets.paths.map { try plainRows($0, contents) }
        let loader = try Loader(
            mixture: datasets.sources(0.9, 0.1), contents: contents,
            options: smallOptions { ($0.exact, $0.mixtureLength, $0.threads) = (exact, .longest, number + 1) })
        var seen = [Set<Int>(), Set<Int>()]
        for rows in try loader.epoch(2) {
            #expect(rows.count == 48)
            for row in rows {
                try #require(row.alone() == alone[row.dataset][row.jet], "jet \(row.jet) of dataset \(row.dataset)")
                seen[row.dataset].insert(row.jet)
            }
        }
        // In the longest epoch each jet comes at least once.
        #expect(seen == [Set(0..<1727), Set(0..<160)])
    }

    @Test(arguments: [false, true])
    func `each stretch of a stream has its share, and the shortest epoch each jet at most once`(exact: Bool) throws {
        let datasets = try Datasets()
        for (weights, ending) in [([0.9, 0.1], 1), ([9.7, 0.3], 0)] {
            let loader = try Loader(
                mixture: datasets.sources(weights[0], weights[1]), contents: LoaderContents(columns: ["event"]),
                options: smallOptions { ($0.exact, $0.dropLast) = (exact, false) })
            let plan = try #require(try loader.mixturePlan(epoch: 1)), batches = try loader.epoch(1)
            #expect(batches.count == plan.steps)
            #expect(try loader.epoch(0).count == loader.stepsPerEpoch)
            let sum = weights.reduce(0, +)
            for stream in 0..<12 {
                let own = batches.flatMap { rows in
                    // Only the last batch may have fewer rows of a stream.
                    rows.count == 48 ? rows[stream * 4..<stream * 4 + 4].map(\.dataset) : []
                }
                for first in own.indices {
                    var count = 0
                    for (length, dataset) in own[first...].enumerated() {
                        if dataset == 1 { count += 1 }
                        let expected = Double(length + 1) * weights[1] / sum
                        try #require(abs(Double(count) - expected) <= plan.discrepancy(ofDataset: 1) + 0.05)
                    }
                }
            }
            let rows = batches.joined(), keys = rows.map { [$0.dataset, $0.jet] }
            #expect(Set(keys).count == keys.count)
            // Streams end within a few rows of one another, of which the last batch takes what it can.
            let count = rows.count { $0.dataset == ending }, all = [1727, 160][ending]
            #expect(count <= all && count >= all - 12, "\(count) of \(all)")
        }
    }

    @Test(arguments: [false, true])
    func `ranks make parts of the same batches of a mixture, and states go on with any number of them`(exact: Bool)
        throws
    {
        let seed = UInt64.random(in: 0...99_999)
        let datasets = try Datasets(), contents = try Self.contents(exact ? 1 : 0)
        // Resuming begins with batches that one rank made and goes on with parts of other ranks.
        try checkResuming(rounds: 10, epoch: 2, seed: seed) { threads, world, rank in
            try Loader(
                mixture: datasets.sources(0.8, 0.2), contents: contents,
                options: smallOptions {
                    ($0.threads, $0.worldSize, $0.rank) = (threads, world, rank)
                    ($0.exact, $0.mixtureLength, $0.seed) = (exact, seed % 2 == 0 ? .longest : .shortest, seed)
                })
        }
    }

    @Test func `splits are taken by source`() throws {
        let datasets = try Datasets()
        let sources = [
            LoaderSource(datasets.paths[0], weight: 3, split: "val"), LoaderSource(datasets.paths[1], split: "train"),
        ]
        let contents = LoaderContents(columns: ["event"])
        let loader = try Loader(
            mixture: sources, contents: contents, options: smallOptions { $0.mixtureLength = .longest })
        let rows = try loader.epoch().joined()
        for (number, split) in ["val", "train"].enumerated() {
            let own = try plainRows(datasets.paths[number], contents) { $0.split = split }
            #expect(Set(rows.filter { $0.dataset == number }.map(\.jet)) == Set(own.keys))
        }
        // Where a source says nothing, the options do.
        let other = try Loader(
            mixture: [LoaderSource(datasets.paths[0], split: "val"), LoaderSource(datasets.paths[1])],
            contents: contents, options: smallOptions { $0.split = "train" })
        #expect(other.jetCount == loader.jetCount)
    }

    @Test func `columns that a dataset lacks or has with another type are refused by name`() throws {
        let directory = try TemporaryDirectory(inMemory: true), input = directory.file("t.h5")
        _ = try MadeJets.writeTagged(input, rows: 100, codebook: 10, seed: 1)
        let first = try makeDataset(
            [input], directory.file("a"), schema: MadeJets.taggedSchema(directory.file("a.json")))
        let renamed = try makeDataset(
            [input], directory.file("b"), schema: MadeJets.taggedSchema(directory.file("b.json"), mass: "m"))
        _ = try MadeJets.writeTagged(directory.file("u.h5"), rows: 100, codebook: 10, seed: 1, tokens: .int32)
        let wide = try makeDataset(
            [directory.file("u.h5")], directory.file("c"),
            schema: MadeJets.taggedSchema(directory.file("c.json"), tokens: "int32"))
        func refusal(_ paths: [String], _ columns: String...) -> LoaderError? {
            #expect(throws: LoaderError.self) {
                try Loader(
                    mixture: paths.map { LoaderSource($0) }, contents: LoaderContents(columns: columns),
                    options: smallOptions())
            }
        }
        let missing = try #require(refusal([first, renamed], "weight", "mass"))
        #expect(missing.file == renamed && missing.place == "column mass" && missing.advice?.contains("m, ") == true)
        let type = try #require(refusal([first, wide], "token"))
        #expect(type.file == wide && type.place == "column token")
        #expect(type.message.contains("int32") && type.message.contains("int16") && type.message.contains(first))
        // The sample has event numbers with sign.
        let sample = try makeDataset([Package.sample], directory.file("d"))
        let event = try #require(refusal([sample, first], "event"))
        #expect(event.file == first && event.message.contains("uint64") && event.message.contains("int64"))
        // Features too.
        let features = LoaderContents(features: try FeatureConfiguration([Feature("pt"), Feature("d0")]))
        let feature = try #require(throws: LoaderError.self) {
            try Loader(
                mixture: [LoaderSource(sample), LoaderSource(first)], contents: features, options: smallOptions())
        }
        #expect(feature.code == .feature && feature.file == first && feature.place == "feature d0")
        let error = #expect(throws: LoaderError.self) {
            try Loader(
                mixture: [LoaderSource(first), LoaderSource(sample)], contents: LoaderContents(),
                options: smallOptions())
        }
        #expect(error?.message == "are not named")
    }

    @Test func `a small dataset may have fewer jets than a batch, and weights must leave batches`() throws {
        let directory = try TemporaryDirectory(inMemory: true), raw = directory.file("raw.h5")
        try MadeJets.writeRaw(raw, rows: 40, seed: 2)
        let small = try makeDataset([raw], directory.file("b"))
        let large = try makeDataset([Package.sample], directory.file("a"))
        func mixture(_ weight: Double, _ change: (inout LoaderOptions) -> Void = { _ in }) throws -> Loader {
            try Loader(
                mixture: [LoaderSource(large, weight: 20), LoaderSource(small, weight: weight)],
                contents: LoaderContents(columns: ["event"]), options: smallOptions(change))
        }
        let rows = try mixture(1).epoch().joined()
        #expect(rows.count > 480 && rows.count { $0.dataset == 1 } > 20)
        let error = try #require(throws: LoaderError.self) { try mixture(200) }
        #expect(error.place == "batch size" && error.message.contains("before one is full"))
        #expect(try mixture(200) { $0.dropLast = false }.epoch().joined().count > 0)
        for weight in [0, -1, .nan, .infinity] {
            let error = try #require(throws: LoaderError.self) { try mixture(weight) }
            #expect(error.place == "weight 1")
        }
    }

    @Test(.enabled(if: Package.data != nil, "PANDO_DATA has no larger files"))
    func `simulated and made jets of other files mix as well`() throws {
        let data = try #require(Package.data) + "/h5/"
        for file in ["expected_stable_sort_mc_qcd.h5", "aoj_no_lattice.h5"] {
            let datasets = try Datasets(second: data + file), contents = try Self.contents(1)
            let alone = try datasets.paths.map { try plainRows($0, contents) }
            let loader = try Loader(
                mixture: datasets.sources(0.7, 0.3), contents: contents, options: smallOptions { $0.dropLast = false })
            let rows = try loader.epoch().joined()
            for row in rows { try #require(row.alone() == alone[row.dataset][row.jet]) }
            #expect(Set(rows.map { [$0.dataset, $0.jet] }).count == rows.count && rows.count > 1700)
        }
    }
}
