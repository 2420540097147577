import Convert
import Foundation
import Loader
import Shards
import TestSupport
import Testing

@Suite struct FeatureLayoutTests {
    private static let names = [
        "part_pt", "part_eta", "part_phi", "part_ptrel", "part_erel", "part_etarel", "part_phirel", "part_deltaR",
        "part_energy", "part_px", "pdgId", "part_isPhoton", "part_isElectron",
    ]

    /// The jets of a batch as the source has them.
    private func jets(of batch: Batch) throws -> SampleJets {
        func column(_ name: String) throws -> [Float] { Array(try #require(batch.floats(name))) }
        var jets = SampleJets()
        (jets.px, jets.py, jets.pz) = (try column("px"), try column("py"), try column("pz"))
        (jets.energy, jets.pdgId, jets.weight) = (try column("E"), try column("pdgId"), try column("puppiWeight"))
        (jets.jetPt, jets.jetEta, jets.jetPhi) = (try column("jet_pt"), try column("jet_eta"), try column("jet_phi"))
        jets.spans = (0..<batch.rows).map { row in
            JetSpan(start: Int(batch.offsets[row]), count: Int(batch.offsets[row + 1] - batch.offsets[row]), axis: row)
        }
        return jets
    }

    @Test(arguments: JetAxisDefinition.allCases, LoaderContents.AngleSource.allCases)
    func `features through the loader are those of the definitions in double precision`(
        axis: JetAxisDefinition, angles: LoaderContents.AngleSource
    ) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        try MadeJets.writeRaw(directory.file("raw.h5"), rows: 150, seed: 5)
        let features = Self.names.filter { axis != .stored || $0 != "part_erel" }.map {
            Feature($0, largerThan: $0 == "part_etarel" ? -0.4 : nil, smallerThan: $0 == "part_pt" ? 90 : nil)
        }
        let configuration = try FeatureConfiguration(features, padLength: 150, axis: axis)
        for (name, input) in [("a", Package.sample), ("b", directory.file("raw.h5"))] {
            let path = try makeDataset([input], directory.file(name))
            var contents = LoaderContents(
                columns: ["px", "py", "pz", "E", "pdgId", "puppiWeight", "jet_pt", "jet_eta", "jet_phi"],
                features: configuration)
            contents.angles = angles
            let batches = try Loader(dataset: path, contents: contents, options: smallOptions()).batches()
            var compared = 0
            while let batch = try batches.next() {
                let model = FeatureModel(configuration: configuration, jets: try jets(of: batch))
                for (row, span) in model.jets.spans.enumerated() {
                    let (expected, nearest) = model.rows(span)
                    // The rounding of float32 momenta may carry a value over a cut, or half a turn.
                    if nearest < 1e-5 { continue }
                    let mask = batch.mask[row * 150..<row * 150 + 150]
                    try #require(mask.reduce(0) { $0 + Int($1) } == expected.count)
                    for (slot, values) in expected.enumerated() {
                        for (column, value) in values.enumerated() {
                            let found = batch.features[(row * 150 + slot) * features.count + column]
                            // A difference of two numbers is as exact as they are.
                            let size = features[column].name == "part_deltaR" ? 3.2 : max(1, abs(value))
                            // CMS stores azimuths that its grid rounds to just above half a turn.
                            let turns: Float = features[column].name == "part_phi" ? 2 * .pi : 0
                            let difference = turns > 0 ? remainder(found - value, turns) : found - value
                            try #require(
                                found == value || abs(difference) <= 2e-6 * size,
                                "\(name), \(features[column].name): \(found), expected \(value)")
                            compared += 1
                        }
                    }
                }
            }
            #expect(compared > 10_000)
        }
    }

    @Test func `jagged features are the padded ones without gaps, beside columns`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        let features = try FeatureConfiguration(FeatureConfiguration.released.features, padLength: 150)
        var contents = LoaderContents(columns: ["px", "event", "n_constituents"], features: features)
        let options = smallOptions { $0.dropLast = false }
        let padded = try Loader(dataset: path, contents: contents, options: options).batches()
        contents.isJagged = true
        let jagged = try Loader(dataset: path, contents: contents, options: options).batches()
        var cut = 0
        while let a = try padded.next() {
            let b = try #require(try jagged.next())
            #expect(Array(a.jets) == Array(b.jets) && b.mask.isEmpty && a.featureOffsets.isEmpty)
            #expect(b.featureOffsets.count == b.rows + 1 && b.featureOffsets[0] == 0)
            #expect(b.features.count == Int(b.featureOffsets[b.rows]) * 3)
            for row in 0..<a.rows {
                let count = Int(b.featureOffsets[row + 1] - b.featureOffsets[row])
                #expect(a.mask[row * 150..<row * 150 + 150].elementsEqual((0..<150).map { $0 < count ? 1 : 0 }))
                let start = Int(b.featureOffsets[row]) * 3
                #expect(
                    a.features[row * 450..<row * 450 + count * 3].map(\.bitPattern)
                        == b.features[start..<start + count * 3].map(\.bitPattern))
                cut += Int(a.offsets[row + 1] - a.offsets[row]) - count
            }
            // Columns have what was cut as well.
            #expect(Array(a.offsets) == Array(b.offsets))
            for name in ["px", "event", "n_constituents"] {
                #expect(a.bytes(of: name).map { Data($0) } == b.bytes(of: name).map { Data($0) })
            }
        }
        #expect(try jagged.next() == nil)
        #expect(cut > 10)
    }

    @Test func `columns that the dataset derived can be asked for`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        let loader = try Loader(
            dataset: path, columns: ["px", "py", "sum_pt", "n_constituents", "source_row"], options: smallOptions())
        let batches = try loader.batches()
        while let batch = try batches.next() {
            let (x, y) = (try #require(batch.floats("px")), try #require(batch.floats("py")))
            let pt = try #require(batch.floats("sum_pt")), rows = try #require(batch.integers("source_row"))
            let counts = try #require(batch.bytes(of: "n_constituents")).bindMemory(to: UInt16.self)
            #expect(batch.elementType(of: "n_constituents") == .uint16 && batch.floats("n_constituents") == nil)
            for row in 0..<batch.rows {
                let range = Int(batch.offsets[row])..<Int(batch.offsets[row + 1])
                let sum = range.reduce((0.0, 0.0)) { ($0.0 + Double(x[$1]), $0.1 + Double(y[$1])) }
                #expect(abs(Double(pt[row]) - hypot(sum.0, sum.1)) < 1e-6 * hypot(sum.0, sum.1))
                #expect(Int(counts[row]) == range.count && Int(rows[row]) == batch.jets[row])
            }
        }
        // Features alone bring no columns along.
        let features = try Loader(dataset: path, contents: LoaderContents(features: .released)).batches()
        let batch = try #require(try features.next())
        #expect(batch.constituents > batch.rows && batch.offsets.isEmpty && batch.bytes(of: "px") == nil)
        #expect(batch.labels.isEmpty && batch.tokenInput.isEmpty && batch.jetFeatures.isEmpty)
    }

    /// What the definitions say of a made jet.
    private func expect(_ row: JetRow, _ made: MadeJets.Tagged, codebook: Int, length: Int) {
        #expect(row.label == made.classes[row.jet])
        let codes = made.codes[row.jet].map { Int32($0) }
        var input: [Int32] = [], target: [Int32] = []
        if !codes.isEmpty {
            input = Array(([0] + codes.map { $0 + 1 }).prefix(length))
            target = Array((codes.map { $0 + 1 } + [Int32(codebook + 1)]).prefix(length))
        }
        let padding = [Int32](repeating: 0, count: length - input.count)
        #expect(row.tokens == input + padding + target + padding)
        #expect(row.tokenMask == input.map { _ in 1 } + padding.map { _ in 0 })
        let mass = Float((made.masses[row.jet] - 50) * 0.01), weight = Float(log(1 / Double(row.jet + 3)))
        let found = row.jetFeatures.map { Float(bitPattern: $0) }
        #expect(found.count == 3 && found[0] == mass && abs(found[1] - weight) < 1e-6)
        #expect(found[2] == Float(codes.count))
    }

    private func tagged() throws -> LoaderContents {
        let features = try FeatureConfiguration(
            [Feature("part_etarel")], padLength: 40,
            jetFeatures: [
                Feature("mass", subtractBy: 50, multiplyBy: 0.01), Feature("weight", function: .log),
                Feature("n_constituents"),
            ])
        var contents = LoaderContents(features: features)
        contents.labels = ["QCD", "top", "W"]
        contents.tokens = try TokenPairs(codebookSize: 500, length: 40)
        contents.tokenColumn = "token"
        return contents
    }

    @Test(arguments: ["int16", "uint16", "int32"], [false, true])
    func `labels, features of jets and tokens are those of the file, also in a mixture`(type: String, exact: Bool)
        throws
    {
        let directory = try TemporaryDirectory(inMemory: true)
        var made: [MadeJets.Tagged] = [], paths: [String] = []
        for (number, tokens) in ["int16", type].enumerated() {
            let input = directory.file("\(number).h5")
            made.append(
                try MadeJets.writeTagged(
                    input, rows: 400 - 200 * number, codebook: 500, seed: UInt64(number),
                    tokens: tokens == "int16" ? .int16 : tokens == "uint16" ? .uint16 : .int32))
            let schema = try MadeJets.taggedSchema(directory.file("\(number).json"), tokens: tokens)
            paths.append(try makeDataset([input], directory.file("\(number)"), schema: schema))
        }
        let contents = try tagged()
        let options = smallOptions { ($0.exact, $0.dropLast, $0.mixtureLength) = (exact, false, .longest) }
        for (number, path) in paths.enumerated() {
            let rows = try Loader(dataset: path, contents: contents, options: options).epoch().joined()
            #expect(rows.map(\.jet).sorted() == Array(made[number].classes.indices))
            for row in rows { expect(row, made[number], codebook: 500, length: 40) }
        }
        // Columns need not have the same type there.
        let mixture = try Loader(
            mixture: [LoaderSource(paths[0], weight: 2), LoaderSource(paths[1])], contents: contents, options: options)
        let rows = try mixture.epoch().joined()
        #expect(Set(rows.map { [$0.dataset, $0.jet] }).count == 600)
        for row in rows { expect(row, made[row.dataset], codebook: 500, length: 40) }
    }

    @Test func `constituents' numbers of any type are features, and a column of classes is the labels`() throws {
        let directory = try TemporaryDirectory(inMemory: true), input = directory.file("t.h5")
        let made = try MadeJets.writeTagged(input, rows: 200, codebook: 500, seed: 4)
        let path = try makeDataset(
            [input], directory.file("t"), schema: MadeJets.taggedSchema(directory.file("t.json")))
        var contents = LoaderContents(
            features: try FeatureConfiguration(
                [Feature("part_token", largerThan: 99, subtractBy: 1, multiplyBy: 2), Feature("px")], padLength: 40))
        // One-hot flags are numbers as well.
        contents.labelColumn = "top"
        let rows = try Loader(dataset: path, contents: contents, options: smallOptions { $0.dropLast = false })
            .epoch().joined()
        #expect(rows.count == 200)
        for row in rows {
            let codes = made.codes[row.jet].filter { $0 > 99 }.map { Float(2 * ($0 - 1)) }
            #expect(row.mask == (0..<40).map { $0 < codes.count ? 1 : 0 })
            #expect(codes.indices.map { Float(bitPattern: row.features[2 * $0]) } == codes)
            let label = made.classes[row.jet]
            #expect(row.label == (label == 1 ? 1 : label == 0 && row.jet % 7 == 0 ? 5 : 0))
        }
    }

    @Test func `labels that no jet has are read too`() throws {
        let directory = try TemporaryDirectory(inMemory: true), input = directory.file("t.h5")
        _ = try MadeJets.writeTagged(input, rows: 100, codebook: 500, seed: 4, classes: -1 ... -1)
        let path = try makeDataset(
            [input], directory.file("t"), schema: MadeJets.taggedSchema(directory.file("t.json")))
        var contents = LoaderContents(columns: ["W"])
        contents.labels = ["QCD", "top"]
        let rows = try Loader(dataset: path, contents: contents, options: smallOptions()).epoch().joined()
        #expect(rows.count == 96)
        for row in rows { #expect(row.label == -1 && row.columns == [Data([0])]) }
    }

    @Test func `labels and tokens can be asked for alone, and bring no columns along`() throws {
        let directory = try TemporaryDirectory(inMemory: true), input = directory.file("t.h5")
        let made = try MadeJets.writeTagged(input, rows: 100, codebook: 500, seed: 2)
        let path = try makeDataset(
            [input], directory.file("t"), schema: MadeJets.taggedSchema(directory.file("t.json")))
        var contents = LoaderContents()
        contents.labels = ["W", "QCD"]
        let labels = try Loader(dataset: path, contents: contents, options: smallOptions()).batches()
        let batch = try #require(try labels.next())
        #expect(batch.bytes(of: "weight") == nil && batch.tokenInput.isEmpty && batch.labels.count == 48)
        for (label, jet) in zip(batch.labels, batch.jets) {
            let isSecond = jet % 7 == 0 && made.classes[jet] >= 0 && made.classes[jet] < 2
            #expect(label == (made.classes[jet] == 2 || isSecond ? 0 : made.classes[jet] == 0 ? 1 : -1))
        }
        contents.labels = []
        contents.tokens = try TokenPairs(codebookSize: 500, length: 5)
        contents.tokenColumn = "token"
        let tokens = try Loader(dataset: path, contents: contents, options: smallOptions()).batches()
        let second = try #require(try tokens.next())
        #expect(second.tokenTarget.count == 240 && second.tokenMask.count == 240 && second.labels.isEmpty)
    }

    @Test func `labels, features of jets and tokens that cannot be are refused by name`() throws {
        let directory = try TemporaryDirectory(inMemory: true), input = directory.file("t.h5")
        let made = try MadeJets.writeTagged(input, rows: 100, codebook: 500, seed: 2)
        let path = try makeDataset(
            [input], directory.file("t"), schema: MadeJets.taggedSchema(directory.file("t.json")))
        func refusal(_ change: (inout LoaderContents) throws -> Void) throws -> String {
            var contents = LoaderContents()
            try change(&contents)
            let error = #expect(throws: LoaderError.self) {
                try Loader(dataset: path, contents: contents, options: smallOptions())
            }
            #expect(error?.code == .feature)
            return error.map { $0.description.replacingOccurrences(of: path + ", ", with: "") } ?? ""
        }
        let pairs = try TokenPairs(codebookSize: 500)
        #expect(
            try refusal { $0.labels = ["QCD", "Z"] }.hasPrefix(
                "label Z: is no column with one value a jet; there are run,"))
        #expect(try refusal { $0.labels = ["token"] }.hasPrefix("label token: is no column with one value a jet"))
        #expect(try refusal { $0.labels = ["QCD", "QCD"] } == "label QCD: comes twice")
        #expect(try refusal { $0.labelColumn = "Z" }.hasPrefix("label Z: is no column with one value a jet"))
        #expect(try refusal { $0.labelColumn = "mass" }.hasPrefix("label mass: has type float64, expected whole"))
        #expect(
            try refusal { ($0.labels, $0.labelColumn) = (["QCD"], "top") }.contains("columns of one class each and"))
        #expect(
            try refusal { $0.tokens = pairs }
                == "tokens: have no column that they come from; columns of codes are token")
        #expect(try refusal { $0.tokenColumn = "token" }.hasPrefix("tokens of token: have no codebook"))
        for name in ["px", "weight", "nothing"] {
            #expect(
                try refusal { ($0.tokens, $0.tokenColumn) = (pairs, name) }.hasPrefix(
                    "tokens of \(name): need a column of constituents of type int16, uint16 or int32"))
        }
        #expect(
            try refusal {
                $0.features = try FeatureConfiguration([Feature("part_pt")], jetFeatures: [Feature("token")])
            }.contains("jet feature token: there is no such field of jets"))

        // A code that is too large is an error with its jet, in the place of its batch.
        let largest = try #require(made.codes.joined().max())
        var contents = LoaderContents()
        (contents.tokens, contents.tokenColumn) = (try TokenPairs(codebookSize: largest), "token")
        let batches = try Loader(dataset: path, contents: contents, options: smallOptions { $0.dropLast = false })
            .batches()
        let error = try #require(throws: LoaderError.self) { while try batches.next() != nil {} }
        let jets = made.codes.indices.filter { made.codes[$0].contains(largest) }
        #expect(error.code == .data && error.file == path)
        #expect(jets.contains { error.place == "column token of jet \($0)" })
        #expect(error.message.contains("the code \(largest) is outside the codebook"))
    }
}
