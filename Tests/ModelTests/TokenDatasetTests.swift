import Convert
import Foundation
import Loader
import Model
import Shards
import Support
import TestSupport
import Testing
import Torch

/// Small tokenizers and datasets.
enum TokenSamples {
    static func tokenizer(codes: Int = 12, inputs: Int = 3, seed: UInt64 = 5) throws -> Tokenizer {
        var shape = TokenizerConfiguration()
        (shape.inputs, shape.width, shape.latent, shape.blocks, shape.heads, shape.codes) = (inputs, 16, 3, 1, 2, codes)
        let tokenizer = try Tokenizer(shape)
        // libtorch's generator is everybody's: other suites draw from it at the same time.
        var random = Seeded(seed)
        for entry in tokenizer.parameters.trainable where !entry.name.contains("norm") {
            let own = entry.tensor.shape,
                bound = entry.name.contains("codebook") ? 1 : 1 / Float(own.last ?? 1).squareRoot()
            let values = (0..<entry.tensor.count).map { _ in Float.random(in: -bound...bound, using: &random) }
            try Torch.withoutGradients { try entry.tensor.assign(Tensor.of(values, own)) }
        }
        return tokenizer
    }

    /// Only the hardest constituents, so that some jets keep few or none.
    static func features(_ threshold: Double = 60) throws -> FeatureConfiguration {
        try FeatureConfiguration(
            [
                Feature("part_pt", function: .log, largerThan: threshold, subtractBy: 1.8),
                Feature("part_etarel", largerThan: -0.8, smallerThan: 0.8, multiplyBy: 3),
                Feature("part_phirel", largerThan: -0.8, smallerThan: 0.8, multiplyBy: 3),
            ], padLength: 8)
    }

    static func jets(_ path: String) throws -> Catalogue {
        var options = ConversionOptions()
        options.batchRows = 200
        options.splits = [("train", 0.3), ("val", 0.7)]
        return try Converter(
            inputs: [Package.sample], output: path, schema: SourceSchema(named: "aspen-open-jets"), options: options
        ).run()
    }

    /// Batches in the order of a dataset.
    static func inOrder(_ path: String, _ contents: LoaderContents, _ body: (Batch) throws -> Void) throws {
        var options = LoaderOptions()
        (options.batchSize, options.shuffle, options.dropLast, options.streams) = (500, false, false, 1)
        let batches = try Loader(dataset: path, contents: contents, options: options).batches()
        while let batch = try batches.next() { try body(batch) }
    }

    static func codes(_ path: String) throws -> [[Int]] {
        var all: [[Int]] = []
        try inOrder(path, LoaderContents(columns: ["code"])) { batch in
            let bytes = try #require(batch.bytes(of: "code")), isNarrow = batch.elementType(of: "code") == .uint16
            all += zip(batch.offsets, batch.offsets.dropFirst()).map { first, end in
                (Int(first)..<Int(end)).map {
                    isNarrow
                        ? Int(bytes.load(fromByteOffset: 2 * $0, as: UInt16.self))
                        : Int(bytes.load(fromByteOffset: 4 * $0, as: Int32.self))
                }
            }
        }
        return all
    }

    static func isSound(_ path: String) throws -> Bool {
        var verifier = DatasetVerifier(directory: path)
        verifier.provesLosslessness = true
        return try verifier.run().isSound
    }
}

@Suite(.serialized) struct TokenDatasetTests {
    @Test func `row i of a dataset of tokens is the same jet, with its columns, splits and codes`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let (jets, tokens) = (directory.file("jets.pando"), directory.file("tokens.pando"))
        let source = try TokenSamples.jets(jets), tokenizer = try TokenSamples.tokenizer()
        let features = try TokenSamples.features()
        var writer = TokenDatasetWriter(dataset: jets, output: tokens, tokenizer: tokenizer, features: features)
        writer.batch = 100
        writer.options.batchRows = 300
        var told: [Int] = []
        writer.progress = { done, all in
            told.append(done)
            #expect(all == source.rows)
        }
        let report = try writer.run(), catalogue = report.catalogue
        #expect(told.last == source.rows && told.count == 18)
        #expect(try TokenSamples.isSound(tokens))
        #expect(catalogue.rows == source.rows && catalogue.splits == source.splits && catalogue.keys == source.keys)
        #expect(catalogue.provenance.options["tokenizer"] == (try tokenizer.fingerprint().hex))
        #expect(catalogue.provenance.options["codes"] == "12")
        #expect(catalogue.provenance.inputs.map(\.name) == [jets])
        #expect(catalogue.provenance.inputs.map(\.headTailDigest) == [source.fingerprint])
        let kept = source.encoding.jetFields.map { [$0.name, $0.type.rawValue, $0.role.rawValue, $0.dataset] }
        #expect(catalogue.encoding.jetFields.map { [$0.name, $0.type.rawValue, $0.role.rawValue, $0.dataset] } == kept)
        for column in source.columns where kept.contains(where: { $0[0] == column.name }) {
            let mine = try #require(catalogue.columns.first { $0.name == column.name })
            #expect(
                mine.unit == column.unit && mine.description == column.description
                    && mine.statistics == column.statistics)
        }
        #expect(report.emptyJets > 0 && report.emptyJets < source.rows / 2)
        #expect(catalogue.remarks?.first?.hasPrefix("\(report.emptyJets) jets have no codes") == true)

        // The columns of jets, bit for bit, and where they are from.
        let names = kept.map { $0[0] }
        var ours: [String: [UInt8]] = [:], theirs: [String: [UInt8]] = [:], rows: [Int64] = []
        try TokenSamples.inOrder(jets, LoaderContents(columns: names)) { batch in
            for name in names { theirs[name, default: []] += try #require(batch.bytes(of: name)) }
        }
        try TokenSamples.inOrder(tokens, LoaderContents(columns: names + ["source_row"])) { batch in
            for name in names { ours[name, default: []] += try #require(batch.bytes(of: name)) }
            rows += try #require(batch.integers("source_row"))
        }
        #expect(ours == theirs && rows == (0..<Int64(source.rows)).map { $0 })

        // Codes of each jet by itself.
        let codes = try TokenSamples.codes(tokens)
        #expect(codes.count { $0.isEmpty } == report.emptyJets)
        #expect(codes.reduce(0) { $0 + $1.count } + report.lostConstituents == source.constituents)
        #expect(codes.map(\.count).max() == 8 && catalogue.fullJets == codes.count { $0.count == 8 })
        var contents = LoaderContents(columns: [], features: features), jet = 0, different = 0
        contents.isJagged = true
        try TokenSamples.inOrder(jets, contents) { batch in
            for (first, end) in zip(batch.featureOffsets, batch.featureOffsets.dropFirst()) {
                let values = Array(batch.features[Int(first) * 3..<Int(end) * 3]), count = Int(end - first)
                if count > 0, jet % 10 == 0 {
                    let alone = try tokenizer.codes(of: Tensor.of(values, [count, 3]), Jagged(lengths: [count]))
                        .integers()
                    different += zip(alone, codes[jet]).count { Int($0) != $1 }
                }
                #expect(count == codes[jet].count)
                jet += 1
            }
        }
        // Other batches round differently, and a latent may lie on a border.
        #expect(jet == source.rows && different <= 2)
        #expect(Set(codes.joined()).count > 1)
    }

    @Test(.enabled(if: Golden.isThere, Golden.comment))
    func `jets become the original's tokens, and tokens the original's jets`() throws {
        let golden = try Golden("tokenise_reconstruct")
        let directory = try TemporaryDirectory(inMemory: true)
        let tokenizer = try Tokenizer(TokenizerGoldenTests.configuration(golden))
        #expect(try tokenizer.parameters.load(golden.tensors("param/")).missing.isEmpty)
        // The features come as fields of these names: relative coordinates of the file, not of momenta.
        let names = ["part_pt", "part_etarel", "part_phirel"]
        let schema = try SourceSchema(
            json: Array(
                """
                {"name": "golden", "description": "golden", "format": "hdf5", "datasets": [{"path": "p", "type": "float32",
                 "role": "constituent", "columns": [{"name": "raw_pt"}, {"name": "raw_etarel"}, {"name": "raw_phirel"}]}]}
                """.utf8), file: "golden")
        let offsets = try golden.arrays.int64s("in/offsets")
        let input = InputEntry(
            name: "golden", bytes: 0, headTailDigest: Digest(value: 0), rows: offsets.count - 1, layout: nil)
        let builder = try DatasetBuilder(
            directory: directory.file("jets"), schema: schema, command: "test", inputs: [input])
        let columns = JetColumns(fields: schema.fields)
        columns.resize(rows: offsets.count - 1, constituents: Int(try #require(offsets.last)))
        for (row, offset) in offsets.enumerated() { columns.offsetNumbers[row] = Int32(offset) }
        for (field, name) in names.enumerated() {
            let target = columns.fields[field].elements(Float.self, count: columns.constituents)
            for (place, value) in try golden.arrays.doubles("in/\(name)").enumerated() { target[place] = Float(value) }
        }
        try builder.append(columns)
        _ = try builder.finish()

        func features(_ names: [String]) throws -> FeatureConfiguration {
            let cut = 0.8
            return try FeatureConfiguration(
                [
                    Feature(names[0], function: .log, subtractBy: 1.8),
                    Feature(names[1], largerThan: -cut, smallerThan: cut, multiplyBy: 3),
                    Feature(names[2], largerThan: -cut, smallerThan: cut, multiplyBy: 3),
                ], padLength: golden.integer("pad_length"))
        }
        let raw = try features(["raw_pt", "raw_etarel", "raw_phirel"]), tokens = directory.file("tokens")
        let report = try TokenDatasetWriter(
            dataset: directory.file("jets"), output: tokens, tokenizer: tokenizer, features: raw
        ).run()
        #expect(report.catalogue.encoding.fields.map(\.type) == [.uint16])
        func lists(_ name: String) throws -> [[Int]] {
            let values = try golden.arrays.int64s("\(name)/values").map { Int($0) }
            let offsets = try golden.arrays.int64s("\(name)/offsets").map { Int($0) }
            return zip(offsets, offsets.dropFirst()).map { Array(values[$0..<$1]) }
        }
        #expect(try TokenSamples.codes(tokens) == lists("tokens"))

        // What the tokenizer saw: the first of each jet that are within the length.
        var contents = LoaderContents(columns: [], features: raw), seen: [[Float]] = []
        contents.isJagged = true
        try TokenSamples.inOrder(directory.file("jets"), contents) { batch in
            seen += zip(batch.featureOffsets, batch.featureOffsets.dropFirst()).map {
                Array(batch.features[Int($0) * 3..<Int($1) * 3])
            }
        }
        let cut = try golden.arrays.int64s("preprocessed/offsets").map { Int($0) }
        for (field, name) in names.enumerated() {
            let expected = try golden.arrays.doubles("preprocessed/\(name)")
            for (jet, ours) in seen.enumerated() {
                for place in 0..<ours.count / 3 {
                    #expect(abs(Double(ours[3 * place + field]) - expected[cut[jet] + place]) < 2e-6)
                }
            }
        }

        // The rows that a backbone learns from.
        var pairs = LoaderContents(columns: [])
        pairs.tokens = try TokenPairs(codebookSize: tokenizer.configuration.codes, length: 18)
        pairs.tokenColumn = "code"
        let ends = try lists("tokens_with_ends")
        try TokenSamples.inOrder(tokens, pairs) { batch in
            for (jet, expected) in ends.enumerated() {
                let row = jet * 18..<jet * 18 + expected.count - 1
                #expect(batch.tokenInput[row].map { Int($0) } == Array(expected.dropLast()))
                #expect(batch.tokenTarget[row].map { Int($0) } == Array(expected.dropFirst()))
            }
        }

        var back = try JetDatasetWriter(output: directory.file("back"), tokenizer: tokenizer, features: features(names))
        back.options.batchRows = 3
        #expect(try back.reconstruct(tokens: tokens).emptyJets == 0)
        var row = 0
        let (pt, eta, phi) = (
            try golden.arrays.doubles("reconstructed/part_pt"), try golden.arrays.doubles("reconstructed/part_etarel"),
            try golden.arrays.doubles("reconstructed/part_phirel")
        )
        try TokenSamples.inOrder(directory.file("back"), LoaderContents(columns: ["px", "py", "pz", "E"])) { batch in
            let p = try ["px", "py", "pz", "E"].map { try #require(batch.floats($0)).map { Double($0) } }
            for place in p[0].indices {
                let transverse = hypot(p[0][place], p[1][place])
                #expect(abs(transverse / pt[row] - 1) < 5e-6)
                #expect(abs(asinh(p[2][place] / transverse) - eta[row]) < 5e-6)
                #expect(abs(atan2(p[1][place], p[0][place]) - phi[row]) < 5e-6)
                #expect(abs(p[3][place] / hypot(transverse, p[2][place]) - 1) < 2e-7)
                row += 1
            }
        }
        #expect(row == pt.count)
    }

    @Test func `stopped and begun again, it ends with the same bytes`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let jets = directory.file("jets"), tokenizer = try TokenSamples.tokenizer()
        _ = try TokenSamples.jets(jets)
        func writer(_ name: String, _ tokenizer: Tokenizer = tokenizer) throws -> TokenDatasetWriter {
            var writer = TokenDatasetWriter(
                dataset: jets, output: directory.file(name), tokenizer: tokenizer, features: try TokenSamples.features()
            )
            (writer.batch, writer.options.batchRows, writer.options.shardBytes) = (64, 128, 20_000)
            return writer
        }
        let whole = try writer("whole").run()
        var stopped = try writer("parts"), batches = 0
        stopped.isInterrupted = {
            batches += 1
            return batches > 16
        }
        #expect(throws: ConvertError.self) { try stopped.run() }
        #expect(throws: DatasetError.self) { try Dataset(directory: directory.file("parts")) }
        #expect(FileManager.default.fileExists(atPath: directory.file("parts/shards/00000.arrow")))
        // Tokens of another tokenizer do not go behind these.
        #expect(throws: DatasetError.self) { try writer("parts", TokenSamples.tokenizer(seed: 6)).run() }
        let again = try writer("parts").run()
        #expect(again.emptyJets == whole.emptyJets && again.lostConstituents == whole.lostConstituents)
        #expect(try contents(of: directory.file("parts")) == contents(of: directory.file("whole")))
    }

    @Test func `splits and labels of JetClass come along`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let jets = directory.file("jets")
        let schema = try SourceSchema(
            json: Array(
                """
                {"name": "small", "description": "small", "format": "hdf5", "split": "split", "splits": ["train", "val"], "datasets": [
                 {"path": "p", "type": "float32", "role": "constituent", "columns": [{"name": "x"}]},
                 {"path": "split", "type": "int64", "role": "event", "columns": [{"name": "split"}]},
                 {"path": "label", "type": "int8", "role": "label", "columns": [{"name": "label", "key": true}]}]}
                """.utf8), file: "small")
        let input = InputEntry(name: "x", bytes: 0, headTailDigest: Digest(value: 0), rows: 6, layout: nil)
        let builder = try DatasetBuilder(directory: jets, schema: schema, command: "test", inputs: [input])
        let columns = JetColumns(fields: schema.fields)
        columns.resize(rows: 6, constituents: 6)
        for row in 0...6 { columns.offsetNumbers[row] = Int32(row) }
        for row in 0..<6 {
            columns.fields[0].elements(Float.self, count: 6)[row] = Float(row)
            columns.fields[1].elements(Int64.self, count: 6)[row] = row < 2 ? 1 : 0
            columns.fields[2].elements(Int8.self, count: 6)[row] = Int8(row)
        }
        try builder.append(columns)
        _ = try builder.finish()
        // More codes than 16 bits number.
        let tokenizer = try TokenSamples.tokenizer(codes: 65_537, inputs: 1)
        let report = try TokenDatasetWriter(
            dataset: jets, output: directory.file("tokens"), tokenizer: tokenizer,
            features: FeatureConfiguration([Feature("x")])
        ).run()
        #expect(
            report.catalogue.encoding.fields[0].type == .int32 && report.catalogue.features.contains("stored-splits"))
        #expect(report.catalogue.splits?.parts.map(\.rows) == [4, 2] && report.emptyJets == 0)
        #expect(report.catalogue.keys == ["label"] && report.catalogue.remarks == nil)
        var options = LoaderOptions(), contents = LoaderContents(columns: ["code"])
        contents.labelColumn = "label"
        (options.split, options.batchSize, options.shuffle) = ("val", 2, false)
        let batch = try #require(
            try Loader(dataset: directory.file("tokens"), contents: contents, options: options).batches().next())
        #expect(batch.rows == 2 && Set(batch.labels) == [0, 1])
        #expect(try TokenSamples.codes(directory.file("tokens")).allSatisfy { $0.count == 1 && $0[0] < 65_537 })
    }

    @Test func `what does not fit is refused, and leaves nothing`() throws {
        let directory = try TemporaryDirectory(inMemory: true), jets = directory.file("jets")
        _ = try TokenSamples.jets(jets)
        func run(_ tokenizer: Tokenizer, _ features: FeatureConfiguration) throws {
            _ = try TokenDatasetWriter(
                dataset: jets, output: directory.file("x"), tokenizer: tokenizer, features: features
            ).run()
        }
        #expect(throws: ModelError.self) {
            try run(TokenSamples.tokenizer(inputs: 2), TokenSamples.features())
        }
        // The logarithm of a negative number.
        #expect(throws: ModelError.self) {
            try run(TokenSamples.tokenizer(inputs: 1), FeatureConfiguration([Feature("part_eta", function: .log)]))
        }
        #expect(throws: LoaderError.self) {
            try run(TokenSamples.tokenizer(inputs: 1), FeatureConfiguration([Feature("nothing")]))
        }
        #expect(!FileManager.default.fileExists(atPath: directory.file("x")))
    }
}
